//! The house rules of CONTRIBUTING.md, as a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::say;

/// The most lines of a source file, its unit tests not counted.
const FILE_LINES_MAX: usize = 400;
/// Files that are longer today; the list may only shrink.
const LONGER_TODAY: &[(&str, usize)] = &[("crates/vault/src/write.rs", 461), ("crates/custody/src/import.rs", 415)];
/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "misc", "manager", "core", "mod"];
/// Who may know SQL beside the vault: another program's database is a format. Tests make such databases.
const FOREIGN_SQL: &str = "crates/formats/src/import/memos/database.rs";
/// Which crates may know which: the arrows of ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 10] = [
    ("testing", &[]),
    ("record", &[]),
    ("storage", &[]),
    ("formats", &["record"]),
    ("press", &["record", "formats"]),
    ("vault", &["record", "storage"]),
    ("hashing", &[]),
    ("repository", &["storage", "hashing"]),
    ("custody", &["record", "storage", "formats", "vault", "repository"]),
    ("cli", &["record", "custody", "press"]),
];

pub fn run() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no root")?.to_path_buf();
    let mut problems = Vec::new();
    let mut seen = 0;
    for path in tracked(&root)? {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        seen += 1;
        if path.ends_with(".rs") {
            source(&path, &text, &mut problems);
        }
        words(&path, &text, &mut problems);
    }
    arrows(&root, &mut problems);
    links(&root, &mut problems);
    if problems.is_empty() {
        say(&format!("tidy: {seen} files keep the house rules"));
        return Ok(());
    }
    Err(format!("tidy:\n  {}", problems.join("\n  ")))
}

fn tracked(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("git: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn source(path: &str, text: &str, problems: &mut Vec<String>) {
    if !text.starts_with("//!") {
        problems.push(format!("{path}: does not open with `//!`: what it is, what it promises"));
    }
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&name) {
        problems.push(format!("{path}: `{name}` says nothing of what is inside"));
    }
    let lines = text.split("\n#[cfg(test)]").next().unwrap_or(text).lines().count();
    let allowed = LONGER_TODAY.iter().find(|(file, _)| *file == path).map_or(FILE_LINES_MAX, |(_, lines)| *lines);
    if !path.contains("/tests/") && lines > allowed {
        problems.push(format!("{path}: {lines} lines, {allowed} are allowed"));
    }
    if path.contains("/src/") && path.ends_with("lib.rs") && lines > 150 {
        problems.push(format!("{path}: {lines} lines; a lib.rs tells the story in at most 150"));
    }
    // Tests are told by the environment which seed to take.
    let told = ["crates/cli/", "crates/testing/"].iter().any(|door| path.starts_with(door));
    let library = path.starts_with("crates/") && path.contains("/src/") && !told;
    if library && text.split("\n#[cfg(test)]").next().unwrap_or(text).contains("std::env::") {
        problems.push(format!("{path}: reads the environment; only the doors do"));
    }
    let knows_sql = library && !path.starts_with("crates/vault/") && path != FOREIGN_SQL;
    if knows_sql && ["rusqlite", "sqlx::"].iter().any(|word| text.contains(word)) {
        problems.push(format!("{path}: knows SQL; only the vault and {FOREIGN_SQL} do"));
    }
    let unfinished = [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["FIX", "ME"].concat(), ["#[ign", "ore]"].concat()];
    problems.extend(unfinished.iter().filter(|word| text.contains(word.as_str())).map(|word| format!("{path}: has `{word}`")));
}

/// The project speaks of itself alone.
fn words(path: &str, text: &str, problems: &mut Vec<String>) {
    let local = [["/ro", "ot/"].concat(), ["/wo", "rk/"].concat(), ["/ho", "me/"].concat()];
    for (number, line) in text.lines().enumerate() {
        if path != "Cargo.lock" && local.iter().any(|place| line.contains(place.as_str())) {
            problems.push(format!("{path}:{}: names a path of one machine", number + 1));
        }
    }
}

fn arrows(root: &Path, problems: &mut Vec<String>) {
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root.join(format!("crates/{name}/Cargo.toml"))).unwrap_or_default();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for (other, _) in ARROWS.iter().filter(|(other, _)| dependencies.contains(&format!("keepsake-{other}."))) {
            if !allowed.contains(other) {
                problems.push(format!("crates/{name} must not know {other}: an arrow would point up"));
            }
        }
    }
}

/// Every relative link of a Markdown page leads somewhere.
fn links(root: &Path, problems: &mut Vec<String>) {
    let pages = tracked(root).unwrap_or_default();
    for page in pages.iter().filter(|p| p.ends_with(".md")) {
        let text = fs::read_to_string(root.join(page)).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.contains(' ') {
                continue;
            }
            let folder: PathBuf = Path::new(page).parent().unwrap_or(Path::new("")).into();
            if !root.join(folder).join(file).exists() {
                problems.push(format!("{page}: the link to {file} leads nowhere"));
            }
        }
    }
}
