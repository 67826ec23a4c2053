//! Virtual trees: the same state is the same tree, however it was reached, and a small change costs little.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_repository::{BackupOutcome, BackupRequest, Content, Edit, FileMeta, Id, Repository, RepositoryResult, Silent};
use keepsake_storage::{Call, MemoryStore, Recording};
use proptest::prelude::*;

use crate::support::{init, open, snapshot};

const TIME: &str = "2024-01-01T00:00:00Z";

fn put(path: &str, text: &str) -> Edit {
    Edit::file(path, &FileMeta { time: TIME.into() }, Content::Spans(vec![text.as_bytes().to_vec()]))
}

pub fn run(repository: &Repository, parent: Option<Id>, mut edits: Vec<Edit>) -> RepositoryResult<BackupOutcome> {
    edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
    let edits = Box::new(edits.into_iter().map(Ok));
    repository.backup(BackupRequest { parent_tree: parent, carry_tree: parent, edits, replay: None, snapshot: snapshot(1) }, &Silent)
}

#[test]
fn a_small_change_writes_one_pack_of_each_kind_one_index_one_snapshot() {
    let store = Arc::new(Recording::new(Arc::new(MemoryStore::new())));
    let repository = init(store.clone());
    let edits = (0..300).map(|i| put(&format!("data/{:02}/{i:03}", i / 20), &format!("text {i}"))).collect();
    let first = run(&repository, None, edits).expect("full");
    let repository = open(store.clone());
    store.take();
    let second =
        run(&repository, Some(first.tree), vec![put("data/03/061", "edited"), Edit::remove("data/07/150"), put("data/99/new", "new")])
            .expect("incremental");
    let calls = store.take();
    let puts: Vec<_> = calls
        .iter()
        .filter_map(|call| match call {
            Call::Put(name, _) => Some(name.as_str().split('/').next().expect("a folder").to_owned()),
            _ => None,
        })
        .filter(|folder| folder != "locks")
        .collect();
    assert_eq!(puts, ["data", "data", "index", "snapshots"]);
    let reads = calls.iter().filter(|call| matches!(call, Call::Get(name) if name.as_str().starts_with("data/"))).count();
    assert_eq!(reads, 4, "root, data, and the two folders that change; the new one has no parent");
    assert_eq!(second.totals.tree_blobs, 5);
}

#[test]
fn what_the_source_lost_is_carried_forward() {
    let repository = init(Arc::new(MemoryStore::new()));
    let first = run(&repository, None, vec![put("media/a", "precious"), put("z", "1")]).expect("full");
    let lost = || {
        Edit::file("media/a", &FileMeta { time: TIME.into() }, Content::Stream(Box::new(|| Err(std::io::Error::other("the file is gone")))))
    };
    let second = run(&repository, Some(first.tree), vec![lost(), put("z", "1")]).expect("incremental");
    assert_eq!(second.tree, first.tree);
    assert!(second.skipped.len() == 1 && second.skipped[0].carried && second.skipped[0].path == "media/a");
    let third = run(&repository, None, vec![lost(), put("z", "1")]).expect("nothing to carry from");
    assert!(!third.skipped[0].carried);
}

type State = BTreeMap<String, String>;

fn states() -> impl Strategy<Value = Vec<State>> {
    let path = prop_oneof!["[ab]", "[ab]/[cd]", "[ab]/[cd]/[ef.]x"].prop_map(|p| format!("r/{p}.n"));
    proptest::collection::vec(proptest::collection::btree_map(path, "[a-z]{0,3}", 0..8), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_same_state_is_the_same_tree(states in states()) {
        let repository = init(Arc::new(MemoryStore::new()));
        let (mut before, mut tree) = (State::new(), None);
        for state in states {
            let changed = state.iter().filter(|(path, text)| before.get(*path) != Some(text)).map(|(p, t)| put(p, t));
            let gone = before.keys().filter(|path| !state.contains_key(*path)).map(|p| Edit::remove(p));
            let step = run(&repository, tree, changed.chain(gone).collect()).expect("incremental");
            let whole = run(&repository, None, state.iter().map(|(p, t)| put(p, t)).collect()).expect("full");
            prop_assert_eq!(step.tree, whole.tree);
            (before, tree) = (state, Some(step.tree));
        }
    }
}
