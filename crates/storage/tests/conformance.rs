//! What every store promises.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use keepsake_storage::{Caches, LocalStore, MemoryStore, ObjectName, ObjectReader, Prefixed, PutMode, Recording, Store, StoreError};

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("a good name")
}

fn suite(store: &Arc<dyn Store>) {
    let a = name("keys/a");
    assert!(store.get(&a).expect_err("nothing is there").is_not_found());
    assert_eq!(store.head(&a).expect("head"), None);
    store.delete(&a).expect("deleting nothing is no error");
    assert_eq!(store.list("").expect("list"), vec![]);
    assert_eq!(store.list("keys").expect("a folder that is not there is empty"), vec![]);

    store.put(&a, Bytes::from_static(b"first"), PutMode::Create).expect("create");
    assert!(matches!(store.put(&a, Bytes::from_static(b"second"), PutMode::Create), Err(StoreError::Exists { .. })));
    assert_eq!(store.get(&a).expect("get"), "first");
    store.put(&a, Bytes::from_static(b"third"), PutMode::Replace).expect("replace");
    assert_eq!(store.get(&a).expect("get"), "third");
    assert_eq!(store.get_range(&a, 1..3).expect("range"), "hi");
    assert!(store.get_range(&a, 3..9).is_err(), "a range beyond the end is an error");
    assert_eq!(store.head(&a).expect("head").map(|i| i.bytes), Some(5));

    store.put(&name("keys-not/b"), Bytes::new(), PutMode::Create).expect("an empty object");
    store.put(&name("keys/deep/c.d_e-F"), Bytes::from_static(b"x"), PutMode::Create).expect("deep");
    let mut keys: Vec<String> = store.list("keys").expect("list").into_iter().map(|i| i.name.to_string()).collect();
    keys.sort();
    assert_eq!(keys, ["keys/a", "keys/deep/c.d_e-F"]);
    assert_eq!(store.list("").expect("list all").len(), 3);

    let big: Vec<u8> = (0..11_000_000_u32).map(|i| (i * 31 % 251) as u8).collect();
    assert_eq!(store.put_reader(&name("big"), &mut big.as_slice()).expect("stream in"), big.len() as u64);
    let mut back = Vec::new();
    ObjectReader::open(store.clone(), name("big")).expect("open").read_to_end(&mut back).expect("stream out");
    assert!(back == big, "what was streamed in comes out");

    let mut buffer = b"what was there before".to_vec();
    for caches in [Caches::Use, Caches::Pass] {
        let read = |part, buffer: &mut Vec<u8>| store.read_into(&name("big"), part, caches, buffer);
        read(None, &mut buffer).expect("whole");
        assert!(buffer == big, "{caches:?}: it is the same");
        for part in [0..0, 0..1, 4095..4097, 1_048_575..2_097_153, 3..10_999_999, 10_999_999..11_000_000] {
            read(Some(part.clone()), &mut buffer).expect("a part");
            assert!(buffer == big[part.start as usize..part.end as usize], "{caches:?}: {part:?}");
        }
        assert!(read(Some(10_999_999..11_000_001), &mut buffer).is_err(), "{caches:?}: a range beyond the end is an error");
        assert!(store.read_into(&name("no"), None, caches, &mut buffer).expect_err("nothing is there").is_not_found());
    }

    store.delete(&a).expect("delete");
    assert!(store.get(&a).expect_err("gone").is_not_found());
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let store = store.clone();
            std::thread::spawn(move || store.put(&name("race"), Bytes::from(vec![i; 1000]), PutMode::Create).is_ok())
        })
        .collect();
    let winners = threads.into_iter().map(|t| t.join().expect("no panic")).filter(|won| *won).count();
    assert_eq!(winners, 1, "of many creators one wins");
}

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
