//! Repair: what can be read is saved, what is lost is named, and the next backup heals what its source still has.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use keepsake_repository::{CheckOptions, Content, Edit, FileMeta, Id, Password, Repository, Share, Silent};
use keepsake_storage::{Fault, Faulty, MemoryStore, ObjectName, Store};

use crate::{
    support::{PASSWORD, ambient, init, open},
    virtual_trees::run,
};

fn edits() -> Vec<Edit> {
    let file = |n: u32| {
        let meta = FileMeta { time: "2024-01-01T00:00:00Z".into() };
        Edit::file(&format!("data/{}/{n}", n % 3), &meta, Content::Spans(vec![format!("text {n} ").repeat(30).into_bytes()]))
    };
    (0..3).flat_map(|day| (0..12).filter(move |n| n % 3 == day)).map(file).collect()
}

fn filled() -> (Arc<MemoryStore>, Id) {
    let store = Arc::new(MemoryStore::new());
    let tree = run(&init(store.clone()), None, edits()).expect("backup").tree;
    (store, tree)
}

fn names(store: &MemoryStore, folder: &str) -> Vec<ObjectName> {
    store.list(folder).expect("list").into_iter().map(|object| object.name).collect()
}

/// Opens even where an index file is damaged.
fn damaged(store: Arc<MemoryStore>) -> Repository {
    let repository = Repository::open(store, &Password::new(PASSWORD.into()), ambient()).expect("open");
    repository.load_index().expect("index");
    repository.with_patience(std::time::Duration::ZERO)
}

fn suspects(repository: &Repository) -> BTreeSet<Id> {
    let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
    report.damage.iter().filter_map(|damage| damage.pack).collect()
}

fn healed(store: Arc<MemoryStore>, tree: Id, told: &str) {
    let repository = damaged(store.clone());
    let again = run(&repository, None, edits()).expect("the next full backup");
    assert_eq!(again.tree, tree, "{told}");
    let report = open(store).check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
    assert!(report.damage.is_empty() && report.affected.is_empty() && report.orphans.is_empty(), "{told}: {:?}", report.damage);
}

/// Each pack with a bit flipped somewhere, cut short, emptied or gone; each index file damaged or gone.
#[test]
fn whatever_is_damaged_the_rest_is_saved_and_the_next_backup_heals() {
    let (store, tree) = filled();
    for name in names(&store, "data") {
        let whole = store.get(&name).expect("pack");
        let flipped = |at: usize| {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1;
            Bytes::from(bytes)
        };
        let damages = [
            ("a bit at the beginning", Some(flipped(40))),
            ("a bit in the middle", Some(flipped(whole.len() / 2))),
            ("a bit in the header", Some(flipped(whole.len() - 30))),
            ("cut short", Some(whole.slice(..whole.len() - 200))),
            ("empty", Some(Bytes::new())),
            ("gone", None),
        ];
        for (what, bytes) in damages {
            let store = Arc::new(store.copy());
            match bytes {
                Some(bytes) => store.set(name.clone(), bytes),
                None => store.delete(&name).expect("delete"),
            }
            let repository = damaged(store.clone());
            let suspects = suspects(&repository);
            assert!(!suspects.is_empty(), "{what}");
            let report = repository.repair(&suspects, &Silent).expect("repair");
            assert!(report.packs_salvaged + report.packs_missing == 1, "{what}: {report:?}");
            assert!(what != "a bit in the header" || report.blobs_lost == 0, "{what}: the index knows where everything is: {report:?}");
            assert!(!what.starts_with("a bit at") || report.blobs_lost == 1, "{what}: one blob and no more: {report:?}");
            let after = open(store.clone()).check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(after.damage.iter().all(|damage| damage.pack.is_none()), "{what}: packs and index are sound: {:?}", after.damage);
            assert_eq!(open(store.clone()).repair(&BTreeSet::new(), &Silent).expect("again"), Default::default(), "{what}");
            healed(store, tree, what);
        }
    }
    for name in names(&store, "index") {
        for bytes in [Some(Bytes::from_static(b"no index")), None] {
            let store = Arc::new(store.copy());
            match bytes {
                Some(bytes) => store.set(name.clone(), bytes),
                None => store.delete(&name).expect("delete"),
            }
            let report = damaged(store.clone()).repair(&BTreeSet::new(), &Silent).expect("repair");
            assert_eq!((report.packs_found, report.blobs_lost), (2, 0), "the packs say what is in them: {report:?}");
            let after = open(store).check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(after.damage.is_empty() && after.affected.is_empty(), "{:?}", after.damage);
        }
    }
}

/// A repair cut off at every write and deletion loses nothing that could be read before.
#[test]
fn cut_off_at_every_write() {
    let (base, tree) = filled();
    let data = names(&base, "data").into_iter().max_by_key(|name| base.get(name).expect("pack").len()).expect("one");
    let mut bytes = base.get(&data).expect("pack").to_vec();
    bytes[40] ^= 1;
    base.set(data, bytes.into());
    let suspects = suspects(&damaged(base.clone()));
    let lost = {
        let store = Arc::new(base.copy());
        damaged(store).repair(&suspects, &Silent).expect("repair").blobs_lost
    };
    let (mut cuts, mut ended) = (0, false);
    while !ended {
        let store = Arc::new(base.copy());
        let broken: Arc<dyn Store> = Arc::new(Faulty::new(store.clone(), Fault::CutAfter(cuts)));
        let repository = Repository::open(broken, &Password::new(PASSWORD.into()), ambient()).expect("reading still works");
        let repository = repository.with_patience(std::time::Duration::ZERO);
        ended = repository.repair(&suspects, &Silent).is_ok();
        drop(repository);
        for lock in names(&store, "locks") {
            store.delete(&lock).expect("delete");
        }
        let repository = damaged(store.clone());
        repository.repair(&suspects, &Silent).expect("again");
        let report = open(store.clone()).check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert_eq!(report.affected.len() as u64, lost, "cut {cuts}: {:?}", report.affected);
        healed(store, tree, &format!("cut {cuts}"));
        cuts += 1;
    }
    assert!(cuts >= 6, "{cuts} cuts");
}
