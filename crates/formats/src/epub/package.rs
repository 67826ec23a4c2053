//! What a volume says of itself, and its contents.

use std::collections::BTreeMap;

use keepsake_record::Sha256Digest;

use super::pages::{Entry, Pages, document};
use crate::{book::Volume, markup::Markup};

/// Where the memories stand as data, if they go with the book.
pub(super) const DATA: &str = "data/memories.ndjson";

/// Languages that are written from right to left.
const RIGHT_TO_LEFT: [&str; 10] = ["ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ur", "yi"];

type Replaced = BTreeMap<char, u64>;

fn done(markup: Markup, replaced: &mut Replaced) -> String {
    markup.replaced().iter().for_each(|(c, count)| *replaced.entry(*c).or_default() += count);
    markup.into_string()
}

/// The package document (EPUB 3.3, 5).
pub(super) fn package(volume: &Volume, pages: &Pages<'_>, replaced: &mut Replaced) -> String {
    let book = &volume.book;
    let mut out = Markup::default();
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let attributes = [
        ("xmlns", "http://www.idpf.org/2007/opf"),
        ("version", "3.0"),
        ("unique-identifier", "id"),
        ("xml:lang", &*book.language),
        ("prefix", "schema: http://schema.org/"),
    ];
    out.open("package", &attributes).raw("\n");
    metadata(volume, pages, &mut out);
    out.open("manifest", &[]);
    let mut item = |id: &str, href: &str, media_type: &str, properties: Option<&str>| {
        let mut attributes = vec![("id", id), ("href", href), ("media-type", media_type)];
        attributes.extend(properties.map(|properties| ("properties", properties)));
        out.void("item", &attributes).raw("\n");
    };
    item("contents", "contents.xhtml", XHTML, Some("nav"));
    item("style", "book.css", "text/css", None);
    for (at, page) in pages.done.iter().enumerate() {
        item(&format!("p{at}"), &page.name, XHTML, None);
    }
    for (at, name) in pages.pictures.keys().enumerate() {
        item(&format!("i{at}"), name, "image/jpeg", None);
    }
    if volume.data.is_some() {
        item("data", DATA, "application/x-ndjson", None);
    }
    out.close("manifest").raw("\n");
    let primary = book.language.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let runs_left = RIGHT_TO_LEFT.contains(&primary.as_str());
    out.open("spine", if runs_left { &[("page-progression-direction", "rtl")] } else { &[] });
    for at in 0..pages.done.len() {
        out.void("itemref", &[("idref", &format!("p{at}"))]);
        if at == 0 {
            out.void("itemref", &[("idref", "contents")]);
        }
    }
    out.close("spine").close("package").raw("\n");
    done(out, replaced)
}

const XHTML: &str = "application/xhtml+xml";

fn metadata(volume: &Volume, pages: &Pages<'_>, out: &mut Markup) {
    let book = &volume.book;
    out.open("metadata", &[("xmlns:dc", "http://purl.org/dc/elements/1.1/")]).raw("\n");
    out.words("dc:identifier", &[("id", "id")], &identifier(&volume.ident)).raw("\n");
    let title = volume.number.map_or_else(|| book.title.clone(), |number| format!("{} · {number}", book.title));
    out.words("dc:title", &[("dir", "auto")], &title).raw("\n");
    out.words("dc:language", &[], &book.language).raw("\n");
    out.words("dc:creator", &[("id", "author"), ("dir", "auto")], &book.author).raw("\n");
    let date = book.date.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    out.words("meta", &[("property", "dcterms:modified")], &date).raw("\n");
    if let Some(number) = volume.number {
        out.words("meta", &[("id", "series"), ("property", "belongs-to-collection")], &book.title);
        out.words("meta", &[("refines", "#series"), ("property", "collection-type")], "set");
        out.words("meta", &[("refines", "#series"), ("property", "group-position")], &number.to_string()).raw("\n");
    }
    let has_pictures = !pages.pictures.is_empty();
    let mut say = |property: &'static str, what: &str| {
        out.words("meta", &[("property", property)], what).raw("\n");
    };
    say("schema:accessMode", "textual");
    if has_pictures {
        say("schema:accessMode", "visual");
        say("schema:accessModeSufficient", "textual,visual");
    }
    if !has_pictures || pages.all_described {
        say("schema:accessModeSufficient", "textual");
    }
    for feature in ["tableOfContents", "readingOrder", "structuralNavigation", "displayTransformability"] {
        say("schema:accessibilityFeature", feature);
    }
    if has_pictures && pages.all_described {
        say("schema:accessibilityFeature", "alternativeText");
    }
    // Text and still pictures: nothing moves, flashes or sounds.
    say("schema:accessibilityHazard", "none");
    let pictures = match (has_pictures, pages.all_described) {
        (false, _) => "It has no pictures.",
        (true, true) => "Each picture has a description that somebody wrote.",
        (true, false) => "Some pictures have no description that somebody wrote, only what is known of them, such as their day and place.",
    };
    say("schema:accessibilitySummary", &format!("Memories under headings, by month, with a table of contents. {pictures}"));
    out.close("metadata").raw("\n");
}

/// The same volume has the same name everywhere: a UUID made of a digest (RFC 9562, 5.8).
fn identifier(ident: &str) -> String {
    let digest = Sha256Digest::of(ident.as_bytes()).to_string();
    let variant = ["8", "9", "a", "b"][usize::from(digest.as_bytes()[16] % 4)];
    format!("urn:uuid:{}-{}-8{}-{variant}{}-{}", &digest[..8], &digest[8..12], &digest[13..16], &digest[17..20], &digest[20..32])
}

/// The contents, and where a book begins (EPUB 3.3, 7).
pub(super) fn contents(volume: &Volume, pages: &Pages<'_>, replaced: &mut Replaced) -> String {
    let mut body = Markup::default();
    body.open("nav", &[("epub:type", "toc"), ("role", "doc-toc"), ("id", "toc")])
        .words("h1", &[("lang", "en"), ("xml:lang", "en")], "Contents")
        .raw("\n");
    entries(&pages.contents, &mut body);
    body.close("nav").raw("\n");
    body.open("nav", &[("epub:type", "landmarks"), ("hidden", "hidden")]).words("h2", &[], "Landmarks").open("ol", &[]);
    let mut mark = |kind: &str, address: &str, words: &str| {
        body.open("li", &[]).words("a", &[("epub:type", kind), ("href", address)], words).close("li");
    };
    mark("titlepage", "title.xhtml", "Title");
    mark("toc", "contents.xhtml#toc", "Contents");
    if let Some(first) = pages.done.get(1) {
        mark("bodymatter", &first.name, "Memories");
    }
    body.close("ol").close("nav");
    done(document(&volume.book.language, "Contents", "", &body), replaced)
}

fn entries(all: &[Entry], out: &mut Markup) {
    out.open("ol", &[]);
    for Entry { words, address, inside } in all {
        out.open("li", &[]).words("a", &[("href", address), ("dir", "auto")], words);
        if !inside.is_empty() {
            entries(inside, out);
        }
        out.close("li").raw("\n");
    }
    out.close("ol");
}
