//! Google Keep: genuine notes, field by field against what their files say, and odd ones.

use std::{collections::BTreeMap, fs};

use keepsake_formats::import::{Draft, Format, Input};
use serde_json::Value;

use crate::taken::{genuine, take};

#[test]
fn genuine_notes_are_kept_whole() {
    let Some(path) = genuine("google-keep/Takeout") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    let input = Input::open(&path).expect("open");
    let drafts: BTreeMap<&str, &Draft> = taken.drafts.iter().map(|draft| (draft.origin.as_str(), draft)).collect();
    let files = input.files().expect("files");
    assert_eq!((files.len(), drafts.len()), (13, 12), "one is in the trash");
    assert_eq!(taken.passed_over, ["Keep/Deleted note.json (a note in Keep's trash)"]);
    let mut missing = 0;
    for file in files.iter().filter(|file| !file.name().starts_with("Deleted")) {
        let said: Value = serde_json::from_slice(&input.whole(&file.path).expect("read")).expect("JSON");
        let draft = drafts[file.path.as_str()];
        let memory = &draft.memory;
        memory.validate().expect("valid");
        let micros = |name: &str| said[name].as_i64().expect("a time");
        assert_eq!(memory.created.micros(), micros("createdTimestampUsec"));
        assert_eq!(memory.when.instant.expect("an instant").micros(), micros("createdTimestampUsec"));
        assert_eq!(memory.modified.micros(), micros("userEditedTimestampUsec"));
        let title = said["title"].as_str().expect("a title");
        assert_eq!(memory.title.as_deref().unwrap_or_default(), title.replace('\n', " "));
        assert_eq!(memory.custom.get("title").and_then(Value::as_str), Some(title).filter(|title| title.contains('\n')));
        if let Some(text) = said["textContent"].as_str() {
            assert_eq!(memory.text, text);
        }
        for item in said["listContent"].as_array().into_iter().flatten() {
            let mark = if item["isChecked"] == true { "x" } else { " " };
            assert!(
                memory.text.lines().any(|line| line == format!("- [{mark}] {}", item["text"].as_str().expect("text"))),
                "{}",
                memory.text
            );
        }
        let labels = said["labels"].as_array().map_or(0, Vec::len);
        assert_eq!(memory.tags.len() + memory.custom.get("labels").and_then(Value::as_array).map_or(0, Vec::len), labels);
        for label in said["labels"].as_array().into_iter().flatten() {
            let name = label["name"].as_str().expect("a name");
            assert!(memory.tags.iter().any(|tag| tag.as_str() == name), "{name}: {:?}", memory.tags);
        }
        for flag in ["isPinned", "isArchived"] {
            assert_eq!(memory.custom.contains_key(flag), said[flag] == true, "{flag}");
        }
        assert_eq!(memory.custom.get("color"), Some(&said["color"]).filter(|colour| *colour != "DEFAULT"));
        // The files were not published with the notes.
        let attached = said["attachments"].as_array().map_or(0, Vec::len);
        assert_eq!((memory.attachments.len(), draft.files.len()), (attached, 0));
        missing += attached;
    }
    assert_eq!(taken.problems.len(), missing, "each missing file is named: {:?}", taken.problems);
}

#[test]
fn odd_notes_are_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let write = |name: &str, text: &str| fs::write(space.path().join(name), text).expect("written");
    write(
        "a.json",
        r#"{"createdTimestampUsec":1690864183842000,"attachments":[{"filePath":"p.jpeg","mimetype":"image/jpeg"},{"filePath":"../x"}],"listContent":[{"text":"two\nlines","isChecked":true}],"textContent":"first"}"#,
    );
    write("a.html", "<p>the same</p>");
    write("p.jpg", "a photo");
    write("a(1).json", &fs::read_to_string(space.path().join("a.json")).expect("written"));
    write("b.json", r#"{"createdTimestampUsec":1690864183842000,"title":"made in the same microsecond","textContent":""}"#);
    write("c.json", r#"{"createdTimestampUsec":"soon","title":"without a time"}"#);
    write("d.json", "{\n\"createdTimestampUsec\": 1,\n");
    write("Labels.txt", "label");
    let taken = take(space.path(), Some(Format::Keep)).expect("readable");
    let ids: Vec<&str> = taken.drafts.iter().map(|draft| draft.memory.source.as_ref().expect("a source").id.as_str()).collect();
    assert_eq!(ids, ["1690864183842000", "1690864183842000 2"], "the same note once more is none");
    let first = &taken.drafts[0];
    assert_eq!((first.memory.text.as_str(), first.files[0].path.as_str()), ("first\n\n- [x] two\n  lines", "p.jpg"));
    assert_eq!(first.memory.modified, first.memory.created);
    for said in ["no file name that can be used", "c.json: has no readable time", "d.json:3: is not JSON"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    let mut passed_over = taken.passed_over;
    passed_over.sort();
    assert_eq!(
        passed_over,
        ["Labels.txt (the list of labels)", "a.html (the same note once more, as HTML)", "a.json (the same note once more)"]
    );
}

#[test]
fn broken_notes_are_named() {
    let Some(path) = genuine("google-keep/bad") else { return };
    let taken = take(&path, Some(Format::Keep)).expect("readable");
    assert_eq!(taken.drafts.len(), 1, "a note without the time of its last edit is a note");
    assert!(taken.problems.iter().any(|problem| problem.contains("broken-json-note.json:8: is not JSON")), "{:?}", taken.problems);
}
