//! What all pages have around them.

use std::io;

use super::{About, Out, chain::Step, shelves::Shelf};
use crate::markup::Markup;

/// Nothing is loaded but what lies in the folder (Content Security Policy 3). From a folder, pages have no origin that `'self'` could mean.
const POLICY: &str = "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src 'self' file:; media-src 'self' file:; form-action 'self' file:; base-uri 'none'";

/// Makes pages.
pub(super) struct Frame {
    pub about: About,
}

/// The way back from a page to where the site begins.
pub(super) fn up(path: &str) -> String {
    "../".repeat(path.matches('/').count())
}

impl Frame {
    pub fn new(about: About) -> Self {
        Self { about }
    }

    /// Writes a page.
    pub fn write(&self, step: &Step, body: &Markup, before: Option<&Step>, next: Option<&Step>, out: &mut Out<'_>) -> io::Result<()> {
        self.write_with(step, &Markup::default(), body, before, next, out)
    }

    fn write_with(
        &self,
        step: &Step,
        head: &Markup,
        body: &Markup,
        before: Option<&Step>,
        next: Option<&Step>,
        out: &mut Out<'_>,
    ) -> io::Result<()> {
        let up = up(&step.path);
        let mut page = self.head(&step.title, &up, head);
        page.open("main", &[("id", "main")]).raw("\n").append(body);
        if before.is_some() || next.is_some() {
            page.raw("<nav class=\"turn\" aria-label=\"Pages\">");
            for (step, rel, arrow) in [(before, "prev", "← "), (next, "next", " →")] {
                let Some(step) = step else { continue };
                page.open("a", &[("rel", rel), ("href", &format!("{up}{}", step.path))]);
                page.text(if rel == "prev" { arrow } else { "" }).words("span", &[("dir", "auto")], &step.title);
                page.text(if rel == "next" { arrow } else { "" }).close("a").raw(" ");
            }
            page.raw("</nav>");
        }
        page.raw("</main>\n");
        self.put(&step.path, page, out)
    }

    /// Writes a page whose head holds more than usual.
    pub fn write_special(&self, step: &Step, head: &Markup, body: &Markup, out: &mut Out<'_>) -> io::Result<()> {
        self.write_with(step, head, body, None, None, out)
    }

    /// Ends a page and writes it.
    fn put(&self, path: &str, mut page: Markup, out: &mut Out<'_>) -> io::Result<()> {
        let date = self.about.date.to_jiff().strftime("%-d %B %Y").to_string();
        page.open("footer", &[])
            .words("p", &[], &format!("As it was on {date}. Originals are in the folder media."))
            .raw("</footer>\n</body></html>\n");
        out(path, page.into_string().as_bytes())
    }

    /// A page up to where its own begins; `more` is what its head holds beside.
    fn head(&self, title: &str, up: &str, more: &Markup) -> Markup {
        let mut page = Markup::default();
        page.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
        page.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
        page.raw(
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><meta name=\"color-scheme\" content=\"light dark\"/>",
        );
        page.raw("<meta name=\"referrer\" content=\"no-referrer\"/>");
        let whole = if title == self.about.title { title.to_owned() } else { format!("{title} · {}", self.about.title) };
        page.words("title", &[], &whole);
        page.void("link", &[("rel", "stylesheet"), ("href", &format!("{up}site.css"))]);
        page.append(more);
        page.raw("</head>\n<body><a class=\"skip\" href=\"#main\">Skip to the memories</a>\n<header>");
        page.words("a", &[("class", "name"), ("dir", "auto"), ("href", &format!("{up}index.html"))], &self.about.title);
        page.raw("<nav aria-label=\"Site\"><ul>");
        let shelves = Shelf::ALL.map(|shelf| (format!("{}/index.html", shelf.folder()), shelf.title()));
        let others = [("index.html".to_owned(), "Months"), ("photos/index.html".to_owned(), "Photos")];
        for (path, words) in others.into_iter().chain(shelves) {
            page.raw("<li>").words("a", &[("href", &format!("{up}{path}"))], words).raw("</li>");
        }
        page.raw("</ul></nav>");
        page.open("form", &[("role", "search"), ("action", &format!("{up}search.html")), ("method", "get")]);
        page.raw("<input type=\"search\" name=\"q\" aria-label=\"Words to look for\"/> <button>Search</button></form></header>\n");
        page
    }

    /// The page that a site begins with: all months.
    pub fn write_home(
        &self,
        months: &[(String, String, u64)],
        memories: u64,
        photos: u64,
        shelves: &[(Shelf, usize)],
        out: &mut Out<'_>,
    ) -> io::Result<()> {
        let mut body = Markup::default();
        body.words("h1", &[("dir", "auto")], &self.about.title);
        let mut said = vec![count(memories, "memory", "memories"), count(photos, "photo", "photos")];
        said.extend(shelves.iter().filter(|(_, n)| *n > 0).map(|(shelf, n)| count(*n as u64, shelf.one(), shelf.many())));
        body.words("p", &[("class", "facts")], &said.join(" · "));
        let mut year = "";
        for (month, title, memories) in months {
            let (of, words) = match month.split_once('-') {
                Some(_) => (month.rsplit_once('-').map_or(month.as_str(), |(year, _)| year), title.split(' ').next().unwrap_or(title)),
                None => ("Without a day", "All of them"),
            };
            if of != year {
                if !year.is_empty() {
                    body.raw("</ul>\n");
                }
                body.words("h2", &[], of).raw("<ul class=\"months\">");
                year = of;
            }
            body.raw("<li>").open("a", &[("href", &format!("months/{month}.html"))]).text(words).raw("</a> ");
            body.words("span", &[("class", "count")], &memories.to_string()).raw("</li>");
        }
        if !year.is_empty() {
            body.raw("</ul>\n");
        }
        let step = Step { path: "index.html".into(), title: self.about.title.clone() };
        self.write(&step, &body, None, None, out)
    }
}

/// A number of things.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if number == 1 { one } else { many })
}
