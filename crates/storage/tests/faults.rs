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

/// A put that was killed leaves a file beside the object, which no listing names and a sweep removes.
#[test]
fn what_was_cut_off_is_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = keepsake_storage::LocalStore::open(folder.path()).expect("open");
    let name = ObjectName::new("data/ab/abcd").expect("a name");
    store.put(&name, "whole".into(), PutMode::Create).expect("put");
    std::fs::write(folder.path().join("data/ab/abcd#1"), "half").expect("left over");
    assert_eq!(store.list("data").expect("list").len(), 1);
    assert_eq!(store.sweep("data").expect("sweep"), 1);
    assert!(!folder.path().join("data/ab/abcd#1").exists());
    assert_eq!(store.get(&name).expect("get"), "whole");
    assert_eq!(store.sweep("nowhere").expect("sweep"), 0);
}
