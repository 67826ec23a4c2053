//! A store in memory, for tests and for looking before leaping.

use std::{collections::BTreeMap, ops::Range, sync::Mutex};

use bytes::Bytes;

use crate::{ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

/// Objects in a map.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<ObjectName, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds what this one holds now.
    pub fn copy(&self) -> Self {
        Self { objects: Mutex::new(self.lock().clone()) }
    }

    /// Puts bytes as they are, as damage would.
    pub fn set(&self, name: ObjectName, bytes: Bytes) {
        self.lock().insert(name, bytes);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ObjectName, Bytes>> {
        self.objects.lock().expect("no call panics while it holds the map")
    }
}

impl Store for MemoryStore {
    fn describe(&self) -> String {
        "memory".into()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let mut objects = self.lock();
        if mode == PutMode::Create && objects.contains_key(name) {
            return Err(StoreError::Exists { name: name.clone() });
        }
        objects.insert(name.clone(), bytes);
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.lock().get(name).cloned().ok_or_else(|| StoreError::NotFound { name: name.clone() })
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        let whole = self.get(name)?;
        let (start, end) = (range.start as usize, range.end as usize);
        if start <= end && end <= whole.len() {
            return Ok(whole.slice(start..end));
        }
        Err(StoreError::Unavailable {
            place: self.describe(),
            action: "read",
            name: name.to_string(),
            source: "the object is shorter than it should be".into(),
        })
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        Ok(self.lock().get(name).map(|bytes| ObjectInfo { name: name.clone(), bytes: bytes.len() as u64 }))
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let below = |name: &&ObjectName| prefix.is_empty() || name.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        let objects = self.lock();
        let names = objects.keys().filter(below);
        Ok(names.map(|name| ObjectInfo { name: name.clone(), bytes: objects[name].len() as u64 }).collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.lock().remove(name);
        Ok(())
    }
}
