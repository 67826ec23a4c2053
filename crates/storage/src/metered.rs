//! One place whose objects are counted while they come and go.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{Caches, Ledger, ObjectInfo, ObjectName, Order, PutMode, Store, StoreResult};

/// Tells a ledger what is written to a store and what is deleted.
#[derive(Debug)]
pub struct Metered {
    inner: Arc<dyn Store>,
    order: Order,
    ledger: Arc<dyn Ledger>,
}

impl Metered {
    /// Counts everything but what belongs to the moment.
    pub fn new(inner: Arc<dyn Store>, order: Order, ledger: Arc<dyn Ledger>) -> Self {
        Self { inner, order, ledger }
    }

    fn wrote(&self, name: &ObjectName, bytes: u64) {
        if !(self.order.passing)(name) {
            self.ledger.written(name, bytes);
        }
    }
}

impl Store for Metered {
    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let length = bytes.len() as u64;
        self.inner.put(name, bytes, mode)?;
        self.wrote(name, length);
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.inner.get_range(name, range)
    }

    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        self.inner.read_into(name, range, caches, buffer)
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.inner.head(name)
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        if !(self.order.passing)(name) {
            self.ledger.erase(name)?;
        }
        self.inner.delete(name)
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.inner.doubt(name)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.inner.sweep(prefix)
    }

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let length = self.inner.put_reader(name, reader)?;
        self.wrote(name, length);
        Ok(length)
    }
}
