//! `cargo xtask bench changes [MEMORIES …]`: what the same 100 scattered edits cost in vaults of different sizes, beside stock
//! restic on the same homes, and how much memory the verbs that look after a repository take.

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    measuring::{Tools, measure, text},
    vault::write_diary,
};
use crate::say;

/// As many memories a day in each vault.
const A_DAY: u32 = 111;
const EDITS: usize = 100;
const ROUNDS: usize = 5;

pub fn run(args: &[String]) -> Result<(), String> {
    let number = |a: &String| a.parse::<u32>().map_err(|_| format!("`{a}` is no number of memories"));
    let mut sizes = args.iter().map(number).collect::<Result<Vec<u32>, String>>()?;
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000, 1_000_000];
    }
    let tools = Tools::ready()?;
    say(&format!("{EDITS} edits scattered over the days, {A_DAY} memories a day, backed up {ROUNDS} times"));
    for size in sizes {
        one(&tools, size)?;
    }
    Ok(())
}

fn one(tools: &Tools, memories: u32) -> Result<(), String> {
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir().map_err(|e| e.to_string())?;
    let (home, diary) = (space.path().join("home"), space.path().join("diary.ndjson"));
    write_diary(&diary, memories, memories.div_ceil(A_DAY)).map_err(|e| e.to_string())?;
    let keepsake = |args: &[&str]| tools.keepsake(&home, args);
    keepsake(&["init", "-q"])?;
    keepsake(&["import", text(&diary), "-q"])?;
    fs::remove_file(&diary).map_err(|e| e.to_string())?;
    keepsake(&["backup", "-q"])?;
    let listed = keepsake(&["memory", "list", "--json"])?.output;
    let ids: Vec<String> = listed.lines().filter_map(|l| Some(serde_json::from_str::<Value>(l).ok()?["id"].as_str()?.to_owned())).collect();
    tools.restic(space.path(), &["init"])?;
    tools.restic_backup(space.path())?;
    let (mut seconds, mut peers) = (Vec::new(), Vec::new());
    let mut last = Value::Null;
    for round in 0..ROUNDS {
        let step = (ids.len() / EDITS).max(1);
        for id in ids.iter().skip(round).step_by(step).take(EDITS) {
            keepsake(&["memory", "edit", id, "--text", &format!("edited in round {round}"), "-q"])?;
        }
        // Neither waits at a disk that is busy with what the other, or the edits, wrote.
        measure(&mut Command::new("sync"))?;
        let measured = keepsake(&["backup", "--json"])?;
        seconds.push(measured.seconds);
        measure(&mut Command::new("sync"))?;
        peers.push(tools.restic_backup(space.path())?.seconds);
        last = serde_json::from_str(measured.output.lines().last().unwrap_or_default()).map_err(|e| e.to_string())?;
    }
    seconds.sort_by(f64::total_cmp);
    peers.sort_by(f64::total_cmp);
    let (ours, restic) = (seconds[ROUNDS / 2], peers[ROUNDS / 2]);
    say(&format!(
        "{memories:>9} memories: incremental {ours:.2} s (median; {:.2} to {:.2}); restic on vault.db and media/ {restic:.2} s \
         ({:.2} to {:.2}); ratio {:.3}",
        seconds[0],
        seconds[ROUNDS - 1],
        peers[0],
        peers[ROUNDS - 1],
        ours / restic
    ));
    say(&format!(
        "          {} rows and {} files of {} bytes read, {} bytes stored",
        last["rows_read"], last["files_read"], last["bytes_read"], last["bytes_stored"]
    ));
    let mut told = Vec::new();
    for verb in [
        &["snapshot", "forget", "--keep-last", "2", "--yes"][..],
        &["prune", "--max-unused", "0"],
        &["repair", "--yes"],
        &["key", "re-encrypt", "--yes"],
    ] {
        let measured = keepsake(verb)?;
        told.push(format!("{} {:.1} s {} MiB", verb[..2].join(" "), measured.seconds, measured.peak_mib));
    }
    say(&format!("          {}", told.join(", ")));
    Ok(())
}
