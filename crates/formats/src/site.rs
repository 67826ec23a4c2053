//! Memories as a site of pages that needs no server and no network: opened from its folder, it works as it will in decades.
//!
//! Pages by month, in the order in which things happened; galleries and a page for each photo; pages of people, places, collections and tags; a
//! search whose index is cut into scripts that are loaded when they are needed. Everything but the search works without scripts. Nothing is loaded
//! from elsewhere, and a Content Security Policy in each page says so. No more than a day is held at once, beside what memories are called and the index.

mod article;
mod chain;
mod frame;
mod index;
mod photos;
mod search;
mod shelves;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use keepsake_record::{Collection, Memory, MemoryId, Owner, Person, Place, Sha256Digest, Tag, Timestamp};
use serde::de::DeserializeOwned;

use self::{
    article::Article,
    chain::Chain,
    frame::Frame,
    index::{Index, Listed},
    photos::Photos,
    search::Search,
    shelves::{Shelf, Shelves},
};
use crate::{markup::Markup, names::Names, programs::Programs, text, told};

const STYLE: &str = include_str!("site/site.css");
const SCRIPT: &str = include_str!("site/search.js");

/// A page of memories ends with the one with which it holds so many of them,
const PAGE_MEMORIES: usize = 40;
/// or so many bytes.
const PAGE_BYTES: usize = 200_000;
/// A day with more bytes than this is shown in the order in which it is stored, in pieces that are each in order.
const DAY_BYTES: usize = 64 << 20;

/// What all pages say.
struct About {
    /// Whose memories they are.
    title: String,
    /// The language of memories that name none, BCP 47.
    language: String,
    /// The instant that they show.
    date: Timestamp,
}

/// Where the bytes of originals come from, when something has to be shown of them.
pub trait Originals: Sync {
    /// An original of so many bytes.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence.
    fn read(&self, digest: &Sha256Digest, length: u64) -> Result<Vec<u8>, String>;
}

/// What pictures are made of, and with.
struct Making<'a> {
    originals: &'a dyn Originals,
    programs: &'a Programs,
    /// Where programs work.
    space: PathBuf,
}

/// Takes files as they are made: their paths, and what is in them.
pub type Out<'a> = dyn FnMut(&str, &[u8]) -> io::Result<()> + 'a;

/// Writes a site.
pub struct Site<'a> {
    frame: Frame,
    making: Making<'a>,
    names: Names,
    shelves: Shelves,
    index: Index,
    search: Search,
    photos: Photos,
    months: Chain,
    /// The months, with how many memories each has.
    counts: Vec<(String, String, u64)>,
    /// The day that is being gathered, and its bytes.
    day: (String, Vec<Memory>, usize),
    /// Memories that others lead to.
    linked: BTreeSet<MemoryId>,
    skipped: Vec<(String, String)>,
}

impl<'a> Site<'a> {
    /// A site that shows an instant; what has to wait waits in a file in `space`, and programs that are asked work there.
    ///
    /// # Errors
    /// `space` cannot be written.
    pub fn new(date: Timestamp, originals: &'a dyn Originals, programs: &'a Programs, space: &Path) -> io::Result<Self> {
        Ok(Self {
            frame: Frame::new(About { title: "Memories".into(), language: "en".into(), date }),
            making: Making { originals, programs, space: space.to_owned() },
            names: Names::default(),
            shelves: Shelves::default(),
            index: Index::new(space)?,
            search: Search::default(),
            photos: Photos::default(),
            months: Chain::new(""),
            counts: Vec::new(),
            day: Default::default(),
            linked: BTreeSet::new(),
            skipped: Vec::new(),
        })
    }

    /// Takes a line of a file that is not memories, all of them before the first memory. What a site has no page for is passed over.
    ///
    /// # Errors
    /// It is no record.
    pub fn thing(&mut self, path: &str, line: &[u8]) -> Result<(), String> {
        fn record<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
            serde_json::from_slice(line).map_err(|error| error.to_string())
        }
        match path {
            "people.ndjson" => {
                let person: Person = record(line)?;
                self.names.people.insert(person.id.to_string(), person.name.clone());
                self.shelves.add_person(person);
            }
            "places.ndjson" => {
                let place: Place = record(line)?;
                let parts = [Some(&place.name), place.locality.as_ref(), place.country.as_ref()];
                let mut parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
                parts.dedup();
                let name = parts.join(", ");
                self.shelves.add_place(&place, &name);
                self.names.places.insert(place.id.to_string(), name);
            }
            "collections.ndjson" => {
                let collection: Collection = record(line)?;
                self.names.collections.insert(collection.id.to_string(), collection.name.clone());
                self.shelves.add_collection(collection);
            }
            "owner.json" => {
                let owner: Owner = record(line)?;
                self.frame.about.title = owner.name;
                self.frame.about.language = owner.settings.language.unwrap_or_else(|| "en".into());
            }
            "tags.ndjson" => self.shelves.add_tag(&record::<Tag>(line)?.name),
            _ => {}
        }
        Ok(())
    }

    /// Takes a memory of a day; days come in their order, those of a day in any.
    ///
    /// # Errors
    /// `out` fails.
    pub fn memory(&mut self, day: &str, memory: Memory, bytes: usize, out: &mut Out<'_>) -> io::Result<()> {
        if self.day.0 != day || self.day.2 > DAY_BYTES {
            self.end_day(out)?;
            day.clone_into(&mut self.day.0);
        }
        self.day.2 += bytes;
        self.day.1.push(memory);
        Ok(())
    }

    fn end_day(&mut self, out: &mut Out<'_>) -> io::Result<()> {
        let mut memories = std::mem::take(&mut self.day.1);
        self.day.2 = 0;
        memories.sort_by_key(|memory| (memory.when.sort_micros(), memory.created, memory.id));
        let mut rest = memories.as_slice();
        while !rest.is_empty() {
            let (some, others) = rest.split_at(photos::batch(rest));
            let problems = self.photos.prepare(some, &self.making, out)?;
            self.skipped.extend(problems);
            some.iter().try_for_each(|memory| self.show(memory, out))?;
            rest = others;
        }
        Ok(())
    }

    fn show(&mut self, memory: &Memory, out: &mut Out<'_>) -> io::Result<()> {
        let month = memory.when.day.map_or_else(|| "undated".to_owned(), |day| day.to_string()[..7].to_owned());
        let title = told::month(memory.when.day);
        if self.counts.last().is_none_or(|(last, ..)| *last != month) {
            self.counts.push((month.clone(), title.clone(), 0));
            self.months.begin(&format!("months/{month}.html"), &title, &self.frame, out)?;
        } else if self.months.is_full(PAGE_MEMORIES, PAGE_BYTES) {
            self.months.go_on(&self.frame, out)?;
        }
        if let Some((.., count)) = self.counts.last_mut() {
            *count += 1;
        }
        let blocks = text::parse(&memory.text);
        let heading = told::heading(memory, &blocks);
        let words = text::all(&blocks);
        let listed = Listed {
            address: format!("{}#m-{}", self.months.path(), memory.id),
            heading: heading.clone(),
            when: told::when(&memory.when).unwrap_or_default(),
            excerpt: search::excerpt(&words),
            language: memory.language.clone().unwrap_or_else(|| self.frame.about.language.clone()),
        };
        let number = self.index.add(memory.id, &listed)?;
        self.search.add(number, &searched(memory, &words, &self.names));
        self.shelves.note(memory, number);
        let article = Article {
            memory,
            blocks: &blocks,
            heading: &heading,
            names: &self.names,
            photos: &self.photos,
            language: &self.frame.about.language,
            page: self.months.path(),
            linked: std::cell::RefCell::default(),
        };
        let mut markup = Markup::default();
        article.write(&mut markup);
        self.linked.append(&mut article.linked.take());
        self.months.add(&markup);
        self.photos.show(memory, &self.names, &listed, &month, &title, &self.frame, out)
    }

    /// Writes what can be written only when all memories are known. Answers what could not be shown, each with the reason.
    ///
    /// # Errors
    /// `out` fails.
    pub fn finish(mut self, out: &mut Out<'_>) -> io::Result<Vec<(String, String)>> {
        self.end_day(out)?;
        self.months.end(&self.frame, out)?;
        self.photos.end(&self.frame, out)?;
        for shelf in Shelf::ALL {
            self.shelves.write(shelf, &mut self.index, &self.frame, out)?;
        }
        self.index.write_links(&self.linked, &self.frame, out)?;
        self.search.write(&mut self.index, &self.frame, out)?;
        self.frame.write_home(&self.counts, self.index.len(), self.photos.count(), &self.shelves.counts(), out)?;
        out("site.css", STYLE.as_bytes())?;
        out("search.js", SCRIPT.as_bytes())?;
        Ok(self.skipped)
    }
}

/// The words that a memory is found by.
fn searched(memory: &Memory, text: &str, names: &Names) -> String {
    let mut words = text.to_owned();
    let mut add = |more: &str| {
        words.push('\n');
        words.push_str(more);
    };
    memory.title.iter().for_each(|title| add(title));
    memory.tags.iter().for_each(|tag| add(tag.as_str()));
    memory.people.iter().filter_map(|id| names.people.get(&id.to_string())).for_each(|name| add(name));
    memory.place.iter().filter_map(|id| names.places.get(&id.to_string())).for_each(|name| add(name));
    for attachment in &memory.attachments {
        [&attachment.alt, &attachment.caption].into_iter().flatten().for_each(|said| add(said));
    }
    words
}
