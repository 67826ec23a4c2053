//! Stock restic, old and new, is content with what the program wrote, and restores the same bytes.

use std::{path::PathBuf, process::Command};

use crate::support::{Home, Ran, data, files, text};

fn tools() -> Vec<PathBuf> {
    std::env::var("KEEPSAKE_RESTIC").unwrap_or_else(|_| "restic".into()).split(':').map(PathBuf::from).collect()
}

fn stock(tool: &PathBuf, location: &str, password: &str, args: &[&str]) -> Ran {
    let output = Command::new(tool).args(["--no-cache", "-r", location]).args(args).env("RESTIC_PASSWORD", password).output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}: run scripts/test, which installs it", tool.display()));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn checks_and_restores_what_we_wrote() {
    let Some(photos) = data("photos-permissive") else { return };
    let home = Home::new();
    home.json(&["import", text(&photos)]).ended(3);
    home.json(&["memory", "add", "--text", "one", "--date", "2024-03-17"]).ended(0);
    home.json(&["backup"]).ended(0);
    home.json(&["memory", "add", "--text", "two", "--date", "2024-03-17"]).ended(0);
    home.json(&["backup"]).ended(0);
    let location = home.json(&["repository", "show"]).ended(0).json()["restic_location"].as_str().expect("a place").to_owned();
    let password = home.run(&["key", "reveal", "--yes"]).ended(0).out;
    let password = password.trim_end();
    assert!(!password.contains('\n') && password.len() == 64, "the password alone");

    let ours = home.file("ours");
    home.json(&["restore", "latest", "--to", text(&ours), "--yes"]).ended(0);
    let mut versions = Vec::new();
    for tool in tools() {
        versions.push(stock(&tool, &location, password, &["version"]).ended(0).out);
        stock(&tool, &location, password, &["check", "--read-data"]).ended(0);
        let theirs = home.file("theirs");
        stock(&tool, &location, password, &["restore", "latest", "--verify", "--target", text(&theirs)]).ended(0);
        let compare = Command::new("diff").args(["-r", text(&ours), text(&theirs)]).output().expect("diff");
        assert!(compare.status.success(), "{}", String::from_utf8_lossy(&compare.stdout));
        assert_eq!(files(&ours).len(), files(&theirs).len());
        std::fs::remove_dir_all(theirs).expect("clean up");
    }
    if std::env::var("CI").as_deref() == Ok("true") {
        assert!(versions.iter().any(|v| v.contains("0.14.")) && versions.iter().any(|v| v.contains("0.19.")), "{versions:?}");
    }
}

#[test]
fn what_it_made_is_listed_verified_and_restored() {
    for tool in tools() {
        let home = Home::new();
        let source = home.file("source");
        std::fs::create_dir_all(source.join("deep")).expect("folder");
        std::fs::write(source.join("deep/file.txt"), "from restic").expect("write");
        let place = home.file("theirs");
        stock(&tool, text(&place), "secret", &["init"]).ended(0);
        stock(&tool, text(&place), "secret", &["backup", text(&source)]).ended(0);
        let password = home.file("password");
        std::fs::write(&password, "secret\n").expect("write");
        let from = ["--from", text(&place), "--password-file", text(&password)];
        assert_eq!(home.json(&[&["snapshot", "list"], &from[..]].concat()).ended(0).out.lines().count(), 1);
        home.json(&[&["verify", "--read-data"], &from[..]].concat()).ended(0);
        let back = home.file("back");
        home.json(&[&["restore", "latest", "--to", text(&back)], &from[..]].concat()).ended(0);
        assert_eq!(std::fs::read_to_string(&files(&back)[0]).expect("it came back"), "from restic");
        std::fs::write(&password, "wrong").expect("write");
        home.json(&[&["snapshot", "list"], &from[..]].concat()).ended(12);
    }
}
