//! The index that the search looks into: words with the memories that hold them, cut into scripts of a size that loads at once.
//!
//! `search/t0.js`, `t1.js` … hold words in their order, each with numbers of memories: as differences of seven bits a byte (LEB128), or as one bit
//! for each memory where that is shorter, in base64. `search/m0.js` … hold what a list shows of memories. `search/index.js` says with which word
//! each of the first begins, and how many memories each of the second holds.

use std::{collections::HashMap, io};

use data_encoding::BASE64;
use keepsake_record::terms;
use serde_json::json;

use super::{
    Out,
    chain::Step,
    frame::{Frame, up},
    index::{Index, Listed},
};
use crate::markup::Markup;

/// A script of words ends with the one with which it reaches so many bytes.
const SHARD_BYTES: usize = 64 << 10;
/// So many memories share a script.
const LISTED: u64 = 256;
/// Characters of a memory that a list shows.
const EXCERPT_CHARS: usize = 160;

/// The memories that hold a word: the last number, and the differences up to it.
#[derive(Debug, Default)]
struct Postings {
    next: u32,
    count: u32,
    bytes: Vec<u8>,
}

impl Postings {
    fn push(&mut self, number: u32) {
        let mut rest = number - self.next;
        self.next = number + 1;
        self.count += 1;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    fn numbers(&self) -> Vec<u32> {
        let (mut numbers, mut next, mut value, mut shift) = (Vec::with_capacity(self.count as usize), 0, 0, 0);
        for byte in &self.bytes {
            value |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                numbers.push(next + value);
                next += value + 1;
                (value, shift) = (0, 0);
            }
        }
        numbers
    }

    /// `d` and differences, or `b` and bits.
    fn shown(&self, memories: u64) -> String {
        let bits = usize::try_from(memories.div_ceil(8)).unwrap_or(usize::MAX);
        if self.bytes.len() <= bits {
            return format!("d{}", BASE64.encode(&self.bytes));
        }
        let mut map = vec![0_u8; bits];
        self.numbers().into_iter().for_each(|number| map[(number / 8) as usize] |= 1 << (number % 8));
        format!("b{}", BASE64.encode(&map))
    }
}

/// Gathers words.
#[derive(Debug, Default)]
pub(super) struct Search(HashMap<Box<str>, Postings>);

/// The beginning of a text.
pub(super) fn excerpt(words: &str) -> String {
    let mut excerpt = String::new();
    for word in words.split_whitespace() {
        if excerpt.chars().count() + word.chars().count() > EXCERPT_CHARS {
            excerpt.extend(word.chars().take(EXCERPT_CHARS.saturating_sub(excerpt.chars().count())));
            excerpt.push('…');
            break;
        }
        if !excerpt.is_empty() {
            excerpt.push(' ');
        }
        excerpt.push_str(word);
    }
    excerpt
}

impl Search {
    /// Takes the words of a memory; numbers come in their order.
    pub fn add(&mut self, number: u32, words: &str) {
        for term in terms(words) {
            match self.0.get_mut(term.as_str()) {
                Some(postings) => postings.push(number),
                None => self.0.entry(term.into()).or_default().push(number),
            }
        }
    }

    /// Writes the scripts, and the page that loads them.
    pub fn write(self, index: &mut Index, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        let memories = index.len();
        let mut words: Vec<(Box<str>, Postings)> = self.0.into_iter().collect();
        // As scripts compare words: by units of UTF-16.
        words.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let (mut firsts, mut shard, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut put = |shard: &mut Vec<serde_json::Value>, firsts: &Vec<String>| {
            let text = format!("keepsake.words({},{});\n", firsts.len() - 1, serde_json::Value::Array(std::mem::take(shard)));
            out(&format!("search/t{}.js", firsts.len() - 1), text.as_bytes())
        };
        for (word, postings) in words {
            if shard.is_empty() {
                firsts.push(word.to_string());
            }
            let shown = postings.shown(memories);
            bytes += word.len() + shown.len();
            shard.push(json!([word, shown]));
            if bytes >= SHARD_BYTES {
                put(&mut shard, &firsts)?;
                bytes = 0;
            }
        }
        if !shard.is_empty() {
            put(&mut shard, &firsts)?;
        }
        let mut number = 0;
        while number < memories {
            let upto = (number + LISTED).min(memories);
            let mut some = Vec::new();
            for at in number..upto {
                let Listed { address, heading, when, excerpt, .. } = index.get(at as u32)?;
                some.push(json!([address, heading, when, excerpt]));
            }
            let at = number / LISTED;
            out(&format!("search/m{at}.js"), format!("keepsake.memories({at},{});\n", serde_json::Value::Array(some)).as_bytes())?;
            number = upto;
        }
        let directory = json!({ "memories": memories, "listed": LISTED, "words": firsts });
        out("search/index.js", format!("keepsake.index({directory});\n").as_bytes())?;
        let path = "search.html";
        let mut head = Markup::default();
        for script in ["search.js", "search/index.js"] {
            head.open("script", &[("defer", "defer"), ("src", &format!("{}{script}", up(path)))]).raw("</script>");
        }
        let mut body = Markup::default();
        body.raw("<h1>Search</h1><form id=\"search\" role=\"search\" aria-label=\"All memories\"><label>Words that a memory holds <input type=\"search\" id=\"q\" name=\"q\" autocomplete=\"off\"/></label> <button>Search</button></form>");
        body.raw(
            "<noscript><p>The search needs JavaScript. Months, people, places, collections and tags are found without it.</p></noscript>",
        );
        body.raw("<p id=\"told\" role=\"status\"></p><ol id=\"found\" class=\"list\"></ol><p><button id=\"more\" type=\"button\" hidden=\"hidden\">Show more</button></p>");
        frame.write_special(&Step { path: path.into(), title: "Search".into() }, &head, &body, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for numbers in [vec![0], vec![0, 1, 2], vec![5, 200, 70_000], (0..500).collect(), (0..1_000).step_by(7).collect()] {
            let mut postings = Postings::default();
            numbers.iter().for_each(|number| postings.push(*number));
            assert_eq!(postings.numbers(), numbers);
        }
        let mut all = Postings::default();
        (0..500).for_each(|number| all.push(number));
        assert!(all.shown(500).starts_with('b') && all.shown(500).len() < 90, "a bit each");
    }

    #[test]
    fn excerpts_end_in_time() {
        assert_eq!(excerpt(" one\n two "), "one two");
        assert_eq!(excerpt(&"x".repeat(1_000)).chars().count(), EXCERPT_CHARS + 1);
        assert!(excerpt(&"word ".repeat(1_000)).chars().count() <= EXCERPT_CHARS + 2);
    }
}
