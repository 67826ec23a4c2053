//! What buckets have beyond objects: old versions, locks, classes of storage; and what all of it amounts to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use keepsake_custody::{
    BucketChange, Custody, DestinationSettings, MemoryDraft, NewDestination, PlaceSettings, Policy, PruneOptions, Silent, SystemClock,
};
use keepsake_storage::{Access, Control, Place, Secret};
use keepsake_testing::Bucket;

use crate::support::{Home, SMALL, small_home};

/// Where a server is; without it the test says so and does nothing, unless everything must run.
pub fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set, and with CI=true everything must run");
        println!("not run: {variable} is not set; `eval \"$(scripts/storage-servers start FOLDER)\"` starts the servers and sets it");
    }
    found
}

pub fn fresh(stem: &str) -> String {
    format!("{stem}-{}", std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos()))
}

/// The server's clock is the machine's, in microseconds.
#[expect(clippy::disallowed_methods, reason = "locks end by the real clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A home with one destination more.
pub struct World {
    pub home: Home,
    place: Place,
    access: Access,
    settings: String,
}

const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl World {
    /// `settings`: lines of the destination in keepsake.toml.
    pub async fn new(url: &str, endpoint: String, settings: &str) -> Self {
        let place = PlaceSettings { endpoint: Some(endpoint), ..PlaceSettings::default() };
        let azure = url.starts_with("az:");
        let access = match azure {
            true => Access { secret: Some(Secret::new(AZURITE_KEY.into())), ..Access::default() },
            false => Access { id: Some("testkey".into()), secret: Some(Secret::new("testsecret".into())), token: None },
        };
        let keys = if azure { format!("secret = \"{AZURITE_KEY}\"") } else { "id = \"testkey\"\nsecret = \"testsecret\"".to_owned() };
        let home = small_home().await;
        let place = Place::new(url, place).expect("a place");
        let mut world = Self { home, place, access, settings: format!("[destinations.cloud]\n{keys}\n") };
        world.set(settings).await;
        world
    }

    /// Changes the settings of the destination.
    pub async fn set(&mut self, settings: &str) {
        fs::write(self.home.path().join("keepsake.toml"), format!("{}{settings}", self.settings)).expect("the settings");
        self.home.reopen().await;
    }

    pub fn custody(&self) -> &Custody {
        &self.home.custody
    }

    pub fn control(&self) -> Arc<dyn Control> {
        self.place.control(&self.access, Arc::default()).expect("it opens").expect("it has one")
    }

    pub async fn add(&self, make: bool) {
        let settings = DestinationSettings { place: self.place.settings().clone(), ..DestinationSettings::default() };
        let new = NewDestination { name: "cloud".into(), url: self.place.url().into(), settings, make };
        self.custody().add_destination(new).await.expect("added");
        self.sync().await;
    }

    pub async fn sync(&self) {
        let settled = self.custody().sync_destinations(false, Arc::new(Silent)).await.expect("sync");
        assert!(settled.values().flatten().all(|s| s.behind.is_none() && s.lost.is_empty() && s.gone.is_empty()), "{settled:?}");
    }

    pub async fn backup(&self, text: &str) {
        let draft = MemoryDraft { text: text.into(), ..MemoryDraft::default() };
        self.custody().add_memory(self.home.owner, &draft).await.expect("add");
        self.home.backup(keepsake_custody::BackupKind::Incremental).await;
    }

    /// Keeps the newest snapshot, and what it needs.
    pub async fn trim(&self) -> keepsake_custody::PrunePlan {
        let owner = self.home.owner;
        let newest = Policy { last: Some(1), ..Policy::nothing() };
        let plan = self.custody().plan_forget(owner, &newest).await.expect("plan");
        assert!(!plan.forget.is_empty());
        self.custody().forget(owner, &plan, Arc::new(Silent)).await.expect("forget");
        let options = PruneOptions { max_unused_percent: 0 };
        let plan = self.custody().plan_prune(Some(owner), options, Arc::new(Silent)).await.expect("plan");
        assert!(!plan.is_empty());
        self.custody().prune(Some(owner), plan.clone(), Arc::new(Silent)).await.expect("prune");
        plan
    }

    fn missed(&self) -> BTreeMap<String, String> {
        self.custody().missed_copies().lock().expect("no panic").clone()
    }
}

/// A lock of a running program is made and removed at every step: it leaves versions until the next sweep.
fn is_passing(name: &str) -> bool {
    name.contains("/locks/")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_leaves_no_old_version() {
    let Some(endpoint) = server("KEEPSAKE_TEST_S3") else { return };
    let world = World::new(&format!("s3://{}/below", fresh("versions")), endpoint, "").await;
    let control = tokio::task::spawn_blocking({
        let control = world.control();
        move || {
            control.make_place(false).expect("made");
            control.versions().expect("S3 has them").set_versioning(true).expect("on");
            control
        }
    });
    let control = control.await.expect("no panic");
    for text in ["one", "two", "three"] {
        world.backup(text).await;
    }
    world.add(false).await;
    world.backup("four").await;
    world.trim().await;
    world.custody().rewrap(Some(world.home.owner)).await.expect("rewrap");
    world.sync().await;
    assert_eq!(world.missed(), BTreeMap::new());
    let all = tokio::task::spawn_blocking(move || control.versions().expect("S3 has them").all("owners").expect("list"));
    let all = all.await.expect("no panic");
    let old: Vec<_> = all.iter().filter(|v| !v.is_latest || v.is_marker).filter(|v| !is_passing(v.name.as_str())).collect();
    assert!(!all.is_empty() && old.is_empty(), "{old:?}");
    let report = world.custody().bucket("cloud", BucketChange::default()).await.expect("state");
    assert!(report.state.versioning == Some(true) && report.kept.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_keep_what_is_deleted_and_the_plan_says_until_when() {
    let Some(endpoint) = server("KEEPSAKE_TEST_S3") else { return };
    let settings = "lock = \"30 days, last 90 days\"\n";
    let world = World::new(&format!("s3://{}/below", fresh("locks")), endpoint, settings).await;
    world.backup("one").await;
    world.add(true).await;
    for text in ["two", "three", "four"] {
        world.backup(text).await;
    }
    assert_eq!(world.missed(), BTreeMap::new());
    let before = now();
    world.trim().await;
    // A key goes, with its old versions: keys are never locked.
    world.custody().rewrap(Some(world.home.owner)).await.expect("rewrap");
    world.sync().await;
    let report = world.custody().bucket("cloud", BucketChange::default()).await.expect("state");
    assert!(report.state.locks && !report.kept.is_empty(), "{report:?}");
    let folder = |name: &str| name.split_once("/g1/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default().to_owned();
    let kinds: BTreeSet<String> = report.kept.iter().map(|kept| folder(&kept.name)).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["data", "index", "snapshots"]);
    let days = |until: i64| (until - before) as f64 / 86_400e6;
    assert!(report.kept.iter().all(|kept| (29.9..90.1).contains(&days(kept.until))), "{:?}", report.kept);
    let control = world.control();
    let (versions, locked) = tokio::task::spawn_blocking(move || {
        let versions = control.versions().expect("S3 has them").all("").expect("list");
        let locks = control.locks().expect("S3 has them");
        let of = |v: &keepsake_storage::Version| Some((v.name.to_string(), locks.lock_of(&v.name, Some(&v.id)).expect("asked")?.until));
        let locked: BTreeMap<String, i64> = versions.iter().filter(|v| !v.is_marker).filter_map(of).collect();
        (versions, locked)
    })
    .await
    .expect("no panic");
    for version in versions.iter().filter(|v| !v.is_marker) {
        let name = version.name.to_string();
        let should = matches!(folder(&name).as_str(), "data" | "index" | "snapshots");
        assert_eq!(locked.contains_key(&name), should, "{name}");
    }
    let keys = versions.iter().filter(|v| v.name.as_str().contains(&format!("{}/g1/keys/", world.home.owner))).count();
    assert_eq!(keys, 1, "the old key is gone for good: {versions:?}");
    for kept in &report.kept {
        assert_eq!(locked.get(&kept.name), Some(&kept.until), "the date that is told is the true one");
    }
    // What a plan would delete next is locked, too, and it says so.
    world.backup("five").await;
    let newest = Policy { last: Some(1), ..Policy::nothing() };
    let plan = world.custody().plan_forget(world.home.owner, &newest).await.expect("plan");
    world.custody().forget(world.home.owner, &plan, Arc::new(Silent)).await.expect("forget");
    let options = PruneOptions { max_unused_percent: 0 };
    let plan = world.custody().plan_prune(Some(world.home.owner), options, Arc::new(Silent)).await.expect("plan");
    let kept = world.custody().kept_by_locks(Some(world.home.owner), &plan).await.expect("asked");
    assert_eq!((kept.len(), kept[0].destination.as_str()), (1, "cloud"));
    assert_eq!(kept[0].objects as usize, plan.remove.len() + plan.repack.len() + plan.orphans.len());
    assert!(days(kept[0].first) > 29.9 && days(kept[0].last) < 90.1, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_locks_is_refused_where_they_are_wanted() {
    let bucket = Bucket::start();
    let world = World::new("s3://bucket", bucket.endpoint(), "lock = \"30 days\"\n").await;
    let settings = DestinationSettings { place: world.place.settings().clone(), ..DestinationSettings::default() };
    let new = NewDestination { name: "cloud".into(), url: world.place.url().into(), settings, make: false };
    let error = world.custody().add_destination(new).await.expect_err("it has no locks").to_string();
    assert!(error.contains("has none: make a new bucket with locks"), "{error}");
}

/// A stranger replaces and hides objects: what was there before stays, and it is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_replaced_is_not_swept() {
    let Some(endpoint) = server("KEEPSAKE_TEST_S3") else { return };
    let world = World::new(&format!("s3://{}/below", fresh("stranger")), endpoint, "").await;
    let control = world.control();
    let made = tokio::task::spawn_blocking(move || {
        control.make_place(false).expect("made");
        control.versions().expect("S3 has them").set_versioning(true).expect("on");
    });
    made.await.expect("no panic");
    world.backup("one").await;
    world.add(false).await;
    world.custody().remove_destination("default").await.expect("removed");
    let (place, access) = (world.place.clone(), world.access.clone());
    let config = format!("owners/{}/g1/config", world.home.owner);
    let name = keepsake_storage::ObjectName::new(config.as_str()).expect("a name");
    let stranger = name.clone();
    let before = tokio::task::spawn_blocking(move || {
        let store = place.open(&access, None, Arc::default()).expect("it opens");
        let before = store.get(&stranger).expect("it is there");
        store.put(&stranger, bytes::Bytes::from_static(b"no config"), keepsake_storage::PutMode::Replace).expect("replaced");
        before
    });
    let before = before.await.expect("no panic");
    world.custody().sync_destinations(false, Arc::new(Silent)).await.expect("sync");
    assert!(world.missed()["cloud"].contains("somebody else replaced or deleted 1 objects"), "{:?}", world.missed());
    let control = world.control();
    let old = tokio::task::spawn_blocking(move || {
        let all = control.versions().expect("S3 has them").all(name.as_str()).expect("list");
        all.into_iter().find(|version| !version.is_latest).expect("the old version is still there").bytes
    });
    assert_eq!(old.await.expect("no panic"), before.len() as u64);
}

/// A heal makes an object anew, without the lock that the one before had; a longer period, or the half of one, renews locks although nothing was
/// written.
#[tokio::test(flavor = "multi_thread")]
async fn locks_are_looked_after() {
    let Some(endpoint) = server("KEEPSAKE_TEST_S3") else { return };
    let mut world = World::new(&format!("s3://{}/below", fresh("tended")), endpoint, "lock = \"30 days\"\n").await;
    world.backup("one").await;
    world.add(true).await;
    let locks = async |world: &World| {
        let control = world.control();
        let read = move || -> Vec<(String, i64)> {
            let all = control.versions().expect("S3 has them").all("").expect("list");
            let locks = control.locks().expect("S3 has them");
            let of = |v: &keepsake_storage::Version| locks.lock_of(&v.name, Some(&v.id)).expect("asked").map_or(0, |lock| lock.until);
            let lockable = |name: &str| ["/data/", "/index/", "/snapshots/"].iter().any(|kind| name.contains(kind));
            all.iter().filter(|v| v.is_latest && !v.is_marker && lockable(v.name.as_str())).map(|v| (v.name.to_string(), of(v))).collect()
        };
        tokio::task::spawn_blocking(read).await.expect("no panic")
    };
    let days = |until: i64| (until - now()) as f64 / 86_400e6;
    assert!(locks(&world).await.iter().all(|(_, until)| days(*until) > 29.9));
    // A pack is hidden by a stranger; settling brings it back, and locks it.
    let pack = locks(&world).await.into_iter().map(|(name, _)| name).find(|name| name.contains("/data/")).expect("a pack");
    let (place, access, name) =
        (world.place.clone(), world.access.clone(), keepsake_storage::ObjectName::new(pack.as_str()).expect("a name"));
    let hidden =
        tokio::task::spawn_blocking(move || place.open(&access, None, Arc::default()).expect("it opens").delete(&name).expect("hidden"));
    hidden.await.expect("no panic");
    world.sync().await;
    assert!(locks(&world).await.iter().any(|(name, until)| *name == pack && days(*until) > 29.9), "{pack}");
    assert_eq!(world.missed(), BTreeMap::new(), "what is there again is right, so the hidden one is nothing");
    // Half of the new period is longer than what is left.
    world.set("lock = \"90 days\"\n").await;
    world.home.backup(keepsake_custody::BackupKind::Incremental).await;
    assert!(locks(&world).await.iter().all(|(_, until)| days(*until) > 89.9), "{:?}", locks(&world).await);
}

/// A hold keeps what is deleted under it, is told, and ends also for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_for_what_was_deleted_under_it() {
    let Some(endpoint) = server("KEEPSAKE_TEST_S3") else { return };
    let world = World::new(&format!("s3://{}/below", fresh("held")), endpoint, "lock = \"1 days\"\n").await;
    world.backup("one").await;
    world.add(true).await;
    world.backup("two").await;
    world.backup("three").await;
    let hold = async |on| world.custody().hold_objects(world.home.owner, "cloud", on, Arc::new(Silent)).await.expect("held");
    assert!(hold(true).await > 5);
    world.trim().await;
    let kept = world.custody().bucket("cloud", BucketChange::default()).await.expect("state").kept;
    assert!(kept.iter().any(|kept| kept.until == i64::MAX), "{kept:?}");
    hold(false).await;
    let kept = world.custody().bucket("cloud", BucketChange::default()).await.expect("state").kept;
    assert!(kept.iter().all(|kept| kept.until < i64::MAX), "{kept:?}");
}

/// What nobody has any more, though nothing of ours took it away, is told once.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_everywhere_is_told() {
    let bucket = Bucket::start();
    let world = World::new("s3://bucket", bucket.endpoint(), "").await;
    world.backup("one").await;
    world.add(false).await;
    let root = world.home.path().join(format!("backups/owners/{}/g1/data", world.home.owner));
    let pack = crate::support::files(&root).pop().expect("a pack");
    let name = pack.strip_prefix(world.home.path().join("backups")).expect("below").display().to_string();
    fs::remove_file(&pack).expect("gone here");
    bucket.forget(&name);
    let gone = |settled: BTreeMap<String, Vec<keepsake_custody::Settled>>| {
        settled.into_values().flatten().flat_map(|s| s.gone).collect::<BTreeSet<String>>().into_iter().collect::<Vec<_>>()
    };
    let sync = async || gone(world.custody().sync_destinations(false, Arc::new(Silent)).await.expect("sync"));
    assert_eq!(sync().await, [name]);
    assert_eq!(sync().await, Vec::<String>::new());
}

/// What is noted while objects come and go is what a listing finds: with one destination, with two, and after things were removed.
#[tokio::test(flavor = "multi_thread")]
async fn metered_is_what_is_listed() {
    let bucket = Bucket::start();
    let mut world = World::new("s3://bucket/below", bucket.endpoint(), "").await;
    let assert_equal = async |world: &World, told: &str| {
        for usage in world.custody().usage().await.expect("usage") {
            assert!(usage.objects > 5 && usage.noted == Some((usage.objects, usage.bytes)), "{told}: {usage:?}");
        }
    };
    world.backup("one").await;
    assert_equal(&world, "the first backup").await;
    for text in ["two", "three"] {
        world.backup(text).await;
    }
    world.trim().await;
    assert_equal(&world, "pruned").await;
    world.add(false).await;
    assert_equal(&world, "a second destination").await;
    for text in ["four", "five"] {
        world.backup(text).await;
    }
    world.custody().rewrap(Some(world.home.owner)).await.expect("rewrap");
    world.trim().await;
    assert_equal(&world, "pruned at both").await;
    world.set("prices = \"example-aws-eu-central-1\"\nbudget = \"0.0000001\"\n").await;
    assert_equal(&world, "another process").await;
    let usage = world.custody().usage().await.expect("usage").pop().expect("the cloud");
    let bill = usage.bill.expect("it has prices");
    assert!(bill.is_over() && bill.lines.iter().any(|(what, amount)| what == "storage in STANDARD" && *amount > 0.0), "{bill:?}");
    assert!(usage.asked.writes > 10 && usage.asked.lists > 0 && usage.asked.sent > usage.bytes / 2, "{:?}", usage.asked);
    world.set("prices = \"none\"\n").await;
    let error = world.custody().usage().await.expect_err("no such table").to_string();
    assert!(error.contains("[prices.none]") && error.contains("example-aws"), "{error}");
    let reopened = Custody::open(&world.home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    reopened.with_limits_for_tests(SMALL).close().await;
}
