//! The pages of a volume: a part after the other, cut where a reader would take long to open one.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::Sha256Digest;

use crate::{
    book::{Figure, Leaf, Volume},
    markup::{Markup, Surroundings},
    text,
};

/// A page ends with the block with which it reaches so many bytes: readers lay out one at a time.
const PAGE_BYTES: usize = 200_000;

/// A file of the book.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path, from the package on.
    pub name: String,
    pub text: String,
}

/// An entry of the contents, with those inside it.
#[derive(Debug)]
pub(super) struct Entry {
    pub words: String,
    pub address: String,
    pub inside: Vec<Entry>,
}

/// Makes pages of leaves.
pub(super) struct Pages<'a> {
    volume: &'a Volume,
    open: Markup,
    is_begun: bool,
    leaves: usize,
    pub done: Vec<Page>,
    pub contents: Vec<Entry>,
    /// By name: a picture that is shown twice is there once.
    pub pictures: BTreeMap<String, &'a [u8]>,
    /// Whether somebody wrote about each picture what it shows.
    pub all_described: bool,
    pub replaced: BTreeMap<char, u64>,
}

impl<'a> Pages<'a> {
    pub fn new(volume: &'a Volume) -> Self {
        let mut pages = Self {
            volume,
            open: Markup::default(),
            is_begun: false,
            leaves: 0,
            done: Vec::new(),
            contents: Vec::new(),
            pictures: BTreeMap::new(),
            all_described: true,
            replaced: BTreeMap::new(),
        };
        pages.title();
        pages
    }

    fn title(&mut self) {
        let book = &self.volume.book;
        let mut page = Markup::default();
        page.open("section", &[("class", "title"), ("epub:type", "titlepage")]).words("h1", &[("dir", "auto")], &book.title);
        page.words("p", &[("dir", "auto")], &book.author);
        if let Some(number) = self.volume.number {
            page.words("p", &[("lang", "en"), ("xml:lang", "en")], &format!("Volume {number}"));
        }
        page.close("section");
        self.contents.push(Entry { words: "Title".into(), address: "title.xhtml".into(), inside: Vec::new() });
        let text = self.wrapped(&book.title, "", &page);
        self.done.push(Page { name: "title.xhtml".into(), text });
    }

    /// A leaf: in the page that is open, or in a new one if a part begins.
    pub fn leaf(&mut self, leaf: &'a Leaf) {
        if leaf.part.is_some() {
            self.end_page();
        }
        self.leaves += 1;
        let heading = if leaf.heading.trim().is_empty() { "Without a title" } else { &leaf.heading };
        let (address, anchor) = (self.page_name(), format!("m{}", self.leaves));
        if let Some(part) = &leaf.part {
            self.open.words("h1", &[("dir", "auto")], part);
            self.contents.push(Entry { words: part.clone(), address: address.clone(), inside: Vec::new() });
        }
        let entry = Entry { words: heading.to_owned(), address: format!("{address}#{anchor}"), inside: Vec::new() };
        // The first is the title page.
        match self.contents.get_mut(1..).and_then(<[Entry]>::last_mut) {
            Some(part) => part.inside.push(entry),
            None => self.contents.push(entry),
        }
        self.begin_section(leaf, Some(&anchor));
        self.open.words("h2", &[("dir", "auto")], heading);
        if !leaf.facts.is_empty() {
            self.open.open("ul", &[("class", "facts"), ("lang", "en"), ("xml:lang", "en")]);
            for fact in &leaf.facts {
                self.open.words("li", &[("dir", "auto")], fact);
            }
            self.open.close("ul");
        }
        self.pictures_of(leaf);
        let around = Around { leaf };
        for block in &leaf.blocks {
            if self.open.len() >= PAGE_BYTES {
                self.open.close("section");
                self.end_page();
                self.begin_section(leaf, None);
            }
            self.open.blocks(std::slice::from_ref(block), 3, &around);
        }
        // What the text does not show stands after it: no photo is lost.
        let shown: BTreeSet<&str> = text::figures(&leaf.blocks).into_iter().collect();
        for key in leaf.figures.keys().filter(|key| !shown.contains(key.as_str())) {
            around.figure(&mut self.open, key, "");
        }
        self.open.close("section");
        if self.open.len() >= PAGE_BYTES {
            self.end_page();
        }
    }

    fn begin_section(&mut self, leaf: &Leaf, anchor: Option<&str>) {
        self.is_begun = true;
        let mut attributes = vec![("class", "memory")];
        attributes.extend(anchor.map(|anchor| ("id", anchor)));
        if let Some(language) = &leaf.language {
            attributes.extend([("lang", language.as_str()), ("xml:lang", language.as_str())]);
        }
        self.open.open("section", &attributes);
    }

    fn pictures_of(&mut self, leaf: &'a Leaf) {
        for figure in leaf.figures.values() {
            if let Ok(picture) = &figure.picture {
                self.all_described &= figure.is_described;
                self.pictures.insert(picture_name(&picture.jpeg), &picture.jpeg);
            }
        }
    }

    fn page_name(&self) -> String {
        format!("text/p{:04}.xhtml", self.done.len())
    }

    fn end_page(&mut self) {
        if !self.is_begun {
            return;
        }
        let page = std::mem::take(&mut self.open);
        let title = self.contents.last().map_or_else(|| self.volume.book.title.clone(), |part| part.words.clone());
        let (name, text) = (self.page_name(), self.wrapped(&title, "../", &page));
        self.done.push(Page { name, text });
        self.is_begun = false;
    }

    /// That was the last leaf.
    pub fn finish(&mut self) {
        self.end_page();
    }

    /// A page as a document (EPUB 3.3, 6.1).
    fn wrapped(&mut self, title: &str, up: &str, body: &Markup) -> String {
        let page = document(&self.volume.book.language, title, up, body);
        page.replaced().iter().for_each(|(c, count)| *self.replaced.entry(*c).or_default() += count);
        page.into_string()
    }
}

/// A body as an XHTML document.
pub(super) fn document(language: &str, title: &str, up: &str, body: &Markup) -> Markup {
    let mut page = Markup::default();
    page.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html>\n");
    let attributes = [
        ("xmlns", "http://www.w3.org/1999/xhtml"),
        ("xmlns:epub", "http://www.idpf.org/2007/ops"),
        ("lang", language),
        ("xml:lang", language),
    ];
    page.open("html", &attributes).open("head", &[]).words("title", &[], title);
    page.void("link", &[("rel", "stylesheet"), ("type", "text/css"), ("href", &format!("{up}book.css"))]);
    page.close("head").raw("\n").open("body", &[]).append(body).close("body").close("html").raw("\n");
    page
}

/// Where a picture stands, from the package on.
fn picture_name(jpeg: &[u8]) -> String {
    format!("pictures/{}.jpg", &Sha256Digest::of(jpeg).to_string()[..32])
}

struct Around<'a> {
    leaf: &'a Leaf,
}

impl Surroundings for Around<'_> {
    // Other memories may be in another volume, and attachments are not in the file.
    fn memory(&self, _: &str) -> Option<String> {
        None
    }

    fn attachment(&self, _: &str) -> Option<String> {
        None
    }

    fn figure(&self, markup: &mut Markup, key: &str, words: &str) {
        let Some(Figure { picture, alt, caption, .. }) = self.leaf.figures.get(key) else {
            let told =
                if words.trim().is_empty() { format!("An attachment that is not here ({key})") } else { format!("{words} (not here)") };
            markup.words("p", &[("class", "gone"), ("dir", "auto")], &told);
            return;
        };
        let alt = if words.trim().is_empty() { alt } else { words };
        markup.open("figure", &[]);
        match picture {
            Ok(picture) => {
                let (name, width, height) = (picture_name(&picture.jpeg), picture.width.to_string(), picture.height.to_string());
                let attributes = [("src", &*format!("../{name}")), ("alt", alt), ("width", &width), ("height", &height)];
                markup.void("img", &attributes);
            }
            Err(reason) => {
                markup.words("p", &[("class", "gone"), ("dir", "auto")], &format!("{alt} ({reason})"));
            }
        }
        if let Some(caption) = caption.as_ref().filter(|caption| !caption.trim().is_empty()) {
            markup.words("figcaption", &[("dir", "auto")], caption);
        }
        markup.close("figure");
    }
}
