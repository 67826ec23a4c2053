//! What each memory is called and where it stands, for every page that lists some: kept in a file, because all of them are asked for once more.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use keepsake_record::MemoryId;
use serde::{Deserialize, Serialize};

use super::{Out, chain::Step, frame::Frame};
use crate::markup::Markup;

/// What a list shows of a memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Its page and its place there.
    pub address: String,
    pub heading: String,
    pub when: String,
    pub excerpt: String,
    /// Of heading and excerpt, BCP 47.
    pub language: String,
}

/// All memories by number, from 0 on.
pub(super) struct Index {
    file: BufWriter<File>,
    /// Where each begins in the file, and where the last ends.
    offsets: Vec<u64>,
    numbers: Vec<(MemoryId, u32)>,
}

impl Index {
    pub fn new(space: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile_in(space)?), offsets: vec![0], numbers: Vec::new() })
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Adds a memory; answers its number.
    pub fn add(&mut self, id: MemoryId, listed: &Listed) -> io::Result<u32> {
        let number = u32::try_from(self.numbers.len()).map_err(|_| io::Error::other("more than four milliard memories"))?;
        let line = serde_json::to_vec(listed)?;
        self.file.write_all(&line)?;
        self.offsets.push(self.offsets[self.numbers.len()] + line.len() as u64);
        self.numbers.push((id, number));
        Ok(number)
    }

    /// What a memory is called.
    pub fn get(&mut self, number: u32) -> io::Result<Listed> {
        let (from, to) = (self.offsets[number as usize], self.offsets[number as usize + 1]);
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(from))?;
        let mut line = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
        file.read_exact(&mut line)?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// Pages that lead to the memories that others name, wherever they stand: when a text was written, nobody knew.
    pub fn write_links(&mut self, linked: &BTreeSet<MemoryId>, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        self.numbers.sort_unstable();
        for id in linked {
            let found = self.numbers.binary_search_by(|(known, _)| known.cmp(id)).ok().map(|at| self.numbers[at].1);
            let path = format!("links/{id}.html");
            let (mut head, mut body) = (Markup::default(), Markup::default());
            let title = match found {
                Some(number) => {
                    let Listed { address, heading, when, .. } = self.get(number)?;
                    // At once, and without a script (HTML, 4.2.5.3).
                    head.void("meta", &[("http-equiv", "refresh"), ("content", &format!("0; url=../{address}"))]);
                    body.words("h1", &[("dir", "auto")], &heading).words("p", &[], &when);
                    body.raw("<p>").words("a", &[("href", &format!("../{address}"))], "To the memory").raw("</p>");
                    heading
                }
                None => {
                    body.raw("<h1>Not here</h1><p>The memory that is named there is not among these.</p>");
                    "Not here".to_owned()
                }
            };
            frame.write_special(&Step { path, title }, &head, &body, out)?;
        }
        Ok(())
    }
}

/// A memory in a list.
pub(super) fn entry(listed: &Listed, up: &str) -> Markup {
    let mut item = Markup::default();
    item.raw("<li>").words(
        "a",
        &[("dir", "auto"), ("lang", &listed.language), ("href", &format!("{up}{}", listed.address))],
        &listed.heading,
    );
    if listed.when != listed.heading && !listed.when.is_empty() {
        item.raw(" ").words("span", &[("class", "when")], &listed.when);
    }
    if !listed.excerpt.is_empty() {
        item.words("p", &[("dir", "auto"), ("lang", &listed.language), ("class", "excerpt")], &listed.excerpt);
    }
    item.raw("</li>\n");
    item
}
