//! How Roam marks what Markdown marks in another way.

use crate::import::spans::{may_begin_tag, up_to};

/// Whether a uid may hold a character.
pub(super) fn is_of_uid(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Roam's uids have nine characters at random; nine small letters are a word between brackets.
pub(super) fn is_uid(text: &str) -> bool {
    text.len() == 9 && text.chars().any(|c| !c.is_ascii_lowercase())
}

/// Roam's `__italics__` would be bold in Markdown.
pub(super) fn italics(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len());
    let mut rest = piece;
    while let Some(at) = rest.find("__") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let inner = after[2..].split_once("__").map(|(inner, _)| inner).filter(|inner| {
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_/".contains(c));
            let behind = after[4 + inner.len()..].chars().next();
            !inner.is_empty() && inner.trim() == *inner && !is_word(out.chars().next_back()) && !is_word(behind) && !inner.contains('\n')
        });
        match inner {
            Some(inner) => {
                out.push_str(&format!("*{inner}*"));
                rest = &after[4 + inner.len()..];
            }
            None => {
                out.push_str("__");
                rest = &after[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Lines, with the end of a fence on one of its own: Roam writes it behind the last line.
pub(super) fn fences(words: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_open = false;
    for line in words.lines() {
        match line.strip_suffix("```").filter(|line| is_open && !line.trim().is_empty()) {
            Some(line) => {
                lines.extend([line.to_owned(), "```".to_owned()]);
                is_open = false;
            }
            None => {
                is_open ^= line.matches("```").count() % 2 == 1;
                lines.push(line.to_owned());
            }
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// `#word` and `#[[several words]]`.
pub(super) fn tags(piece: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in piece.match_indices('#').filter(|(at, _)| may_begin_tag(&piece[..*at])) {
        let after = &piece[at + 1..];
        if let Some(inner) = after.strip_prefix("[[") {
            found.extend(up_to(inner, "]]").filter(|name| !name.contains('[')));
            continue;
        }
        let end = after.find(|c: char| c.is_whitespace() || ",;!?()[]{}\"'`^*|<>#，。、".contains(c)).unwrap_or(after.len());
        let name = after[..end].trim_end_matches(['.', ':']);
        found.extend(Some(name).filter(|name| !name.is_empty()));
    }
    found
}
