//! Fonts: those that come with the program, and those in folders that somebody names. Never whatever a machine has, unasked: the same book
//! would look different elsewhere.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use typst::{
    text::{Font, FontBook, FontInfo},
    utils::LazyHash,
};
use typst_kit::fonts::{FontPath, FontStore, embedded};

/// The families that text is set in, the first that has a character; what the language of a text asks for comes first.
const FAMILIES: [&str; 9] = [
    "Libertinus Serif",
    "Noto Serif",
    "Noto Naskh Arabic",
    "Noto Serif Hebrew",
    "Noto Serif Devanagari",
    "Noto Serif Tamil",
    "Noto Serif Thai",
    "Noto Color Emoji",
    "DejaVu Serif",
];
/// Chinese, Japanese and Korean share characters that each draws in its own way: by the beginning of the language's name.
const EAST_ASIAN: [(&str, &str); 6] = [
    ("zh-hant", "Noto Serif CJK TC"),
    ("zh-tw", "Noto Serif CJK TC"),
    ("zh-hk", "Noto Serif CJK TC"),
    ("ja", "Noto Serif CJK JP"),
    ("ko", "Noto Serif CJK KR"),
    ("", "Noto Serif CJK SC"),
];

/// The fonts that books are set with.
pub struct Fonts {
    store: FontStore,
    /// A bit for each code point that some font has.
    covered: Vec<u64>,
}

impl Fonts {
    /// The fonts that come with the program, and all that are in some folders. One that cannot be read is passed over.
    pub fn load(folders: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let mut store = FontStore::new();
        store.extend(embedded());
        let mut files = Vec::new();
        for folder in folders {
            font_files(folder.as_ref(), FOLDERS_DEEP, &mut files);
        }
        for path in files {
            // Read for what it says of itself; its bytes are read again when it is used.
            let Ok(bytes) = fs::read(&path) else { continue };
            for (index, info) in (0..).zip(FontInfo::iter(&bytes)) {
                store.push((FontPath { path: path.clone(), index }, info));
            }
        }
        let mut covered = vec![0_u64; 0x11_0000 / 64];
        for index in 0.. {
            let Some(info) = store.book().info(index) else { break };
            for point in info.coverage.iter() {
                if let Some(bits) = covered.get_mut(point as usize / 64) {
                    *bits |= 1 << (point % 64);
                }
            }
        }
        Self { store, covered }
    }

    /// Which fonts these are, as far as they tell of themselves: another text for others.
    pub fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.book().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Whether some font has a character.
    pub fn has(&self, character: char) -> bool {
        let point = u32::from(character);
        self.covered[point as usize / 64] & (1 << (point % 64)) != 0
    }

    /// The families for a text in a language (BCP 47), of those that are there.
    pub(crate) fn families(&self, language: &str) -> Vec<&'static str> {
        let language = language.to_ascii_lowercase();
        let own = EAST_ASIAN.iter().find(|(prefix, _)| language.starts_with(prefix)).map(|(_, family)| *family);
        let (first, rest) = FAMILIES.split_at(1);
        let wanted = first.iter().copied().chain(own).chain(rest.iter().copied());
        wanted.filter(|family| self.book().contains_family(&family.to_lowercase())).collect()
    }

    pub(crate) fn book(&self) -> &LazyHash<FontBook> {
        self.store.book()
    }

    pub(crate) fn font(&self, index: usize) -> Option<Font> {
        self.store.font(index)
    }
}

/// Folders in folders, no deeper than this.
const FOLDERS_DEEP: usize = 8;

/// The files of fonts below a folder, by name: the order in which a disk lists them is another on each machine.
fn font_files(folder: &Path, deep: usize, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
        if path.is_dir() && deep > 0 {
            font_files(&path, deep - 1, into);
        } else if ["ttf", "otf", "ttc", "otc"].iter().any(|known| ending == *known) {
            into.push(path);
        }
    }
}
