//! Which characters can be printed. PDF/A wants a shape for each; what has none is printed as `[U+XXXX]` and counted.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::Fonts;

/// Replaces what cannot be printed.
pub(crate) struct Cover<'a> {
    fonts: &'a Fonts,
    /// Characters that a font claims to have, and has no shape for where they stand.
    refused: &'a BTreeSet<char>,
    replaced: RefCell<BTreeMap<char, u64>>,
}

impl<'a> Cover<'a> {
    pub fn new(fonts: &'a Fonts, refused: &'a BTreeSet<char>) -> Self {
        Self { fonts, refused, replaced: RefCell::default() }
    }

    /// A text that can be printed.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.chars().all(|c| self.prints(c)) {
            return Cow::Borrowed(text);
        }
        let mut printed = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                // A tab has no width of its own on paper.
                '\t' => printed.push_str("    "),
                '\r' => {}
                c if self.prints(c) => printed.push(c),
                c => {
                    *self.replaced.borrow_mut().entry(c).or_default() += 1;
                    write!(printed, "[U+{:04X}]", u32::from(c)).expect("a String takes everything");
                }
            }
        }
        Cow::Owned(printed)
    }

    /// How often each character was replaced.
    pub fn replaced(self) -> BTreeMap<char, u64> {
        self.replaced.into_inner()
    }

    fn prints(&self, character: char) -> bool {
        let point = u32::from(character);
        match character {
            '\n' => true,
            _ if character.is_control() || self.refused.contains(&character) => false,
            // Private use means something to one program only; the last two of each plane and U+FFF9 to U+FFFB are no characters of a text.
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. | '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffb}' | '\u{feff}' => false,
            _ if point & 0xfffe == 0xfffe => false,
            _ => character.is_whitespace() || is_ignorable(character) || self.fonts.has(character),
        }
    }
}

/// What shapes and directs others and has no shape of its own (Unicode's `Default_Ignorable_Code_Point`, what of it is assigned).
pub(crate) fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_shape_is_printed_as_its_number() {
        let (fonts, refused) = (Fonts::load([""; 0]), BTreeSet::from(['q']));
        let cover = Cover::new(&fonts, &refused);
        assert!(matches!(cover.text("Grüße, Ωμέγα, Привет\u{ad}\u{200d}\n"), Cow::Borrowed(_)));
        assert_eq!(cover.text("a\u{2e3b}b\u{e000}\u{feff}\u{7}\tq\r\n"), "a[U+2E3B]b[U+E000][U+FEFF][U+0007]    [U+0071]\n");
        assert_eq!(cover.text("\u{10ffff}\u{fffe}\u{85}\u{2e3b}"), "[U+10FFFF][U+FFFE][U+0085][U+2E3B]");
        assert_eq!(cover.replaced()[&'\u{2e3b}'], 2);
    }
}
