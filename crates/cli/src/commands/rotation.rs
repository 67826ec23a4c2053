//! `snapshot forget` and `prune`.

use keepsake_custody::{Custody, CustodyError, CustodyResult, ForgetPlan, KeptByLocks, Policy, PruneOptions, PrunePlan};
use keepsake_record::OwnerId;
use serde_json::json;

use crate::{args, commands::Context, exit::COMPLETE, output, words};

/// The rules on the command line; without any, the home's.
fn policy(custody: &Custody, args: &args::Forget) -> CustodyResult<Policy> {
    let rules = [&args.keep_last, &args.keep_hourly, &args.keep_daily, &args.keep_weekly, &args.keep_monthly, &args.keep_yearly];
    if rules.iter().all(|rule| rule.is_none()) && args.keep_within.is_none() && args.keep_tag.is_empty() {
        return Ok(custody.rotation());
    }
    let count = |rule: &Option<String>| match rule.as_deref() {
        None => Ok(Some(0)),
        Some("all") => Ok(None),
        Some(number) => {
            number.parse().map(Some).map_err(|_| CustodyError::Usage(format!("`{number}` is no number of snapshots: give one, or `all`")))
        }
    };
    let [last, hourly, daily, weekly, monthly, yearly] = rules.map(count);
    Ok(Policy {
        last: last?,
        hourly: hourly?,
        daily: daily?,
        weekly: weekly?,
        monthly: monthly?,
        yearly: yearly?,
        within_hours: args.keep_within.unwrap_or(0),
        tags: args.keep_tag.iter().cloned().collect(),
    })
}

fn tell(context: &Context, plan: &ForgetPlan) {
    let out = &context.output;
    for planned in &plan.keep {
        let time = planned.time.get(..19).unwrap_or(&planned.time).replace('T', " ");
        out.say(format!("  keep    {}  {time}  {}", &planned.snapshot[..8], words::line(&planned.reasons.join(", "), 38)));
    }
    for planned in &plan.forget {
        let time = planned.time.get(..19).unwrap_or(&planned.time).replace('T', " ");
        out.say(format!("  forget  {}  {time}  {}", &planned.snapshot[..8], words::line(&planned.what, 38)));
    }
    for (from, to) in &plan.lost {
        out.warn(format!("no state between {from} and {to} can be brought back after this"));
    }
}

pub async fn forget(context: &Context, custody: &Custody, owner: OwnerId, args: &args::Forget) -> CustodyResult<u8> {
    let plan = custody.plan_forget(owner, &policy(custody, args)?).await?;
    let out = &context.output;
    tell(context, &plan);
    let going = words::of(plan.forget.len() as u64, "snapshot", "snapshots");
    if args.dry_run {
        out.say(format!("{going} would go."));
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan }));
        return Ok(COMPLETE);
    }
    if plan.forget.is_empty() {
        out.say("Every snapshot is wanted by a rule; nothing goes.");
    } else {
        if !context.global.yes && !output::confirm(&format!("{going} will go. Go ahead?")) {
            return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
        }
        custody.forget(owner, &plan, context.progress()).await?;
        out.say(format!("Gone: {going}.{}", if args.prune { "" } else { " `keepsake prune` gives their space back." }));
    }
    if args.prune {
        run_prune(context, custody, Some(owner), PruneOptions::default()).await?;
    }
    out.summary(COMPLETE, json!({ "forgotten": plan.forget.len(), "kept": plan.keep.len() }));
    Ok(COMPLETE)
}

fn tell_prune(context: &Context, plan: &PrunePlan) {
    let out = &context.output;
    if plan.is_empty() {
        out.say(format!(
            "Nothing to give back: {} are needed, {} are not.",
            words::bytes(plan.needed_bytes),
            words::bytes(plan.unused_bytes)
        ));
        return;
    }
    let packs = |count: usize| words::of(count as u64, "pack", "packs");
    out.say(format!("  {:>12}  needed", words::bytes(plan.needed_bytes)));
    out.say(format!("  {:>12}  not needed, and {} that belong to nothing", words::bytes(plan.unused_bytes), packs(plan.orphans.len())));
    out.say(format!(
        "  {:>12}  are copied out of {}, {} go as they are",
        words::bytes(plan.copied_bytes),
        packs(plan.repack.len()),
        packs(plan.remove.len())
    ));
    out.say(format!("  {:>12}  come free", words::bytes(plan.freed_bytes)));
}

fn tell_kept(context: &Context, kept: &[KeptByLocks]) {
    for one in kept {
        let until =
            if one.first == one.last { words::day(one.last) } else { format!("{} to {}", words::day(one.first), words::day(one.last)) };
        let what = words::of(one.objects, "of these stays", "of these stay");
        context.output.say(format!("  {what} at {}, hidden, until the locks end: {until}", one.destination));
    }
}

async fn run_prune(context: &Context, custody: &Custody, owner: Option<OwnerId>, options: PruneOptions) -> CustodyResult<()> {
    let progress = context.progress();
    let plan = custody.plan_prune(owner, options, progress.clone()).await;
    progress.finish();
    let plan = plan?;
    tell_prune(context, &plan);
    tell_kept(context, &custody.kept_by_locks(owner, &plan).await?);
    if plan.is_empty() {
        return Ok(());
    }
    let progress = context.progress();
    let report = custody.prune(owner, plan, progress.clone()).await;
    progress.finish();
    let report = report?;
    let kept = if report.packs_kept > 0 {
        format!("; {} stayed because a backup came that needs them", words::of(report.packs_kept, "pack", "packs"))
    } else {
        String::new()
    };
    context.output.say(format!("{} are free{kept}.", words::bytes(report.freed_bytes)));
    context.output.event("pruned", json!({ "report": report }));
    Ok(())
}

pub async fn prune(context: &Context, args: &args::Prune) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = if args.system { None } else { Some(context.owner(&custody).await?.id) };
    let options = PruneOptions { max_unused_percent: args.max_unused };
    let out = &context.output;
    if args.dry_run {
        let progress = context.progress();
        let plan = custody.plan_prune(owner, options, progress.clone()).await;
        progress.finish();
        let plan = plan?;
        tell_prune(context, &plan);
        let kept = custody.kept_by_locks(owner, &plan).await?;
        tell_kept(context, &kept);
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan, "kept_by_locks": kept }));
    } else {
        run_prune(context, &custody, owner, options).await?;
        out.summary(COMPLETE, json!({}));
    }
    custody.close().await;
    Ok(COMPLETE)
}
