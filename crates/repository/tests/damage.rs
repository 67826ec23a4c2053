//! Damage is found, named, and never handed out as good bytes.

use std::sync::Arc;

use bytes::Bytes;
use keepsake_repository::{
    CheckOptions, Content, DamageKind, Edit, FileMeta, Id, KdfCost, OWN_NAME, Password, Repository, RepositoryError, RestoreOptions, Share,
    Silent,
};
use keepsake_storage::{MemoryStore, ObjectName, PutMode, Store};

use crate::{
    support::{PASSWORD, ambient, init},
    virtual_trees::run,
};

fn small() -> (Arc<MemoryStore>, Id) {
    let store = Arc::new(MemoryStore::new());
    let file = |p: &str| Edit::file(p, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(vec![p.repeat(50).into_bytes()]));
    let outcome = run(&init(store.clone()), None, vec![file("data/a"), file("data/b"), file("data/deep/c")]).expect("backup");
    (store, outcome.tree)
}

fn reopen(store: Arc<MemoryStore>) -> Repository {
    Repository::open(store, &Password::new(PASSWORD.into()), ambient()).expect("open")
}

#[test]
fn every_flipped_byte_of_a_pack_is_found_and_never_restored() {
    let (store, tree) = small();
    let packs: Vec<ObjectName> = store.list("data").expect("list").into_iter().map(|o| o.name).collect();
    assert_eq!(packs.len(), 2);
    let space = tempfile::tempdir().expect("space");
    let good: Vec<_> = ["data/a", "data/b", "data/deep/c"].iter().map(|p| (p.to_string(), p.repeat(50))).collect();
    for name in packs {
        let whole = store.get(&name).expect("pack");
        for at in (0..whole.len()).step_by(7) {
            let damaged = Arc::new(store.copy());
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0x10;
            damaged.set(name.clone(), Bytes::from(bytes));
            let repository = reopen(damaged);
            let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check runs to its end");
            assert!(report.damage.iter().any(|d| d.message.contains(&name.file_name()[..8])), "byte {at}: {:?}", report.damage);
            let target = space.path().join(format!("{}-{at}", name.file_name()));
            let outcome = repository.restore(&tree, &target, &RestoreOptions::default(), &Silent).expect("restore runs to its end");
            for (path, text) in &good {
                match std::fs::read_to_string(target.join(path)) {
                    Ok(back) => assert_eq!(&back, text, "a file is right or not there"),
                    Err(_) => assert!(!outcome.failed.is_empty(), "what is not there is named"),
                }
            }
        }
    }
}

#[test]
fn missing_and_truncated_objects_are_named_with_what_they_reach() {
    let (store, _) = small();
    for name in store.list("data").expect("list").into_iter().map(|o| o.name) {
        let without = Arc::new(store.copy());
        without.delete(&name).expect("delete");
        let report = reopen(without).check(&CheckOptions::default(), &Silent).expect("check");
        assert!(report.damage.iter().any(|d| d.kind == DamageKind::Pack && d.message.ends_with("is missing")), "{:?}", report.damage);
        assert!(!report.affected.is_empty());
        let short = Arc::new(store.copy());
        short.set(name.clone(), store.get(&name).expect("pack").slice(..40));
        let report = reopen(short).check(&CheckOptions::default(), &Silent).expect("check");
        assert!(report.damage.iter().any(|d| d.kind == DamageKind::Pack), "{:?}", report.damage);
    }
    for folder in ["index", "snapshots"] {
        let name = store.list(folder).expect("list")[0].name.clone();
        let torn = Arc::new(store.copy());
        torn.set(name.clone(), Bytes::from_static(b"not sealed at all, and not of this name either"));
        let report = reopen(torn).check(&CheckOptions::default(), &Silent).expect("check");
        assert!(!report.damage.is_empty(), "{folder}");
    }
}

#[test]
fn locks_are_honoured() {
    let (store, _) = small();
    let repository = reopen(store.clone());
    let foreign = r#"{"time":"2020-01-01T00:00:00Z","exclusive":true,"hostname":"elsewhere","username":"someone","pid":4711}"#;
    // A lock of the stock tool is sealed JSON; ours are framed, theirs may be plain.
    let key = repository.seal_for_tests(foreign.as_bytes());
    let name = ObjectName::new(format!("locks/{}", Id::of(&key))).expect("name");
    store.put(&name, key.into(), PutMode::Create).expect("put");
    let error = repository.check(&CheckOptions::default(), &Silent).expect_err("locked");
    assert!(matches!(&error, RepositoryError::Locked { holder, .. } if holder.contains("4711 on elsewhere")), "{error}");
    assert!(store.head(&name).expect("head").is_some(), "a foreign lock is never removed");
}

/// Readers try twenty keys: there is room for nineteen of people's and for a new one of this program's own, and no more.
#[test]
fn nobody_is_locked_out_by_too_many_keys() {
    let (store, _) = small();
    let repository = reopen(store.clone());
    let cost = KdfCost { log_n: 4, r: 8, p: 1 };
    let password = |number: u32| Password::new(format!("password {number}"));
    for number in 1..19 {
        repository.add_password(&password(number), cost, "somebody").expect("room");
    }
    let error = repository.add_password(&password(19), cost, "somebody").expect_err("no room");
    assert!(matches!(error, RepositoryError::TooManyKeys { .. }), "{error}");
    repository.add_password(&password(20), cost, OWN_NAME).expect("the last place");
    assert!(repository.add_password(&password(21), cost, OWN_NAME).is_err());
    for number in (1..19).chain([20]) {
        repository.opens_with(&password(number)).expect("every one of them opens");
    }
    let keys: Vec<Id> = repository.keys().expect("keys").into_iter().map(|(id, _)| id).collect();
    keys[1..].iter().for_each(|id| repository.remove_key(id).expect("remove"));
    let error = repository.remove_key(&keys[0]).expect_err("the last one");
    assert!(matches!(error, RepositoryError::LastKey { .. }), "{error}");
}

#[test]
fn a_wrong_password_and_no_repository_are_told_apart() {
    let (store, _) = small();
    let wrong = Repository::open(store, &Password::new("wrong".into()), ambient()).expect_err("wrong");
    assert_eq!(wrong.to_string(), "the password opens no key of the repository at memory");
    let none = Repository::open(Arc::new(MemoryStore::new()), &Password::new("any".into()), ambient()).expect_err("none");
    assert_eq!(none.to_string(), "there is no repository at memory");
}
