//! A store that fails on purpose: what a full disk, a pulled plug or a dying server would do.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

/// What happens, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// After this many writes and deletions nothing is written or deleted any more.
    CutAfter(u64),
    /// As [`Fault::CutAfter`], and the first write that is refused leaves half of its bytes under the name.
    TornAfter(u64),
    /// After this many bytes the place is full.
    FullAfterBytes(u64),
    /// The write or deletion with this number fails, and later ones do not: they become visible out of order.
    FailOnce(u64),
    /// The write or deletion with this number is done, and its answer is lost.
    LostReply(u64),
    /// Listings stay what they were when the store was broken.
    StaleLists,
    /// Every read fails.
    Unreadable,
}

/// Passes calls on until its fault sets in.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Fault,
    spent: AtomicU64,
    listed: Vec<ObjectInfo>,
}

impl Faulty {
    /// Breaks a store.
    pub fn new(inner: Arc<dyn Store>, fault: Fault) -> Self {
        let listed = if fault == Fault::StaleLists { inner.list("").unwrap_or_default() } else { Vec::new() };
        Self { inner, fault, spent: AtomicU64::new(0), listed }
    }

    /// Whether a write or deletion met the fault so far.
    pub fn has_struck(&self) -> bool {
        let spent = self.spent.load(Ordering::SeqCst);
        match self.fault {
            Fault::CutAfter(number) | Fault::TornAfter(number) | Fault::FailOnce(number) | Fault::LostReply(number) => spent > number,
            Fault::FullAfterBytes(limit) => spent > limit,
            Fault::StaleLists | Fault::Unreadable => false,
        }
    }

    fn refuse<T>(&self, action: &'static str, name: &ObjectName) -> StoreResult<T> {
        Err(StoreError::Unavailable { place: self.describe(), action, name: name.to_string(), source: "the store was cut off".into() })
    }
}

impl Store for Faulty {
    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        match self.fault {
            Fault::CutAfter(writes) => {
                if self.spent.fetch_add(1, Ordering::SeqCst) >= writes {
                    return self.refuse("write", name);
                }
            }
            Fault::TornAfter(writes) => {
                let before = self.spent.fetch_add(1, Ordering::SeqCst);
                if before == writes {
                    self.inner.put(name, bytes.slice(..bytes.len() / 2), mode)?;
                }
                if before >= writes {
                    return self.refuse("write", name);
                }
            }
            Fault::FullAfterBytes(limit) => {
                let length = bytes.len() as u64;
                if self.spent.fetch_add(length, Ordering::SeqCst) + length > limit {
                    return Err(StoreError::Full { place: self.describe() });
                }
            }
            Fault::FailOnce(number) | Fault::LostReply(number) => {
                if self.spent.fetch_add(1, Ordering::SeqCst) == number {
                    if self.fault == Fault::LostReply(number) {
                        self.inner.put(name, bytes, mode)?;
                    }
                    return self.refuse("write", name);
                }
            }
            Fault::StaleLists | Fault::Unreadable => {}
        }
        self.inner.put(name, bytes, mode)
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        if self.fault == Fault::Unreadable { self.refuse("read", name) } else { self.inner.get(name) }
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        if self.fault == Fault::Unreadable { self.refuse("read", name) } else { self.inner.get_range(name, range) }
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.inner.head(name)
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        if self.fault != Fault::StaleLists {
            return self.inner.list(prefix);
        }
        let below = |name: &ObjectName| prefix.is_empty() || name.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        Ok(self.listed.iter().filter(|info| below(&info.name)).cloned().collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        let failed = match self.fault {
            Fault::CutAfter(writes) | Fault::TornAfter(writes) => self.spent.fetch_add(1, Ordering::SeqCst) >= writes,
            Fault::FailOnce(number) | Fault::LostReply(number) => self.spent.fetch_add(1, Ordering::SeqCst) == number,
            _ => false,
        };
        if !failed || matches!(self.fault, Fault::LostReply(_)) {
            self.inner.delete(name)?;
        }
        if failed { self.refuse("delete", name) } else { Ok(()) }
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.inner.doubt(name)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.inner.sweep(prefix)
    }
}
