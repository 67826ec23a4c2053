//! What every store promises.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use keepsake_storage::{Caches, ObjectName, ObjectReader, PutMode, Store, StoreError};

pub fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("a good name")
}

pub fn suite(store: &Arc<dyn Store>) {
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
