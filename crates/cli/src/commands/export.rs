//! `export`.

mod batch;
mod telling;

use std::{path::PathBuf, sync::Arc};

use keepsake_custody::{
    BagFormat, BatchItem, BookOptions, CustodyError, CustodyResult, Dialect, Epub, ExportOptions, Layout, MediaOptions, Paper,
    PictureFormat, SealTo, Typesetter,
};
use keepsake_press::{Fonts, Press};
use serde_json::json;

pub(super) use self::telling::tell_left_out;
use self::telling::{tell_bag, tell_begun, tell_made, words_of_plan};
use crate::{
    args::{self, ExportFormat},
    commands::{Context, exports, filled, secrets},
    exit::COMPLETE,
};

/// Where systems keep fonts.
const FONT_FOLDERS: [&str; 4] = ["/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts"];
pub async fn run(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    if let Some(verb) = &args.verb {
        return exports::run(context, verb).await;
    }
    if let Some(template) = &args.template {
        refuse_with_template(args)?;
        return filled::run(context, args, template).await;
    }
    if args.format.len() > 1 || args.every_owner {
        return batch::run(context, args).await;
    }
    let format = args.format.first().copied().unwrap_or(ExportFormat::Json);
    refuse_unfit(args, &[format])?;
    match item(args, format, args.out.clone().unwrap_or_default(), secrets::seal(&args.whither)?)? {
        BatchItem::Bag(options) => bag(context, args, &options).await,
        BatchItem::Book(options, typesetter) => book(context, &options, typesetter).await,
    }
}

/// Refuses what belongs to none of the formats that are asked for, or not to all of them.
fn refuse_unfit(args: &args::Export, formats: &[ExportFormat]) -> CustodyResult<()> {
    let has = |format| formats.contains(&format);
    let refused = |text: &str| Err(CustodyError::Usage(text.into()));
    let of_book = args.title.is_some() || args.language.is_some() || args.paper.is_some() || args.with_data || !args.fonts.is_empty();
    let has_book = has(ExportFormat::Pdf) || has(ExportFormat::Epub);
    if of_media(args) && !has(ExportFormat::Media) {
        return refused("--layout, --embed, --convert and --max-side belong to the files themselves: add --format media");
    }
    if args.dialect.is_some() && !has(ExportFormat::Csv) {
        return refused("--dialect belongs to tables: add --format csv");
    }
    if of_book && !has_book {
        return refused("--title, --paper, --language, --with-data and --fonts belong to a book: add --format pdf or epub");
    }
    if (args.paper.is_some() || !args.fonts.is_empty()) && !has(ExportFormat::Pdf) {
        return refused("--paper and --fonts are for paper: the reader of an EPUB chooses its own");
    }
    if has_book && args.for_sharing {
        return refused(
            "a book has no such form yet: its pictures hold nothing but the picture; leave --for-sharing out and say --filter sensitivity:normal",
        );
    }
    if has_book && (args.part_size.is_some() || args.dry_run) {
        return refused("--part-size and --dry-run belong to bags: a book ends its volumes by itself");
    }
    Ok(())
}

/// An export of one format.
fn item(args: &args::Export, format: ExportFormat, out: PathBuf, seal: Option<SealTo>) -> CustodyResult<BatchItem> {
    let format = match format {
        ExportFormat::Json => BagFormat::Json,
        ExportFormat::Xml => BagFormat::Xml,
        ExportFormat::Markdown => BagFormat::Markdown,
        ExportFormat::Csv => BagFormat::Csv(match args.dialect {
            None | Some(args::Dialect::Faithful) => Dialect::Faithful,
            Some(args::Dialect::Spreadsheet) => Dialect::Spreadsheet,
        }),
        ExportFormat::Html => BagFormat::Html,
        ExportFormat::Media => BagFormat::Media(media(&args.media)),
        ExportFormat::Epub => return Ok(BatchItem::Book(book_options(args, out, seal), Arc::new(Epub))),
        ExportFormat::Pdf => return Ok(BatchItem::Book(book_options(args, out, seal), Arc::new(press(&args.fonts)?))),
    };
    Ok(BatchItem::Bag(ExportOptions {
        out,
        destination: args.whither.destination.clone(),
        seal,
        format,
        filter: args.filter.clone(),
        part_bytes: args.part_size,
        for_sharing: args.for_sharing,
        anew: args.anew,
    }))
}

fn book_options(args: &args::Export, out: PathBuf, seal: Option<SealTo>) -> BookOptions {
    BookOptions {
        out,
        destination: args.whither.destination.clone(),
        seal,
        filter: args.filter.clone(),
        title: args.title.clone(),
        language: args.language.clone(),
        paper: match args.paper {
            None | Some(args::Paper::A5) => Paper::A5,
            Some(args::Paper::A4) => Paper::A4,
            Some(args::Paper::Letter) => Paper::Letter,
        },
        with_data: args.with_data,
        anew: args.anew,
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
            args::Convert::Avif => PictureFormat::Avif,
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

async fn book(context: &Context, options: &BookOptions, typesetter: Arc<dyn Typesetter>) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let progress = context.progress();
    let made = custody.export_book(owner, options, typesetter, progress.clone()).await;
    progress.finish();
    if made.is_err() {
        tell_begun(context, &custody, owner, &options.out, "Volumes").await;
    }
    let made = made?;
    custody.close().await;
    let code = tell_made(context, &made);
    context.output.summary(code, json!(made));
    Ok(code)
}

async fn bag(context: &Context, args: &args::Export, options: &ExportOptions) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let (progress, out) = (context.progress(), &context.output);
    if args.dry_run {
        let plan = custody.plan_export(owner, options, progress.clone()).await;
        progress.finish();
        let plan = plan?;
        custody.close().await;
        out.say(format!("It would hold {}", words_of_plan(&plan, args.for_sharing)));
        out.summary(COMPLETE, json!({ "dry_run": true, "plan": plan, "parts": plan.parts() }));
        return Ok(COMPLETE);
    }
    let report = custody.export(owner, options, progress.clone()).await;
    progress.finish();
    if report.is_err() && args.part_size.is_some() {
        tell_begun(context, &custody, owner, &options.out, "Parts").await;
    }
    let report = report?;
    custody.close().await;
    let code = tell_bag(context, &report, options.format);
    out.summary(code, json!(report));
    Ok(code)
}
