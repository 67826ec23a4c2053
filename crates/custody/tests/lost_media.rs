//! Originals that are missing or rotten: the backup's copy is kept, named, owed, and heals.

use std::sync::Arc;

use keepsake_custody::{BackupKind, MemoryDraft, Silent};

use crate::support::{files, home};

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_rotten_originals_are_carried_forward() {
    let home = home().await;
    let photo = home.folder.path().join("p.jpg");
    for (i, damage) in ["missing", "rotten"].into_iter().enumerate() {
        std::fs::write(&photo, format!("precious {damage}")).expect("a photo");
        let draft = MemoryDraft { attach: vec![photo.clone()], date: Some("2024-06-06".into()), ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("add");
        let whole = home.backup(BackupKind::Full).await;
        assert!(whole.skipped.is_empty());
        let stored = files(&home.path().join("media"))
            .into_iter()
            .find(|f| std::fs::read_to_string(f).is_ok_and(|t| t.ends_with(damage)))
            .expect("stored");
        if damage == "missing" {
            std::fs::remove_file(&stored).expect("remove")
        } else {
            std::fs::write(&stored, "precious rotting").expect("damage")
        }

        let report = home.backup(BackupKind::Full).await;
        assert_eq!(report.skipped.len(), 1, "{damage}");
        assert!(report.skipped[0].carried && report.skipped[0].path.starts_with("data/media/2024/06/p."), "{:?}", report.skipped);
        assert_eq!(report.data_tree, whole.data_tree, "nothing is lost from the backup");
        assert_eq!(home.custody.vault().debts(home.owner).await.expect("debts").len(), 1);

        // The next backup tries again what it owes, although nothing else has changed.
        let again = home.backup(BackupKind::Incremental).await;
        assert_eq!(again.skipped.len(), 1, "{damage} {i}");
        let target = home.folder.path().join(format!("back-{damage}"));
        let outcome = home
            .custody
            .restore_to(home.owner, &Default::default(), "latest", &target, Default::default(), Default::default(), Arc::new(Silent))
            .await
            .expect("restore");
        assert!(outcome.1.failed.is_empty());
        let back = files(&target)
            .into_iter()
            .find(|f| std::fs::read_to_string(f).is_ok_and(|t| t == format!("precious {damage}")))
            .expect("it came back");
        std::fs::copy(back, &stored).expect("heal");
        let healed = home.backup(BackupKind::Incremental).await;
        assert!(healed.skipped.is_empty() && healed.data_tree == whole.data_tree);
        assert!(home.custody.vault().debts(home.owner).await.expect("debts").is_empty());
        assert!(home.backup(BackupKind::Incremental).await.snapshot.is_none());
    }
}
