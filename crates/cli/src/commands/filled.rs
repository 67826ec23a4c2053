//! `export --template`.

use std::sync::Arc;

use keepsake_custody::{CustodyError, CustodyResult, TemplateExport, TemplateKind, TemplatePlan, TemplateReport};
use serde_json::json;

use crate::{
    args,
    commands::{Context, export},
    exit::{COMPLETE, SKIPPED},
    words,
};

/// So many of what could not be shown are named; `--json` and the manifest name all.
const NAMED: usize = 20;

pub async fn run(context: &Context, args: &args::Export, template: &str) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let options = TemplateExport {
        template: template.into(),
        out: args.out.clone().unwrap_or_default(),
        filter: args.filter.clone(),
        title: args.title.clone(),
        language: args.language.clone(),
    };
    let out = &context.output;
    if !args.fonts.is_empty() && !matches!(custody.template(template).await?.summary.kind, Some(TemplateKind::Typst) | None) {
        return Err(CustodyError::Usage(format!("--fonts is for paper, and {template} makes none: leave it out")));
    }
    if args.dry_run {
        let plan = custody.plan_template(owner, &options).await?;
        custody.close().await;
        tell_plan(context, &plan);
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan }));
        return Ok(COMPLETE);
    }
    let progress = context.progress();
    let setter = Arc::new(export::press(&args.fonts)?);
    let report = custody.export_template(owner, &options, setter, progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    tell(context, &report);
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!(report));
    Ok(code)
}

fn tell_plan(context: &Context, plan: &TemplatePlan) {
    let [memories, files, attachments] =
        [(plan.memories, "memory", "memories"), (plan.files, "file", "files"), (plan.attachments, "attachment", "attachments")]
            .map(|(n, a, b)| words::of(n, a, b));
    let originals =
        if plan.original_bytes > 0 { format!(", with {} of originals", words::bytes(plan.original_bytes)) } else { String::new() };
    let filter = plan.filter.as_ref().map_or_else(String::new, |filter| format!(" Only what this filter takes: {filter}"));
    context.output.say(format!("It would make {files} of {memories} and their {attachments}{originals}.{filter}"));
    let left_out = [
        (plan.too_long, "memory is", "memories are", "too long to be set"),
        (plan.damaged, "memory is", "memories are", "damaged: `keepsake verify` tells more"),
        (plan.missing, "file is", "files are", "not here, because they never arrived"),
    ];
    for (count, one, many, why) in left_out.into_iter().filter(|(count, ..)| *count > 0) {
        context.output.warn(format!("to be left out: {} {why}", words::of(count, one, many)));
    }
}

fn tell(context: &Context, report: &TemplateReport) {
    let out = &context.output;
    for file in report.files.iter().take(NAMED) {
        let memories = words::of(file.memories.unwrap_or_default(), "memory", "memories");
        let pages = file.pages.map_or_else(String::new, |pages| format!(" on {}", words::of(pages as u64, "page", "pages")));
        out.say(format!("{}: {memories}{pages} ({}).", file.name, words::bytes(file.bytes)));
    }
    if report.files.len() > NAMED {
        out.say(format!("… and {} more files.", words::count((report.files.len() - NAMED) as u64)));
    }
    if let Some(filter) = &report.filter {
        out.say(format!("Only what this filter takes: {filter}"));
    }
    if !report.beside.is_empty() {
        let beside = words::of(report.beside.len() as u64, "picture or original lies", "pictures and originals lie");
        out.say(format!("{beside} beside it, and a manifest with the SHA-256 of each file."));
    }
    export::tell_left_out(context, &report.skipped, report.named_only);
    let replaced: u64 = report.replaced.values().sum();
    if replaced > 0 {
        let kinds: Vec<&str> = report.replaced.keys().take(5).map(String::as_str).collect();
        let characters = words::of(replaced, "character", "characters");
        out.warn(format!(
            "{characters} in the data that no font has: where one is shown, its number is printed ({}). --fonts FOLDER takes more fonts, such as Noto's.",
            kinds.join(", ")
        ));
    }
}
