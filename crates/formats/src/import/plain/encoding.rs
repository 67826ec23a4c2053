//! Which characters the bytes of a text are: UTF-8, UTF-16 where a mark says so, else Windows-1252, in which every byte is some character.

/// 0x80 to 0x9F, where Windows-1252 has other characters than ISO 8859-1 (WHATWG's Encoding Standard, index windows-1252).
const UPPER: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2C6}', '\u{2030}', '\u{160}',
    '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}',
    '\u{2014}', '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
];

/// What is to be told of the characters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It says which they are, and some are none of these.
    Broken,
    /// It is no UTF-8, and says nothing.
    Guessed,
    /// Some of it is UTF-8, and more of it is not.
    Mixed,
    /// It has characters that no text has.
    Nul,
}

impl Doubt {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Broken => "is not whole UTF-8 or UTF-16; what could not be read stands as U+FFFD, and the file itself is kept with it",
            Self::Guessed => "is not UTF-8 and was read as Windows-1252; if letters look wrong, save it as UTF-8 and import again",
            Self::Mixed => {
                "is UTF-8 in some places and not in others, and was read as Windows-1252: letters may be wrong, and the file itself is kept with \
                 it; save it as UTF-8 and import again"
            }
            Self::Nul => "has U+0000, as files have that are no text; these stand as U+FFFD, and the file itself is kept with it",
        }
    }
}

/// The text of a file, and what is doubtful about it. `is_cut`: the file has more bytes, so that the last character may not be whole.
pub(super) fn decode(bytes: &[u8], is_cut: bool) -> (String, Option<Doubt>) {
    let (text, doubt) = characters(bytes, is_cut);
    if text.contains('\0') { (text.replace('\0', "\u{FFFD}"), doubt.or(Some(Doubt::Nul))) } else { (text, doubt) }
}

fn characters(bytes: &[u8], is_cut: bool) -> (String, Option<Doubt>) {
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes);
    }
    let marked = bytes.strip_prefix(b"\xef\xbb\xbf");
    let rest = marked.unwrap_or(bytes);
    match std::str::from_utf8(rest) {
        Ok(text) => (text.to_owned(), None),
        Err(error) if is_cut && error.error_len().is_none() => {
            (String::from_utf8_lossy(rest.get(..error.valid_up_to()).unwrap_or_default()).into_owned(), None)
        }
        Err(_) if marked.is_some() => (String::from_utf8_lossy(rest).into_owned(), Some(Doubt::Broken)),
        Err(_) => match told_apart(rest) {
            Doubt::Broken => (String::from_utf8_lossy(rest).into_owned(), Some(Doubt::Broken)),
            doubt => (rest.iter().map(|byte| windows(*byte)).collect(), Some(doubt)),
        },
    }
}

/// Whether bytes that are not all UTF-8 are UTF-8 with some that broke, or something else. Of Windows-1252 next to nothing is UTF-8 beyond ASCII
/// (`ß”` is), so one that broke in a long text makes no other letters of the rest.
fn told_apart(bytes: &[u8]) -> Doubt {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    match whole {
        _ if whole > broken => Doubt::Broken,
        _ if whole * 10 <= broken => Doubt::Guessed,
        _ => Doubt::Mixed,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<Doubt>) {
    let pairs = bytes.chunks_exact(2);
    let mut is_whole = pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in char::decode_utf16(units) {
        is_whole &= character.is_ok();
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    (text, (!is_whole).then_some(Doubt::Broken))
}

fn windows(byte: u8) -> char {
    match byte {
        0x80..=0x9F => UPPER[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_what_they_are() {
        let of = |bytes: &[u8]| decode(bytes, false);
        let whole = |text: &str| (text.to_owned(), None);
        assert_eq!(of("é 日".as_bytes()), whole("é 日"));
        assert_eq!(of("\u{feff}é".as_bytes()), whole("é"));
        assert_eq!(of(b"\xff\xfea\0\x3d\xd8\x00\xde"), whole("a\u{1F600}"));
        assert_eq!(of(b"\xfe\xff\0a\x65\xe5"), whole("a日"));
        assert_eq!(of(b"na\xefve \x80 \x93x\x94"), ("naïve € “x”".to_owned(), Some(Doubt::Guessed)));
        assert_eq!(of(b"\xff\xfea\0\x00\xd8"), ("a\u{FFFD}".to_owned(), Some(Doubt::Broken)));
        assert_eq!(of(b"\xff\xfea\0b"), ("a".to_owned(), Some(Doubt::Broken)));
        assert_eq!(of(b"\xef\xbb\xbf\xff"), ("\u{FFFD}".to_owned(), Some(Doubt::Broken)));
        assert_eq!(of(b"a\0"), ("a\u{FFFD}".to_owned(), Some(Doubt::Nul)));
        assert_eq!(of(b""), whole(""));
        let with = |text: &str, end: &[u8]| of(&[text.as_bytes(), end].concat());
        assert_eq!(with("Größe, Café", b"\xff"), ("Größe, Café\u{FFFD}".to_owned(), Some(Doubt::Broken)));
        assert_eq!(with("Café, Caf", b"\xc3").1, Some(Doubt::Mixed), "as one that nobody wrote to its end");
        assert_eq!(with("é é Caf", b"\xc3"), ("é é Caf\u{FFFD}".to_owned(), Some(Doubt::Broken)));
        assert_eq!(
            of("Gru\u{df} fr\u{fc}her \u{e4} \u{f6} \u{e4} \u{f6} \u{e4} \u{f6} \u{e4} \u{f6} \u{fc} "
                .chars()
                .map(|c| c as u8)
                .chain(*b"gro\xdf\x94")
                .collect::<Vec<_>>()
                .as_slice())
            .1,
            Some(Doubt::Guessed),
            "`ß”` alone is UTF-8"
        );
        assert_eq!((decode(b"a\xc3", true), decode(b"a\xc3", false).1), (whole("a"), Some(Doubt::Guessed)));
    }
}
