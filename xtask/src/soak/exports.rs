//! Exports killed at any moment, with edits between: what the next ones end with is what one export without an accident has.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Soak;
use crate::{bench::text, say};

/// What is made, and as what.
const EXPORTS: [(&str, &[&str]); 11] = [
    ("json", &["--format", "json"]),
    ("json.zip", &["--format", "json"]),
    ("json.tar.gz", &["--format", "json"]),
    ("parts.zip", &["--format", "json", "--part-size", "2 MiB"]),
    ("csv", &["--format", "csv"]),
    ("xml", &["--format", "xml"]),
    ("markdown", &["--format", "markdown"]),
    ("html", &["--format", "html"]),
    ("media", &["--format", "media"]),
    ("book.epub", &["--format", "epub"]),
    ("book.pdf", &["--format", "pdf", "--filter", "from:2000 to:2000"]),
];

/// Every file below a folder, and its bytes.
fn files(root: &Path, below: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) -> std::io::Result<()> {
    for entry in fs::read_dir(below)? {
        let path = entry?.path();
        if path.is_dir() {
            files(root, &path, all)?;
        } else {
            all.insert(path.strip_prefix(root).unwrap_or(&path).into(), fs::read(&path)?);
        }
    }
    Ok(())
}

impl Soak {
    pub(super) fn killed_exports(&mut self, kills: u32) -> Result<(), String> {
        let mut attempt = 0;
        for (name, asked) in EXPORTS {
            let (mut killed, mut ended, mut resumed) = (0, 0, 0);
            while killed < kills {
                attempt += 1;
                let space = self.space.join(format!("exports-{attempt}"));
                let (whole, tried) = (space.join("whole"), space.join("tried"));
                for folder in [&whole, &tried] {
                    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
                }
                let out = whole.join(name);
                let took = self.timed(&[&["export", "--out", text(&out), "-q"], asked].concat())?;
                let out = tried.join(name);
                let again = [&["export", "--out", text(&out), "--json"], asked].concat();
                // Up to three kills of one export, then it may end.
                for _ in 0..3 {
                    let was_killed = self.killed(&again, took)?;
                    let stands = self.stands(&out)?;
                    // One that had done everything but to end would only say now that it is there.
                    if !was_killed || stands.as_ref().is_some_and(|state| state != "begun") {
                        ended += 1;
                        break;
                    }
                    killed += 1;
                    // Before the moment that it shows is noted, an edit would be in it.
                    if stands.is_some() {
                        self.add_memory()?;
                    }
                }
                if self.stands(&out)?.is_none_or(|state| state == "begun") {
                    let told = self.must(&again)?;
                    let last: Value = serde_json::from_str(told.lines().last().unwrap_or_default()).unwrap_or_default();
                    resumed += u32::from(!last["resumed"].is_null());
                }
                let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
                files(&whole, &whole, &mut expected).and_then(|()| files(&tried, &tried, &mut found)).map_err(|e| e.to_string())?;
                if expected != found {
                    let differs = expected.keys().chain(found.keys()).find(|path| expected.get(*path) != found.get(*path));
                    return Err(format!("{name} after kill {killed}: {differs:?} is another one"));
                }
                fs::remove_dir_all(&space).map_err(|e| e.to_string())?;
            }
            say(&format!(
                "export of {name} killed -9 {killed} times ({ended} had ended, {resumed} went on where they were): the same bytes"
            ));
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "how long it takes decides when it is killed")]
    fn timed(&self, args: &[&str]) -> Result<Duration, String> {
        let started = Instant::now();
        self.must(args)?;
        Ok(started.elapsed())
    }

    /// Starts an export and kills it somewhere in the time that it takes; `false`: it had ended.
    fn killed(&mut self, args: &[&str], took: Duration) -> Result<bool, String> {
        let mut child = self.command(args).spawn().map_err(|e| e.to_string())?;
        std::thread::sleep(Duration::from_micros(self.dice.next() % (took.as_micros() as u64).max(1)));
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return if matches!(status.code(), Some(0 | 3)) { Ok(false) } else { Err(format!("{args:?} ended with {status}")) };
        }
        child.kill().and_then(|()| child.wait().map(drop)).map_err(|e| e.to_string())?;
        Ok(true)
    }

    /// How the vault says that an export stands; `None`: it has not heard of it.
    fn stands(&self, out: &Path) -> Result<Option<String>, String> {
        let told = self.must(&["export", "list", "--json"])?;
        let exports = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(exports.into_iter().find(|export| export["out"] == text(out)).and_then(|export| Some(export["state"].as_str()?.to_owned())))
    }
}
