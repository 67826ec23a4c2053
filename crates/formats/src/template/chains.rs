//! What would be too deep once it is read: minijinja bounds what stands in each other, but chains (`a.b.c`, `a ~ b ~ c`, `elif` after `elif`) become
//! as deep as they are long, and whoever walks through them runs out of stack.

use super::Problem;

/// Words and signs in one pair of marks; texts, commas and colons, which make nothing deep, do not count.
const TOKENS_MAX: usize = 500;
/// Each stands in the one before.
const ELIFS_MAX: usize = 200;

/// Why a file is not read at all: it is too long to be walked through, or turns escaping off.
/// Goes by marks, texts and comments as minijinja does (3.1, `compiler/lexer.rs`).
pub(super) fn refused(path: &str, source: &str) -> Option<Problem> {
    let bytes = source.as_bytes();
    let (mut at, mut elifs) = (0, 0);
    while at + 1 < bytes.len() {
        let begin = at;
        let told = |message: String| {
            let line = source[..begin].matches('\n').count() + 1;
            Some(Problem { line: Some(line), ..Problem::of(path, message) })
        };
        at += 2;
        match &bytes[begin..at] {
            b"{#" => at = find(bytes, at, b"#}"),
            marks @ (b"{%" | b"{{") => {
                let is_block = marks == b"{%";
                if let Some(end) = mark_of(bytes, at, b"raw").filter(|_| is_block) {
                    at = end_of_raw(bytes, end);
                    continue;
                }
                let tag = Tag::read(bytes, at, if is_block { b"%}" } else { b"}}" });
                at = tag.end;
                elifs += usize::from(tag.is_elif);
                if tag.is_bare && is_block {
                    return told("there is no `autoescape`: in HTML every value is escaped".into());
                }
                if tag.tokens > TOKENS_MAX {
                    return told(format!(
                        "this has more than {TOKENS_MAX} words and signs between its marks: say it in several steps with `{{% set %}}`"
                    ));
                }
                if elifs > ELIFS_MAX {
                    return told(format!("a file has at most {ELIFS_MAX} `elif`: look it up in a table instead"));
                }
            }
            _ => at = begin + 1,
        }
    }
    None
}

/// What stands between two marks.
struct Tag {
    end: usize,
    tokens: usize,
    is_elif: bool,
    /// Whether its first word is `autoescape`.
    is_bare: bool,
}

impl Tag {
    fn read(bytes: &[u8], begin: usize, mark: &[u8]) -> Self {
        let mut tag = Self { end: begin, tokens: 0, is_elif: false, is_bare: false };
        let mut open = 0_isize;
        while let Some(&byte) = bytes.get(tag.end) {
            if open == 0 && bytes[tag.end..].starts_with(mark) {
                tag.end += mark.len();
                break;
            }
            match byte {
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' => open -= 1,
                _ => {}
            }
            let first = tag.end;
            tag.end = match byte {
                b'"' | b'\'' => end_of_text(bytes, first, byte),
                _ if is_word(byte) => first + bytes[first..].iter().take_while(|byte| is_word(**byte)).count(),
                _ => first + 1,
            };
            if !matches!(byte, b'"' | b'\'' | b',' | b':') && !byte.is_ascii_whitespace() {
                tag.tokens += 1;
                let word = &bytes[first..tag.end];
                tag.is_elif |= word == b"elif";
                // Before it may be a sign about white space.
                tag.is_bare |= word == b"autoescape" && tag.tokens <= 2;
            }
        }
        tag
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Behind what is looked for, else the end.
fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    bytes[from..].windows(what.len()).position(|some| some == what).map_or(bytes.len(), |found| from + found + what.len())
}

fn end_of_text(bytes: &[u8], begin: usize, delimiter: u8) -> usize {
    let mut at = begin + 1;
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == delimiter {
            break;
        }
    }
    at.min(bytes.len())
}

/// Behind a mark of one word such as `{% raw %}`, if it is one; `at` stands behind its `{%`.
fn mark_of(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let rest = &bytes[at..];
    let rest = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest);
    let rest = rest.trim_ascii_start().strip_prefix(word)?.trim_ascii_start();
    let rest = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest);
    Some(bytes.len() - rest.strip_prefix(b"%}")?.len())
}

/// Nothing in `{% raw %}` is read.
fn end_of_raw(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        at = find(bytes, at, b"{%");
        if let Some(end) = mark_of(bytes, at, b"endraw") {
            return end;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_found_wherever_they_hide() {
        let chain = format!("{{{{ x{} }}}}", ".a".repeat(600));
        for before in ["\n", "\n{# \" #}", "\n{% raw %}{{ ' {%- endraw -%}", "\n{{ \"}}\" ~ '\\'{{' }}", "\n{{ {\"a\": {\"b\": 1}} }}"] {
            let found = refused("a.txt", &format!("{before}{chain}")).unwrap_or_else(|| panic!("{before}"));
            assert_eq!((found.file.as_deref(), found.line), (Some("a.txt"), Some(2)), "{before}");
        }
        for hidden in ["{{ \"}}\"", "{{ {1: [2]}"] {
            assert!(refused("a.txt", &format!("{hidden}{} }}}}", " ~ x".repeat(600))).is_some(), "{hidden}");
        }
        for fine in [".a".repeat(600), format!("{{# {chain} #}}"), format!("{{% raw %}}{chain}{{% endraw %}}"), "{{ x.a }}".repeat(600)] {
            assert_eq!(refused("a.txt", &fine), None);
        }
        let table = format!("{{% set x = {{{}}} %}}", "\"a }}\": \"b\", ".repeat(2_000));
        assert_eq!(refused("a.txt", &table), None);
        let elifs = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(80_000));
        assert!(refused("a.txt", &elifs).is_some_and(|found| found.message.contains("elif")));
        for bare in ["{% autoescape false %}x{% endautoescape %}", "{%- autoescape false %}"] {
            assert!(refused("a.txt", bare).is_some_and(|found| found.message.contains("escaped")), "{bare}");
        }
    }
}
