//! A book made of memories: what a typesetter is given, a volume at a time, and what it gives back.

use std::collections::BTreeMap;

use keepsake_record::Timestamp;

use crate::{pictures::Picture, text::Block};

/// A size of paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paper {
    /// 148 × 210 mm.
    #[default]
    A5,
    /// 210 × 297 mm.
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

/// What a book is called, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Its title.
    pub title: String,
    /// Who wrote it.
    pub author: String,
    /// The language of its own words and of memories that name none, BCP 47.
    pub language: String,
    /// What it is printed on.
    pub paper: Paper,
    /// The instant that it shows: all dates in the file derive from it.
    pub date: Timestamp,
}

/// A memory in a book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaf {
    /// Where a part of the book begins with it: the part's title.
    pub part: Option<String>,
    /// Its heading.
    pub heading: String,
    /// What is known of it beside its words, a line each: when, where, who, tags.
    pub facts: Vec<String>,
    /// Its language, BCP 47.
    pub language: Option<String>,
    /// Its text. Figures name what is in [`Leaf::figures`].
    pub blocks: Vec<Block>,
    /// Its attachments by key.
    pub figures: BTreeMap<String, Figure>,
}

/// An attachment in a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// A picture that can be printed, or why there is none.
    pub picture: Result<Picture, String>,
    /// Words for those who cannot see it; never empty.
    pub alt: String,
    /// Whether somebody wrote these words about it; if not, they were made up of what is known.
    pub is_described: bool,
    /// A caption to show.
    pub caption: Option<String>,
}

/// What goes into one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The book it belongs to.
    pub book: Book,
    /// Which volume it is, from 1 on; `None`: the book has only one.
    pub number: Option<usize>,
    /// Names the file for good: the same for the same content, options and program.
    pub ident: String,
    /// The memories.
    pub leaves: Vec<Leaf>,
    /// The same memories as data, to go with the file (NDJSON).
    pub data: Option<Vec<u8>>,
}

/// A volume as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The file.
    pub file: Vec<u8>,
    /// How many pages it has, if it has pages.
    pub pages: Option<usize>,
    /// Characters that cannot be shown, so often each: on paper `[U+XXXX]` stands for them, on screens U+FFFD.
    pub replaced: BTreeMap<char, u64>,
}

/// Sets volumes. A program that can do it hands one in, so that nobody else carries a typesetter.
pub trait Typesetter: Send + Sync {
    /// How the names of its files end, without the dot.
    fn ending(&self) -> &'static str;

    /// What else its pages depend on, such as fonts: another text for others.
    fn set_with(&self) -> String {
        String::new()
    }

    /// How many pixels a side of a picture is of use.
    fn side_max(&self, paper: Paper) -> u32;

    /// Sets a volume.
    ///
    /// # Errors
    /// What could not be set, as a sentence.
    fn set(&self, volume: &Volume) -> Result<Printed, String>;
}
