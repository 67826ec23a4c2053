//! Evernote: genuine notebooks, note by note against what their files say, and odd ones.

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use data_encoding::{BASE64, HEXLOWER};
use keepsake_formats::import::{Draft, Format, Input};
use md5::{Digest, Md5};

use crate::taken::{Taken, genuine, take, take_input};

/// What stands between tags, as often as it does: independent of how the reader parses.
fn between<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end)).map(|(inside, _)| inside.trim()).collect()
}

/// `20240129T203941Z` as the record writes it.
fn instant(text: &str) -> String {
    format!("{}-{}-{}T{}:{}:{}Z", &text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15])
}

fn bytes_of(input: &Input, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    input.open_file(path).expect("open").read_to_end(&mut bytes).expect("read");
    bytes
}

/// Compares a note with what stands in its file.
fn compare(draft: &Draft, note: &str, input: &Input) {
    let memory = &draft.memory;
    memory.validate().expect("valid");
    let outside = note.split("<resource>").next().expect("a note");
    let one = |tag: &str| between(outside, tag).first().copied();
    assert_eq!(memory.title.as_deref(), one("title"));
    let created = instant(one("created").expect("a time"));
    assert_eq!((memory.created.to_string(), memory.when.instant.expect("an instant").to_string()), (created.clone(), created.clone()));
    assert_eq!(memory.modified.to_string(), one("updated").map_or(created, instant));
    let tags: Vec<&str> = memory.tags.iter().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, between(outside, "tag"));
    let degrees = |tag: &str| one(tag).map(|text| text.parse::<f64>().expect("degrees"));
    let position = memory.position.map(|position| (Some(position.latitude), Some(position.longitude), position.altitude));
    assert_eq!(position, degrees("latitude").map(|latitude| (Some(latitude), degrees("longitude"), degrees("altitude"))));
    for field in ["author", "source", "source-url", "source-application", "reminder-order"] {
        assert_eq!(memory.custom.get(field).and_then(|value| value.as_str()), one(field), "{field}");
    }
    let resources = between(note, "resource");
    assert_eq!((memory.attachments.len(), draft.files.len()), (resources.len(), resources.len()));
    for ((attachment, file), resource) in memory.attachments.iter().zip(&draft.files).zip(&resources) {
        let data = resource.split_once("base64\">").and_then(|(_, rest)| rest.split_once("</data>")).expect("data").0;
        let data = BASE64.decode(data.replace(char::is_whitespace, "").as_bytes()).expect("base64");
        assert_eq!((attachment.key.as_str(), file.key.as_str()), (HEXLOWER.encode(&Md5::digest(&data)).as_str(), attachment.key.as_str()));
        assert!(bytes_of(input, &file.path) == data && input.on_disk(&file.path).is_none());
        assert_eq!(Some(attachment.name.as_str()), between(resource, "file-name").first().copied());
        assert_eq!(Some(attachment.media_type.as_str()), between(resource, "mime").first().copied());
        assert_eq!(attachment.custom.get("source-url").and_then(|url| url.as_str()), between(resource, "source-url").first().copied());
        let shown = note.matches(&format!("<en-media hash=\"{}\"", attachment.key)).count();
        assert_eq!(memory.text.matches(&format!("](keepsake:attachment/{})", attachment.key)).count(), shown);
    }
}

#[test]
fn genuine_notebooks_are_kept_whole() {
    let Some(path) = genuine("other-notes-apps/evernote") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!((taken.problems, taken.passed_over), (Vec::new(), Vec::new()));
    let input = Input::open(&path).expect("open");
    let drafts: BTreeMap<&str, &Draft> = taken.drafts.iter().map(|draft| (draft.origin.as_str(), draft)).collect();
    let mut notes = 0;
    for file in input.files().expect("files") {
        let text = fs::read_to_string(path.join(&file.path)).expect("text");
        for (number, note) in between(&text, "note").into_iter().enumerate() {
            let draft = drafts[format!("{}: note {}", file.path, number + 1).as_str()];
            compare(draft, note, &input);
            assert_eq!(draft.collections[0].name, file.path.trim_end_matches(".enex"));
            notes += 1;
        }
    }
    assert_eq!((notes, drafts.len()), (24, 24));
    let text =
        |title: &str| taken.drafts.iter().find(|draft| draft.memory.title.as_deref() == Some(title)).expect(title).memory.text.as_str();
    let lines = ["- [ ] Open task\n- [x] Done task", "1. [ ] Open task\n2. [x] Done task", "1. One\n2. Two"];
    assert!(lines.iter().all(|lines| text("Task lists").contains(lines)), "{}", text("Task lists"));
    assert_eq!(text("Indented with spaces"), "```python\ndef f(x):\n    if x:\n\n        return 1\n    return 0    # aligned\n```");
    assert_eq!(
        text("Indented with non-breaking spaces"),
        "```python\ndef f(x):\n    if x:\n        return 1\n```",
        "what keeps spaces in HTML are spaces in code"
    );
    assert!(text("Backslashes and markdown in code").contains("grep -o 'a\\\\*b' file \\\\\n  | sed 's/_x_/*y*/'"));
    let languages = text("Code blocks with a language");
    assert!(
        ["```clike\nint a = 0x123;  int b = a<<2;", "```\njust some text", "```objective-c\n"].iter().all(|code| languages.contains(code)),
        "{languages}"
    );
    assert_eq!(text("Table of Contents").matches("](evernote:///view/").count(), 2, "links to notes stay as they are");
    let unseen = &drafts["note-link-without-title.enex: note 2"].memory.text;
    assert!(
        unseen.contains("[evernote:///view/1000/s1/33333333-3333-3333-3333-333333333333/"),
        "a link without words can be seen: {unseen}"
    );
}

/// A notebook of notes.
fn notebook(space: &Path, name: &str, notes: &str) -> Taken {
    let path = space.join(name);
    fs::write(
        &path,
        format!("<?xml version=\"1.0\"?>\n<!DOCTYPE en-export SYSTEM \"x\">\n<en-export export-date=\"x\">{notes}</en-export>"),
    )
    .expect("written");
    take(&path, None).expect("readable")
}

fn note(title: &str, content: &str, more: &str) -> String {
    format!(
        "<note><title>{title}</title><content><![CDATA[<?xml version=\"1.0\"?><!DOCTYPE en-note SYSTEM \"x\"><en-note>{content}</en-note>]]></content><created>20240102T030405Z</created>{more}</note>"
    )
}

#[test]
fn what_notes_hold_is_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let hash = HEXLOWER.encode(&Md5::digest(b"hello"));
    let content = format!(
        "<div><en-todo checked=\"true\"/>done</div><div><en-todo/>open</div><div>a<br/>b <b>bold</b> <span style=\"font-weight: bold\">too</span> <s>gone</s></div>\
         <en-media hash=\"{hash}\" type=\"application/pdf\"/><en-media hash=\"00000000000000000000000000000000\" type=\"image/png\"/>\
         <en-crypt cipher=\"AES\" hint=\"the usual\" length=\"128\">c2VjcmV0</en-crypt>\
         <div style=\"--en-task-group:true; --en-id:g1;\"><div>Content not supported</div></div><table><tbody><tr><td>x</td><td>&nbsp;</td></tr></tbody></table>"
    );
    let more = "<tag>R&amp;B</tag><tag>a/b</tag><note-attributes><subject-date>20230506T000000Z</subject-date><latitude>38.7</latitude><longitude>-9.1</longitude><place-name>Lisbon</place-name><reminder-time>20240203T000000Z</reminder-time><application-data key=\"k\">v</application-data></note-attributes>\
        <task><title>second</title><taskStatus>open</taskStatus><sortWeight>J</sortWeight><taskGroupNoteLevelID>g1</taskGroupNoteLevelID></task>\
        <task><title>first</title><taskStatus>completed</taskStatus><sortWeight>B</sortWeight><taskGroupNoteLevelID>g1</taskGroupNoteLevelID><dueDate>20240301T000000Z</dueDate></task>\
        <task><title>elsewhere</title><taskStatus>open</taskStatus></task>\
        <resource><data encoding=\"base64\">\n aGVs\n bG8=\n</data><mime>application/pdf</mime><width>0</width><resource-attributes><file-name>a/b.pdf</file-name><timestamp>20200101T000000Z</timestamp><latitude>1</latitude><longitude>2</longitude><camera-make>C</camera-make></resource-attributes></resource>\
        <resource><data encoding=\"base64\">!!!!</data><mime>image/png</mime><resource-attributes><file-name>bad.png</file-name></resource-attributes></resource>\
        <resource><data/><mime>none</mime></resource>";
    let taken = notebook(space.path(), "Trips.enex", &note("Ünïcode &lt;3", &content, more));
    let draft = &taken.drafts[0];
    let memory = &draft.memory;
    memory.validate().expect("valid");
    assert_eq!((memory.title.as_deref(), draft.collections[0].name.as_str()), (Some("Ünïcode <3"), "Trips"));
    assert_eq!(memory.when.day.map(|day| day.to_string()).as_deref(), Some("2023-05-06"), "what the note is about");
    assert_eq!(memory.created.to_string(), "2024-01-02T03:04:05Z");
    assert_eq!(
        (draft.place.as_ref().map(|place| place.name.as_str()), memory.position.map(|at| at.latitude)),
        (Some("Lisbon"), Some(38.7))
    );
    assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["R&B", "a/b"]);
    assert_eq!((&memory.custom["reminder-time"], &memory.custom["application-data"]["key"]), (&"20240203T000000Z".into(), &"k".into()));
    assert_eq!((memory.custom["task"].as_array().map(Vec::len), &memory.custom["en-crypt"][0]["hint"]), (Some(3), &"the usual".into()));
    for said in [
        "- [x] done\n- [ ] open",
        "a  \nb **bold** **too** ~~gone~~",
        &format!("[a-b.pdf](keepsake:attachment/{hash})"),
        "![](keepsake:attachment/00000000000000000000000000000000)",
        "```en-crypt\nc2VjcmV0\n```",
        "- [x] first\n- [ ] second",
        "- [ ] elsewhere",
    ] {
        assert!(memory.text.contains(said), "{said}: {}", memory.text);
    }
    assert!(!memory.text.contains("Content not supported") && !memory.custom.contains_key("content"));
    assert_eq!((memory.attachments.len(), draft.files.len()), (4, 1));
    let first = &memory.attachments[0];
    assert_eq!((&first.custom["file-name"], first.camera.as_deref(), first.width), (&"a/b.pdf".into(), Some("C"), None));
    assert_eq!(
        (first.captured.as_ref().and_then(|when| when.day).map(|day| day.year()), first.position.map(|at| at.longitude)),
        (Some(2020), Some(2.0))
    );
    assert_eq!(memory.attachments[3].expected.as_ref().and_then(|file| file.md5.as_deref()), Some("00000000000000000000000000000000"));
    for said in ["bad.png is not base64", "has no bytes", "its file with the MD5 0000", "that Evernote encrypted"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    assert_eq!(taken.problems.len(), 4, "{:?}", taken.problems);
}

#[test]
fn the_same_notes_have_the_same_ids() {
    let space = tempfile::tempdir().expect("space");
    let ids = |taken: &Taken| taken.drafts.iter().map(|draft| draft.memory.source.clone().expect("a source")).collect::<Vec<_>>();
    let both = format!("{}{}", note("a", "<div>x</div>", ""), note("a", "<div>y</div>", "<resource><data>aGVsbG8=</data></resource>"));
    let first = notebook(space.path(), "One.enex", &both);
    let moved = notebook(space.path(), "Two.enex", &format!("{}{both}{}", note("before", "", ""), note("a", "<div>x</div>", "")));
    assert_eq!(ids(&first), ids(&moved)[1..], "neither the notebook's name nor what stands around them counts");
    assert_eq!(ids(&first)[1].id, "2024-01-02T03:04:05Z a 2");
    assert_eq!(moved.passed_over, ["Two.enex: note 4 (the same note once more)"]);
    let changed = notebook(space.path(), "One.enex", &both.replace("<div>y", "<div>z"));
    assert!(
        ids(&changed)[0] == ids(&first)[0] && ids(&changed)[1].id == ids(&first)[1].id && ids(&changed)[1].digest != ids(&first)[1].digest
    );
}

#[test]
fn broken_notes_do_not_hide_the_others() {
    let space = tempfile::tempdir().expect("space");
    let (good, deep) = (note("good", "", ""), "<a>".repeat(100));
    let notes = [
        "<note><title>no end</titel></note>".to_owned(),
        good.clone(),
        format!("<note>{deep}</note>"),
        "<note><title>no date</title><created>yesterday</created><content>&lt;en-note&gt;text&lt;/en-note&gt;</content></note>".to_owned(),
        "<surprise/>".to_owned(),
        note("tag soup", "<div>one<p>two</div></b>three &unknown; & <![CDATA[x]]&gt; <", ""),
        note("last", &"<div>".repeat(3000), ""),
        "<note><content><![CDATA[never ends</content></note>".to_owned(),
    ];
    let taken = notebook(space.path(), "a.enex", &notes.concat());
    let titles: Vec<&str> = taken.drafts.iter().filter_map(|draft| draft.memory.title.as_deref()).collect();
    assert_eq!(titles, ["good", "no date", "tag soup", "last"], "{:?}", taken.problems);
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    assert_eq!((taken.drafts[1].memory.text.as_str(), &taken.drafts[1].memory.custom["created"]), ("text", &"yesterday".into()));
    assert!(["one", "two", "three"].iter().all(|word| taken.drafts[2].memory.text.contains(word)), "{}", taken.drafts[2].memory.text);
    for said in ["note 1: cannot be read", "nested too deeply at `a`", "no readable `created`", "is no note but a `surprise`"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    let cut = space.path().join("cut.enex");
    fs::write(&cut, format!("<en-export>{good}<note><title>half")).expect("written");
    let taken = take(&cut, None).expect("readable");
    assert!(taken.drafts.len() == 1 && taken.problems[0].contains("the file breaks off"), "{:?}", taken.problems);
    let none = space.path().join("none.enex");
    fs::write(&none, "no XML").expect("written");
    assert!(take(&none, Some(Format::Evernote)).expect("readable").problems[0].contains("holds no note"));
}

/// A page of the web that somebody clipped: more tags than are converted at once.
#[test]
fn long_notes_are_converted_in_pieces() {
    let space = tempfile::tempdir().expect("space");
    let rows = |from: usize| {
        (from..from + 4000).map(|n| format!("<div style=\"color:red\"><span>line</span> <b>{n}</b></div>")).collect::<String>()
    };
    let taken = notebook(space.path(), "a.enex", &note("clip", &format!("<div><div>{}</div></div>", rows(0)), ""));
    assert_eq!(taken.problems, Vec::<String>::new());
    let text = &taken.drafts[0].memory.text;
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.strip_prefix("line **")?.strip_suffix("**")?.parse().ok()).collect();
    assert!(numbers == (0..4000).collect::<Vec<_>>(), "{}", &text[..200]);
    let list = format!("<ul>{}</ul>", (0..4000).map(|n| format!("<li>{n}</li>")).collect::<String>());
    let taken = notebook(space.path(), "b.enex", &note("list", &list, ""));
    assert!(taken.problems[0].contains("too long to be read at once"), "{:?}", taken.problems);
    assert!(
        taken.drafts[0].memory.text.contains("3999") && taken.drafts[0].memory.custom.contains_key("content"),
        "what was lost of it is there"
    );
}

#[test]
fn a_file_without_bytes_is_one_attachment() {
    let space = tempfile::tempdir().expect("space");
    let hash = HEXLOWER.encode(&Md5::digest(b""));
    let shown = format!("<en-media hash=\"{hash}\" type=\"image/png\"/>");
    let empty = "<resource><data encoding=\"base64\"></data><mime>image/png</mime></resource>";
    let taken = notebook(space.path(), "a.enex", &note("empty", &shown, empty));
    let memory = &taken.drafts[0].memory;
    memory.validate().expect("valid");
    assert_eq!((memory.attachments.len(), memory.text.as_str()), (1, format!("![](keepsake:attachment/{hash})").as_str()));
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("has no bytes"), "{:?}", taken.problems);
}

#[test]
fn files_are_read_out_of_several_notebooks() {
    let space = tempfile::tempdir().expect("space");
    let resource = "<resource><data encoding=\"base64\">aGVsbG8=</data></resource>";
    let paths = ["a.enex", "b.enex"].map(|name| space.path().join(name));
    for path in &paths {
        let name = path.display().to_string();
        notebook(space.path(), &name, &note(&name, "", resource));
    }
    let input = Input::open_all(&paths).expect("open");
    let taken = take_input(&input, None).expect("it is found out what it is");
    assert_eq!(taken.drafts.len(), 2, "{:?}", taken.problems);
    for draft in &taken.drafts {
        assert_eq!(input.whole(&draft.files[0].path).expect("whole"), b"hello");
    }
}

#[test]
fn files_are_read_out_of_notebooks_in_archives() {
    let space = tempfile::tempdir().expect("space");
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let resource = format!("<resource><data encoding=\"base64\">{}</data><mime>image/jpeg</mime></resource>", BASE64.encode(&bytes));
    let text = format!("<en-export>{}{}</en-export>", note("a", "", &resource), note("b", "", ""));
    let path = space.path().join("export.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("create"));
    for name in ["Stack/One.enex", "Stack/Two.enex"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("entry");
        std::io::Write::write_all(&mut zip, text.replace("<title>", &format!("<title>{name}")).as_bytes()).expect("written");
    }
    zip.finish().expect("finished");
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!((taken.drafts.len(), taken.problems.len(), taken.drafts[0].collections[0].name.as_str()), (4, 0, "Stack/One"));
    let input = Input::open(&path).expect("open");
    for draft in taken.drafts.iter().filter(|draft| !draft.files.is_empty()) {
        assert!(bytes_of(&input, &draft.files[0].path) == bytes && input.whole(&draft.files[0].path).expect("whole") == bytes);
    }
}
