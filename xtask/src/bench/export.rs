//! `cargo xtask bench export [MEMORIES]`: a vault handed out in each format; rates are bytes of canonical JSON that were read.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    measuring::{Tools, text},
    vault::write_diary,
};
use crate::say;

const DAYS: u32 = 9000;
/// What is asked for, and as what.
const EXPORTS: [(&str, &[&str], &str); 9] = [
    ("json, folder", &[], "json"),
    ("json, zip", &[], "json.zip"),
    ("json, zip, parts", &["--part-size", "512 MiB"], "parts.zip"),
    ("json, 1 year", &["--filter", "from:2010 to:2010"], "year"),
    ("csv, folder", &["--format", "csv"], "csv"),
    ("xml, folder", &["--format", "xml"], "xml"),
    ("markdown, folder", &["--format", "markdown"], "markdown"),
    ("html, folder", &["--format", "html"], "pages"),
    ("epub", &["--format", "epub"], "book.epub"),
];

pub fn run(args: &[String]) -> Result<(), String> {
    let memories: u32 = args.first().map_or(Ok(1_000_000), |a| a.parse()).map_err(|_| "bench export takes a number of memories")?;
    let tools = Tools::ready()?;
    let folder = args.get(1).map_or_else(std::env::temp_dir, Into::into);
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir_in(folder).map_err(|e| e.to_string())?;
    let (diary, home) = (space.path().join("diary.ndjson"), space.path().join("home"));
    write_diary(&diary, memories, DAYS).map_err(|e| e.to_string())?;
    tools.keepsake(&home, &["init", "-q"])?;
    tools.keepsake(&home, &["import", text(&diary), "-q"])?;
    fs::remove_file(&diary).map_err(|e| e.to_string())?;
    say(&format!("{memories} memories of about 2 KB over {DAYS} days, in {}", space.path().display()));
    let mut records = 0.0;
    for (name, more, out) in EXPORTS {
        let out = space.path().join("out").join(out);
        fs::create_dir_all(out.parent().unwrap_or(Path::new("."))).map_err(|e| e.to_string())?;
        let made = tools.keepsake(&home, &[&["export", "--json", "--out", text(&out)], more].concat())?;
        let last: Value = made.output.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let bytes = last["bytes"].as_f64().unwrap_or_default();
        if name == "json, folder" {
            records = bytes;
        }
        let rate = if name == "json, 1 year" { String::new() } else { format!("{:>6.0} MB/s", records / made.seconds / 1e6) };
        say(&format!("{name:<18} {:>7.2} s {rate:>11} {:>5} MiB peak, {:>7.0} MB of payload", made.seconds, made.peak_mib, bytes / 1e6));
        let folder = out.parent().unwrap_or(Path::new("."));
        fs::remove_dir_all(folder).map_err(|e| e.to_string())?;
    }
    Ok(())
}
