//! Packs that a cloud has archived.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use keepsake_custody::{
    CheckOptions, CustodyResult, PruneOptions, RestoreOptions, RestoreOutcome, Share, Silent, SnapshotRow, Source, Thaw,
};
use keepsake_storage::Reach;
use keepsake_testing::Bucket;

use crate::buckets::{World, fresh, server};

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
        assert_eq!(self.try_restore(&target, true).await.expect("restored").1.failed, []);
        restored(&target)
    }

    async fn try_restore(&self, target: &Path, wait: bool) -> CustodyResult<(SnapshotRow, RestoreOutcome)> {
        let thaw = Thaw { wait, urgent: false, first_look: Duration::from_millis(20) };
        let options = RestoreOptions::default();
        self.custody().restore_to(self.home.owner, &Source::Home, "latest", target, options, thaw, Arc::new(Silent)).await
    }

    async fn thaw(&self, wait: bool) -> CustodyResult<()> {
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
    let reports = world
        .custody()
        .verify(owner, &Source::Home, None, CheckOptions { read_data: Some(Share::All) }, Arc::new(Silent))
        .await
        .expect("verify");
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
    let plan = world.custody().plan_thaw(world.home.owner, &Source::Home, "latest", &[]).await.expect("plan");
    assert!(plan.is_some_and(|plan| plan.packs > 0));
    let early = world.try_restore(&target, false).await.expect_err("nobody waits").to_string();
    assert!(early.contains("then run this again") && !target.exists(), "{early}");
    world.thaw(true).await.expect("it waits");
    assert_eq!(world.restore("back").await, whole);
    // What was read just now stays where reading is cheap.
    world.set("tiers = \"Archive after 1 day unread\"\n").await;
    let plan = world.custody().plan_tiers(Some(world.home.owner), "cloud").await.expect("plan");
    assert_eq!(plan.moves, [], "{plan:?}");
}

/// What is archived cannot be copied or looked into: the verbs that would have to go on without it.
#[tokio::test(flavor = "multi_thread")]
async fn rotation_and_prune_go_on_beside_archived_packs() {
    let bucket = Bucket::start();
    let mut world = World::new("s3://bucket/below", bucket.endpoint(), "").await;
    for text in ["one", "two", "three"] {
        world.backup(text).await;
    }
    world.add(false).await;
    world.archive("tiers = \"DEEP_ARCHIVE after 0 days\"\n").await;
    world.backup("four").await;
    world.trim().await;
    let options = PruneOptions { max_unused_percent: 0 };
    let plan = world.custody().plan_prune(Some(world.home.owner), options, Arc::new(Silent)).await.expect("plan");
    world.custody().prune(Some(world.home.owner), plan, Arc::new(Silent)).await.expect("prune");
    let verified = world.custody().verify(world.home.owner, &Source::Home, None, CheckOptions::default(), Arc::new(Silent)).await;
    assert!(verified.expect("verify").iter().all(|report| report.is_sound()));
    bucket.finish_thawing();
    world.thaw(false).await.unwrap_or_default();
    bucket.finish_thawing();
    assert!(!world.restore("back").await.is_empty());
}

/// Damage at one place, and the good copy archived at the other: nothing is healed, and nothing is said to be.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_heals_nothing() {
    let bucket = Bucket::start();
    let world = World::new("s3://bucket/below", bucket.endpoint(), "").await;
    world.backup("one").await;
    world.add(false).await;
    let root = world.home.path().join(format!("backups/owners/{}/g1/data", world.home.owner));
    for file in crate::support::files(&root) {
        let mut bytes = fs::read(&file).expect("read");
        bytes[3] ^= 1;
        fs::write(&file, bytes).expect("damaged");
    }
    let control = world.control();
    let archived = tokio::task::spawn_blocking(move || {
        let tiers = control.tiers().expect("S3 has them");
        let packs: Vec<_> = tiers.all("owners").expect("list").into_iter().filter(|o| o.name.as_str().contains("/data/")).collect();
        packs.iter().for_each(|pack| tiers.set(&pack.name, "GLACIER").expect("moved"));
        packs.len()
    });
    assert!(archived.await.expect("no panic") > 0);
    let options = CheckOptions { read_data: Some(Share::All) };
    let reports =
        world.custody().verify(world.home.owner, &Source::Home, Some("default"), options, Arc::new(Silent)).await.expect("verify");
    assert!(!reports[0].is_sound());
    let settled = world.custody().sync_destinations(false, Arc::new(Silent)).await.expect("sync");
    let default = settled.values().flatten().find(|s| s.member == "default" && s.behind.is_some());
    assert!(default.is_some_and(|s| s.behind.as_ref().is_some_and(|reason| reason.contains("archived"))), "{settled:?}");
    let reports = world.custody().destinations().await.expect("list");
    assert!(reports.iter().any(|view| view.name == "default" && view.behind.is_some()), "{reports:?}");
}
