//! Several exports at once: of several formats, of every owner, or both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keepsake_custody::{BatchItem, BatchMade, Custody, CustodyError, CustodyResult, Monitor, shown_place};
use keepsake_record::{Owner, OwnerId};
use serde_json::{Value, json};

use super::{is_away, item, refuse_unfit, tell_bag, tell_made, words_of_plan};
use crate::{
    args::{self, ExportFormat},
    commands::{Context, secrets},
    exit::{self, COMPLETE},
};

/// What archives and books end with.
const ENDINGS: [&str; 5] = [".tar.gz", ".tgz", ".zip", ".epub", ".pdf"];
const SEALED: &str = ".age";
/// Longer names of owners are cut: file systems take 255 bytes.
const OWNER_CHARS_MAX: usize = 40;

pub async fn run(context: &Context, args: &args::Export) -> CustodyResult<u8> {
    let formats = &args.format;
    if formats.iter().enumerate().any(|(at, format)| formats[..at].contains(format)) {
        return Err(CustodyError::Usage("a format is named twice: say each once".into()));
    }
    refuse_unfit(args, formats)?;
    let out = args.out.clone().unwrap_or_default();
    if out.file_name().is_none() {
        return Err(CustodyError::Usage(format!("{} has no name: say what to make, such as memories.zip", out.display())));
    }
    let seal = secrets::seal(&args.whither)?;
    let custody = context.open().await?;
    let owners = if args.every_owner { custody.owners().await? } else { vec![context.owner(&custody).await?] };
    let called = args.every_owner.then(|| called(&owners, is_away(args)));
    let progress = context.progress();
    let (mut codes, mut all) = (Vec::new(), Vec::new());
    for owner in &owners {
        let name = called.as_ref().and_then(|called| called.get(&owner.id).map(String::as_str));
        let of_format = |format: &ExportFormat| {
            let word = (formats.len() > 1).then(|| word(*format));
            let book = match format {
                ExportFormat::Pdf => Some(".pdf"),
                ExportFormat::Epub => Some(".epub"),
                _ => None,
            };
            item(args, *format, named(&out, name, word.as_deref(), book), seal.clone())
        };
        let items = formats.iter().map(of_format).collect::<CustodyResult<Vec<_>>>()?;
        if args.dry_run {
            all.extend(planned(context, &custody, owner.id, &items).await?);
            continue;
        }
        let made = match custody.export_batch(owner.id, &items, progress.clone()).await {
            Err(error) if codes.is_empty() => return Err(error),
            made => made,
        };
        progress.finish();
        let of_owner = match made {
            Ok(made) => items.iter().zip(made).map(|(item, made)| tell(context, item, made)).collect(),
            Err(error) => vec![failed(context, &owner.name, &error)],
        };
        for (code, value) in of_owner {
            codes.push(code);
            all.push(json!({ "owner": owner.id, "outcome": exit::name(code), "exit_code": code, "export": value }));
        }
        if progress.cancelled() {
            break;
        }
    }
    custody.close().await;
    let code = whole(&codes);
    context.output.summary(code, json!({ "dry_run": args.dry_run, "exports": all }));
    Ok(code)
}

/// Says what bags would hold. Books were refused before.
async fn planned(context: &Context, custody: &Custody, owner: OwnerId, items: &[BatchItem]) -> CustodyResult<Vec<Value>> {
    let mut all = Vec::new();
    for item in items {
        let BatchItem::Bag(options) = item else { continue };
        let progress = context.progress();
        let plan = custody.plan_export(owner, options, progress.clone()).await;
        progress.finish();
        let plan = plan?;
        let out = shown_place(&options.out);
        context.output.say(format!("{out} would hold {}", words_of_plan(&plan, options.for_sharing)));
        all.push(json!({ "owner": owner, "out": out, "plan": plan, "parts": plan.parts() }));
    }
    Ok(all)
}

/// Says how one went; answers its exit code, and what programs are told.
fn tell(context: &Context, item: &BatchItem, made: CustodyResult<BatchMade>) -> (u8, Value) {
    let (out, format) = match item {
        BatchItem::Bag(options) => (&options.out, options.format),
        BatchItem::Book(options, _) => (&options.out, Default::default()),
    };
    match made {
        Ok(BatchMade::Bag(report)) => (tell_bag(context, &report, format), json!(report)),
        Ok(BatchMade::Book(made)) => (tell_made(context, &made), json!(made)),
        Err(error) => failed(context, &shown_place(out), &error),
    }
}

fn failed(context: &Context, what: &str, error: &CustodyError) -> (u8, Value) {
    let code = exit::of(error);
    context.output.error(exit::name(code), &format!("{what}: {error}"), Some(code));
    (code, json!({ "out": what, "message": error.to_string() }))
}

/// The code of all: that of the first that failed, or whether something was left out.
fn whole(codes: &[u8]) -> u8 {
    let failed = codes.iter().find(|code| **code != COMPLETE && **code != exit::SKIPPED);
    failed.or(codes.iter().max()).copied().unwrap_or(COMPLETE)
}

/// A format as it is written on the command line.
fn word(format: ExportFormat) -> String {
    clap::ValueEnum::to_possible_value(&format).map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A name for each owner that can stand in the name of a file; who is called like another has the end of the id in it, too. Objects in
/// stores have plain names only.
fn called(owners: &[Owner], is_away: bool) -> BTreeMap<OwnerId, String> {
    let is_kept = |c: char| if is_away { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() };
    let plain = |owner: &Owner| {
        let name: String = owner.name.chars().map(|c| if is_kept(c) { c } else { '-' }).take(OWNER_CHARS_MAX).collect();
        name.trim_matches('-').to_lowercase()
    };
    let of = |owner: &Owner| {
        let name = plain(owner);
        let is_alone = owners.iter().filter(|other| plain(other) == name).count() == 1;
        let id = owner.id.to_string();
        // An id begins with a time, and ends with what differs.
        let end = id.rsplit('-').next().unwrap_or(&id).to_owned();
        let name = match (name.is_empty(), is_alone) {
            (true, _) => end,
            (false, true) => name,
            (false, false) => format!("{name}-{end}"),
        };
        (owner.id, name)
    };
    owners.iter().map(of).collect()
}

/// `memories.zip` as `memories-ada-json.zip`; a book has its own ending, and is the only one with it.
fn named(out: &Path, owner: Option<&str>, format: Option<&str>, book: Option<&str>) -> PathBuf {
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let seal = name.len().checked_sub(SEALED.len()).filter(|at| name.is_char_boundary(*at) && name[*at..].eq_ignore_ascii_case(SEALED));
    let (rest, seal) = name.split_at(seal.unwrap_or(name.len()));
    let lower = rest.to_ascii_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(*ending)).map_or(0, |ending| ending.len());
    let (stem, ending) = rest.split_at(rest.len() - ending);
    let is_book = [".epub", ".pdf"].iter().any(|one| ending.eq_ignore_ascii_case(one));
    let ending = match book {
        Some(book) => book,
        // A bag is no book: without an ending it becomes a folder.
        None if is_book => "",
        None => ending,
    };
    let owner = owner.map(|owner| format!("-{owner}")).unwrap_or_default();
    let format = format.filter(|_| book.is_none()).map(|format| format!("-{format}")).unwrap_or_default();
    out.with_file_name(format!("{stem}{owner}{format}{ending}{seal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for (out, owner, format, book, expected) in [
            ("a/memories.zip", None, Some("json"), None, "a/memories-json.zip"),
            ("a/memories.tar.gz", Some("ada"), Some("xml"), None, "a/memories-ada-xml.tar.gz"),
            ("memories", None, Some("html"), None, "memories-html"),
            ("memories.zip", None, Some("epub"), Some(".epub"), "memories.epub"),
            ("memories.zip.age", Some("ada"), Some("pdf"), Some(".pdf"), "memories-ada.pdf.age"),
            ("book.epub", None, Some("json"), None, "book-json"),
            ("book.EPUB", None, Some("epub"), Some(".epub"), "book.epub"),
            ("s3://bucket/folder/memories.zip", Some("ada"), None, None, "s3://bucket/folder/memories-ada.zip"),
            ("日記", None, Some("csv"), None, "日記-csv"),
        ] {
            assert_eq!(named(Path::new(out), owner, format, book), Path::new(expected));
        }
    }

    #[test]
    fn one_that_failed_decides() {
        assert_eq!([whole(&[]), whole(&[0, 3, 0]), whole(&[0, 4, 3]), whole(&[5, 1])], [0, 3, 4, 5]);
    }
}
