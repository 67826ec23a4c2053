//! What the vault notes of a book that is being made: the volumes that are whole, and where the next one begins. Whoever is killed goes on there, and
//! ends with the book that would have been.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::VolumeFile;

/// How far a book is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BookNote {
    /// The volumes that are whole, in their order.
    #[serde(default)]
    pub volumes: Vec<VolumeNote>,
    /// Whether these are all.
    #[serde(default)]
    pub is_whole: bool,
    /// How many memories had been erased since the book's moment when its first volume was begun: none of them is in it.
    #[serde(default)]
    pub erased: u64,
}

/// A volume that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeNote {
    pub file: VolumeFile,
    /// What could not be shown in it, each with the reason.
    #[serde(default)]
    pub skipped: Vec<(String, String)>,
    #[serde(default)]
    pub named_only: u64,
    #[serde(default)]
    pub replaced: BTreeMap<String, u64>,
    /// Where the next one begins.
    pub next: Spot,
}

/// Where a volume begins: of all records in their order so many are in those before, and so many leaves of the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub records: u64,
    pub leaves: usize,
    /// The month of the last leaf before it.
    #[serde(default)]
    pub month: Option<String>,
}

impl BookNote {
    /// Where the next volume begins.
    pub fn next(&self) -> Spot {
        self.volumes.last().map(|volume| volume.next.clone()).unwrap_or_default()
    }

    /// Forgets the volumes from one on, which are not there any more.
    pub fn keep(&mut self, volumes: usize) {
        if volumes < self.volumes.len() {
            self.volumes.truncate(volumes);
            self.is_whole = false;
        }
    }
}
