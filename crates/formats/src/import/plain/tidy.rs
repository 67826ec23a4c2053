//! HTML as it lies in files, made so that it can be read tag by tag: without scripts, styles and comments, every attribute in quotes, and the ends
//! that its authors may leave out (of paragraphs, items, cells) where they belong. Each byte is looked at once.

use super::super::html::words;

/// Elements whose content is no markup, and nothing to read.
const UNREAD: [&str; 2] = ["script", "style"];
/// Elements whose end may be left out, and those that hold them.
const TRACKED: [&str; 11] = ["p", "li", "dt", "dd", "td", "th", "tr", "ul", "ol", "dl", "table"];
/// Elements that no paragraph holds: one that is open ends where they begin.
const NO_PARAGRAPH: [&str; 36] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];
/// Deeper ones are left to end where they are ended.
const OPEN_MAX: usize = 1000;

/// The same HTML, tidy; `false`: a part of it has no end, and the words of it are kept.
pub(super) fn tidied(html: &str) -> (String, bool) {
    let mut tidy = Tidy { out: String::with_capacity(html.len()), open: Vec::new(), counts: [0; TRACKED.len()] };
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        tidy.out.push_str(&rest[..at]);
        let Some(after) = tidy.markup(&rest[at..]) else {
            tidy.out.push(' ');
            tidy.out.push_str(&words(&rest[at..]));
            return (tidy.out, false);
        };
        rest = after;
    }
    tidy.out.push_str(rest);
    (tidy.out, true)
}

struct Tidy {
    out: String,
    /// The elements that are open, of [`TRACKED`].
    open: Vec<usize>,
    /// How many of each are, so that an end without a beginning is none at once.
    counts: [usize; TRACKED.len()],
}

impl Tidy {
    /// Writes what begins with `<`, and answers what follows; `None`: it does not end.
    fn markup<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return behind_comment(comment);
        }
        if let Some(literal) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = literal.split_once("]]>")?;
            self.out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
            return Some(after);
        }
        // What else is declared is for browsers: `<!DOCTYPE …>`, `<![if …]>`, `<?xml …?>`.
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return rest.split_once('>').map(|(_, after)| after);
        }
        let is_end = rest.starts_with("</");
        let tag = &rest[1 + usize::from(is_end)..];
        if !tag.starts_with(|first: char| first.is_ascii_alphabetic()) {
            self.out.push_str("&lt;");
            return Some(&rest[1..]);
        }
        let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'))?;
        let name = plain(&tag[..end]);
        let (attributes, after) = attributes(&tag[end..])?;
        if is_end {
            self.end(&name);
        } else if UNREAD.contains(&name.as_str()) {
            return behind(after, &name);
        } else {
            self.begin(&name, &attributes);
        }
        Some(after)
    }

    fn begin(&mut self, name: &str, attributes: &str) {
        if NO_PARAGRAPH.contains(&name) {
            self.close(&["p"]);
        }
        match name {
            "li" => self.close(&["li"]),
            "dt" | "dd" => self.close(&["dt", "dd"]),
            "td" | "th" => self.close(&["td", "th"]),
            "tr" => {
                self.close(&["td", "th"]);
                self.close(&["tr"]);
            }
            _ => {}
        }
        self.out.push_str(&format!("<{name}{attributes}>"));
        if let Some(known) = TRACKED.iter().position(|known| *known == name)
            && self.open.len() < OPEN_MAX
        {
            self.open.push(known);
            self.counts[known] += 1;
        }
    }

    /// Ends the innermost element, if it is one of these.
    fn close(&mut self, names: &[&str]) {
        if let Some(innermost) = self.open.pop_if(|innermost| names.contains(&TRACKED[*innermost])) {
            self.out.push_str(&format!("</{}>", TRACKED[innermost]));
            self.counts[innermost] -= 1;
        }
    }

    fn end(&mut self, name: &str) {
        if let Some(known) = TRACKED.iter().position(|known| *known == name).filter(|known| self.counts[*known] > 0) {
            while let Some(inner) = self.open.pop() {
                self.counts[inner] -= 1;
                if inner == known {
                    break;
                }
            }
        }
        self.out.push_str(&format!("</{name}>"));
    }
}

/// A name without what no name has, in small letters.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// The attributes of a tag, each in quotes, and what follows the tag; `None`: it does not end.
fn attributes(tag: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return Some((out, after));
        }
        // What begins a name belongs to it, whatever it is.
        let (end, _) = rest.char_indices().skip(1).find(|(_, c)| c.is_whitespace() || matches!(c, '/' | '>' | '='))?;
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.trim_start().strip_prefix('=') {
            None => ("", after),
            Some(value) => {
                let value = value.trim_start();
                match value.chars().next()? {
                    quote @ ('"' | '\'') => value[1..].split_once(quote)?,
                    _ => value.split_at(value.find(|c: char| c.is_whitespace() || c == '>')?),
                }
            }
        };
        let name = plain(name);
        if !name.is_empty() {
            out.push_str(&format!(" {name}=\"{}\"", value.replace('<', "&lt;").replace('"', "&quot;")));
        }
        rest = after;
    }
}

/// What follows the end of a comment; `<!-->` is a whole one, and `--!>` ends one, too (WHATWG's HTML, 13.2.5.43 to 51).
fn behind_comment(comment: &str) -> Option<&str> {
    let at_once = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->"));
    let ends = |(at, _): &(usize, &str)| comment[..*at].ends_with("--") || comment[..*at].ends_with("--!");
    at_once.or_else(|| comment.match_indices('>').find(ends).map(|(at, _)| &comment[at + 1..]))
}

/// What follows the end of an element that holds no markup.
fn behind<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after.split_once('>').map(|(_, after)| after);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_were_left_out_are_put_in() {
        for (html, tidy) in [
            ("<p>a<p>b<div>c</div>", "<p>a</p><p>b</p><div>c</div>"),
            ("<UL><LI>a<LI>b<ul><li>c</ul><li>d</UL>", "<ul><li>a</li><li>b<ul><li>c</ul></li><li>d</ul>"),
            ("<table><tr><td>a<td><p>b<tr><th>c</table>", "<table><tr><td>a</td><td><p>b</p></td></tr><tr><th>c</table>"),
            ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dl>"),
            ("a < b <3 </> c", "a &lt; b &lt;3 &lt;/> c"),
            ("<a href=x.html?a=1&b title='it\"s' checked>", "<a href=\"x.html?a=1&b\" title=\"it&quot;s\" checked=\"\">"),
            ("<img src=a.png/>", "<img src=\"a.png/\">"),
            ("<img alt = \"a > b\" / >", "<img alt=\"a > b\">"),
            ("<!DOCTYPE html><!-- <p> --><?xml x?><![if a]>b<![CDATA[c<d]]>", "bc&lt;d"),
            ("a<!-->b<!--->c<!-- d --!>e<!---->f<!--[if !IE]><!-->g<!--<![endif]-->h", "abcefgh"),
            ("a<script>if (a<b) '</p>'</SCRIPT >b<style>p{}</style>c", "abc"),
            ("<b 1=2 \u{e9}=x>\u{e9}</B >", "<b 1=\"2\">\u{e9}</b>"),
        ] {
            assert_eq!(tidied(html), (tidy.to_owned(), true), "{html}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test of how long it takes")]
    fn what_has_no_end_is_kept_as_words() {
        for (html, tidy) in [("a<b", "a "), ("a<!-- b", "a "), ("a<p title='x>b", "a b"), ("<script>a", " a"), ("a<![CDATA[b", "a ")] {
            assert_eq!(tidied(html), (tidy.to_owned(), false), "{html}");
        }
        let long = "<a <p ".repeat(200_000);
        assert!(!tidied(&long).1, "and it takes no time");
        let ends = format!("{}{}", "<ul>".repeat(1000), "</p>".repeat(2_000_000));
        let (began, (tidy, is_whole)) = (std::time::Instant::now(), tidied(&ends));
        assert!(tidy.len() == ends.len() && is_whole);
        assert!(began.elapsed().as_secs() < 10, "ends without beginnings are not looked for: {:?}", began.elapsed());
    }
}
