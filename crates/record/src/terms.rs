//! The words of a text, the same for writing the index and for asking it, and the same on every engine.

use std::collections::BTreeSet;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longer words are cut: a base64 blob in a note is nothing that anybody looks for.
const TERM_MAX_CHARS: usize = 64;

/// The terms of a text: words folded to lower case without accents or vowel marks; Han and kana as single characters and
/// pairs, because they are written without spaces.
pub fn terms(text: &str) -> BTreeSet<String> {
    if text.is_ascii() {
        // Nothing to decompose, nothing written without spaces: the same answer, ten times as fast.
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        return words.map(|word| word[..word.len().min(TERM_MAX_CHARS)].to_ascii_lowercase()).collect();
    }
    unicode_terms(text)
}

fn unicode_terms(text: &str) -> BTreeSet<String> {
    let folded: String = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).nfc().collect();
    let mut terms = BTreeSet::new();
    let mut word = String::new();
    let mut last_ideograph = None;
    for c in folded.chars().chain([' ']) {
        if is_ideographic(c) {
            flush(&mut word, &mut terms);
            terms.insert(c.to_string());
            if let Some(last) = last_ideograph.replace(c) {
                terms.insert([last, c].iter().collect());
            }
            continue;
        }
        last_ideograph = None;
        if c.is_alphanumeric() {
            word.push(c);
        } else if !is_joiner(c) {
            flush(&mut word, &mut terms);
        }
    }
    terms
}

fn flush(word: &mut String, terms: &mut BTreeSet<String>) {
    if !word.is_empty() {
        terms.insert(word.chars().take(TERM_MAX_CHARS).collect());
        word.clear();
    }
}

/// Invisible characters that stand inside words: joiners, soft hyphens, direction marks.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_for_ascii_answers_the_same() {
        let long = "x".repeat(100);
        for text in ["", "Plain words, 2024-01-01; it's fine", "a\tb\nc_d", &long, "UPPER lower"] {
            assert_eq!(terms(text), unicode_terms(text), "{text}");
        }
    }

    fn shown(text: &str) -> String {
        terms(text).into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn folds_and_segments() {
        assert_eq!(shown("Café crème, naïve ÉTÉ-2024!"), "2024 cafe creme ete naive");
        assert_eq!(shown("東坡志林"), "坡 坡志 志 志林 東 東坡 林");
        assert_eq!(shown("שָׁלוֹם עולם"), "עולם שלום");
        assert_eq!(shown("مَرْحَبًا بالعالم"), "بالعالم مرحبا");
        assert_eq!(shown("wife\u{2060} \u{2060}… hi\u{ad}ding"), "hiding wife");
        assert_eq!(shown("ﬁne Ⅳ"), "fine iv");
        assert_eq!(shown("…!?"), "");
    }
}
