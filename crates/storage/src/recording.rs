//! A store that remembers what was asked of it: for tests that count calls instead of seconds.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use crate::{ObjectInfo, ObjectName, PutMode, Store, StoreResult};

/// One call, with what it named.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Call {
    Put(ObjectName, Bytes),
    Get(ObjectName),
    Head(ObjectName),
    List(String),
    Delete(ObjectName),
}

/// Passes every call on and writes it down.
#[derive(Debug)]
pub struct Recording {
    inner: Arc<dyn Store>,
    calls: Mutex<Vec<Call>>,
}

impl Recording {
    /// Watches a store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls since the last time, in order.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().expect("no call panics while it holds the list"))
    }

    fn note(&self, call: Call) {
        self.calls.lock().expect("no call panics while it holds the list").push(call);
    }
}

impl Store for Recording {
    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        self.note(Call::Put(name.clone(), bytes.clone()));
        self.inner.put(name, bytes, mode)
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.note(Call::Get(name.clone()));
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.note(Call::Get(name.clone()));
        self.inner.get_range(name, range)
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.note(Call::Head(name.clone()));
        self.inner.head(name)
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.note(Call::List(prefix.into()));
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.note(Call::Delete(name.clone()));
        self.inner.delete(name)
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.inner.doubt(name)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.inner.sweep(prefix)
    }
}
