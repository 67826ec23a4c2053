//! What a place still holds of objects that are gone: old versions, and uploads that nobody finished.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Locks, ObjectName, StoreError, StoreResult, Versions};

/// What was removed, and what the place keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Swept {
    /// Old versions that were removed, with what only said that an object was deleted.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Old versions that cannot be removed yet.
    pub kept: Vec<Kept>,
    /// Old versions of objects that should be there: somebody else replaced or deleted them.
    pub foreign: Vec<String>,
}

/// An old version that cannot be removed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The object.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Until when its lock lasts, in microseconds; `None`: nobody knows, as with a legal hold.
    pub until: Option<i64>,
    /// Whether there is a legal hold on it.
    pub held: bool,
}

/// Removes old versions below a prefix. `keeps` says whether the versions of an object must be left alone: it should be there as it was first
/// written, so that only a stranger can have made a second one, and what is there now is not known to be right.
///
/// # Errors
/// The place cannot be listed, or refuses to remove something for another reason than a lock.
pub fn sweep_versions(
    versions: &dyn Versions,
    locks: Option<&dyn Locks>,
    prefix: &str,
    keeps: &dyn Fn(&ObjectName) -> bool,
) -> StoreResult<Swept> {
    let mut swept = Swept::default();
    let mut objects: BTreeMap<ObjectName, Vec<crate::Version>> = BTreeMap::new();
    for version in versions.all(prefix)? {
        objects.entry(version.name.clone()).or_default().push(version);
    }
    for (name, all) in objects {
        // S3 marks what was deleted; Google and Azure just leave nothing that readers get.
        let deleted = !all.iter().any(|version| version.is_latest && !version.is_marker);
        if all.len() == 1 && !deleted {
            continue;
        }
        if keeps(&name) {
            swept.foreign.push(name.to_string());
            continue;
        }
        // As long as an old version stays, what hides it must stay, too.
        let (markers, real): (Vec<_>, Vec<_>) = all.into_iter().filter(|version| !version.is_latest || deleted).partition(|v| v.is_marker);
        let mut stays = false;
        for version in real {
            match remove(versions, locks, &name, &version)? {
                None => (swept.removed, swept.bytes) = (swept.removed + 1, swept.bytes + version.bytes),
                Some(kept) => {
                    stays = true;
                    swept.kept.push(kept);
                }
            }
        }
        for marker in markers.iter().filter(|marker| !(stays && marker.is_latest)) {
            versions.remove(&name, &marker.id)?;
            swept.removed += 1;
        }
    }
    Ok(swept)
}

/// Removes a version; if it is locked, answers until when.
fn remove(versions: &dyn Versions, locks: Option<&dyn Locks>, name: &ObjectName, version: &crate::Version) -> StoreResult<Option<Kept>> {
    let error = match versions.remove(name, &version.id) {
        Ok(()) => return Ok(None),
        Err(error @ (StoreError::Locked { .. } | StoreError::Denied { .. })) => error,
        Err(error) => return Err(error),
    };
    let Some(locks) = locks else { return Err(error) };
    let lock = locks.lock_of(name, Some(&version.id))?;
    let held = locks.is_held(name, Some(&version.id))?;
    if lock.is_none() && !held {
        return Err(error);
    }
    let until = lock.map(|lock| lock.until).filter(|_| !held);
    Ok(Some(Kept { name: name.to_string(), bytes: version.bytes, until, held }))
}

/// Gives up uploads that were begun before an instant (microseconds; one that cannot be dated is left alone) and never finished: their parts are paid for and shown by no listing.
///
/// # Errors
/// The place refuses or fails.
pub fn sweep_uploads(versions: &dyn Versions, prefix: &str, before: i64) -> StoreResult<u64> {
    let stale: Vec<_> = versions.uploads(prefix)?.into_iter().filter(|upload| upload.begun > 0 && upload.begun < before).collect();
    for upload in &stale {
        versions.abort(upload)?;
    }
    Ok(stale.len() as u64)
}
