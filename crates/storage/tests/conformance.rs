//! The stores of one machine, and those around others.

use std::sync::Arc;

use bytes::Bytes;
use keepsake_storage::{LocalStore, MemoryStore, ObjectName, Prefixed, PutMode, Recording, Store, StoreError};

use crate::suite::{name, suite};

#[test]
fn memory() {
    suite(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>));
}

#[test]
fn local_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    suite(&(Arc::new(LocalStore::open(folder.path()).expect("open")) as Arc<dyn Store>));
}

#[test]
fn decorated() {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
    inner.put(&name("else/where"), Bytes::new(), PutMode::Create).expect("put");
    suite(&(Arc::new(Recording::new(Arc::new(Prefixed::new(inner, name("owners/1"))))) as Arc<dyn Store>));
}

#[test]
fn names_that_leave_their_place_are_refused() {
    for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "ä", "a\\b", "a\0"] {
        assert!(matches!(ObjectName::new(bad), Err(StoreError::BadName { .. })), "{bad:?}");
    }
}

/// A runtime lends its threads with a budget of polls that only it refills: many calls in a row must not use it up.
#[test]
fn many_calls_on_a_thread_of_a_runtime() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(folder.path()).expect("open"));
    store.put(&name("a"), Bytes::from_static(b"x"), PutMode::Create).expect("put");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let reads = runtime.block_on(async move {
        let task = tokio::spawn(async move { tokio::task::block_in_place(|| (0..2000).filter(|_| store.get(&name("a")).is_ok()).count()) });
        task.await.expect("no panic")
    });
    assert_eq!(reads, 2000);
}
