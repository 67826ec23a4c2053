//! `export`.

use std::{path::PathBuf, sync::Arc};

use keepsake_custody::{BagFormat, BookOptions, BookReport, CustodyError, CustodyResult, Dialect, ExportOptions, Paper};
use keepsake_press::{Fonts, Press};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    words,
};

/// Where systems keep fonts.
const FONT_FOLDERS: [&str; 4] = ["/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts"];
/// So many of what could not be shown are named; `--json` and the manifest name all.
const NAMED: usize = 20;

pub async fn run(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    let of_book = args.title.is_some() || args.language.is_some() || args.paper.is_some() || args.with_data || !args.fonts.is_empty();
    match args.format {
        args::ExportFormat::Json | args::ExportFormat::Pdf if args.dialect.is_some() => {
            Err(CustodyError::Usage("--dialect belongs to tables: add --format csv".into()))
        }
        args::ExportFormat::Json | args::ExportFormat::Csv if of_book => {
            Err(CustodyError::Usage("--title, --paper, --language, --with-data and --fonts belong to a book: add --format pdf".into()))
        }
        args::ExportFormat::Json => bag(context, args, BagFormat::Json).await,
        args::ExportFormat::Csv => {
            let dialect = match args.dialect {
                None | Some(args::Dialect::Faithful) => Dialect::Faithful,
                Some(args::Dialect::Spreadsheet) => Dialect::Spreadsheet,
            };
            bag(context, args, BagFormat::Csv(dialect)).await
        }
        args::ExportFormat::Pdf => book(context, args).await,
    }
}

async fn book(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    if let Some(none) = args.fonts.iter().find(|folder| !folder.is_dir()) {
        return Err(CustodyError::Usage(format!("{} is no folder: --fonts takes one that holds fonts", none.display())));
    }
    let folders: Vec<PathBuf> = if args.fonts.is_empty() { FONT_FOLDERS.map(PathBuf::from).into() } else { args.fonts.clone() };
    let fonts = Fonts::load(&folders);
    let press = Press::new(fonts, concat!("Keepsake ", env!("CARGO_PKG_VERSION")));
    let options = BookOptions {
        out: args.out.clone(),
        title: args.title.clone(),
        language: args.language.clone(),
        paper: match args.paper {
            None | Some(args::Paper::A5) => Paper::A5,
            Some(args::Paper::A4) => Paper::A4,
            Some(args::Paper::Letter) => Paper::Letter,
        },
        with_data: args.with_data,
    };
    let progress = context.progress();
    let report = custody.export_book(owner, &options, Arc::new(press), progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    tell_book(context, &report);
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    context.output.summary(code, json!(report));
    Ok(code)
}

fn tell_book(context: &Context, report: &BookReport) {
    let out = &context.output;
    for volume in &report.volumes {
        let (pages, bytes) = (words::of(volume.pages as u64, "page", "pages"), words::bytes(volume.bytes));
        out.say(format!("{}: {} on {pages} ({bytes}).", volume.name, words::of(volume.memories as u64, "memory", "memories")));
    }
    for (what, reason) in report.skipped.iter().take(NAMED) {
        out.warn(format!("not shown: {what}: {reason}"));
    }
    if report.skipped.len() > NAMED {
        out.warn(format!("… and {} more: the manifest names all", report.skipped.len() - NAMED));
    }
    if report.named_only > 0 {
        let count = words::of(report.named_only, "recording, film or document is", "recordings, films or documents are");
        out.say(format!("{count} named, not shown: `keepsake export --format json` has the originals."));
    }
    let replaced: u64 = report.replaced.values().sum();
    if replaced > 0 {
        let kinds: Vec<&str> = report.replaced.keys().take(5).map(String::as_str).collect();
        let more = if report.replaced.len() > kinds.len() { " …" } else { "" };
        out.warn(format!(
            "{} that no font has: each is printed as its number ({}{more}). --fonts FOLDER takes more fonts, such as Noto's.",
            words::of(replaced, "character", "characters"),
            kinds.join(", ")
        ));
    }
    out.say("It is PDF/A-3a and PDF/UA-1: for archives, and for those who cannot see it. Beside it stands a manifest with its SHA-256.");
}

async fn bag(context: &Context, args: &args::Export, format: BagFormat) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let progress = context.progress();
    let report = custody.export(owner, &ExportOptions { out: args.out.clone(), format }, progress.clone()).await;
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
    out.say(match format {
        BagFormat::Json => "It is a BagIt bag: its manifest lets anybody check it, `keepsake import` takes it back.",
        BagFormat::Csv(_) => "It is a BagIt bag: its manifest lets anybody check it, datapackage.json says what is in the tables.",
    });
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!(report));
    Ok(code)
}
