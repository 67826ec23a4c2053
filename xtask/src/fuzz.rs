//! `cargo xtask fuzz [SECONDS]`: every parser of outside bytes with libFuzzer, from its corpus on. Needs a nightly compiler and
//! `cargo install cargo-fuzz`.

use std::{path::Path, process::Command};

use crate::say;

/// What is fuzzed: target, what `KEEPSAKE_FUZZ` says, the corpus that it begins with.
fn targets() -> Vec<(&'static str, String, String)> {
    let engine = keepsake_repository::fuzzing::PARSERS
        .map(|parser| ("engine", parser.to_owned(), format!("crates/repository/testdata/corpus/{parser}")));
    let readers = [
        ("a.csv", "csv"),
        ("Journal.json", "dayone"),
        ("a.enex", "evernote"),
        ("a.jpg", "exif"),
        ("1590080aa5a3802488c2e857dea7aa7d.md", "joplin"),
        ("a.md", "markdown"),
        ("entry.json", "journey"),
        ("note.json", "keep"),
        ("outbox.json", "mastodon"),
        ("memos_prod.db", "memos"),
        ("a.ndjson", "ndjson"),
        ("Page 1590080aa5a3802488c2e857dea7aa7d.html", "notion"),
        ("a.html", "plain"),
        ("a.txt", "plain-text"),
        ("a.mp4", "quicktime"),
        ("a.jpg.json", "takeout"),
        ("graph.json", "roam"),
        ("a.tar.gz", "tar"),
        ("a.textpack", "textbundle"),
        ("a.jpg.xmp", "xmp"),
        ("a.zip", "zip"),
    ]
    .map(|(file, reader)| ("readers", file.to_owned(), format!("crates/formats/testdata/corpus/{reader}")));
    let words = ("words", "words".to_owned(), "crates/formats/testdata/corpus/words".to_owned());
    engine.into_iter().chain(readers).chain([words]).collect()
}

pub fn run(args: &[String]) -> Result<(), String> {
    let seconds: u32 = args.first().map_or(Ok(30), |a| a.parse()).map_err(|_| "fuzz takes a number of seconds for each parser")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no root")?;
    let mut failed = Vec::new();
    for (target, what, corpus) in targets() {
        // What it finds goes into a folder of its own, which is no part of the project.
        let found = format!("fuzz/corpus/{what}");
        std::fs::create_dir_all(root.join(&found)).map_err(|e| e.to_string())?;
        let mut command = Command::new("cargo");
        command.current_dir(root).env("KEEPSAKE_FUZZ", &what).args(["+nightly", "fuzz", "run", target, &found, &corpus, "--"]);
        command.args([
            format!("-max_total_time={seconds}"),
            "-rss_limit_mb=2048".into(),
            "-timeout=10".into(),
            "-print_final_stats=1".into(),
        ]);
        let output = command.output().map_err(|e| e.to_string())?;
        let told = String::from_utf8_lossy(&output.stderr);
        let number = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map_or("no", str::trim).to_owned();
        say(&format!("{what:<14} {:>12} inputs, {:>6} kept", number("stat::number_of_executed_units:"), number("stat::new_units_added:")));
        if !output.status.success() {
            say(told.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n").as_str());
            failed.push(what);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("fuzz: {}", failed.join(", "))) }
}
