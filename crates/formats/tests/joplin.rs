//! Joplin: exports made after its own code (no genuine one was at hand), field by field, and odd ones.

use std::{fs, path::Path};

use keepsake_formats::import::{Format, Input};

use crate::taken::{Taken, take};

/// An id that ends in a number.
fn id(number: u32) -> String {
    format!("{number:032x}")
}

/// An item as Joplin writes it: title, text and fields, with an empty line between.
fn item(title: &str, body: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
    [title, body, &fields].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn note(number: u32, title: &str, body: &str, more: &[(&str, &str)]) -> (String, String) {
    let id = id(number);
    let mut fields = vec![
        ("id", id.as_str()),
        ("created_time", "2023-05-06T07:08:09.123Z"),
        ("updated_time", "2023-05-07T00:00:00.000Z"),
        ("is_conflict", "0"),
        ("latitude", "0.00000000"),
        ("longitude", "0.00000000"),
        ("altitude", "0.0000"),
        ("author", ""),
        ("is_todo", "0"),
        ("todo_due", "0"),
        ("markup_language", "1"),
        ("encryption_cipher_text", ""),
        ("encryption_applied", "0"),
        ("deleted_time", "0"),
        ("type_", "1"),
    ];
    fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    fields.extend(more);
    (format!("{id}.md"), item(title, body, &fields))
}

/// An export with two notebooks, one in the other; a tag; and a file.
fn everything() -> Vec<(String, String)> {
    let (outer, inner, tag, file) = (id(0x10), id(0x11), id(0x20), id(0x30));
    let body = format!(
        "![the pier](:/{file}) and [again](:/{file} \"title\"), <img src=\":/{file}\" alt=\"small\" width=\"300\"/>, [a note](:/{}) https:/{}",
        id(2),
        id(0x30)
    );
    let mut files = vec![
        note(
            1,
            "On the pier",
            &body,
            &[
                ("parent_id", &inner),
                ("latitude", "38.71000000"),
                ("longitude", "-9.14000000"),
                ("altitude", "12.5000"),
                ("user_created_time", "2020-01-02T03:04:05.000Z"),
                ("user_updated_time", "2023-05-07T00:00:00.000Z"),
                ("author", "Ada"),
                ("source_url", "https://example.org/a:b"),
                ("order", "1700000000000"),
            ],
        ),
        note(
            2,
            "Buy bread",
            "",
            &[("is_todo", "1"), ("todo_due", "1700000000000"), ("todo_completed", "1690000000000"), ("parent_id", &outer)],
        ),
        note(
            3,
            "A page",
            &format!("<p>see <b>this</b> <img src=\":/{file}\"></p><div><input type=\"checkbox\" checked>done</div>"),
            &[("markup_language", "2")],
        ),
        note(4, "Twice", "changed in two places", &[("is_conflict", "1"), ("conflict_original_id", &id(1))]),
        note(5, "Thrown away", "", &[("deleted_time", "1700000000000")]),
        note(6, "", "", &[("encryption_applied", "1"), ("encryption_cipher_text", "JED0100002200")]),
        note(7, "No date\\n here", "text: not a field\n\nlast", &[("created_time", ""), ("updated_time", "soon"), ("latitude", "far")]),
        (format!("{}.md", id(8)), "a note\n\nof somebody else".into()),
        ("README.md".into(), "not an item".into()),
        (format!("resources/{file}.png"), "a picture".into()),
        (format!("resources/{}.md", id(0x31)), "a file that no note names".into()),
    ];
    files.extend(
        [
            (outer.clone(), item("Trips", "", &[("id", &outer), ("parent_id", ""), ("type_", "2")])),
            (inner.clone(), item("Lisbon", "", &[("id", &inner), ("parent_id", &outer), ("icon", "{}"), ("type_", "2")])),
            (tag.clone(), item("sea", "", &[("id", &tag), ("type_", "5")])),
            (id(0x21), item("", "", &[("id", &id(0x21)), ("note_id", &id(1)), ("tag_id", &tag), ("type_", "6")])),
            (
                file.clone(),
                item(
                    "pier: a/b.png",
                    "",
                    &[
                        ("id", &file),
                        ("mime", "image/png"),
                        ("file_extension", "png"),
                        ("ocr_text", "two\\nlines"),
                        ("size", "9"),
                        ("type_", "4"),
                    ],
                ),
            ),
            (id(0x40), item("", "", &[("id", &id(0x40)), ("body_diff", "[]"), ("type_", "13")])),
        ]
        .map(|(id, text)| (format!("{id}.md"), text)),
    );
    files
}

fn folder(path: &Path, files: &[(String, String)]) {
    for (name, text) in files {
        let path = path.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, text).expect("written");
    }
}

fn archive(path: &Path, files: &[(String, String)]) {
    let mut tar = tar::Builder::new(fs::File::create(path).expect("create"));
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).expect("entry");
    }
    tar.finish().expect("finished");
}

fn check(taken: &Taken, input: &Input) {
    let of = |number: u32| {
        taken.drafts.iter().find(|draft| draft.memory.source.as_ref().is_some_and(|source| source.id == id(number))).expect("a note")
    };
    assert!(taken.drafts.len() == 5 && taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let (first, file) = (of(1), id(0x30));
    let memory = &first.memory;
    assert_eq!(
        (memory.title.as_deref(), first.collections[0].name.as_str(), first.collections[0].kind),
        (Some("On the pier"), "Trips/Lisbon", "notebook")
    );
    assert_eq!(
        (memory.created.to_string().as_str(), memory.modified.to_string().as_str()),
        ("2020-01-02T03:04:05Z", "2023-05-07T00:00:00Z")
    );
    assert_eq!(memory.when.day.map(|day| day.to_string()).as_deref(), Some("2020-01-02"));
    let position = memory.position.expect("a position");
    assert_eq!((position.latitude, position.longitude, position.altitude), (38.71, -9.14, Some(12.5)));
    assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["sea"]);
    let link = format!("keepsake:attachment/{file}");
    let text = format!("![the pier]({link}) and [again]({link} \"title\"), ![small]({link}), [a note](:/{}) https:/{file}", id(2));
    assert_eq!(memory.text, text);
    let mut custom: Vec<(&str, &str)> = memory.custom.iter().filter_map(|(field, value)| Some((field.as_str(), value.as_str()?))).collect();
    custom.sort_unstable();
    let wanted = [
        ("author", "Ada"),
        ("created_time", "2023-05-06T07:08:09.123Z"),
        ("order", "1700000000000"),
        ("source_url", "https://example.org/a:b"),
    ];
    assert_eq!(custom, wanted);
    let [attachment] = &memory.attachments[..] else { panic!("{:?}", memory.attachments) };
    assert_eq!(
        (attachment.key.as_str(), attachment.name.as_str(), attachment.media_type.as_str()),
        (file.as_str(), "pier: a-b.png", "image/png")
    );
    assert_eq!(
        (&attachment.custom["ocr_text"], attachment.custom["img"].as_str().is_some_and(|tag| tag.contains("width=\"300\""))),
        (&"two\nlines".into(), true)
    );
    assert_eq!(input.whole(&first.files[0].path).expect("read"), b"a picture");
    let bread = &of(2).memory;
    assert_eq!(
        (&bread.custom["is_todo"], &bread.custom["todo_completed"], &bread.custom["todo_due"]),
        (&"1".into(), &"1690000000000".into(), &"1700000000000".into())
    );
    assert!(bread.position.is_none() && bread.text.is_empty() && of(2).collections[0].name == "Trips");
    assert_eq!(of(3).memory.text, format!("see **this** ![]({link})\n\n- [x] done"));
    assert!(!of(3).memory.custom.contains_key("markup_language"));
    assert_eq!((&of(4).memory.custom["is_conflict"], of(4).collections.len()), (&"1".into(), 0));
    let undated = &of(7).memory;
    assert_eq!((undated.text.as_str(), undated.when.day, &undated.custom["latitude"]), ("text: not a field\n\nlast", None, &"far".into()));
    for said in [
        "is a copy that Joplin made",
        "is encrypted and was left out",
        "has no readable time",
        "does not end with the fields",
        "README.md: is no item of Joplin",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    assert_eq!(taken.problems.len(), 5, "{:?}", taken.problems);
    let passed_over = |said: &str| taken.passed_over.iter().filter(|path| path.contains(said)).count();
    let counts =
        ["in Joplin's trash", "a notebook, whose", "a tag, which", "which note has which tag", "an older version", "no note names it"]
            .map(passed_over);
    assert_eq!(counts, [1, 2, 1, 1, 1, 1], "{:?}", taken.passed_over);
}

#[test]
fn an_export_is_kept_whole_as_archive_and_as_folder() {
    let space = tempfile::tempdir().expect("space");
    let (raw, jex) = (space.path().join("raw"), space.path().join("export.jex"));
    folder(&raw, &everything());
    archive(&jex, &everything());
    let mut sources = Vec::new();
    for path in [&raw, &jex] {
        let taken = take(path, None).expect("it is found out what it is");
        check(&taken, &Input::open(path).expect("open"));
        sources.push(taken.drafts.iter().map(|draft| draft.memory.source.clone()).collect::<Vec<_>>());
    }
    assert_eq!(sources[0], sources[1]);
}

#[test]
fn what_is_said_of_a_note_elsewhere_is_a_change_of_it() {
    let space = tempfile::tempdir().expect("space");
    let digests = |files: &[(String, String)]| {
        let path = space.path().join("a.jex");
        archive(&path, files);
        let taken = take(&path, None).expect("readable");
        taken.drafts.iter().map(|draft| draft.memory.source.as_ref().and_then(|source| source.digest)).collect::<Vec<_>>()
    };
    let before = digests(&everything());
    for (from, to) in [("sea", "ocean"), ("Lisbon", "Porto"), ("a/b.png", "c.png")] {
        let after = digests(&everything().into_iter().map(|(name, text)| (name, text.replace(from, to))).collect::<Vec<_>>());
        assert!(before[0] != after[0] && before[1] == after[1], "{from}");
    }
}

#[test]
fn odd_items_do_no_harm() {
    let space = tempfile::tempdir().expect("space");
    let (a, b, file) = (id(0x10), id(0x11), id(0x30));
    let circle =
        |one: &str, other: &str| (format!("{one}.md"), item("in a circle", "", &[("id", one), ("parent_id", other), ("type_", "2")]));
    folder(
        space.path(),
        &[
            circle(&a, &b),
            circle(&b, &a),
            note(1, &"t".repeat(2000), &format!("[x](:/{file}) <img src=\":/{file}\" <img :/{file} é:/{file}"), &[("parent_id", &a)]),
            note(2, "", "only a text", &[("parent_id", &id(0x99))]),
            (format!("{file}.md"), item("", "", &[("id", &file), ("mime", "nonsense"), ("file_extension", "../x"), ("type_", "4")])),
            (format!("{}.md", id(9)), item("", "", &[("type_", "-1")])),
        ],
    );
    let taken = take(space.path(), Some(Format::Joplin)).expect("readable");
    assert!(taken.drafts.len() == 2 && taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()), "{:?}", taken.problems);
    assert_eq!((taken.drafts[0].memory.attachments.len(), taken.drafts[0].files.len()), (1, 0));
    assert_eq!(taken.drafts[1].memory.custom["parent_id"], id(0x99));
    assert!(taken.problems.iter().any(|problem| problem.contains("is not in the export, or is encrypted")), "{:?}", taken.problems);
}
