//! `destination`: where backups are kept.

use std::collections::BTreeMap;

use keepsake_custody::{
    Custody, CustodyResult, DestinationReport, DestinationSettings, DestinationView, NewDestination, PlaceSettings, Settled,
};
use keepsake_record::Timestamp;
use serde_json::json;

use crate::{
    args::{Add, Destination},
    commands::{Context, bucket, now, usage},
    exit::{COMPLETE, DAMAGED, SKIPPED},
    output::confirm,
    words,
};

pub async fn run(context: &Context, args: Destination) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let code = match args {
        Destination::Add(add) => added(context, &custody, add).await?,
        Destination::List => list(context, &custody).await?,
        Destination::Test { name } => {
            let report = custody.test_destination(&name).await?;
            show_findings(context, &report);
            let code = if report.found.faults().is_empty() { COMPLETE } else { DAMAGED };
            context.output.summary(code, json!(report));
            code
        }
        Destination::Remove { name } => removed(context, &custody, &name).await?,
        Destination::Usage => usage::usage(context, &custody).await?,
        Destination::Bucket(args) => bucket::bucket(context, &custody, args).await?,
        Destination::Tier { name, dry_run } => bucket::tier(context, &custody, &name, dry_run).await?,
        Destination::Sync { dry_run } => synced(context, &custody, dry_run).await?,
    };
    custody.close().await;
    Ok(code)
}

async fn added(context: &Context, custody: &Custody, add: Add) -> CustodyResult<u8> {
    let ssh = add.ssh.iter().flat_map(|arguments| arguments.split_whitespace()).map(str::to_owned).collect();
    let place = PlaceSettings { endpoint: add.endpoint, region: add.region, path_style: add.path_style, certificate: add.certificate, ssh };
    let settings = DestinationSettings { place, off_site: add.off_site, jurisdiction: add.jurisdiction, ..DestinationSettings::default() };
    let report = custody.add_destination(NewDestination { name: add.name, url: add.url, settings, make: add.make }).await?;
    show_findings(context, &report);
    context.output.event("destination.added", json!(report));
    if add.no_sync {
        context.output.say("Nothing was copied to it yet: `keepsake destination sync` does that, and so does the next backup.");
        context.output.summary(COMPLETE, json!(report));
        return Ok(COMPLETE);
    }
    synced(context, custody, false).await
}

/// Clocks that differ by more are told.
const CLOCK_TOLERANCE_SECONDS: u64 = 30;

fn show_findings(context: &Context, report: &DestinationReport) {
    let (out, found) = (&context.output, &report.found);
    out.say(format!(
        "Destination `{}` answers: a small write takes {} ms, a small read {} ms.",
        report.name, found.write_millis, found.read_millis
    ));
    if let Some(state) = &found.bucket {
        bucket::state_lines(state).into_iter().for_each(|line| out.say(format!("  {line}")));
    }
    if let Some(ahead) = found.clock_ahead.filter(|ahead| ahead.unsigned_abs() > CLOCK_TOLERANCE_SECONDS) {
        let which = if ahead > 0 { "behind" } else { "ahead of" };
        out.warn(format!("this machine's clock is {} seconds {which} the server's: set the clock", ahead.unsigned_abs()));
    }
    for fault in found.faults() {
        out.warn(fault);
    }
    if !found.deletes {
        out.warn("nothing can be deleted there with these credentials: backups work; `prune`, `snapshot forget` and erasure need others (maintain_id, maintain_secret)");
    }
    for problem in &found.problems {
        out.warn(problem);
    }
}

fn ago(micros: i64) -> String {
    Timestamp::from_micros(micros).map_or_else(|_| "at no time".into(), |at| words::ago(&at.to_string(), now()))
}

async fn list(context: &Context, custody: &Custody) -> CustodyResult<u8> {
    let out = &context.output;
    let all = custody.destinations().await?;
    for view in &all {
        out.object(&json!(view));
        let newest = view.newest.map_or_else(|| "no snapshot yet".into(), |at| format!("newest snapshot {}", ago(at)));
        let state = match &view.behind {
            None if view.complete.0 == view.complete.1 => format!("complete, {newest}"),
            None => "nothing was copied to it yet".into(),
            Some((_, since)) if view.newest.is_none() => format!("lacks something since {}; no snapshot is surely there", ago(*since)),
            Some((_, since)) => format!("lacks something since {}; {newest} is surely there", ago(*since)),
        };
        out.give(format!("{:<14} {}", view.name, view.url));
        out.give(format!("{:<14} {state}", ""));
        let about = [
            Some(view.media.to_owned()),
            view.off_site.map(|off| if off { "off-site".into() } else { "on the same site".into() }),
            view.region.clone(),
            view.jurisdiction.clone(),
        ];
        out.give(format!("{:<14} {}", "", about.into_iter().flatten().collect::<Vec<_>>().join(", ")));
        if let Some((reason, _)) = &view.behind {
            out.give(format!("{:<14} {reason}", ""));
        }
    }
    out.say(three_two_one(&all));
    Ok(if all.iter().all(|view| view.behind.is_none()) { COMPLETE } else { SKIPPED })
}

/// The rule of thumb for backups: three copies, on two kinds of media, one of them elsewhere. The live memories are one.
fn three_two_one(all: &[DestinationView]) -> String {
    let complete: Vec<&DestinationView> = all.iter().filter(|view| view.behind.is_none()).collect();
    let mut media: Vec<&str> = complete.iter().map(|view| view.media).chain(["disk"]).collect();
    media.sort_unstable();
    media.dedup();
    let off_site = complete.iter().filter(|view| view.off_site == Some(true)).count();
    let mut missing = Vec::new();
    if complete.len() < 2 {
        missing.push("another complete destination");
    }
    if media.len() < 2 {
        missing.push("another kind of media");
    }
    if off_site == 0 {
        missing.push("one that is off-site (say so with --off-site true)");
    }
    let state = format!(
        "3-2-1: {} with the live memories, {}, {off_site} off-site.",
        words::of(complete.len() as u64 + 1, "copy", "copies"),
        words::of(media.len() as u64, "kind of media", "kinds of media")
    );
    if missing.is_empty() { format!("{state} That is as it should be.") } else { format!("{state} Missing: {}.", missing.join("; ")) }
}

async fn removed(context: &Context, custody: &Custody, name: &str) -> CustodyResult<u8> {
    let out = &context.output;
    if !context.global.yes && !confirm(&format!("Forget destination `{name}`? What is there stays.")) {
        out.say("Nothing was changed. Add --yes to go ahead without being asked.");
        return Ok(crate::exit::REFUSED);
    }
    let row = custody.remove_destination(name).await?;
    out.say(format!("`{name}` is no destination any more. What is at {} stays: delete it there if it is not to be kept.", row.url));
    out.summary(COMPLETE, json!({ "name": row.name, "url": row.url }));
    Ok(COMPLETE)
}

async fn synced(context: &Context, custody: &Custody, dry_run: bool) -> CustodyResult<u8> {
    let progress = context.progress();
    let result = custody.sync_destinations(dry_run, progress.clone()).await;
    progress.finish();
    let all = result?;
    let out = &context.output;
    let mut total: BTreeMap<&str, Settled> = BTreeMap::new();
    for settled in all.values().flatten() {
        let sum = total.entry(&settled.member).or_default();
        sum.removed += settled.removed;
        sum.copied += settled.copied;
        sum.bytes += settled.bytes;
        sum.healed.extend(settled.healed.iter().cloned());
        sum.lost.extend(settled.lost.iter().chain(&settled.gone).cloned());
        sum.behind = sum.behind.take().or_else(|| settled.behind.clone());
    }
    for (name, sum) in &total {
        let verb = if dry_run { "would get" } else { "got" };
        out.say(format!(
            "{name}: {verb} {} ({}); {} healed, {} removed",
            words::of(sum.copied, "object", "objects"),
            words::bytes(sum.bytes),
            words::count(sum.healed.len() as u64),
            words::count(sum.removed)
        ));
        for object in &sum.healed {
            out.say(format!("  healed {object}"));
        }
        if let Some(reason) = &sum.behind {
            out.warn(format!("{name} lacks something: {reason}"));
        }
    }
    let lost: std::collections::BTreeSet<&String> = total.values().flat_map(|sum| &sum.lost).collect();
    for object in &lost {
        out.warn(format!("{object} is damaged or gone everywhere: `keepsake verify` tells what that reaches"));
    }
    let code = match () {
        () if !lost.is_empty() => DAMAGED,
        () if total.values().any(|sum| sum.behind.is_some()) => SKIPPED,
        () => COMPLETE,
    };
    if code == COMPLETE && !dry_run {
        out.say("All destinations have the same.");
    }
    out.summary(code, json!({ "owners": all, "dry_run": dry_run }));
    Ok(code)
}
