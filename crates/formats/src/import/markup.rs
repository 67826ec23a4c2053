//! Notes that their programs keep as HTML or XHTML, tag by tag: each dialect says what its own tags mean, and the rest becomes Markdown as
//! HTML does. No markup is too long or nested too deep: it is converted in pieces, and never deeper than Markdown shows.

mod page;

use quick_xml::{Reader, events::BytesStart, events::Event};

pub(crate) use page::Page;

use super::html;

/// The tags that are open at a time: more is an attack or an accident.
const OPEN_MAX: usize = 5000;
/// The most attributes of a tag that are looked at.
const ATTRIBUTES_MAX: usize = 64;

/// The longest name of a reference.
const REFERENCE_MAX: usize = 40;

/// A tag with its attributes.
pub(crate) struct Tag {
    /// In small letters, as its attributes' names are.
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn of(start: &BytesStart<'_>) -> Self {
        let mut attributes = start.html_attributes();
        let known = attributes.with_checks(false).filter_map(Result::ok).take(ATTRIBUTES_MAX);
        let attributes = known.map(|each| (each.key.as_ref().to_ascii_lowercase(), resolved(&each.value))).collect();
        Self { name: start.name().as_ref().to_ascii_lowercase(), attributes }
    }

    /// The value of an attribute; empty where it has none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether it has an attribute, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }

    /// Whether `class` names a class.
    pub fn is(&self, class: &str) -> bool {
        self.get("class").split_ascii_whitespace().any(|known| known == class)
    }

    /// What `style` says of a property.
    pub fn style(&self, property: &str) -> Option<&str> {
        let pairs = self.get("style").split(';').filter_map(|pair| pair.split_once(':'));
        pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| name.eq_ignore_ascii_case(property)).map(|(_, value)| value)
    }
}

/// What becomes of an element.
pub(crate) enum Step {
    /// What HTML makes of it.
    Usual,
    /// Nothing, and nothing of what is inside.
    Skip,
    /// What is inside.
    Inside,
    /// What is inside, in another element.
    As(&'static str),
    /// An item of a list with a box that is ticked, or is not.
    Ticked(bool),
    /// Its text is gathered, in lines, and handed to [`Dialect::gathered`] under this name.
    Gather(&'static str),
}

/// What the tags of one program mean.
pub(crate) trait Dialect {
    /// An element begins; what stands before it may be written.
    fn begin(&mut self, tag: &Tag, page: &mut Page) -> Step;

    /// Another target for a link or a picture.
    fn target(&mut self, link: &str) -> Option<String>;

    /// The text of an element that was to be gathered.
    fn gathered(&mut self, _name: &'static str, _text: String, _page: &mut Page) {}
}

/// Markup as Markdown, and what was wrong with it, if anything was.
pub(crate) fn convert(markup: &str, dialect: &mut dyn Dialect) -> (String, Option<&'static str>) {
    let mut page = Page::default();
    let mut reader = Reader::from_str(markup);
    let config = reader.config_mut();
    (config.allow_dangling_amp, config.allow_unmatched_ends, config.check_end_names) = (true, true, false);
    let mut problem = None;
    loop {
        let before = reader.buffer_position();
        match reader.read_event() {
            Ok(Event::Start(start)) => begin(&Tag::of(&start), false, dialect, &mut page),
            Ok(Event::Empty(start)) => begin(&Tag::of(&start), true, dialect, &mut page),
            Ok(Event::End(end)) => page.end(&end.name().as_ref().to_ascii_lowercase(), dialect),
            Ok(Event::Text(text)) => page.text(&text),
            Ok(Event::CData(text)) => page.text(&text),
            Ok(Event::GeneralRef(reference)) => page.reference(&reference),
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(_) => {
                problem = Some("its markup cannot be read to its end; the words of the rest are kept");
                let rest = usize::try_from(before).ok().and_then(|at| markup.get(at..)).unwrap_or_default();
                page.text(&html::words(rest));
                break;
            }
        }
        if page.depth() > OPEN_MAX {
            problem = Some("its markup is nested too deep to be read; the words of the rest are kept");
            let rest = usize::try_from(reader.buffer_position()).ok().and_then(|at| markup.get(at..)).unwrap_or_default();
            page.text(&html::words(rest));
            break;
        }
    }
    let (text, flawed) = page.finish(dialect);
    (text, problem.or(flawed))
}

fn begin(tag: &Tag, is_empty: bool, dialect: &mut dyn Dialect, page: &mut Page) {
    if page.is_skipping() {
        if !is_empty && !is_void(&tag.name) {
            page.begin_nothing(&tag.name);
        }
        return;
    }
    let step = dialect.begin(tag, page);
    page.begin(tag, step, dialect);
    if is_empty || is_void(&tag.name) {
        page.end(&tag.name, dialect);
    }
}

/// The pictures that a Markdown text has as HTML, as pictures of Markdown where there is a target for their source; the whole tag is told, too.
pub(crate) fn pictures(text: &str, to: &mut dyn FnMut(&str, &str) -> Option<String>) -> String {
    const BEGIN: &str = "<img ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let end = after.find(['>', '\n']).map_or(after.len(), |end| end + 1);
        let tag = &after[..end];
        let of = |name: &str| {
            tag.split_once(&format!(" {name}=\"")).and_then(|(_, value)| value.split_once('"')).map(|(value, _)| resolved(value))
        };
        match of("src").filter(|_| tag.ends_with('>')).and_then(|source| to(&source, tag)) {
            Some(target) => out.push_str(&format!("![{}]({target})", of("alt").unwrap_or_default().replace(['[', ']'], " "))),
            None => out.push_str(tag),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// Elements of HTML that never have an end.
fn is_void(name: &str) -> bool {
    matches!(name, "area" | "base" | "br" | "col" | "embed" | "hr" | "img" | "input" | "link" | "meta" | "source" | "track" | "wbr")
}

/// Text with its references resolved one by one; those that nobody knows stay as they are.
fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.bytes().take(REFERENCE_MAX).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').count();
        match after[name..].strip_prefix(';').and_then(|behind| Some((meaning(&after[..name])?, behind))) {
            Some((meaning, behind)) => {
                out.push_str(&meaning);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What a reference stands for. HTML's two thousand names are those of Markdown, too, and its reader has a table of them.
fn meaning(name: &str) -> Option<String> {
    let whole = format!("&{name};");
    if let Ok(known) = quick_xml::escape::unescape(&whole) {
        return Some(known.into_owned());
    }
    let mut found = String::new();
    for event in pulldown_cmark::Parser::new(&whole) {
        if let pulldown_cmark::Event::Text(text) = event {
            found.push_str(&text);
        }
    }
    (found != whole && !found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_one_by_one() {
        for (text, expected) in [
            ("Z&uuml;rich &amp; Gen&egrave;ve", "Zürich & Genève"),
            ("&nbsp;&#65;&#x42;&hellip;", "\u{a0}AB…"),
            ("a?x=1&y=2&amp;z=&eacute;", "a?x=1&y=2&z=é"),
            ("&nothing; &; && &lt", "&nothing; &; && &lt"),
            ("&amp;uuml;", "&uuml;"),
        ] {
            assert_eq!(resolved(text), expected, "{text}");
        }
    }
}
