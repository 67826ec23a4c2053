//! TextBundle: backups of Bear, an export of Ulysses and the format's examples, field by field against what their files say, and odd ones.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use keepsake_formats::import::{Draft, Format};
use serde_json::Value;

use crate::taken::{Taken, genuine, take};

/// What an archive holds, read without the importers.
fn unpacked(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(File::open(path).expect("open")).expect("an archive");
    let count = zip.len();
    let read = |i| {
        let mut file = zip.by_index(i).expect("an entry");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("read");
        (file.name_raw().to_vec(), bytes)
    };
    (0..count).map(read).collect()
}

fn ids(taken: &Taken) -> BTreeMap<&str, &Draft> {
    taken.drafts.iter().map(|draft| (draft.memory.source.as_ref().expect("a source").id.as_str(), draft)).collect()
}

fn tags(draft: &Draft) -> Vec<&str> {
    draft.memory.tags.iter().map(|tag| tag.as_str()).collect()
}

#[test]
fn backups_of_bear_are_kept_whole() {
    let mut compared = 0;
    for name in ["backup.bear2bk", "tags.bear2bk"] {
        let Some(path) = genuine(&format!("other-notes-apps/bear/{name}")) else { return };
        let taken = take(&path, None).expect("it is found out what it is");
        let drafts = ids(&taken);
        let files = unpacked(&path);
        for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(b"/info.json")) {
            let info: Value = serde_json::from_slice(bytes).expect("JSON");
            let bear = &info["net.shinyfrog.bear"];
            let id = bear["uniqueIdentifier"].as_str().expect("an id");
            if bear["trashed"] == 1 {
                assert!(!drafts.contains_key(id));
                continue;
            }
            let memory = &drafts[id].memory;
            memory.validate().expect("valid");
            assert_eq!(memory.created.to_string(), bear["creationDate"].as_str().expect("a time"));
            assert_eq!(memory.when.instant.expect("an instant").to_string(), bear["creationDate"].as_str().expect("a time"));
            assert_eq!(memory.modified.to_string(), bear["modificationDate"].as_str().expect("a time"));
            let text = [&path[..path.len() - "info.json".len()], b"text.md"].concat();
            let text = String::from_utf8(files[&text].clone()).expect("text");
            assert_eq!(memory.text, text.replace("assets/acorn.jpeg", "keepsake:attachment/acorn"));
            let title = text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
            let title = Some(title).filter(|title| !title.is_empty()).or_else(|| bear["title"].as_str());
            assert_eq!(memory.title.as_deref(), title);
            for field in ["lastEditingDevice", "encryptedData", "password", "encrypted", "trashedDate", "encryptionUniqueIdentifier"] {
                assert_eq!(memory.custom.get(field), bear.get(field).filter(|value| !value.is_null()), "{field}");
            }
            assert_eq!(memory.custom["creatorIdentifier"], "net.shinyfrog.bear");
            compared += 1;
        }
    }
    assert_eq!(compared, 7, "six and two, one of them in the trash");
}

#[test]
fn files_tags_and_trash_of_bear() {
    let Some(path) = genuine("other-notes-apps/bear/backup.bear2bk") else { return };
    let taken = take(&path, None).expect("readable");
    let drafts = ids(&taken);
    let with_file = drafts["C4FFAFCB-F102-4FDE-84AF-4A1B21C60672"];
    assert_eq!((tags(with_file), with_file.files.len()), (vec!["Test-Tag"], 1));
    assert!(with_file.files[0].path.ends_with("/assets/acorn.jpeg"));
    assert_eq!(
        (with_file.memory.attachments[0].name.as_str(), with_file.memory.attachments[0].media_type.as_str()),
        ("acorn.jpeg", "image/jpeg")
    );
    assert!(taken.drafts.iter().all(|draft| draft.collections.is_empty()), "the backup's own folder is no collection");
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("is encrypted"), "{:?}", taken.problems);
    let mut passed_over = taken.passed_over.clone();
    passed_over.sort();
    assert_eq!(
        passed_over,
        [
            "Bear Notes 2023-10-11 at 10.12.bear2bk/Trashed file.textbundle/text.md (a note in Bear's trash)",
            "Bear Notes 2023-10-11 at 10.12.bear2bk/tags.json (the list of tags)"
        ]
    );
    assert_eq!(take(&path, None).expect("readable").drafts, taken.drafts, "the same import twice is the same");

    let Some(path) = genuine("other-notes-apps/bear/tags.bear2bk") else { return };
    let taken = take(&path, None).expect("readable");
    let drafts = ids(&taken);
    let mut found = [tags(drafts["B2FFAFCB-F102-4FDE-84AF-4A1B21C60673"]), tags(drafts["A1FFAFCB-F102-4FDE-84AF-4A1B21C60672"])].concat();
    found.sort_unstable();
    let mut said = vec!["bad!tag", "two words", "中文，标签", "项目 计划", "Ελλάδα", "русский", "中文", "仕事", "标签/子标签", "일정"];
    said.sort_unstable();
    assert_eq!(found, said);
}

#[test]
fn ulysses_and_the_examples() {
    let Some(path) = genuine("other-notes-apps/textbundle/Ulysses Export.zip") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    let files = unpacked(&path);
    let mut titles: Vec<&str> = taken.drafts.iter().map(|draft| draft.memory.title.as_deref().expect("a title")).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["A Super-Quick Markup Primer", "Search – and Find"]);
    for draft in &taken.drafts {
        assert_eq!(draft.origin, format!("{}.textbundle", draft.memory.title.as_deref().expect("a title")), "names are UTF-8");
        let text = files.get(format!("{}/text.md", draft.origin).as_bytes()).expect("its text");
        assert_eq!(draft.memory.text.as_bytes(), text);
        assert_eq!(draft.memory.custom["creatorIdentifier"], "com.ulyssesapp.mac");
        assert!(draft.memory.tags.is_empty() && draft.memory.validate().is_ok());
    }
    assert!(taken.problems.is_empty() && taken.passed_over.len() == 6, "{:?} {:?}", taken.problems, taken.passed_over);

    for (name, file, title) in
        [("example.textpack", "textbundle.png", "Textbundle Example"), ("example 2.textpack", "textbundle2.png", "Textpack Example")]
    {
        let Some(path) = genuine(&format!("other-notes-apps/textbundle/{name}")) else { return };
        let taken = take(&path, None).expect("it is found out what it is");
        let draft = &taken.drafts[0];
        assert_eq!((taken.drafts.len(), draft.files.len(), draft.memory.title.as_deref()), (1, 1, Some(title)));
        let known = draft.memory.attachments.iter().find(|attachment| attachment.name == file).expect("its file");
        assert!(draft.memory.text.contains(&format!("](keepsake:attachment/{})", known.key)) || name != "example.textpack");
        assert_eq!(draft.memory.custom["sourceURL"], "file:///Users/johndoe/Documents/myfile.markdown/");
    }
}

#[test]
fn odd_bundles_are_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let write = |name: &str, text: &str| {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, text).expect("written");
    };
    let info = r#"{"version":2,"type":"net.daringfireball.markdown","org.example":{"a":1}}"#;
    write("group/inner/A.textbundle/info.json", info);
    // The name in one normal form, the link in the other; a link with spaces; one of old Bear's; what nobody names.
    write(
        "group/inner/A.textbundle/text.md",
        "![](assets/u%CC%88.png) [x](assets/two%20words.pdf) [assets/old.jpg] [assets/a](b) ![](assets/gone.png) ![](assets/../../../etc/passwd) #no",
    );
    for file in ["\u{fc}.png", "two words.pdf", "old.jpg", "unnamed.txt"] {
        write(&format!("group/inner/A.textbundle/assets/{file}"), file);
    }
    write("group/inner/A.textbundle/QuickLook/Preview.pdf", "");
    write("group/inner/A.textbundle/stray.bin", "");
    write("group/inner/A.textbundle/.DS_Store", "");
    write("B.textbundle/text.html", "<p>HTML with <b>bold</b></p>");
    write("C.textbundle/info.json", "{");
    write("C.textbundle/text.txt", "no heading");
    write("D.textbundle/info.json", info);
    write("E.textbundle/info.json", r#"{"net.shinyfrog.bear":{"creationDate":7,"uniqueIdentifier":"","pinned":1,"tags":["a/b",7]}}"#);
    write("E.textbundle/text.markdown", "#!/bin/sh `#code` a#b #c/d, #1 \"#e\" (#f) [g](#h)\n# Heading\n#two words# #i# rest #j");
    write("notes.textpack", "");
    let taken = take(space.path(), None).expect("it is found out what it is");
    let by = |origin: &str| taken.drafts.iter().find(|draft| draft.origin == origin).expect(origin);
    assert_eq!(taken.drafts.len(), 4);
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let a = by("group/inner/A.textbundle");
    assert_eq!(
        a.memory.text,
        "![](keepsake:attachment/-) [x](keepsake:attachment/two-words) ![](keepsake:attachment/old) [assets/a](b) ![](keepsake:attachment/gone) ![](keepsake:attachment/passwd) #no"
    );
    let files: Vec<&str> = a.files.iter().map(|file| file.path.rsplit('/').next().expect("a name")).collect();
    assert_eq!(files, ["\u{fc}.png", "two words.pdf", "old.jpg", "unnamed.txt"]);
    assert_eq!((a.collections[0].name.as_str(), a.memory.title.as_deref(), tags(a).len()), ("group/inner", Some("A"), 0));
    assert_eq!(a.memory.custom["org.example"]["a"], 1);
    assert_eq!(by("B.textbundle").memory.text, "HTML with **bold**");
    assert_eq!(by("C.textbundle").memory.title.as_deref(), Some("C"));
    let e = by("E.textbundle");
    assert_eq!(tags(e), ["1", "a/b", "c/d", "e", "f", "i", "j", "two words"]);
    assert_eq!((e.memory.custom["pinned"].clone(), e.memory.custom["tags"].clone()), (1.into(), serde_json::json!([7])));
    for said in [
        "assets/gone.png is not in the bundle",
        "etc/passwd is not in the bundle",
        "B.textbundle: has no info.json",
        "C.textbundle/info.json: cannot be read",
        "D.textbundle: has no text file",
        "E.textbundle: has no readable `creationDate`",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    assert_eq!(taken.passed_over.len(), 5, "{:?}", taken.passed_over);

    // The bundle itself, and one whose archive has no folder; a note of the same name is another one.
    let id = |taken: &Taken| taken.drafts[0].memory.source.as_ref().expect("a source").id.clone();
    let alone = take(&space.path().join("group/inner/A.textbundle"), None).expect("a bundle is a folder");
    assert_eq!((alone.drafts.len(), alone.drafts[0].files.len()), (1, 4));
    let typed = take(&space.path().join("group/../group/inner/A.textbundle/."), None).expect("the same folder");
    assert_eq!(id(&typed), id(&alone), "however its path is typed");
    let pack = space.path().join("flat.textpack");
    let mut zip = zip::ZipWriter::new(File::create(&pack).expect("made"));
    for (name, text) in [("info.json", info), ("text.md", "# Flat\n")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("entry");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("finished");
    let flat = take(&pack, None).expect("it is found out what it is");
    assert_eq!((flat.drafts.len(), flat.drafts[0].memory.title.as_deref()), (1, Some("Flat")));
    assert_ne!(id(&flat), id(&alone));
    assert_eq!(take(&pack, Some(Format::TextBundle)).expect("readable").drafts, flat.drafts);
}

#[test]
fn keys_are_free_and_files_are_counted() {
    let space = tempfile::tempdir().expect("space");
    let write = |name: &str, text: &str| {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, text).expect("written");
    };
    write("A.textbundle/info.json", "{\"version\":2}");
    write("A.textbundle/text.md", "![](assets/a.jpg) ![](assets/a-3.jpg) ![](assets/a.png)");
    let links: String = (0..1002).map(|number| format!("![](assets/{number}.jpg)\n")).collect();
    write("B.textbundle/info.json", "{\"version\":2}");
    write("B.textbundle/text.md", &links);
    write("B.textbundle/assets/1001.jpg", "beyond");
    let taken = take(space.path(), None).expect("it is found out what it is");
    assert!(taken.drafts.len() == 2 && taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let keys: Vec<&str> = taken.drafts[0].memory.attachments.iter().map(|attachment| attachment.key.as_str()).collect();
    assert_eq!(keys, ["a", "a-3", "a-4"]);
    let text = &taken.drafts[1].memory.text;
    assert!(taken.drafts[1].memory.attachments.len() == 1000 && text.ends_with("![](assets/1000.jpg)\n![](assets/1001.jpg)\n"));
    let beyond: Vec<&String> = taken.problems.iter().filter(|problem| problem.contains("has more than 1,000 files")).collect();
    assert!(beyond.len() == 2 && beyond[1].contains("assets/1001.jpg is beyond them"), "{beyond:?}");
    assert_eq!(taken.passed_over, Vec::<String>::new());

    // A vault that holds a bundle is a vault.
    for number in 0..8 {
        write(&format!("note {number}.md"), "words");
    }
    let detected = keepsake_formats::import::detect(&keepsake_formats::import::Input::open(space.path()).expect("open"));
    assert_eq!(detected.expect("found out"), Format::Markdown);
}

#[test]
fn long_lines_of_beginnings_take_no_time() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("Long.textbundle");
    fs::create_dir(&path).expect("made");
    fs::write(path.join("info.json"), r#"{"net.shinyfrog.bear":{"creationDate":"2024-01-01T00:00:00Z","pinned":1}}"#).expect("written");
    let text = format!("{}{} #last", "[assets/".repeat(100_000), " # #".repeat(200_000));
    fs::write(path.join("text.md"), &text).expect("written");
    let taken = take(&path, Some(Format::TextBundle)).expect("readable");
    assert_eq!((taken.drafts[0].memory.text == text, tags(&taken.drafts[0])), (true, vec!["last"]));
}
