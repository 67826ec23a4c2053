//! `destination bucket` and `destination tier`: what belongs to a bucket rather than to its objects.

use keepsake_custody::{BucketChange, BucketReport, BucketState, Custody, CustodyError, CustodyResult, TierPlan};
use serde_json::json;

use crate::{
    args::Bucket,
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    output::confirm,
    words,
};

pub async fn bucket(context: &Context, custody: &Custody, args: Bucket) -> CustodyResult<u8> {
    let out = &context.output;
    if let Some(days) = args.clean_after
        && !context.global.yes
        && !confirm(&format!("Replace the lifecycle rules of the bucket by one that removes old versions after {days} days?"))
    {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let mut held = None;
    if let Some(on) = args.hold {
        let owner = context.owner(custody).await?.id;
        let progress = context.progress();
        let objects = custody.hold_objects(owner, &args.name, on, progress.clone()).await;
        progress.finish();
        let objects = objects?;
        let done = if on { "are held: nobody deletes them until `--hold false`" } else { "are held no more" };
        out.say(format!("{} {done}.", words::of(objects, "object", "objects")));
        held = Some(objects);
    }
    let report = custody.bucket(&args.name, BucketChange { versioning: args.versioning, clean_days: args.clean_after }).await?;
    tell(context, &report);
    out.summary(COMPLETE, json!({ "bucket": report, "held": held }));
    Ok(COMPLETE)
}

/// How a bucket is set up, line by line.
pub fn state_lines(state: &BucketState) -> Vec<String> {
    let old = match state.versioning {
        Some(true) => "stay until they are removed",
        Some(false) => "none",
        None => "the place does not tell; look at the account's settings",
    };
    let mut lines = vec![
        format!("old versions of what is replaced or deleted: {old}"),
        format!("locks on objects: {}", if state.locks { "can be set" } else { "none" }),
    ];
    let undelete = |days: &u64| {
        let days = words::of(*days, "day", "days");
        format!("what is deleted can be brought back for {days} (soft delete) by whoever may use the place: switch that off there")
    };
    lines.extend(state.undelete_days.iter().map(undelete));
    lines.extend(state.default_lock.iter().map(|lock| format!("every new object is locked by itself: {lock}")));
    lines.extend(state.lifecycle.iter().map(|rule| format!("by itself it {rule}")));
    lines
}

fn tell(context: &Context, report: &BucketReport) {
    let out = &context.output;
    for line in state_lines(&report.state) {
        out.say(format!("{}: {line}", report.name));
    }
    let Some(last) = report.kept.last() else { return };
    let count = words::of(report.kept.len() as u64, "object that was deleted stays", "objects that were deleted stay");
    out.say(format!("{}: {count} for now, the last until {}", report.name, words::day(last.until)));
    for one in report.kept.iter().take(SHOWN) {
        out.say(format!("  {}  {}", words::day(one.until), one.name));
    }
    if report.kept.len() > SHOWN {
        out.say(format!("  … and {} more (--json names all)", report.kept.len() - SHOWN));
    }
}

/// So many objects are named.
const SHOWN: usize = 10;

pub async fn tier(context: &Context, custody: &Custody, name: &str, dry_run: bool) -> CustodyResult<u8> {
    let out = &context.output;
    let owner = context.owner(custody).await?.id;
    let plan = custody.plan_tiers(Some(owner), name).await?;
    tell_plan(context, &plan);
    if dry_run || plan.moves.is_empty() {
        out.summary(COMPLETE, json!({ "dry_run": dry_run, "plan": plan }));
        return Ok(COMPLETE);
    }
    if !context.global.yes && !confirm("Move them?") {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let progress = context.progress();
    let failed = custody.move_tiers(Some(owner), &plan, progress.clone()).await;
    progress.finish();
    let failed = failed?;
    for (pack, reason) in &failed {
        out.warn(format!("{pack} was not moved: {reason}"));
    }
    out.say(format!("{} moved.", words::of((plan.moves.len() - failed.len()) as u64, "pack is", "packs are")));
    let code = if failed.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!({ "plan": plan, "failed": failed }));
    Ok(code)
}

fn tell_plan(context: &Context, plan: &TierPlan) {
    let out = &context.output;
    for (class, (packs, bytes)) in &plan.now {
        out.say(format!("  {:<16} {:>12} {:>12}", class, words::of(*packs, "pack", "packs"), words::bytes(*bytes)));
    }
    if plan.moves.is_empty() {
        out.say("By the rules nothing moves.");
        return;
    }
    let mut pairs: std::collections::BTreeMap<(&str, &str), (u64, u64, u64)> = std::collections::BTreeMap::new();
    for one in &plan.moves {
        let sum = pairs.entry((&one.from, &one.to)).or_default();
        *sum = (sum.0 + 1, sum.1 + one.bytes, sum.2 + u64::from(one.paid_days > 0));
    }
    for ((from, to), (packs, bytes, early)) in pairs {
        let fee = match early {
            0 => String::new(),
            early => format!("; {} before its least time is over, which is paid for all the same", words::of(early, "leaves", "leave")),
        };
        out.say(format!("  {from} to {to}: {} ({}){fee}", words::of(packs, "pack", "packs"), words::bytes(bytes)));
    }
}
