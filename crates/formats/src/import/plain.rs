//! A folder of plain text and HTML: each file a memory, the files that pages show and link to its attachments.
//!
//! When files were written to a disk says little of when something happened, so that is not read; days in names and in what pages say are.

mod dates;
mod encoding;
mod links;
mod page;
mod tidy;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use keepsake_record::{Attachment, Kind, Sha256Digest, When, rewrite_links};
use serde_json::Value;

use self::{
    encoding::{Doubt, decode},
    links::{Links, name_of},
    page::Said,
    tidy::tidied,
};
use super::{
    CollectionDraft, Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{key_of_file, set_title},
    front_matter::custom,
    media_type::is_media,
};

/// The most that is read of one file. A memory holds 16 MiB of text; of what is longer, the file itself is kept, too.
const BYTES_MAX: usize = 32 << 20;
const TEXT_BYTES_MAX: usize = 15 << 20;
/// Longer paths are known by their digest.
const ID_BYTES_MAX: usize = 1024;
/// Characters that are written as others, so that their bytes do not tell that they are not what they seem.
const ESCAPED: [&str; 4] = ["iso-2022-jp", "iso-2022-kr", "utf-7", "hz-gb-2312"];
/// How browsers call the folder of what belongs to a page, behind the page's name, in the languages that say it otherwise.
const SAVED: [&str; 8] = ["_files", "-Dateien", "_fichiers", "_archivos", "-filer", "_bestanden", "_file", ".files"];
/// Folders that programs make, and others may make again.
const MADE: [&str; 5] = ["public", "_site", "dist", "build", "node_modules"];
/// What pages call the characters that are read anyhow where a page is no UTF-8.
const WESTERN: [&str; 7] = ["windows-1252", "cp1252", "iso-8859-1", "iso8859-1", "latin1", "us-ascii", "ascii"];

/// Whether a file is a text or a page, by its ending.
pub(crate) fn is_text(path: &str) -> bool {
    has_ending(path, &["txt", "html", "htm"])
}

fn is_page(path: &str) -> bool {
    has_ending(path, &["html", "htm"])
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let mut folder = Folder::of(input, &files, BTreeSet::new(), options);
    folder.read(sink)?;
    for file in files.iter().filter(|file| !folder.used.contains(&file.path)) {
        let what = match file.path.as_str() {
            path if is_hidden(path) => "hidden, as settings of programs are",
            path if is_text(path) => "a part of a saved page or of a bag, and no text of its own",
            path if is_note(path) => "a note of Markdown: import it with --format markdown",
            path if is_media(path) => "a photo, film or recording that no text names: import it with --format media",
            _ => "no text, and no text names it",
        };
        sink.passed_over(&file.path, what);
    }
    Ok(())
}

/// What programs keep for themselves.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

/// The texts of a folder, and the files that they may name.
pub(crate) struct Folder<'a> {
    input: &'a Input,
    options: &'a ReadOptions,
    texts: Vec<&'a InputFile>,
    files: BTreeSet<&'a str>,
    /// The folders of the notes that the texts are beside, if they are.
    notes: Option<BTreeSet<&'a str>>,
    /// What is a memory, or belongs to one.
    pub used: BTreeSet<String>,
}

impl<'a> Folder<'a> {
    /// The texts of some files; those that are used are none.
    fn of(input: &'a Input, files: &'a [InputFile], used: BTreeSet<String>, options: &'a ReadOptions) -> Self {
        let all: BTreeSet<&'a str> = files.iter().map(|file| file.path.as_str()).collect();
        let bags: BTreeSet<&str> = all.iter().filter_map(|path| path.strip_suffix("bagit.txt")).collect();
        let pages: BTreeSet<&str> = all.iter().filter(|path| is_page(path)).filter_map(|path| Some(path.rsplit_once('.')?.0)).collect();
        let is_own = |path: &str| is_text(path) && !is_hidden(path) && !is_of_page(path, &pages) && !is_tag(path, &bags);
        let texts = files.iter().filter(|file| is_own(&file.path) && !used.contains(&file.path)).collect();
        let files = all.iter().copied().filter(|path| !is_own(path) && !is_hidden(path)).collect();
        Self { input, options, texts, files, notes: None, used }
    }

    /// The texts beside notes of Markdown, but for those that the notes name. Pages that a program makes others from are none.
    pub fn beside_notes(input: &'a Input, files: &'a [InputFile], used: BTreeSet<String>, options: &'a ReadOptions) -> Self {
        let mut folder = Self::of(input, files, used, options);
        folder.files.retain(|path| !is_note(path));
        let notes = files.iter().filter(|file| is_note(&file.path) && !is_hidden(&file.path));
        folder.notes = Some(notes.map(|file| folder_of(&file.path)).collect());
        folder
    }

    /// Reads each text.
    ///
    /// # Errors
    /// The sink has enough. What is wrong with single texts goes to it.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for file in std::mem::take(&mut self.texts) {
            self.used.insert(file.path.clone());
            if let Some(what) = self.is_made(&file.path) {
                sink.passed_over(&file.path, what);
                continue;
            }
            match self.bytes(file) {
                Ok(found) => self.memory(&file.path, &found, sink)?,
                Err(error) => sink.problem(Problem::new(&file.path, error)),
            }
        }
        Ok(())
    }

    /// What a text beside notes is, if nobody wrote it for its words.
    fn is_made(&self, path: &str) -> Option<&'static str> {
        let notes = self.notes.as_ref()?;
        let (folder, name) = (folder_of(path), path.rsplit('/').next().unwrap_or(path));
        let is_license = ["LICENSE", "LICENCE"].iter().any(|word| name.starts_with(word));
        let is_program =
            ["robots.txt", "requirements.txt", "cmakelists.txt", "license.txt"].iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_license || is_program {
            return Some("a file for programs, or a license; --format plain imports it all the same");
        }
        let is_made = folder.split('/').any(|part| MADE.contains(&part)) && !notes.contains(folder);
        is_made.then_some("in a folder that a program makes, and without a note beside it; --format plain imports it all the same")
    }

    fn bytes(&self, file: &InputFile) -> Result<Found, ReadError> {
        let mut bytes = Vec::new();
        let read = self.input.open_file(&file.path)?.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|source| ReadError::Io { path: file.path.clone(), source })?;
        if bytes.len() <= BYTES_MAX {
            return Ok(Found { digest: Sha256Digest::of(&bytes), bytes, is_cut: false });
        }
        bytes.truncate(BYTES_MAX);
        Ok(Found { digest: self.input.digest(&file.path)?, bytes, is_cut: true })
    }

    fn memory(&mut self, path: &str, found: &Found, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let (text, doubt) = decode(&found.bytes, found.is_cut);
        let tidy = is_page(path).then(|| tidied(&text));
        if self.notes.is_some() && tidy.as_ref().is_some_and(|(tidy, _)| tidy.contains("{{") || tidy.contains("{%")) {
            sink.passed_over(path, "a template of pages; --format plain imports it all the same");
            return Ok(());
        }
        let id = if path.len() <= ID_BYTES_MAX { path.to_owned() } else { Sha256Digest::of(path.as_bytes()).to_string() };
        let mut draft = Draft::new("plain", id, path, found.digest, self.options);
        draft.memory.kind = Kind::Note;
        let mut links = Links::new(path, &self.files, &mut self.used, &mut draft);
        let (mut text, said, broken) = if let Some((tidy, is_whole)) = &tidy {
            page::read(tidy, *is_whole, &mut links)
        } else {
            links.is_text = true;
            (rewrite_links(&text, |target| links.target(target)), Said::default(), None)
        };
        let mut problems = links.problems();
        let is_long = found.is_cut || text.len() > TEXT_BYTES_MAX;
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        draft.memory.text = text;
        let is_foreign = tell_characters(doubt, said.charset.as_deref(), &mut problems);
        problems.extend(broken.map(|broken| format!("{broken}, and the file itself is kept with it")));
        if is_long {
            problems.push("is longer than a text may be: its beginning is the text, and the file itself is kept with it".to_owned());
        }
        if is_long || is_foreign || broken.is_some() {
            keep_itself(path, &mut draft);
        }
        describe(said, path, self.options, &mut draft);
        settle_digest(found.digest, &mut draft);
        problems.into_iter().for_each(|problem| sink.problem(Problem::new(path, problem)));
        sink.draft(draft)
    }
}

/// The beginning of a file, whether it goes on, and the digest of the whole.
struct Found {
    bytes: Vec<u8>,
    is_cut: bool,
    digest: Sha256Digest,
}

/// Tells what is doubtful about the characters of a text; whether its words are not all that its bytes say.
fn tell_characters(doubt: Option<Doubt>, charset: Option<&str>, problems: &mut Vec<String>) -> bool {
    match (doubt, charset) {
        (Some(Doubt::Guessed), Some(charset)) if WESTERN.contains(&charset) => false,
        (Some(Doubt::Guessed), Some(charset)) => {
            problems.push(format!(
                "says that it is in {}, and was read as Windows-1252: its letters may be wrong, and the file itself is kept with it; save it \
                 as UTF-8 and import again",
                charset.escape_debug()
            ));
            true
        }
        (None, Some(charset)) if ESCAPED.contains(&charset) => {
            problems.push(format!(
                "says that it is in {charset}, and was read as UTF-8: the file itself is kept with it; save it as UTF-8 and import again"
            ));
            true
        }
        (doubt, _) => {
            problems.extend(doubt.map(|doubt| doubt.describe().to_owned()));
            matches!(doubt, Some(Doubt::Broken | Doubt::Mixed | Doubt::Nul))
        }
    }
}

/// Whether a file lies in the folder in which a browser keeps what belongs to a page: `NAME_files` beside `NAME.html`. Pages are without endings.
fn is_of_page(path: &str, pages: &BTreeSet<&str>) -> bool {
    let page = |folder: &str| SAVED.iter().filter_map(|mark| folder.strip_suffix(mark)).any(|stem| pages.contains(stem));
    path.match_indices('/').any(|(at, _)| page(&path[..at]))
}

fn is_note(path: &str) -> bool {
    has_ending(path, &["md", "markdown"])
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a file is one that tells of a bag, and not of what is in it. Bags are the folders that they are, each with `/` at its end.
fn is_tag(path: &str, bags: &BTreeSet<&str>) -> bool {
    let folders = path.match_indices('/').map(|(at, _)| path.split_at(at + 1));
    std::iter::once(("", path)).chain(folders).any(|(folder, inside)| bags.contains(folder) && !inside.starts_with("data/"))
}

/// Attaches a text's own file, where its words are not all that it says.
fn keep_itself(path: &str, draft: &mut Draft) {
    let name = name_of(path);
    let key = key_of_file(&draft.memory, &name);
    draft.memory.attachments.push(Attachment::new(key.clone(), name, if is_page(path) { "text/html" } else { "text/plain" }));
    draft.files.push(DraftFile { key, path: path.to_owned() });
}

/// Title, language, day and folder, and what else a page says of itself.
fn describe(mut said: Said, path: &str, options: &ReadOptions, draft: &mut Draft) {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match &said.title {
        Some(title) if !set_title(&mut draft.memory, title) => custom(draft, "title".into(), title.as_str().into()),
        Some(_) => {}
        None => draft.memory.title = Some(stem.chars().take(1000).collect()),
    }
    if let Some((folder, _)) = path.rsplit_once('/') {
        draft.collections.push(CollectionDraft { name: folder.to_owned(), kind: "folder" });
    }
    if let Some(date) = date(&said, path, options, draft) {
        said.fields.insert(0, ("date", date));
    }
    let mut fields: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (field, value) in said.fields {
        if fields.entry(field).or_default().insert(value.clone()) {
            values.entry(field).or_default().push(value.into());
        }
    }
    for (field, mut values) in values {
        let value = if values.len() > 1 { Value::Array(values) } else { values.pop().unwrap_or_default() };
        custom(draft, field.into(), value);
    }
    if let Some(language) = said.language {
        draft.memory.language = Some(language);
        if draft.memory.validate().is_err()
            && let Some(language) = draft.memory.language.take()
        {
            custom(draft, "language".into(), language.into());
        }
    }
}

/// When it was: as its name says; as the page says of itself, where that is the same day or the name says none; else as its folders or its text
/// do. What the page says comes back where it is not believed.
fn date(said: &Said, path: &str, options: &ReadOptions, draft: &mut Draft) -> Option<String> {
    let zone = options.zone.as_ref();
    let parsed = |text: &str| dates::written(text, zone);
    let dates::Days { own: named, folder } = dates::of_path(path, zone);
    let is_same = |own: &When| named.as_ref().is_none_or(|named| named.day == own.day && named.instant.is_none() && named.edtf.is_none());
    let own = said.date.as_deref().and_then(parsed).filter(is_same);
    let not_believed = said.date.clone().filter(|_| own.is_none());
    let in_text = || said.time.as_deref().and_then(parsed).filter(|when| when.day.is_some());
    if let Some(when) = own.or(named).or(folder).or_else(in_text) {
        if let Some(at) = when.instant {
            (draft.memory.created, draft.memory.modified) = (at, at);
        }
        draft.memory.when = when;
    }
    not_believed
}

/// A text whose picture arrives later is another one than without it.
fn settle_digest(digest: Sha256Digest, draft: &mut Draft) {
    if draft.files.is_empty() {
        return;
    }
    let mut all = digest.as_bytes().to_vec();
    for file in &draft.files {
        all.push(0);
        all.extend_from_slice(file.path.as_bytes());
    }
    if let Some(source) = &mut draft.memory.source {
        source.digest = Some(Sha256Digest::of(&all));
    }
}
