//! The real program with real servers: one backup to three places at once, and stock restic looks at each of them.

use std::{collections::BTreeMap, fs, process::Command};

use crate::support::{Home, Ran, text};

/// Where a server is; without it the test says so and does nothing, unless everything must run.
fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set, and with CI=true everything must run");
        println!("not run: {variable} is not set; `eval \"$(scripts/storage-servers start FOLDER)\"` starts the servers and sets it");
    }
    found
}

fn fresh(stem: &str) -> String {
    format!("{stem}-{}", std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos()))
}

fn restic(tool: &str, location: &str, password: &str, environment: &BTreeMap<&str, String>, args: &[&str]) -> Ran {
    let mut command = Command::new(tool);
    command.args(["--no-cache", "-r", location]).args(args).env("RESTIC_PASSWORD", password).envs(environment);
    let output = command.output().unwrap_or_else(|e| panic!("{tool}: {e}: run scripts/test, which installs it"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[test]
fn three_places_at_once() {
    let (Some(s3), Some(azure)) = (server("KEEPSAKE_TEST_S3"), server("KEEPSAKE_TEST_AZURE")) else { return };
    let azure = format!("{azure}/devstoreaccount1");
    let home = Home::new();
    let keys =
        format!("[destinations.amazon]\nid = \"testkey\"\nsecret = \"testsecret\"\n[destinations.azure]\nsecret = \"{AZURITE_KEY}\"\n");
    fs::write(home.path().join("keepsake.toml"), keys).expect("the settings");
    let shown = home.run(&["config", "show"]).ended(0).out;
    assert!(shown.contains("destinations.amazon.secret") && !shown.contains("testsecret"), "{shown}");
    home.json(&["memory", "add", "--text", "one", "--date", "2024-03-17"]).ended(0);
    home.json(&["backup"]).ended(0);
    let (bucket, container) = (fresh("three"), fresh("three"));
    home.json(&["destination", "add", "amazon", &format!("s3://{bucket}/my/own"), "--endpoint", &s3, "--make"]).ended(0);
    let url = format!("az://devstoreaccount1/{container}");
    home.json(&["destination", "add", "azure", &url, "--endpoint", &azure, "--make", "--off-site", "true"]).ended(0);
    home.json(&["memory", "add", "--text", "two", "--date", "2024-03-18"]).ended(0);
    home.json(&["backup"]).ended(0);

    let listed = home.run(&["destination", "list"]).ended(0).out;
    assert!(listed.contains("4 copies with the live memories, 2 kinds of media, 1 off-site. That is as it should be."), "{listed}");
    let usage = home.json(&["destination", "usage"]).ended(0).out;
    let counted: Vec<(u64, u64)> = usage
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|one: serde_json::Value| (one["objects"].as_u64().unwrap_or(0), one["bytes"].as_u64().unwrap_or(0)))
        .collect();
    assert!(counted.len() == 3 && counted.iter().all(|one| *one == counted[0] && one.0 > 10), "{counted:?}");
    let verified = home.json(&["verify", "--read-data"]).ended(0).json();
    assert_eq!(verified["destinations"].as_array().map(Vec::len), Some(3), "{verified}");

    // Stock restic at each place.
    let view = home.json(&["repository", "show"]).ended(0).json();
    let password = home.run(&["key", "reveal", "--yes"]).ended(0).out;
    let environment = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID", "testkey".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "testsecret".to_owned()),
        ("RCLONE_CONFIG_AZ_TYPE", "azureblob".to_owned()),
        ("RCLONE_CONFIG_AZ_USE_EMULATOR", "true".to_owned()),
        ("RCLONE_CONFIG_AZ_ENDPOINT", azure),
    ]);
    let below = view["destinations"]["azure"].as_str().and_then(|l| l.split_once(":/")).expect("azure:CONTAINER:/…").1.to_owned();
    let place = |name: &str| view["destinations"][name].as_str().expect("a place").to_owned();
    let places = [place("amazon"), place("default"), format!("rclone:az:{container}/{below}")];
    for tool in std::env::var("KEEPSAKE_RESTIC").unwrap_or_else(|_| "restic".into()).split(':') {
        for place in &places {
            restic(tool, place, password.trim_end(), &environment, &["check", "--read-data"]).ended(0);
            let listed = restic(tool, place, password.trim_end(), &environment, &["snapshots", "--json"]).ended(0).out;
            assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&listed).expect("JSON").len(), 2, "{place}");
        }
    }

    // The nearest goes: what is restored comes from the next.
    fs::rename(home.path().join("backups"), home.file("gone")).expect("the disk dies");
    let back = home.file("back");
    home.json(&["restore", "latest", "--to", text(&back), "--yes"]).ended(0);
    assert!(fs::read_to_string(back.join("data/memories/2024/03/2024-03-18.ndjson")).expect("the day").contains("two"));
}

/// Exports go to a bucket, are looked at and removed there; a link leads to them. Whoever lists the bucket finds them whole.
#[test]
fn exports_in_a_bucket() {
    let Some(s3) = server("KEEPSAKE_TEST_S3") else { return };
    let home = Home::new();
    fs::write(home.path().join("keepsake.toml"), "[destinations.cloud]\nid = \"testkey\"\nsecret = \"testsecret\"\n")
        .expect("the settings");
    let url = format!("s3://{}/my/own", fresh("exports"));
    home.json(&["destination", "add", "cloud", &url, "--endpoint", &s3, "--make"]).ended(0);
    // Longer than what is sent at once.
    let (film, mut dice) = (home.file("film.mp4"), keepsake_testing::Dice(7));
    fs::write(&film, (0..3 << 20).flat_map(|_| dice.roll().to_le_bytes()).collect::<Vec<u8>>()).expect("a film");
    home.json(&["memory", "add", "--text", "with a film", "--date", "2024-03-17", "--attach", text(&film)]).ended(0);
    let local = home.file("memories.zip");
    home.json(&["export", "--out", text(&local)]).ended(0);
    let dry = home.json(&["export", "--destination", "cloud", "--out", "memories.zip", "--dry-run"]).ended(0).json();
    assert_eq!(dry["plan"]["memories"], 1, "{dry}");
    let made = home.json(&["export", "--destination", "cloud", "--out", "memories.zip"]).ended(0).json();
    let id = made["id"].as_str().expect("an id");
    assert_eq!(made["out"], format!("{url}/exports/memories.zip"));
    assert!(home.run(&["export", "--destination", "cloud", "--out", "memories.zip"]).ended(4).err.contains("is there already"));
    assert!(home.run(&["export", "--out", &format!("{url}/owners/x.zip")]).ended(4).err.contains("backups are kept"));
    let named = home.json(&["export", "--out", &format!("{url}/2026/all.tar.gz")]).ended(0).json();
    assert_eq!(named["parts"][0]["sent"], true, "{named}");
    assert!(home.json(&["export", "show", id]).ended(0).json()["altered"].as_array().is_some_and(Vec::is_empty));
    let made = home.json(&["export", "share", id, "--private-too"]).ended(0).json();
    let link = home.file("link");
    fs::write(&link, made["link"].as_str().expect("a link")).expect("written");
    let theirs = home.file("theirs");
    fs::create_dir(&theirs).expect("a folder");
    home.json(&["export", "fetch", "--to", text(&theirs), "--link-file", text(&link)]).ended(0);
    assert!(fs::read(theirs.join("memories.zip")).expect("there") == fs::read(&local).expect("read"), "the same bytes as here");
    home.json(&["export", "delete", id, "--yes"]).ended(0);
    home.json(&["export", "--destination", "cloud", "--out", "memories.zip"]).ended(0);
    home.json(&["backup"]).ended(0);
    home.json(&["verify", "--read-data"]).ended(0);
    assert!(!home.path().join("outgoing").exists() || fs::read_dir(home.path().join("outgoing")).expect("list").next().is_none());
}

/// A server that dies in the middle of a backup costs its copy and nothing else; it is told, and made up for.
#[test]
fn a_server_that_dies() {
    let bucket = keepsake_testing::Bucket::start();
    let home = Home::new();
    fs::write(home.path().join("keepsake.toml"), "[destinations.cloud]\nid = \"id\"\nsecret = \"hunter2\"\n").expect("the settings");
    home.json(&["destination", "add", "cloud", "s3://bucket", "--endpoint", &bucket.endpoint()]).ended(0);
    home.json(&["memory", "add", "--text", "one", "--date", "2024-03-17"]).ended(0);
    home.json(&["backup"]).ended(0);
    let mut writes = 0;
    bucket.misbehave(move |method, _| {
        writes += u32::from(method == "PUT");
        if writes > 1 { keepsake_testing::Mishap::Refusal(403, "InvalidAccessKeyId") } else { keepsake_testing::Mishap::None }
    });
    home.json(&["memory", "add", "--text", "two", "--date", "2024-03-18"]).ended(0);
    let ran = home.json(&["backup"]).ended(3);
    let summary = ran.json();
    assert_eq!((summary["outcome"].as_str(), summary["exit_code"].as_u64()), (Some("skipped"), Some(3)), "{summary}");
    assert!(summary["snapshot"].is_string() && summary["missed_copies"]["cloud"].as_str().is_some_and(|r| r.contains("key")), "{summary}");
    let listed = home.run(&["destination", "list"]).ended(3).out;
    assert!(listed.contains("lacks something since"), "{listed}");
    let verified = home.run(&["verify"]).ended(3);
    assert!(verified.err.contains("cloud was not looked at"), "{}", verified.err);
    let synced = home.run(&["destination", "sync"]).ended(3);
    assert!(synced.err.contains("does not accept the key") && !synced.err.contains("hunter2"), "{}", synced.err);
    bucket.behave();
    let synced = home.run(&["destination", "sync"]).ended(0).out;
    assert!(synced.contains("All destinations have the same."), "{synced}");
    home.json(&["verify", "--read-data"]).ended(0);
    home.json(&["backup"]).ended(0);
}

#[test]
fn destinations_that_are_none() {
    let home = Home::new();
    for (args, words) in [
        (["add", "x", "ftp://host/x"], "is no place for backups"),
        (["add", "x", "webdavs://me:hunter2@host/x"], "must hold no password"),
        (["add", "X y", "file:/tmp/x"], "is no name for a destination"),
        (["add", "default", "file:/tmp/x"], "already"),
        (["add", "x", "webdav://169.254.169.254/x"], "keep credentials"),
    ] {
        let ran = home.run(&[&["destination"], args.as_slice()].concat());
        assert!(ran.code != 0 && ran.err.contains(words) && !ran.err.contains("hunter2"), "{args:?}: {}", ran.err);
    }
    assert!(home.run(&["destination", "test", "nowhere"]).ended(2).err.contains("there are default"));
    assert!(home.run(&["destination", "remove", "default", "--yes"]).ended(4).err.contains("only destination"));
    home.run(&["destination", "test", "default"]).ended(0);
}

/// What is taken out of every snapshot may be kept by locks in a bucket: that is said, with the date, and is no complete success.
#[test]
fn what_a_lock_keeps_is_told() {
    let Some(s3) = server("KEEPSAKE_TEST_S3") else { return };
    let home = Home::new();
    let settings = "[destinations.vault]\nid = \"testkey\"\nsecret = \"testsecret\"\nlock = \"30 days\"\n";
    fs::write(home.path().join("keepsake.toml"), settings).expect("the settings");
    home.json(&["destination", "add", "vault", &format!("s3://{}", fresh("told")), "--endpoint", &s3, "--make"]).ended(0);
    home.run(&["memory", "add", "--text", "what stays", "--date", "2024-03-01"]).ended(0);
    let added = home.json(&["memory", "add", "--text", "what goes", "--date", "2024-03-01"]).ended(0).json();
    let id = added["id"].as_str().expect("an id");
    home.json(&["backup"]).ended(0);
    home.json(&["memory", "delete", id]).ended(0);
    let ran = home.json(&["snapshot", "rewrite", "--without-memory", id, "--yes"]).ended(3);
    assert_eq!(ran.json()["kept_by_locks"][0]["destination"], "vault");
    let kept = ran.json()["kept_by_locks"][0]["objects"].as_u64().expect("a number");
    let bucket = home.json(&["destination", "bucket", "vault"]).ended(0).json();
    let named = bucket["bucket"]["kept"].as_array().expect("a list").iter();
    let of_owner = named.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("owners/"))).count();
    assert_eq!(of_owner as u64, kept, "{bucket}");
    let shown = home.run(&["destination", "bucket", "vault"]).ended(0).out;
    assert!(shown.contains("stay for now, the last until 20"), "{shown}");
}
