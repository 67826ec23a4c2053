//! Verbs on a whole home, cut off at every write to its destination: nothing that was there is gone, the home and the
//! recovery kit open it at every moment, and doing it again ends the work.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use keepsake_custody::{
    BackupKind, CheckOptions, Custody, CustodyResult, MemoryDraft, Policy, RecoveryKit, Share, Silent, Source, SystemClock, Without,
};
use keepsake_record::{MemoryId, OwnerId};
use keepsake_repository::{Password, Repository, SystemAmbient};
use keepsake_storage::{Fault, Faulty, LocalStore, Store};

use crate::support::{copy_folder, files};

struct Base {
    folder: tempfile::TempDir,
    owner: OwnerId,
    kit: RecoveryKit,
    /// A memory that is in the snapshots and in the trash of the vault.
    deleted: MemoryId,
}

impl Base {
    /// Two snapshots of three memories, one of which was deleted.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Custody::init(&folder.path().join("home"), &BTreeMap::new(), "ada", "test", Arc::new(SystemClock)).await.expect("init");
        let (custody, owner) = (made.custody, made.owner.id);
        let mut ids = Vec::new();
        for text in ["one", "two, which goes", "three"] {
            let draft = MemoryDraft { text: text.into(), date: Some("2024-03-17".into()), ..MemoryDraft::default() };
            ids.push(custody.add_memory(owner, &draft).await.expect("add").id);
            if text != "one" {
                custody.backup(owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
            }
        }
        custody.delete_memory(owner, &ids[1].to_string()).await.expect("delete");
        custody.close().await;
        Self { folder, owner, kit: made.kit, deleted: ids[1] }
    }

    async fn open(&self, home: &Path) -> Custody {
        Custody::open(home, &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open")
    }

    /// What the kit and nothing else opens: the trees of the vault's snapshots.
    fn by_kit(&self, home: &Path) -> BTreeSet<String> {
        let place = home.join(format!("backups/owners/{}", self.owner));
        let (folder, password) = Custody::open_recovery_file(&place, &self.kit).expect("the kit opens");
        let store: Arc<dyn Store> = Arc::new(LocalStore::open(&folder).expect("a folder"));
        let opened = Repository::open(store, &Password::new(password.as_str().into()), Arc::new(SystemAmbient)).expect("open");
        opened.snapshots().expect("list").0.into_iter().map(|(_, snapshot)| snapshot.tree.to_string()).collect()
    }

    async fn by_home(&self, custody: &Custody) -> BTreeSet<String> {
        custody.snapshots(self.owner, &Source::Home).await.expect("list").0.into_iter().map(|row| row.tree).collect()
    }

    /// Cuts a verb off at its first write, at its second and so on, until it ends. `keeps`: the snapshots stay what they are.
    /// `every`: only every so manieth write, where there are many; `KEEPSAKE_TEST_EVERY` says otherwise.
    async fn cut_off(&self, least: u64, every: u64, keeps: bool, verb: impl AsyncFn(&Custody) -> CustodyResult<()>) {
        let every = std::env::var("KEEPSAKE_TEST_EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(every);
        let home = self.folder.path().join("home");
        let custody = self.open(&home).await;
        let before = self.by_home(&custody).await;
        custody.close().await;
        let mut cuts = 0;
        loop {
            let copy = self.folder.path().join(format!("cut-{cuts}"));
            copy_folder(&home, &copy);
            let broken: Arc<dyn Store> =
                Arc::new(Faulty::new(Arc::new(LocalStore::open(copy.join("backups")).expect("a folder")), Fault::CutAfter(cuts)));
            let custody = self.open(&copy).await.with_faults_for_tests(Arc::new(move |_, _| broken.clone()));
            let ended = verb(&custody).await.is_ok();
            custody.close().await;
            drop(custody);
            // Locks of this very process: another one would see that it is gone.
            for lock in files(&copy).into_iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("locks"))) {
                std::fs::remove_file(lock).expect("remove");
            }
            let custody = self.open(&copy).await;
            if keeps {
                assert_eq!(self.by_home(&custody).await, before, "cut {cuts}: by the home");
                assert_eq!(self.by_kit(&copy), before, "cut {cuts}: by the kit");
            }
            // Work goes on: a new memory is backed up, and the kit opens that, too.
            let draft = MemoryDraft { text: "four".into(), ..MemoryDraft::default() };
            custody.add_memory(self.owner, &draft).await.expect("add");
            let report = custody.backup(self.owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
            assert!(report.snapshot.is_some(), "cut {cuts}");
            assert!(self.by_home(&custody).await.is_subset(&self.by_kit(&copy)), "cut {cuts}: the kit opens all");
            if !keeps {
                let options = CheckOptions::default();
                let verified = custody.verify(self.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify").remove(0);
                assert!(verified.damage.is_empty(), "cut {cuts}: {verified:?}");
            }
            verb(&custody).await.unwrap_or_else(|error| panic!("cut {cuts}, again: {error}"));
            assert_eq!(self.by_kit(&copy), self.by_home(&custody).await, "cut {cuts}, ended");
            let options = CheckOptions { read_data: Some(Share::All) };
            let verified = custody.verify(self.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify").remove(0);
            assert!(verified.is_sound(), "cut {cuts}, ended: {verified:?}");
            custody.close().await;
            std::fs::remove_dir_all(&copy).expect("remove");
            if ended {
                break;
            }
            cuts += every;
        }
        assert!(cuts >= least, "{cuts} cuts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrap() {
    let base = Base::new().await;
    base.cut_off(3, 1, true, async |custody| custody.rewrap(Some(base.owner)).await.map(drop)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn re_encrypt() {
    let base = Base::new().await;
    base.cut_off(20, 1, true, async |custody| custody.reencrypt(Some(base.owner), Arc::new(Silent)).await.map(drop)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forget() {
    let base = Base::new().await;
    let policy = Policy { last: Some(1), ..Policy::nothing() };
    base.cut_off(2, 1, false, async |custody| {
        let plan = custody.plan_forget(base.owner, &policy).await?;
        custody.forget(base.owner, &plan, Arc::new(Silent)).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrite() {
    let base = Base::new().await;
    let without = Without::Memories(BTreeSet::from([base.deleted]));
    base.cut_off(12, 3, false, async |custody| custody.rewrite_snapshots(base.owner, &without, Arc::new(Silent)).await.map(drop)).await;
}

/// Cuts a re-encryption off in a phase, removes the generation that it was making, and sees the old one go on.
async fn lost_while(phase: &str) -> (Base, std::path::PathBuf, Custody) {
    let base = Base::new().await;
    for cuts in 1.. {
        let home = base.folder.path().join(format!("lost-{cuts}"));
        copy_folder(&base.folder.path().join("home"), &home);
        let broken: Arc<dyn Store> =
            Arc::new(Faulty::new(Arc::new(LocalStore::open(home.join("backups")).expect("a folder")), Fault::CutAfter(cuts)));
        let custody = base.open(&home).await.with_faults_for_tests(Arc::new(move |_, _| broken.clone()));
        custody.reencrypt(Some(base.owner), Arc::new(Silent)).await.expect_err("a cut meets every phase before the work ends");
        custody.close().await;
        for lock in files(&home).into_iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("locks"))) {
            std::fs::remove_file(lock).expect("remove");
        }
        let custody = base.open(&home).await;
        let fact = custody.vault().fact(&format!("re-encrypting {}", base.owner)).await.expect("read").unwrap_or_default();
        if !fact.contains(&format!("\"phase\":\"{phase}\"")) {
            custody.close().await;
            continue;
        }
        std::fs::remove_dir_all(home.join(format!("backups/owners/{}/g2", base.owner))).expect("it was begun");
        let refused = custody.rewrap(Some(base.owner)).await.expect_err("a re-encryption is under way");
        assert!(refused.to_string().contains("key re-encrypt"), "{refused}");
        custody.backup(base.owner, BackupKind::Full, Arc::new(Silent)).await.expect("backups go on");
        assert_eq!(base.by_home(&custody).await, base.by_kit(&home));
        return (base, home, custody);
    }
    unreachable!("the numbers do not end");
}

/// A new generation that is lost before it is used is given up, the old one goes on, and the next attempt begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_lost_while_it_grows_is_given_up() {
    let (base, home, custody) = lost_while("copying").await;
    let before = base.by_home(&custody).await;
    let error = custody.reencrypt(Some(base.owner), Arc::new(Silent)).await.expect_err("it is lost");
    assert!(error.to_string().contains("given up"), "{error}");
    let report = custody.reencrypt(Some(base.owner), Arc::new(Silent)).await.expect("anew");
    assert_eq!((report.generation, report.snapshots), (2, 3));
    assert_eq!(before, base.by_kit(&home));
}

/// As before, when it was whole already: the backup that comes first gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_lost_before_the_switch_is_given_up() {
    let (base, home, custody) = lost_while("switching").await;
    let before = base.by_home(&custody).await;
    let report = custody.reencrypt(Some(base.owner), Arc::new(Silent)).await.expect("anew");
    assert_eq!((report.generation, report.snapshots), (2, 3));
    assert_eq!(before, base.by_kit(&home));
}
