//! `backup` and `verify`.

use std::hash::{BuildHasher, Hasher, RandomState};

use keepsake_custody::{BackupKind, CheckOptions, CustodyError, CustodyResult, Share, VerifyReport};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, DAMAGED, SKIPPED},
    words,
};

pub async fn run(context: &Context, args: &args::Backup) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let out = &context.output;
    let progress = context.progress();
    let (skipped, value) = if let Some(folder) = &args.folder {
        let report = custody.backup_folder(owner, folder, progress.clone()).await;
        progress.finish();
        let report = report?;
        let read = format!("{} ({})", words::of(report.files_read, "file", "files"), words::bytes(report.bytes_read));
        out.say(format!("Snapshot {}: read {read}, added {}.", &report.snapshot[..8], words::bytes(report.bytes_stored)));
        (report.skipped.clone(), json!(report))
    } else {
        let kind = match args.kind {
            args::Kind::Incremental => BackupKind::Incremental,
            args::Kind::Full => BackupKind::Full,
            args::Kind::Differential => BackupKind::Differential,
        };
        let report = custody.backup(owner, kind, progress.clone()).await;
        progress.finish();
        let report = report?;
        match &report.snapshot {
            None => out.say("Nothing has changed since the last backup; nothing was written."),
            Some(snapshot) => {
                let kind = json!(report.kind);
                let why = report.reason.as_ref().map(|r| format!(", because {r}")).unwrap_or_default();
                out.say(format!("Snapshot {} ({}{why})", &snapshot[..8], kind.as_str().unwrap_or_default()));
                let memories = words::of(report.memories, "memory", "memories");
                out.say(format!("  {memories}; read {}, added {}.", words::bytes(report.bytes_read), words::bytes(report.bytes_stored)));
            }
        }
        (report.skipped.clone(), json!(report))
    };
    for path in &skipped {
        let kept = if path.carried { "the last backup's copy is kept" } else { "no backup has it" };
        out.warn(format!("{}: {}; {kept}", path.path, path.reason));
    }
    if skipped.iter().any(|s| s.carried) {
        out.say("`keepsake restore latest --into-vault` puts lost originals back.");
    }
    custody.close().await;
    let code = if skipped.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, value);
    Ok(code)
}

fn share(text: &str) -> CustodyResult<Share> {
    let bad = || CustodyError::Usage(format!("`{text}` is no share: give a percentage such as 10%, or a part such as 1/12"));
    if let Some(percent) = text.strip_suffix('%') {
        return match percent.parse() {
            Ok(100) => Ok(Share::All),
            Ok(percent @ 1..=99) => Ok(Share::Percent { percent, seed: RandomState::new().build_hasher().finish() }),
            _ => Err(bad()),
        };
    }
    let (number, of) = text.split_once('/').ok_or_else(bad)?;
    match (number.parse(), of.parse()) {
        (Ok(number), Ok(of)) if (1..=256).contains(&of) && (1..=of).contains(&number) => Ok(Share::Part { number, of }),
        _ => Err(bad()),
    }
}

pub async fn verify(context: &Context, args: &args::Verify) -> CustodyResult<u8> {
    let options = CheckOptions { read_data: args.read_data.as_deref().map(share).transpose()? };
    let source = context.source(&args.from)?;
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let progress = context.progress();
    let reports = custody.verify(owner, &source, args.destination.as_deref(), options, progress.clone()).await;
    progress.finish();
    let reports = reports?;
    custody.close().await;
    let several = reports.len() > 1;
    for report in &reports {
        if several {
            context.output.say(format!("\n{}", report.destination));
            context.output.event("destination", json!(report));
        }
        show_report(context, report, several);
    }
    let code = if reports.iter().any(|report| !report.is_sound()) {
        DAMAGED
    } else if reports.iter().any(|report| report.passed_over.is_some() || report.archived > 0) {
        SKIPPED
    } else {
        COMPLETE
    };
    context.output.summary(code, if several { json!({ "destinations": reports }) } else { json!(reports.first()) });
    Ok(code)
}

fn show_report(context: &Context, report: &VerifyReport, several: bool) {
    let out = &context.output;
    if let Some(reason) = &report.passed_over {
        out.warn(format!("{} was not looked at: {reason}", report.destination));
        return;
    }
    let read = if report.packs_read > 0 { format!(", {} read", words::bytes(report.bytes_read)) } else { String::new() };
    out.say(format!(
        "Checked {} in {}{read}.",
        words::of(report.snapshots, "snapshot", "snapshots"),
        words::of(report.packs, "pack", "packs")
    ));
    for damage in &report.damage {
        out.warn(damage);
    }
    if let Some(time) = &report.rolled_back_to {
        out.warn(format!("the repository was put back to what it was at {time}: everything since is gone from it"));
    }
    for snapshot in &report.missing_snapshots {
        out.warn(format!("snapshot {} was made here and is gone from the repository", &snapshot[..8]));
    }
    for snapshot in &report.foreign_snapshots {
        let advice = "another program made it, or the vault was put back since; if you know it, `keepsake snapshot adopt`";
        out.warn(format!("snapshot {} is not in this home's records: {advice}", &snapshot[..8]));
    }
    if !report.half_forgotten.is_empty() {
        let left = words::of(report.half_forgotten.len() as u64, "snapshot was", "snapshots were");
        out.say(format!("{left} to be forgotten when that was cut off: `keepsake snapshot forget` ends it."));
    }
    for (path, snapshots) in &report.affected {
        let ids = snapshots.iter().take(4).map(|id| &id[..8]).collect::<Vec<_>>().join(", ");
        out.warn(format!("cannot be brought back whole: {path} ({} {ids})", if snapshots.len() == 1 { "snapshot" } else { "snapshots" }));
    }
    if report.orphans > 0 {
        out.say(format!("{} of an interrupted run belong to nothing; they do no harm.", words::of(report.orphans, "pack", "packs")));
    }
    if report.archived > 0 {
        out.warn(format!(
            "{} archived, and reading them takes hours: nobody knows how they are; `keepsake restore` asks for what it needs",
            words::of(report.archived, "pack is", "packs are")
        ));
    }
    if report.is_sound() && report.archived > 0 {
        out.say("All else is as it should be.");
    } else if report.is_sound() {
        out.say(if report.packs_read > 0 {
            "Everything is as it should be."
        } else {
            "Everything is there. `keepsake verify --read-data` reads every byte, too."
        });
    } else if several {
        out.say("`keepsake destination sync` heals it from a destination that has it whole; the next `keepsake backup` does so, too.");
    } else {
        if !report.damage.is_empty() {
            out.say("What the vault still has, the next `keepsake backup` adds again; `keepsake repair` saves what can be read.");
        }
        if !report.missing_snapshots.is_empty() {
            out.say(
                "What the vault holds today, the next `keepsake backup` secures again; states of the past are gone with their snapshots.",
            );
        }
    }
}
