//! What is said of exports.

use std::path::Path;

use keepsake_custody::{BagFormat, BookReport, Custody, ExportPlan, ExportReport, ExportState, ExportSummary, MadeBook};
use keepsake_record::OwnerId;

use crate::{
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    words,
};

/// So many of what could not be shown are named; `--json` and the manifest name all.
const NAMED: usize = 20;

/// Says how a book went; answers the exit code.
pub fn tell_made(context: &Context, made: &MadeBook) -> u8 {
    let MadeBook { report, resumed, kept, remade, began_anew, .. } = made;
    tell_resumed(context, resumed.as_deref(), &words::of(*kept as u64, "volume was", "volumes were"), began_anew.as_deref());
    tell_book(context, report);
    tell_remade(context, *remade, "volume was", "volumes were");
    code(report.skipped.len())
}

/// The exit code of what has left so many things out.
fn code(skipped: usize) -> u8 {
    if skipped == 0 { COMPLETE } else { SKIPPED }
}

/// That a run which failed did not fail for nothing.
pub async fn tell_begun(context: &Context, custody: &Custody, owner: OwnerId, out: &Path, parts: &str) {
    // Of one that goes elsewhere, the end of the URL is the same.
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_begun = |export: &ExportSummary| export.state == ExportState::Begun && !export.parts.is_empty() && export.out.ends_with(&name);
    // What went wrong is told by the error; this is only for comfort.
    if custody.exports(owner).await.is_ok_and(|exports| exports.iter().any(is_begun)) {
        context.output.say(format!("{parts} that are whole stay; the same command goes on with the others."));
    }
}

/// What an export would hold, to the end of the sentence.
pub fn words_of_plan(plan: &ExportPlan, is_for_sharing: bool) -> String {
    let [memories, originals] =
        [(plan.memories, "memory", "memories"), (plan.media, "original", "originals")].map(|(n, a, b)| words::of(n, a, b));
    // How many copies can be made is known when they are made.
    let up_to = if is_for_sharing { "up to " } else { "" };
    let (size, parts) = (words::bytes(plan.bytes), words::of(plan.parts() as u64, "part", "parts"));
    format!("{memories} and {up_to}{originals}, {size} before anything is compressed, in {parts}.")
}

fn tell_resumed(context: &Context, resumed: Option<&str>, kept: &str, began_anew: Option<&str>) {
    if let Some(began) = resumed {
        let told = format!("Went on with the export of {began}, at the state that it had then; {kept} there already. --anew begins again.");
        context.output.say(told);
    }
    if let Some(reason) = began_anew {
        context.output.warn(format!("began again: {reason}"));
    }
}

fn tell_remade(context: &Context, remade: usize, one: &str, several: &str) {
    if remade > 0 {
        let remade = words::of(remade as u64, one, several);
        context.output.say(format!("{remade} written again, because something in it was erased meanwhile."));
    }
}

/// What pages do not show, by name, and how many files they only name.
pub fn tell_left_out(context: &Context, skipped: &[(String, String)], named_only: u64) {
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

/// Says how a bag went; answers the exit code.
pub fn tell_bag(context: &Context, report: &ExportReport, format: BagFormat) -> u8 {
    let out = &context.output;
    let kept = words::of(report.kept as u64, "part was", "parts were");
    tell_resumed(context, report.resumed.as_deref(), &kept, report.began_anew.as_deref());
    let what = match report.parts.as_slice() {
        [first, .., last] => format!("{} to {}", first.path.display(), last.path.display()),
        _ => report.out.clone(),
    };
    let [memories, files] = [(report.memories, "memory", "memories"), (report.files, "file", "files")].map(|(n, a, b)| words::of(n, a, b));
    out.say(format!("{what}: {memories} in {files} ({}).", words::bytes(report.bytes)));
    tell_remade(context, report.remade, "part was", "parts were");
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
    code(report.skipped.len())
}
