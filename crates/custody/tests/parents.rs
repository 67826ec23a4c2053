//! An incremental never builds on a history that is not its own.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_custody::{BackupKind, Custody, MemoryDraft, Silent, SystemClock};

use crate::support::{Home, copy_folder, home};

async fn add(custody: &Custody, home: &Home, text: &str) {
    let draft = MemoryDraft { text: text.into(), date: Some("2024-03-17".into()), ..MemoryDraft::default() };
    custody.add_memory(home.owner, &draft).await.expect("add");
}

async fn reopen(path: &std::path::Path) -> Custody {
    Custody::open(path, &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open")
}

/// A vault that was put back to an older copy, and went on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_noticed() {
    let home = home().await;
    add(&home.custody, &home, "one").await;
    home.backup(BackupKind::Full).await;
    home.custody.close().await;
    let old = std::fs::read(home.path().join("vault.db")).expect("read");

    let custody = reopen(&home.path()).await;
    add(&custody, &home, "two").await;
    let second = custody.backup(home.owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
    assert_eq!(second.kind, BackupKind::Incremental);
    let newer = custody.vault().catalogue(Some(home.owner)).await.expect("catalogue").pop().expect("a row");
    custody.close().await;
    for ending in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(home.path().join(format!("vault.{ending}"))));
    }
    std::fs::write(home.path().join("vault.db"), old).expect("put back");

    let custody = reopen(&home.path()).await;
    // The catalogue of the copy does not know the second snapshot; one that does (a shared catalogue) must not be fooled.
    custody.vault().record_snapshot(Some(home.owner), &newer, &[], &entry()).await.expect("record");
    add(&custody, &home, "another two").await;
    let report = custody.backup(home.owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
    let snapshot = custody.snapshot(home.owner, &Default::default(), &report.snapshot.clone().expect("a snapshot")).await.expect("there");
    assert_ne!(snapshot.parent.as_deref(), Some(newer.snapshot.as_str()), "the newer snapshot is of another history");
    let full = custody.backup(home.owner, BackupKind::Full, Arc::new(Silent)).await.expect("full");
    assert_eq!(full.data_tree, report.data_tree);
}

/// Two copies of one home that back up to one place.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_home_is_noticed() {
    let home = home().await;
    add(&home.custody, &home, "one").await;
    home.backup(BackupKind::Full).await;
    home.custody.close().await;
    let clone = home.folder.path().join("clone");
    copy_folder(&home.path(), &clone);

    let (a, b) = (reopen(&home.path()).await, reopen(&clone).await);
    add(&a, &home, "only in a").await;
    add(&b, &home, "only in b").await;
    let of_a = a.backup(home.owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
    let row = a.vault().catalogue(Some(home.owner)).await.expect("catalogue").pop().expect("a row");
    assert_eq!(Some(&row.snapshot), of_a.snapshot.as_ref());
    // b learns of a's snapshot, and has the same number of changes: only the mark tells them apart.
    std::fs::remove_dir_all(clone.join("backups")).expect("remove");
    copy_folder(&home.path().join("backups"), &clone.join("backups"));
    b.vault().record_snapshot(Some(home.owner), &row, &[], &entry()).await.expect("record");
    let of_b = b.backup(home.owner, BackupKind::Incremental, Arc::new(Silent)).await.expect("backup");
    assert!(of_b.snapshot.is_some(), "it is not taken for unchanged");
    let full = b.backup(home.owner, BackupKind::Full, Arc::new(Silent)).await.expect("full");
    assert_eq!(full.data_tree, of_b.data_tree);
    assert_ne!(of_a.data_tree, of_b.data_tree);
}

/// Packs that were removed by somebody else are noticed, and what they held is added again.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_lost_its_index_is_filled_again() {
    let home = home().await;
    add(&home.custody, &home, "one").await;
    home.backup(BackupKind::Full).await;
    let root = home.path().join(format!("backups/owners/{}/g1", home.owner));
    for file in crate::support::files(&root.join("index")) {
        std::fs::remove_file(file).expect("remove");
    }
    add(&home.custody, &home, "two").await;
    let report = home.backup(BackupKind::Incremental).await;
    assert_eq!(report.kind, BackupKind::Full);
    assert!(report.reason.as_ref().is_some_and(|r| r.contains("packs have left")), "{:?}", report.reason);
    let target = home.folder.path().join("back");
    let outcome = home
        .custody
        .restore_to(home.owner, &Default::default(), "latest", &target, Default::default(), Default::default(), Arc::new(Silent))
        .await
        .expect("restore");
    assert!(outcome.1.failed.is_empty(), "{:?}", outcome.1.failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_are_told_apart() {
    let home = home().await;
    add(&home.custody, &home, "one").await;
    let lease = home.custody.vault().lease(&keepsake_vault::backup_lease(home.owner), "process 1 on elsewhere").await.expect("free");
    let error = home.custody.backup(home.owner, BackupKind::Full, Arc::new(Silent)).await.expect_err("held");
    assert_eq!(error.kind(), keepsake_custody::ErrorKind::Locked, "{error}");
    home.custody.vault().release(&lease).await.expect("release");
    home.backup(BackupKind::Full).await;
}

fn entry() -> keepsake_vault::AuditEntry {
    keepsake_vault::AuditEntry {
        owner: None,
        actor: "test".into(),
        verb: "test",
        subject: String::new(),
        outcome: keepsake_vault::Outcome::Complete,
        detail: serde_json::json!({}),
    }
}
