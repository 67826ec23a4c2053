//! Forgetting and pruning: what snapshots need stays, at every moment and whatever else goes on.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_repository::{Content, Edit, FileMeta, Id, Password, Protected, PruneOptions, Repository, RepositoryError, Silent};
use keepsake_storage::{MemoryStore, Store};

use crate::{
    support::{PASSWORD, assert_sound, content, file, init, local, open, restic, restics},
    virtual_trees::run,
};

const NOTHING_UNUSED: PruneOptions = PruneOptions { max_unused_percent: 0 };

/// Three snapshots: what the first alone has, what all have, what the last alone has.
fn three(repository: &Repository) -> [(Id, Id); 3] {
    let snapshot = |parent, edits| {
        let outcome = run(repository, parent, edits).expect("backup");
        (outcome.snapshot, outcome.tree)
    };
    let first = snapshot(None, vec![file("data/a", "in the first alone"), file("data/b", "in all"), file("data/deep/c", "in all, deep")]);
    let second = snapshot(Some(first.1), vec![Edit::remove("data/a"), file("data/d", "since the second")]);
    let third = snapshot(Some(second.1), vec![file("data/e", "since the third")]);
    [first, second, third]
}

fn prune(repository: &Repository) -> keepsake_repository::PruneReport {
    let plan = repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan");
    repository.prune(&plan, &Protected::default(), &Silent).expect("prune")
}

#[test]
fn what_nobody_needs_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = init(local(folder.path()));
    let [first, second, third] = three(&repository);
    let wanted: Vec<_> = [second, third].iter().map(|(_, tree)| content(&repository, *tree)).collect();
    let secret = content(&repository, first.1)["/data/a"].clone();
    let blob = Id::of(&secret);
    assert!(repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan").is_empty(), "everything is needed");
    repository.forget(&[first.0], &Silent).expect("forget");
    let plan = repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan");
    assert!(plan.unused_bytes > 0 && !plan.repack.is_empty(), "{plan:?}");
    let report = repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
    assert!(report.packs_removed > 0 && report.packs_kept == 0, "{report:?}");

    let again = open(local(folder.path()));
    assert_sound(&again, "after the prune");
    assert!(again.locate(keepsake_repository::BlobKind::Data, &blob).is_none(), "no index knows what went");
    for ((_, tree), wanted) in [second, third].iter().zip(&wanted) {
        assert_eq!(&content(&again, *tree), wanted);
    }
    assert!(again.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan").is_empty(), "a second prune has nothing to do");
    for tool in restics() {
        restic(&tool, folder.path(), &["check", "--read-data"]);
        let told = restic(&tool, folder.path(), &["prune", "--dry-run", "--max-unused", "0"]);
        assert!(
            told.contains("total prune:       0 blobs") || told.contains("total prune:           0 blobs"),
            "the stock tool finds nothing left to prune: {told}"
        );
    }
}

/// A backup that runs between the halves and needs what was to go: it stays.
#[test]
fn a_backup_between_the_halves_keeps_what_it_needs() {
    let store = Arc::new(MemoryStore::new());
    let repository = init(store.clone());
    let [first, ..] = three(&repository);
    repository.forget(&[first.0], &Silent).expect("forget");
    let plan = repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan");
    let half = repository.begin_prune(&plan, &Protected::default(), &Silent).expect("the first half");
    let beside = open(store.clone());
    let late = run(&beside, None, vec![file("data/a", "in the first alone"), file("data/new", "new")]).expect("backup");
    assert!(late.totals.data_blobs == 1, "what was to go is not stored again: {:?}", late.totals);
    let report = half.finish(&Silent).expect("the second half");
    assert!(report.packs_kept >= 1, "{report:?}");
    let again = open(store);
    assert_sound(&again, "after both");
    assert_eq!(content(&again, late.tree).len(), 2);
}

/// While others work, the second half waits; a foreign prune between the halves is noticed.
#[test]
fn a_stale_plan_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let repository = init(store.clone());
    let [first, second, _] = three(&repository);
    repository.forget(&[first.0], &Silent).expect("forget");
    let stale = repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan");
    prune(&open(store.clone()));
    let error = repository.prune(&stale, &Protected::default(), &Silent).expect_err("stale");
    assert!(matches!(error, RepositoryError::ChangedMeanwhile { .. }), "{error}");
    // Between the halves.
    let repository = open(store.clone());
    repository.forget(&[second.0], &Silent).expect("forget");
    let plan = repository.plan_prune(NOTHING_UNUSED, &Protected::default(), &Silent).expect("plan");
    let half = repository.begin_prune(&plan, &Protected::default(), &Silent).expect("the first half");
    prune(&open(store.clone()));
    let error = half.finish(&Silent).expect_err("somebody else pruned");
    assert!(matches!(error, RepositoryError::ChangedMeanwhile { .. }), "{error}");
    assert_sound(&open(store), "whatever the order");
}

/// What is protected stays recoverable even when its snapshot's file is gone.
#[test]
fn the_protected_stays() {
    let store = Arc::new(MemoryStore::new());
    let repository = init(store.clone());
    let [first, ..] = three(&repository);
    let wanted = content(&repository, first.1);
    let protected = Protected(BTreeMap::from([first]));
    repository.forget(&[first.0], &Silent).expect("somebody removes it");
    let plan = repository.plan_prune(NOTHING_UNUSED, &protected, &Silent).expect("plan");
    repository.prune(&plan, &protected, &Silent).expect("prune");
    assert_eq!(content(&open(store), first.1), wanted);
}

/// Frequent small backups leave many small packs and index files; they are joined.
#[test]
fn small_packs_and_indexes_are_joined() {
    let store = Arc::new(MemoryStore::new());
    let repository = init(store.clone());
    let mut parent = None;
    for round in 0..40 {
        parent = Some(run(&repository, parent, vec![file("data/log", &format!("round {round}"))]).expect("backup").tree);
    }
    let count = |folder: &str| store.list(folder).expect("list").len();
    assert_eq!((count("data"), count("index")), (80, 40));
    let plan = repository.plan_prune(PruneOptions::default(), &Protected::default(), &Silent).expect("plan");
    assert_eq!((plan.repack.len(), plan.joins_indexes, plan.unused_bytes), (80, true, 0));
    repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
    assert_eq!((count("data"), count("index"), count("snapshots")), (2, 1, 40));
    assert_sound(&open(store), "after joining");
}

/// A pack is gone, a later backup has healed what it held, and whoever prunes knows nothing of that: the healed copy stays.
#[test]
fn the_good_copy_of_two_stays() {
    let store = Arc::new(MemoryStore::new());
    let edits = || vec![file("data/a", "twice"), file("data/b", "twice, too")];
    let tree = run(&init(store.clone()), None, edits()).expect("backup").tree;
    let packs: Vec<_> = store.list("data").expect("list").into_iter().map(|object| object.name).collect();
    packs.iter().for_each(|name| store.delete(name).expect("lost"));
    let healer = open(store.clone());
    healer.missing_packs().expect("list").into_iter().for_each(|pack| healer.distrust(pack));
    assert_eq!(run(&healer, None, edits()).expect("backup").tree, tree);
    let pruner = open(store.clone());
    prune(&pruner);
    let after = open(store);
    assert_eq!(content(&after, tree).len(), 2);
    assert_sound(&after, "after the prune");
}

/// The real surroundings, with a clock that jumps.
struct Sleepy(Arc<std::sync::atomic::AtomicI64>);

impl keepsake_repository::Ambient for Sleepy {
    fn now(&self) -> jiff::Timestamp {
        let slept = self.0.load(std::sync::atomic::Ordering::SeqCst);
        keepsake_repository::SystemAmbient.now().checked_add(jiff::Span::new().minutes(slept)).expect("in range")
    }

    fn fill(&self, bytes: &mut [u8]) {
        keepsake_repository::SystemAmbient.fill(bytes);
    }

    fn hostname(&self) -> String {
        "sleepy".into()
    }

    fn pid(&self) -> u32 {
        1
    }
}

/// A writer sleeps; meanwhile its lock lapses, and a prune takes its packs for leftovers. Awake, it publishes nothing.
#[test]
fn a_writer_that_slept_publishes_nothing() {
    let store = Arc::new(MemoryStore::new());
    init(store.clone());
    let slept = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let sleepy = Repository::open(store.clone(), &Password::new(PASSWORD.into()), Arc::new(Sleepy(slept.clone()))).expect("open");
    sleepy.load_index().expect("index");
    let others = store.clone();
    let late = Content::Stream(Box::new(move || {
        slept.store(45, std::sync::atomic::Ordering::SeqCst);
        for lock in others.list("locks").map_err(std::io::Error::other)? {
            others.delete(&lock.name).map_err(std::io::Error::other)?;
        }
        Ok(Box::new(&b"awake again"[..]))
    }));
    let meta = FileMeta { time: "2024-01-01T00:00:00Z".into() };
    let error = run(&sleepy, None, vec![file("data/a", "early"), Edit::file("data/b", &meta, late)]).expect_err("too late");
    assert!(matches!(error, RepositoryError::ChangedMeanwhile { .. }), "{error}");
    for folder in ["index", "snapshots"] {
        assert!(store.list(folder).expect("list").is_empty(), "{folder}");
    }
}
