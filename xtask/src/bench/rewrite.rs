//! `cargo xtask bench rewrite [MEMORIES] [SNAPSHOTS]`: one memory taken out of every snapshot, beside stock restic's nearest.
//!
//! Stock restic can take out whole files alone: it drops the memory's day from 100 snapshots of a copy of the same repository.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{
    measuring::{Tools, measure, text},
    vault::write_diary,
};
use crate::say;

/// As many memories a day as the vault of a million has.
const A_DAY: u32 = 111;
const OF_RESTIC: usize = 100;

pub fn run(args: &[String]) -> Result<(), String> {
    let number = |at: usize, default: u32| args.get(at).map_or(Ok(default), |a| a.parse().map_err(|_| format!("`{a}` is no number")));
    let (memories, snapshots) = (number(0, 100_000)?, number(1, 1000)?);
    let tools = Tools::ready()?;
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir().map_err(|e| e.to_string())?;
    let (home, diary) = (space.path().join("home"), space.path().join("diary.ndjson"));
    write_diary(&diary, memories, memories.div_ceil(A_DAY)).map_err(|e| e.to_string())?;
    let keepsake = |args: &[&str]| tools.keepsake(&home, args);
    keepsake(&["init", "-q"])?;
    keepsake(&["import", text(&diary), "-q"])?;
    keepsake(&["backup", "-q"])?;
    let listed = keepsake(&["memory", "list", "--json"])?.output;
    let ids: Vec<String> = listed.lines().filter_map(|l| Some(serde_json::from_str::<Value>(l).ok()?["id"].as_str()?.to_owned())).collect();
    let victim = ids.get(ids.len() / 2).ok_or("no memories")?;
    keepsake(&["memory", "edit", victim, "--text", "SECRET-OF-THE-BENCH, once", "-q"])?;
    for number in 1..snapshots {
        let other = &ids[(number as usize * 7919) % ids.len()];
        if other != victim {
            keepsake(&["memory", "edit", other, "--text", &format!("edited for snapshot {number}"), "-q"])?;
        }
        keepsake(&["backup", "-q"])?;
    }
    say(&format!("{memories} memories, {A_DAY} a day, {snapshots} snapshots, one edit between two"));
    let password = space.path().join("password");
    let revealed = keepsake(&["key", "reveal", "--yes"])?.output;
    fs::write(&password, revealed.trim()).map_err(|e| e.to_string())?;
    let shown: Value = serde_json::from_str(keepsake(&["repository", "show", "--json"])?.output.lines().next().unwrap_or_default())
        .map_err(|e| e.to_string())?;
    let place = shown["restic_location"].as_str().ok_or("no place")?.to_owned();
    let copy = space.path().join("copy");
    let copied = Command::new("cp").args(["-a", &place, text(&copy)]).status().map_err(|e| e.to_string())?;
    if !copied.success() {
        return Err("the copy failed".into());
    }
    keepsake(&["memory", "delete", victim, "-q"])?;
    let ours = keepsake(&["snapshot", "rewrite", "--without-memory", victim, "--yes", "--json"])?;
    let report: Value = serde_json::from_str(ours.output.lines().last().unwrap_or_default()).map_err(|e| e.to_string())?;
    let made = report["report"]["snapshots"].as_array().map_or(0, Vec::len);
    say(&format!(
        "keepsake  {made} of {snapshots} snapshots  {:>8.2} s  {:>6.2} ms a snapshot  {:>5} MiB peak, repacked and proved",
        ours.seconds,
        ours.seconds * 1000.0 / made.max(1) as f64,
        ours.peak_mib
    ));
    restic(&tools, &copy, &password, victim, &home)?;
    let check = stock(&tools, Path::new(&place), &password, &["check", "--read-data"])?;
    say(&format!("restic check --read-data after it: {}", check.lines().last().unwrap_or_default()));
    Ok(())
}

fn stock(tools: &Tools, repository: &Path, password: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(&tools.restic);
    command.args(["--no-cache", "-r"]).arg(repository).arg("--password-file").arg(password).args(args);
    Ok(measure(&mut command)?.output)
}

/// Stock restic on a copy of the repository with its newest snapshots.
fn restic(tools: &Tools, copy: &Path, password: &Path, victim: &str, home: &Path) -> Result<(), String> {
    let day = tools.keepsake(home, &["snapshot", "ls", "latest", "data/memories"])?.output;
    let paths: Vec<&str> = day.lines().filter_map(|line| line.split_whitespace().last()).filter(|path| path.ends_with(".ndjson")).collect();
    let day = paths.get(paths.len() / 2).ok_or("no day")?;
    let few = OF_RESTIC.to_string();
    stock(tools, copy, password, &["forget", "--keep-last", &few, "--group-by", "", "-q"])?;
    stock(tools, copy, password, &["prune", "-q"])?;
    let mut rewrite = Command::new(&tools.restic);
    rewrite.args(["-q", "-r"]).arg(copy).arg("--password-file").arg(password);
    rewrite.args(["rewrite", "--forget", "--exclude", &format!("/{day}")]);
    let rewrite = measure(&mut rewrite)?;
    let mut prune = Command::new(&tools.restic);
    prune.args(["-q", "-r"]).arg(copy).arg("--password-file").arg(password).args(["prune", "--max-unused", "0"]);
    let prune = measure(&mut prune)?;
    let both = rewrite.seconds + prune.seconds;
    say(&format!(
        "restic    {OF_RESTIC} snapshots, a whole day   {both:>8.2} s  {:>6.2} ms a snapshot  (rewrite {:.2} s, prune {:.2} s); memory {}",
        both * 1000.0 / OF_RESTIC as f64,
        rewrite.seconds,
        prune.seconds,
        &victim[..8]
    ));
    Ok(())
}
