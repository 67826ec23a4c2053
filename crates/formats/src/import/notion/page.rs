//! A page as HTML: its head with title, icon, cover and properties, and its body.

use super::{
    super::markup::{self, Dialect, Page as Written, Step, Tag},
    links::Links,
    properties::Property,
};

/// What a page says, however it was written.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub title: Option<String>,
    pub description: Option<String>,
    pub icon: Option<String>,
    pub cover: Option<String>,
    pub properties: Vec<Property>,
    pub text: String,
    pub problem: Option<&'static str>,
    /// As it was written, where something of that was lost.
    pub source: String,
}

/// Stands between the values of a property that has several.
const NEXT: &str = "\u{1f}";

pub(super) fn read(text: &str, links: &mut Links<'_>) -> Page {
    let mut dialect = Notion {
        page: Page::default(),
        links,
        row: None,
        name: String::new(),
        is_head: false,
        is_picture: false,
        bookmark: None,
        is_block: false,
    };
    let (markdown, problem) = markup::convert(text, &mut dialect);
    let mut page = dialect.page;
    (page.text, page.problem) = (markdown, problem);
    if problem.is_some() {
        text.clone_into(&mut page.source);
    }
    page
}

struct Notion<'a, 'l> {
    page: Page,
    links: &'a mut Links<'l>,
    /// The kind of the property whose row this is, and its name.
    row: Option<String>,
    name: String,
    is_head: bool,
    /// Whether this is in a figure that is a picture: its link leads to itself.
    is_picture: bool,
    /// Where the bookmark leads that is not written yet.
    bookmark: Option<String>,
    /// Whether an equation stands by itself.
    is_block: bool,
}

impl Notion<'_, '_> {
    fn link(&mut self, link: &str) -> String {
        self.links.target(link).unwrap_or_else(|| link.to_owned())
    }

    /// What stands above the text.
    fn head(&mut self, tag: &Tag, page: &mut Written) -> Option<Step> {
        Some(match tag.name.as_str() {
            "h1" if tag.is("page-title") => Step::Gather("title"),
            "p" if tag.is("page-description") => Step::Gather("description"),
            "div" if tag.is("page-header-icon") => Step::Gather("icon"),
            "img" if tag.is("page-cover-image") => {
                self.page.cover = Some(self.link(tag.get("src")));
                Step::Inside
            }
            "img" if self.is_head && self.row.is_none() && tag.is("icon") => {
                self.page.icon = Some(self.link(tag.get("src")));
                Step::Inside
            }
            "table" if tag.is("properties") => Step::Inside,
            "tr" if self.is_head => {
                let kind = tag.get("class").split_ascii_whitespace().find_map(|class| class.strip_prefix("property-row-"));
                self.row = Some(kind.unwrap_or_default().to_owned());
                Step::Inside
            }
            "th" if self.row.is_some() => Step::Gather("name"),
            "td" if self.row.is_some() => Step::Gather("value"),
            "tbody" if self.is_head => Step::Inside,
            "span" if self.row.is_some() && tag.is("selected-value") => {
                page.text(NEXT);
                Step::Inside
            }
            _ => return None,
        })
    }
}

impl Dialect for Notion<'_, '_> {
    fn begin(&mut self, tag: &Tag, page: &mut Written) -> Step {
        match tag.name.as_str() {
            "header" => self.is_head = true,
            "div" if tag.is("page-body") => (self.is_head, self.row) = (false, None),
            "figure" => self.is_picture = tag.is("image"),
            _ => {}
        }
        if let Some(step) = self.head(tag, page) {
            return step;
        }
        match tag.name.as_str() {
            "div" if tag.is("checkbox") => {
                let is_done = tag.is("checkbox-on");
                if self.row.is_some() {
                    page.text(if is_done { "Yes" } else { "No" });
                } else {
                    page.tick(is_done);
                }
                Step::Skip
            }
            // Made of the headings below it.
            "nav" if tag.is("table_of_contents") => Step::Skip,
            "figure" if tag.is("callout") => Step::As("blockquote"),
            "a" if tag.is("bookmark") => {
                self.bookmark = Some(tag.get("href").to_owned());
                Step::Inside
            }
            "div" if tag.is("bookmark-title") => Step::Gather("bookmark"),
            "div" if tag.is("bookmark-href") => {
                if let Some(link) = self.bookmark.take() {
                    page.link(&link, &link);
                }
                Step::Skip
            }
            // Pictures of Notion's and of other people's pages, not of this one.
            "img" if tag.is("icon") || tag.is("bookmark-image") => Step::Skip,
            "a" if self.is_picture && page.parent() == "figure" => Step::Inside,
            "math" => {
                self.is_block = tag.get("display") == "block";
                Step::Inside
            }
            "annotation" if page.parent() == "semantics" => Step::Gather("tex"),
            "span" if tag.is("katex-html") => Step::Skip,
            _ if page.parent() == "semantics" => Step::Skip,
            _ => Step::Usual,
        }
    }

    fn target(&mut self, link: &str) -> Option<String> {
        self.links.target(link)
    }

    fn gathered(&mut self, name: &'static str, text: String, page: &mut Written) {
        let words = || text.trim().to_owned();
        match name {
            "title" => self.page.title = Some(words()),
            "description" => self.page.description = Some(words()),
            "icon" => self.page.icon = self.page.icon.take().or_else(|| Some(words())),
            "name" => self.name = words(),
            "value" => {
                let kind = self.row.take().unwrap_or_default();
                let values: Vec<&str> = text.split(NEXT).map(str::trim).filter(|value| !value.is_empty()).collect();
                self.page.properties.push(Property { name: std::mem::take(&mut self.name), value: values.join(", "), kind });
            }
            "bookmark" => {
                let link = self.bookmark.take().unwrap_or_default();
                page.link(&link, text.trim());
            }
            "tex" if self.is_block => page.code("math", &text),
            // As GitHub and others write what stands in a line.
            "tex" => {
                page.text("$");
                page.inline_code(&text.split_whitespace().collect::<Vec<_>>().join(" "));
                page.text("$");
            }
            _ => {}
        }
    }
}
