//! Markup that readers of HTML and of XHTML take alike, written so that no word of a memory ever becomes markup.

use std::collections::BTreeMap;

use crate::text::{Block, Inline, Target};

/// Where what a text names is to be found, in the place that it is written to.
pub trait Surroundings {
    /// The address of another memory.
    fn memory(&self, id: &str) -> Option<String>;
    /// The address of an attachment.
    fn attachment(&self, key: &str) -> Option<String>;
    /// Writes an attachment where the text shows it; `words` are what the text says that it shows.
    fn figure(&self, markup: &mut Markup, key: &str, words: &str);
}

/// The lowest heading that there is.
const HEADING_MAX: u8 = 6;

/// Markup that is being written.
#[derive(Debug, Default)]
pub struct Markup {
    out: String,
    replaced: BTreeMap<char, u64>,
}

impl Markup {
    /// What was written.
    pub fn into_string(self) -> String {
        self.out
    }

    /// How long it is by now, in bytes.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The characters that no markup may hold, so often each: U+FFFD stands for them.
    pub fn replaced(&self) -> &BTreeMap<char, u64> {
        &self.replaced
    }

    /// Markup of the program's own, as it is.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Markup that was written before.
    pub fn append(&mut self, markup: &Markup) -> &mut Self {
        self.out.push_str(&markup.out);
        markup.replaced.iter().for_each(|(c, count)| *self.replaced.entry(*c).or_default() += count);
        self
    }

    /// Words: whatever they hold, they stay words.
    pub fn text(&mut self, words: &str) -> &mut Self {
        self.escaped(words);
        self
    }

    /// Begins an element.
    pub fn open(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) -> &mut Self {
        self.tag(name, attributes);
        self.out.push('>');
        self
    }

    /// Ends an element.
    pub fn close(&mut self, name: &'static str) -> &mut Self {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self
    }

    /// An element that holds nothing.
    pub fn void(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) -> &mut Self {
        self.tag(name, attributes);
        self.out.push_str("/>");
        self
    }

    /// An element that holds words alone.
    pub fn words(&mut self, name: &'static str, attributes: &[(&'static str, &str)], words: &str) -> &mut Self {
        self.open(name, attributes).text(words).close(name)
    }

    fn tag(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, value) in attributes {
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            self.escaped(value);
            self.out.push('"');
        }
    }

    fn escaped(&mut self, words: &str) {
        let mut plain = 0;
        for (at, c) in words.char_indices() {
            let instead = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\r' => " ",
                c if is_forbidden(c) => {
                    *self.replaced.entry(c).or_default() += 1;
                    "\u{fffd}"
                }
                _ => continue,
            };
            self.out.push_str(&words[plain..at]);
            self.out.push_str(instead);
            plain = at + c.len_utf8();
        }
        self.out.push_str(&words[plain..]);
    }

    /// Blocks of a text whose first level of headings is `level`.
    pub fn blocks(&mut self, blocks: &[Block], level: u8, around: &dyn Surroundings) -> &mut Self {
        blocks.iter().for_each(|block| self.block(block, level, around));
        self
    }

    fn block(&mut self, block: &Block, level: u8, around: &dyn Surroundings) {
        match block {
            Block::Paragraph(pieces) => {
                self.open("p", &[("dir", "auto")]).line(pieces, around);
                self.close("p");
            }
            Block::Heading(below, pieces) => {
                let name = heading(level.saturating_add(*below).saturating_sub(1));
                self.open(name, &[("dir", "auto")]).line(pieces, around);
                self.close(name);
            }
            Block::List(first, items) => {
                let (name, number) = (if first.is_some() { "ol" } else { "ul" }, first.unwrap_or(1).to_string());
                // Numbers that readers do not take would be errors.
                let begins = [("start", number.as_str())];
                let is_told = first.is_some_and(|first| first != 1 && i32::try_from(first).is_ok());
                self.open(name, if is_told { &begins } else { &[] });
                for item in items {
                    self.open("li", &[]).blocks(item, level, around).close("li");
                }
                self.close(name);
            }
            Block::Quote(inside) => {
                self.open("blockquote", &[]).blocks(inside, level, around).close("blockquote");
            }
            Block::Code(text) => {
                self.open("pre", &[("dir", "auto")]).words("code", &[], text).close("pre");
            }
            Block::Table(head, rows) => self.table(head, rows, around),
            Block::Rule => {
                self.void("hr", &[]);
            }
            Block::Figure(key, words) => around.figure(self, key, words),
        }
        self.out.push('\n');
    }

    fn table(&mut self, head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], around: &dyn Surroundings) {
        self.raw("<table><thead><tr>");
        for cell in head {
            // A head without words names no column.
            let name = if crate::text::plain(cell).trim().is_empty() { "td" } else { "th" };
            self.open(name, if name == "th" { &[("scope", "col")] } else { &[] }).line(cell, around);
            self.close(name);
        }
        self.raw("</tr></thead>");
        if !rows.is_empty() {
            self.raw("<tbody>");
            for row in rows {
                self.raw("<tr>");
                for cell in row {
                    self.open("td", &[("dir", "auto")]).line(cell, around);
                    self.raw("</td>");
                }
                self.raw("</tr>");
            }
            self.raw("</tbody>");
        }
        self.raw("</table>");
    }

    fn line(&mut self, pieces: &[Inline], around: &dyn Surroundings) {
        for piece in pieces {
            match piece {
                Inline::Text(words) => {
                    self.text(words);
                }
                Inline::Code(words) => {
                    self.words("code", &[], words);
                }
                Inline::Emphasis(inside) => self.span("em", inside, around),
                Inline::Strong(inside) => self.span("strong", inside, around),
                Inline::Struck(inside) => self.span("del", inside, around),
                Inline::Break => {
                    self.void("br", &[]);
                }
                Inline::Link(target, inside) => {
                    let address = match target {
                        Target::Url(url) => is_address(url).then(|| url.clone()),
                        Target::Attachment(key) => around.attachment(key),
                        Target::Memory(id) => around.memory(id),
                    };
                    match address {
                        Some(address) => {
                            self.open("a", &[("href", &address)]);
                            self.line(&without_links(inside), around);
                            self.close("a");
                        }
                        None => self.line(inside, around),
                    }
                }
            }
        }
    }

    fn span(&mut self, name: &'static str, inside: &[Inline], around: &dyn Surroundings) {
        self.open(name, &[]).line(inside, around);
        self.close(name);
    }
}

/// Links in links are no markup.
fn without_links(pieces: &[Inline]) -> Vec<Inline> {
    let piece = |piece: &Inline| match piece {
        Inline::Link(_, inside) => without_links(inside),
        Inline::Emphasis(inside) => vec![Inline::Emphasis(without_links(inside))],
        Inline::Strong(inside) => vec![Inline::Strong(without_links(inside))],
        Inline::Struck(inside) => vec![Inline::Struck(without_links(inside))],
        other => vec![other.clone()],
    };
    pieces.iter().flat_map(piece).collect()
}

fn heading(level: u8) -> &'static str {
    ["h1", "h2", "h3", "h4", "h5", "h6"][usize::from(level.clamp(1, HEADING_MAX) - 1)]
}

/// Whether readers take an address (RFC 3986): others are shown as words.
fn is_address(url: &str) -> bool {
    let is_allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~:/?#@!$&'()*+,;=%".contains(c);
    let bytes = url.as_bytes();
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let rest = url.split_once(':').map_or("", |(_, rest)| rest);
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    url.chars().all(is_allowed)
        && url.matches('#').count() <= 1
        && !rest.is_empty()
        && host.is_none_or(|host| !host.is_empty() && host.is_ascii() && !host.contains(['%', '@']))
        && bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || is_escape(at))
}

/// What neither HTML nor XML may hold: control characters and noncharacters (XML 1.0, 2.2; HTML, "control character").
fn is_forbidden(c: char) -> bool {
    let code = u32::from(c);
    (c.is_control() && !matches!(c, '\t' | '\n')) || matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    struct Nowhere;

    impl Surroundings for Nowhere {
        fn memory(&self, id: &str) -> Option<String> {
            (id == "known").then(|| "there.html#m".into())
        }

        fn attachment(&self, _: &str) -> Option<String> {
            None
        }

        fn figure(&self, markup: &mut Markup, key: &str, words: &str) {
            markup.words("b", &[("title", words)], key);
        }
    }

    fn shown(text: &str) -> String {
        let mut markup = Markup::default();
        markup.blocks(&parse(text), 3, &Nowhere);
        markup.into_string()
    }

    #[test]
    fn words_stay_words() {
        let mut markup = Markup::default();
        markup.words("a", &[("title", "\"'<>&\u{1}")], "</a><script>\u{b}\u{fffe}\u{7f}\r\n");
        assert_eq!(markup.replaced().values().sum::<u64>(), 4);
        assert_eq!(
            markup.into_string(),
            "<a title=\"&quot;&#39;&lt;&gt;&amp;\u{fffd}\">&lt;/a&gt;&lt;script&gt;\u{fffd}\u{fffd}\u{fffd} \n</a>"
        );
        assert_eq!(shown("<img src=x onerror=alert(1)>"), "<p dir=\"auto\">&lt;img src=x onerror=alert(1)&gt;</p>\n");
    }

    #[test]
    fn blocks_become_elements() {
        assert_eq!(shown("# A\n\n###### B"), "<h3 dir=\"auto\">A</h3>\n<h4 dir=\"auto\">B</h4>\n");
        assert_eq!(shown("3. a\n4. b"), "<ol start=\"3\"><li><p dir=\"auto\">a</p>\n</li><li><p dir=\"auto\">b</p>\n</li></ol>\n");
        assert_eq!(shown("![words](keepsake:attachment/k)"), "<b title=\"words\">k</b>\n");
        assert!(
            shown("| a | |\n|---|---|\n| 1 | 2 |").contains("<th scope=\"col\">a</th><td></td></tr></thead><tbody><tr><td dir=\"auto\">1")
        );
    }

    #[test]
    fn links_lead_where_readers_can_follow() {
        let leads = |text: &str| shown(text).contains("<a ");
        for good in ["[a](https://x.example/?a=1&b=%20#c)", "[a](mailto:a@b.example)", "[a](keepsake:memory/known)", "<https://x.example>"]
        {
            assert!(leads(good), "{good}: {}", shown(good));
        }
        for bad in
            ["[a](https://x.example/%zz)", "[a](http://)", "[a](keepsake:memory/other)", "[a](https://x.example/a|b)", "[a](http://a#b#c)"]
        {
            assert!(!leads(bad) && shown(bad).contains('a'), "{bad}: {}", shown(bad));
        }
        assert_eq!(shown("[a ![b](http://x.example/) c](http://y.example/)").matches("<a ").count(), 1, "no link is in a link");
    }
}
