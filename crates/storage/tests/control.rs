//! What belongs to a bucket, against real servers: old versions, locks, unfinished uploads, classes of storage.

use std::sync::Arc;

use bytes::Bytes;
use keepsake_storage::{
    Control, LockMode, ObjectLock, Place, PlaceSettings, PutMode, Reach, Store, StoreError, sweep_uploads, sweep_versions,
};
use keepsake_testing::Bucket;

use crate::{
    remote::{azure, fresh, open, s3, secret},
    suite::name,
};

fn now() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_micros() as i64)
}

/// A bucket of its own, with locks or without, opened for objects and for all else.
fn bucket(stem: &str, locks: bool) -> Option<(Arc<dyn Store>, Arc<dyn Control>)> {
    let place = s3(&format!("{}/below/it", fresh(stem)))?;
    let control = place.0.control(&place.1, Arc::default()).expect("it opens").expect("it has one");
    control.make_place(locks).expect("made");
    Some((open(&place), control))
}

fn put(store: &dyn Store, object: &str, text: &'static str) {
    store.put(&name(object), Bytes::from_static(text.as_bytes()), PutMode::Replace).expect(object);
}

#[test]
fn old_versions_go_but_for_those_of_live_objects() {
    let Some((store, control)) = bucket("versions", false) else { return };
    assert_eq!(control.state().expect("state").versioning, Some(false));
    let versions = control.versions().expect("S3 has versions");
    versions.set_versioning(true).expect("on");
    assert_eq!(control.state().expect("state").versioning, Some(true));
    for object in ["data/gone", "data/kept", "data/replaced", "data/stolen"] {
        put(&*store, object, "first");
    }
    put(&*store, "data/replaced", "second");
    put(&*store, "data/stolen", "what a stranger put there");
    store.delete(&name("data/gone")).expect("deleted");
    assert_eq!(versions.all("data").expect("list").len(), 7);
    let swept = sweep_versions(versions, control.locks(), "data", &|object| object.as_str() == "data/stolen").expect("swept");
    assert_eq!((swept.removed, swept.bytes), (3, 10), "{swept:?}");
    assert_eq!((swept.kept.len(), swept.foreign), (0, vec!["data/stolen".to_owned()]));
    let left: Vec<_> = versions.all("").expect("list").into_iter().map(|v| (v.name.to_string(), v.is_latest)).collect();
    let of = |name: &str, latest| (name.to_owned(), latest);
    let mut expected = [of("data/kept", true), of("data/replaced", true), of("data/stolen", true), of("data/stolen", false)];
    expected.sort_by_key(|(name, latest)| (name.clone(), !latest));
    assert_eq!(left, expected);
    assert_eq!(store.get(&name("data/replaced")).expect("get"), "second");
}

#[test]
fn a_lock_outlasts_a_deletion_and_is_told_with_its_date() {
    let Some((store, control)) = bucket("locks", true) else { return };
    let (versions, locks) = (control.versions().expect("versions"), control.locks().expect("locks"));
    let state = control.state().expect("state");
    assert!(state.locks && state.versioning == Some(true) && state.default_lock.is_none(), "{state:?}");
    for object in ["data/locked", "data/strict", "data/held", "keys/free", "locks/free"] {
        put(&*store, object, "text");
    }
    let until = (now() / 1_000_000 + 3_600) * 1_000_000;
    let lock = |mode| ObjectLock { mode, until };
    locks.lock(&name("data/locked"), lock(LockMode::Governance)).expect("locked");
    locks.lock(&name("data/strict"), lock(LockMode::Compliance)).expect("locked");
    locks.hold(&name("data/held"), None, true).expect("held");
    assert_eq!(locks.lock_of(&name("data/locked"), None).expect("read"), Some(lock(LockMode::Governance)));
    assert_eq!(locks.lock_of(&name("data/strict"), None).expect("read"), Some(lock(LockMode::Compliance)));
    assert_eq!(locks.lock_of(&name("keys/free"), None).expect("read"), None);
    let longer = ObjectLock { mode: LockMode::Governance, until: until + 60_000_000 };
    locks.lock(&name("data/locked"), longer).expect("longer");
    for object in ["data/locked", "data/strict", "data/held", "keys/free", "locks/free"] {
        store.delete(&name(object)).expect("hidden");
    }
    assert_eq!(store.list("").expect("list"), vec![], "readers see nothing of it");
    let swept = sweep_versions(versions, Some(locks), "", &|_| false).expect("swept");
    assert_eq!(swept.removed, 4, "what was not locked is gone, with its markers: {swept:?}");
    let kept: Vec<_> = swept.kept.iter().map(|kept| (kept.name.as_str(), kept.until, kept.held)).collect();
    assert_eq!(kept, [("data/held", None, true), ("data/locked", Some(longer.until), false), ("data/strict", Some(until), false)]);
    // It is still hidden, and goes when nothing keeps it any more.
    assert_eq!(store.list("").expect("list"), vec![]);
    put(&*store, "data/other", "text");
    let held = versions.all("data/held").expect("list");
    let held = held.iter().find(|v| !v.is_marker).expect("it is there");
    assert!(locks.is_held(&name("data/held"), Some(&held.id)).expect("read"));
}

#[test]
fn lifecycle_and_unfinished_uploads() {
    let Some((store, control)) = bucket("cleaning", false) else { return };
    let versions = control.versions().expect("versions");
    versions.set_cleaning(9).expect("set");
    let state = control.state().expect("state");
    assert!(!state.expires_objects, "{state:?}");
    assert!(state.lifecycle.iter().any(|rule| rule.contains("old versions after 9 days")), "{state:?}");
    // A reader that fails in the middle: the upload is given up at once.
    struct Breaking(usize);
    impl std::io::Read for Breaking {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the disk is gone"));
            }
            let length = buffer.len().min(self.0);
            self.0 -= length;
            Ok(length)
        }
    }
    assert!(store.put_reader(&name("data/long"), &mut Breaking(20 << 20)).is_err());
    assert_eq!(versions.uploads("").expect("list"), vec![]);
    assert_eq!(sweep_uploads(versions, "", now()).expect("swept"), 0);
}

#[test]
fn an_archived_blob_is_asked_for() {
    let Some(place) = azure(&format!("{}/below", fresh("tiers"))) else { return };
    let control = place.0.control(&place.1, Arc::default()).expect("it opens").expect("it has one");
    control.make_place(false).expect("made");
    let (store, tiers) = (open(&place), control.tiers().expect("Azure has tiers"));
    put(&*store, "data/cold", "text");
    put(&*store, "data/warm", "text");
    let class = |object: &str| {
        let found = tiers.of(&name(object)).expect("asked").expect("it is there");
        (found.class, found.reach, found.bytes)
    };
    assert_eq!(class("data/cold"), ("Hot".into(), Reach::Online, 4));
    tiers.set(&name("data/cold"), "Archive").expect("moved");
    assert_eq!(class("data/cold"), ("Archive".into(), Reach::Archived, 4));
    let listed = tiers.all("data").expect("list");
    assert_eq!(
        listed.iter().map(|c| (c.name.as_str(), c.reach)).collect::<Vec<_>>(),
        [("data/cold", Reach::Archived), ("data/warm", Reach::Online)]
    );
    assert!(listed.iter().all(|c| c.since > now() - 60_000_000 && c.bytes == 4), "{listed:?}");
    let refused = store.get(&name("data/cold")).expect_err("it is archived");
    assert!(matches!(refused, StoreError::Archived { .. }), "{refused}");
    let refused = store.get_range(&name("data/cold"), 0..2).expect_err("it is archived");
    assert!(matches!(refused, StoreError::Archived { .. }), "{refused}");
    tiers.thaw(&name("data/cold"), false).expect("asked for");
    assert_ne!(class("data/cold").1, Reach::Archived);
    assert_eq!(tiers.of(&name("data/none")).expect("asked"), None);
}

/// No server that runs here moves S3 objects between classes: a bucket of our own does.
#[test]
fn classes_of_s3() {
    let bucket = Bucket::start();
    let settings = PlaceSettings { endpoint: Some(bucket.endpoint()), ..PlaceSettings::default() };
    let place = (Place::new("s3://bucket/below", settings).expect("a place"), secret("id", "secret"));
    let control = place.0.control(&place.1, Arc::default()).expect("it opens").expect("it has one");
    let (store, tiers) = (open(&place), control.tiers().expect("S3 has classes"));
    let objects: Vec<String> = (0..120).map(|at| format!("data/{at:03}")).collect();
    objects.iter().for_each(|object| put(&*store, object, "text"));
    let cold = name("data/077");
    tiers.set(&cold, "DEEP_ARCHIVE").expect("moved");
    tiers.set(&name("data/001"), "STANDARD_IA").expect("moved");
    let listed = tiers.all("").expect("list");
    assert_eq!(listed.iter().map(|c| c.name.to_string()).collect::<Vec<_>>(), objects, "page by page");
    let of = |at: usize| (listed[at].class.as_str(), listed[at].reach, listed[at].bytes);
    assert_eq!([of(0), of(1)], [("STANDARD", Reach::Online, 4), ("STANDARD_IA", Reach::Online, 4)]);
    assert_eq!(of(77), ("DEEP_ARCHIVE", Reach::Archived, 4));
    let refused = store.get(&cold).expect_err("it is archived");
    assert!(matches!(refused, StoreError::Archived { .. }), "{refused}");
    let reach = || tiers.of(&cold).expect("asked").expect("there").reach;
    tiers.thaw(&cold, true).expect("asked for");
    assert_eq!(reach(), Reach::Thawing);
    assert!(store.get(&cold).is_err());
    bucket.finish_thawing();
    assert_eq!(reach(), Reach::Online);
    assert_eq!(store.get(&cold).expect("get"), "text");
}
