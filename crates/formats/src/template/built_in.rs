//! The templates that come with the program: what people begin with, and what own ones begin as.

use std::collections::BTreeMap;

use super::{MANIFEST, Manifest, Set};

macro_rules! files {
    ($folder:literal, $($file:literal),+) => {
        (
            $folder,
            include_str!(concat!("built_in/", $folder, "/template.toml")),
            &[$(($file, include_str!(concat!("built_in/", $folder, "/", $file)))),+],
        )
    };
}

type Files = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const ALL: [Files; 5] = [
    files!("journal", "journal.html", "memory.html", "style.css"),
    files!("legal", "legal.typ"),
    files!("letter", "letter.typ"),
    files!("photo-book", "photo-book.typ"),
    files!("plain", "plain.md"),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, ..)| *name)
}

/// The files of one, `template.toml` among them.
pub fn files(name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let (_, manifest, files) = ALL.iter().find(|(known, ..)| *known == name)?;
    let all = std::iter::once((MANIFEST, *manifest)).chain(files.iter().copied());
    Some(all.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).collect())
}

/// One, by name.
pub fn find(name: &str) -> Option<Set> {
    let mut files = files(name)?;
    let manifest = files.remove(MANIFEST)?;
    let manifest = Manifest::parse(std::str::from_utf8(&manifest).ok()?).ok()?;
    Set::new(manifest, files).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Kind;

    #[test]
    fn each_is_a_template_of_its_name() {
        for name in names() {
            let set = find(name).unwrap_or_else(|| panic!("{name} is no template"));
            assert_eq!(set.manifest.name, name);
            if set.manifest.kind != Kind::Typst {
                crate::template::Engine::new(&set).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            }
        }
        assert!(find("nothing").is_none());
    }
}
