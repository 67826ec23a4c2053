//! Names in a Takeout: a sidecar's is made of its file's, and both are cut where they would be too long.

/// What stands between the name of a file and `.json` since the autumn of 2024, as much of it as has room.
const SUPPLEMENTAL: &str = ".supplemental-metadata";
/// Sidecars were never seen cut to fewer UTF-16 units than this, without `.json` and number; 46 is usual.
const CUT_UNITS: usize = 40;
/// Names of files that are this long may have been cut; 47 units without the ending are usual.
const CUT_FILE_UNITS: usize = 44;
/// A name of which so much is the beginning of a title is that title, cut.
const TITLE_UNITS: usize = 20;

/// What Google puts behind the name of an edited copy, in the language of the account; accents also as macOS writes them.
const EDITED: [&str; 22] = [
    "-edited",
    "-effects",
    "-smile",
    "-mix",
    "-bearbeitet",
    "-modifié",
    "-modifie\u{301}",
    "-modificato",
    "-modificata",
    "-ha editado",
    "-editado",
    "-editada",
    "-editat",
    "-bewerkt",
    "-edytowane",
    "-redigerad",
    "-redigeret",
    "-redigert",
    "-編集済み",
    "-编辑",
    "-已修改",
    "-изменено",
];

/// What Google calls the folder of a year, before the year or behind it.
const YEAR_BEFORE: [&str; 24] = [
    "Photos from",
    "Fotos von",
    "Fotos aus",
    "Photos de",
    "Fotos de",
    "Fotos del",
    "Foto dal",
    "Foto del",
    "Foto's uit",
    "Zdjęcia z",
    "Foton från",
    "Bilder från",
    "Bilder fra",
    "Billeder fra",
    "Valokuvat",
    "Kuvat",
    "Fotky z",
    "Fotografie z",
    "Fotografii din",
    "Fényképek",
    "Fotoğraflar",
    "Фото за",
    "Фотографии за",
    "Фото",
];
const YEAR_BEHIND: [&str; 7] = ["年の写真", "年のフォト", "년의 사진", "년 사진", "年的照片", "年的相片", "yılından fotoğraflar"];

/// Whether a folder is that of a year: nobody made it, and the day of a memory says as much.
pub(super) fn is_year(folder: &str) -> bool {
    let year = |text: &str| {
        let text = text.trim_matches([' ', '-', '\u{a0}']);
        text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit())
    };
    YEAR_BEFORE.iter().any(|words| folder.strip_prefix(words).is_some_and(year))
        || YEAR_BEHIND.iter().any(|words| folder.strip_suffix(words).is_some_and(year))
}

/// A name in two: `IMG.jpg` is `IMG` and `.jpg`.
pub(super) fn split(name: &str) -> (&str, &str) {
    let is_ending = |ending: &str| (1..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'~');
    let at = name.rfind('.').filter(|at| *at > 0 && is_ending(&name[at + 1..]));
    name.split_at(at.unwrap_or(name.len()))
}

/// Takes the number off the end by which a folder tells equal names apart: `IMG(1)`.
fn numbered(stem: &str) -> (&str, Option<u32>) {
    let number = |stem: &str| {
        let (rest, digits) = stem.strip_suffix(')')?.rsplit_once('(')?;
        let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        Some((rest.len(), digits.parse().ok().filter(|_| is_number && !rest.is_empty())?))
    };
    number(stem).map_or((stem, None), |(at, number)| (&stem[..at], Some(number)))
}

/// A file's name without its number, and the number: `IMG(1).jpg` is `IMG.jpg` with 1.
pub(super) fn plain(name: &str) -> (String, Option<u32>) {
    let (stem, ending) = split(name);
    let (stem, number) = numbered(stem);
    (format!("{stem}{ending}"), number)
}

/// A sidecar's name without number and `.json`, and the number: `IMG.jpg.supplemental-me(1).json` is `IMG.jpg.supplemental-me` with 1.
pub(super) fn of_sidecar(name: &str) -> (&str, Option<u32>) {
    numbered(split(name).0)
}

/// As sidecars of a name are called, without number and `.json`.
pub(super) fn sidecars_of(name: &str) -> impl Iterator<Item = String> {
    let whole = (0..=SUPPLEMENTAL.len()).rev().map(|length| &SUPPLEMENTAL[..length]);
    whole.map(move |behind| format!("{name}{behind}"))
}

/// As sidecars of a name are called in which its ending is missing or cut.
pub(super) fn sidecars_without_ending(name: &str) -> impl Iterator<Item = String> {
    let (_, ending) = split(name);
    let ending = ending.to_owned();
    let stem = name[..name.len() - ending.len()].to_owned();
    let cuts: Vec<String> = (0..ending.len()).rev().filter_map(|length| Some(format!("{stem}{}", ending.get(..length)?))).collect();
    cuts.into_iter().flat_map(|cut| sidecars_of(&cut).collect::<Vec<_>>())
}

/// As sidecars of a name are called that had no room for all of it, the longest first.
pub(super) fn cut_sidecars_of(name: &str) -> impl Iterator<Item = &str> {
    let mut before = 0;
    let cuts = name.char_indices().filter_map(move |(at, c)| {
        let is_long = before >= CUT_UNITS;
        before += c.len_utf16();
        is_long.then_some(at)
    });
    let cuts: Vec<usize> = cuts.collect();
    cuts.into_iter().rev().map(|at| &name[..at])
}

/// Whether a sidecar's name is so long that it may have been cut.
pub(super) fn is_cut_sidecar(name: &str) -> bool {
    units(name) >= CUT_UNITS
}

/// Whether a name is so long that it may be the beginning of a title.
pub(super) fn may_be_beginning(stem: &str) -> bool {
    units(stem) >= TITLE_UNITS
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// A title or a name in the form in which both can be compared: whatever no file system takes is replaced in names, by `_`.
pub(super) fn comparable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "<>:\"/\\|?*&%#'`~!@$^+=;{}".contains(c) { '_' } else { c }).collect()
}

/// Whether a file's name is that of a title, as both are compared: the name may have been cut.
pub(super) fn is_title(name: &str, title: &str) -> bool {
    let ((stem, ending), (title, its_ending)) = (split(name), split(title));
    let is_beginning = || may_be_beginning(stem) && title.starts_with(stem);
    ending.eq_ignore_ascii_case(its_ending) && (title == stem || is_beginning())
}

/// The names, without ending and number, that a file may be an edited copy of, each with its number.
pub(super) fn originals(stem: &str, number: Option<u32>) -> Vec<(String, Option<u32>)> {
    let mut found = Vec::new();
    let mut add = |length: usize| {
        // The number stands before or behind what says that it is a copy.
        let (stem, own) = numbered(&stem[..length]);
        let original = (stem.to_lowercase(), own.or(number));
        if !found.contains(&original) {
            found.push(original);
        }
    };
    for suffix in EDITED {
        let cuts = if units(stem) >= CUT_FILE_UNITS { 2 } else { suffix.len() };
        for cut in (cuts..=suffix.len()).rev().filter_map(|length| suffix.get(..length)) {
            let at = stem.len().checked_sub(cut.len()).filter(|at| *at > 0 && stem.is_char_boundary(*at));
            if let Some(at) = at.filter(|at| stem[*at..].to_lowercase() == cut) {
                add(at);
            }
        }
    }
    // As Android names a copy that was saved beside the original.
    if let Some((before, digits)) = stem.rsplit_once('~')
        && !before.is_empty()
        && (1..=2).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        add(before.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_endings_come_off() {
        for (name, without, number) in [
            ("IMG(1).jpg", "IMG.jpg", Some(1)),
            ("IMG.jpg", "IMG.jpg", None),
            ("IMG(x).jpg", "IMG(x).jpg", None),
            ("(1).jpg", "(1).jpg", None),
            ("03.03.13 - 1", "03.03.13 - 1", None),
            ("a(12345678901).jpg", "a(12345678901).jpg", None),
        ] {
            assert_eq!(plain(name), (without.to_owned(), number));
        }
        assert_eq!(of_sidecar("IMG.jpg.supplemental-me(2).json"), ("IMG.jpg.supplemental-me", Some(2)));
        assert_eq!(of_sidecar("IMG..json"), ("IMG.", None));
    }

    #[test]
    fn folders_of_years_are_known() {
        for folder in
            ["Photos from 2016", "Fotos von 2021", "2023年の写真", "2023 年の写真", "2019년의 사진", "Zdjęcia z 2020", "Fényképek - 2018"]
        {
            assert!(is_year(folder), "{folder}");
        }
        for folder in ["Trip 2016", "Photos from abcd", "2016", "Adelaide", ""] {
            assert!(!is_year(folder), "{folder}");
        }
    }

    #[test]
    fn copies_know_their_originals() {
        assert_eq!(originals("IMG-edited", Some(1)), [("img".to_owned(), Some(1))]);
        assert_eq!(originals("IMG(3)-modifié", None), [("img".to_owned(), Some(3))]);
        assert_eq!(originals("PXL_1~2", None), [("pxl_1".to_owned(), None)]);
        let long = "ccccm_20210613_184811_ssssnnnnnnn_666666666-edi";
        assert_eq!(originals(long, None), [("ccccm_20210613_184811_ssssnnnnnnn_666666666".to_owned(), None)]);
        assert!(originals("short-edi", None).is_empty() && originals("-edited", None).is_empty());
    }

    #[test]
    fn titles_are_names_before_they_were_cut() {
        assert!(is_title("a_b_.jpg", &comparable("a&b?.JPG")));
        assert!(is_title("Screenshot_2022-04-21_abb9c8060a0a1.jpg", "Screenshot_2022-04-21_abb9c8060a0a12c5ac89.jpg"));
        assert!(!is_title("IMG_1.jpg", "IMG_12.jpg") && !is_title("IMG_1.jpg", "IMG_1.mov"));
    }
}
