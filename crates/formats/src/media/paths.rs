//! Where files stand that people look through: names in their own letters that every file system takes, and no two that one of them takes for the same.

use std::collections::HashMap;

use keepsake_record::{Attachment, Sha256Digest, layout::NO_STEM};
use unicode_normalization::UnicodeNormalization;

use crate::import::ending_of;

/// With a date, a number and two endings, names stay well below what file systems take.
const NAME_BYTES_MAX: usize = 100;
/// What Windows takes for devices, whatever the ending.
const DEVICES: [&str; 7] = ["CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"];

/// The names that are taken, each by what it is to a file system that tells neither case nor composition apart.
#[derive(Default)]
pub(super) struct Paths {
    /// By digest: how many names were asked for that begin like this one.
    taken: HashMap<u64, u32>,
}

impl Paths {
    /// A stem in a folder for files of these endings, which belong together. No other file is called so, and none has a sidecar or a companion of
    /// that name. What comes later gets a number.
    pub fn claim(&mut self, folder: &str, stem: &str, endings: &[&str]) -> String {
        let base = key(folder, stem);
        let mut number = self.taken.get(&base).copied().unwrap_or(0);
        loop {
            number += 1;
            let tried = if number == 1 { stem.to_owned() } else { format!("{stem} ({number})") };
            let mut keys: Vec<u64> = endings.iter().map(|ending| key(folder, &format!("{tried}.{ending}"))).collect();
            keys.push(key(folder, &tried));
            if keys.iter().all(|key| !self.taken.contains_key(key)) {
                self.taken.extend(keys.into_iter().map(|key| (key, 1)));
                self.taken.insert(base, number);
                return tried;
            }
        }
    }
}

/// What a name is to file systems that tell neither case nor composition apart.
fn key(folder: &str, name: &str) -> u64 {
    let folded: String = format!("{folder}/{name}").to_uppercase().to_lowercase().nfc().collect();
    let digest = Sha256Digest::of(folded.as_bytes());
    u64::from_be_bytes(digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes"))
}

/// A name that every file system takes, in the letters that it has.
pub(super) fn safe(name: &str) -> String {
    let mut safe = String::new();
    for c in name.nfc().filter(|c| !is_hidden(*c)) {
        let c = match c {
            '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '-',
            c if c.is_whitespace() || c.is_control() => ' ',
            c => c,
        };
        if safe.len() + c.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        safe.push(c);
    }
    let safe = safe.trim_start_matches(['.', ' ', '-', '~']).trim_end_matches(['.', ' ']);
    let first = safe.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let port = first.strip_prefix("COM").or_else(|| first.strip_prefix("LPT"));
    let is_port = port.is_some_and(|port| port.chars().count() == 1 && port.chars().all(|c| c.is_numeric()));
    match (safe.is_empty(), is_port || DEVICES.contains(&first.as_str())) {
        (true, _) => NO_STEM.into(),
        (_, true) => format!("_{safe}"),
        _ => safe.to_owned(),
    }
}

/// Marks that turn the direction of a name, so that it looks like another one.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The stem and the ending of an attachment's name; what has no ending that says what it is gets that of its media type.
pub(super) fn parts(attachment: &Attachment) -> (&str, String) {
    let is_ending = |ending: &str| (1..=10).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match attachment.name.rsplit_once('.') {
        Some((stem, ending)) if is_ending(ending) && !stem.is_empty() => (stem, ending.to_owned()),
        _ => (&attachment.name, ending_of(&attachment.media_type).unwrap_or("bin").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_stay_readable() {
        let table = [
            ("IMG_0001", "IMG_0001"),
            ("東坡 «志林»", "東坡 «志林»"),
            ("a/b\\c:d*e?", "a-b-c-d-e-"),
            ("..", "file"),
            ("../../etc", "etc"),
            ("con", "_con"),
            ("Con.tar", "_Con.tar"),
            ("COM¹", "_COM¹"),
            ("LPT10", "LPT10"),
            ("ends. . ", "ends"),
            ("a\u{202e}gpj.exe\n", "agpj.exe"),
            ("-rf", "rf"),
            ("e\u{301}", "é"),
            ("\0", "file"),
        ];
        for (name, wanted) in table {
            assert_eq!(safe(name), wanted, "{name:?}");
        }
        assert!(safe(&"界".repeat(500)).len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn no_two_are_the_same_to_any_file_system() {
        let mut paths = Paths::default();
        assert_eq!(paths.claim("f", "é", &["jpg"]), "é");
        assert_eq!(paths.claim("f", "E\u{301}", &["JPG"]), "E\u{301} (2)");
        assert_eq!(paths.claim("f", "é", &["png"]), "é (3)", "a film of that name would be taken for its own");
        assert_eq!(paths.claim("g", "é", &["jpg"]), "é");
        assert_eq!(paths.claim("f", "É (3)", &["jpg"]), "É (3) (2)");
        assert_eq!(paths.claim("f", "é.jpg", &["xmp"]), "é.jpg (2)", "a sidecar is called so");
        assert_eq!((0..3).map(|_| paths.claim("f", "a", &["jpg"])).collect::<Vec<_>>(), ["a", "a (2)", "a (3)"]);
    }
}
