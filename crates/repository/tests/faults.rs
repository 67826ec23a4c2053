//! Every verb that writes, on stores that are cut off, tear, fail once, lose an answer or list what is old, at each of its writes.
//! Whatever became of it: what was there before is there, stock restic agrees, and the next run ends the work.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use keepsake_repository::{
    Ambient, CheckOptions, Edit, Id, KdfCost, Password, Protected, PruneOptions, Repository, RepositoryError, RepositoryResult, Share,
    Silent, SystemAmbient, WithoutPaths,
};
use keepsake_storage::{Fault, Faulty, MemoryStore, Store};
use keepsake_testing::Dice;

use crate::{
    support::{PASSWORD, ambient, assert_sound, content, file, init, open, restic, restics},
    virtual_trees::run,
};

/// The same randomness for each run, so that two runs that do the same leave the same bytes, and are looked at once.
struct Steady(Mutex<Dice>);

impl Ambient for Steady {
    fn now(&self) -> jiff::Timestamp {
        SystemAmbient.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut dice = self.0.lock().expect("no holder panics");
        bytes.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
    }

    fn hostname(&self) -> String {
        SystemAmbient.hostname()
    }

    fn pid(&self) -> u32 {
        SystemAmbient.pid()
    }
}

type Held = BTreeMap<String, Vec<u8>>;

/// Two snapshots, and a third that was forgotten.
struct World {
    store: Arc<MemoryStore>,
    first: Id,
    /// The snapshots that stay, with their trees and what they hold.
    kept: Vec<(Id, Id, Held)>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let repository = init(store.clone());
        let edits = ["a", "b", "secret", "deep/c"].map(|name| file(&format!("data/{name}"), name));
        let first = run(&repository, None, edits.into()).expect("first");
        let third = run(&repository, Some(first.tree), vec![file("data/c", "to be forgotten")]).expect("third");
        let second = run(&repository, Some(first.tree), vec![file("data/d", "four"), Edit::remove("data/b")]).expect("second");
        repository.forget(&[third.snapshot], &Silent).expect("forget");
        let kept = [first, second].map(|done| (done.snapshot, done.tree, content(&repository, done.tree)));
        Self { store, first: kept[0].1, kept: kept.into() }
    }
}

/// A verb under test: where it begins, what it does, and what holds once it has ended.
struct Verb {
    name: &'static str,
    begin: fn(&World) -> Arc<MemoryStore>,
    run: fn(&Repository, &World) -> RepositoryResult<()>,
    ended: fn(&Repository, &World, &str),
    /// The fewest writes that it takes.
    writes: u64,
    /// Whether the snapshots that were there stay as they are.
    keeps: bool,
}

/// The snapshots that stay are listed, and whole.
fn all_there(repository: &Repository, world: &World, told: &str) {
    let listed = repository.snapshot_ids().expect("list");
    for (snapshot, tree, held) in &world.kept {
        assert!(listed.contains(snapshot), "{told}: snapshot {snapshot} is gone");
        assert_eq!(&content(repository, *tree), held, "{told}");
    }
}

fn as_it_is(world: &World) -> Arc<MemoryStore> {
    Arc::new(world.store.copy())
}

fn prune(repository: &Repository) -> RepositoryResult<()> {
    let plan = repository.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent)?;
    repository.prune(&plan, &Protected::default(), &Silent).map(drop)
}

/// Packs in which something cannot be read.
fn suspects(repository: &Repository) -> RepositoryResult<BTreeSet<Id>> {
    let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent)?;
    Ok(report.damage.iter().filter_map(|damage| damage.pack).collect())
}

/// Opens whatever became of a store, damaged index files and all, and waits for nobody.
fn reopen(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Repository {
    let repository = Repository::open(store, &Password::new(PASSWORD.into()), ambient).expect("it opens");
    repository.load_index().expect("damaged index files are named, the others read");
    repository.with_patience(Duration::ZERO)
}

/// Removes the locks of a run that has ended: they are of this very process, and would count as held.
fn unlock(store: &MemoryStore) {
    for lock in store.list("locks").expect("list") {
        store.delete(&lock.name).expect("delete");
    }
}

/// Writes a store into a folder and asks a stock tool what it thinks of it.
fn ask_stock(tool: &Path, store: &MemoryStore) {
    let folder = tempfile::tempdir().expect("a folder");
    for object in store.list("").expect("list") {
        let path = folder.path().join(object.name.as_str());
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, store.get(&object.name).expect("there")).expect("written");
    }
    restic(tool, folder.path(), &["check", "--read-data"]);
}

/// All objects, told apart by name and bytes.
fn state(store: &MemoryStore) -> Vec<(String, Id)> {
    let objects = store.list("").expect("list").into_iter();
    let mut all: Vec<_> = objects.map(|object| (object.name.to_string(), Id::of(&store.get(&object.name).expect("there")))).collect();
    all.sort();
    all
}

impl Verb {
    /// Each state is shown to one of the stock tools, in turn.
    fn every_fault(&self) {
        let world = World::new();
        let stock = restics();
        let mut seen = BTreeSet::new();
        for fault in [Fault::CutAfter, Fault::TornAfter, Fault::FailOnce, Fault::LostReply] {
            let mut met = true;
            let mut writes = 0;
            while met {
                met = self.one(&world, fault(writes), &mut seen, &stock);
                writes += 1;
            }
            assert!(writes > self.writes, "{}: {writes} writes", self.name);
        }
        self.one(&world, Fault::StaleLists, &mut seen, &stock);
    }

    /// Answers whether the run met its fault.
    fn one(&self, world: &World, fault: Fault, seen: &mut BTreeSet<Vec<(String, Id)>>, stock: &[PathBuf]) -> bool {
        let told = format!("{}, {fault:?}", self.name);
        let store = (self.begin)(world);
        let broken = Arc::new(Faulty::new(store.clone(), fault));
        let odd = reopen(broken.clone(), Arc::new(Steady(Mutex::new(Dice(7)))));
        let done = (self.run)(&odd, world).is_ok();
        drop(odd);
        unlock(&store);
        if done && !matches!(fault, Fault::StaleLists) {
            // Who says that it is done has done it, whatever went wrong on the way.
            (self.ended)(&reopen(store.clone(), ambient()), world, &told);
        }
        if seen.insert(state(&store)) {
            self.mend(world, &store, &stock[seen.len() % stock.len()], matches!(fault, Fault::TornAfter(_)), &told);
        }
        broken.has_struck()
    }

    fn mend(&self, world: &World, store: &Arc<MemoryStore>, stock: &Path, torn: bool, told: &str) {
        let after = reopen(store.clone(), ambient());
        if torn && self.keeps && self.name != "repair" {
            // What is half there hurts nothing that was whole, and backups go on before anybody mends it.
            all_there(&after, world, told);
            let report = after.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(report.affected.is_empty(), "{told}: {:?}", report.affected);
            if self.name == "backup" {
                (self.run)(&after, world).unwrap_or_else(|e| panic!("{told}, at once again: {e}"));
            }
        }
        if torn || self.name == "repair" {
            // No place that keeps the contract leaves half an object; where one does, repair is what people are told to run.
            let suspects = suspects(&after).expect("check");
            after.repair(&suspects, &Silent).unwrap_or_else(|e| panic!("{told}: repair: {e}"));
        }
        if torn {
            let lost = after.damaged_snapshots().expect("list");
            assert!(!self.keeps || !world.kept.iter().any(|(id, ..)| lost.contains(id)), "{told}: it was whole before");
            after.forget(&lost, &Silent).expect("what was never whole goes");
        } else if self.name != "repair" {
            let report = after.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
            assert!(report.damage.is_empty() && report.affected.is_empty(), "{told}: {:?}", report.damage);
            ask_stock(stock, store);
        }
        let after = open(store.clone()).with_patience(Duration::ZERO);
        if self.keeps {
            all_there(&after, world, told);
        }
        for (id, snapshot) in after.snapshots().expect("list").0 {
            assert!(!content(&after, snapshot.tree).is_empty(), "{told}: {id}");
        }
        (self.run)(&after, world).unwrap_or_else(|e| panic!("{told}, again: {e}"));
        (self.ended)(&after, world, told);
        prune(&after).unwrap_or_else(|e| panic!("{told}, pruned: {e}"));
        let after = open(store.clone());
        assert_sound(&after, told);
        if self.keeps {
            all_there(&after, world, told);
        }
        assert!(
            after.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent).expect("plan").is_empty(),
            "{told}"
        );
        unlock(store);
        ask_stock(stock, store);
    }
}

#[test]
fn backup() {
    let run = |repository: &Repository, world: &World| {
        run(repository, Some(world.first), vec![file("data/new", "new"), file("data/b", "other"), Edit::remove("data/a")]).map(drop)
    };
    let ended = |repository: &Repository, _: &World, told: &str| {
        let (all, _) = repository.snapshots().expect("list");
        let found: Vec<Held> = all.iter().map(|(_, snapshot)| content(repository, snapshot.tree)).collect();
        let new = found.iter().filter(|held| held.contains_key("/data/new") && !held.contains_key("/data/a"));
        assert!(new.clone().count() > 0, "{told}: the new snapshot is there");
        assert!(new.into_iter().all(|held| held["/data/b"].starts_with(b"other")), "{told}");
    };
    Verb { name: "backup", begin: as_it_is, run, ended, writes: 5, keeps: true }.every_fault();
}

#[test]
fn forget() {
    let run = |repository: &Repository, world: &World| {
        let (all, _) = repository.snapshots()?;
        let going: Vec<Id> = all.iter().filter(|(_, snapshot)| snapshot.tree == world.first).map(|(id, _)| *id).collect();
        repository.forget(&going, &Silent)
    };
    let ended = |repository: &Repository, _: &World, told: &str| {
        assert_eq!(repository.snapshot_ids().expect("list").len(), 1, "{told}");
    };
    Verb { name: "forget", begin: as_it_is, run, ended, writes: 3, keeps: false }.every_fault();
}

#[test]
fn pruning() {
    Verb { name: "prune", begin: as_it_is, run: |repository, _| prune(repository), ended: all_there, writes: 8, keeps: true }.every_fault();
}

#[test]
fn rewrite() {
    let run = |repository: &Repository, _: &World| {
        let all = repository.snapshot_ids()?;
        repository.rewrite(&all, &mut WithoutPaths(vec!["data/secret".into()]), &Silent).map(drop)
    };
    let ended = |repository: &Repository, world: &World, told: &str| {
        let (all, _) = repository.snapshots().expect("list");
        let found: Vec<Held> = all.iter().map(|(_, snapshot)| content(repository, snapshot.tree)).collect();
        for (_, _, held) in &world.kept {
            let mut held = held.clone();
            held.remove("/data/secret");
            assert!(found.contains(&held), "{told}");
        }
        assert!(!found.iter().any(|held| held.contains_key("/data/secret")), "{told}");
    };
    Verb { name: "rewrite", begin: as_it_is, run, ended, writes: 8, keeps: false }.every_fault();
}

#[test]
fn repair() {
    let without_an_index = |world: &World| {
        let store = as_it_is(world);
        store.delete(&store.list("index").expect("list")[0].name).expect("lost");
        store
    };
    let run = |repository: &Repository, _: &World| repository.repair(&suspects(repository)?, &Silent).map(drop);
    Verb { name: "repair", begin: without_an_index, run, ended: all_there, writes: 3, keeps: true }.every_fault();
}

#[test]
fn rewrap() {
    let run = |repository: &Repository, _: &World| {
        let new = repository.add_password(&Password::new("new".into()), KdfCost { log_n: 4, r: 8, p: 1 }, "new")?;
        for (id, _) in repository.keys()?.into_iter().filter(|(id, info)| info.as_ref().is_none_or(|info| info.name == "new") && *id != new)
        {
            repository.remove_key(&id)?;
        }
        Ok(())
    };
    let ended = |repository: &Repository, _: &World, told: &str| {
        assert_eq!(repository.keys().expect("list").len(), 2, "{told}: one of each password");
        repository.opens_with(&Password::new("new".into())).unwrap_or_else(|e| panic!("{told}: {e}"));
        repository.opens_with(&Password::new(PASSWORD.into())).unwrap_or_else(|e| panic!("{told}: {e}"));
    };
    Verb { name: "rewrap", begin: as_it_is, run, ended, writes: 3, keeps: true }.every_fault();
}

#[test]
fn copy() {
    let empty = |_: &World| {
        let store = Arc::new(MemoryStore::new());
        init(store.clone());
        store
    };
    let run = |target: &Repository, world: &World| {
        let outcome = open(world.store.clone()).copy_to(target, &Silent)?;
        assert_eq!(outcome.snapshots.len(), 2);
        Ok(())
    };
    let ended = |target: &Repository, world: &World, told: &str| {
        assert_eq!(target.snapshot_ids().expect("list").len(), 2, "{told}: none is there twice");
        for (_, tree, held) in &world.kept {
            assert_eq!(&content(target, *tree), held, "{told}");
        }
    };
    Verb { name: "copy", begin: empty, run, ended, writes: 6, keeps: false }.every_fault();
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let base: Arc<dyn Store> = Arc::new(MemoryStore::new());
    init(base.clone());
    let full: Arc<dyn Store> = Arc::new(Faulty::new(base, Fault::FullAfterBytes(600)));
    let edits = (0..40).map(|n| file(&format!("data/{n}"), &format!("text {n}"))).collect();
    let error = run(&reopen(full, ambient()), None, edits).expect_err("no room");
    assert_eq!(error.to_string(), "no space left at memory: free some or choose another destination");
    assert!(matches!(error, RepositoryError::Store(_)));
}
