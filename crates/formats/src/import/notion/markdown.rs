//! A page as Markdown: its title, the properties of a row of a database, and the text.

use std::collections::BTreeSet;

use super::{
    super::{markup, spans::spans},
    links::Links,
    page::Page,
    properties::Property,
};

/// Reads a page. The columns of its database tell properties from a text that looks like them.
pub(super) fn read(text: &str, columns: Option<&BTreeSet<String>>, links: &mut Links<'_>) -> Page {
    let (title, rest) = match text.strip_prefix("# ").map(|rest| rest.split_once('\n').unwrap_or((rest, ""))) {
        Some((title, rest)) => (Some(title.trim().to_owned()), rest.trim_start_matches(['\n', '\r'])),
        None => (None, text),
    };
    let (properties, body) = columns.map_or((Vec::new(), rest), |columns| split(rest, columns));
    for property in &properties {
        in_prose(&property.value, |piece| rewrite(piece, &mut |link, is_picture| links.written(link, is_picture)));
    }
    let text = in_prose(body, |piece| {
        let piece = markup::pictures(piece, &mut |source, _| links.target(source));
        rewrite(&piece, &mut |link, is_picture| links.written(link, is_picture))
    });
    Page { title, text, properties, ..Page::default() }
}

/// Changes what is prose; in code brackets are no links.
fn in_prose(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    spans(text).into_iter().map(|(piece, is_code)| if is_code { piece.to_owned() } else { change(piece) }).collect()
}

/// Takes the lines of properties off the beginning: each begins with the name of a column, and an empty line ends them.
fn split<'a>(text: &'a str, columns: &BTreeSet<String>) -> (Vec<Property>, &'a str) {
    let mut properties: Vec<Property> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim_end_matches(['\n', '\r']);
        if words.is_empty() {
            break;
        }
        // Names may hold colons themselves.
        let named =
            words.match_indices(':').map(|(at, _)| (&words[..at], &words[at + 1..])).find(|(name, _)| columns.contains(name.trim()));
        match (named, properties.last_mut()) {
            (Some((name, value)), _) => {
                properties.push(Property { name: name.trim().to_owned(), value: value.trim().to_owned(), kind: String::new() });
            }
            (None, Some(last)) => {
                last.value.push('\n');
                last.value.push_str(words);
            }
            (None, None) => break,
        }
        at += line.len();
    }
    let rest = text[at..].trim_start_matches(['\n', '\r']);
    (properties, if at == 0 { text } else { rest })
}

/// Replaces the targets of links for which there is a new one; whether it is a picture is told, too. Names of files hold brackets, which
/// Notion leaves as they are.
fn rewrite(text: &str, to: &mut dyn FnMut(&str, bool) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let is_picture = before.rfind('[').is_some_and(|at| before[..at].ends_with('!'));
        let end = end_of(after);
        let target = &after[..end];
        match to(target.trim_start_matches('<').trim_end_matches('>'), is_picture) {
            Some(new) => out.push_str(&new),
            None => out.push_str(target),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// Where the target of a link ends: at the bracket that nothing in it opened, or at white space.
fn end_of(text: &str) -> usize {
    if text.starts_with('<') {
        return text.find(['>', '\n']).map_or(text.len(), |at| at + usize::from(text[at..].starts_with('>')));
    }
    let mut open = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return at,
            ')' => open -= 1,
            c if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_may_hold_brackets() {
        let text = "![a](x%20(1).png) [b](<y z.pdf>) [c](https://d) [open](";
        let mut seen = Vec::new();
        let out = rewrite(text, &mut |link, is_picture| {
            seen.push((link.to_owned(), is_picture));
            (!link.contains("://") && !link.is_empty()).then(|| "K".to_owned())
        });
        let seen: Vec<_> = seen.iter().map(|(link, is_picture)| (link.as_str(), *is_picture)).collect();
        assert_eq!(seen, [("x%20(1).png", true), ("y z.pdf", false), ("https://d", false), ("", false)]);
        assert_eq!(out, "![a](K) [b](K) [c](https://d) [open](");
    }

    #[test]
    fn only_columns_are_properties() {
        let columns = BTreeSet::from(["Date".to_owned(), "Ratio a:b".to_owned()]);
        let (properties, rest) = split("Date: May 1, 2024\nRatio a:b: 1:2\nsecond line\n\nNote: text\n", &columns);
        let shown: Vec<_> = properties.iter().map(|property| (property.name.as_str(), property.value.as_str())).collect();
        assert_eq!(shown, [("Date", "May 1, 2024"), ("Ratio a:b", "1:2\nsecond line")]);
        assert_eq!(rest, "Note: text\n");
        assert_eq!(split("Note: text\n", &columns).1, "Note: text\n");
    }
}
