//! Setting a volume: made into data, compiled, looked at for what has no shape, written as PDF.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_formats::book::{Paper, Printed, Typesetter, Volume};
use keepsake_record::Timestamp;
use typst::{
    diag::{SourceDiagnostic, Warned},
    foundations::{Datetime, Smart},
    layout::{Frame, FrameItem},
};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use crate::{
    Fonts,
    coverage::{Cover, is_ignorable},
    tree::Tree,
    world::Closed,
};

const TEMPLATE: &str = include_str!("book.typ");
/// A volume is set anew without the characters that turn out to have no shape; so often at most.
pub(crate) const ATTEMPTS: usize = 4;

/// Sets books.
pub struct Press {
    pub(crate) fonts: Arc<Fonts>,
    pub(crate) creator: String,
}

impl Press {
    /// With some fonts; `creator` is named in the files as the program that made them.
    pub fn new(fonts: Fonts, creator: impl Into<String>) -> Self {
        Self { fonts: Arc::new(fonts), creator: creator.into() }
    }

    fn try_set(&self, volume: &Volume, refused: &mut BTreeSet<char>) -> Result<Option<Printed>, String> {
        let cover = Cover::new(&self.fonts, refused);
        let mut tree = Tree { cover: &cover, fonts: &self.fonts, paper: volume.book.paper, pictures: Vec::new(), named: BTreeMap::new() };
        let parts = volume.leaves.iter().any(|leaf| leaf.part.is_some());
        let data = tree.volume(volume, parts).to_string().into_bytes();
        let mut files = vec![("/volume.json".to_owned(), data)];
        files.extend(tree.pictures.into_iter().enumerate().map(|(number, jpeg)| (format!("/m/{number}"), jpeg)));
        files.extend(volume.data.iter().map(|data| ("/data.ndjson".to_owned(), data.clone())));
        let replaced = cover.replaced();
        let world = Closed::new(self.fonts.clone(), TEMPLATE, files, date_of(volume.book.date));
        let Warned { output, .. } = typst::compile::<PagedDocument>(&world);
        let document = output.map_err(|errors| told(&errors))?;
        if has_more_shapeless(&document, refused) {
            return Ok(None);
        }
        let standards = PdfStandards::new(&[PdfStandard::A_3a, PdfStandard::Ua_1]).map_err(|error| error.message().to_string())?;
        let options = PdfOptions {
            ident: Smart::Custom(volume.ident.clone()),
            creator: Smart::Custom(Some(self.creator.clone())),
            standards,
            ..PdfOptions::default()
        };
        let pdf = typst_pdf::pdf(&document, &options).map_err(|errors| told(&errors))?;
        Ok(Some(Printed { file: pdf, pages: Some(document.pages().len()), replaced }))
    }
}

impl Typesetter for Press {
    fn ending(&self) -> &'static str {
        "pdf"
    }

    fn set_with(&self) -> String {
        self.fonts.digest()
    }

    fn side_max(&self, paper: Paper) -> u32 {
        // 200 dots an inch over the height of the text.
        if paper == Paper::A5 { 1_000 } else { 1_400 }
    }

    /// As PDF/A-3a and PDF/UA-1.
    fn set(&self, volume: &Volume) -> Result<Printed, String> {
        let mut refused = BTreeSet::new();
        let mut result = Err("characters without a shape turn up again and again".to_owned());
        for _ in 0..ATTEMPTS {
            let attempt = self.try_set(volume, &mut refused);
            // What typst remembers of a volume is of no use to the next.
            comemo::evict(0);
            match attempt {
                Ok(None) => {}
                Ok(Some(printed)) => {
                    result = Ok(printed);
                    break;
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        result
    }
}

/// The day of an instant: what the document takes for today.
pub(crate) fn date_of(date: Timestamp) -> Option<Datetime> {
    let date = date.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    Datetime::from_ymd(date.year().into(), date.month() as u8, date.day() as u8)
}

/// Whether characters have no shape where they stand, beside those that are known; they are by then.
pub(crate) fn has_more_shapeless(document: &PagedDocument, refused: &mut BTreeSet<char>) -> bool {
    let mut shapeless = BTreeSet::new();
    document.pages().iter().for_each(|page| find_shapeless(&page.frame, &mut shapeless));
    let has_more = !shapeless.is_subset(refused);
    refused.extend(shapeless);
    has_more
}

/// The characters of glyphs that are none.
fn find_shapeless(frame: &Frame, found: &mut BTreeSet<char>) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => find_shapeless(&group.frame, found),
            FrameItem::Text(text) => {
                for glyph in text.glyphs.iter().filter(|glyph| glyph.id == 0) {
                    found.extend(to_blame(&text.text[glyph.range()], &text.text[glyph.range().end..]));
                }
            }
            _ => {}
        }
    }
}

/// The characters of a cluster that have no shape together: those that follow the first, for that one is printed elsewhere, too (`1` in a keycap);
/// of them those that can be seen, if there are any. What chooses how the cluster looks may stand after it, in `rest`.
fn to_blame(cluster: &str, rest: &str) -> Vec<char> {
    let choosing = rest.chars().take_while(|c| is_ignorable(*c));
    let following: Vec<char> = cluster.chars().skip(1).filter(|c| !c.is_whitespace()).chain(choosing).collect();
    let seen: Vec<char> = following.iter().copied().filter(|c| !is_ignorable(*c)).collect();
    let first = cluster.chars().filter(|c| !c.is_whitespace()).take(1).collect();
    [seen, following, first].into_iter().find(|some| !some.is_empty()).unwrap_or_default()
}

/// Errors as a sentence, each kind once.
fn told(errors: &[SourceDiagnostic]) -> String {
    let all: BTreeMap<String, ()> = errors.iter().map(|error| (error.message.to_string(), ())).collect();
    all.into_keys().take(3).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_to_blame() {
        assert_eq!(to_blame("1\u{fe0f}\u{20e3}", "x"), ['\u{20e3}']);
        assert_eq!((to_blame("x", "y"), to_blame(" ", "")), (vec!['x'], vec![]));
        assert_eq!((to_blame("1\u{fe0f}", ""), to_blame("1", "\u{fe0f}x")), (vec!['\u{fe0f}'], vec!['\u{fe0f}']));
    }
}
