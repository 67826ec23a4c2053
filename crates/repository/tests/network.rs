//! Several places at once behind a network that fails: seeded schedules of mishaps, request by request.
//!
//! Whatever happens: a backup that says it succeeded is at every place that is said to be complete, no place has an index before its packs,
//! and once the network works again, settling makes all places equal without bringing back what was deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use keepsake_repository::{BackupRequest, Id, ORDER, Protected, PruneOptions, Repository, Silent};
use keepsake_storage::{
    Access, Fan, Ledger, Member, ObjectName, Place, PlaceSettings, Prefixed, Scope, Secret, Standing, Store, StoreResult, settle,
};
use keepsake_testing::{Bucket, Dice, Mishap, number};

use crate::support::{assert_sound, content, file, init, open, snapshot};

/// Where the repository stands in each bucket.
const PREFIX: &str = "owners/one/g1";

#[derive(Debug, Default)]
struct Book(Mutex<BTreeSet<ObjectName>>, Mutex<BTreeSet<ObjectName>>);

impl Ledger for Book {
    fn begin(&self) -> StoreResult<()> {
        Ok(())
    }
    fn condemn(&self, name: &ObjectName) -> StoreResult<()> {
        self.0.lock().expect("no panic").insert(name.clone());
        self.1.lock().expect("no panic").remove(name);
        Ok(())
    }
    fn written(&self, name: &ObjectName, _: u64) {
        self.1.lock().expect("no panic").insert(name.clone());
    }
    fn erase(&self, name: &ObjectName) -> StoreResult<()> {
        self.1.lock().expect("no panic").remove(name);
        Ok(())
    }
    fn live(&self) -> StoreResult<Vec<ObjectName>> {
        Ok(self.1.lock().expect("no panic").iter().cloned().collect())
    }
    fn pardon(&self, name: &ObjectName) -> StoreResult<()> {
        self.0.lock().expect("no panic").remove(name);
        Ok(())
    }
    fn is_condemned(&self, name: &ObjectName) -> bool {
        self.0.lock().expect("no panic").contains(name)
    }
    fn condemned_lately(&self) -> StoreResult<Vec<ObjectName>> {
        Ok(self.0.lock().expect("no panic").iter().cloned().collect())
    }
}

struct World {
    buckets: Vec<Bucket>,
    members: Vec<Member>,
    book: Arc<Book>,
    /// Indexes of members that are behind.
    behind: BTreeSet<String>,
    /// What every snapshot holds that a backup said it made.
    made: BTreeMap<Id, BTreeMap<String, Vec<u8>>>,
    number: u64,
}

impl World {
    fn new(places: usize) -> Self {
        let buckets: Vec<Bucket> = (0..places).map(|_| Bucket::start()).collect();
        let member = |(at, bucket): (usize, &Bucket)| {
            let settings = PlaceSettings { endpoint: Some(bucket.endpoint()), ..PlaceSettings::default() };
            let access = Access { id: Some("id".into()), secret: Some(Secret::new("secret".into())), token: None };
            let place = Place::new("s3://bucket", settings).expect("a place");
            Member {
                name: format!("place {at}"),
                store: place.open_impatiently(&access, Arc::default()).expect("it opens"),
                complete: true,
            }
        };
        let members = buckets.iter().enumerate().map(member).collect();
        let world = Self { buckets, members, book: Arc::default(), behind: BTreeSet::new(), made: BTreeMap::new(), number: 0 };
        init(Arc::new(Prefixed::new(world.fan(), ObjectName::new(PREFIX).expect("a name"))));
        world
    }

    fn fan(&self) -> Arc<Fan> {
        let members = self.members.iter().filter(|m| !self.behind.contains(&m.name)).cloned().collect();
        Arc::new(Fan::new(members, ORDER, 1, self.book.clone()))
    }

    /// Does one thing through all places that are complete; those that fail are not any more.
    fn step(&mut self, dice: &mut Dice) -> Result<(), String> {
        let fan = self.fan();
        let store: Arc<dyn Store> = Arc::new(Prefixed::new(fan.clone(), ObjectName::new(PREFIX).expect("a name")));
        let result = self.act(store, dice);
        for Standing { member, behind } in fan.standing() {
            if behind.is_some() {
                self.behind.insert(member);
            }
        }
        if self.behind.len() == self.members.len() {
            // As after a crash: nobody is known to be complete, and what any of them has counts.
            self.settle()?;
        }
        result
    }

    fn act(&mut self, store: Arc<dyn Store>, dice: &mut Dice) -> Result<(), String> {
        let told = |e: keepsake_repository::RepositoryError| e.to_string();
        let password = keepsake_repository::Password::new(crate::support::PASSWORD.into());
        let repository = Repository::open(store, &password, crate::support::ambient()).map_err(told)?;
        let repository = repository.with_patience(std::time::Duration::ZERO);
        if !repository.load_index().map_err(told)?.is_empty() {
            return Err("an index could not be read".into());
        }
        if dice.below(4) == 0 && self.made.len() > 1 {
            let gone = *self.made.keys().nth(dice.below(self.made.len())).expect("one of them");
            // From the moment at which it is asked to go, it may be gone.
            self.made.remove(&gone);
            repository.forget(&[gone], &Silent).map_err(told)?;
            let plan = repository.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent).map_err(told)?;
            return repository.prune(&plan, &Protected::default(), &Silent).map(drop).map_err(told);
        }
        self.number += 1;
        let texts: BTreeMap<String, String> =
            (0..=dice.below(4)).map(|at| (format!("note-{at}"), format!("{} {}", self.number, dice.below(1000)))).collect();
        let edits: Vec<_> = texts.iter().map(|(path, text)| Ok(file(path, text))).collect();
        let request = BackupRequest {
            parent_tree: None,
            carry_tree: None,
            edits: Box::new(edits.into_iter()),
            replay: None,
            snapshot: snapshot(self.number),
        };
        let outcome = repository.backup(request, &Silent).map_err(told)?;
        let held = texts.into_iter().map(|(path, text)| (format!("/{path}"), text.repeat(40).into_bytes())).collect();
        self.made.insert(outcome.snapshot, held);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        let scope = Scope { prefix: "owners", closely: &|_, _| false, everybody: true, dry_run: false };
        let nobody = self.behind.len() == self.members.len();
        let members: Vec<Member> =
            self.members.iter().map(|m| Member { complete: !nobody && !self.behind.contains(&m.name), ..m.clone() }).collect();
        let settled = settle(&members, ORDER, &*self.book, scope, &mut |_, _| true).map_err(|e| e.to_string())?;
        let failed = |s: &keepsake_storage::Settled| s.behind.is_some() || !s.lost.is_empty() || !s.gone.is_empty();
        // One that was complete must have answered, or all.
        let sure =
            settled.iter().zip(&members).any(|(s, m)| m.complete && s.behind.is_none()) || settled.iter().all(|s| s.behind.is_none());
        if sure {
            self.behind = settled.iter().filter(|s| failed(s)).map(|s| s.member.clone()).collect();
        }
        Ok(())
    }

    /// No index before its packs, no snapshot before its index: looked at from outside, at every place alone.
    fn assert_ordered(&self, told: &str) {
        for (at, bucket) in self.buckets.iter().enumerate() {
            let copy = keepsake_storage::MemoryStore::new();
            for (name, bytes) in bucket.objects() {
                if let Some(short) = name.strip_prefix(&format!("{PREFIX}/")).filter(|n| !n.starts_with("locks/")) {
                    copy.set(ObjectName::new(short).expect("a name"), bytes.into());
                }
            }
            if copy.list("").expect("list").iter().any(|o| o.name.as_str().starts_with("index")) {
                let repository = open(Arc::new(copy));
                let packs = repository.pack_ids();
                let there: BTreeSet<String> = bucket.objects().into_keys().collect();
                let missing = packs.iter().filter(|id| !there.iter().any(|name| name.ends_with(&id.to_string()))).count();
                assert_eq!(missing, 0, "{told}: place {at} has an index whose packs are not there");
            }
        }
    }
}

/// What happened in all schedules: a test in which nothing goes wrong, or nothing goes well, proves nothing.
#[derive(Default)]
struct Tally {
    succeeded: AtomicU64,
    failed: AtomicU64,
    fell_behind: AtomicU64,
}

fn schedule(seed: u64, tally: &Tally) {
    let told = format!("seed {seed}");
    let mut dice = Dice(seed);
    let mut world = World::new(2 + (seed % 2) as usize);
    for _ in 0..5 {
        let rate = [0, 10, 25, 50, 100][dice.below(5)];
        for bucket in &world.buckets {
            let mut own = Dice(dice.roll());
            // A place that answers nothing at all, once in a while.
            let dead = own.below(8) == 0;
            bucket.misbehave(move |method, _| {
                if dead {
                    return Mishap::Status(500);
                }
                if own.below(200) >= rate {
                    return Mishap::None;
                }
                match own.below(9) {
                    0 => Mishap::Status(500),
                    1 => Mishap::Busy(0),
                    2 => Mishap::Conflict,
                    3 if own.below(4) == 0 => Mishap::Silence,
                    4 | 5 => Mishap::LostReply,
                    6 if method == "GET" => Mishap::Truncated,
                    7 if method == "GET" => Mishap::Drip,
                    8 if method == "GET" => Mishap::StaleList,
                    _ => Mishap::Status(503),
                }
            });
        }
        let counter = if world.step(&mut dice).is_ok() { &tally.succeeded } else { &tally.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        tally.fell_behind.fetch_add(world.behind.len() as u64, Ordering::Relaxed);
        world.assert_ordered(&told);
        if dice.below(2) == 0 {
            drop(world.settle());
            world.assert_ordered(&told);
        }
    }
    world.buckets.iter().for_each(Bucket::behave);
    world.settle().unwrap_or_else(|e| panic!("{told}: {e}"));
    assert!(world.behind.is_empty(), "{told}: {:?}", world.behind);
    let objects = |bucket: &Bucket| -> BTreeMap<String, Vec<u8>> {
        bucket.objects().into_iter().filter(|(name, _)| !name.contains("/locks/")).collect()
    };
    for bucket in &world.buckets {
        assert!(objects(bucket) == objects(&world.buckets[0]), "{told}: the places differ");
        let copy = keepsake_storage::MemoryStore::new();
        for (name, bytes) in objects(bucket) {
            copy.set(ObjectName::new(name.strip_prefix(&format!("{PREFIX}/")).expect("below")).expect("a name"), bytes.into());
        }
        let repository = open(Arc::new(copy));
        let (snapshots, damaged) = repository.snapshots().expect("list");
        assert!(damaged.is_empty(), "{told}: {damaged:?}");
        for (id, held) in &world.made {
            let (_, found) = snapshots.iter().find(|(there, _)| there == id).unwrap_or_else(|| panic!("{told}: a snapshot is lost"));
            assert!(content(&repository, found.tree) == *held, "{told}: a snapshot holds something else");
        }
        // A run that was cut off may have left packs behind; nothing else may be wrong.
        let plan = repository.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent).expect("plan");
        repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
        assert_sound(&repository, &told);
    }
}

/// `KEEPSAKE_TEST_SEED` says where to begin, `KEEPSAKE_TEST_STEPS` how many.
#[test]
fn schedules_of_mishaps() {
    let (first, count) = (number("KEEPSAKE_TEST_SEED", 1), number("KEEPSAKE_TEST_STEPS", 300));
    let (next, tally) = (AtomicU64::new(first), Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    schedule(seed, &tally);
                }
            });
        }
    });
    let [succeeded, failed, behind] = [&tally.succeeded, &tally.failed, &tally.fell_behind].map(|counter| counter.load(Ordering::Relaxed));
    println!("{count} schedules from seed {first}: {succeeded} steps succeeded, {failed} failed, {behind} times a place was behind");
    assert!(count < 100 || [succeeded, failed, behind].iter().all(|number| *number > count / 20), "{succeeded} {failed} {behind}");
}
