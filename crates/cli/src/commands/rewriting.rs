//! `snapshot rewrite`.

use std::collections::BTreeSet;

use keepsake_custody::{Custody, CustodyError, CustodyResult, RewritePlan, Without};
use keepsake_record::{MemoryId, OwnerId};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    output, words,
};

/// What the command line names. A memory that left the trash is known by its whole id alone.
async fn without(custody: &Custody, owner: OwnerId, args: &args::Rewrite) -> CustodyResult<Without> {
    if args.without_memory.is_empty() {
        return Ok(Without::Paths(args.without_path.iter().map(|path| path.trim_matches('/').to_owned()).collect()));
    }
    let mut ids = BTreeSet::new();
    for name in &args.without_memory {
        ids.insert(match name.parse::<MemoryId>() {
            Ok(id) => id,
            Err(_) => custody.show_memory(owner, name).await?.memory.id,
        });
    }
    Ok(Without::Memories(ids))
}

fn tell(context: &Context, plan: &RewritePlan) {
    let out = &context.output;
    let looked = words::of(plan.looked_through as u64, "snapshot", "snapshots");
    match &plan.without {
        Without::Memories(ids) => {
            let missing = ids.len() - plan.memories;
            let here = plan.snapshots.len();
            out.say(format!("{} found in {here} of {looked}.", words::of(plan.memories as u64, "memory", "memories")));
            if missing > 0 {
                out.say(format!("{} in no snapshot.", words::of(missing as u64, "memory is", "memories are")));
            }
        }
        Without::Paths(paths) => {
            let here = plan.snapshots.len();
            out.say(format!("{} looked for; found in {here} of {looked}.", words::of(paths.len() as u64, "path", "paths")));
        }
    }
}

pub async fn run(context: &Context, custody: &Custody, owner: OwnerId, args: &args::Rewrite) -> CustodyResult<u8> {
    let without = without(custody, owner, args).await?;
    let progress = context.progress();
    let plan = custody.plan_rewrite(owner, &without, progress.clone()).await;
    progress.finish();
    let plan = plan?;
    let out = &context.output;
    tell(context, &plan);
    if args.dry_run {
        let would = words::of(plan.snapshots.len() as u64, "snapshot", "snapshots");
        out.say(format!("{would} would be made again."));
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan }));
        return Ok(COMPLETE);
    }
    let question = match &plan.without {
        Without::Memories(_) => "This cannot be undone: it leaves the trash, the journal and every snapshot for good. Go ahead?",
        Without::Paths(_) => "This cannot be undone: it leaves every snapshot of a folder for good. Go ahead?",
    };
    if !context.global.yes && !output::confirm(question) {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let progress = context.progress();
    let report = custody.rewrite_snapshots(owner, &without, progress.clone()).await;
    progress.finish();
    let report = report?;
    out.say(format!(
        "{} made again; {} are gone, and were looked for in every pack. {} are free.",
        words::of(report.snapshots.len() as u64, "snapshot was", "snapshots were"),
        words::of(report.proved_gone as u64, "piece", "pieces"),
        words::bytes(report.freed_bytes)
    ));
    // What a lock keeps is out of our reach, and whoever asked for this must know until when.
    let kept = custody.deleted_and_kept(Some(owner)).await?;
    for one in &kept {
        let what = words::of(one.objects, "object that was deleted stays", "objects that were deleted stay");
        out.warn(format!(
            "{what} at {} in old versions, hidden, until locks end, the last on {}: `keepsake destination bucket {}` names them",
            one.destination,
            words::day(one.last),
            one.destination
        ));
    }
    let code = if kept.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!({ "report": report, "kept_by_locks": kept }));
    Ok(code)
}
