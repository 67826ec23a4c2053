//! One set of credentials to write, another to delete.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{Caches, ObjectInfo, ObjectName, Order, PutMode, Store, StoreError, StoreResult};

/// A place that is opened twice.
#[derive(Debug)]
pub struct Maintained {
    write: Arc<dyn Store>,
    maintain: Arc<dyn Store>,
    order: Order,
}

impl Maintained {
    /// Deletes through `maintain`, but for what belongs to the moment; does all else through `write`.
    pub fn new(write: Arc<dyn Store>, maintain: Arc<dyn Store>, order: Order) -> Self {
        Self { write, maintain, order }
    }
}

impl Store for Maintained {
    fn is_far(&self) -> bool {
        self.write.is_far()
    }

    fn describe(&self) -> String {
        self.write.describe()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        self.write.put(name, bytes, mode)
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.write.get(name)
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.write.get_range(name, range)
    }

    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        self.write.read_into(name, range, caches, buffer)
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.write.head(name)
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.write.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        if (self.order.passing)(name) {
            match self.write.delete(name) {
                // Where no right can be given for some objects alone.
                Err(StoreError::Denied { .. }) => {}
                other => return other,
            }
        }
        self.maintain.delete(name)
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.write.doubt(name)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.maintain.sweep(prefix)
    }

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        self.write.put_reader(name, reader)
    }
}
