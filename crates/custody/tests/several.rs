//! Several destinations: one backup for all of them, whatever becomes of one.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use keepsake_custody::{
    BackupKind, CheckOptions, Custody, CustodyResult, DestinationSettings, MemoryDraft, NewDestination, Policy, PruneOptions,
    RestoreOptions, Settled, Share, Silent, Source, Thaw, VerifyReport,
};
use keepsake_storage::{Fault, Faulty, ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

use crate::support::{Home, files, small_home};

const NAMES: [&str; 3] = ["default", "second", "third"];

/// A home with three destinations, each a folder.
struct Three {
    home: Home,
}

impl Three {
    async fn new() -> Self {
        let home = small_home().await;
        add(&home.custody, &home, "one").await;
        home.backup(BackupKind::Incremental).await;
        let three = Self { home };
        for name in &NAMES[1..] {
            let new = NewDestination {
                name: (*name).into(),
                url: format!("file:{}", three.root(name).display()),
                settings: DestinationSettings::default(),
                make: false,
            };
            three.home.custody.add_destination(new).await.expect("added");
        }
        three
    }

    fn root(&self, name: &str) -> PathBuf {
        match name {
            "default" => self.home.path().join("backups"),
            name => self.home.folder.path().join(name),
        }
    }

    /// Names and bytes of everything at a destination but locks and its mark.
    fn objects(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.root(name);
        let all =
            files(&root).into_iter().map(|file| (file.strip_prefix(&root).expect("below").to_owned(), fs::read(&file).expect("read")));
        all.filter(|(name, _)| !name.to_string_lossy().contains("/locks/") && name.parent().is_some_and(|p| p != "")).collect()
    }

    fn assert_equal(&self, told: &str) {
        let first = self.objects(NAMES[0]);
        assert!(!first.is_empty());
        for name in &NAMES[1..] {
            let other = self.objects(name);
            let differ: Vec<_> = first.keys().chain(other.keys()).filter(|key| first.get(*key) != other.get(*key)).collect();
            assert!(differ.is_empty(), "{told}: {name}: {differ:?}");
        }
    }

    async fn open(&self) -> Custody {
        let opened =
            Custody::open(&self.home.path(), &BTreeMap::new(), "test", Arc::new(keepsake_custody::SystemClock)).await.expect("open");
        opened.with_limits_for_tests(crate::support::SMALL)
    }

    /// Opens the home with something between it and one destination.
    async fn open_with(&self, name: &'static str, between: impl Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync + 'static) -> Custody {
        let faults = move |at: &str, store: Arc<dyn Store>| if at == name { between(store) } else { store };
        self.open().await.with_faults_for_tests(Arc::new(faults))
    }

    async fn sync(&self) -> Vec<Settled> {
        let custody = self.open().await;
        let all = custody.sync_destinations(false, Arc::new(Silent)).await.expect("sync");
        custody.close().await;
        all.into_values().flatten().collect()
    }

    async fn verify(&self) -> Vec<VerifyReport> {
        let options = CheckOptions { read_data: Some(Share::All) };
        self.open().await.verify(self.home.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify")
    }
}

async fn add(custody: &Custody, home: &Home, text: &str) {
    let draft = MemoryDraft { text: text.into(), ..MemoryDraft::default() };
    custody.add_memory(home.owner, &draft).await.expect("add");
}

fn missed(custody: &Custody) -> Vec<String> {
    custody.missed_copies().lock().expect("no panic").keys().cloned().collect()
}

async fn backup(custody: &Custody, home: &Home) -> CustodyResult<keepsake_custody::BackupReport> {
    custody.backup(home.owner, BackupKind::Incremental, Arc::new(Silent)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_goes_to_all() {
    let three = Three::new().await;
    let settled = three.sync().await;
    assert!(settled.iter().all(|s| s.behind.is_none() && s.lost.is_empty()), "{settled:?}");
    three.assert_equal("after the first sync");
    let custody = three.open().await;
    add(&custody, &three.home, "two").await;
    backup(&custody, &three.home).await.expect("backup");
    assert_eq!(missed(&custody), [""; 0]);
    three.assert_equal("after a backup");
    let owners = custody.destinations().await.expect("list");
    assert!(owners.iter().all(|view| view.behind.is_none() && view.complete == (2, 2)), "{owners:?}");
    for report in three.verify().await {
        assert!(report.is_sound() && report.passed_over.is_none(), "{report:?}");
    }
}

/// A place that dies at any write of a backup is left out, and what was deleted while it was away does not come back with it.
#[tokio::test(flavor = "multi_thread")]
async fn one_dies_in_the_middle_and_returns() {
    for dies_after in [0, 1, 2, 3, 4] {
        let three = Three::new().await;
        three.sync().await;
        let custody = three.open_with("second", move |store| Arc::new(Faulty::new(store, Fault::CutAfter(dies_after)))).await;
        add(&custody, &three.home, "two").await;
        let report = backup(&custody, &three.home).await.unwrap_or_else(|e| panic!("{dies_after}: {e}"));
        assert!(report.snapshot.is_some());
        assert_eq!(missed(&custody), ["second"], "{dies_after}");
        custody.close().await;

        // It stays away while others go on, and lose what nobody wants any more.
        let custody = three.open_with("second", |store| Arc::new(Faulty::new(store, Fault::CutAfter(0)))).await;
        add(&custody, &three.home, "three").await;
        backup(&custody, &three.home).await.expect("backup");
        let policy = Policy { last: Some(1), ..Policy::nothing() };
        let plan = custody.plan_forget(three.home.owner, &policy).await.expect("plan");
        custody.forget(three.home.owner, &plan, Arc::new(Silent)).await.expect("forget");
        let options = PruneOptions { max_unused_percent: 0 };
        let plan = custody.plan_prune(Some(three.home.owner), options, Arc::new(Silent)).await.expect("plan");
        custody.prune(Some(three.home.owner), plan, Arc::new(Silent)).await.expect("prune");
        custody.close().await;
        let kept = three.objects("default");
        assert_ne!(kept, three.objects("second"));

        let settled = three.sync().await;
        assert!(settled.iter().all(|s| s.behind.is_none() && s.lost.is_empty()), "{dies_after}: {settled:?}");
        three.assert_equal("after its return");
        assert_eq!(three.objects("default"), kept, "nothing came back");
        for report in three.verify().await {
            assert!(report.is_sound(), "{dies_after}: {report:?}");
        }
    }
}

/// A backup itself makes up for what a place lacks, before it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_backup_pays_the_debt() {
    let three = Three::new().await;
    let custody = three.open().await;
    add(&custody, &three.home, "two").await;
    backup(&custody, &three.home).await.expect("backup");
    assert_eq!(missed(&custody), [""; 0]);
    three.assert_equal("new places got everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_copies_are_a_failure() {
    let three = Three::new().await;
    three.sync().await;
    let settings = BTreeMap::from([("KEEPSAKE__COPIES__MIN".to_owned(), "3".to_owned())]);
    let opened = Custody::open(&three.home.path(), &settings, "test", Arc::new(keepsake_custody::SystemClock)).await.expect("open");
    let faults = |at: &str, store: Arc<dyn Store>| -> Arc<dyn Store> {
        if at == "third" { Arc::new(Faulty::new(store, Fault::CutAfter(0))) } else { store }
    };
    let custody = opened.with_limits_for_tests(crate::support::SMALL).with_faults_for_tests(Arc::new(faults));
    add(&custody, &three.home, "two").await;
    let error = backup(&custody, &three.home).await.expect_err("two are not three").to_string();
    assert!(error.contains("copies"), "{error}");
}

/// A flipped bit at one place is found there, and healed from another.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_healed() {
    let three = Three::new().await;
    three.sync().await;
    let good = three.objects("second");
    let folders = ["/data/", "/index/", "/snapshots/"];
    for folder in folders {
        let victim = good.keys().find(|name| name.starts_with("owners") && name.to_string_lossy().contains(folder)).expect("one of them");
        let path = three.root("second").join(victim);
        let mut bytes = fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("writable");
        fs::write(&path, bytes).expect("write");
        let reports = three.verify().await;
        let sound: Vec<(&str, bool)> = reports.iter().map(|r| (r.destination.as_str(), r.is_sound())).collect();
        assert_eq!(sound, [("default", true), ("second", false), ("third", true)], "{folder}");
        let settled = three.sync().await;
        let healed: Vec<&String> = settled.iter().filter(|s| s.member == "second").flat_map(|s| &s.healed).collect();
        assert_eq!(healed, [&victim.display().to_string()], "{folder}");
        assert!(three.objects("second") == good, "{folder}");
        assert!(three.verify().await.iter().all(VerifyReport::is_sound), "{folder}");
    }
    // What is missing is healed, too.
    let victim = good.keys().find(|name| name.to_string_lossy().contains("/data/")).expect("a pack");
    fs::remove_file(three.root("second").join(victim)).expect("remove");
    three.sync().await;
    assert!(three.objects("second") == good);
}

/// Gives so many objects, then other bytes, or nothing.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn Store>,
    reads: AtomicU64,
    limit: u64,
    lies: bool,
}

impl Dying {
    fn read(&self, bytes: StoreResult<Bytes>, name: &ObjectName) -> StoreResult<Bytes> {
        if !name.as_str().contains("/data/") || self.reads.fetch_add(1, Ordering::SeqCst) < self.limit {
            return bytes;
        }
        if self.lies {
            return bytes.map(|bytes| bytes.iter().map(|byte| byte ^ 1).collect());
        }
        Err(StoreError::Unavailable { place: self.describe(), action: "read", name: name.to_string(), source: "it died".into() })
    }
}

impl Store for Dying {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        self.inner.put(name, bytes, mode)
    }
    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.read(self.inner.get(name), name)
    }
    fn get_range(&self, name: &ObjectName, range: std::ops::Range<u64>) -> StoreResult<Bytes> {
        self.read(self.inner.get_range(name, range), name)
    }
    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.inner.head(name)
    }
    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.inner.list(prefix)
    }
    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.inner.delete(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_on_from_the_next_place() {
    let three = Three::new().await;
    for number in 0..12 {
        add(&three.home.custody, &three.home, &format!("memory {number} {}", "word ".repeat(50))).await;
    }
    three.sync().await;
    backup(&three.open().await, &three.home).await.expect("backup");
    for (limit, lies) in [(0, false), (1, false), (2, false), (0, true), (1, true), (2, true)] {
        let dying = move |inner: Arc<dyn Store>| -> Arc<dyn Store> { Arc::new(Dying { inner, reads: AtomicU64::new(0), limit, lies }) };
        let custody = three.open_with("default", dying).await;
        let to = three.home.folder.path().join(format!("back-{limit}-{lies}"));
        let options = RestoreOptions::default();
        let outcome = custody
            .restore_to(three.home.owner, &Source::Home, "latest", &to, options, Thaw::default(), Arc::new(Silent))
            .await
            .expect("restored")
            .1;
        assert!(outcome.failed.is_empty(), "{limit} {lies}: {:?}", outcome.failed);
        let texts: String = files(&to).iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
        assert!((0..12).all(|number| texts.contains(&format!("memory {number} "))), "{limit} {lies}");
    }
}

/// What is complete may not be taken away as the only one, and a place that is taken away keeps what it has.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_complete_place_stays() {
    let three = Three::new().await;
    let custody = three.open().await;
    let error = custody.remove_destination("default").await.expect_err("the others have nothing yet").to_string();
    assert!(error.contains("destination sync"), "{error}");
    three.sync().await;
    custody.remove_destination("default").await.expect("now it may go");
    add(&custody, &three.home, "two").await;
    backup(&custody, &three.home).await.expect("backup");
    assert!(!three.objects("default").is_empty(), "what was there stays");
    custody.remove_destination("second").await.expect("one is left");
    assert!(custody.remove_destination("third").await.expect_err("the only one").to_string().contains("only destination"));
    assert!(three.verify().await.iter().all(VerifyReport::is_sound));
}

/// A disk that is not there is no empty disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_away_is_not_written_anew() {
    let three = Three::new().await;
    three.sync().await;
    let (disk, away) = (three.root("third"), three.home.folder.path().join("away"));
    fs::rename(&disk, &away).expect("taken away");
    fs::create_dir_all(&disk).expect("the place where it would be");
    let custody = three.open().await;
    add(&custody, &three.home, "two").await;
    backup(&custody, &three.home).await.expect("backup");
    assert_eq!(missed(&custody), ["third"]);
    assert!(files(&disk).is_empty());
    fs::remove_dir(&disk).expect("remove");
    fs::rename(&away, &disk).expect("connected again");
    three.sync().await;
    three.assert_equal("after its return");
}

/// A new place is not complete because nobody who has anything could be asked.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_complete_while_the_complete_one_is_away() {
    let three = Three::new().await;
    let away = three.home.folder.path().join("away");
    fs::rename(three.root("default"), &away).expect("taken away");
    fs::write(three.root("default"), "no folder").expect("in its place");
    let settled = three.sync().await;
    assert!(settled.iter().all(|s| s.behind.is_some()), "{settled:?}");
    let custody = three.open().await;
    assert!(custody.remove_destination("default").await.is_err(), "it alone has everything");
    fs::remove_file(three.root("default")).expect("remove");
    fs::rename(&away, three.root("default")).expect("back again");
    three.sync().await;
    three.assert_equal("when it is back");
}

/// Reads fail for a while, in the middle of a copy.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_not_lost() {
    let three = Three::new().await;
    let custody = three.open_with("default", |inner| Arc::new(Dying { inner, reads: AtomicU64::new(0), limit: 1, lies: false })).await;
    let settled: Vec<Settled> = custody.sync_destinations(false, Arc::new(Silent)).await.expect("sync").into_values().flatten().collect();
    assert!(settled.iter().all(|s| s.lost.is_empty()), "{settled:?}");
    let behind: BTreeMap<&str, bool> = settled.iter().map(|s| (s.member.as_str(), s.behind.is_some())).collect();
    assert!(behind["second"] && behind["third"], "{settled:?}");
    custody.close().await;
    three.sync().await;
    three.assert_equal("afterwards");
}

/// A place that was away while the password changed gets the new recovery file, and does not give its old one away.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_recovery_file_does_not_come_back() {
    let three = Three::new().await;
    three.sync().await;
    let kit = |name: &str| -> Vec<Vec<u8>> {
        three.objects(name).into_iter().filter(|(path, _)| path.to_string_lossy().contains("recovery-")).map(|(_, bytes)| bytes).collect()
    };
    let before = kit("second");
    let custody = three.open_with("default", |store| Arc::new(Faulty::new(store, Fault::CutAfter(0)))).await;
    custody.rewrap(Some(three.home.owner)).await.expect("rewrap");
    assert_eq!(missed(&custody), ["default"]);
    custody.close().await;
    assert_ne!(kit("second"), before);
    let after = kit("second");
    assert_eq!(kit("default"), before);
    three.sync().await;
    assert_eq!((kit("default"), kit("second")), (after.clone(), after));
    three.assert_equal("after its return");
    assert!(three.verify().await.iter().all(VerifyReport::is_sound));
}

/// A restore needs no copy to be complete, and makes none incomplete.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_while_one_is_away_is_complete() {
    let three = Three::new().await;
    three.sync().await;
    let custody = three.open_with("second", |store| Arc::new(Faulty::new(store, Fault::CutAfter(0)))).await;
    let to = three.home.folder.path().join("back");
    let options = RestoreOptions::default();
    let restored = custody.restore_to(three.home.owner, &Source::Home, "latest", &to, options, Thaw::default(), Arc::new(Silent)).await;
    assert_eq!(restored.expect("restored").1.failed, []);
    assert_eq!(missed(&custody), [""; 0]);
    assert!(custody.destinations().await.expect("list").iter().all(|view| view.behind.is_none()));
}

/// One folder is one copy, however it is called.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_folder_is_no_second_copy() {
    let three = Three::new().await;
    let link = three.home.folder.path().join("link");
    std::os::unix::fs::symlink(three.root("second"), &link).expect("a link");
    for folder in [
        three.root("default"),
        three.root("second"),
        link,
        three.root("third").join("below"),
        three.home.folder.path().to_owned(),
        three.home.path().join("more"),
    ] {
        let new = NewDestination {
            name: "again".into(),
            url: format!("file:{}", folder.display()),
            settings: DestinationSettings::default(),
            make: false,
        };
        assert!(three.home.custody.add_destination(new).await.is_err(), "{}", folder.display());
    }
}
