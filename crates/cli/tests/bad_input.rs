//! Bad input and bad luck: a clear sentence, the right code, nothing lost.

use std::{os::unix::fs::PermissionsExt, process::Stdio, time::Duration};

use crate::support::{Home, command, data, files, text};

#[test]
fn input_that_cannot_be_read_is_named_with_file_and_line() {
    let home = Home::new();
    let error = |args: &[&str], code: i32| home.run(args).ended(code).err;
    assert!(error(&["import", text(&home.file("nowhere"))], 1).contains("nowhere"));
    let truncated = home.file("diary.ndjson");
    std::fs::write(&truncated, "{\"id\": 1, \"text\": \"good\"}\n{\"id\": 2, \"te").expect("write");
    let said = error(&["import", text(&truncated)], 3);
    assert!(said.contains("diary.ndjson:2: the line is not JSON and was left out"), "{said}");
    assert_eq!(home.count(), 1, "the good line is in");
    for (name, code, words) in [("dayone-export/not-json", 1, "Journal.json:"), ("dayone-export/not-valid-according-to-schema", 0, "")] {
        let Some(path) = data(name) else { return };
        let ran = home.run(&["import", text(&path)]).ended(code);
        assert!(ran.err.contains(words), "{}", ran.err);
    }
}

#[test]
fn homes_keys_and_repositories_that_are_not_there() {
    let none = Home::none();
    assert!(none.run(&["memory", "list"]).ended(2).err.contains("make one with `keepsake init`"));
    let home = Home::new();
    home.run(&["snapshot", "list"]).ended(10);
    home.run(&["verify"]).ended(10);
    home.run(&["memory", "show", "ffffffff"]).ended(2);
    home.run(&["memory", "add", "--text", "x", "--date", "next week"]).ended(2);
    home.run(&["init"]).ended(4);
    home.run(&["no-such-verb"]).ended(2);
    std::fs::set_permissions(home.path().join("instance.key"), std::fs::Permissions::from_mode(0o644)).expect("mode");
    assert!(home.run(&["memory", "list"]).ended(4).err.contains("chmod 600"));
    std::fs::remove_file(home.path().join("instance.key")).expect("remove");
    assert!(home.run(&["memory", "list"]).ended(5).err.contains("instance.key is missing"));
}

fn damaged() -> (Home, std::path::PathBuf) {
    let home = Home::new();
    for i in 0..20 {
        home.run(&["memory", "add", "--text", &format!("memory {i} {}", "words ".repeat(50)), "--date", &format!("2024-03-{:02}", i + 1)])
            .ended(0);
    }
    home.run(&["backup"]).ended(0);
    let packs = files(&home.path().join("backups/owners")).into_iter().filter(|p| text(p).contains("/data/"));
    let largest = packs.max_by_key(|p| std::fs::metadata(p).expect("metadata").len()).expect("a pack");
    (home, largest)
}

#[test]
fn a_flipped_byte_is_found_named_never_restored_and_healed_by_the_next_backup() {
    let (home, pack) = damaged();
    let mut bytes = std::fs::read(&pack).expect("read");
    bytes[200] ^= 1;
    std::fs::set_permissions(&pack, std::fs::Permissions::from_mode(0o600)).expect("mode");
    std::fs::write(&pack, bytes).expect("write");
    let report = home.json(&["verify", "--read-data"]).ended(5).json();
    let name = &text(&pack)[text(&pack).len() - 64..][..8];
    assert!(report["damage"].to_string().contains(name), "{report}");
    assert!(report["affected"].as_object().is_some_and(|a| a.keys().any(|p| p.starts_with("data/memories/2024/03/"))), "{report}");
    let ran = home.run(&["restore", "latest", "--to", text(&home.file("back")), "--yes"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    home.json(&["backup"]).ended(0);
    home.json(&["restore", "latest", "--to", text(&home.file("healed")), "--yes"]).ended(0);
    assert_eq!(home.json(&["backup"]).ended(0).json()["snapshot"], serde_json::Value::Null, "and then all is quiet again");
}

#[test]
fn a_missing_pack_is_damage_and_a_full_backup_fills_it_in() {
    let (home, pack) = damaged();
    std::fs::remove_file(&pack).expect("remove");
    home.json(&["verify"]).ended(5);
    home.json(&["restore", "latest", "--to", text(&home.file("back")), "--yes"]).ended(5);
    home.json(&["backup", "--kind", "full"]).ended(0);
    home.json(&["restore", "latest", "--to", text(&home.file("healed")), "--yes"]).ended(0);
}

#[test]
fn lost_originals_come_back_from_the_backup() {
    let home = Home::new();
    let photo = home.file("p.jpg");
    std::fs::write(&photo, "precious").expect("write");
    home.run(&["memory", "add", "--text", "x", "--attach", text(&photo)]).ended(0);
    home.run(&["backup"]).ended(0);
    let stored = files(&home.path().join("media")).remove(0);
    std::fs::remove_file(&stored).expect("remove");
    assert!(home.run(&["doctor"]).ended(3).err.contains("missing from the media store"));
    assert!(home.run(&["backup", "--kind", "full"]).ended(3).err.contains("the last backup's copy is kept"));
    home.json(&["restore", "latest", "--into-vault", "--yes"]).ended(0);
    assert_eq!(std::fs::read_to_string(&stored).expect("healed"), "precious");
    home.run(&["backup", "--kind", "full"]).ended(0);
}

/// A backup that is killed at any moment leaves what was there, and the next one goes on.
#[test]
fn killed_in_the_middle() {
    let Some(photos) = data("photos-exif-samples") else { return };
    let home = Home::new();
    home.run(&["memory", "add", "--text", "first"]).ended(0);
    home.run(&["backup"]).ended(0);
    home.run(&["import", text(&photos), "--quiet"]).ended(3);
    for wait in [5, 40, 90, 150] {
        let mut child =
            command(&home.path()).args(["backup", "--kind", "full"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("kill -9");
        child.wait().expect("ends");
    }
    // Lease and lock of the killed process are recognised as left behind.
    home.json(&["backup", "--kind", "full"]).ended(0);
    home.json(&["verify", "--read-data"]).ended(0);
    home.json(&["restore", "latest", "--to", text(&home.file("back")), "--yes"]).ended(0);
}

#[test]
fn ctrl_c_stops_and_leaves_everything_as_it_was() {
    let home = Home::new();
    let big = home.file("big.ndjson");
    let lines: String = (0..60_000).map(|i| format!("{{\"id\": {i}, \"text\": \"{}\"}}\n", "words ".repeat(60))).collect();
    std::fs::write(&big, lines).expect("write");
    let mut child =
        command(&home.path()).args(["import", text(&big)]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    std::thread::sleep(Duration::from_millis(700));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).expect("signal");
    let code = child.wait().expect("ends").code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
    home.json(&["import", text(&big)]).ended(0);
    assert_eq!(home.count(), 60_000, "the second run goes on where the first stopped");
}

#[test]
fn two_at_once() {
    let home = Home::new();
    let notes = home.file("notes.ndjson");
    std::fs::write(&notes, (0..3000).map(|i| format!("{{\"id\": {i}, \"text\": \"x\"}}\n")).collect::<String>()).expect("write");
    let run = || command(&home.path()).args(["import", text(&notes)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let codes: Vec<_> = [run(), run()].into_iter().map(|mut child| child.wait().expect("ends").code()).collect();
    assert!(codes.iter().all(|c| matches!(c, Some(0 | 11))) && codes.contains(&Some(0)), "{codes:?}");
    assert_eq!(home.count(), 3000, "nothing is there twice");
}

/// A damaged pack: verify says so, repair saves what can be read, the next backup adds the rest again, and all is well.
#[test]
fn a_damaged_repository_is_repaired_and_healed() {
    let home = Home::new();
    for number in 0..4 {
        let day = format!("2024-03-0{}", number + 1);
        home.run(&["memory", "add", "--text", &format!("memory {number}"), "--date", &day]).ended(0);
    }
    home.run(&["backup"]).ended(0);
    assert!(home.run(&["repair"]).ended(0).out.contains("nothing is damaged"));
    let packs = files(&home.path().join("backups/owners")).into_iter().filter(|file| text(file).contains("/data/"));
    let pack = packs.max_by_key(|file| std::fs::metadata(file).expect("metadata").len()).expect("a pack");
    let mut bytes = std::fs::read(&pack).expect("read");
    bytes[50] ^= 1;
    std::fs::write(&pack, bytes).expect("write");
    home.run(&["verify", "--read-data"]).ended(5);
    home.json(&["repair", "--dry-run"]).ended(5);
    assert!(home.run(&["repair"]).ended(4).err.contains("--yes"));
    let report = home.json(&["repair", "--yes"]).ended(3).json();
    assert_eq!((&report["report"]["packs_salvaged"], &report["report"]["blobs_lost"]), (&1.into(), &1.into()), "{report}");
    assert!(home.run(&["backup"]).ended(0).out.contains("full, because"), "it notices that packs are gone");
    home.run(&["verify", "--read-data"]).ended(0);
    assert!(home.run(&["repair"]).ended(0).out.contains("nothing is damaged"));
}
