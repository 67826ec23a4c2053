//! Disks that come and go: known by what is written on them, wherever they are mounted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{CustodyError, CustodyResult};

/// The file or object that tells whose place it is.
pub(crate) const MARKER: &str = "keepsake-destination.json";

/// How a folder is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What stands in the marker.
    pub id: String,
    /// The folder below the place where its disk is mounted.
    pub below: PathBuf,
}

/// Marks a folder, which is made, and says how it is known again. One that is marked keeps its mark.
pub(crate) fn mark(folder: &Path, fresh_id: &str) -> CustodyResult<Disk> {
    let told = |error: std::io::Error| {
        let hint = "give a folder on a disk that is connected, where you may write";
        CustodyError::Refused(format!("{} cannot be a folder for backups ({error}): {hint}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(told)?;
    let marker = folder.join(MARKER);
    let id = match id_at(folder) {
        Some(id) => id,
        None => {
            fs::write(&marker, mark_text(fresh_id)).map_err(told)?;
            fresh_id.to_owned()
        }
    };
    let mounts = mounts();
    let mount = mounts.iter().filter(|mount| folder.starts_with(mount)).max_by_key(|mount| mount.as_os_str().len());
    let below = mount.and_then(|mount| folder.strip_prefix(mount).ok()).unwrap_or(folder);
    Ok(Disk { id, below: below.to_owned() })
}

/// The folder of a disk: where it was, or below any place where a disk is mounted now. A folder without the mark is another one: the empty
/// place where the disk would be, say.
pub(crate) fn find(folder: &Path, disk: &Disk) -> Option<PathBuf> {
    let is_it = |folder: &PathBuf| id_at(folder).as_deref() == Some(&disk.id);
    Some(folder.to_owned()).filter(is_it).or_else(|| mounts().iter().map(|mount| mount.join(&disk.below)).find(is_it))
}

fn id_at(folder: &Path) -> Option<String> {
    id_in(&fs::read(folder.join(MARKER)).ok()?)
}

/// What a mark says.
pub(crate) fn id_in(text: &[u8]) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(text).ok()?;
    Some(read.get("destination")?.as_str()?.to_owned())
}

/// A mark that says so.
pub(crate) fn mark_text(id: &str) -> String {
    serde_json::json!({ "destination": id }).to_string() + "\n"
}

/// Where something is mounted. Spaces and the like stand as octal escapes there (proc(5)).
fn mounts() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines().filter_map(|line| Some(PathBuf::from(line.split(' ').nth(1)?.replace("\\040", " ").replace("\\011", "\t")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_known_by_its_mark() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("usb/keepsake");
        let disk = mark(&folder, "abc").expect("marked");
        assert_eq!(disk.id, "abc");
        assert_eq!(mark(&folder, "def").expect("marked before").id, "abc");
        assert_eq!(find(&folder, &disk), Some(folder.clone()));
        fs::rename(&folder, place.path().join("away")).expect("taken away");
        fs::create_dir_all(&folder).expect("the empty place");
        assert_eq!(find(&folder, &disk), None, "an empty folder in its place is not it");
    }
}
