//! A volume as the data that the template reads: arrays that begin with what they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use keepsake_formats::{
    book::{Leaf, Paper, Volume},
    text::{Block, Inline, Target},
};

use crate::{Fonts, coverage::Cover};

/// Lines of code that are set together: typst takes far more than twice the time for twice the lines.
const CODE_LINES: usize = 200;

/// The widest that a picture may be, and the highest, in millimetres.
fn room(paper: Paper) -> (f64, f64) {
    match paper {
        Paper::A5 => (116.0, 120.0),
        Paper::A4 => (170.0, 180.0),
        Paper::Letter => (176.0, 170.0),
    }
}

/// Pixels are not made larger than this on paper: 96 an inch, in millimetres.
const PIXEL_MM: f64 = 25.4 / 96.0;

/// Makes the template's data, and gathers the pictures in the order of their names `/m/0`, `/m/1` …
pub(crate) struct Tree<'a> {
    pub cover: &'a Cover<'a>,
    pub fonts: &'a Fonts,
    pub paper: Paper,
    pub pictures: Vec<Vec<u8>>,
    /// The names of the pictures of the leaf that is being made, by key: one that is shown twice is there once.
    pub named: BTreeMap<String, String>,
}

impl Tree<'_> {
    pub fn volume(&mut self, volume: &Volume, parts: bool) -> Value {
        let book = &volume.book;
        let date = book.date.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
        let paper = match book.paper {
            Paper::A5 => "a5",
            Paper::A4 => "a4",
            Paper::Letter => "us-letter",
        };
        let leaves: Vec<Value> = volume.leaves.iter().map(|leaf| self.leaf(leaf, &book.language)).collect();
        json!({
            "title": self.cover.text(&book.title),
            "author": self.cover.text(&book.author),
            "number": volume.number,
            "language": language(&book.language),
            "fonts": self.fonts.families(&book.language),
            "paper": paper,
            "date": [date.year(), date.month(), date.day(), date.hour(), date.minute(), date.second()],
            "parts": parts,
            "leaves": leaves,
            "data": volume.data.is_some(),
        })
    }

    fn leaf(&mut self, leaf: &Leaf, of_book: &str) -> Value {
        self.named.clear();
        let tag = leaf.language.as_deref().unwrap_or(of_book);
        let mut blocks: Vec<Value> = leaf.blocks.iter().flat_map(|block| self.block(block, leaf)).collect();
        // What the text does not show stands after it: no photo is lost.
        let shown = keepsake_formats::text::figures(&leaf.blocks);
        for key in leaf.figures.keys().filter(|key| !shown.contains(&key.as_str())) {
            blocks.push(self.figure(key, "", leaf));
        }
        json!({
            "part": leaf.part.as_deref().map(|part| self.cover.text(part)),
            // Whoever listens to a book needs a name for each place in it.
            "heading": self.cover.text(if leaf.heading.trim().is_empty() { "Without a title" } else { &leaf.heading }),
            "facts": leaf.facts.iter().map(|fact| self.cover.text(fact)).collect::<Vec<_>>(),
            "language": language(tag),
            "fonts": self.fonts.families(tag),
            "rtl": is_right_to_left(leaf),
            "blocks": blocks,
        })
    }

    fn block(&mut self, block: &Block, leaf: &Leaf) -> Vec<Value> {
        let one = |value| vec![value];
        match block {
            Block::Paragraph(pieces) => one(json!(["p", self.line(pieces)])),
            Block::Heading(level, pieces) => one(json!(["h", level, self.line(pieces)])),
            Block::List(first, items) => {
                let items: Vec<Vec<Value>> = items.iter().map(|item| item.iter().flat_map(|b| self.block(b, leaf)).collect()).collect();
                one(first.map_or_else(|| json!(["ul", items]), |first| json!(["ol", first, items])))
            }
            Block::Quote(inside) => one(json!(["quote", inside.iter().flat_map(|block| self.block(block, leaf)).collect::<Vec<_>>()])),
            Block::Code(text) => {
                let lines: Vec<&str> = text.lines().collect();
                lines.chunks(CODE_LINES).map(|some| json!(["pre", self.cover.text(&some.join("\n"))])).collect()
            }
            Block::Table(head, rows) => {
                let cells = |row: &Vec<Vec<Inline>>| row.iter().map(|cell| self.line(cell)).collect::<Vec<_>>();
                one(json!(["table", cells(head), rows.iter().map(cells).collect::<Vec<_>>()]))
            }
            Block::Rule => one(json!(["rule"])),
            Block::Figure(key, alt) => one(self.figure(key, alt, leaf)),
        }
    }

    fn figure(&mut self, key: &str, alt: &str, leaf: &Leaf) -> Value {
        let Some(figure) = leaf.figures.get(key) else {
            let told = if alt.trim().is_empty() { format!("An attachment that is not here ({key})") } else { format!("{alt} (not here)") };
            return json!(["gone", self.cover.text(&told)]);
        };
        let alt = self.cover.text(if alt.trim().is_empty() { &figure.alt } else { alt });
        let caption = figure.caption.as_deref().map(|caption| self.cover.text(caption));
        match &figure.picture {
            Ok(picture) => {
                let (widest, highest) = room(self.paper);
                let (width, height) = (f64::from(picture.width.max(1)), f64::from(picture.height.max(1)));
                let width = widest.min(width * PIXEL_MM).min(highest * width / height);
                let name = self.named.entry(key.to_owned()).or_insert_with(|| {
                    self.pictures.push(picture.jpeg.clone());
                    format!("/m/{}", self.pictures.len() - 1)
                });
                json!(["img", name, alt, caption, width])
            }
            Err(reason) => json!(["gone", format!("{alt} ({})", self.cover.text(reason)), caption]),
        }
    }

    fn line(&self, pieces: &[Inline]) -> Vec<Value> {
        let piece = |piece: &Inline| match piece {
            Inline::Text(text) => json!(["t", self.cover.text(text).replace('\n', " ")]),
            Inline::Code(text) => json!(["code", self.cover.text(text).replace('\n', " ")]),
            Inline::Emphasis(inside) => json!(["em", self.line(inside)]),
            Inline::Strong(inside) => json!(["strong", self.line(inside)]),
            Inline::Struck(inside) => json!(["strike", self.line(inside)]),
            Inline::Break => json!(["br"]),
            Inline::Link(Target::Url(url), inside) => json!(["a", url, self.line(inside)]),
            // Other memories may be in another volume, and attachments are not in the file.
            Inline::Link(_, inside) => json!(["em", self.line(inside)]),
        };
        pieces.iter().map(piece).collect()
    }
}

/// The primary language, as typst takes it: two or three letters.
pub(crate) fn language(tag: &str) -> String {
    let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let is_one = (2..=3).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_lowercase());
    if is_one { primary } else { "en".to_owned() }
}

/// Whether a text runs from right to left: by its first letter that has a direction (Unicode Bidirectional Algorithm, rule P2).
fn is_right_to_left(leaf: &Leaf) -> bool {
    fn first(blocks: &[Block]) -> Option<char> {
        blocks.iter().find_map(|block| match block {
            Block::Paragraph(pieces) | Block::Heading(_, pieces) => {
                keepsake_formats::text::plain(pieces).chars().find(|c| c.is_alphabetic())
            }
            Block::Quote(inside) => first(inside),
            Block::List(_, items) => items.iter().find_map(|item| first(item)),
            _ => None,
        })
    }
    let runs_left = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    first(&leaf.blocks).is_some_and(runs_left)
}
