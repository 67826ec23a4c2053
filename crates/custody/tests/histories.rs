//! The law of the tree: the same state gives the same `data/`, however it was reached.

use keepsake_custody::{BackupKind, ListFilter, MemoryDraft, MemoryEdit};
use keepsake_testing::Dice;

use crate::support::{Home, home, small_home};

pub fn seed() -> u64 {
    let seed = keepsake_testing::number("KEEPSAKE_TEST_SEED", 7);
    println!("seed {seed}");
    seed
}

async fn ids(home: &Home, trashed: bool) -> Vec<String> {
    let filter = ListFilter { trashed, ..ListFilter::default() };
    home.custody.list_memories(home.owner, &filter, None, 1000).await.expect("list").iter().map(|r| r.memory.id.to_string()).collect()
}

/// One random change: additions (with photos), edits that move days, deletions, undeletions, collections, imports.
pub async fn change(home: &Home, dice: &mut Dice) {
    let (live, trashed) = (ids(home, false).await, ids(home, true).await);
    let day = ["2024-01-01", "2024-01-02", "2024-02-29", "1978-06~"][dice.below(4)].to_owned();
    let custody = &home.custody;
    match dice.below(11) {
        0..=3 => {
            let photo = home.folder.path().join(format!("photo-{}.jpg", dice.below(4)));
            std::fs::write(&photo, format!("photo {}", photo.display())).expect("a photo");
            let attach = if dice.below(3) == 0 { vec![photo] } else { vec![] };
            let draft = MemoryDraft { text: format!("text {}", dice.below(1000)), date: Some(day), attach, ..MemoryDraft::default() };
            custody.add_memory(home.owner, &draft).await.expect("add");
        }
        4..=5 if !live.is_empty() => {
            let edit = MemoryEdit {
                date: Some(day),
                text: (dice.below(2) == 0).then(|| format!("edited {}", dice.below(9))),
                ..MemoryEdit::default()
            };
            // The same day again is nothing to change.
            drop(custody.edit_memory(home.owner, &live[dice.below(live.len())], &edit).await);
        }
        6..=7 if !live.is_empty() => drop(custody.delete_memory(home.owner, &live[dice.below(live.len())]).await.expect("delete")),
        8 if !trashed.is_empty() => drop(custody.undelete_memory(home.owner, &trashed[dice.below(trashed.len())]).await.expect("undelete")),
        9 if !live.is_empty() => {
            let name = format!("album {}", dice.below(2));
            // The second time it is there already.
            drop(custody.create_collection(home.owner, &name).await);
            custody.set_membership(home.owner, &name, &live[dice.below(live.len())], dice.below(3) > 0).await.expect("membership");
        }
        10 => {
            // Items of earlier imports come again, some of them changed.
            let lines = (0..dice.below(8)).map(|_| {
                let number = dice.below(20);
                format!("{{\"id\":\"{number}\",\"date\":\"2024-01-0{}\",\"text\":\"item {}\"}}\n", number % 3 + 1, dice.below(4))
            });
            let (file, lines) = (home.folder.path().join("items.ndjson"), lines.collect::<String>());
            std::fs::write(&file, lines).expect("a file");
            home.import(&file).await;
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_differential_and_incremental_agree_at_every_step() {
    let mut dice = Dice(seed());
    let home = small_home().await;
    for round in 0..12 {
        for _ in 0..=dice.below(12) {
            change(&home, &mut dice).await;
        }
        let step = home.backup(BackupKind::Incremental).await;
        let step_tree = step.data_tree.clone();
        let differential = home.backup(BackupKind::Differential).await;
        let full = home.backup(BackupKind::Full).await;
        assert_eq!(full.kind, BackupKind::Full);
        assert_eq!(differential.data_tree, full.data_tree, "round {round}");
        if step.snapshot.is_some() {
            assert_eq!(step_tree, full.data_tree, "round {round}");
        }
        let root = |report: &keepsake_custody::BackupReport| report.snapshot.clone().expect("a snapshot");
        let row = |id: String| {
            let home = &home;
            async move { home.custody.snapshot(home.owner, &Default::default(), &id).await.expect("there").tree }
        };
        assert_eq!(row(root(&differential)).await, row(root(&full)).await, "the history agrees too, round {round}");
    }
}

/// A full backup reads in pages (of four files here) while somebody writes: what it holds is the state at the change that it
/// names, as a full backup of the unchanging vault has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_beside_writers_holds_one_state() {
    let mut dice = Dice(seed());
    let home = small_home().await;
    for _ in 0..60 {
        change(&home, &mut dice).await;
    }
    let mut beside = 0;
    for round in 0..6 {
        let ended = std::sync::atomic::AtomicBool::new(false);
        let write = async {
            let mut written = 0;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                change(&home, &mut dice).await;
                written += 1;
            }
            written
        };
        let back_up = async {
            let report = home.backup(BackupKind::Full).await;
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            report
        };
        let (written, report) = tokio::join!(write, back_up);
        beside += written;
        let head = home.custody.vault().head(home.owner).await.expect("head");
        if report.seq < head.seq {
            // What came after it is what an incremental on top of it adds; both ways lead to the same tree.
            let step = home.backup(BackupKind::Incremental).await;
            assert_eq!(step.kind, BackupKind::Incremental, "round {round}: {:?}", step.reason);
            assert_eq!(step.data_tree, home.backup(BackupKind::Full).await.data_tree, "round {round}");
        } else {
            assert_eq!(report.data_tree, home.backup(BackupKind::Full).await.data_tree, "round {round}");
        }
        // The history, too: at rest, reading in pages gives what an incremental gives.
        let (step, full) = (home.backup(BackupKind::Differential).await, home.backup(BackupKind::Full).await);
        let tree = async |report: &keepsake_custody::BackupReport| {
            let id = report.snapshot.clone().expect("a snapshot");
            home.custody.snapshot(home.owner, &Default::default(), &id).await.expect("there").tree
        };
        assert_eq!(tree(&step).await, tree(&full).await, "round {round}");
    }
    assert!(beside >= 6, "{beside} changes were made beside the backups");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_undone_never_happened() {
    let home = home().await;
    let draft = MemoryDraft { text: "stays".into(), date: Some("2024-03-17".into()), ..MemoryDraft::default() };
    let memory = home.custody.add_memory(home.owner, &draft).await.expect("add");
    let before = (home.backup(BackupKind::Full).await.data_tree, home.custody.data_id(home.owner).await.expect("data ID"));
    home.custody.delete_memory(home.owner, &memory.id.to_string()).await.expect("delete");
    assert_ne!(home.backup(BackupKind::Incremental).await.data_tree, before.0);
    home.custody.undelete_memory(home.owner, &memory.id.to_string()).await.expect("undelete");
    assert_eq!((home.backup(BackupKind::Incremental).await.data_tree, home.custody.data_id(home.owner).await.expect("data ID")), before);
}

/// A deleted memory waits as long as the settings say, then leaves; the journal keeps its last version.
#[tokio::test(flavor = "multi_thread")]
async fn the_trash_is_emptied_when_its_time_is_over() {
    let home = home().await;
    let add = async |text: &str| {
        home.custody.add_memory(home.owner, &MemoryDraft { text: text.into(), ..MemoryDraft::default() }).await.expect("add").id.to_string()
    };
    let (gone, kept) = (add("gone").await, add("kept").await);
    home.custody.delete_memory(home.owner, &gone).await.expect("delete");
    assert_eq!(home.custody.empty_trash(home.owner).await.expect("empty"), 0, "thirty days are not over");
    home.custody.close().await;
    let now = std::collections::BTreeMap::from([("KEEPSAKE__TRASH__DAYS".to_owned(), "0".to_owned())]);
    let custody = keepsake_custody::Custody::open(&home.path(), &now, "test", std::sync::Arc::new(keepsake_custody::SystemClock))
        .await
        .expect("open");
    assert_eq!(custody.empty_trash(home.owner).await.expect("empty"), 1);
    assert!(custody.show_memory(home.owner, &gone).await.is_err() && custody.show_memory(home.owner, &kept).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_change_costs_little_and_no_change_nothing() {
    let home = home().await;
    for i in 0..60 {
        let draft = MemoryDraft {
            text: format!("memory {i}"),
            date: Some(format!("2024-{:02}-{:02}", i % 12 + 1, i % 28 + 1)),
            ..MemoryDraft::default()
        };
        home.custody.add_memory(home.owner, &draft).await.expect("add");
    }
    home.backup(BackupKind::Full).await;
    let before = home.objects();
    assert!(home.backup(BackupKind::Incremental).await.snapshot.is_none());
    assert_eq!(home.objects(), before, "an unchanged vault writes nothing");
    let all = ids(&home, false).await;
    for id in &all[..3] {
        home.custody.edit_memory(home.owner, id, &MemoryEdit { text: Some("edited".into()), ..MemoryEdit::default() }).await.expect("edit");
    }
    home.custody.delete_memory(home.owner, &all[10]).await.expect("delete");
    let photo = home.folder.path().join("new.jpg");
    std::fs::write(&photo, b"a new photo").expect("a photo");
    let draft = MemoryDraft { attach: vec![photo], date: Some("2024-06-06".into()), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add");
    let report = home.backup(BackupKind::Incremental).await;
    let after = home.objects();
    let more = |folder: &str| after[folder] - before[folder];
    assert_eq!((more("data"), more("index"), more("snapshots"), after["locks"]), (2, 1, 1, 0));
    assert_eq!(report.packs, 2);
    // Head and history, five days at most, one photo: no untouched day is rendered.
    assert!(report.files_read <= 9, "{} files were read", report.files_read);
}
