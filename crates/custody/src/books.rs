//! Export as a book: memories in the order in which they happened, in volumes, each a PDF for archives or an EPUB for readers.
//!
//! A volume ends by what is in it alone, so that the same state gives the same volumes. One is gathered and set at a time: memory is bounded by a
//! volume and the memories of a day, or those without one. A book is an export as all others: it stays with its moment, volumes that are whole stay,
//! and whoever is killed goes on with the next one.

mod binder;
mod days;
mod leaves;
mod making;
mod naming;
mod noted;

use std::{collections::BTreeMap, path::PathBuf};

use keepsake_formats::book::Paper;
use keepsake_record::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    days::{Message, read_days, send_days},
    leaves::picture_of,
    naming::{manifest_path, volume_path},
    noted::BookNote,
};
use crate::{Filter, export::SealTo};

/// How a book is to be.
#[derive(Debug, Clone, Default)]
pub struct BookOptions {
    /// The file to make, or its URL; with more than one volume, `NAME-1.pdf`, `NAME-2.pdf` …; its ending is the typesetter's, and `.age` after it
    /// where it is encrypted.
    pub out: PathBuf,
    /// The destination below whose `exports/` it is to be.
    pub destination: Option<String>,
    /// Who alone can open it.
    pub seal: Option<SealTo>,
    /// Which memories; all unless told.
    pub filter: Option<Filter>,
    /// Its title; the owner's name unless told.
    pub title: Option<String>,
    /// The language of memories that name none, BCP 47; the owner's unless told.
    pub language: Option<String>,
    /// What it is printed on.
    pub paper: Paper,
    /// Whether each volume holds its memories as data, too.
    pub with_data: bool,
    /// Begin again, even where such a book was begun.
    pub anew: bool,
}

/// A volume that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// The file's name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over it.
    pub sha256: Sha256Digest,
    /// Its pages, if it has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<usize>,
    /// The memories in it.
    pub memories: usize,
}

/// What a book is. Beside the volumes it stands as a file, too: their manifest.
#[derive(Debug, Clone, Serialize)]
pub struct BookReport {
    /// What it is: `keepsake-book`.
    pub format: &'static str,
    /// The program that made it.
    pub program: String,
    /// The book's title.
    pub title: String,
    /// The state that it shows: the number of the last change, and its instant.
    pub seq: u64,
    /// When that was.
    pub at: Timestamp,
    /// Memories in it.
    pub memories: u64,
    /// Its volumes.
    pub volumes: Vec<VolumeFile>,
    /// What could not be shown and should have been, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What paper cannot hold and the book only names: recordings, films, documents.
    pub named_only: u64,
    /// Characters that cannot be shown, so often each: printed as `[U+XXXX]`, or as U+FFFD on screens.
    pub replaced: BTreeMap<String, u64>,
}

/// A book that was made, and how.
#[derive(Debug, Clone, Serialize)]
pub struct MadeBook {
    /// What it is known by as an export.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub report: BookReport,
    /// When the run was that this one went on with.
    pub resumed: Option<String>,
    /// Volumes that were there already, and whole.
    pub kept: usize,
    /// Volumes that were made again, because something was erased meanwhile.
    pub remade: usize,
    /// Why what was begun earlier was not gone on with.
    pub began_anew: Option<String>,
}
