//! An export as something that goes on after its process has ended: what was asked for, at which moment, and which parts are there.

use std::path::{Path, PathBuf};

use keepsake_formats::{
    bag::{self, Container},
    book::Typesetter,
    import::Input,
};
use keepsake_record::{OwnerId, Sha256Digest, Timestamp};
use keepsake_vault::Moment;
use serde::{Deserialize, Serialize};

use super::{
    BagFormat, Dialect, ExportOptions, ExportPlan,
    depot::{Away, Depot},
    sealing::SealTo,
    writing::Omission,
};
use crate::{
    BookOptions, CustodyError, CustodyResult,
    books::{BookNote, manifest_path, volume_path},
    memories::hash_reader,
};

/// How an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportState {
    /// It was begun; the same command goes on with it.
    Begun,
    /// Everything is in it.
    Complete,
    /// It is there, and something was left out.
    Skipped,
}

/// A file or folder that an export made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPart {
    /// Where it is; of one that was sent away, its URL.
    pub path: PathBuf,
    /// The length of the archive; a folder has none.
    #[serde(default)]
    pub length: u64,
    /// Whether it was sent away, read back, and is not here any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sent: bool,
    /// Files of its payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// SHA-256 over the archive; of a folder, over its `tagmanifest-sha256.txt`.
    pub sha256: Sha256Digest,
    /// What it was made of.
    pub shape: Sha256Digest,
    /// What could not be read, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Omission>,
}

/// What was asked for, as it is compared with what is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub out: PathBuf,
    pub format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_sharing: bool,
    /// Where it goes, if not to a folder here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Away>,
    /// How a book is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<String>,
    /// Whom it is encrypted to; nobody: it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed_to: Vec<String>,
}

impl Asked {
    pub fn of(options: &ExportOptions, away: Option<Away>) -> CustodyResult<Self> {
        let format = match options.format {
            BagFormat::Json => "json",
            BagFormat::Csv(Dialect::Faithful) => "csv",
            BagFormat::Csv(Dialect::Spreadsheet) => "csv for spreadsheets",
            BagFormat::Xml => "xml",
            BagFormat::Markdown => "markdown",
            BagFormat::Html => "html",
            BagFormat::Media(media) => &media.to_string(),
        };
        Ok(Self {
            out: asked_out(&options.out, away.as_ref())?,
            format: format.into(),
            book: None,
            filter: options.filter.as_ref().map(|filter| filter.as_str().to_owned()),
            part_bytes: options.part_bytes,
            for_sharing: options.for_sharing,
            away,
            sealed_to: options.seal.as_ref().map(SealTo::names).unwrap_or_default(),
        })
    }

    pub fn of_book(options: &BookOptions, typesetter: &dyn Typesetter, away: Option<Away>) -> CustodyResult<Self> {
        let BookOptions { title, language, paper, with_data, .. } = options;
        Ok(Self {
            out: asked_out(&options.out, away.as_ref())?,
            format: typesetter.ending().into(),
            filter: options.filter.as_ref().map(|filter| filter.as_str().to_owned()),
            part_bytes: None,
            for_sharing: false,
            away,
            book: Some(format!("{title:?} {language:?} {paper:?} {with_data} {}", typesetter.set_with())),
            sealed_to: options.seal.as_ref().map(SealTo::names).unwrap_or_default(),
        })
    }
}

fn asked_out(out: &Path, away: Option<&Away>) -> CustodyResult<PathBuf> {
    match away {
        Some(away) => Ok(away.url().into()),
        None => std::path::absolute(out).map_err(CustodyError::io(out)),
    }
}

/// What is noted of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub id: String,
    /// What all parts of it have in common: the same for the same state and options.
    pub group: String,
    pub state: ExportState,
    pub began: Timestamp,
    pub asked: Asked,
    pub moment: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ExportPlan>,
    /// By number, from 0 on; those that are not there yet are absent.
    #[serde(default)]
    pub parts: Vec<Option<ExportPart>>,
    /// Of a book: its volumes, each of which is a part, before the manifest, which is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<BookNote>,
    /// Up to which change it is known that nothing in it was erased; the moment's unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<u64>,
    /// Where parts wait that are to be sent away.
    #[serde(skip)]
    pub waiting: Option<PathBuf>,
}

impl Job {
    pub fn new(owner: OwnerId, asked: Asked, moment: Moment, began: Timestamp) -> Self {
        let Moment { lineage, seq, mark, .. } = &moment;
        let Asked { format, filter, part_bytes, for_sharing, book, .. } = &asked;
        let group = short(&format!(
            "{owner} {lineage} {seq} {mark} {format} {filter:?} {part_bytes:?} {for_sharing}{}",
            book.as_deref().unwrap_or_default()
        ));
        let id = short(&format!("{group} {} {began}", asked.out.display()));
        Self {
            id,
            group: format!("keepsake-{group}"),
            state: ExportState::Begun,
            began,
            asked,
            moment,
            plan: None,
            parts: Vec::new(),
            book: None,
            clean: None,
            waiting: None,
        }
    }

    /// The day of the state that it shows: the date of all its files.
    pub fn day(&self) -> CustodyResult<String> {
        Ok(Timestamp::from_micros(self.moment.at)?.to_string()[..10].to_owned())
    }

    /// Where a part will stand: `NAME-002-of-007.zip`, or just where it was asked for.
    pub fn part_path(&self, number: usize, of: usize) -> PathBuf {
        if of == 1 {
            return self.asked.out.clone();
        }
        let name = self.asked.out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let at = match Container::of(&self.asked.out) {
            Container::Folder => None,
            Container::Zip => name.to_ascii_lowercase().rfind(".zip"),
            Container::TarGz => name.to_ascii_lowercase().rfind(".t"),
        };
        let at = at.unwrap_or(name.len());
        let (stem, ending) = name.split_at(at);
        self.asked.out.with_file_name(format!("{stem}-{:03}-of-{of:03}{ending}", number + 1))
    }

    /// What a run that was killed may have left of what it was writing. Of a book, one volume is written while one waits to be taken.
    fn unfinished(&self) -> Vec<PathBuf> {
        let (out, of) = (&self.asked.out, self.parts.len());
        let paths: Vec<PathBuf> = match self.asked.book {
            Some(_) => (1..=of + 3).map(|number| volume_path(out, Some(number))).chain([out.clone(), manifest_path(out)]).collect(),
            None => (0..of).map(|number| self.part_path(number, of)).collect(),
        };
        paths.iter().map(|path| bag::unfinished(&self.here(path))).collect()
    }

    /// Removes that. Volumes are files: a folder of such a name is somebody else's.
    pub fn remove_unfinished(&self) -> CustodyResult<()> {
        let is_book = self.asked.book.is_some();
        self.unfinished().iter().filter(|path| !(is_book && path.is_dir())).try_for_each(|path| remove(path))
    }

    /// That nobody is at what is to be begun, and nobody left anything there.
    pub fn refuse_unfinished(&self) -> CustodyResult<()> {
        match self.unfinished().iter().find(|path| path.symlink_metadata().is_ok()) {
            None => Ok(()),
            Some(path) => Err(CustodyError::Refused(format!(
                "{} is there, of another program or of a run that was cut off: move it away, or choose another name",
                path.display()
            ))),
        }
    }

    /// Where a part is on this machine, or waits.
    pub fn here(&self, path: &Path) -> PathBuf {
        match &self.waiting {
            Some(folder) => folder.join(path.file_name().unwrap_or_default()),
            None => path.to_owned(),
        }
    }

    /// Whether a part is there as it was written.
    pub fn is_whole(&self, number: usize, depot: Option<&Depot>) -> CustodyResult<bool> {
        let Some(part) = self.parts.get(number).and_then(Option::as_ref) else { return Ok(false) };
        if part.sent {
            return depot.map_or(Ok(false), |depot| depot.is_whole(part));
        }
        let path = self.here(&part.path);
        Ok(fingerprint(&path).is_ok_and(|found| found == part.sha256) && holds_together(&path))
    }

    /// Finds out how a part stands that a run before has noted: one that was whole and had not its name yet gets it. `true`: it is there.
    ///
    /// # Errors
    /// Something else is there by now.
    pub fn take_up(&mut self, number: usize, depot: Option<&Depot>) -> CustodyResult<bool> {
        let Some(part) = self.parts.get(number).and_then(Option::as_ref) else { return Ok(false) };
        if let (true, Some(depot)) = (part.sent, depot) {
            // It was read back when it was sent.
            let is_there = depot.is_there(part)?;
            if !is_there {
                depot.refuse_filled(&part.path)?;
                self.parts[number] = None;
            }
            return Ok(is_there);
        }
        let path = self.here(&part.path);
        let waiting = bag::unfinished(&path);
        if !path.exists() && fingerprint(&waiting).is_ok_and(|found| found == part.sha256) {
            bag::publish(&path).map_err(CustodyError::io(&path))?;
        }
        if self.is_whole(number, depot)? {
            return Ok(true);
        }
        if self.waiting.is_some() {
            remove(&path)?;
        } else if path.exists() {
            return Err(CustodyError::Refused(format!(
                "{} is not what was written any more: move it away and run this again, or begin again elsewhere with --anew",
                path.display()
            )));
        }
        self.parts[number] = None;
        Ok(false)
    }

    /// Removes a part, so that it is written again.
    pub fn drop_part(&mut self, number: usize, depot: Option<&Depot>) -> CustodyResult<()> {
        let Some(part) = self.parts.get(number).and_then(Option::as_ref) else { return Ok(()) };
        if let (true, Some(depot)) = (part.sent, depot) {
            depot.delete(&part.path)?;
        }
        remove(&self.here(&part.path))?;
        self.parts[number] = None;
        Ok(())
    }
}

/// What one process at a time does with an export.
pub(crate) fn lease_name(out: &Path) -> String {
    format!("export {}", out.display())
}

fn short(text: &str) -> String {
    Sha256Digest::of(text.as_bytes()).to_string()[..16].to_owned()
}

pub(crate) fn remove(path: &Path) -> CustodyResult<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CustodyError::io(path)(error)),
        _ => Ok(()),
    }
}

/// What tells whether a part is the one that was written.
pub(crate) fn fingerprint(path: &Path) -> CustodyResult<Sha256Digest> {
    let path = if path.is_dir() { path.join("tagmanifest-sha256.txt") } else { path.to_path_buf() };
    let mut file = std::fs::File::open(&path).map_err(CustodyError::io(&path))?;
    Ok(hash_reader(&mut file).map_err(CustodyError::io(&path))?.0)
}

/// Whether a bag that is a folder holds what its lists say, and nothing else. An archive was looked at whole already.
fn holds_together(path: &Path) -> bool {
    if !path.is_dir() {
        return true;
    }
    let mut listed = 1;
    for list in ["tagmanifest-sha256.txt", "manifest-sha256.txt"] {
        let text = std::fs::read_to_string(path.join(list)).unwrap_or_default();
        for (digest, name) in text.lines().filter_map(|line| line.split_once("  ")) {
            let file = std::fs::File::open(path.join(bag::unlisted(name)));
            if file.ok().and_then(|mut file| hash_reader(&mut file).ok()).is_none_or(|(found, _)| found.to_string() != digest) {
                return false;
            }
            listed += 1;
        }
    }
    // Links are no files of ours either.
    let input = Input::Folder(path.into());
    input.files().is_ok_and(|files| files.len() == listed) && input.left_out().is_ok_and(|others| others.is_empty())
}
