//! `import`.

use std::path::PathBuf;

use keepsake_custody::{Bundle, Custody, CustodyError, CustodyResult, Format, ImportMode, ImportOptions, ImportReport};
use keepsake_record::Owner;
use serde_json::json;

use crate::{
    args,
    commands::{Context, secrets},
    exit::{COMPLETE, SKIPPED},
    words,
};

/// Problems named one by one; the rest is counted, and named in JSON.
const NAMED: usize = 20;

pub async fn run(context: &Context, args: &args::Import) -> CustodyResult<u8> {
    let format = match args.format.as_str() {
        "auto" => None,
        name => Some(Format::from_name(name).ok_or_else(|| {
            let names = Format::ALL.map(|(name, _)| name).join(", ");
            CustodyError::Usage(format!("there is no format `{name}`; there are auto, {names}"))
        })?),
    };
    let mut options = ImportOptions {
        format,
        map: args.map.parse()?,
        zone: args.zone.as_deref().map(str::parse).transpose()?,
        account: args.account.clone(),
        keep_existing: args.keep_existing,
        replace_edited: args.replace_edited,
        bring_back: args.bring_back,
        named: None,
    };
    let unlock = secrets::unlock(args)?;
    let custody = context.open().await?;
    // From here on Ctrl-C asks to stop: what is decrypted goes again.
    let progress = context.progress();
    let plain = custody.unsealed(&args.path, unlock.as_ref(), progress.clone()).await.inspect_err(|_| progress.finish())?;
    let paths = &plain.paths;
    if plain.named != plain.paths {
        options.named = Some(plain.named.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "));
    }
    let owner = target(context, &custody, args, paths, &options).await?;
    let mode = if args.dry_run { ImportMode::Plan } else { ImportMode::Apply };
    let report = custody.import_all(owner.id, paths, &options, mode, progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    tell(context, &report, mode);
    let code = if report.problems.is_empty() { COMPLETE } else { SKIPPED };
    context.output.summary(code, json!({ "dry_run": args.dry_run, "owner": owner.id.to_string(), "report": report }));
    Ok(code)
}

/// Whose memories they become. A bundle brings its owner along; a dry run changes nobody.
async fn target(
    context: &Context,
    custody: &Custody,
    args: &args::Import,
    paths: &[PathBuf],
    options: &ImportOptions,
) -> CustodyResult<Owner> {
    let may_be_bundle = options.format.is_none_or(|f| f == Format::Bundle);
    if may_be_bundle
        && context.global.owner.is_none()
        && !args.dry_run
        && let [path] = paths
        && let Ok(bundle) = tokio::task::block_in_place(|| Bundle::open(path))
    {
        return custody.bundle_owner(&bundle, None).await;
    }
    context.owner(custody).await
}

fn tell(context: &Context, report: &ImportReport, mode: ImportMode) {
    let out = &context.output;
    let would = if mode == ImportMode::Plan { "would be " } else { "" };
    out.say(format!("Read {} as {}.", words::of(report.items, "item", "items"), report.format));
    let lines = [
        (report.new, format!("{would}new")),
        (report.changed, format!("changed since, {would}kept as new versions")),
        (report.kept, "changed at their source, left as they are here".to_owned()),
        (report.same, "here already, the same".to_owned()),
        (report.deleted, "deleted here and left so (--bring-back brings them back)".to_owned()),
    ];
    for (count, what) in lines.iter().filter(|(count, _)| *count > 0) {
        out.say(format!("  {:>9}  {what}", words::count(*count)));
    }
    if report.media > 0 {
        out.say(format!("  {:>9}  originals stored", words::count(report.media)));
    }
    if report.nothing_new() {
        out.say("Nothing new.");
    }
    for (what, paths) in &report.passed_over {
        let some = paths.iter().take(3).map(|p| words::line(p, 40)).collect::<Vec<_>>().join(", ");
        let more = if paths.len() > 3 { ", …" } else { "" };
        out.say(format!("Passed over {} ({what}): {some}{more}", words::of(paths.len() as u64, "file", "files")));
    }
    if !report.problems.is_empty() {
        out.warn(format!("not as it should be: {}:", words::of(report.problems.len() as u64, "thing", "things")));
        for (origin, reason) in report.problems.iter().take(if context.global.verbose { usize::MAX } else { NAMED }) {
            out.warn(format!("{origin}: {reason}"));
        }
        if report.problems.len() > NAMED && !context.global.verbose {
            out.warn(format!("and {} more; --verbose or --json names them all", words::count((report.problems.len() - NAMED) as u64)));
        }
    }
}
