//! What a template says of itself, in its `template.toml`, and what its files may be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, Media, Per, Problem, Set, Standard};

/// The file that makes a folder a template.
pub const MANIFEST: &str = "template.toml";
/// No template has more files.
pub const FILES_MAX: usize = 100;
/// No file of it is longer.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// All together are not longer.
pub const SET_BYTES_MAX: u64 = 8 << 20;
/// No name is longer.
pub const NAME_CHARS_MAX: usize = 64;

/// Pixels of the longer side of pictures, unless a template says otherwise.
const PIXELS: u32 = 1_600;
/// Folders in folders, no deeper.
const DEEP_MAX: usize = 4;

/// What a template says of itself. Keys that are not known are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Its name: that of its folder.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it is written in.
    pub kind: Kind,
    /// The file that is filled in.
    pub entry: String,
    /// What one file is made of.
    #[serde(default)]
    pub per: Per,
    /// Which memories it takes, unless somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Which files of memories go with what is made.
    #[serde(default = "pictures")]
    pub media: Media,
    /// Pixels of the longer side of pictures.
    #[serde(default = "pixels")]
    pub pixels: u32,
    /// What a PDF promises.
    #[serde(default)]
    pub standard: Standard,
}

fn pictures() -> Media {
    Media::Pictures
}

fn pixels() -> u32 {
    PIXELS
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// It is no TOML, or a key is missing, unknown, or says what it can't.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let manifest: Self = toml::from_str(text).map_err(|error| Problem {
            line: error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
            ..Problem::of(MANIFEST, error.message().trim().replace('\n', "; "))
        })?;
        let wrong = |message: &str| Err(Problem::of(MANIFEST, message));
        if !is_name(&manifest.name) {
            return wrong(
                "`name` needs 1 to 64 of a-z, A-Z, 0-9, `_` and `-`, begins with none of the last two, and is no device of Windows",
            );
        }
        if !(100..=4_000).contains(&manifest.pixels) {
            return wrong("`pixels` is between 100 and 4000");
        }
        if manifest.kind != Kind::Typst && manifest.standard != Standard::Plain {
            return wrong("`standard` belongs to `kind = \"typst\"`: only a PDF promises one");
        }
        if manifest.kind == Kind::Typst && manifest.media.originals() {
            return wrong("a PDF holds no originals: `media` is \"pictures\" or \"none\"");
        }
        Ok(manifest)
    }

    /// As a file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a table of words and numbers")
    }
}

/// Whether a name can be that of a template: it becomes the name of a folder on any system.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && !is_device(name)
}

/// Windows has no folders of these names.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_port = |name: &str| {
        name.len() == 4 && (name.starts_with("com") || name.starts_with("lpt")) && name.ends_with(|c: char| c.is_ascii_digit())
    };
    matches!(name.as_str(), "con" | "nul" | "aux" | "prn") || is_port(&name)
}

/// Whether a path can be that of a template's file: names of plain letters, none of which begins with a dot.
pub fn is_path(path: &str) -> bool {
    let is_name = |name: &str| {
        (1..=NAME_CHARS_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    path.split('/').count() <= DEEP_MAX && path.split('/').all(is_name)
}

impl Set {
    /// Puts a template together.
    ///
    /// # Errors
    /// Each thing that makes it none.
    pub fn new(manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let text = |path: &str| std::str::from_utf8(files.get(path)?).ok();
        if !files.contains_key(&manifest.entry) {
            problems.push(Problem::of(MANIFEST, format!("`entry` names `{}`, which is not among the files", manifest.entry)));
        }
        let is_set = manifest.kind == Kind::Typst;
        if is_set && !manifest.entry.ends_with(".typ") {
            problems.push(Problem::of(
                MANIFEST,
                format!("`entry` names `{}`: a template of typst begins with a file that ends in .typ", manifest.entry),
            ));
        }
        for (path, bytes) in &files {
            let of = |message: &str| Problem::of(path, message);
            if !is_path(path) {
                problems.push(of("its name needs letters from a to z, digits, `.`, `_` and `-`, and no dot at its beginning"));
            }
            if bytes.len() as u64 > FILE_BYTES_MAX {
                problems.push(of("it is longer than 1 MiB"));
            }
            if is_set && matches!(path.as_str(), "keepsake.typ" | "data.json") {
                problems.push(of("a file of this name comes with the program: call it something else"));
            }
            let is_text = !is_set || path.ends_with(".typ");
            if is_text && text(path).is_none() {
                problems.push(of("it is no text in UTF-8"));
            }
        }
        if files.len() > FILES_MAX || files.values().map(|bytes| bytes.len() as u64).sum::<u64>() > SET_BYTES_MAX {
            problems.push(Problem::new("a template has at most 100 files of 8 MiB together"));
        }
        if problems.is_empty() { Ok(Self { manifest, files }) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "name = \"mine\"\ndescription = \"d\"\nkind = \"html\"\nentry = \"a.html\"\n";

    #[test]
    fn a_manifest_says_what_it_may_and_nothing_else() {
        let manifest = Manifest::parse(WORDS).expect("a manifest");
        assert_eq!((manifest.per, manifest.media, manifest.pixels), (Per::Export, Media::Pictures, 1_600));
        assert_eq!(Manifest::parse(&manifest.to_toml()), Ok(manifest));
        let unknown = Manifest::parse(&format!("{WORDS}colour = 3\n")).expect_err("an unknown key");
        assert_eq!((unknown.line, unknown.message.contains("colour")), (Some(5), true), "{unknown}");
        for (bad, says) in [
            ("name = \"mine\"", "description"),
            ("pixels = 9", "pixels"),
            ("standard = \"archival\"", "PDF"),
            ("per = \"year\"", "year"),
            ("x", "template.toml"),
        ] {
            let text = if bad.starts_with("name") { bad.to_owned() } else { format!("{WORDS}{bad}\n") };
            let problem = Manifest::parse(&text).expect_err(bad).to_string();
            assert!(problem.contains(says), "{bad}: {problem}");
        }
    }

    #[test]
    fn names_are_no_paths_and_paths_lead_nowhere_else() {
        assert!(is_name("photo-book") && is_name("A_1"));
        for bad in ["", "..", "a/b", "a\\b", "-x", ".x", "a b", "é", "con.", "con", "NUL", "Lpt1", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_path("a.html") && is_path("parts/head.html"));
        for bad in ["/a", "../a", "a/../b", "a//b", ".git/x", "a b", "a/b/c/d/e", "a\0"] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn a_set_names_each_thing_that_is_wrong() {
        let manifest = Manifest::parse(WORDS).expect("a manifest");
        let files = BTreeMap::from([("b.html".to_owned(), vec![0xff]), ("../c".to_owned(), vec![0; 2 << 20])]);
        let problems: Vec<String> = Set::new(manifest, files).expect_err("all wrong").iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 4, "{problems:?}");
        let manifest = Manifest { kind: Kind::Typst, entry: "a.txt".into(), ..Manifest::parse(WORDS).expect("a manifest") };
        let files = ["a.txt", "data.json", "keepsake.typ"].map(|path| (path.to_owned(), b"x".to_vec()));
        let problems = Set::new(manifest, files.into()).expect_err("all wrong");
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
