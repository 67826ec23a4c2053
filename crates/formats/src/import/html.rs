//! HTML of other programs as Markdown.

mod table;

use htmd::{
    Element, HtmlToMarkdown,
    element_handler::{HandlerResult, Handlers},
    options::{BulletListMarker, Options},
};

/// The longest text that is converted, and the most tags in it: a parser may make many elements of one, and goes down a step for each that is
/// open. Posts and notes have a hundredth of it.
const BYTES_MAX: usize = 256 << 10;
const TAGS_MAX: usize = 5000;
/// So many tags need no more stack than every thread has.
const TAGS_NEAR: usize = 100;
const STACK_BYTES: usize = 128 << 20;

/// HTML as Markdown; `Err`: it is too long or has too many tags, and its words come back without them.
pub(crate) fn to_markdown(html: &str) -> Result<String, String> {
    let tags = html.matches('<').count();
    if html.len() > BYTES_MAX || tags > TAGS_MAX {
        return Err(words(html));
    }
    if tags <= TAGS_NEAR {
        return convert(html).map_err(|_| words(html));
    }
    std::thread::scope(|scope| {
        let converting = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || convert(html));
        converting.ok().and_then(|thread| thread.join().ok()).and_then(Result::ok).ok_or_else(|| words(html))
    })
}

/// Lists as most people write them; boxes to tick and words struck out, which CommonMark does not know and everybody writes in the same way.
fn convert(html: &str) -> std::io::Result<String> {
    let options = Options { bullet_list_marker: BulletListMarker::Dash, ul_bullet_spacing: 1, ol_number_spacing: 1, ..Options::default() };
    let converter = HtmlToMarkdown::builder().options(options).add_handler(vec!["table"], table::table);
    converter.add_handler(vec!["input"], tick).add_handler(vec!["del", "s", "strike"], struck).build().convert(html)
}

fn tick(_: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let of = |name: &str| element.attrs.iter().find(|attribute| &*attribute.name.local == name);
    let is_box = of("type").is_some_and(|kind| kind.value.eq_ignore_ascii_case("checkbox"));
    is_box.then(|| if of("checked").is_some() { "[x] ".into() } else { "[ ] ".into() })
}

fn struck(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let content = handlers.walk_children(element.node).content;
    let words = content.trim();
    // Paragraphs cannot be struck out together.
    if words.is_empty() || words.lines().any(|line| line.trim().is_empty()) {
        return Some(content.into());
    }
    Some(content.replacen(words, &format!("~~{words}~~"), 1).into())
}

/// The words of HTML without its tags.
pub(crate) fn words(html: &str) -> String {
    let pieces =
        html.split('<').enumerate().map(|(at, piece)| if at == 0 { piece } else { piece.split_once('>').map_or("", |(_, after)| after) });
    pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}
