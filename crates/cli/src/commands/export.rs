//! `export`.

use std::{path::PathBuf, sync::Arc};

use keepsake_custody::{
    BagFormat, BookOptions, BookReport, CustodyError, CustodyResult, Dialect, Epub, ExportOptions, ExportReport, ExportState,
    ExportSummary, Layout, MediaOptions, Paper, PictureFormat, Typesetter,
};
use keepsake_press::{Fonts, Press};
use serde_json::json;

use crate::{
    args,
    commands::{Context, exports, filled, secrets},
    exit::{COMPLETE, SKIPPED},
    words,
};

/// Where systems keep fonts.
const FONT_FOLDERS: [&str; 4] = ["/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts"];
/// So many of what could not be shown are named; `--json` and the manifest name all.
const NAMED: usize = 20;

pub async fn run(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    if let Some(verb) = &args.verb {
        return exports::run(context, verb).await;
    }
    if let Some(template) = &args.template {
        refuse_with_template(args)?;
        return filled::run(context, args, template).await;
    }
    let of_book = args.title.is_some() || args.language.is_some() || args.paper.is_some() || args.with_data || !args.fonts.is_empty();
    let is_book = matches!(args.format, args::ExportFormat::Pdf | args::ExportFormat::Epub);
    let of_media = of_media(args);
    match args.format {
        format if of_media && format != args::ExportFormat::Media => Err(CustodyError::Usage(
            "--layout, --embed, --convert and --max-side belong to the files themselves: add --format media".into(),
        )),
        format if args.dialect.is_some() && format != args::ExportFormat::Csv => {
            Err(CustodyError::Usage("--dialect belongs to tables: add --format csv".into()))
        }
        _ if of_book && !is_book => Err(CustodyError::Usage(
            "--title, --paper, --language, --with-data and --fonts belong to a book: add --format pdf or epub".into(),
        )),
        args::ExportFormat::Epub if args.paper.is_some() || !args.fonts.is_empty() => {
            Err(CustodyError::Usage("--paper and --fonts are for paper: the reader of an EPUB chooses its own".into()))
        }
        args::ExportFormat::Pdf | args::ExportFormat::Epub if args.for_sharing => Err(CustodyError::Usage(
            "a book has no such form yet: its pictures hold nothing but the picture; leave --for-sharing out and say --filter sensitivity:normal".into(),
        )),
        args::ExportFormat::Pdf | args::ExportFormat::Epub if args.whither.is_encrypted() || is_away(args) => {
            Err(CustodyError::Usage(
                "--encrypt, --encrypt-to, --destination and URLs belong to archives: a book is made as files here, which `age` encrypts and any program sends".into(),
            ))
        }
        args::ExportFormat::Pdf | args::ExportFormat::Epub if args.part_size.is_some() || args.anew || args.dry_run => {
            Err(CustodyError::Usage("--part-size, --dry-run and --anew belong to bags: a book ends its volumes by itself".into()))
        }
        args::ExportFormat::Json => bag(context, args, BagFormat::Json).await,
        args::ExportFormat::Xml => bag(context, args, BagFormat::Xml).await,
        args::ExportFormat::Markdown => bag(context, args, BagFormat::Markdown).await,
        args::ExportFormat::Csv => {
            let dialect = match args.dialect {
                None | Some(args::Dialect::Faithful) => Dialect::Faithful,
                Some(args::Dialect::Spreadsheet) => Dialect::Spreadsheet,
            };
            bag(context, args, BagFormat::Csv(dialect)).await
        }
        args::ExportFormat::Html => bag(context, args, BagFormat::Html).await,
        args::ExportFormat::Media => bag(context, args, BagFormat::Media(media(&args.media))).await,
        args::ExportFormat::Epub => book(context, args, Arc::new(Epub)).await,
        args::ExportFormat::Pdf => book(context, args, Arc::new(press(&args.fonts)?)).await,
    }
}

/// What becomes of the files themselves.
fn media(args: &args::Media) -> MediaOptions {
    MediaOptions {
        layout: match args.layout {
            None | Some(args::Layout::Date) => Layout::Date,
            Some(args::Layout::Collection) => Layout::Collection,
            Some(args::Layout::Person) => Layout::Person,
        },
        embed: args.embed,
        convert: args.convert.map(|format| match format {
            args::Convert::Jpeg => PictureFormat::Jpeg,
            args::Convert::Png => PictureFormat::Png,
            args::Convert::Webp => PictureFormat::WebP,
        }),
        side_max: args.max_side,
    }
}

/// Whether something is asked that belongs to the files themselves.
fn of_media(args: &args::Export) -> bool {
    args.media.layout.is_some() || args.media.embed || args.media.convert.is_some() || args.media.max_side.is_some()
}

/// What a template does not do is refused: nobody is to believe that a file is encrypted, or elsewhere, that is not.
fn refuse_with_template(args: &args::Export) -> CustodyResult<()> {
    if args.whither.is_encrypted() || is_away(args) {
        return Err(CustodyError::Usage(
            "--encrypt, --encrypt-to, --encrypt-to-file, --destination and URLs belong to archives: a template makes files here, which `age` encrypts and any program sends".into(),
        ));
    }
    if of_media(args) {
        return Err(CustodyError::Usage(
            "--layout, --embed, --convert and --max-side belong to the files themselves: say --format media instead of --template".into(),
        ));
    }
    Ok(())
}

/// Whether it is to be elsewhere than in a folder here.
fn is_away(args: &args::Export) -> bool {
    args.whither.destination.is_some() || args.out.as_ref().is_some_and(|out| out.to_string_lossy().contains("://"))
}

/// What sets books and templates on paper.
pub(super) fn press(fonts: &[PathBuf]) -> CustodyResult<Press> {
    if let Some(none) = fonts.iter().find(|folder| !folder.is_dir()) {
        return Err(CustodyError::Usage(format!("{} is no folder: --fonts takes one that holds fonts", none.display())));
    }
    let folders: Vec<PathBuf> = if fonts.is_empty() { FONT_FOLDERS.map(PathBuf::from).into() } else { fonts.to_vec() };
    Ok(Press::new(Fonts::load(&folders), concat!("Keepsake ", env!("CARGO_PKG_VERSION"))))
}

async fn book(context: &Context, args: &args::Export, typesetter: Arc<dyn Typesetter>) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let options = BookOptions {
        out: args.out.clone().unwrap_or_default(),
        filter: args.filter.clone(),
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
    let report = custody.export_book(owner, &options, typesetter, progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    tell_book(context, &report);
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    context.output.summary(code, json!(report));
    Ok(code)
}

/// What pages do not show, by name, and how many files they only name.
pub(super) fn tell_left_out(context: &Context, skipped: &[(String, String)], named_only: u64) {
    let out = &context.output;
    for (what, reason) in skipped.iter().take(NAMED) {
        out.warn(format!("not shown: {what}: {reason}"));
    }
    if skipped.len() > NAMED {
        out.warn(format!("… and {} more: the manifest names all", skipped.len() - NAMED));
    }
    if named_only > 0 {
        let count = words::of(named_only, "recording, film or document is", "recordings, films or documents are");
        out.say(format!("{count} named, not shown: `keepsake export --format json` has the originals."));
    }
}

fn tell_book(context: &Context, report: &BookReport) {
    let out = &context.output;
    let is_paper = report.volumes.iter().any(|volume| volume.pages.is_some());
    for volume in &report.volumes {
        let memories = words::of(volume.memories as u64, "memory", "memories");
        let pages = volume.pages.map_or_else(String::new, |pages| format!(" on {}", words::of(pages as u64, "page", "pages")));
        out.say(format!("{}: {memories}{pages} ({}).", volume.name, words::bytes(volume.bytes)));
    }
    tell_left_out(context, &report.skipped, report.named_only);
    let replaced: u64 = report.replaced.values().sum();
    if replaced > 0 {
        let kinds: Vec<&str> = report.replaced.keys().take(5).map(String::as_str).collect();
        let more = if report.replaced.len() > kinds.len() { " …" } else { "" };
        let (characters, kinds) = (words::of(replaced, "character", "characters"), format!("{}{more}", kinds.join(", ")));
        out.warn(if is_paper {
            format!(
                "{characters} that no font has: each is printed as its number ({kinds}). --fonts FOLDER takes more fonts, such as Noto's."
            )
        } else {
            format!("{characters} that no reader may be given: U+FFFD stands for each ({kinds}).")
        });
    }
    out.say(if is_paper {
        "It is PDF/A-3a and PDF/UA-1: for archives, and for those who cannot see it. Beside it stands a manifest with its SHA-256."
    } else {
        "It is EPUB 3.3, for every reader of books. Beside it stands a manifest with its SHA-256."
    });
}

async fn bag(context: &Context, args: &args::Export, format: BagFormat) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let options = ExportOptions {
        out: args.out.clone().unwrap_or_default(),
        destination: args.whither.destination.clone(),
        seal: secrets::seal(&args.whither)?,
        format,
        filter: args.filter.clone(),
        part_bytes: args.part_size,
        for_sharing: args.for_sharing,
        anew: args.anew,
    };
    let (progress, out) = (context.progress(), &context.output);
    if args.dry_run {
        let plan = custody.plan_export(owner, &options, progress.clone()).await;
        progress.finish();
        let plan = plan?;
        custody.close().await;
        let [memories, originals] =
            [(plan.memories, "memory", "memories"), (plan.media, "original", "originals")].map(|(n, a, b)| words::of(n, a, b));
        let parts = words::of(plan.parts() as u64, "part", "parts");
        out.say(format!(
            "It would hold {memories} and {}{originals}, {} before anything is compressed, in {parts}.",
            if args.for_sharing { "up to " } else { "" },
            words::bytes(plan.bytes)
        ));
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan, "parts": plan.parts() }));
        return Ok(COMPLETE);
    }
    let report = custody.export(owner, &options, progress.clone()).await;
    progress.finish();
    let is_begun = |export: &ExportSummary| export.state == ExportState::Begun && !export.parts.is_empty();
    if report.is_err() && args.part_size.is_some() && custody.exports(owner).await?.iter().any(is_begun) {
        out.say("Parts that are whole stay; the same command goes on with the others.");
    }
    let report = report?;
    custody.close().await;
    tell_bag(context, &report, format);
    let code = if report.skipped.is_empty() { COMPLETE } else { SKIPPED };
    out.summary(code, json!(report));
    Ok(code)
}

fn tell_bag(context: &Context, report: &ExportReport, format: BagFormat) {
    let out = &context.output;
    if let Some(began) = &report.resumed {
        let kept = words::of(report.kept as u64, "part was", "parts were");
        out.say(format!("Went on with the export of {began}, at the state that it had then; {kept} there already. --anew begins again."));
    }
    if let Some(reason) = &report.began_anew {
        out.warn(format!("began again: {reason}"));
    }
    let what = match report.parts.as_slice() {
        [first, .., last] => format!("{} to {}", first.path.display(), last.path.display()),
        _ => report.out.clone(),
    };
    let [memories, files] = [(report.memories, "memory", "memories"), (report.files, "file", "files")].map(|(n, a, b)| words::of(n, a, b));
    out.say(format!("{what}: {memories} in {files} ({}).", words::bytes(report.bytes)));
    if report.remade > 0 {
        let remade = words::of(report.remade as u64, "part was", "parts were");
        out.say(format!("{remade} written again, because something in it was erased meanwhile."));
    }
    // Of files, one may be there, but not as it was asked for.
    let what = if matches!(format, BagFormat::Media(_)) { "not as asked:" } else { "left out" };
    for (path, reason) in &report.skipped {
        out.warn(format!("{what} {path}: {reason}"));
    }
    out.say(match format {
        BagFormat::Json => "It is a BagIt bag: its manifest lets anybody check it, `keepsake import` takes it back.",
        BagFormat::Csv(_) => "It is a BagIt bag: its manifest lets anybody check it, datapackage.json says what is in the tables.",
        BagFormat::Xml => "It is a BagIt bag: its manifest lets anybody check it, keepsake.xsd says what is in the XML.",
        BagFormat::Markdown => {
            "It is a BagIt bag: its manifest lets anybody check it. Any program that reads Markdown reads its data/memories."
        }
        BagFormat::Html => {
            "It is a BagIt bag: its manifest lets anybody check it. Open its data/index.html in a browser; no network is needed."
        }
        BagFormat::Media(_) => {
            "It is a BagIt bag: its manifest lets anybody check it. Photo programs take its data; media.csv in it says what each file is."
        }
    });
}
