//! A page of HTML: its words as Markdown, and what it says of itself.

use super::{
    super::markup::{self, Dialect, Page, Step, Tag},
    links::Links,
    tidy::tidied,
};

/// Names under which pages tell when they were written (of `name`, `property` or `itemprop`), the best first.
const DATES: [&str; 8] =
    ["date", "dcterms.created", "dc.date.created", "article:published_time", "datepublished", "dcterms.date", "dc.date", "created"];
/// What else is kept of what a page says of itself.
const KEPT: [&str; 3] = ["author", "description", "keywords"];

/// What a page says of itself.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub title: Option<String>,
    pub language: Option<String>,
    /// When it was written, as it says it.
    pub date: Option<String>,
    /// The first day or time that is marked as one in its text.
    pub time: Option<String>,
    /// In which characters it says that it is.
    pub charset: Option<String>,
    pub fields: Vec<(&'static str, String)>,
}

/// A page as Markdown, with what it says of itself, and what was wrong with it.
pub(super) fn read(html: &str, links: &mut Links<'_>) -> (String, Said, Option<&'static str>) {
    let (tidy, is_whole) = tidied(html);
    let mut page = Html { said: Said::default(), date: DATES.len(), links };
    let (text, problem) = markup::convert(&tidy, &mut page);
    (text, page.said, problem.or((!is_whole).then_some("a part of its markup has no end; the words of it are kept")))
}

struct Html<'a, 'l> {
    said: Said,
    /// Which of [`DATES`] was found so far.
    date: usize,
    links: &'a mut Links<'l>,
}

impl Html<'_, '_> {
    fn meta(&mut self, tag: &Tag) {
        let content = tag.get("content").trim();
        let charset = Some(tag.get("charset").trim()).filter(|charset| !charset.is_empty());
        let in_type = || content.to_ascii_lowercase().split_once("charset=").map(|(_, charset)| charset.trim().to_owned());
        if let Some(charset) = charset.map(str::to_ascii_lowercase).or_else(in_type) {
            self.said.charset.get_or_insert(charset.chars().take(40).collect());
        }
        let Some(name) = ["name", "property", "itemprop"].iter().map(|by| tag.get(by)).find(|name| !name.is_empty()) else { return };
        if content.is_empty() {
            return;
        }
        let name = name.to_ascii_lowercase();
        if let Some(at) = DATES.iter().position(|known| *known == name).filter(|at| *at < self.date) {
            self.date = at;
            self.said.date = Some(content.to_owned());
        }
        if let Some(known) = KEPT.iter().copied().find(|known| *known == name) {
            self.said.fields.push((known, content.to_owned()));
        }
    }
}

impl Dialect for Html<'_, '_> {
    fn begin(&mut self, tag: &Tag, page: &mut Page) -> Step {
        let name = tag.name.as_str();
        self.links.is_shown = matches!(name, "img" | "audio" | "video" | "source" | "embed");
        self.links.alt = if name == "img" { tag.get("alt").to_owned() } else { String::new() };
        match name {
            "html" if !tag.get("lang").is_empty() => self.said.language = Some(tag.get("lang").to_owned()),
            "head" => return Step::Inside,
            "meta" => self.meta(tag),
            // A picture that is drawn in the text may have a title, too.
            "title" if self.said.title.is_none() && matches!(page.parent(), "" | "html" | "head") => return Step::Gather("title"),
            "time" if self.said.time.is_none() && !tag.get("datetime").is_empty() => self.said.time = Some(tag.get("datetime").to_owned()),
            _ => {}
        }
        Step::Usual
    }

    fn target(&mut self, link: &str) -> Option<String> {
        self.links.target(link)
    }

    fn gathered(&mut self, _: &'static str, text: String, _: &mut Page) {
        self.said.title = Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|title| !title.is_empty());
    }
}
