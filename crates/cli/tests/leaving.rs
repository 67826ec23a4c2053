//! The page that says how to leave, carried out: its commands, one after the other, with stock programs only.

use std::process::Command;

use crate::support::{Home, data, text};

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let Some(restic) = std::env::var("KEEPSAKE_RESTIC").ok() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_RESTIC is not set: run scripts/test");
        println!("no KEEPSAKE_RESTIC: the page that says how to leave was not carried out; scripts/test does it");
        return;
    };
    let home = Home::new();
    let photo = home.file("photo.txt");
    std::fs::write(&photo, "an original").expect("written");
    home.run(&["memory", "add", "--title", "Swallows", "--text", "They came back.", "--date", "2024-03-17", "--attach", text(&photo)])
        .ended(0);
    home.run(&["memory", "add", "--text", "Without a title."]).ended(0);
    if let Some(path) = data("dayone-export/export") {
        // Some of its photos are not in it.
        home.run(&["import", text(&path)]).ended(3);
    }
    home.run(&["backup"]).ended(0);
    home.run(&["export", "--out", text(&home.file("everything.zip"))]).ended(0);
    let location = home.json(&["repository", "show"]).ended(0).json();
    let password = home.run(&["key", "reveal", "--yes"]).ended(0).out;

    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/LEAVING.md")).expect("the page is there");
    let commands: Vec<&str> = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert_eq!(commands.len(), 5);
    let ran = Command::new("bash")
        .args(["-e", "-u", "-o", "pipefail", "-c", &commands.join("\n")])
        .current_dir(home.folder.path())
        .env("LOCATION", location["restic_location"].as_str().expect("a location"))
        .env("RESTIC_PASSWORD", password.trim())
        .env("RESTIC_CACHE_DIR", home.file("cache"))
        .env("PATH", path_with(&restic))
        .output()
        .expect("bash runs");
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));

    let memories = home.count();
    let diary = std::fs::read_to_string(home.file("diary.txt")).expect("the diary");
    assert!(diary.contains("2024-03-17\nSwallows\nThey came back.") && diary.contains("\n\nWithout a title.\n"), "{} bytes", diary.len());
    let ask = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*), (SELECT count(*) FROM attachment) > 0 FROM memory').fetchone())";
    let counted = Command::new("python3").args(["-c", ask, text(&home.file("memories.db"))]).output().expect("Python 3 runs");
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), format!("{memories} 1"));
    let originals = crate::support::files(&home.file("originals"));
    assert!(originals.iter().any(|file| std::fs::read(file).is_ok_and(|bytes| bytes == b"an original")), "{originals:?}");
}

/// A folder in which the first of the given programs is called restic, before the others.
fn path_with(restic: &str) -> String {
    let first = restic.split(':').next().unwrap_or_default();
    let found = Command::new("bash").args(["-c", &format!("command -v {first}")]).output().expect("bash runs");
    let program = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let folder = std::path::Path::new(&program).parent().expect("it stands in a folder").display().to_string();
    format!("{folder}:{}", std::env::var("PATH").unwrap_or_default())
}
