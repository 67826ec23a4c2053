//! The contract that every place for objects keeps.

use std::{fmt, io, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{ObjectName, StoreError, StoreResult};

/// What to do when the object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Fail with [`StoreError::Exists`] and leave it as it is.
    Create,
    /// Replace it, at once and whole.
    Replace,
}

/// Whether a read may be answered by what a place's system remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caches {
    /// It may.
    Use,
    /// It should come from where it is kept: for who wants to know whether it is still there, and will not ask again soon.
    Pass,
}

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Its length.
    pub bytes: u64,
}

/// A place for objects.
///
/// - A put that returned is durable and whole; one that failed left nothing under the name, or what was there before.
/// - `get` after `put` sees it. `list` is complete for what was put before it began.
/// - Calls may come from many threads. They block: call them from threads that may.
pub trait Store: Send + Sync + fmt::Debug {
    /// Where this is, for people.
    fn describe(&self) -> String;

    /// Writes a whole object.
    ///
    /// # Errors
    /// [`StoreError::Exists`] in mode [`PutMode::Create`], or whatever the place says.
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()>;

    /// Reads a whole object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or whatever the place says.
    fn get(&self, name: &ObjectName) -> StoreResult<Bytes>;

    /// Reads a part of an object; a range beyond its end is an error.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or whatever the place says.
    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes>;

    /// As [`Store::get_range`], or without a range as [`Store::get`], into a buffer that is used again and again; what was in it goes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or whatever the place says.
    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, _caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        let bytes = match range {
            Some(range) => self.get_range(name, range)?,
            None => self.get(name)?,
        };
        buffer.clear();
        buffer.extend_from_slice(&bytes);
        Ok(())
    }

    /// What is known of an object, if it is there.
    ///
    /// # Errors
    /// Whatever the place says.
    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>>;

    /// All objects below `prefix/` (or all, for an empty prefix), in no order.
    ///
    /// # Errors
    /// Whatever the place says.
    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>>;

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// Whatever the place says.
    fn delete(&self, name: &ObjectName) -> StoreResult<()>;

    /// Whether every call waits for a network: then many should wait at once.
    fn is_far(&self) -> bool {
        false
    }

    /// The bytes that were last read of an object are not what they should be. Answers whether there is another source, which the next
    /// read of it will ask.
    fn doubt(&self, _name: &ObjectName) -> bool {
        false
    }

    /// Removes what puts that were cut off left below `prefix/`, and what no listing names. Nobody else may be writing there.
    /// Answers how much there was.
    ///
    /// # Errors
    /// Whatever the place says.
    fn sweep(&self, _prefix: &str) -> StoreResult<u64> {
        Ok(0)
    }

    /// Writes an object of any length from a reader, replacing what was there.
    ///
    /// # Errors
    /// The reader's error or the place's.
    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| StoreError::Unavailable {
            place: self.describe(),
            action: "read the bytes for",
            name: name.to_string(),
            source: source.into(),
        })?;
        let length = bytes.len() as u64;
        self.put(name, bytes.into(), PutMode::Replace)?;
        Ok(length)
    }
}

/// How much [`ObjectReader`] asks for at a time.
const READ_BYTES: u64 = 4 << 20;

/// Reads an object from front to back without holding it whole.
#[derive(Debug)]
pub struct ObjectReader {
    store: Arc<dyn Store>,
    name: ObjectName,
    length: u64,
    next: u64,
    buffer: Bytes,
}

impl ObjectReader {
    /// Opens an object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or whatever the place says.
    pub fn open(store: Arc<dyn Store>, name: ObjectName) -> StoreResult<Self> {
        let Some(info) = store.head(&name)? else { return Err(StoreError::NotFound { name }) };
        Ok(Self { store, name, length: info.bytes, next: 0, buffer: Bytes::new() })
    }

    /// The object's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl io::Read for ObjectReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && self.next < self.length {
            let end = self.length.min(self.next + READ_BYTES);
            self.buffer = self.store.get_range(&self.name, self.next..end).map_err(io::Error::other)?;
            self.next = end;
        }
        let count = out.len().min(self.buffer.len());
        out[..count].copy_from_slice(&self.buffer.split_to(count));
        Ok(count)
    }
}

/// Does two things that ask a store: at once if it is behind a network, where each takes as long as the way there.
pub fn both<A: Send, B>(store: &dyn Store, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    if !store.is_far() {
        return (first(), second());
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), second)
    })
}
