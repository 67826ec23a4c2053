//! A text as data that a typesetter sets: arrays that begin with what they are. No word of it is ever source.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::view::Shown;
use crate::text::{self, Block, Inline, Target};

/// Lines of code that are set together: typst takes far more than twice the time for twice the lines.
const CODE_LINES: usize = 200;

/// The blocks of a text; what is known of its attachments by key.
pub(super) fn blocks(all: &[Block], shown: &BTreeMap<String, Shown>) -> Vec<Value> {
    all.iter().flat_map(|one| block(one, shown)).collect()
}

fn block(block: &Block, shown: &BTreeMap<String, Shown>) -> Vec<Value> {
    let one = |value| vec![value];
    match block {
        Block::Paragraph(pieces) => one(json!(["p", line(pieces)])),
        Block::Heading(level, pieces) => one(json!(["h", level, line(pieces)])),
        Block::List(first, items) => {
            let items: Vec<Vec<Value>> = items.iter().map(|item| blocks(item, shown)).collect();
            one(first.map_or_else(|| json!(["ul", items]), |first| json!(["ol", first, items])))
        }
        Block::Quote(inside) => one(json!(["quote", blocks(inside, shown)])),
        Block::Code(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines.chunks(CODE_LINES).map(|some| json!(["pre", some.join("\n")])).collect()
        }
        Block::Table(head, rows) => {
            let cells = |row: &Vec<Vec<Inline>>| row.iter().map(|cell| line(cell)).collect::<Vec<_>>();
            one(json!(["table", cells(head), rows.iter().map(cells).collect::<Vec<_>>()]))
        }
        Block::Rule => one(json!(["rule"])),
        Block::Figure(key, words) => one(json!(["figure", figure(key, words, shown)])),
    }
}

/// What stands where the text shows an attachment.
fn figure(key: &str, words: &str, shown: &BTreeMap<String, Shown>) -> Value {
    let Some(found) = shown.get(key) else {
        let told = if words.trim().is_empty() { format!("An attachment that is not here ({key})") } else { words.to_owned() };
        return json!({ "picture": null, "alt": told, "caption": null, "missing": "it is not here" });
    };
    let alt = if words.trim().is_empty() { &found.alt } else { words };
    json!({ "picture": found.picture_value(), "alt": alt, "caption": found.caption, "missing": found.missing() })
}

fn line(pieces: &[Inline]) -> Vec<Value> {
    let piece = |piece: &Inline| match piece {
        Inline::Text(text) => json!(["t", text.replace('\n', " ")]),
        Inline::Code(text) => json!(["code", text.replace('\n', " ")]),
        Inline::Emphasis(inside) => json!(["em", line(inside)]),
        Inline::Strong(inside) => json!(["strong", line(inside)]),
        Inline::Struck(inside) => json!(["strike", line(inside)]),
        Inline::Break => json!(["br"]),
        Inline::Link(Target::Url(url), inside) => json!(["a", url, line(inside)]),
        // Other memories may be in another file, and attachments are not in it.
        Inline::Link(_, inside) => json!(["em", line(inside)]),
    };
    pieces.iter().map(piece).collect()
}

/// Whether a text runs from right to left: by its first letter that has a direction (Unicode Bidirectional Algorithm, rule P2).
pub(super) fn is_right_to_left(blocks: &[Block]) -> bool {
    let runs_left = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    text::all(blocks).chars().find(|c| c.is_alphabetic()).is_some_and(runs_left)
}
