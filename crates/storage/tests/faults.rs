//! The faulty store does what it says, so that tests built on it prove something.

use std::sync::Arc;

use bytes::Bytes;
use keepsake_storage::{Fault, Faulty, MemoryStore, ObjectName, PutMode, Store, StoreError};

fn put(store: &dyn Store, name: &str) -> Result<(), StoreError> {
    store.put(&ObjectName::new(name).expect("a good name"), Bytes::from_static(b"12345678"), PutMode::Create)
}

#[test]
fn cuts_tears_and_fills() {
    let inner = Arc::new(MemoryStore::new());
    let cut = Faulty::new(inner.clone(), Fault::CutAfter(1));
    assert!(put(&cut, "a").is_ok() && put(&cut, "b").is_err() && put(&cut, "c").is_err());
    assert_eq!(inner.list("").expect("list").len(), 1);

    let torn = Faulty::new(inner.clone(), Fault::TornAfter(0));
    assert!(put(&torn, "t").is_err() && put(&torn, "u").is_err());
    assert_eq!(inner.head(&ObjectName::new("t").expect("name")).expect("head").map(|i| i.bytes), Some(4));

    let full = Faulty::new(inner, Fault::FullAfterBytes(10));
    assert!(put(&full, "x").is_ok());
    assert!(matches!(put(&full, "y"), Err(StoreError::Full { .. })));
}
