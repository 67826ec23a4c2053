//! What a run left that was killed: known by a marker, and removed before the next one begins.
//!
//! A run holds a lease on its target, and makes everything in a work folder. The marker in it says whose it is, and is written first:
//!
//! 1. The folder is empty, or holds nothing but the marker that is being written. Such a folder holds nothing of anybody: it is removed.
//! 2. The folder has the marker: it is removed with all that is in it, the marker last, so that a removal that is cut off is at this point again.
//! 3. All is made; the marker then lists every file with its length and SHA-256. A file with others beside it: its names are given one after the
//!    other, and the marker stays where it is. What has its name by then goes back, if it still is what is listed, which leads to 2.
//! 4. A folder gets its name at once, and the marker is no part of it: before, the marker is moved beside the work folder, to `OUT.part.json`. The
//!    work folder, or, once it was renamed, the target, is known by holding nothing but what is listed; it goes back, the marker into it: 2 again.
//! 5. When the marker is gone, it is done: then the next run says that something is there already, as after any run that ended.
//!
//! Nothing else is touched: a work folder without a marker, one of another owner, and what is not what is listed is refused, and stays. A marker may
//! have been written by anybody by then: it moves nothing but files of names that a run here makes, with the very bytes that it lists. No link is followed.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use keepsake_record::{OwnerId, Sha256Digest};
use serde::{Deserialize, Serialize};

use super::{export::TemplateFile, files::write_whole, place::Place};
use crate::{CustodyError, CustodyResult, memories::hash_reader};

/// The marker in a work folder.
pub(super) const MARKER: &str = ".keepsake-unfinished.json";
/// The marker until it is whole.
const NEW_MARKER: &str = ".keepsake-unfinished.json.new";
const FORMAT: &str = "keepsake-unfinished";
/// A longer marker lists more than a million files, and is taken for none: what is left then is removed by hand.
const MARKER_BYTES_MAX: u64 = 256 << 20;
/// Folders in each other; a run makes four.
pub(super) const DEPTH_MAX: usize = 16;

/// Whose a work folder is, and what gets its name out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    format: String,
    owner: OwnerId,
    run: String,
    files: Vec<Listed>,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// Its path, from the work folder on.
    pub name: String,
    pub bytes: u64,
    pub sha256: Sha256Digest,
}

impl Listed {
    pub fn of(file: &TemplateFile) -> Self {
        Self { name: file.name.clone(), bytes: file.bytes, sha256: file.sha256 }
    }

    /// What stands in the work folder itself: the file, or the folder that it is in.
    pub fn top(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    /// Whether it is there, byte for byte.
    fn is_at(&self, path: &Path) -> bool {
        let is_so_long = fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == self.bytes);
        let hashed = || hash_reader(&mut fs::File::open(path)?);
        is_so_long && hashed().is_ok_and(|found| found == (self.sha256, self.bytes))
    }
}

impl Marker {
    pub fn of(place: &Place, files: Vec<Listed>) -> Self {
        Self { format: FORMAT.into(), owner: place.owner, run: place.run.clone(), files }
    }

    /// Puts it into the work folder, where it is whole or not at all.
    pub fn put(&self, work: &Path) -> CustodyResult<()> {
        let json = serde_json::to_vec(self).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        let (new, marker) = (work.join(NEW_MARKER), work.join(MARKER));
        write_whole(&new, &json)?;
        fs::rename(&new, &marker).map_err(CustodyError::io(&marker))
    }

    /// Reads one; `None`: it is none, or of another place or owner.
    pub fn read(path: &Path, place: &Place) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() > MARKER_BYTES_MAX {
            return None;
        }
        let mut json = Vec::new();
        fs::File::open(path).ok()?.take(MARKER_BYTES_MAX).read_to_end(&mut json).ok()?;
        let marker: Self = serde_json::from_slice(&json).ok()?;
        let is_known = marker.format == FORMAT && marker.owner == place.owner;
        (is_known && marker.files.iter().all(|file| place.makes(&file.name))).then_some(marker)
    }

    /// Whether the run at this place wrote it.
    pub fn is_of(&self, place: &Place) -> bool {
        self.run == place.run
    }

    /// What of a file and those beside it has its name already, with where it was before.
    fn named(&self, place: &Place) -> CustodyResult<Vec<(PathBuf, PathBuf)>> {
        let mut back = Vec::new();
        for (waiting, target) in place.moves(&self.files) {
            // What never left the work folder is nothing of ours where it was to go.
            if is_there(&waiting) || !is_there(&target) {
                continue;
            }
            let name = waiting.file_name().unwrap_or_default().to_string_lossy();
            if !self.has(&target, &name) {
                return Err(differs(&target));
            }
            back.push((target, waiting));
        }
        Ok(back)
    }

    /// Whether something is the file that is listed under a name, or a folder that holds files that are listed below it, and no others.
    fn has(&self, path: &Path, name: &str) -> bool {
        let listed: BTreeMap<&str, &Listed> = self.files.iter().map(|file| (file.name.as_str(), file)).collect();
        if !is_folder(path) {
            return listed.get(name).is_some_and(|file| file.is_at(path));
        }
        let mut folders = vec![(path.to_path_buf(), name.to_owned(), 1)];
        let mut look = || -> io::Result<bool> {
            while let Some((folder, below, depth)) = folders.pop() {
                for entry in fs::read_dir(&folder)? {
                    let (entry, below) = (entry?, below.as_str());
                    // A name that is no text is none that is listed.
                    let Ok(name) = entry.file_name().into_string() else { return Ok(false) };
                    let name = if below.is_empty() { name } else { format!("{below}/{name}") };
                    if entry.file_type()?.is_dir() && depth < DEPTH_MAX {
                        folders.push((entry.path(), name, depth + 1));
                        continue;
                    }
                    if !listed.get(name.as_str()).is_some_and(|file| file.is_at(&entry.path())) {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        };
        look().unwrap_or(false)
    }
}

/// What a run left that was cut off.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// What goes back, in this order: from where, to where.
    moves: Vec<(PathBuf, PathBuf)>,
    /// What is removed then: the work folder.
    work: Option<PathBuf>,
    /// A marker whose folder is gone.
    note: Option<PathBuf>,
}

impl Leftovers {
    /// Finds out what is there, and touches nothing.
    ///
    /// # Errors
    /// What is there is not what a run left, or not any more.
    pub fn find(place: &Place) -> CustodyResult<Self> {
        let (work, note) = (&place.work, place.note());
        if place.is_folder && is_there(&note) {
            return Self::find_by_note(place, note);
        }
        if !is_there(work) {
            return Ok(Self::default());
        }
        let marker = if is_folder(work) { Marker::read(&work.join(MARKER), place) } else { None };
        let moves = match marker {
            Some(_) if place.is_folder => Vec::new(),
            Some(marker) => marker.named(place)?,
            None if is_barely_begun(work) => Vec::new(),
            None => return Err(nobodys(work)),
        };
        Ok(Self { moves, work: Some(work.clone()), note: None })
    }

    /// What was left while a folder got its name.
    fn find_by_note(place: &Place, note: PathBuf) -> CustodyResult<Self> {
        let (work, out) = (&place.work, &place.out);
        let Some(marker) = Marker::read(&note, place) else { return Err(nobodys(&note)) };
        let found = [work, out].into_iter().find(|path| is_there(path));
        let Some(found) = found else { return Ok(Self { note: Some(note), ..Self::default() }) };
        if !is_folder(found) || !marker.has(found, "") {
            return Err(differs(found));
        }
        let mut moves = vec![(note, work.join(MARKER))];
        if found == out {
            moves.insert(0, (out.clone(), work.clone()));
        }
        Ok(Self { moves, work: Some(work.clone()), note: None })
    }

    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.work.is_none() && self.note.is_none()
    }

    /// Whether something is not there any more after [`Leftovers::remove`].
    pub fn takes_back(&self, target: &Path) -> bool {
        self.moves.iter().any(|(from, _)| from == target)
    }

    /// Removes it.
    pub fn remove(&self) -> CustodyResult<()> {
        for (from, to) in &self.moves {
            fs::rename(from, to).map_err(CustodyError::io(from))?;
        }
        if let Some(note) = &self.note {
            fs::remove_file(note).map_err(CustodyError::io(note))?;
        }
        self.work.as_deref().map_or(Ok(()), remove_work)
    }
}

/// Removes a work folder. Its marker goes last: what is left when this is cut off is known by it.
pub(super) fn remove_work(work: &Path) -> CustodyResult<()> {
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(work)? {
            let entry = entry?;
            if entry.file_name() == MARKER {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        match fs::remove_file(work.join(MARKER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::remove_dir(work)
    };
    remove().map_err(CustodyError::io(work))
}

/// Whether nothing is in a work folder but, at most, the marker that was being written.
fn is_barely_begun(work: &Path) -> bool {
    let is_marker = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() == NEW_MARKER && entry.file_type().is_ok_and(|kind| kind.is_file()))
    };
    is_folder(work) && fs::read_dir(work).is_ok_and(|mut entries| entries.all(is_marker))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A folder itself, not a link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn nobodys(path: &Path) -> CustodyError {
    let path = path.display();
    CustodyError::Refused(format!("{path} is there: another run is at it, or left it when it was cut off; then remove it"))
}

fn differs(path: &Path) -> CustodyError {
    let path = path.display();
    CustodyError::Refused(format!(
        "{path} is there already, and not what a run that was cut off made there: move it away, or choose another name"
    ))
}

#[cfg(test)]
mod tests;
