//! What buckets have beyond objects: old versions, locks, classes of storage; and what all of it amounts to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use keepsake_custody::{
    BucketChange, CheckOptions, Custody, DestinationSettings, MemoryDraft, NewDestination, PlaceSettings, Policy, PruneOptions, RestoreOptions,
    Share, Silent, Source, SystemClock, Thaw,
};
use keepsake_storage::{Access, Control, Place, Reach, Secret};
use keepsake_testing::Bucket;

use crate::support::{Home, SMALL, small_home};

/// Where a server is; without it the test says so and does nothing, unless everything must run.
fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set, and with CI=true everything must run");
        println!("not run: {variable} is not set; `eval \"$(scripts/storage-servers start FOLDER)\"` starts the servers and sets it");
    }
    found
}

fn fresh(stem: &str) -> String {
    format!("{stem}-{}", std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos()))
}

/// A home with one destination more.
struct World {
    home: Home,
    place: Place,
    access: Access,
    settings: String,
}

const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl World {
    /// `settings`: lines of the destination in keepsake.toml.
    async fn new(url: &str, endpoint: String, settings: &str) -> Self {
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
    async fn set(&mut self, settings: &str) {
        fs::write(self.home.path().join("keepsake.toml"), format!("{}{settings}", self.settings)).expect("the settings");
        self.home.reopen().await;
    }

    fn custody(&self) -> &Custody {
        &self.home.custody
    }

    fn control(&self) -> Arc<dyn Control> {
        self.place.control(&self.access, Arc::default()).expect("it opens").expect("it has one")
    }

    async fn add(&self, make: bool) {
        let settings = DestinationSettings { place: self.place.settings().clone(), ..DestinationSettings::default() };
        let new = NewDestination { name: "cloud".into(), url: self.place.url().into(), settings, make };
        self.custody().add_destination(new).await.expect("added");
        self.sync().await;
    }

    async fn sync(&self) {
        let settled = self.custody().sync_destinations(false, Arc::new(Silent)).await.expect("sync");
        assert!(settled.values().flatten().all(|s| s.behind.is_none() && s.lost.is_empty() && s.gone.is_empty()), "{settled:?}");
    }

    async fn backup(&self, text: &str) {
        let draft = MemoryDraft { text: text.into(), ..MemoryDraft::default() };
        self.custody().add_memory(self.home.owner, &draft).await.expect("add");
        self.home.backup(keepsake_custody::BackupKind::Incremental).await;
    }

    /// Keeps the newest snapshot, and what it needs.
    async fn trim(&self) -> keepsake_custody::PrunePlan {
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
    assert!(report.state.versioning && report.kept.is_empty());
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
    let before = jiff::Timestamp::now();
    world.trim().await;
    // A key goes, with its old versions: keys are never locked.
    world.custody().rewrap(Some(world.home.owner)).await.expect("rewrap");
    world.sync().await;
    let report = world.custody().bucket("cloud", BucketChange::default()).await.expect("state");
    assert!(report.state.locks && !report.kept.is_empty(), "{report:?}");
    let folder = |name: &str| name.split_once("/g1/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default().to_owned();
    let kinds: BTreeSet<String> = report.kept.iter().map(|kept| folder(&kept.name)).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["data", "index", "snapshots"]);
    let days = |until: i64| (until - before.as_microsecond()) as f64 / 86_400e6;
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

fn restored(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = crate::support::files(folder);
    files.into_iter().map(|f| (f.strip_prefix(folder).expect("below").display().to_string(), fs::read(&f).expect("read"))).collect()
}

impl World {
    /// Archives everything that may be, and forgets the copy at home.
    async fn archive(&mut self, rules: &str) {
        self.custody().remove_destination("default").await.expect("removed");
        self.set(rules).await;
        let plan = self.custody().plan_tiers(Some(self.home.owner), "cloud").await.expect("plan");
        assert!(!plan.moves.is_empty(), "{plan:?}");
        assert_eq!(self.custody().move_tiers(Some(self.home.owner), &plan, Arc::new(Silent)).await.expect("moved"), []);
    }

    async fn restore(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let target = self.home.folder.path().join(folder);
        let options = RestoreOptions::default();
        let outcome = self.custody().restore_to(self.home.owner, &Source::Home, "latest", &target, options, Arc::new(Silent)).await;
        assert_eq!(outcome.expect("restored").failed, []);
        restored(&target)
    }

    async fn thaw(&self, wait: bool) -> keepsake_custody::CustodyResult<()> {
        let thaw = Thaw { wait, urgent: false, first_look: Duration::from_millis(20) };
        self.custody().thaw(self.home.owner, &Source::Home, "latest", &[], thaw, Arc::new(Silent)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_asks_for_what_is_archived_and_waits() {
    let bucket = Bucket::start();
    let mut world = World::new("s3://bucket/below", bucket.endpoint(), "").await;
    world.backup("one").await;
    world.backup("two").await;
    world.add(false).await;
    let whole = world.restore("whole").await;
    world.archive("tiers = \"DEEP_ARCHIVE after 0 days\"\n").await;

    // Everything that is no piece of a file stays at hand: looking works without asking for anything.
    let owner = world.home.owner;
    assert_eq!(world.custody().snapshots(owner, &Source::Home).await.expect("list").0.len(), 2);
    let reports =
        world.custody().verify(owner, &Source::Home, None, CheckOptions { read_data: Some(Share::All) }, Arc::new(Silent)).await.expect("verify");
    assert!(reports[0].is_sound() && reports[0].archived > 0 && reports[0].packs_read > 0, "{reports:?}");
    let plan = world.custody().plan_thaw(owner, &Source::Home, "latest", &[]).await.expect("plan").expect("there is something to wait for");
    assert!(plan.destination == "cloud" && plan.packs > 0 && plan.bytes > 0, "{plan:?}");
    let asked = world.thaw(false).await.expect_err("nobody waits").to_string();
    assert!(asked.contains("then run this again"), "{asked}");
    assert!(bucket.take_requests().iter().filter(|r| r.starts_with("POST ")).count() as u64 >= plan.packs);

    let later = bucket.clone();
    let ready = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        later.finish_thawing();
    });
    world.thaw(true).await.expect("it waits");
    ready.join().expect("no panic");
    assert!(!bucket.take_requests().iter().any(|r| r.starts_with("POST ")), "what was asked for is not asked for again");
    assert_eq!(world.restore("back").await, whole);
    assert!(world.custody().plan_thaw(owner, &Source::Home, "latest", &[]).await.expect("plan").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_packs_come_back_from_azure() {
    let Some(endpoint) = server("KEEPSAKE_TEST_AZURE") else { return };
    let url = format!("az://devstoreaccount1/{}/below", fresh("cold"));
    let mut world = World::new(&url, format!("{endpoint}/devstoreaccount1"), "").await;
    world.backup("one").await;
    world.add(true).await;
    let whole = world.restore("whole").await;
    world.archive("tiers = \"Archive after 0 days\"\n").await;
    let control = world.control();
    let classes = tokio::task::spawn_blocking(move || control.tiers().expect("Azure has them").all("").expect("list"));
    for object in classes.await.expect("no panic") {
        let cold = object.reach == Reach::Archived;
        assert!(!cold || object.name.as_str().contains("/data/"), "{object:?}");
    }
    let target = world.home.folder.path().join("too-early");
    let early = world.custody().restore_to(world.home.owner, &Source::Home, "latest", &target, RestoreOptions::default(), Arc::new(Silent));
    let failed = early.await.expect("it ends").failed;
    assert!(failed.iter().any(|(_, reason)| reason.contains("archived")), "{failed:?}");
    let plan = world.custody().plan_thaw(world.home.owner, &Source::Home, "latest", &[]).await.expect("plan");
    assert!(plan.is_some_and(|plan| plan.packs > 0));
    world.thaw(true).await.expect("it waits");
    assert_eq!(world.restore("back").await, whole);
    // What was read just now stays where reading is cheap.
    world.set("tiers = \"Archive after 1 day unread\"\n").await;
    let plan = world.custody().plan_tiers(Some(world.home.owner), "cloud").await.expect("plan");
    assert_eq!(plan.moves, [], "{plan:?}");
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
