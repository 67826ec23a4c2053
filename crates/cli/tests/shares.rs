//! Links to exports, and exports that only some can open, as people make and use them.

use std::{fs, path::PathBuf};

use crate::support::{Home, text};

/// The public key of a kit whose words are all the first one: anybody may have its secret.
const PUBLIC: &str = "age19ljhmg68e43yx9fgm2k9lwefquc0la5y4lzvlshdjzv47kxt8d6qr9vf4p";

fn written(home: &Home, name: &str, words: &str) -> PathBuf {
    let path = home.file(name);
    fs::write(&path, words).expect("written");
    path
}

/// Exports, and answers the id.
fn export(home: &Home, args: &[&str]) -> String {
    home.json(&[&["export"], args].concat()).ended(0).json()["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_link_is_made_used_and_ended() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "for somebody", "--date", "2024-03-17"]).ended(0);
    assert!(home.run(&["export", "shares"]).ended(0).out.contains("export share ID"));
    let archive = home.file("shared.zip");
    let id = export(&home, &["--for-sharing", "--out", text(&archive)]);
    let private = export(&home, &["--out", text(&home.file("private.zip"))]);
    let refused = home.run(&["export", "share", &private]).ended(4).err;
    assert!(refused.contains("--for-sharing") && refused.contains("--private-too"), "{refused}");
    assert!(home.run(&["export", "share", &id, "--expires", "soon"]).ended(2).err.contains("12h, 7d"));

    let made = home.json(&["export", "share", &id, "--expires", "2d", "--downloads", "1", "--note", "for Ada"]).ended(0).json();
    let (link, share) = (made["link"].as_str().expect("a link").to_owned(), made["share"]["id"].as_str().expect("an id").to_owned());
    let link_file = written(&home, "link", &format!("{link}\n"));
    fs::create_dir(home.file("theirs")).expect("a folder");
    let fetch = |args: &[&str]| {
        home.run(&[&["export", "fetch", "--to", text(&home.file("theirs")), "--link-file", text(&link_file)], args].concat())
    };
    let fetched = fetch(&[]).ended(0).out;
    assert!(fetched.contains("SHA-256") && fs::read(home.file("theirs/shared.zip")).expect("there") == fs::read(&archive).expect("read"));
    fs::remove_file(home.file("theirs/shared.zip")).expect("removed");
    let gone = fetch(&[]).ended(4).err;
    assert!(gone.contains("leads to nothing") && !gone.contains(&link), "{gone}");
    let listed = home.run(&["export", "shares", &id[..8]]).ended(0).out;
    assert!(listed.contains("used up") && listed.contains("1 download of 1 each") && listed.contains("for Ada"), "{listed}");
    assert_eq!(home.json(&["export", "shares"]).ended(0).json()["state"], "used-up");

    // With a passphrase, and a base of its own.
    let passphrase = written(&home, "passphrase", "open sesame\n");
    let args =
        ["export", "share", &id, "--passphrase-file", text(&passphrase), "--base-url", "https://example.org/keep", "--expires", "never"];
    let ran = home.run(&args).ended(0);
    let link = ran.out.lines().next().expect("a link").to_owned();
    assert!(link.starts_with("https://example.org/keep/s/") && ran.err.contains("only when you end it"), "{}", ran.err);
    fs::write(&link_file, &link).expect("written");
    let wrong = written(&home, "wrong", "close sesame");
    assert!(fetch(&["--passphrase-file", text(&wrong)]).ended(12).err.contains("not the passphrase"));
    fetch(&["--passphrase-file", text(&passphrase)]).ended(0);
    let shares = home.json(&["export", "shares"]).ended(0).json();
    let second = shares["id"].as_str().expect("an id");
    assert!(second != share && shares["passphrase"] == true && shares["expires"].is_null(), "{shares}");
    assert!(home.run(&["export", "unshare", second]).ended(4).err.contains("--yes"));
    home.json(&["export", "unshare", second, "--yes"]).ended(0);
    fs::remove_file(home.file("theirs/shared.zip")).expect("removed");
    fetch(&["--passphrase-file", text(&passphrase)]).ended(4);
    home.run(&["export", "delete", &id, "--yes"]).ended(0);
    assert!(!archive.exists() && home.json(&["export", "shares"]).ended(0).out.is_empty());
}

#[test]
fn an_encrypted_export_comes_back() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "for one reader", "--date", "2024-03-17"]).ended(0);
    let (archive, passphrase) = (home.file("memories.zip.age"), written(&home, "passphrase", "open sesame"));
    let encrypt = ["--encrypt", "--passphrase-file", text(&passphrase)];
    let misnamed = home.run(&[&["export", "--out", text(&home.file("memories.zip"))], encrypt.as_slice()].concat()).ended(2).err;
    assert!(misnamed.contains("memories.zip.age"), "{misnamed}");
    let id = export(&home, &[&["--out", text(&archive)], encrypt.as_slice()].concat());
    assert!(fs::read(&archive).expect("read").starts_with(b"age-encryption.org/v1\n"));
    assert!(home.run(&["export", "show", &id]).ended(0).out.contains("opens   to a passphrase"));
    let keyed = home.file("keyed.tar.gz.age");
    let id = export(&home, &["--out", text(&keyed), "--encrypt-to", PUBLIC]);
    assert_eq!(home.json(&["export", "show", &id]).ended(0).json()["sealed_to"][0], PUBLIC);
    assert!(home.run(&["export", "--out", text(&home.file("x.zip.age")), "--encrypt-to", "me"]).ended(2).err.contains("age1…"));
    assert!(home.run(&["export", "--out", text(&home.file("x.zip.age"))]).ended(2).err.contains("--encrypt-to"));
    let book = home.run(&["export", "--format", "epub", "--out", text(&home.file("x.epub")), "--encrypt-to", PUBLIC]).ended(2).err;
    assert!(book.contains("x.epub.age"), "{book}");
    let id = export(&home, &["--format", "epub", "--out", text(&home.file("x.epub.age")), "--encrypt-to", PUBLIC]);
    for name in ["x.epub.age", "x.epub.manifest.json.age"] {
        assert!(fs::read(home.file(name)).expect("read").starts_with(b"age-encryption.org/v1\n"), "{name}");
    }
    home.run(&["export", "delete", &id, "--yes"]).ended(0);
    assert!(!home.file("x.epub.age").exists() && !home.file("x.epub.manifest.json.age").exists());

    let other = Home::new();
    let closed = other.run(&["import", text(&archive)]).ended(2).err;
    assert!(closed.contains("--identity") && closed.contains("--passphrase-file"), "{closed}");
    other.run(&["import", text(&archive), "--passphrase-file", text(&written(&other, "wrong", "close sesame"))]).ended(12);
    other.run(&["import", text(&archive), "--passphrase-file", text(&passphrase)]).ended(0);
    assert_eq!(other.count(), 1);
}

#[test]
fn an_encrypted_export_in_parts_comes_back() {
    let home = Home::new();
    for number in 0..3_u8 {
        // Bytes that no archive makes smaller.
        let mut state = u64::from(number) + 1;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let file = home.file(&format!("file-{number}.bin"));
        fs::write(&file, (0..700 << 10).map(next).collect::<Vec<u8>>()).expect("written");
        home.run(&["memory", "add", "--text", "one", "--date", &format!("2024-0{}-17", number + 1), "--attach", text(&file)]).ended(0);
    }
    let passphrase = written(&home, "passphrase", "open sesame");
    let folder = home.file("out");
    fs::create_dir(&folder).expect("a folder");
    let out = folder.join("memories.zip.age");
    export(&home, &["--out", text(&out), "--part-size", "1 MiB", "--encrypt", "--passphrase-file", text(&passphrase)]);
    let mut parts: Vec<PathBuf> = fs::read_dir(&folder).expect("read").map(|entry| entry.expect("read").path()).collect();
    parts.sort();
    assert!(parts.len() > 1, "{parts:?}");
    let import = |home: &Home, paths: &[&str]| home.run(&[&["import", "--passphrase-file", text(&passphrase)], paths].concat());
    for paths in [vec![text(&parts[1])], vec![text(&folder)], parts.iter().map(|path| text(path)).collect()] {
        let other = Home::new();
        import(&other, &paths).ended(0);
        assert_eq!(other.count(), 3, "{paths:?}");
    }
    fs::remove_file(&parts[0]).expect("removed");
    assert!(import(&Home::new(), &[text(&folder)]).ended(2).err.contains("put all of them into one folder"));
}
