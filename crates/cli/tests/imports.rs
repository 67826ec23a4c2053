//! Real exports of other programs come in whole, say what is not as it should be, and change nothing the second time.

use std::collections::BTreeSet;

use crate::support::{Home, check_pdf, data, files, text};

fn digests(paths: &[std::path::PathBuf]) -> BTreeSet<String> {
    paths.iter().map(|p| keepsake_record::Sha256Digest::of(&std::fs::read(p).expect("readable")).to_string()).collect()
}

/// Imports twice: the first time as told, the second time nothing changes and the code is the same.
fn twice(home: &Home, args: &[&str], code: i32, new: u64) -> serde_json::Value {
    let first = home.json(args).ended(code).json();
    assert_eq!(first["report"]["new"], new, "{first}");
    let again = home.json(args).ended(code).json();
    assert_eq!(
        (&again["report"]["new"], &again["report"]["changed"], &again["report"]["same"]),
        (&0.into(), &0.into(), &new.into()),
        "{again}"
    );
    assert!(home.run(args).ended(code).out.contains("Nothing new."));
    assert_eq!(home.count() as u64, new);
    first
}

#[test]
fn pepys_diary() {
    let Some(path) = data("pepys-diary/entries.jsonl") else { return };
    let home = Home::new();
    twice(&home, &["import", text(&path), "--format", "ndjson", "--map", "id=id,date=date_iso,text=text"], 0, 3415);
    let listed = home.json(&["memory", "list"]).ended(0).out;
    let days: Vec<String> = listed
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["when"]["day"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(days.iter().filter(|d| d.is_empty()).count(), 2, "two have no date");
    let mut twins = days.clone();
    twins.retain(|d| !d.is_empty());
    let unique: BTreeSet<&String> = twins.iter().collect();
    assert_eq!(twins.len() - unique.len(), 3, "three days have two entries");
    assert!(home.run(&["memory", "search", "--limit", "1000", "great", "fire"]).ended(0).out.contains("1666-09-"));
    let (out, no_fonts) = (home.file("pepys.pdf"), home.path());
    let args = ["export", "--format", "pdf", "--out", text(&out), "--with-data", "--fonts", text(&no_fonts)];
    let book = home.json(&args).ended(0).json();
    let volumes = book["volumes"].as_array().expect("volumes");
    let sum = |what: &str| volumes.iter().map(|volume| volume[what].as_u64().expect("a number")).sum::<u64>();
    assert_eq!((volumes.len(), sum("memories"), book["replaced"]["U+2E3B"].as_u64()), (7, 3415, Some(29)));
    assert!(sum("pages") > 2_000, "{volumes:?}");
    // The whole of it takes veraPDF a minute: the last volume, which has the undated, too.
    let last = home.file("pepys-7.pdf");
    check_pdf(&last);
    let attached = std::fs::read(&last).expect("read");
    assert!(attached.windows(14).any(|bytes| bytes == b"/EmbeddedFiles"), "the memories are in it as data, too");
}

#[test]
fn day_one() {
    let Some(path) = data("dayone-export/export") else { return };
    let home = Home::new();
    let report = twice(&home, &["import", text(&path)], 3, 54);
    assert_eq!(report["report"]["problems"].as_array().expect("problems").len(), 109, "each missing file is named once");
    assert_eq!(report["report"]["media"], 14);
    let listed = home.json(&["memory", "list"]).ended(0).out;
    assert!(listed.contains("](keepsake:attachment/") && !listed.contains("dayone-moment:"), "photos stand where they stood");

    // A file that arrives later is attached, and the memory stays the same one.
    let copy = home.file("export");
    std::fs::create_dir_all(copy.join("photos")).expect("folder");
    for file in files(&path) {
        std::fs::copy(&file, copy.join(file.strip_prefix(&path).expect("below"))).expect("copy");
    }
    std::fs::write(copy.join("photos/06d006fba3b0b8ad72576e77a6fc6c0c.jpeg"), b"arrived").expect("write");
    let later = home.json(&["import", text(&copy)]).ended(3).json();
    assert_eq!((&later["report"]["new"], &later["report"]["changed"]), (&0.into(), &1.into()), "{later}");
    assert_eq!(home.count(), 54);
}

#[test]
fn photos_are_kept_byte_for_byte() {
    let Some(path) = data("photos-exif-samples") else { return };
    let home = Home::new();
    let report = twice(&home, &["import", text(&path)], 3, 80);
    let originals: Vec<_> = files(&path).into_iter().filter(|p| p.file_name().is_some_and(|n| n != "SOURCE.md")).collect();
    assert_eq!(originals.len(), 80);
    assert_eq!(digests(&files(&home.path().join("media"))), digests(&originals));
    assert!(report["report"]["problems"].as_array().is_some_and(|p| !p.is_empty()), "what cannot be read is named");
    let listed = home.json(&["memory", "list"]).ended(0).out;
    let count = |field: &str| {
        listed.lines().filter(|l| serde_json::from_str::<serde_json::Value>(l).is_ok_and(|v| !v["attachments"][0][field].is_null())).count()
    };
    assert!(
        count("captured") >= 48 && count("camera") >= 42 && count("position") >= 12,
        "{} {} {}",
        count("captured"),
        count("camera"),
        count("position")
    );
}

#[test]
fn photos_and_sounds_of_every_sort() {
    for (name, memories, code) in [("photos-permissive", 27, 3), ("audio-video", 12, 0)] {
        let Some(path) = data(name) else { return };
        let home = Home::new();
        let _ = twice(&home, &["import", text(&path)], code, memories);
        let originals: Vec<_> = files(&path).into_iter().filter(|p| p.file_name().is_some_and(|n| n != "SOURCE.md")).collect();
        assert_eq!(digests(&files(&home.path().join("media"))), digests(&originals), "{name}: nothing is left behind");
    }
}

/// The sidecars are genuine and in one folder, the photos in another: a Takeout comes in several archives.
#[test]
fn a_takeout_in_two_places() {
    let (Some(sidecars), Some(photos)) = (data("google-takeout-photos/Takeout"), data("photos-exif-samples")) else { return };
    let home = Home::new();
    let other = home.file("Takeout");
    for (place, photo) in [
        ("Adelaide/IMG_4547.jpg", "gps/DSCN0010.jpg"),
        ("supplemental-naming/IMG_4547.jpg", "gps/DSCN0010.jpg"),
        ("Photos from 2016/IMG_3984.jpeg", "cameras/Canon_40D.jpg"),
        ("Photos from 2019/wedding.jpg", "cameras/Nikon_D70.jpg"),
        ("Photos from 2021/IMG_4179.jpeg", "mobile/jolla.jpg"),
        ("Photos from 2021/IMG_4179(1).jpeg", "orientation/landscape_6.jpg"),
    ] {
        let place = other.join("Google Photos").join(place);
        std::fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
        std::fs::copy(photos.join(photo), place).expect("copied");
    }
    let report = twice(&home, &["import", text(&sidecars), text(&other)], 3, 5);
    let problems = report["report"]["problems"].as_array().expect("problems");
    assert!(problems.len() == 1 && problems[0][0].as_str().is_some_and(|file| file.contains("Jellyfish.mov.json")), "{problems:?}");
    let listed = home.run(&["collection", "list"]).ended(0).out;
    assert!(listed.contains("Adelaide") && !listed.contains("Photos from"), "{listed}");
    assert!(home.run(&["memory", "search", "Bride"]).ended(0).out.contains("2019-04-15"), "its description is found, at its day");
    let said = home.run(&["import", text(&photos), text(&other), "--format", "media"]).ended(2).err;
    assert!(said.contains("archives of a Google Takeout"), "{said}");
}

#[test]
fn obsidian_vault() {
    let Some(path) = data("obsidian-vault") else { return };
    let home = Home::new();
    let report = twice(&home, &["import", text(&path)], 3, 103);
    assert!(report["report"]["passed_over"].as_object().is_some_and(|p| p.len() == 3), "the other files are told of: {report}");
    let listed = home.json(&["memory", "list"]).ended(0).out;
    assert!(listed.contains("music/genres"), "front matter is read");
}

#[test]
fn a_changed_note_is_a_new_version_unless_it_was_edited_here() {
    let home = Home::new();
    let notes = home.file("notes");
    std::fs::create_dir(&notes).expect("folder");
    std::fs::write(notes.join("a.md"), "---\ntitle: A\ntags: [x]\n---\nfirst").expect("write");
    std::fs::write(notes.join("b.md"), "+++\ntitle = \"B\"\ndate = \"2024-01-02\"\n+++\nfirst").expect("write");
    let args = ["import", text(&notes)];
    home.json(&args).ended(0);
    std::fs::write(notes.join("a.md"), "---\ntitle: A\n---\nsecond").expect("write");
    let changed = home.json(&args).ended(0).json();
    assert_eq!((&changed["report"]["changed"], &changed["report"]["same"]), (&1.into(), &1.into()));
    assert_eq!(home.count(), 2);

    let list = home.json(&["memory", "list"]).ended(0).out;
    let a: serde_json::Value =
        list.lines().map(|l| serde_json::from_str(l).expect("JSON")).find(|v: &serde_json::Value| v["title"] == "A").expect("there");
    home.run(&["memory", "edit", a["id"].as_str().expect("id"), "--text", "my own words"]).ended(0);
    std::fs::write(notes.join("a.md"), "third").expect("write");
    let kept = home.json(&args).ended(3).json();
    assert_eq!(kept["report"]["kept"], 1, "{kept}");
    assert!(home.json(&["memory", "list"]).ended(0).out.contains("my own words"));
    home.json(&["import", text(&notes), "--replace-edited"]).ended(0);
    assert!(!home.json(&["memory", "list"]).ended(0).out.contains("my own words"));
}

#[test]
fn tables_with_a_map() {
    let home = Home::new();
    let table = home.file("diary.csv");
    std::fs::write(&table, "Nr,Day,Words,Mood\n1,2024-01-01,\"quoted, with comma\nand line\",good\n2,1978-06~,short,\n").expect("write");
    let _ = twice(&home, &["import", text(&table), "--map", "id=Nr,date=Day,text=Words"], 0, 2);
    let listed = home.json(&["memory", "list"]).ended(0).out;
    assert!(listed.contains("1978-06~") && listed.contains("\"Mood\":\"good\""), "{listed}");
    let error = home.run(&["import", text(&table), "--map", "id=Number"]).ended(1).err;
    assert!(error.contains("has no column `Number`; it has Nr, Day, Words, Mood"), "{error}");
}
