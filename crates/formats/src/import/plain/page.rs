//! A page of HTML: its words as Markdown, and what it says of itself.

use super::{
    super::markup::{self, Dialect, Page, Step, Tag},
    dates,
    links::Links,
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

/// A page that is tidy as Markdown, with what it says of itself, and what was wrong with it. `is_whole`: each part of its markup had an end.
pub(super) fn read(tidy: &str, is_whole: bool, links: &mut Links<'_>) -> (String, Said, Option<&'static str>) {
    let mut page = Html { said: Said::default(), date: DATES.len(), links };
    let (text, problem) = markup::convert(tidy, &mut page);
    (text, page.said, problem.or((!is_whole).then_some("a part of its markup has no end; the words of it are kept")))
}

/// A name of characters, without what stands around it.
fn charset_of(written: &str) -> Option<String> {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';');
    written.split(is_around).find(|part| !part.is_empty()).map(|charset| charset.chars().take(40).collect())
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
        let in_type = || content.to_ascii_lowercase().split_once("charset=").and_then(|(_, charset)| charset_of(charset));
        if let Some(charset) = charset_of(&tag.get("charset").to_ascii_lowercase()).or_else(in_type) {
            self.said.charset.get_or_insert(charset);
        }
        let Some(name) = ["name", "property", "itemprop"].iter().map(|by| tag.get(by)).find(|name| !name.is_empty()) else { return };
        if content.is_empty() {
            return;
        }
        let name = name.to_ascii_lowercase();
        if let Some(at) = DATES.iter().position(|known| *known == name) {
            let mut other = Some(content.to_owned());
            if at < self.date {
                self.date = at;
                std::mem::swap(&mut self.said.date, &mut other);
            }
            let other = other.filter(|other| self.said.date.as_ref() != Some(other));
            self.said.fields.extend(other.map(|other| ("date", other)));
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
            // How long something takes, or a time of any day, is no day.
            "time" if self.said.time.is_none() && dates::written(tag.get("datetime"), None).is_some_and(|when| when.day.is_some()) => {
                self.said.time = Some(tag.get("datetime").to_owned());
            }
            // What is shown where no scripts run: pictures that scripts would show later.
            "noscript" => return Step::Inside,
            "img" if !self.links.is_there(tag.get("src")) => {
                let first = tag.get("srcset").split([',', ' ']).find(|part| !part.is_empty()).unwrap_or_default();
                let there = [tag.get("data-src"), first].into_iter().find(|link| self.links.is_there(link));
                if let Some(target) = there.and_then(|link| self.links.target(link)) {
                    page.picture(&target, tag.get("alt"));
                    return Step::Skip;
                }
            }
            "video" if self.links.is_there(tag.get("poster")) => {
                if let Some(target) = self.links.target(tag.get("poster")) {
                    page.picture(&target, "");
                }
            }
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
