//! Several exports at once, as people make them.

use std::fs;

use serde_json::Value;

use crate::support::{Home, text};

fn names(home: &Home, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(home.file(folder)).expect("the folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn several_formats_of_every_owner() {
    let home = Home::new();
    for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
        home.run(&["memory", "add", "--text", text, "--date", &format!("2024-03-0{}", number + 1), "--tag", "sea"]).ended(0);
    }
    fs::create_dir(home.file("out")).expect("made");
    let out = home.file("out/memories.zip");
    let formats = ["export", "--format", "json,csv,html,epub", "--out", text(&out)];
    let made = home.json(&formats).ended(0).json();
    let exports = made["exports"].as_array().expect("a list");
    assert_eq!(exports.len(), 4);
    let seqs: Vec<&Value> = exports.iter().map(|one| &one["export"]["seq"]).collect();
    assert!(seqs.iter().all(|seq| *seq == seqs[0] && seq.is_u64()), "all show one state: {made}");
    let four = ["memories-csv.zip", "memories-html.zip", "memories-json.zip", "memories.epub", "memories.epub.manifest.json"];
    assert_eq!(names(&home, "out"), four);
    // Each is what it is alone.
    fs::create_dir(home.file("alone")).expect("made");
    let alone = home.file("alone/memories-json.zip");
    home.run(&["export", "--out", text(&alone)]).ended(0);
    let other = Home::new();
    other.run(&["import", text(&home.file("out/memories-json.zip"))]).ended(0);
    assert_eq!(other.count(), 3);
    assert!(fs::read(&alone).expect("read") == fs::read(home.file("out/memories-json.zip")).expect("read"));
    // One that cannot be made does not keep the others from it.
    fs::remove_file(home.file("out/memories-csv.zip")).expect("removed");
    let again = home.json(&formats).ended(4).json();
    let codes: Vec<_> = again["exports"].as_array().expect("a list").iter().map(|one| one["exit_code"].as_u64()).collect();
    assert_eq!((codes, names(&home, "out").len()), (vec![Some(4), Some(0), Some(4), Some(4)], 5), "{again}");
    assert!(home.run(&["export", "--format", "json,json", "--out", text(&out)]).ended(2).err.contains("twice"));

    home.run(&["owner", "add", "Bob Ä."]).ended(0);
    home.run(&["memory", "add", "--owner", "Bob Ä.", "--text", "mine"]).ended(0);
    fs::create_dir(home.file("all")).expect("made");
    let all = home.file("all/x.zip");
    let planned = home.run(&["export", "--every-owner", "--format", "json,xml", "--dry-run", "--out", text(&all)]).ended(0).out;
    assert!(planned.contains("bob-ä-xml.zip would hold 1 memory") && names(&home, "all").is_empty(), "{planned}");
    home.run(&["export", "--every-owner", "--format", "json,xml", "--out", text(&all)]).ended(0);
    let made = names(&home, "all");
    assert_eq!(made.len(), 4);
    assert!(made.contains(&"x-bob-ä-json.zip".to_owned()), "{made:?}");
    // A filter that one of several needs is told by all.
    let chosen = home.file("all/y.zip");
    let failed = ["export", "--owner", "Bob Ä.", "--format", "json,xml", "--filter", "tag:sea", "--out", text(&chosen)];
    assert!(home.run(&failed).ended(2).err.contains("tag"));
}
