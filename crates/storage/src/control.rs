//! What a cloud can be asked beside reading and writing objects: signed requests of our own, for what no library offers.
//!
//! Not every cloud has everything: [`Control::versions`], [`Control::locks`] and [`Control::tiers`] say what there is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Kept, ObjectName, StoreResult};

/// How a bucket or container is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketState {
    /// Whether what is replaced or deleted stays behind as an old version; `None`: the place does not tell.
    pub versioning: Option<bool>,
    /// For how many days whoever may use the place can bring back what was deleted (soft delete).
    pub undelete_days: Option<u64>,
    /// Whether single objects can be locked.
    pub locks: bool,
    /// A lock that every new object gets by itself, such as `COMPLIANCE 30 days`.
    pub default_lock: Option<String>,
    /// What the bucket does by itself as time passes, a sentence a rule.
    pub lifecycle: Vec<String>,
    /// Whether a rule removes current objects, which no backup survives.
    pub expires_objects: bool,
}

/// What belongs to a bucket or container rather than to its objects.
pub trait Control: Send + Sync + fmt::Debug {
    /// Makes the bucket or container; one that is there stays as it is. `locks`: so that its objects can be locked.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn make_place(&self, locks: bool) -> StoreResult<()>;

    /// Reads how the place is set up.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn state(&self) -> StoreResult<BucketState>;

    /// Old versions of objects, if the place can keep any.
    fn versions(&self) -> Option<&dyn Versions> {
        None
    }

    /// Locks of objects, if the place has such.
    fn locks(&self) -> Option<&dyn Locks> {
        None
    }

    /// Classes of storage, if the place has several.
    fn tiers(&self) -> Option<&dyn Tiers> {
        None
    }
}

/// An object as it is or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub name: ObjectName,
    /// What the place calls this version.
    pub id: String,
    /// Its length.
    pub bytes: u64,
    /// Whether it is what readers get.
    pub is_latest: bool,
    /// Whether it only says that the object was deleted.
    pub is_marker: bool,
}

/// An upload in parts that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What it is of.
    pub name: ObjectName,
    /// What the place calls it.
    pub id: String,
    /// When it was begun, in microseconds.
    pub begun: i64,
}

/// What stays behind when objects are replaced, deleted, or never finished.
pub trait Versions: Send + Sync + fmt::Debug {
    /// All versions of the objects below a prefix.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn all(&self, prefix: &str) -> StoreResult<Vec<Version>>;

    /// Removes a version; one that is not there is no error.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn remove(&self, name: &ObjectName, id: &str) -> StoreResult<()>;

    /// Lets the bucket keep old versions, or no new ones.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn set_versioning(&self, on: bool) -> StoreResult<()>;

    /// Lets the bucket remove old versions and unfinished uploads after so many days each. Replaces the rules that it had.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn set_cleaning(&self, days: u32) -> StoreResult<()>;

    /// What was deleted below a prefix and can be brought back for now. Nobody can remove it before its time.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn deleted(&self, _prefix: &str) -> StoreResult<Vec<Kept>> {
        Ok(Vec::new())
    }

    /// Uploads in parts that were begun below a prefix and neither finished nor given up.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn uploads(&self, prefix: &str) -> StoreResult<Vec<Upload>>;

    /// Gives an upload up.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn abort(&self, upload: &Upload) -> StoreResult<()>;
}

/// How strictly a lock binds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMode {
    /// Whoever has a right of its own for it may end the lock early.
    #[default]
    Governance,
    /// Nobody may, not even who owns the account.
    Compliance,
}

/// Until when an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// How strictly.
    pub mode: LockMode,
    /// Until when, in microseconds.
    pub until: i64,
}

/// Locks on single objects, against anyone who would delete them (S3 Object Lock).
pub trait Locks: Send + Sync + fmt::Debug {
    /// Locks an object, or keeps it locked for longer.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn lock(&self, name: &ObjectName, lock: ObjectLock) -> StoreResult<()>;

    /// The lock of an object, or of one version of it.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn lock_of(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<Option<ObjectLock>>;

    /// Puts a legal hold on an object or on one version of it, or ends it: as long as it is there, nobody deletes that.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn hold(&self, name: &ObjectName, version: Option<&str>, on: bool) -> StoreResult<()>;

    /// Whether there is a legal hold on an object, or on one version of it.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn is_held(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<bool>;
}

/// Whether an object can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It can.
    Online,
    /// It must be asked for first, and that takes hours.
    Archived,
    /// It was asked for.
    Thawing,
}

/// An object and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classed {
    /// Its name.
    pub name: ObjectName,
    /// Its length.
    pub bytes: u64,
    /// The class, as the place calls it.
    pub class: String,
    /// Since when it is as it is, in microseconds.
    pub since: i64,
    /// Whether it can be read.
    pub reach: Reach,
}

/// Classes of storage that cost less to keep in, and more to read from.
pub trait Tiers: Send + Sync + fmt::Debug {
    /// Where the objects below a prefix are kept. Of one that was asked for out of an archive, a listing may not know it: [`Tiers::of`] does.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn all(&self, prefix: &str) -> StoreResult<Vec<Classed>>;

    /// Where one object is kept; `None`: it is not there.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn of(&self, name: &ObjectName) -> StoreResult<Option<Classed>>;

    /// Whether moving an object makes another one of it, which has no lock.
    fn moves_by_copying(&self) -> bool {
        false
    }

    /// Moves an object to a class.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn set(&self, name: &ObjectName, class: &str) -> StoreResult<()>;

    /// Asks for an archived object; it is readable hours later, sooner for more money if `urgent`.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn thaw(&self, name: &ObjectName, urgent: bool) -> StoreResult<()>;
}
