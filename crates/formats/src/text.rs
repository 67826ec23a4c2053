//! The words of a memory as what they are: Markdown read once, for every format that sets it in a way of its own.
//!
//! CommonMark 0.31 with tables, strikethrough and tasks as on GitHub. Raw HTML is no markup here and stays the text that it is. Whatever was
//! written comes out bounded: containers that are nested too deep are taken apart, and no heading skips a level.

mod reading;

pub use self::reading::{level, parse};

/// A block of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A heading: its level from 1 on, and its words.
    Heading(u8, Vec<Inline>),
    /// A list: the number that it begins with, if it is numbered, and its items.
    List(Option<u64>, Vec<Vec<Block>>),
    /// A quotation.
    Quote(Vec<Block>),
    /// Lines that stay as they are.
    Code(String),
    /// A table: its head and its rows, by cells.
    Table(Vec<Vec<Inline>>, Vec<Vec<Vec<Inline>>>),
    /// A line between two parts.
    Rule,
    /// An attachment: its key, and what the text says that it shows.
    Figure(String, String),
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inline {
    /// Words.
    Text(String),
    /// Stressed.
    Emphasis(Vec<Inline>),
    /// Stressed strongly.
    Strong(Vec<Inline>),
    /// Struck out.
    Struck(Vec<Inline>),
    /// Code.
    Code(String),
    /// A new line.
    Break,
    /// A link.
    Link(Target, Vec<Inline>),
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To the web, or to a mailbox.
    Url(String),
    /// To an attachment of the same memory, by key.
    Attachment(String),
    /// To another memory, by id as text.
    Memory(String),
}

/// The keys of the attachments that stand in the text as figures, in order.
pub fn figures(blocks: &[Block]) -> Vec<&str> {
    blocks
        .iter()
        .flat_map(|block| match block {
            Block::Figure(key, _) => vec![key.as_str()],
            Block::Quote(inside) => figures(inside),
            Block::List(_, items) => items.iter().flat_map(|item| figures(item)).collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// The words of all blocks, a line each.
pub fn all(blocks: &[Block]) -> String {
    let mut words = String::new();
    gather(blocks, &mut words);
    words
}

fn gather(blocks: &[Block], words: &mut String) {
    let mut line = |text: &str| {
        words.push_str(text);
        words.push('\n');
    };
    for block in blocks {
        match block {
            Block::Paragraph(pieces) | Block::Heading(_, pieces) => line(&plain(pieces)),
            Block::Code(text) | Block::Figure(_, text) => line(text),
            Block::Table(head, rows) => head.iter().chain(rows.iter().flatten()).for_each(|cell| line(&plain(cell))),
            Block::Rule => {}
            Block::List(_, items) => items.iter().for_each(|item| line(all(item).trim_end())),
            Block::Quote(inside) => line(all(inside).trim_end()),
        }
    }
}

/// The words alone.
pub fn plain(inlines: &[Inline]) -> String {
    let words = |inline: &Inline| match inline {
        Inline::Text(text) | Inline::Code(text) => text.clone(),
        Inline::Emphasis(inside) | Inline::Strong(inside) | Inline::Struck(inside) | Inline::Link(_, inside) => plain(inside),
        Inline::Break => " ".to_owned(),
    };
    inlines.iter().map(words).collect()
}
