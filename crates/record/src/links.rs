//! Inline links in a memory's text: where its photos stand, and which other memories it names.

/// What a `keepsake:` link names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link<'a> {
    /// An attachment of the same memory, by key.
    Attachment(&'a str),
    /// Another memory, by id as text.
    Memory(&'a str),
}

const SCHEME: &str = "keepsake:";

/// The `keepsake:` links of a Markdown text, in order.
pub fn links(text: &str) -> Vec<Link<'_>> {
    text.match_indices(SCHEME).filter_map(|(at, _)| parse(&text[at + SCHEME.len()..])).collect()
}

fn parse(rest: &str) -> Option<Link<'_>> {
    let token = |text: &'_ str| text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    if let Some(key) = rest.strip_prefix("attachment/") {
        return Some(Link::Attachment(&key[..token(key)])).filter(|_| token(key) > 0);
    }
    let id = rest.strip_prefix("memory/")?;
    Some(Link::Memory(&id[..token(id)])).filter(|_| token(id) > 0)
}

/// Replaces the target of every Markdown link `](target)` for which `to` has a new one.
pub fn rewrite_links(text: &str, mut to: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // A character is found faster than two: most texts have no bracket at all.
    while let Some(at) = rest.match_indices(']').map(|(at, _)| at).find(|at| rest[at + 1..].starts_with('(')) {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let end = after.find([')', ' ', '\n']).unwrap_or(after.len());
        out.push_str(&to(&after[..end]).unwrap_or_else(|| after[..end].to_owned()));
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_rewrites_what_stands_in_the_text() {
        let text = "Before ![](dayone-moment://AB12) and [there](keepsake:memory/0190) after";
        let moved = rewrite_links(text, |target| target.strip_prefix("dayone-moment://").map(|id| format!("keepsake:attachment/{id}")));
        assert_eq!(moved, "Before ![](keepsake:attachment/AB12) and [there](keepsake:memory/0190) after");
        assert_eq!(links(&moved), vec![Link::Attachment("AB12"), Link::Memory("0190")]);
        assert_eq!(rewrite_links("[open](", |_| None), "[open](");
    }
}
