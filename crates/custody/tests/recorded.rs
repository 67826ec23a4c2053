//! A destination is compared with what was recorded of it.

use std::{fs, sync::Arc};

use keepsake_custody::{BackupKind, CheckOptions, ListFilter, MemoryDraft, Silent, Source, VerifyReport, Without};

use crate::support::{Home, copy_folder, files, home};

async fn add(home: &Home, text: &str) -> String {
    let draft = MemoryDraft { text: text.into(), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add");
    home.backup(BackupKind::Incremental).await.snapshot.expect("a snapshot")
}

async fn verify(home: &Home) -> VerifyReport {
    home.custody.verify(home.owner, &Source::Home, None, CheckOptions::default(), Arc::new(Silent)).await.expect("verify").remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_was_put_back_to_yesterday_is_named() {
    let home = home().await;
    add(&home, "yesterday").await;
    let (backups, yesterday) = (home.path().join("backups"), home.folder.path().join("yesterday"));
    copy_folder(&backups, &yesterday);
    let since = [add(&home, "today").await, add(&home, "tonight").await];
    assert!(verify(&home).await.is_sound());
    fs::remove_dir_all(&backups).expect("remove");
    copy_folder(&yesterday, &backups);
    let report = verify(&home).await;
    assert_eq!(report.missing_snapshots, since);
    assert!(report.rolled_back_to.is_some() && !report.is_sound());
    // The next backup notices too, and holds everything again.
    let again = home.backup(BackupKind::Incremental).await;
    assert_eq!((again.kind, again.memories), (BackupKind::Full, 3), "{:?}", again.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_removed_and_one_that_was_added_are_named() {
    let home = home().await;
    let first = add(&home, "one").await;
    add(&home, "two").await;
    let root = home.path().join(format!("backups/owners/{}/g1/snapshots", home.owner));
    let (kept, away) = (root.join(&first), home.folder.path().join("away"));
    fs::rename(&kept, &away).expect("somebody removes it");
    let report = verify(&home).await;
    assert_eq!((report.missing_snapshots.as_slice(), report.rolled_back_to.as_ref()), ([first.clone()].as_slice(), None));
    fs::rename(&away, &kept).expect("and puts it back");
    assert!(verify(&home).await.is_sound());

    let folder = home.folder.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("file"), "text").expect("a file");
    home.custody.backup_folder(home.owner, &folder, Arc::new(Silent)).await.expect("backup");
    assert!(verify(&home).await.is_sound(), "what this home made is recorded, whatever it is of");
    // The catalogue of a copy of the database from before does not know it: neither does it know any other's.
    let strange = home.custody.snapshots(home.owner, &Source::Home).await.expect("list").0.pop().expect("one").id;
    let nothing = home.entry();
    home.custody.vault().strike_snapshots(Some(home.owner), std::slice::from_ref(&strange), &nothing).await.expect("strike");
    let report = verify(&home).await;
    assert_eq!(report.foreign_snapshots, std::slice::from_ref(&strange));
    home.custody.adopt_snapshot(home.owner, &strange).await.expect("adopt");
    assert!(verify(&home).await.is_sound());
}

/// Snapshots of the time after the copy that a vault was put back to may be adopted; they still tell that its history forked.
#[tokio::test(flavor = "multi_thread")]
async fn adopting_what_came_after_hides_no_fork() {
    let mut home = home().await;
    add(&home, "before").await;
    home.custody.close().await;
    let old = fs::read(home.path().join("vault.db")).expect("read");
    home.reopen().await;
    add(&home, "one way").await;
    add(&home, "and on").await;
    home.custody.close().await;
    for ending in ["db-wal", "db-shm"] {
        drop(fs::remove_file(home.path().join(format!("vault.{ending}"))));
    }
    fs::write(home.path().join("vault.db"), old).expect("put back");
    home.reopen().await;
    let lineage = home.custody.vault().head(home.owner).await.expect("head").lineage;
    for foreign in verify(&home).await.foreign_snapshots {
        home.custody.adopt_snapshot(home.owner, &foreign).await.expect("adopt");
    }
    let latest = add(&home, "another way").await;
    assert_ne!(home.custody.vault().head(home.owner).await.expect("head").lineage, lineage);
    assert_eq!(home.custody.snapshot(home.owner, &Source::Home, "latest").await.expect("latest").id, latest);
}

/// One snapshot's file is lost, another's is damaged: both are written anew from what was recorded, and a prune in between
/// takes nothing of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn lost_snapshots_are_written_anew() {
    let home = home().await;
    let ids = [add(&home, "one").await, add(&home, "two").await, add(&home, "three").await];
    let silent = Arc::new(Silent);
    let before = home.custody.snapshots(home.owner, &Source::Home).await.expect("list").0;
    home.custody.pin_snapshot(home.owner, &ids[0], "a promise").await.expect("pin");
    let root = home.path().join(format!("backups/owners/{}/g1/snapshots", home.owner));
    fs::remove_file(root.join(&ids[0])).expect("lost");
    let nothing_unused = keepsake_custody::PruneOptions { max_unused_percent: 0 };
    let plan = home.custody.plan_prune(Some(home.owner), nothing_unused, silent.clone()).await.expect("plan");
    home.custody.prune(Some(home.owner), plan, silent.clone()).await.expect("prune");
    fs::write(root.join(&ids[1]), "not what was written").expect("damaged");
    let plan = home.custody.plan_repair(Some(home.owner), silent.clone()).await.expect("plan");
    assert_eq!((plan.snapshots.len(), plan.damage.len()), (2, 2), "{plan:?}");
    let (_, repaired) = home.custody.repair(Some(home.owner), &plan, silent.clone()).await.expect("repair");
    assert_eq!((repaired.remade.len(), repaired.lost.len()), (2, 0), "{repaired:?}");
    assert!(verify(&home).await.is_sound());
    let after = home.custody.snapshots(home.owner, &Source::Home).await.expect("list").0;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((&was.tree, &was.tags, &was.kind), (&is.tree, &is.tags, &is.kind));
    }
    let pinned = home.custody.pins(home.owner).await.expect("pins").into_keys().next().expect("one");
    assert!(after.iter().any(|row| row.id == pinned), "the pin went with it");
    assert_eq!(home.backup(BackupKind::Incremental).await.snapshot, None, "the newest is still the parent");
}

/// A folder's snapshot and the system's are written anew, too. The catalogue has no path of a folder: the new snapshot says that it was lost.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_they_were_of_lost_snapshots_are_written_anew() {
    let home = home().await;
    add(&home, "one").await;
    let folder = home.folder.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("file"), "text of the file").expect("a file");
    let silent = Arc::new(Silent);
    let lost = home.custody.backup_folder(home.owner, &folder, silent.clone()).await.expect("backup").snapshot;
    let root = home.path().join("backups");
    fs::remove_file(root.join(format!("owners/{}/g1/snapshots/{lost}", home.owner))).expect("lost");
    for file in files(&root.join("system")).iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("snapshots"))) {
        fs::remove_file(file).expect("lost");
    }
    for owner in [Some(home.owner), None] {
        let plan = home.custody.plan_repair(owner, silent.clone()).await.expect("plan");
        assert!(!plan.snapshots.is_empty(), "{owner:?}");
        let (_, repaired) = home.custody.repair(owner, &plan, silent.clone()).await.expect("repair");
        assert_eq!((repaired.remade.len(), repaired.lost.len()), (plan.snapshots.len(), 0), "{owner:?}: {repaired:?}");
        assert!(home.custody.plan_repair(owner, silent.clone()).await.expect("plan").snapshots.is_empty(), "{owner:?}");
    }
    let listed = home.custody.snapshots(home.owner, &Source::Home).await.expect("list").0;
    let again = listed.iter().find(|row| row.kind == "folder").expect("the folder's");
    let path = &home.custody.snapshot(home.owner, &Source::Home, &again.id).await.expect("there").paths;
    assert_eq!(path, &["/a folder whose path was lost"]);
    let back = home.folder.path().join("back");
    home.custody
        .restore_to(home.owner, &Source::Home, &again.id, &back, Default::default(), Default::default(), silent)
        .await
        .expect("restore");
    let texts: Vec<Vec<u8>> = files(&back).iter().map(|file| fs::read(file).expect("readable")).collect();
    assert_eq!(texts, [b"text of the file"]);
}

/// What is taken out of a repository is taken out of all its snapshots: one that is missing has to be repaired first.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_rewritten_while_a_snapshot_is_missing() {
    let home = home().await;
    let first = add(&home, "one").await;
    let row = home.custody.list_memories(home.owner, &ListFilter::default(), None, 1).await.expect("list").remove(0);
    home.custody.delete_memory(home.owner, &row.memory.id.to_string()).await.expect("delete");
    add(&home, "two").await;
    fs::remove_file(home.path().join(format!("backups/owners/{}/g1/snapshots/{first}", home.owner))).expect("lost");
    let (without, silent) = (Without::Memories([row.memory.id].into()), Arc::new(Silent));
    let refused = home.custody.rewrite_snapshots(home.owner, &without, silent.clone()).await.expect_err("one is missing");
    assert!(refused.to_string().contains(&first[..8]) && refused.to_string().contains("keepsake repair"), "{refused}");
    let plan = home.custody.plan_repair(Some(home.owner), silent.clone()).await.expect("plan");
    home.custody.repair(Some(home.owner), &plan, silent.clone()).await.expect("repair");
    let report = home.custody.rewrite_snapshots(home.owner, &without, silent).await.expect("rewrite");
    assert_eq!(report.snapshots.len(), 2);
    assert!(verify(&home).await.is_sound());
}

/// A pack that could not be read and is whole again is trusted again, once it was read from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_whole_is_trusted_again() {
    let home = home().await;
    add(&home, "one").await;
    let packs: Vec<_> = files(&home.path().join(format!("backups/owners/{}/g1/data", home.owner)));
    let whole: Vec<Vec<u8>> = packs.iter().map(|pack| fs::read(pack).expect("readable")).collect();
    for (pack, bytes) in packs.iter().zip(&whole) {
        fs::write(pack, vec![0; bytes.len()]).expect("damaged");
    }
    let draft = MemoryDraft { text: "two".into(), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add");
    let backup = home.backup(BackupKind::Incremental).await;
    assert_eq!(backup.kind, BackupKind::Full, "it needs nothing that is known to be damaged");
    let options = CheckOptions { read_data: Some(keepsake_custody::Share::All) };
    let new = backup.snapshot.expect("a snapshot");
    let (bundle, _) =
        home.custody.snapshot_bundle(home.owner, &Source::Home, &new).await.expect("its trees stand in packs that can be read");
    drop(bundle);
    // Verification finds the damage that nothing had met so far, and the next backup mends that, too.
    home.custody.verify(home.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify").remove(0);
    let healed = add(&home, "three").await;
    let report = home.custody.verify(home.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify").remove(0);
    assert!(!report.affected.values().any(|snapshots| snapshots.contains(&healed)), "{:?}", report.affected);
    let known = || {
        let lists = files(&home.path().join("cache")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "distrusted"));
        lists.map(|file| fs::read_to_string(file).expect("text").lines().count()).sum::<usize>()
    };
    assert!(known() > 0, "packs are distrusted");
    for (pack, bytes) in packs.iter().zip(&whole) {
        fs::write(pack, bytes).expect("put back");
    }
    home.custody.plan_repair(Some(home.owner), Arc::new(Silent)).await.expect("plan");
    assert_eq!(known(), 0);
}
