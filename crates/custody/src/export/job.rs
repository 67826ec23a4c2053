//! An export as something that goes on after its process has ended: what was asked for, at which moment, and which parts are there.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

use keepsake_formats::{bag::Container, import::Input};
use keepsake_record::{MemoryId, OwnerId, Sha256Digest, Timestamp};
use keepsake_vault::{ExportRow, Moment};
use serde::{Deserialize, Serialize};

use super::{BagFormat, Dialect, ExportOptions, ExportPlan, writing::Omission};
use crate::{Custody, CustodyError, CustodyResult, memories::hash_reader};

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
    /// Where it is.
    pub path: PathBuf,
    /// Files of its payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// SHA-256 over the archive; of a folder, over its `tagmanifest-sha256.txt`.
    pub sha256: Sha256Digest,
    /// What could not be read, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Omission>,
}

/// What was asked for, as it is compared with what is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub out: PathBuf,
    pub format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_bytes: Option<u64>,
}

impl Asked {
    pub fn of(options: &ExportOptions) -> CustodyResult<Self> {
        let format = match options.format {
            BagFormat::Json => "json",
            BagFormat::Csv(Dialect::Faithful) => "csv",
            BagFormat::Csv(Dialect::Spreadsheet) => "csv for spreadsheets",
            BagFormat::Xml => "xml",
            BagFormat::Markdown => "markdown",
        };
        Ok(Self {
            out: std::path::absolute(&options.out).map_err(CustodyError::io(&options.out))?,
            format: format.into(),
            filter: options.filter.as_ref().map(|filter| filter.as_str().to_owned()),
            part_bytes: options.part_bytes,
        })
    }
}

/// What is noted of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub id: String,
    pub state: ExportState,
    pub began: Timestamp,
    pub asked: Asked,
    pub moment: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ExportPlan>,
    /// By number, from 0 on; those that are not there yet are absent.
    #[serde(default)]
    pub parts: Vec<Option<ExportPart>>,
}

impl Job {
    pub fn new(owner: OwnerId, asked: Asked, moment: Moment, began: Timestamp) -> Self {
        // Where it is to be belongs to the export, not to what it is.
        let id = short(&format!("{owner} {moment:?} {asked:?}"));
        Self { id, state: ExportState::Begun, began, asked, moment, plan: None, parts: Vec::new() }
    }

    /// What all parts of it have in common: the same for the same state and options.
    pub fn group(&self, owner: OwnerId) -> String {
        let Asked { format, filter, part_bytes, .. } = &self.asked;
        format!("keepsake-{}", short(&format!("{owner} {:?} {format:?} {filter:?} {part_bytes:?}", self.moment)))
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
            Container::Folder => name.len(),
            Container::Zip => name.len() - ".zip".len(),
            Container::TarGz => name.to_ascii_lowercase().rfind(".t").unwrap_or(name.len()),
        };
        let (stem, ending) = name.split_at(at);
        self.asked.out.with_file_name(format!("{stem}-{:03}-of-{of:03}{ending}", number + 1))
    }

    /// Whether a part is there as it was written.
    pub fn is_whole(&self, number: usize) -> bool {
        let part = self.parts.get(number).and_then(Option::as_ref);
        part.is_some_and(|part| fingerprint(&part.path).is_ok_and(|found| found == part.sha256) && holds_together(&part.path))
    }

    /// Removes a part, so that it is written again.
    pub fn drop_part(&mut self, number: usize) -> CustodyResult<()> {
        if let Some(part) = self.parts.get_mut(number).and_then(Option::take) {
            remove(&part.path)?;
        }
        Ok(())
    }

    /// The parts in which one of some memories is named.
    pub fn parts_with(&self, ids: &[MemoryId]) -> CustodyResult<Vec<usize>> {
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut with = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            if let Some(part) = part
                && names_one(&part.path, &names)?
            {
                with.push(number);
            }
        }
        Ok(with)
    }
}

fn short(text: &str) -> String {
    Sha256Digest::of(text.as_bytes()).to_string()[..16].to_owned()
}

pub(super) fn remove(path: &Path) -> CustodyResult<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CustodyError::io(path)(error)),
        _ => Ok(()),
    }
}

/// What tells whether a part is the one that was written.
pub(super) fn fingerprint(path: &Path) -> CustodyResult<Sha256Digest> {
    let path = if path.is_dir() { path.join("tagmanifest-sha256.txt") } else { path.to_path_buf() };
    let mut file = std::fs::File::open(&path).map_err(CustodyError::io(&path))?;
    Ok(hash_reader(&mut file).map_err(CustodyError::io(&path))?.0)
}

/// Whether the files of a bag that is a folder are what its lists say. An archive was looked at whole already.
fn holds_together(path: &Path) -> bool {
    let holds = |list: &str| {
        let text = std::fs::read_to_string(path.join(list)).unwrap_or_default();
        text.lines().filter_map(|line| line.split_once("  ")).all(|(digest, name)| {
            let file = std::fs::File::open(path.join(keepsake_formats::bag::unlisted(name)));
            file.ok().and_then(|mut file| hash_reader(&mut file).ok()).is_some_and(|(found, _)| found.to_string() == digest)
        })
    };
    !path.is_dir() || (holds("tagmanifest-sha256.txt") && holds("manifest-sha256.txt"))
}

/// Whether a file of a bag that is no original names one of some ids.
fn names_one(path: &Path, ids: &[String]) -> CustodyResult<bool> {
    let input = Input::open(path)?;
    for file in input.files()?.iter().filter(|file| !file.path.contains("/media/")) {
        let (mut lines, mut line) = (std::io::BufReader::new(input.open_file(&file.path)?), Vec::new());
        while lines.read_until(b'\n', &mut line).map_err(CustodyError::io(path))? > 0 {
            let text = String::from_utf8_lossy(&line);
            if ids.iter().any(|id| text.contains(id.as_str())) {
                return Ok(true);
            }
            line.clear();
        }
    }
    Ok(false)
}

impl Custody {
    pub(super) async fn jobs(&self, owner: OwnerId) -> CustodyResult<Vec<Job>> {
        let rows = self.vault.exports(owner).await?;
        // One that a newer program noted is none of ours.
        Ok(rows.iter().filter_map(|row| serde_json::from_str(&row.record).ok()).collect())
    }

    pub(super) async fn note_job(&self, owner: OwnerId, job: &Job) -> CustodyResult<()> {
        let record = serde_json::to_string(job).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        Ok(self.vault.put_export(owner, &ExportRow { id: job.id.clone(), began: job.began.micros(), record }).await?)
    }
}
