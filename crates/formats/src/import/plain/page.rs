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

/// Characters of each that are kept.
const SAID_MAX: usize = 10_000;
/// So many files are looked for of one picture.
const SOURCES_MAX: usize = 50;

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
    let mut page = Html { said: Said::default(), date: 2 * DATES.len(), is_long: false, links };
    let (text, problem) = markup::convert(tidy, &mut page);
    let problem = problem.or((!is_whole).then_some("a part of its markup has no end; the words of it are kept"));
    (text, page.said, problem.or(page.is_long.then_some("what it says of itself is longer than is kept")))
}

/// A name of characters, without what stands around it.
fn charset_of(written: &str) -> Option<String> {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';');
    written.split(is_around).find(|part| !part.is_empty()).map(|charset| charset.chars().take(40).collect())
}

struct Html<'a, 'l> {
    said: Said,
    /// Which of [`DATES`] was found so far; those that name no day come after those that do.
    date: usize,
    /// Whether it says more of itself than is kept.
    is_long: bool,
    links: &'a mut Links<'l>,
}

/// Whether a link holds what it names itself, or names nothing.
fn is_inline(link: &str) -> bool {
    link.trim().is_empty() || link.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

impl Html<'_, '_> {
    /// What a page says of itself is not as long as a text.
    fn shortened(&mut self, text: &str) -> String {
        let end = text.char_indices().nth(SAID_MAX).map_or(text.len(), |(at, _)| at);
        self.is_long |= end < text.len();
        text[..end].to_owned()
    }

    /// The file or address of a picture: the first that is there of all that it names, for other screens or for scripts that show it later; else
    /// the first.
    fn source<'t>(&self, tag: &'t Tag) -> Option<&'t str> {
        let sets = ["srcset", "data-srcset"].map(|name| tag.get(name)).into_iter().filter(|set| !set.contains("data:"));
        let in_sets = sets.flat_map(|set| set.split(',')).filter_map(|part| part.split_whitespace().next());
        let all = [tag.get("src"), tag.get("data-src")].into_iter().chain(in_sets).filter(|link| !is_inline(link)).take(SOURCES_MAX);
        let mut all = all.peekable();
        let first = all.peek().copied().or_else(|| Some(tag.get("src")).filter(|link| !link.is_empty()));
        all.find(|link| self.links.is_there(link)).or(first)
    }

    fn meta(&mut self, tag: &Tag) {
        let content = &self.shortened(tag.get("content").trim());
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
            // A day is better than a year, and what nobody can read is none.
            let rank = dates::written(content, None).map(|when| if when.day.is_some() { at } else { at + DATES.len() });
            if let Some(at) = rank.filter(|rank| *rank < self.date) {
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
        self.links.is_shown = matches!(name, "img" | "audio" | "video" | "source" | "embed" | "object");
        self.links.alt = if name == "img" { self.shortened(tag.get("alt")) } else { String::new() };
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
            "img" => match self.source(tag) {
                Some(link) if link != tag.get("src") => {
                    page.picture(&self.links.target(link).unwrap_or_else(|| link.to_owned()), tag.get("alt"));
                    return Step::Skip;
                }
                None => page.text(tag.get("alt")),
                Some(_) => {}
            },
            "object" if !is_inline(tag.get("data")) => {
                let link = tag.get("data");
                let words = link.rsplit('/').next().unwrap_or(link);
                page.link(&self.links.target(link).unwrap_or_else(|| link.to_owned()), words);
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
        let title = self.shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        self.said.title = Some(title).filter(|title| !title.is_empty());
    }
}
