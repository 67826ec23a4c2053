//! A part of a store as a store of its own.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{Caches, ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

/// Shows the objects below `prefix/` without it.
#[derive(Debug)]
pub struct Prefixed {
    inner: Arc<dyn Store>,
    prefix: ObjectName,
}

impl Prefixed {
    /// Narrows a store to a prefix.
    pub fn new(inner: Arc<dyn Store>, prefix: ObjectName) -> Self {
        Self { inner, prefix }
    }

    fn full(&self, name: &ObjectName) -> StoreResult<ObjectName> {
        ObjectName::new(format!("{}/{name}", self.prefix))
    }

    fn short(&self, info: ObjectInfo) -> Option<ObjectInfo> {
        let name = info.name.as_str().strip_prefix(self.prefix.as_str())?.strip_prefix('/')?;
        Some(ObjectInfo { name: ObjectName::new(name).ok()?, bytes: info.bytes })
    }

    fn named<T>(name: &ObjectName, result: StoreResult<T>) -> StoreResult<T> {
        result.map_err(|error| match error {
            StoreError::NotFound { .. } => StoreError::NotFound { name: name.clone() },
            StoreError::Exists { .. } => StoreError::Exists { name: name.clone() },
            other => other,
        })
    }
}

impl Store for Prefixed {
    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn describe(&self) -> String {
        format!("{}/{}", self.inner.describe(), self.prefix)
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        Self::named(name, self.inner.put(&self.full(name)?, bytes, mode))
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        Self::named(name, self.inner.get(&self.full(name)?))
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        Self::named(name, self.inner.get_range(&self.full(name)?, range))
    }

    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        Self::named(name, self.inner.read_into(&self.full(name)?, range, caches, buffer))
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        Ok(self.inner.head(&self.full(name)?)?.map(|info| ObjectInfo { name: name.clone(), bytes: info.bytes }))
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let full = if prefix.is_empty() { self.prefix.to_string() } else { format!("{}/{prefix}", self.prefix) };
        Ok(self.inner.list(&full)?.into_iter().filter_map(|info| self.short(info)).collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.inner.delete(&self.full(name)?)
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.full(name).is_ok_and(|name| self.inner.doubt(&name))
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.inner.sweep(&if prefix.is_empty() { self.prefix.to_string() } else { format!("{}/{prefix}", self.prefix) })
    }

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        self.inner.put_reader(&self.full(name)?, reader)
    }
}
