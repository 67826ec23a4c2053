//! A backup cut off at every single write: what was there before stays, and the next run succeeds.

use std::sync::Arc;

use keepsake_repository::{CheckOptions, Content, Edit, FileMeta, Password, Repository, RepositoryError, Share, Silent};
use keepsake_storage::{Fault, Faulty, MemoryStore, Store};

use crate::{
    support::{PASSWORD, ambient, init, open},
    virtual_trees::run,
};

fn edits(round: u32) -> Vec<Edit> {
    let file = |i: u32| {
        let text = format!("text {i} of round {}", if i.is_multiple_of(7) { round } else { 0 });
        Edit::file(
            &format!("data/{}/{i}", i % 5),
            &FileMeta { time: "2024-01-01T00:00:00Z".into() },
            Content::Spans(vec![text.into_bytes()]),
        )
    };
    (0..40).map(file).collect()
}

#[test]
fn at_every_write_and_torn() {
    let base = MemoryStore::new();
    let base = Arc::new(base);
    let first = run(&init(base.clone()), None, edits(1)).expect("first");
    let mut cuts = 0;
    for torn in [false, true] {
        for n in 0.. {
            let copy: Arc<dyn Store> = Arc::new(base.copy());
            let repository = open(copy.clone());
            let fault = if torn { Fault::TornAfter(n) } else { Fault::CutAfter(n) };
            drop(repository);
            let broken: Arc<dyn Store> = Arc::new(Faulty::new(copy.clone(), fault));
            let repository = Repository::open(broken, &Password::new(PASSWORD.into()), ambient()).expect("reading still works");
            repository.load_index().expect("index");
            let failed = run(&repository, Some(first.tree), edits(2)).is_err();
            drop(repository);

            // Locks of the cut-off run are ours and of this very process: a new process would see that it is gone.
            for lock in copy.list("locks").expect("list") {
                copy.delete(&lock.name).expect("delete");
            }
            let repository = Repository::open(copy.clone(), &Password::new(PASSWORD.into()), ambient()).expect("open");
            let damaged = repository.load_index().expect("index");
            assert!(damaged.is_empty() || torn, "only a torn write leaves a damaged index");
            let (snapshots, _) = repository.snapshots().expect("snapshots");
            assert!(snapshots.iter().any(|(id, _)| *id == first.snapshot), "the earlier snapshot stays, n = {n}");
            let after = run(&repository, Some(first.tree), edits(2)).expect("the next run succeeds");
            for (_, snapshot) in repository.snapshots().expect("snapshots").0 {
                let mut waiting = vec![snapshot.tree];
                while let Some(id) = waiting.pop() {
                    for node in repository.tree(&id).expect("tree").nodes.clone() {
                        waiting.extend(node.subtree);
                        repository.file_bytes(&node).expect("content");
                    }
                }
            }
            let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(report.affected.is_empty(), "n = {n}: {:?}", report.affected);
            assert!(torn || report.damage.is_empty(), "n = {n}: {:?}", report.damage);
            assert_ne!(after.tree, first.tree);
            if !failed {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 8, "{cuts} cuts");
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let base: Arc<dyn Store> = Arc::new(MemoryStore::new());
    init(base.clone());
    let full: Arc<dyn Store> = Arc::new(Faulty::new(base, Fault::FullAfterBytes(600)));
    let repository = Repository::open(full, &Password::new(PASSWORD.into()), ambient()).expect("open");
    let error = run(&repository, None, edits(1)).expect_err("no room");
    assert_eq!(error.to_string(), "no space left at memory: free some or choose another destination");
    assert!(matches!(error, RepositoryError::Store(_)));
}
