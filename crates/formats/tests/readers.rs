//! Single readers, and every reader against whatever bytes there are.

use std::fs;

use keepsake_formats::import::Format;
use keepsake_record::AttachmentRole;
use proptest::prelude::*;

use crate::taken::take;

#[test]
fn files_that_belong_together_are_one_memory() {
    let space = tempfile::tempdir().expect("space");
    for name in
        ["IMG_1.HEIC", "IMG_1.MOV", "IMG_2.JPG", "IMG_2.CR2", "IMG_2.DNG", "IMG_2.JPG.xmp", "a/IMG_1.HEIC", "alone.mp4", "notes.txt"]
    {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(&path, name).expect("write");
    }
    let taken = take(space.path(), Some(Format::Media)).expect("readable");
    let mut shown: Vec<String> = taken
        .drafts
        .iter()
        .map(|d| d.memory.attachments.iter().map(|a| format!("{}:{:?}", a.name, a.role)).collect::<Vec<_>>().join(" "))
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "IMG_1.HEIC:Original",
            "IMG_1.HEIC:Original IMG_1.MOV:LiveVideo",
            "IMG_2.JPG:Original IMG_2.CR2:Raw IMG_2.DNG:Raw IMG_2.JPG.xmp:Sidecar",
            "alone.mp4:Original"
        ]
    );
    assert!(taken.drafts.iter().all(|d| d.memory.validate().is_ok()));
    assert!(taken.drafts.iter().flat_map(|d| &d.memory.attachments).filter(|a| a.role != AttachmentRole::Original).all(|a| a.of.is_some()));
    assert!(!taken.problems.is_empty(), "none of these is a photo, and each that is none is named");
    assert_eq!(taken.passed_over, ["notes.txt (a text, no photo, film or recording: import it with --format plain)"]);
}

/// Notes that a program has hidden are no reason to doubt what the others are.
#[test]
fn hidden_files_do_not_say_what_a_folder_is() {
    let space = tempfile::tempdir().expect("space");
    for name in ["a.md", ".trash/b.md", ".trash/c.md", ".trash/d.jpg"] {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(&path, name).expect("write");
    }
    let taken = take(space.path(), None).expect("it is a folder of Markdown");
    assert_eq!(taken.drafts.iter().map(|draft| draft.origin.as_str()).collect::<Vec<_>>(), ["a.md"]);
}

#[test]
fn front_matter_of_every_sort() {
    let space = tempfile::tempdir().expect("space");
    let note = |name: &str, text: &str| fs::write(space.path().join(name), text).expect("write");
    note("yaml.md", "---\ntitle: Y\ntags: [a, b/c]\ncreated: 2024-03-17\nrating: 5\ncover: \"[[p.jpg]]\"\n---\nbody");
    note("toml.md", "+++\ntitle = \"T\"\ndate = 2024-03-17T10:00:00+01:00\n+++\nbody");
    note("json.md", "{\n\"title\": \"J\", \"tags\": \"x y\"\n}\nbody");
    note("broken.md", "---\ntitle: {{x}}: [\n---\nbody");
    note("open.md", "---\nno end\nbody");
    note("2024-01-02.md", "![[p.jpg|300]] ![](p.jpg) ![[gone.png]] [[Other note]]");
    note("p.jpg", "");
    let taken = take(space.path(), None).expect("readable");
    let by = |name: &str| taken.drafts.iter().find(|d| d.origin == name).expect("there");
    assert_eq!((by("yaml.md").memory.title.as_deref(), by("yaml.md").memory.text.as_str()), (Some("Y"), "body"));
    assert_eq!(by("yaml.md").memory.tags.len(), 2);
    assert_eq!((&by("yaml.md").memory.custom["rating"], by("yaml.md").files.len()), (&5.into(), 1));
    assert_eq!(by("toml.md").memory.when.day.map(|d| d.to_string()).as_deref(), Some("2024-03-17"));
    assert_eq!(by("json.md").memory.tags.len(), 2);
    assert!(
        by("broken.md").memory.text.starts_with("---") && by("open.md").memory.text.starts_with("---"),
        "what cannot be read is kept as text"
    );
    let daily = by("2024-01-02.md");
    assert_eq!(daily.memory.when.day.map(|d| d.to_string()).as_deref(), Some("2024-01-02"));
    assert_eq!(daily.memory.text, "![300](keepsake:attachment/file-1) ![](keepsake:attachment/file-1) ![[gone.png]] [[Other note]]");
    assert_eq!(taken.problems.len(), 2, "{:?}", taken.problems);
}

#[test]
fn a_quote_that_is_open_at_the_end_is_named_with_its_row() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("a.csv");
    let table = |text: &str| {
        fs::write(&path, text).expect("write");
        take(&path, Some(Format::Csv))
    };
    let taken = table("id,date,text\n1,2024-03-17,one\n2,2024-03-18,\"no end\n3,2024-03-19,three\n").expect("readable");
    assert_eq!(taken.drafts.iter().map(|draft| draft.memory.text.as_str()).collect::<Vec<_>>(), ["one"]);
    assert!(
        taken.problems.len() == 1 && taken.problems[0].contains("a.csv:3") && taken.problems[0].contains("quote"),
        "{:?}",
        taken.problems
    );
    let error = table("id,\"date,text\n1,2024-03-17,one\n").err().expect("no table").to_string();
    assert!(error.contains("header line") && error.contains("quote"), "{error}");
    assert_eq!(table("").expect("readable").passed_over, ["a.csv (an empty table)"]);
    let taken = table("id,date,text\n1,2024-03-17\n2,2024-03-18,two\n").expect("readable");
    assert!(taken.drafts.len() == 1 && taken.problems[0].contains("2 cells"), "{:?}", taken.problems);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0_usize..8) {
        let heads: [&[u8]; 8] = [b"", b"---\n", b"{\"entries\":[{\"uuid\":\"a\",\"photos\":[{", b"\xff\xd8\xff\xe1\x00\x40Exif\0\0II*\0\x08\0\0\0", b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x40moov", b"PK\x03\x04", b"\x1f\x8b\x08", b"<x:xmpmeta>&#"];
        let space = tempfile::tempdir().expect("space");
        let all = [heads[head], &bytes].concat();
        for (name, format) in [("a.md", Format::Markdown), ("a.json", Format::DayOne), ("a.jpg", Format::Media), ("a.mp4", Format::Media), ("a.csv", Format::Csv), ("a.ndjson", Format::Ndjson)] {
            let path = space.path().join(name);
            fs::write(&path, &all).expect("write");
            drop(take(&path, Some(format)));
        }
        let folder = space.path().join("folder");
        fs::create_dir(&folder).expect("folder");
        fs::write(folder.join("p.jpg"), &all).expect("write");
        fs::write(folder.join("p.xmp"), &all).expect("write");
        fs::write(folder.join("Journal.json"), &all).expect("write");
        drop(take(&folder, Some(Format::Media)));
        drop(take(&folder, Some(Format::DayOne)));
    }
}
