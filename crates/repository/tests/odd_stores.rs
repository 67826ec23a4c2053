//! Stores that do one thing wrong and go on: a write that fails while later ones are done, one that is done and whose answer is
//! lost, listings that are old. Whatever a run made of it, what was there before is there, and the next run ends the work.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keepsake_repository::{
    CheckOptions, Content, Edit, FileMeta, Id, Password, Protected, PruneOptions, Repository, RepositoryResult, Share, Silent, WithoutPaths,
};
use keepsake_storage::{Fault, Faulty, MemoryStore, Store};

use crate::{
    support::{PASSWORD, ambient, init, open},
    virtual_trees::run,
};

fn file(path: &str, text: &str) -> Edit {
    Edit::file(path, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(vec![text.repeat(40).into_bytes()]))
}

fn content(repository: &Repository, tree: Id) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![(String::new(), tree)]);
    while let Some((path, id)) = waiting.pop() {
        for node in &repository.tree(&id).expect("a tree").nodes {
            let path = format!("{path}/{}", node.display_name());
            match node.subtree {
                Some(subtree) => waiting.push((path, subtree)),
                None => drop(found.insert(path, repository.file_bytes(node).expect("content"))),
            }
        }
    }
    found
}

fn prune(repository: &Repository) -> RepositoryResult<()> {
    let plan = repository.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent)?;
    repository.prune(&plan, &Protected::default(), &Silent).map(drop)
}

type Verb = (&'static str, fn(&Repository, Id) -> RepositoryResult<()>);

/// On a repository of two snapshots, with a third that was forgotten: the tree is the first one's.
const VERBS: [Verb; 5] = [
    ("backup", |repository, tree| run(repository, Some(tree), vec![file("data/new", "new"), Edit::remove("data/a")]).map(drop)),
    ("forget", |repository, _| repository.forget(&repository.snapshot_ids()?[..1], &Silent)),
    ("prune", |repository, _| prune(repository)),
    ("rewrite", |repository, _| {
        let all = repository.snapshot_ids()?;
        repository.rewrite(&all, &mut WithoutPaths(vec!["data/secret".into()]), &Silent).map(drop)
    }),
    ("repair", |repository, _| repository.repair(&Default::default(), &Silent).map(drop)),
];

#[test]
fn whatever_they_do_nothing_is_lost_and_the_next_run_ends_the_work() {
    let base = Arc::new(MemoryStore::new());
    let repository = init(base.clone());
    let first = run(&repository, None, vec![file("data/a", "one"), file("data/b", "two"), file("data/secret", "it")]).expect("first");
    let third = run(&repository, Some(first.tree), vec![file("data/c", "to be forgotten")]).expect("third");
    let second = run(&repository, Some(first.tree), vec![file("data/d", "four")]).expect("second");
    repository.forget(&[third.snapshot], &Silent).expect("forget");
    let wanted = [first.tree, second.tree].map(|tree| content(&repository, tree));
    let mut runs = 0;
    for (name, verb) in VERBS {
        // No verb writes so often: the last ones meet no fault.
        let faults = (0..50).flat_map(|n| [Fault::FailOnce(n), Fault::LostReply(n)]).chain([Fault::StaleLists]);
        for fault in faults {
            let copy = Arc::new(base.copy());
            if name == "repair" {
                let index = copy.list("index").expect("list")[0].name.clone();
                copy.delete(&index).expect("lost");
            }
            let broken: Arc<dyn Store> = Arc::new(Faulty::new(copy.clone(), fault));
            let odd = Repository::open(broken, &Password::new(PASSWORD.into()), ambient()).expect("open").with_patience(Duration::ZERO);
            odd.load_index().expect("index");
            drop(verb(&odd, first.tree));
            drop(odd);
            for lock in copy.list("locks").expect("list") {
                copy.delete(&lock.name).expect("delete");
            }
            let told = format!("{name}, {fault:?}");
            let after = open(copy.clone()).with_patience(Duration::ZERO);
            if name == "repair" {
                after.repair(&Default::default(), &Silent).unwrap_or_else(|e| panic!("{told}, again: {e}"));
            }
            for (tree, wanted) in [first.tree, second.tree].iter().zip(&wanted) {
                assert_eq!(&content(&after, *tree), wanted, "{told}");
            }
            if name == "rewrite" {
                verb(&after, first.tree).unwrap_or_else(|e| panic!("{told}, again: {e}"));
            }
            prune(&after).unwrap_or_else(|e| panic!("{told}, pruned: {e}"));
            let report = open(copy).check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(report.damage.is_empty() && report.orphans.is_empty(), "{told}: {:?} {:?}", report.damage, report.orphans);
            runs += 1;
        }
    }
    assert!(runs == 5 * 101, "{runs} runs");
}
