//! Memories taken out of snapshots that exist already: nothing of them is left, and everything else is as it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use keepsake_custody::{BackupKind, CheckOptions, Custody, MemoryDraft, MemoryEdit, Share, Silent, Source, SystemClock, Without};
use keepsake_record::{Insight, InsightId, MemoryId, Timestamp};
use keepsake_repository::{Password, Repository, SystemAmbient};
use keepsake_storage::{LocalStore, Store};
use keepsake_testing::Dice;

use crate::{
    histories::{change, seed},
    support::{Home, copy_folder, small_home},
};

const SECRETS: [&str; 4] = ["the green door", "behind the mill", "only-in-the-secret", "tick of an insight"];

fn photo(home: &Home, name: &str, bytes: &str) -> std::path::PathBuf {
    let path = home.folder.path().join(name);
    fs::write(&path, bytes).expect("a photo");
    path
}

/// A memory with a photo of its own, one that others have too, a second version on another day, and an insight.
async fn secret(home: &Home) -> MemoryId {
    let own = photo(home, "only-in-the-secret.jpg", "only-in-the-secret and nowhere else");
    let shared = photo(home, "photo-1.jpg", &format!("photo {}", home.folder.path().join("photo-1.jpg").display()));
    let draft =
        MemoryDraft { text: "the green door".into(), date: Some("2024-01-01".into()), attach: vec![own, shared], ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add").id
}

async fn tell_more(home: &Home, id: MemoryId) {
    let edit = MemoryEdit { date: Some("2024-02-29".into()), text: Some("behind the mill".into()), ..MemoryEdit::default() };
    home.custody.edit_memory(home.owner, &id.to_string(), &edit).await.expect("edit");
    let insight = |number: u8, derived_from: Vec<MemoryId>, value: &str| Insight {
        at: Timestamp::from_micros(0).expect("1970"),
        derived_from,
        id: InsightId::from_parts(u64::from(number), [number; 10]),
        name: "mood".into(),
        value: value.into(),
        extra: BTreeMap::new(),
    };
    let mut write = home.custody.vault().write(home.owner, "test").await.expect("write");
    write.put_insight(&insight(1, vec![id], "tick of an insight")).await.expect("put");
    write.put_insight(&insight(2, vec![MemoryId::from_parts(1, [1; 10])], "of others")).await.expect("put");
    let entry = home.entry();
    write.commit(&entry).await.expect("commit");
}

async fn open_small(path: &Path) -> Custody {
    let opened = Custody::open(path, &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    opened.with_limits_for_tests(crate::support::SMALL)
}

/// What of the secrets stands in anything that the repository holds.
async fn told(home: &Home) -> BTreeSet<&'static str> {
    let password = home.custody.reveal_password(Some(home.owner)).await.expect("reveal");
    let root = home.path().join(format!("backups/owners/{}/g1", home.owner));
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(&root).expect("a folder"));
    let repository = Repository::open(store, &Password::new(password.as_str().into()), Arc::new(SystemAmbient)).expect("open");
    let mut found = BTreeSet::new();
    let mut look = |_: &str, bytes: &[u8]| {
        found.extend(SECRETS.iter().filter(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes())));
    };
    repository.each_plaintext(&mut look).expect("everything opens");
    found
}

/// A random history with backups on the way; then the memory goes, out of every snapshot, and each of them holds what a
/// backup of that day's vault without the memory holds.
#[tokio::test(flavor = "multi_thread")]
async fn rewriting_the_backups_is_backing_up_without_it() {
    let mut dice = Dice(seed());
    let mut home = small_home().await;
    let (mut id, mut steps) = (None, Vec::new());
    for round in 0..7 {
        for _ in 0..=dice.below(12) {
            change(&home, &mut dice).await;
        }
        match round {
            2 => id = Some(secret(&home).await),
            // Somebody deletes what they see now and then: it comes back from the trash if so.
            3 => {
                let id = id.expect("since round 2");
                drop(home.custody.undelete_memory(home.owner, &id.to_string()).await);
                tell_more(&home, id).await;
            }
            _ => {}
        }
        let kind = [BackupKind::Incremental, BackupKind::Full, BackupKind::Differential][dice.below(3)];
        let Some(snapshot) = home.backup(kind).await.snapshot else { continue };
        home.custody.close().await;
        let clone = home.folder.path().join(format!("clone-{round}"));
        copy_folder(&home.path(), &clone);
        home.reopen().await;
        steps.push((snapshot, clone));
    }
    let id = id.expect("since round 2");
    assert_eq!(told(&home).await, BTreeSet::from(SECRETS));
    let without = Without::Memories(BTreeSet::from([id]));
    drop(home.custody.undelete_memory(home.owner, &id.to_string()).await);
    let error = home.custody.rewrite_snapshots(home.owner, &without, Arc::new(Silent)).await.expect_err("it lives");
    assert!(error.to_string().contains("keepsake memory delete"), "{error}");
    home.custody.delete_memory(home.owner, &id.to_string()).await.expect("delete");
    let plan = home.custody.plan_rewrite(home.owner, &without, Arc::new(Silent)).await.expect("plan");
    let report = home.custody.rewrite_snapshots(home.owner, &without, Arc::new(Silent)).await.expect("rewrite");
    assert_eq!(report.snapshots.iter().map(|(old, _)| old.clone()).collect::<Vec<_>>(), plan.snapshots);
    assert!(report.proved_gone > 0 && plan.memories == 1, "{report:?} {plan:?}");
    assert_eq!(told(&home).await, BTreeSet::new());

    let options = CheckOptions { read_data: Some(Share::All) };
    let verified = home.custody.verify(home.owner, &Source::Home, None, options, Arc::new(Silent)).await.expect("verify").remove(0);
    assert!(verified.is_sound(), "{verified:?}");
    for (snapshot, clone) in steps {
        let now = report.snapshots.iter().find(|(old, _)| *old == snapshot).map_or(&snapshot, |(_, new)| new);
        let ls = async |path: &str| home.custody.snapshot_files(home.owner, &Source::Home, now, path).await;
        let other = open_small(&clone).await;
        drop(other.delete_memory(home.owner, &id.to_string()).await);
        let mut write = other.vault().write(home.owner, "test").await.expect("write");
        write.redact_memory(&id).await.expect("redact");
        let entry = home.entry();
        write.commit(&entry).await.expect("commit");
        let fresh = other.backup(home.owner, BackupKind::Full, Arc::new(Silent)).await.expect("backup");
        let expected = other.snapshot_files(home.owner, &Source::Home, "latest", "data").await.expect("ls");
        assert_eq!(ls("data").await.expect("ls"), expected, "snapshot {snapshot}");
        let row = home.custody.vault().catalogue(Some(home.owner)).await.expect("rows").into_iter().find(|row| row.snapshot == *now);
        assert_eq!(row.map(|row| row.data_tree), fresh.data_tree, "snapshot {snapshot}");
        other.close().await;
    }
    // What comes after stands on what was rewritten, history and all, and brings nothing back.
    change(&home, &mut dice).await;
    let step = home.backup(BackupKind::Incremental).await;
    assert!(step.snapshot.is_none() || step.kind == BackupKind::Incremental, "{:?}", step.reason);
    let root = async |name: &str| home.custody.snapshot(home.owner, &Source::Home, name).await.expect("there").tree;
    let before = root("latest").await;
    let full = home.backup(BackupKind::Full).await;
    assert_eq!(root(&full.snapshot.expect("a snapshot")).await, before);
    assert_eq!(told(&home).await, BTreeSet::new());
    let again = home.custody.rewrite_snapshots(home.owner, &without, Arc::new(Silent)).await.expect("again");
    assert_eq!((again.snapshots.len(), again.proved_gone), (0, 0));
}
