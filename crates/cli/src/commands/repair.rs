//! `repair`.

use keepsake_custody::{CustodyError, CustodyResult};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, DAMAGED, SKIPPED},
    output, words,
};

pub async fn run(context: &Context, args: &args::Repair) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = if args.system { None } else { Some(context.owner(&custody).await?.id) };
    let out = &context.output;
    let progress = context.progress();
    let plan = custody.plan_repair(owner, progress.clone()).await;
    progress.finish();
    let plan = plan?;
    for damage in &plan.damage {
        out.warn(damage);
    }
    if plan.damage.is_empty() {
        out.say("Every byte was read, and nothing is damaged.");
        out.summary(COMPLETE, json!({ "plan": plan }));
        return Ok(COMPLETE);
    }
    if args.dry_run {
        out.say(format!("{} would be looked into, blob by blob.", words::of(plan.packs.len() as u64, "pack", "packs")));
        out.summary(DAMAGED, json!({ "dry_run": true, "plan": plan }));
        return Ok(DAMAGED);
    }
    if !context.global.yes && !output::confirm("What can be read is saved into new packs, then the damaged ones go. Go ahead?") {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let progress = context.progress();
    let report = custody.repair(owner, &plan, progress.clone()).await;
    progress.finish();
    let (report, snapshots) = report?;
    custody.close().await;
    out.say(format!(
        "{} saved from {}; {} lost.",
        words::of(report.blobs_salvaged, "blob", "blobs"),
        words::of(report.packs_salvaged, "damaged pack", "damaged packs"),
        words::of(report.blobs_lost, "blob is", "blobs are")
    ));
    if !snapshots.remade.is_empty() {
        out.say(format!("{} written anew.", words::of(snapshots.remade.len() as u64, "lost snapshot was", "lost snapshots were")));
    }
    for id in &snapshots.lost {
        out.warn(format!("snapshot {} is lost: too little of it is left", &id[..8]));
    }
    out.say("`keepsake backup` now adds again what the vault still has; `keepsake verify` names what no longer comes back.");
    let code = if report.blobs_lost == 0 && snapshots.lost.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!({ "report": report, "snapshots": snapshots }));
    Ok(code)
}
