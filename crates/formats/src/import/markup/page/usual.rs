//! What HTML's own elements mean in Markdown, those that no dialect says anything of.

use super::{
    super::{Dialect, Tag},
    Page, What, escaped,
};

/// Elements that are written as they are.
const SAME: [&str; 27] = [
    "p",
    "b",
    "strong",
    "i",
    "em",
    "del",
    "s",
    "strike",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "li",
    "blockquote",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "caption",
    "div",
];
/// Elements that stand by themselves.
const BLOCKS: [&str; 22] = [
    "address",
    "article",
    "aside",
    "body",
    "center",
    "dd",
    "details",
    "dl",
    "dt",
    "en-note",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "html",
    "main",
    "nav",
    "object",
    "section",
    "summary",
];
/// Elements of which nothing is shown.
pub(super) const UNSEEN: [&str; 6] = ["script", "style", "head", "title", "template", "noscript"];

/// Whether lines end where an element does.
pub(super) fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name) || matches!(name, "p" | "div" | "li" | "tr" | "pre" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote")
}

impl Page {
    pub(super) fn begin_usual(&mut self, tag: &Tag, dialect: &mut dyn Dialect) {
        let name = tag.name.as_str();
        let mut target = |link: &str| dialect.target(link).unwrap_or_else(|| link.to_owned());
        match name {
            "a" if !tag.get("href").is_empty() => {
                let target = target(tag.get("href"));
                let what = if target.trim().is_empty() { What::Plain } else { What::Link(target.clone()) };
                self.write(name, "a", &format!(" href=\"{}\"", escaped(&target)), what);
                return;
            }
            "code" => {
                let language = tag.get("class").split_ascii_whitespace().find(|class| class.starts_with("language-"));
                self.write(name, "code", &language.map_or(String::new(), |class| format!(" class=\"{}\"", escaped(class))), What::Plain);
                return;
            }
            "ol" => {
                let start = tag.get("start").parse::<u32>().ok().filter(|start| *start > 1);
                self.write(name, "ol", &start.map_or(String::new(), |start| format!(" start=\"{start}\"")), What::Plain);
                return;
            }
            "span" | "font" => {
                self.write(name, styled(tag), "", What::Plain);
                return;
            }
            _ if UNSEEN.contains(&name) => {
                self.skipping += 1;
                self.push(name, String::new(), What::Skipped);
                return;
            }
            _ if SAME.contains(&name) => {
                self.write(name, name, "", What::Plain);
                return;
            }
            _ if BLOCKS.contains(&name) => {
                self.write(name, "div", "", What::Plain);
                return;
            }
            "img" if !tag.get("src").is_empty() => self.picture(&target(tag.get("src")), tag.get("alt")),
            "audio" | "video" | "source" | "iframe" | "embed" if !tag.get("src").is_empty() => {
                let words = tag.get("src").rsplit('/').next().unwrap_or_default();
                self.link(&target(tag.get("src")), words);
            }
            "input" if tag.get("type").eq_ignore_ascii_case("checkbox") => self.tick(tag.has("checked")),
            "br" => {
                self.piece.push_str("<br>");
                self.tags += 1;
                self.may_cut();
            }
            "hr" => {
                self.may_cut();
                self.piece.push_str("<hr>");
                self.tags += 1;
            }
            _ => {}
        }
        self.push(name, String::new(), What::Plain);
    }
}

/// What the style of a word means, as an element.
fn styled(tag: &Tag) -> &'static str {
    let weight = tag.style("font-weight").unwrap_or_default();
    let is_bold = weight.starts_with("bold") || weight.parse::<u32>().is_ok_and(|weight| weight >= 600);
    let is_struck =
        ["text-decoration", "text-decoration-line"].iter().any(|name| tag.style(name).is_some_and(|how| how.contains("line-through")));
    if is_bold {
        "strong"
    } else if tag.style("font-style").is_some_and(|style| style.starts_with("italic")) {
        "em"
    } else if is_struck {
        "del"
    } else {
        ""
    }
}
