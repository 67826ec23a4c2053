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
        match self.write.put(name, bytes.clone(), mode) {
            // To replace is to delete, where a cloud takes it so (Google).
            Err(StoreError::Denied { .. }) if mode == PutMode::Replace => self.maintain.put(name, bytes, mode),
            other => other,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    /// Credentials that may neither delete nor replace.
    #[derive(Debug)]
    struct Narrow(Arc<MemoryStore>);

    impl Narrow {
        fn denied(&self, action: &'static str, name: &ObjectName) -> StoreError {
            StoreError::Denied { place: self.describe(), action, name: name.to_string() }
        }
    }

    impl Store for Narrow {
        fn describe(&self) -> String {
            self.0.describe()
        }
        fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
            match mode == PutMode::Replace && self.head(name)?.is_some() {
                true => Err(self.denied("write", name)),
                false => self.0.put(name, bytes, mode),
            }
        }
        fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
            self.0.get(name)
        }
        fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
            self.0.get_range(name, range)
        }
        fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
            self.0.head(name)
        }
        fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
            self.0.list(prefix)
        }
        fn delete(&self, name: &ObjectName) -> StoreResult<()> {
            Err(self.denied("delete", name))
        }
    }

    #[test]
    fn what_the_writer_may_not_the_maintainer_does() {
        let order = Order { rank: |_| 0, hashed: |_| false, rewritten: |_| false, passing: |name| name.as_str().starts_with("locks/") };
        let wide = Arc::new(MemoryStore::new());
        let store = Maintained::new(Arc::new(Narrow(wide.clone())), wide.clone(), order);
        let name = |name: &str| ObjectName::new(name).expect("a name");
        for object in ["locks/one", "data/one"] {
            store.put(&name(object), Bytes::from_static(b"one"), PutMode::Create).expect("made");
            store.put(&name(object), Bytes::from_static(b"two"), PutMode::Replace).expect("replaced");
            assert_eq!(store.get(&name(object)).expect("get"), "two");
            assert!(matches!(store.put(&name(object), Bytes::new(), PutMode::Create), Err(StoreError::Exists { .. })));
            store.delete(&name(object)).expect("deleted");
        }
        assert_eq!(wide.list("").expect("list"), vec![]);
    }
}
