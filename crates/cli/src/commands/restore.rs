//! `restore`.

use std::path::Path;

use keepsake_custody::{
    CustodyError, CustodyResult, Elsewhere, RestoreChoice, RestoreMode, RestoreOptions, RestoreOutcome, RestorePlan, SnapshotRow, Source,
    Thaw, ThawPlan,
};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, DAMAGED, SKIPPED},
    output, words,
};

pub async fn run(context: &Context, args: &args::Restore) -> CustodyResult<u8> {
    match &args.to {
        Some(target) => to_folder(context, args, target).await,
        None => into_vault(context, args).await,
    }
}

async fn to_folder(context: &Context, args: &args::Restore, target: &Path) -> CustodyResult<u8> {
    let source = context.source(&args.from)?;
    if let Source::Elsewhere { location, password } = &source
        && !context.has_home()
        && !args.dry_run
    {
        return without_home(context, args, target, Elsewhere::open(location.clone(), password.clone()).await?).await;
    }
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let out = &context.output;
    if args.dry_run {
        let row = custody.snapshot(owner, &source, &args.snapshot).await?;
        let path = args.path.first().map_or("", String::as_str);
        let files = custody.snapshot_files(owner, &source, &args.snapshot, path).await?;
        let bytes = files.iter().map(|f| f.bytes).sum();
        let count = files.iter().filter(|f| f.kind == "file").count() as u64;
        out.say(format!(
            "Snapshot {} would write {} ({}) to {}.",
            &row.id[..8],
            words::of(count, "file", "files"),
            words::bytes(bytes),
            target.display()
        ));
        let thaw = custody.plan_thaw(owner, &source, &args.snapshot, &wanted(args)).await?;
        tell_thaw(context, thaw.as_ref());
        out.summary(COMPLETE, json!({ "dry_run": true, "files": count, "bytes": bytes, "archived": thaw }));
        return Ok(COMPLETE);
    }
    let options = options(context, args, target)?;
    let progress = context.progress();
    let restored = custody.restore_to(owner, &source, &args.snapshot, target, options, thaw(args), progress.clone()).await;
    progress.finish();
    let (row, outcome) = restored?;
    custody.close().await;
    told(context, args, target, &row, &outcome)
}

/// On a machine without a home: the repository and its password are enough.
async fn without_home(context: &Context, args: &args::Restore, target: &Path, elsewhere: Elsewhere) -> CustodyResult<u8> {
    let options = options(context, args, target)?;
    let progress = context.progress();
    let restored = elsewhere.restore_to(&args.snapshot, target, options, progress.clone()).await;
    progress.finish();
    let (row, outcome) = restored?;
    told(context, args, target, &row, &outcome)
}

fn options(context: &Context, args: &args::Restore, target: &Path) -> CustodyResult<RestoreOptions> {
    if !context.global.yes
        && args.overwrite
        && !output::confirm(&format!("Files in {} that are in the snapshot too will be replaced. Go ahead?", target.display()))
    {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    Ok(RestoreOptions { paths: wanted(args), overwrite: args.overwrite })
}

fn wanted(args: &args::Restore) -> Vec<String> {
    args.path.iter().map(|p| p.trim_matches('/').to_owned()).collect()
}

fn thaw(args: &args::Restore) -> Thaw {
    Thaw { wait: !args.no_wait, urgent: args.urgent, ..Thaw::default() }
}

fn tell_thaw(context: &Context, plan: Option<&ThawPlan>) {
    if let Some(ThawPlan { destination, packs, bytes }) = plan {
        context.output.say(format!(
            "{} ({}) are archived at `{destination}`: they are asked for first, and that takes hours (--urgent: fewer, for more money).",
            words::of(*packs, "pack", "packs"),
            words::bytes(*bytes)
        ));
    }
}

fn told(context: &Context, args: &args::Restore, target: &Path, row: &SnapshotRow, outcome: &RestoreOutcome) -> CustodyResult<u8> {
    let out = &context.output;
    if outcome.files == 0 && outcome.failed.is_empty() && !args.path.is_empty() {
        return Err(CustodyError::Usage("nothing in the snapshot is at these paths: `keepsake snapshot ls` shows what there is".into()));
    }
    out.say(format!(
        "Snapshot {} is in {}: {} ({}).",
        &row.id[..8],
        target.display(),
        words::of(outcome.files, "file", "files"),
        words::bytes(outcome.bytes)
    ));
    for (path, reason) in &outcome.failed {
        out.warn(format!("not brought back: {path}: {reason}"));
    }
    let code = if outcome.failed.is_empty() {
        COMPLETE
    } else if outcome.damaged {
        DAMAGED
    } else {
        SKIPPED
    };
    out.summary(code, json!({ "snapshot": row.id, "files": outcome.files, "bytes": outcome.bytes, "failed": outcome.failed }));
    Ok(code)
}

fn tell(context: &Context, plan: &RestorePlan, replace: bool) {
    let out = &context.output;
    let conflict = if replace {
        "here in another version, replaced (the old one stays in the history)"
    } else {
        "here in another version, left (--replace takes the snapshot's)"
    };
    let lines = [
        (plan.new, "new"),
        (plan.same, "here already, the same"),
        (plan.conflicting, conflict),
        (plan.deleted, "deleted here, left so (--bring-back brings them back)"),
    ];
    for (count, what) in lines.iter().filter(|(count, _)| *count > 0) {
        out.say(format!("  {:>9}  {what}", words::count(*count)));
    }
}

async fn into_vault(context: &Context, args: &args::Restore) -> CustodyResult<u8> {
    let source = context.source(&args.from)?;
    let custody = context.open().await?;
    let out = &context.output;
    // A repository elsewhere may bring an owner of its own; the home's repositories belong to owners that are here.
    let here = match (&source, &context.global.owner) {
        (Source::Elsewhere { .. }, None) => {
            custody.owners().await?.into_iter().next().ok_or_else(|| CustodyError::Damaged("this home has no owner".into()))?
        }
        _ => context.owner(&custody).await?,
    };
    if let Some(archived) = custody.plan_thaw(here.id, &source, &args.snapshot, &[]).await? {
        tell_thaw(context, Some(&archived));
        if args.dry_run {
            out.say("What would be restored can be told when they can be read.");
            out.summary(COMPLETE, json!({ "dry_run": true, "archived": archived }));
            return Ok(COMPLETE);
        }
        if !context.global.yes && !output::confirm("Ask for them?") {
            return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
        }
    }
    if !args.dry_run {
        let progress = context.progress();
        let thawed = custody.thaw(here.id, &source, &args.snapshot, &[], thaw(args), progress.clone()).await;
        progress.finish();
        thawed?;
    }
    let (bundle, id) = custody.snapshot_bundle(here.id, &source, &args.snapshot).await?;
    let from = format!("snapshot {}", &id.to_string()[..8]);
    let plan = custody.plan_restore(here.id, &bundle, &from).await?;
    out.say(format!("From {from}:"));
    tell(context, &plan, args.replace);
    if args.dry_run {
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan }));
        return Ok(COMPLETE);
    }
    if !context.global.yes && !output::confirm("Go ahead?") {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let owner = match &source {
        Source::Elsewhere { .. } => custody.bundle_owner(&bundle, context.global.owner.as_deref()).await?,
        Source::Home => here,
    };
    let mode = if args.replace { RestoreMode::Replace } else { RestoreMode::KeepLive };
    let choice = RestoreChoice { mode, bring_back: args.bring_back };
    let progress = context.progress();
    let report = custody.restore_into(owner.id, &bundle, &from, choice, &*progress).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    out.say(format!(
        "Brought back {} and {}.",
        words::of(report.memories, "memory", "memories"),
        words::of(report.media, "original", "originals")
    ));
    for (what, reason) in report.plan.unreadable.iter().chain(&report.media_missing) {
        out.warn(format!("not brought back: {what}: {reason}"));
    }
    let code = if report.plan.unreadable.is_empty() && report.media_missing.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!({ "report": report }));
    Ok(code)
}
