//! What of a Markdown text is prose, and what is code, where a `#` is no tag and brackets are no link.

/// The pieces of a text in order, each with whether it is code: fences with what is in them, and spans between back-ticks.
pub(crate) fn spans(text: &str) -> Vec<(&str, bool)> {
    let mut found = Vec::new();
    let mut prose = 0;
    let mut at = 0;
    while let Some(next) = text[at..].find('`').map(|next| at + next) {
        let ticks = text[next..].len() - text[next..].trim_start_matches('`').len();
        let opens = next + ticks;
        match closing(&text[opens..], ticks) {
            Some(length) => {
                found.push((&text[prose..next], false));
                found.push((&text[next..opens + length], true));
                (prose, at) = (opens + length, opens + length);
            }
            // A fence that nobody closes goes on to the end; a lone back-tick is a back-tick.
            None if ticks >= 3 && text[..next].trim_end_matches([' ', '\t']).chars().next_back().is_none_or(|before| before == '\n') => {
                found.push((&text[prose..next], false));
                found.push((&text[next..], true));
                (prose, at) = (text.len(), text.len());
            }
            None => at = opens,
        }
    }
    found.push((&text[prose..], false));
    found.retain(|(piece, _)| !piece.is_empty());
    found
}

/// How long what follows is up to and with as many back-ticks as opened it.
fn closing(text: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = text[at..].find('`').map(|next| at + next) {
        let run = text[next..].len() - text[next..].trim_start_matches('`').len();
        if run == ticks {
            return Some(next + run);
        }
        at = next + run;
    }
    None
}

/// Whether a `#` after this text may begin a tag: not in a word, an address or the target of a link.
pub(crate) fn may_begin_tag(before: &str) -> bool {
    !before.ends_with("](") && before.chars().next_back().is_none_or(|last| last.is_whitespace() || "([{\"'*_^>,;，。、（「".contains(last))
}

/// So near the end of a name is looked for: if each beginning had one looked for in all that follows, a long text took hours.
const NAME_BYTES: usize = 1024;

/// What stands before `end`, near and on the same line.
pub(crate) fn up_to<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let near = &text[..text.floor_char_boundary(NAME_BYTES)];
    let line = near.split('\n').next().unwrap_or(near);
    line.split_once(end).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_looked_for_nearby() {
        assert_eq!((up_to("é] b]", "]"), up_to("]", "]")), (Some("é"), Some("")));
        assert_eq!((up_to("a\n]", "]"), up_to(&format!("{}]", "é".repeat(600)), "]"), up_to("", "]")), (None, None, None));
    }

    #[test]
    fn tells_code_from_prose() {
        let code = |text| spans(text).into_iter().filter(|(_, code)| *code).map(|(piece, _)| piece).collect::<Vec<_>>();
        assert_eq!(code("a `b` c ``d ` e`` ` f"), ["`b`", "``d ` e``"]);
        assert_eq!(code("a\n```js\n`x`\n#no\n``` after"), ["```js\n`x`\n#no\n```"]);
        assert_eq!(code("a\n```\nno end"), ["```\nno end"]);
        for text in ["", "`", "a ``` b", "é`ü`", "`a` `"] {
            assert_eq!(spans(text).iter().map(|(piece, _)| *piece).collect::<String>(), text, "nothing is lost");
        }
    }
}
