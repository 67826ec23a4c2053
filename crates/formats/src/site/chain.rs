//! Pages that follow one another: each leads to the one before and the one after, and is written when that one is known.

use std::io;

use super::{Out, frame::Frame};
use crate::markup::Markup;

/// A page and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub path: String,
    pub title: String,
}

/// The pages of a chain; the last is still open.
#[derive(Debug)]
pub(super) struct Chain {
    /// What holds the items of a page: a class, or nothing.
    class: &'static str,
    open: Option<Open>,
    before: Option<Step>,
}

#[derive(Debug)]
struct Open {
    step: Step,
    /// The path and the title of the first of the pages that this one goes on with, and which of them it is.
    first: Step,
    number: usize,
    body: Markup,
    items: usize,
}

impl Chain {
    pub fn new(class: &'static str) -> Self {
        Self { class, open: None, before: None }
    }

    /// The path of the page that is open.
    pub fn path(&self) -> &str {
        self.open.as_ref().map_or("", |open| &open.step.path)
    }

    /// Whether the page that is open has enough.
    pub fn is_full(&self, items: usize, bytes: usize) -> bool {
        self.open.as_ref().is_some_and(|open| open.items >= items || open.body.len() >= bytes)
    }

    /// Begins a page with a name of its own.
    pub fn begin(&mut self, path: &str, title: &str, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        let step = Step { path: path.to_owned(), title: title.to_owned() };
        self.turn(Open { first: step.clone(), step, number: 1, body: Markup::default(), items: 0 }, frame, out)
    }

    /// Goes on with what is open on another page.
    pub fn go_on(&mut self, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let (first, number) = (open.first.clone(), open.number + 1);
        let path = format!("{}-{number}.html", first.path.trim_end_matches(".html"));
        let step = Step { path, title: format!("{}, page {number}", first.title) };
        self.turn(Open { step, first, number, body: Markup::default(), items: 0 }, frame, out)
    }

    /// Adds an item to the page that is open.
    pub fn add(&mut self, item: &Markup) {
        if let Some(open) = &mut self.open {
            open.body.append(item);
            open.items += 1;
        }
    }

    /// Writes the last page.
    pub fn end(&mut self, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        self.close(None, frame, out)?;
        self.before = None;
        Ok(())
    }

    fn turn(&mut self, next: Open, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        self.close(Some(&next.step), frame, out)?;
        self.open = Some(next);
        Ok(())
    }

    fn close(&mut self, next: Option<&Step>, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        let Some(Open { step, body, .. }) = self.open.take() else { return Ok(()) };
        let mut page = Markup::default();
        page.words("h1", &[("dir", "auto")], &step.title).raw("\n");
        if !self.class.is_empty() {
            page.open("ul", &[("class", self.class)]);
        }
        page.append(&body);
        if !self.class.is_empty() {
            page.close("ul");
        }
        let before = self.before.replace(step.clone());
        frame.write(&step, &page, before.as_ref(), next, out)
    }
}
