//! `export`.

use keepsake_custody::{CustodyResult, ExportOptions};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    words,
};

pub async fn run(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let progress = context.progress();
    let report = custody.export(owner, &ExportOptions { out: args.out.clone() }, progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    let out = &context.output;
    out.say(format!(
        "{}: {} in {} ({}).",
        report.out,
        words::of(report.memories, "memory", "memories"),
        words::of(report.files, "file", "files"),
        words::bytes(report.bytes)
    ));
    for (path, reason) in &report.skipped {
        out.warn(format!("left out {path}: {reason}"));
    }
    out.say("It is a BagIt bag: its manifest lets anybody check it, `keepsake import` takes it back.");
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!(report));
    Ok(code)
}
