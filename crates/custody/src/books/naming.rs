//! What the files of a book are called: `NAME.pdf`, or `NAME-1.pdf`, `NAME-2.pdf` … where there are several; their manifest is `NAME.pdf.manifest.json`.

use std::path::{Path, PathBuf};

use keepsake_formats::bag::{SEALED, is_sealed};

use crate::{CustodyError, CustodyResult};

/// A name in three: what comes before its ending, the ending with its dot, and that of a seal.
fn pieces(out: &Path) -> (String, String, String) {
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (name, seal) = name.split_at(if is_sealed(out) { name.len() - SEALED.len() } else { name.len() });
    let (stem, ending) = name.split_at(name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len()));
    (stem.to_owned(), ending.to_owned(), seal.to_owned())
}

/// Where the only volume stands, or one of several, from 1 on.
pub(crate) fn volume_path(out: &Path, number: Option<usize>) -> PathBuf {
    let Some(number) = number else { return out.to_owned() };
    let (stem, ending, seal) = pieces(out);
    out.with_file_name(format!("{stem}-{number}{ending}{seal}"))
}

/// Where the manifest stands.
pub(crate) fn manifest_path(out: &Path) -> PathBuf {
    let (stem, ending, seal) = pieces(out);
    out.with_file_name(format!("{stem}{ending}.manifest.json{seal}"))
}

/// That a name says what it is, and whether it is encrypted.
pub(super) fn check(out: &Path, ending: &str, is_to_be_sealed: bool) -> CustodyResult<()> {
    let (_, found, _) = pieces(out);
    if found.strip_prefix('.').is_none_or(|found| !found.eq_ignore_ascii_case(ending)) {
        return Err(CustodyError::Usage(format!("{} needs the ending .{ending}", out.display())));
    }
    match (is_to_be_sealed, is_sealed(out)) {
        (true, false) => Err(CustodyError::Usage(format!("what is encrypted is called so: say --out {}{SEALED}", out.display()))),
        (false, true) => Err(CustodyError::Usage(format!(
            "{} ends like what is encrypted: say whom to with --encrypt-to, or --encrypt for a passphrase",
            out.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_endings() {
        for (out, number, expected, manifest) in [
            ("a/book.pdf", None, "a/book.pdf", "a/book.pdf.manifest.json"),
            ("a/book.pdf", Some(2), "a/book-2.pdf", "a/book.pdf.manifest.json"),
            ("my.book.EPUB", Some(12), "my.book-12.EPUB", "my.book.EPUB.manifest.json"),
            ("book.pdf.age", Some(1), "book-1.pdf.age", "book.pdf.manifest.json.age"),
            ("日記.epub.AGE", Some(3), "日記-3.epub.AGE", "日記.epub.manifest.json.AGE"),
        ] {
            assert_eq!(volume_path(Path::new(out), number), Path::new(expected));
            assert_eq!(manifest_path(Path::new(out)), Path::new(manifest));
        }
        for (out, is_sealed, fits) in [
            ("book.pdf", false, true),
            ("book.PDF", false, true),
            ("book.pdf.age", true, true),
            ("book.pdf.age", false, false),
            ("book.pdf", true, false),
            ("book.epub", false, false),
            ("book", false, false),
            (".pdf", false, false),
        ] {
            assert_eq!(check(Path::new(out), "pdf", is_sealed).is_ok(), fits, "{out}");
        }
    }
}
