//! Journey: entries as programs that read its exports show them, and odd ones. There is no genuine export to compare with.

use std::{fs, path::Path};

use keepsake_formats::import::{Draft, Format};
use serde_json::{Value, json};

use crate::taken::{Taken, take};

const NONE: f64 = f64::MAX;

/// An entry with all that Journey writes, some of it changed.
fn entry(id: &str, more: Value) -> Value {
    let mut entry = json!({
        "id": id, "date_modified": 1_625_494_100_149_i64, "date_journal": 1_625_133_600_000_i64, "timezone": "Europe/Vienna",
        "text": "<p dir=\"auto\">First</p>\n<p dir=\"auto\"><strong>bold </strong><em>italic</em></p>", "preview_text": "<p dir=\"auto\">First</p>",
        "mood": 0, "lat": NONE, "lon": NONE, "address": "", "label": "", "folder": "", "sentiment": 0, "favourite": false, "music_title": "",
        "music_artist": "", "photos": [], "weather": { "id": -1, "degree_c": NONE, "description": "", "icon": "", "place": "" },
        "tags": [], "type": "html",
    });
    entry.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
    entry
}

fn write(space: &Path, name: &str, value: &Value) {
    fs::write(space.join(name), value.to_string()).expect("written");
}

fn of<'a>(taken: &'a Taken, id: &str) -> &'a Draft {
    taken.drafts.iter().find(|draft| draft.memory.source.as_ref().is_some_and(|source| source.id == id)).expect(id)
}

#[test]
fn entries_are_kept_whole() {
    let space = tempfile::tempdir().expect("space");
    let id = "1625494049547-4BbDhzcByTFSg6MW";
    write(space.path(), &format!("{id}.json"), &entry(id, json!({})));
    let rich = "1712489583295-3fb4d8ef8913a0f0";
    let more = json!({
        "text": format!("A *plain* entry ![]({rich}-3fb3ce8eb1dcb1a9.jpg)"), "preview_text": "A *plain* entry…", "type": "markdown", "lat": -13.5979289, "lon": -71.7734958,
        "address": "C62G+R5, Oropesa 08205, Peru", "favourite": true, "tags": ["travel", "日記", 7], "mood": 4, "sentiment": 1.25,
        "activity": 3, "label": "l", "folder": "f", "music_title": "Song", "timezone": "America/Lima",
        "weather": { "id": 800, "degree_c": 12.5, "description": "Clear", "icon": "01d", "place": "Oropesa" },
        "photos": [format!("{rich}-3fb3ce8eb1dcb1a9.jpg"), format!("{rich}-gone.mp4")],
    });
    write(space.path(), &format!("{rich}.json"), &entry(rich, more));
    fs::write(space.path().join(format!("{rich}-3fb3ce8eb1dcb1a9.jpg")), "a photo").expect("written");
    fs::write(space.path().join(format!("{rich}-unlisted.m4a")), "a recording").expect("written");
    fs::write(space.path().join("stray.jpg"), "nobody's").expect("written");
    let taken = take(space.path(), None).expect("it is found out what it is");
    assert_eq!(taken.drafts.len(), 2);
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));

    let plain = &of(&taken, id).memory;
    assert_eq!((plain.text.as_str(), plain.custom.len(), plain.position), ("First\n\n**bold** *italic*", 0, None), "{:?}", plain.custom);
    assert_eq!(plain.when.day.expect("a day").to_string(), "2021-07-01", "noon in Vienna");
    assert_eq!((plain.created.to_string(), plain.modified.to_string()), ("2021-07-01T10:00:00Z".into(), "2021-07-05T14:08:20.149Z".into()));
    assert_eq!(plain.when.zone.as_ref().expect("a zone").as_str(), "Europe/Vienna");

    let draft = of(&taken, rich);
    let memory = &draft.memory;
    assert_eq!(memory.text, format!("A *plain* entry ![](keepsake:attachment/{rich}-3fb3ce8eb1dcb1a9)"));
    assert!(memory.starred);
    assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["travel", "日記"]);
    assert_eq!((memory.position.expect("a position").latitude, memory.position.expect("a position").longitude), (-13.5979289, -71.7734958));
    assert_eq!(draft.place.as_ref().expect("a place").name, "C62G+R5, Oropesa 08205, Peru");
    for (field, said) in [
        ("mood", json!(4)),
        ("sentiment", json!(1.25)),
        ("activity", json!(3)),
        ("label", json!("l")),
        ("folder", json!("f")),
        ("music_title", json!("Song")),
        ("tags", json!([7])),
        ("type", json!("markdown")),
        ("weather", json!({ "id": 800, "degree_c": 12.5, "description": "Clear", "icon": "01d", "place": "Oropesa" })),
    ] {
        assert_eq!(memory.custom.get(field), Some(&said), "{field}");
    }
    assert_eq!(memory.custom.len(), 9, "{:?}", memory.custom);
    let names: Vec<&str> = memory.attachments.iter().map(|attachment| attachment.name.rsplit('-').next().expect("a name")).collect();
    assert_eq!(names, ["3fb3ce8eb1dcb1a9.jpg", "gone.mp4", "unlisted.m4a"]);
    assert_eq!((draft.files.len(), memory.attachments[1].expected.is_some()), (2, true));
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("gone.mp4 is not in the export"), "{:?}", taken.problems);
    assert_eq!(taken.passed_over, ["stray.jpg (no entry names it)"]);

    let again = take(space.path(), None).expect("readable");
    assert_eq!(again.drafts, taken.drafts, "the same import twice is the same");
}

#[test]
fn odd_entries_are_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let put = |name: &str, value: Value| write(space.path(), name, &value);
    put("a.json", entry("a", json!({ "date_journal": "soon", "date_modified": null, "lat": "north", "lon": 7, "weather": "wet" })));
    put(
        "b.json",
        json!({ "date_journal": 1_625_133_600_000_i64, "text": ["no", "text"], "photos": [1, "../../etc/passwd", "", "x.jpg", "x.jpg"] }),
    );
    put("c.json", entry("", json!({ "lat": 0.0, "lon": 0, "timezone": "nowhere in particular", "tags": "one" })));
    put(
        "d.json",
        entry(
            "d",
            json!({ "dateOfJournal": "2023-04-05T06:07:08Z", "date_journal": null, "date_modified": null, "updatedAt": "2023-04-06T00:00:00Z" }),
        ),
    );
    put("e.json", entry("d", json!({ "text": "another of the same id", "type": "" })));
    fs::copy(space.path().join("e.json"), space.path().join("f.json")).expect("copied");
    fs::write(space.path().join("g.json"), "{\n\"date_journal\": 1,\n").expect("written");
    put("h.json", json!(["date_journal"]));
    put("i.json", entry("i", json!({ "text": "<p>".repeat(9000) + "deep" })));
    put("j.json", entry("j", json!({ "date_journal": 9e99 })));
    let taken = take(space.path(), Some(Format::Journey)).expect("readable");
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let ids: Vec<&str> = taken.drafts.iter().map(|draft| draft.memory.source.as_ref().expect("a source").id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "d 2", "i", "j"]);
    let a = &of(&taken, "a").memory;
    assert!(a.when.instant.is_none() && a.custom["date_journal"] == "soon" && a.custom["weather"] == "wet" && a.custom["lat"] == "north");
    let b = of(&taken, "b");
    assert_eq!((b.memory.custom["text"].clone(), b.memory.custom["photos"].clone()), (json!(["no", "text"]), json!([1, ""])));
    assert_eq!(b.memory.attachments.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["passwd", "x.jpg"]);
    assert!(b.files.is_empty(), "nothing outside of the export is looked for");
    let c = &of(&taken, "c").memory;
    assert_eq!((c.position, c.custom["tags"].clone(), c.custom["timezone"].clone()), (None, json!("one"), json!("nowhere in particular")));
    let d = &of(&taken, "d").memory;
    assert_eq!((d.created.to_string(), d.modified.to_string()), ("2023-04-05T06:07:08Z".into(), "2023-04-06T00:00:00Z".into()));
    assert!(of(&taken, "i").memory.text.trim() == "deep");
    for said in [
        "no readable `date_journal`",
        "no file name that can be used",
        "g.json:3: is not JSON",
        "nested too deep",
        "passwd is not in the export",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    let mut passed_over = taken.passed_over;
    passed_over.sort();
    assert_eq!(passed_over, ["f.json (the same entry once more)", "h.json (no entry names it)"]);
}

#[test]
fn an_entry_with_too_many_files_is_kept() {
    let space = tempfile::tempdir().expect("space");
    let names: Vec<String> = (0..1001).map(|number| format!("{number}.jpg")).collect();
    write(space.path(), "a.json", &entry("a", json!({ "photos": names })));
    fs::write(space.path().join("1000.jpg"), "beyond").expect("written");
    let taken = take(space.path(), Some(Format::Journey)).expect("readable");
    let memory = &of(&taken, "a").memory;
    memory.validate().expect("valid");
    assert_eq!(memory.attachments.len(), 1000);
    assert!(taken.problems.iter().any(|problem| problem.contains("1000.jpg is beyond them")) && taken.passed_over.is_empty());
}
