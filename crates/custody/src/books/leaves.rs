//! From a memory to what a book shows of it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Path, PathBuf},
};

use keepsake_formats::{
    book::{Figure, Leaf},
    names::Names,
    pictures::{Picture, printable_with},
    programs::Programs,
    text::{self, Block, Inline},
    told,
};
use keepsake_record::{Attachment, Memory};

use crate::render::MediaReader;

/// Longer originals are not decoded for a book.
const PICTURE_BYTES_MAX: u64 = 256 << 20;
/// A figure takes as much room and time as so many characters.
const FIGURE_CHARS: usize = 500;

/// Makes leaves of memories, and keeps what could not be shown.
pub(crate) struct Leaves {
    names: Names,
    media: MediaReader,
    programs: Programs,
    /// Where they work.
    space: PathBuf,
    side_max: u32,
    skipped: RefCell<Vec<(String, String)>>,
    named_only: RefCell<u64>,
}

impl Leaves {
    pub fn new(names: Names, media: MediaReader, programs: Programs, space: PathBuf, side_max: u32) -> Self {
        Self { names, media, programs, space, side_max, skipped: RefCell::default(), named_only: RefCell::default() }
    }

    /// What could not be shown since this was last asked and should have been, and how much was only named.
    pub fn take_problems(&self) -> (Vec<(String, String)>, u64) {
        (self.skipped.take(), self.named_only.take())
    }

    /// A memory as leaves: one, or several if its text is longer than `chars_max`.
    pub fn of(&self, memory: &Memory, chars_max: usize) -> Vec<Leaf> {
        let blocks = text::parse(&memory.text);
        let named: BTreeSet<String> = text::figures(&blocks).into_iter().map(str::to_owned).collect();
        let heading = told::heading(memory, &blocks);
        let mut facts = Vec::new();
        facts.extend(told::when(&memory.when).filter(|when| *when != heading));
        let called = |names: &BTreeMap<String, String>, id: &str| names.get(id).cloned();
        facts.extend(memory.place.as_ref().and_then(|id| called(&self.names.places, &id.to_string())));
        let people: Vec<String> = memory.people.iter().filter_map(|id| called(&self.names.people, &id.to_string())).collect();
        facts.extend((!people.is_empty()).then(|| format!("With {}", people.join(", "))));
        let collections: Vec<String> =
            memory.collections.iter().filter_map(|member| called(&self.names.collections, &member.collection.to_string())).collect();
        facts.extend((!collections.is_empty()).then(|| format!("In {}", collections.join(", "))));
        let tags: Vec<String> = memory.tags.iter().map(|tag| format!("#{}", tag.as_str())).collect();
        facts.extend((!tags.is_empty()).then(|| tags.join(" ")));
        let mut pieces = cut(blocks, chars_max).into_iter();
        let mut leaf =
            Leaf { heading, facts, language: memory.language.clone(), blocks: pieces.next().unwrap_or_default(), ..Leaf::default() };
        let wanted = |attachment: &&Attachment| told::is_shown(attachment) || named.contains(&attachment.key);
        for attachment in memory.attachments.iter().filter(wanted) {
            leaf.figures.insert(attachment.key.clone(), self.figure(attachment, memory));
        }
        for key in named.iter().filter(|key| !leaf.figures.contains_key(*key)) {
            self.skipped.borrow_mut().push((format!("{key} of {}", memory.id), "the text shows an attachment that is not here".into()));
        }
        let mut leaves = vec![leaf];
        for blocks in pieces {
            let heading = format!("{} (continued)", leaves[0].heading);
            leaves.push(Leaf { heading, language: memory.language.clone(), blocks, ..Leaf::default() });
        }
        // A figure belongs to the leaves whose text shows it; one that no text shows stands in the first.
        let all = std::mem::take(&mut leaves[0].figures);
        for (at, leaf) in leaves.iter_mut().enumerate() {
            text::level(&mut leaf.blocks);
            let shown: BTreeSet<String> = text::figures(&leaf.blocks).into_iter().map(str::to_owned).collect();
            let is_here = |key: &String| shown.contains(key) || at == 0 && !named.contains(key);
            leaf.figures = all.iter().filter(|(key, _)| is_here(key)).map(|(key, figure)| (key.clone(), figure.clone())).collect();
        }
        leaves
    }

    fn figure(&self, attachment: &Attachment, memory: &Memory) -> Figure {
        let picture = self.picture(attachment).inspect_err(|reason| {
            if attachment.media_type.starts_with("image/") {
                self.skipped.borrow_mut().push((format!("{} of {}", attachment.name, memory.id), reason.clone()));
            } else {
                *self.named_only.borrow_mut() += 1;
            }
        });
        let (alt, is_described) = told::description(attachment, memory, &self.names);
        Figure { picture, alt, is_described, caption: attachment.caption.clone() }
    }

    fn picture(&self, attachment: &Attachment) -> Result<Picture, String> {
        picture_of(&self.media, attachment, self.side_max, &self.programs, &self.space)
    }
}

/// A photo as a picture that can be shown, or why there is none; programs that are asked work in a folder in `space`.
pub(crate) fn picture_of(
    media: &MediaReader,
    attachment: &Attachment,
    side_max: u32,
    programs: &Programs,
    space: &Path,
) -> Result<Picture, String> {
    let Some(medium) = &attachment.medium else { return Err("the file never arrived".into()) };
    if !attachment.media_type.starts_with("image/") {
        return Err("not on paper".into());
    }
    if medium.bytes > PICTURE_BYTES_MAX {
        return Err("it is too long for a picture".into());
    }
    let mut original = Vec::new();
    let read = media.open(&medium.sha256).and_then(|reader| reader.take(PICTURE_BYTES_MAX).read_to_end(&mut original));
    read.map_err(|error| format!("the original cannot be read: {error}"))?;
    printable_with(&original, side_max, programs, space)
}

/// The characters of a leaf's text.
pub(crate) fn length(leaf: &Leaf) -> usize {
    leaf.blocks.iter().map(block_length).sum::<usize>() + leaf.heading.chars().count()
}

fn line_length(pieces: &[Inline]) -> usize {
    text::plain(pieces).chars().count()
}

fn block_length(block: &Block) -> usize {
    match block {
        Block::Paragraph(pieces) | Block::Heading(_, pieces) => line_length(pieces),
        Block::List(_, items) => items.iter().flatten().map(block_length).sum(),
        Block::Quote(inside) => inside.iter().map(block_length).sum(),
        Block::Code(text) => text.chars().count(),
        Block::Table(head, rows) => head.iter().chain(rows.iter().flatten()).map(|cell| line_length(cell)).sum(),
        Block::Rule => 0,
        Block::Figure(..) => FIGURE_CHARS,
    }
}

/// Cuts a text between its blocks into pieces that are not much longer than a volume; a single paragraph or code that is longer is cut, too.
fn cut(blocks: Vec<Block>, chars_max: usize) -> Vec<Vec<Block>> {
    let mut pieces: Vec<Vec<Block>> = vec![Vec::new()];
    let mut length = 0;
    for block in blocks.into_iter().flat_map(|block| short(block, chars_max)) {
        let more = block_length(&block);
        if length > 0 && length + more > chars_max {
            pieces.push(Vec::new());
            length = 0;
        }
        length += more;
        pieces.last_mut().expect("there is one").push(block);
    }
    pieces
}

fn short(block: Block, chars_max: usize) -> Vec<Block> {
    if block_length(&block) <= chars_max {
        return vec![block];
    }
    let parts = |text: &str| {
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(chars_max / 4).map(|some| some.iter().collect::<String>()).collect::<Vec<_>>()
    };
    match block {
        Block::Code(text) => parts(&text).into_iter().map(Block::Code).collect(),
        Block::List(first, items) => {
            let number = |at: usize| first.map(|first| first + at as u64);
            items
                .into_iter()
                .enumerate()
                .flat_map(|(at, item)| {
                    if item.iter().map(block_length).sum::<usize>() <= chars_max {
                        vec![Block::List(number(at), vec![item])]
                    } else {
                        item.into_iter().flat_map(|b| short(b, chars_max)).collect()
                    }
                })
                .collect()
        }
        Block::Quote(inside) => inside.into_iter().flat_map(|block| short(block, chars_max)).collect(),
        // So long that nobody misses its emphasis.
        Block::Paragraph(pieces) | Block::Heading(_, pieces) => {
            parts(&text::plain(&pieces)).into_iter().map(|text| Block::Paragraph(vec![Inline::Text(text)])).collect()
        }
        Block::Table(head, rows) => {
            let rows: Vec<_> = std::iter::once(head)
                .chain(rows)
                .map(|row| row.iter().map(|cell| text::plain(cell)).collect::<Vec<_>>().join(" | "))
                .collect();
            parts(&rows.join("\n")).into_iter().map(Block::Code).collect()
        }
        Block::Rule | Block::Figure(..) => vec![block],
    }
}
