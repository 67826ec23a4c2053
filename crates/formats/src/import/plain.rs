//! A folder of plain text and HTML: each file a memory, the files that pages show and link to its attachments.
//!
//! When files were written to a disk says little of when something happened, so that is not read; days in names and in what pages say are.

mod dates;
mod encoding;
mod links;
mod page;
mod tidy;

use std::{collections::BTreeSet, io::Read};

use keepsake_record::{Attachment, Kind, Sha256Digest, When, rewrite_links};

use self::{
    encoding::{Doubt, decode},
    links::{Links, name_of},
    page::Said,
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
            path if has_ending(path, &["md", "markdown"]) => "a note of Markdown: import it with --format markdown",
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
    is_beside_notes: bool,
    /// What is a memory, or belongs to one.
    pub used: BTreeSet<String>,
}

impl<'a> Folder<'a> {
    /// The texts of some files; those that are used are none.
    fn of(input: &'a Input, files: &'a [InputFile], used: BTreeSet<String>, options: &'a ReadOptions) -> Self {
        let all: BTreeSet<&'a str> = files.iter().map(|file| file.path.as_str()).collect();
        let bags: Vec<&str> = all.iter().copied().filter(|path| path.rsplit('/').next() == Some("bagit.txt")).collect();
        let is_own = |path: &str| is_text(path) && !is_hidden(path) && !is_of_page(path, &all) && !bags.iter().any(|bag| is_tag(path, bag));
        let texts = files.iter().filter(|file| is_own(&file.path) && !used.contains(&file.path)).collect();
        let files = all.iter().copied().filter(|path| !is_own(path) && !is_hidden(path)).collect();
        Self { input, options, texts, files, is_beside_notes: false, used }
    }

    /// The texts beside notes of Markdown, but for those that the notes name. Pages that a program makes others from are none.
    pub fn beside_notes(input: &'a Input, files: &'a [InputFile], used: BTreeSet<String>, options: &'a ReadOptions) -> Self {
        let mut folder = Self::of(input, files, used, options);
        folder.files.retain(|path| !has_ending(path, &["md", "markdown"]));
        folder.is_beside_notes = true;
        folder
    }

    /// Reads each text.
    ///
    /// # Errors
    /// The sink has enough. What is wrong with single texts goes to it.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for file in std::mem::take(&mut self.texts) {
            self.used.insert(file.path.clone());
            match self.bytes(file) {
                Ok(found) => self.memory(&file.path, &found, sink)?,
                Err(error) => sink.problem(Problem::new(&file.path, error)),
            }
        }
        Ok(())
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
        if self.is_beside_notes && is_page(path) && ["{{", "{%"].iter().any(|mark| text.contains(mark)) {
            sink.passed_over(path, "a template of pages; --format plain imports it all the same");
            return Ok(());
        }
        let id = if path.len() <= ID_BYTES_MAX { path.to_owned() } else { Sha256Digest::of(path.as_bytes()).to_string() };
        let mut draft = Draft::new("plain", id, path, found.digest, self.options);
        draft.memory.kind = Kind::Note;
        let mut links = Links::new(path, &self.files, &mut self.used, &mut draft);
        let (mut text, said, broken) = if is_page(path) {
            page::read(&text, &mut links)
        } else {
            links.is_text = true;
            (rewrite_links(&text, |target| links.target(target)), Said::default(), None)
        };
        let mut problems: Vec<String> = std::mem::take(&mut links.problems).into_iter().collect();
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

/// Tells what is doubtful about the characters of a text; whether it says that they are others than those it was read in.
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
        (doubt, _) => {
            problems.extend(doubt.map(|doubt| doubt.describe().to_owned()));
            false
        }
    }
}

/// Whether a file lies in the folder in which a browser keeps what belongs to a page: `NAME_files` beside `NAME.html`.
fn is_of_page(path: &str, all: &BTreeSet<&str>) -> bool {
    let is_there = |stem: &str| [".html", ".htm"].iter().any(|ending| all.contains(format!("{stem}{ending}").as_str()));
    path.match_indices("_files/").any(|(at, _)| is_there(&path[..at]))
}

/// Whether a file is one that tells of a bag, and not of what is in it.
fn is_tag(path: &str, bag: &str) -> bool {
    let root = bag.strip_suffix("bagit.txt").unwrap_or_default();
    path.strip_prefix(root).is_some_and(|inside| !inside.starts_with("data/"))
}

/// Attaches a text's own file, where its words are not all that it says.
fn keep_itself(path: &str, draft: &mut Draft) {
    let name = name_of(path);
    let key = key_of_file(&draft.memory, &name);
    draft.memory.attachments.push(Attachment::new(key.clone(), name, if is_page(path) { "text/html" } else { "text/plain" }));
    draft.files.push(DraftFile { key, path: path.to_owned() });
}

/// Title, language, day and folder, and what else a page says of itself.
fn describe(said: Said, path: &str, options: &ReadOptions, draft: &mut Draft) {
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
    date(&said, path, options, draft);
    for (field, value) in said.fields {
        custom(draft, field.into(), value.into());
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

/// When it was: as its name says; as the page says of itself, where that is the same day or the name says none; else as its text does.
fn date(said: &Said, path: &str, options: &ReadOptions, draft: &mut Draft) {
    let zone = options.zone.as_ref();
    let parsed = |text: &str| When::parse(text, zone).ok();
    let named = dates::of_path(path, zone);
    let is_same = |own: &When| named.as_ref().is_none_or(|named| named.day == own.day && named.instant.is_none() && named.edtf.is_none());
    let own = said.date.as_deref().and_then(parsed).filter(is_same);
    if let Some(date) = said.date.as_deref().filter(|_| own.is_none()) {
        custom(draft, "date".into(), date.into());
    }
    let in_text = || said.time.as_deref().and_then(parsed).filter(|when| when.day.is_some());
    let Some(when) = own.or(named).or_else(in_text) else { return };
    if let Some(at) = when.instant {
        (draft.memory.created, draft.memory.modified) = (at, at);
    }
    draft.memory.when = when;
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
