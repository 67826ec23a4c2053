//! What markup becomes: HTML of the few tags that Markdown has, turned into Markdown a piece at a time.

mod usual;

use self::usual::{UNSEEN, is_block};
use super::{Dialect, Step, Tag, html};

/// A piece is ended where it can be, once it has so many tags or bytes.
const PIECE_TAGS: usize = 1500;
const PIECE_BYTES: usize = 64 << 10;
/// Elements inside one another that are written; of deeper ones only what is inside.
const DEPTH_MAX: usize = 64;
/// So many open elements are looked through for the one that ends.
const NEAR: usize = 64;

#[derive(Default)]
pub(crate) struct Page {
    markdown: String,
    /// HTML that is not turned into Markdown yet, and its tags.
    piece: String,
    tags: usize,
    open: Vec<Open>,
    /// Elements that are written and open, and those of them that no piece can end in.
    written: usize,
    others: usize,
    skipping: usize,
    gathering: Option<String>,
    is_cut: bool,
    /// Whether some elements stood too deep to be written.
    is_flat: bool,
}

struct Open {
    /// As the markup calls it.
    name: String,
    /// Empty where nothing was written for it.
    closing: String,
    /// Where it begins in the piece, and what is inside.
    start: usize,
    inside: usize,
    /// Whether its beginning is in the piece, so that it can still become another element.
    is_fresh: bool,
    what: What,
}

enum What {
    Plain,
    Skipped,
    Gathered(&'static str),
    Link(String),
    /// It stands too deep to be written, and its words stand by themselves.
    Flat,
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    /// The element that is open, as the markup calls it.
    pub fn parent(&self) -> &str {
        self.open.last().map_or("", |open| &open.name)
    }

    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_skipping(&self) -> bool {
        self.skipping > 0
    }

    /// A box that is ticked, or is not. A line that begins with one is an item of a list.
    pub fn tick(&mut self, is_done: bool) {
        if self.gathering.is_some() || self.is_skipping() {
            return;
        }
        if let Some(last) = self.open.last_mut() {
            let is_empty = is_blank(&self.piece, last.inside);
            let is_line = matches!(last.closing.as_str(), "</div>" | "</p>") && last.is_fresh && is_empty;
            if is_line {
                self.others += usize::from(last.closing == "</div>");
                self.piece.truncate(last.start);
                begin_item(&mut self.piece);
                (last.closing, last.inside) = ("</li></ul>".into(), self.piece.len());
            } else if last.closing == "</li></ul>" && self.piece.trim_end().ends_with("<br>") {
                self.piece.truncate(self.piece.trim_end().len() - "<br>".len());
                self.piece.push_str("</li><li>");
            }
        }
        self.piece.push_str(if is_done { "<input type=\"checkbox\" checked>" } else { "<input type=\"checkbox\">" });
        self.tags += 3;
    }

    /// An item of a list, with a box.
    pub fn item(&mut self, is_done: bool, text: &str) {
        self.may_cut();
        begin_item(&mut self.piece);
        self.tick(is_done);
        self.text(text);
        self.piece.push_str("</li></ul>");
        self.tags += 4;
    }

    /// Code that stands by itself.
    pub fn code(&mut self, language: &str, text: &str) {
        self.may_cut();
        let class = if language.is_empty() { String::new() } else { format!(" class=\"language-{}\"", escaped(language)) };
        self.piece.push_str(&format!("<pre><code{class}>{}\n</code></pre>", escaped(text.trim_end_matches('\n'))));
        self.tags += 4;
    }

    /// Code in a line.
    pub fn inline_code(&mut self, text: &str) {
        self.piece.push_str(&format!("<code>{}</code>", escaped(text)));
        self.tags += 2;
    }

    pub fn picture(&mut self, target: &str, alt: &str) {
        self.piece.push_str(&format!("<img src=\"{}\" alt=\"{}\">", escaped(target), escaped(alt)));
        self.tags += 1;
    }

    pub fn link(&mut self, target: &str, words: &str) {
        self.piece.push_str(&format!("<a href=\"{}\">{}</a>", escaped(target), escaped(words)));
        self.tags += 2;
    }

    pub fn text(&mut self, text: &str) {
        if self.is_skipping() {
            return;
        }
        match &mut self.gathering {
            Some(gathered) => gathered.push_str(text),
            None => self.piece.push_str(&escaped(text)),
        }
    }

    /// A reference, whose meaning is left to those who read HTML.
    pub(super) fn reference(&mut self, name: &str) {
        let whole = format!("&{name};");
        let is_one = name.len() <= 32 && name.trim_start_matches('#').bytes().all(|byte| byte.is_ascii_alphanumeric());
        match &mut self.gathering {
            _ if self.skipping > 0 => {}
            Some(gathered) => gathered.push_str(&super::resolved(&whole)),
            None if is_one => self.piece.push_str(&whole),
            None => self.text(&whole),
        }
    }

    /// An element of which nothing is shown, inside of another one.
    pub(super) fn begin_nothing(&mut self, name: &str) {
        self.push(name, String::new(), What::Plain);
    }

    pub(super) fn begin(&mut self, tag: &Tag, step: Step, dialect: &mut dyn Dialect) {
        match step {
            Step::Skip => {
                self.skipping += 1;
                self.push(&tag.name, String::new(), What::Skipped);
            }
            _ if self.gathering.is_some() => self.begin_gathered(tag, dialect),
            Step::Gather(name) => {
                self.gathering = Some(String::new());
                self.push(&tag.name, String::new(), What::Gathered(name));
            }
            Step::Inside => self.push(&tag.name, String::new(), What::Plain),
            Step::As(other) => self.write(&tag.name, other, "", What::Plain),
            Step::Ticked(is_done) => {
                self.write(&tag.name, "li", "", What::Plain);
                self.tick(is_done);
            }
            Step::Usual => self.begin_usual(tag, dialect),
        }
    }

    /// In text that is gathered, lines are lines.
    fn begin_gathered(&mut self, tag: &Tag, dialect: &mut dyn Dialect) {
        let gathered = self.gathering.get_or_insert_default();
        if tag.name == "br" || (is_block(&tag.name) && !gathered.is_empty() && !gathered.ends_with('\n')) {
            gathered.push('\n');
        }
        if let Some(link) = ["href", "src"].iter().map(|name| tag.get(name)).find(|link| !link.is_empty()) {
            drop(dialect.target(link));
        }
        let is_unseen = UNSEEN.contains(&tag.name.as_str());
        self.skipping += usize::from(is_unseen);
        self.push(&tag.name, String::new(), if is_unseen { What::Skipped } else { What::Plain });
    }

    /// Opens an element that is written as one of HTML; a list goes on with the one before it.
    fn write(&mut self, name: &str, shown: &str, attributes: &str, what: What) {
        if shown.is_empty() {
            return self.push(name, String::new(), What::Plain);
        }
        // A link holds no other.
        let is_deeper = matches!(what, What::Link(_)) && !self.open.iter().rev().take(NEAR).any(|open| matches!(open.what, What::Link(_)));
        if self.written >= DEPTH_MAX && !is_deeper {
            self.is_flat = true;
            let stands_alone = is_block(shown) || matches!(shown, "td" | "th");
            self.part(stands_alone);
            return self.push(name, String::new(), if stands_alone { What::Flat } else { What::Plain });
        }
        let closing = format!("</{shown}>");
        if is_block(shown) || matches!(shown, "ul" | "ol" | "table") {
            self.may_cut();
        }
        let start = self.piece.len();
        let goes_on = (shown == "ul" || !attributes.is_empty() && shown == "ol") && self.piece.trim_end().ends_with(&closing);
        if goes_on {
            self.piece.truncate(self.piece.trim_end().len() - closing.len());
        } else {
            self.piece.push_str(&format!("<{shown}{attributes}>"));
            self.tags += 1;
        }
        self.written += 1;
        self.others += usize::from(shown != "div");
        self.push(name, closing, what);
        if let Some(open) = self.open.last_mut() {
            open.start = start.min(open.inside);
        }
    }

    /// Keeps words apart whose elements are not written.
    fn part(&mut self, stands_alone: bool) {
        let is_apart = self.piece.is_empty() || self.piece.ends_with("<br>") || self.piece.ends_with("<div>");
        if stands_alone && self.gathering.is_none() && !is_apart {
            self.piece.push_str("<br>");
            self.tags += 1;
        }
    }

    fn push(&mut self, name: &str, closing: String, what: What) {
        let at = self.piece.len();
        self.open.push(Open { name: name.chars().take(64).collect(), closing, start: at, inside: at, is_fresh: true, what });
    }

    /// Ends an element, and those in it that nobody ended.
    pub(super) fn end(&mut self, name: &str, dialect: &mut dyn Dialect) {
        let near = self.open.len().saturating_sub(NEAR);
        let Some(at) = self.open[near..].iter().rposition(|open| open.name == name) else { return };
        while self.open.len() > near + at {
            self.close(dialect);
        }
    }

    fn close(&mut self, dialect: &mut dyn Dialect) {
        let Some(open) = self.open.pop() else { return };
        match open.what {
            What::Skipped => self.skipping -= 1,
            What::Gathered(name) => {
                let text = self.gathering.take().unwrap_or_default();
                dialect.gathered(name, text, self);
            }
            // A link without words is one that nobody sees.
            What::Link(target) if is_blank(&self.piece, open.inside) => {
                self.piece.push_str(&escaped(&target));
            }
            What::Flat => self.part(true),
            What::Link(_) | What::Plain => {}
        }
        if let Some(gathered) = self.gathering.as_mut().filter(|gathered| is_block(&open.name) && !gathered.ends_with('\n')) {
            gathered.push('\n');
        }
        // An empty line stands between paragraphs anyhow.
        let is_line = open.is_fresh && matches!(open.closing.as_str(), "</div>" | "</p>");
        let is_empty = is_line && self.piece.get(open.inside..).is_some_and(|inside| matches!(inside.trim(), "" | "<br>"));
        // Few of those that are open are written, so that what is inside is not looked through for each of thousands.
        let is_space = !open.closing.is_empty()
            && open.inside <= self.piece.len()
            && matches!(open.name.as_str(), "b" | "strong" | "i" | "em" | "span" | "font" | "del" | "s")
            && is_blank(&self.piece, open.inside);
        if is_empty {
            self.piece.truncate(open.start);
        } else if is_space {
            // White space is neither bold nor struck out, and is lost where it should be.
            drop(self.piece.drain(open.start..open.inside));
        } else {
            self.piece.push_str(&open.closing);
        }
        if !open.closing.is_empty() {
            self.tags += 1;
            self.written -= 1;
            self.others -= usize::from(open.closing != "</div>");
        }
    }

    /// Ends the piece, if it is long and nothing but blocks without a meaning of their own is open.
    fn may_cut(&mut self) {
        if self.others > 0 || self.gathering.is_some() || (self.tags < PIECE_TAGS && self.piece.len() < PIECE_BYTES) {
            return;
        }
        self.turn();
        for open in self.open.iter_mut().filter(|open| !open.closing.is_empty()) {
            open.start = self.piece.len();
            self.piece.push_str("<div>");
            (open.inside, open.is_fresh) = (self.piece.len(), false);
            self.tags += 1;
        }
        let end = self.piece.len();
        for open in self.open.iter_mut().filter(|open| open.closing.is_empty()) {
            (open.start, open.inside) = (end, end);
        }
    }

    /// Turns the piece into Markdown; what reads HTML ends what is open.
    fn turn(&mut self) {
        let converted = html::to_markdown(&self.piece).unwrap_or_else(|words| {
            self.is_cut = true;
            words
        });
        if !converted.trim().is_empty() {
            self.markdown.push_str(if self.markdown.is_empty() { "" } else { "\n\n" });
            self.markdown.push_str(&converted);
        }
        self.piece.clear();
        self.tags = 0;
    }

    /// The Markdown, and what was not turned as it was meant.
    pub(super) fn finish(mut self, dialect: &mut dyn Dialect) -> (String, Option<&'static str>) {
        while !self.open.is_empty() {
            self.close(dialect);
        }
        self.turn();
        let problem = match () {
            () if self.is_cut => Some("a part of its markup is too long to be read at once; the words of it are kept"),
            () if self.is_flat => Some("its markup is nested deeper than is shown; the words are kept"),
            () => None,
        };
        (self.markdown, problem)
    }
}

/// Whether a piece has nothing but white space from somewhere on. Looked at from its end, where what was written last stands.
fn is_blank(piece: &str, from: usize) -> bool {
    piece.get(from..).is_none_or(|inside| inside.trim_end().is_empty())
}

/// Begins an item of the list that stands just before, or of a new one.
fn begin_item(piece: &mut String) {
    if piece.trim_end().ends_with("</ul>") {
        piece.truncate(piece.trim_end().len() - "</ul>".len());
    } else {
        piece.push_str("<ul>");
    }
    piece.push_str("<li>");
}
