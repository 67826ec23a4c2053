//! What a place really does, found out by trying.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BucketState, ObjectName, PutMode, Store, StoreError, StoreResult};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// What was written reads back the same at once.
    pub reads_what_it_wrote: bool,
    /// An object that is there is not replaced when it was to be made.
    pub keeps_what_is_there: bool,
    /// A part of an object can be read.
    pub reads_parts: bool,
    /// A listing shows what was written just before, and nothing from beside it.
    pub lists_at_once: bool,
    /// What is deleted is gone at once.
    pub deletes: bool,
    /// How long a small write takes, in milliseconds.
    pub write_millis: u64,
    /// How long a small read takes, in milliseconds.
    pub read_millis: u64,
    /// The server's clock minus this machine's, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
    /// How the bucket is set up, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketState>,
    /// Whether objects can be kept in several classes of storage.
    pub tiers: bool,
    /// Why something of this could not be found out.
    pub problems: Vec<String>,
}

impl Findings {
    /// What makes the place unfit for backups, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let checks = [
            (self.reads_what_it_wrote, "what was written does not read back the same"),
            (
                self.keeps_what_is_there,
                "it replaces an object that is there although it was told not to: two programs could destroy each other's work",
            ),
            (self.reads_parts, "parts of objects cannot be read"),
            (self.lists_at_once, "its listings do not show what was just written"),
        ];
        let mut faults: Vec<String> = checks.into_iter().filter(|(good, _)| !good).map(|(_, fault)| fault.to_owned()).collect();
        if let Some(lock) = self.bucket.as_ref().and_then(|bucket| bucket.default_lock.as_deref()) {
            faults.push(format!(
                "every new object there is locked by itself ({lock}), also keys and the locks of running programs, which must go at once: take that off the bucket, and let Keepsake lock what should be (`lock` in keepsake.toml)"
            ));
        }
        if self.bucket.as_ref().is_some_and(|bucket| bucket.expires_objects) {
            faults.push("a lifecycle rule removes objects by their age, which no backup survives: take it off the bucket".to_owned());
        }
        faults
    }
}

/// Tries a place with a few small objects below `folder`, which go again.
///
/// # Errors
/// The first write fails: then nothing can be found out.
#[expect(clippy::disallowed_methods, reason = "how long it takes is asked for")]
pub fn probe(store: &dyn Store, folder: &str) -> StoreResult<Findings> {
    let name = |file: &str| ObjectName::new(format!("{folder}/{file}"));
    let (first, beside) = (name("data/one")?, name("data-beside/two")?);
    let text = Bytes::from_static(b"written to find out what this place does; it may be deleted");
    let mut found = Findings::default();
    let started = Instant::now();
    store.put(&first, text.clone(), PutMode::Create)?;
    found.write_millis = millis(started.elapsed());
    let mut tell = |what: &str, error: StoreError| found.problems.push(format!("{what}: {error}"));
    match store.put(&first, Bytes::from_static(b"something else"), PutMode::Create) {
        Err(StoreError::Exists { .. }) => found.keeps_what_is_there = true,
        Err(error) => tell("making an object that is there", error),
        Ok(()) => {}
    }
    let started = Instant::now();
    match store.get(&first) {
        Ok(bytes) => found.reads_what_it_wrote = bytes == text || (!found.keeps_what_is_there && bytes == "something else"),
        Err(error) => tell("reading", error),
    }
    found.read_millis = millis(started.elapsed());
    match store.get_range(&first, 3..9) {
        Ok(part) => found.reads_parts = part.len() == 6,
        Err(error) => tell("reading a part", error),
    }
    if let Err(error) = store.put(&beside, text, PutMode::Replace) {
        tell("writing", error);
    }
    match store.list(&format!("{folder}/data")) {
        Ok(list) => found.lists_at_once = list.len() == 1 && list[0].name == first,
        Err(error) => tell("listing", error),
    }
    for object in [&first, &beside] {
        match store.delete(object).and_then(|()| store.head(object)) {
            Ok(left) => found.deletes = left.is_none(),
            Err(error) => tell("deleting", error),
        }
    }
    Ok(found)
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Fault, Faulty, MemoryStore, ObjectInfo};

    #[test]
    fn a_good_place_has_no_faults() {
        let store = MemoryStore::new();
        let found = probe(&store, "test").expect("it answers");
        assert_eq!((found.faults(), found.deletes, found.problems), (vec![], true, vec![]));
        assert_eq!(store.list("").expect("list"), vec![], "nothing stays behind");
    }

    #[test]
    fn a_bucket_that_locks_or_removes_by_itself_is_refused() {
        let good = probe(&MemoryStore::new(), "test").expect("it answers");
        let with = |bucket| Findings { bucket: Some(bucket), ..good.clone() }.faults();
        assert_eq!(with(BucketState { versioning: Some(true), locks: true, ..BucketState::default() }), Vec::<String>::new());
        let locking = with(BucketState { default_lock: Some("COMPLIANCE 30 days".into()), ..BucketState::default() });
        assert!(locking.len() == 1 && locking[0].contains("COMPLIANCE 30 days"), "{locking:?}");
        assert_eq!(with(BucketState { expires_objects: true, ..BucketState::default() }).len(), 1);
    }

    /// Older servers that speak S3 ignore `If-None-Match`.
    #[derive(Debug)]
    struct Replacing(MemoryStore);

    impl Store for Replacing {
        fn describe(&self) -> String {
            self.0.describe()
        }
        fn put(&self, name: &ObjectName, bytes: Bytes, _: PutMode) -> StoreResult<()> {
            self.0.put(name, bytes, PutMode::Replace)
        }
        fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
            self.0.get(name)
        }
        fn get_range(&self, name: &ObjectName, range: std::ops::Range<u64>) -> StoreResult<Bytes> {
            self.0.get_range(name, range)
        }
        fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
            self.0.head(name)
        }
        fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
            self.0.list(prefix)
        }
        fn delete(&self, name: &ObjectName) -> StoreResult<()> {
            self.0.delete(name)
        }
    }

    #[test]
    fn a_place_that_replaces_or_forgets_is_found_out() {
        let found = probe(&Replacing(MemoryStore::new()), "test").expect("it answers");
        assert_eq!(found.faults().len(), 1, "{found:?}");
        let stale = Faulty::new(Arc::new(MemoryStore::new()), Fault::StaleLists);
        assert!(!probe(&stale, "test").expect("it answers").lists_at_once);
        assert!(probe(&Faulty::new(Arc::new(MemoryStore::new()), Fault::CutAfter(0)), "test").is_err());
    }
}
