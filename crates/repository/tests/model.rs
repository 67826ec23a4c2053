//! The engine against a map: after thousands of random operations every snapshot that should be there holds what it should.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keepsake_repository::{
    CheckOptions, Content, Edit, FileMeta, Id, KdfCost, Password, Protected, PruneOptions, Repository, Share, Silent, WithoutPaths,
};
use keepsake_storage::{MemoryStore, Store};
use keepsake_testing::{Dice, number};

use crate::{
    support::{PASSWORD, ambient, content, init},
    virtual_trees::run,
};

/// What is at each path: its length and the beginning of its digest.
type Files = BTreeMap<String, String>;

fn fingerprint(bytes: &[u8]) -> String {
    format!("{} bytes {}", bytes.len(), Id::of(bytes).short())
}

/// Few folders and names, so that edits meet each other; a file may become a folder.
fn path(dice: &mut Dice) -> String {
    let depth = 1 + dice.below(3);
    let names: Vec<&str> = (0..depth).map(|_| ["a", "b.ndjson", "c d", "é"][dice.below(4)]).collect();
    format!("data/{}", names.join("/"))
}

fn text(dice: &mut Dice) -> Vec<u8> {
    let length = [0, 1, 30, 3000, 120_000][dice.below(5)];
    let seed = dice.below(12) as u8;
    (0..length).map(|at: usize| seed.wrapping_mul((at % 251) as u8)).collect()
}

struct World {
    store: Arc<MemoryStore>,
    repository: Repository,
    passwords: Vec<String>,
    snapshots: BTreeMap<Id, (Id, Files)>,
    /// The last backup: its tree and what it holds.
    last: Option<(Id, Files)>,
}

fn edit(path: &str, text: &[u8]) -> Edit {
    let spans = text.chunks(50_000).map(<[u8]>::to_vec).collect();
    Edit::file(path, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(spans))
}

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let repository = init(store.clone());
        Self { store, repository, passwords: vec![PASSWORD.into()], snapshots: BTreeMap::new(), last: None }
    }

    fn reopen(&mut self, dice: &mut Dice) {
        let password = Password::new(self.passwords[dice.below(self.passwords.len())].clone());
        let opened = Repository::open(self.store.clone(), &password, ambient()).expect("every password opens");
        self.repository = opened.with_patience(Duration::ZERO);
        assert!(self.repository.load_index().expect("index").is_empty());
    }

    fn back_up(&mut self, dice: &mut Dice) {
        let (parent, mut files) = match self.last.clone().filter(|_| dice.below(4) > 0) {
            Some((tree, files)) => (Some(tree), files),
            None => (None, Files::new()),
        };
        let mut edits: BTreeMap<String, Edit> = BTreeMap::new();
        for _ in 0..dice.below(6) {
            let path = path(dice);
            // One edit for a path and what is at, above or below it.
            if edits.keys().any(|other| *other == path || below(other, &path) || below(&path, other)) {
                continue;
            }
            if dice.below(4) == 0 {
                files.retain(|other, _| *other != path && !below(other, &path));
                edits.insert(path.clone(), Edit::remove(&path));
            } else if !files.keys().any(|other| below(&path, other)) {
                let text = text(dice);
                edits.insert(path.clone(), edit(&path, &text));
                files.retain(|other, _| !below(other, &path));
                files.insert(path, fingerprint(&text));
            }
        }
        let outcome = run(&self.repository, parent, edits.into_values().collect()).expect("backup");
        self.last = Some((outcome.tree, files.clone()));
        self.snapshots.insert(outcome.snapshot, (outcome.tree, files));
    }

    fn forget(&mut self, dice: &mut Dice) {
        let going: Vec<Id> = self.snapshots.keys().copied().filter(|_| dice.below(3) == 0).collect();
        self.repository.forget(&going, &Silent).expect("forget");
        going.iter().for_each(|id| drop(self.snapshots.remove(id)));
    }

    fn prune(&mut self, dice: &mut Dice) {
        let options = PruneOptions { max_unused_percent: [0, 5, 50][dice.below(3)] };
        let plan = self.repository.plan_prune(options, &Protected::default(), &Silent).expect("plan");
        self.repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
        // What only the last backup's tree needed may be gone, unless a snapshot has it.
        self.last = self.last.take().filter(|(tree, _)| self.snapshots.values().any(|(known, _)| known == tree));
    }

    fn rewrite(&mut self, dice: &mut Dice) {
        let path = path(dice);
        let all: Vec<Id> = self.snapshots.keys().copied().collect();
        let outcome = self.repository.rewrite(&all, &mut WithoutPaths(vec![path.clone()]), &Silent).expect("rewrite");
        for done in outcome.snapshots {
            let (_, mut files) = self.snapshots.remove(&done.old).expect("it was there");
            let before = files.len();
            files.retain(|other, _| *other != path && !below(other, &path));
            assert!(files.len() < before, "only snapshots that held it are made again");
            self.snapshots.insert(done.new, (done.tree, files));
        }
        assert!(self.snapshots.values().all(|(_, files)| !files.keys().any(|other| *other == path || below(other, &path))));
        self.last = None;
    }

    fn change_keys(&mut self, dice: &mut Dice) {
        if self.passwords.len() < 4 {
            let password = format!("password {}", dice.below(usize::MAX));
            let cost = KdfCost { log_n: 4, r: 8, p: 1 };
            self.repository.add_password(&Password::new(password.clone()), cost, &password).expect("add");
            self.passwords.push(password);
        } else {
            let going = self.passwords.remove(1 + dice.below(3));
            let keys = self.repository.keys().expect("keys");
            let named = |info: &Option<keepsake_repository::KeyInfo>| info.as_ref().is_some_and(|info| info.name == going);
            let id = keys.iter().find(|(_, info)| named(info)).expect("there").0;
            self.repository.remove_key(&id).expect("remove");
            assert!(Repository::open(self.store.clone(), &Password::new(going), ambient()).is_err(), "it opens nothing any more");
        }
    }

    /// An interrupted run's leftovers: packs that no index names.
    fn leave_an_orphan(&mut self) {
        for name in self.store.list("index").expect("list").into_iter().take(1) {
            let away = self.store.get(&name.name).expect("there");
            self.store.delete(&name.name).expect("delete");
            assert!(self.repository.repair(&Default::default(), &Silent).expect("repair").packs_found > 0, "{}", away.len());
        }
    }

    fn agrees(&self) {
        let there: Vec<Id> = self.repository.snapshots().expect("snapshots").0.into_iter().map(|(id, _)| id).collect();
        let mut wanted: Vec<Id> = self.snapshots.keys().copied().collect();
        wanted.sort_unstable();
        assert_eq!(
            {
                let mut there = there;
                there.sort_unstable();
                there
            },
            wanted
        );
        for (tree, files) in self.snapshots.values() {
            let found = content(&self.repository, *tree);
            let found: Files = found.iter().map(|(path, bytes)| (path[1..].to_owned(), fingerprint(bytes))).collect();
            assert_eq!(&found, files);
        }
        let report = self.repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert!(report.damage.is_empty() && report.affected.is_empty(), "{:?}", report.damage);
    }
}

/// `KEEPSAKE_TEST_SEED` chooses another world, `KEEPSAKE_TEST_STEPS` a longer one.
#[test]
fn thousands_of_random_operations_agree_with_a_map() {
    let (seed, steps) = (number("KEEPSAKE_TEST_SEED", 7), number("KEEPSAKE_TEST_STEPS", 2500));
    println!("seed {seed}, {steps} steps");
    let mut dice = Dice(seed);
    let mut world = World::new();
    for step in 0..steps {
        match dice.below(40) {
            0..=23 => world.back_up(&mut dice),
            24..=26 => world.forget(&mut dice),
            27..=29 => world.prune(&mut dice),
            30..=31 => world.rewrite(&mut dice),
            32..=33 => world.change_keys(&mut dice),
            34 => world.leave_an_orphan(),
            _ => world.reopen(&mut dice),
        }
        if world.snapshots.len() > 40 {
            world.forget(&mut dice);
        }
        if step % 50 == 49 {
            world.agrees();
        }
    }
    world.agrees();
}
