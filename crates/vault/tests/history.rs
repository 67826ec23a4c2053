//! The journal: no gaps, marks, what a change touched; one state for a reader while writers go on; newer vaults refused.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_record::{Entity, Op, layout::DayPath};
use keepsake_storage::MemoryStore;
use keepsake_vault::{Vault, VaultError, VaultUrl};

use crate::engines::{Steps, entry, memory, on_each, with_medium};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_a_number_a_mark_and_its_paths() {
    on_each(async |engine| {
        let (vault, owner) = (&engine.vault, engine.owner);
        let mut m = with_medium(memory(1, "2024-03-17", "one"), "a.jpg", b"photo");
        engine.put(&m).await;
        engine.put(&memory(2, "", "undated")).await;
        m.when = keepsake_record::When::day("2024-04-01".parse().expect("a day"));
        engine.put(&m).await;
        let mut snapshot = vault.snapshot(owner).await.expect("snapshot");
        let changes = snapshot.changes(0, 100).await.expect("changes");
        assert_eq!(changes.iter().map(|c| c.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(changes.iter().map(|c| c.mark.clone()).collect::<BTreeSet<_>>().len(), 3);
        assert!(changes.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert_eq!((changes[0].op, changes[2].op), (Op::Created, Op::Edited));
        assert!(changes[0].before.is_none() && changes[2].before.is_some());
        assert_eq!(
            changes[2].paths.iter().filter(|p| p.starts_with("memories/")).cloned().collect::<Vec<_>>(),
            ["memories/2024/03/2024-03-17", "memories/2024/04/2024-04-01"]
        );
        assert_eq!(snapshot.mark_at(3).await.expect("mark"), Some(snapshot.head.mark.clone()));
        assert_eq!(snapshot.mark_at(4).await.expect("mark"), None);

        let touched = snapshot.touched_since(2).await.expect("touched");
        assert_eq!(
            touched.days.keys().map(DayPath::to_string).collect::<Vec<_>>(),
            ["memories/2024/03/2024-03-17", "memories/2024/04/2024-04-01"]
        );
        assert_eq!(touched.media.len(), 2, "the photo stands in another month now");
        assert_eq!(vault.history(owner, Entity::Memory, &m.id.to_string()).await.expect("history").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_state_while_writers_go_on() {
    on_each(async |engine| {
        engine.put(&memory(1, "2024-03-17", "one")).await;
        let mut snapshot = engine.vault.snapshot(engine.owner).await.expect("snapshot");
        engine.put(&memory(2, "2024-03-17", "two")).await;
        let day = DayPath::new("2024-03-17".parse().ok());
        assert_eq!(snapshot.day_rows(day, keepsake_record::layout::ShardPrefix::ROOT).await.expect("rows").len(), 1);
        assert_eq!((snapshot.head.seq, snapshot.counts().await.expect("counts")["memories"]), (1, 1));
        assert_eq!(engine.vault.head(engine.owner).await.expect("head").seq, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_leave_no_gap() {
    on_each(async |engine| {
        let tasks: Vec<_> = (0..8_u32)
            .map(|task| {
                let (vault, owner) = (engine.vault.clone(), engine.owner);
                tokio::spawn(async move {
                    for i in 0..5 {
                        let mut write = vault.write(owner, "test").await.expect("write");
                        write.create_memories(&[memory(task * 100 + i, "2024-01-01", "x")]).await.expect("create");
                        write.commit(&entry("memory.add")).await.expect("commit");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let mut snapshot = engine.vault.snapshot(engine.owner).await.expect("snapshot");
        let seqs: Vec<u64> = snapshot.changes(0, 1000).await.expect("changes").iter().map(|c| c.seq).collect();
        assert_eq!(seqs, (1..=40).collect::<Vec<_>>(), "{}", engine.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_vault_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = VaultUrl::Sqlite(folder.path().join("vault.db"));
    let vault = Vault::open(&url, Arc::new(MemoryStore::new()), Steps::new(1)).await.expect("open");
    vault.set_fact("schema_version", "99", &entry("test")).await.expect("set");
    vault.close().await;
    let refused = Vault::open(&url, Arc::new(MemoryStore::new()), Steps::new(1)).await.expect_err("newer");
    assert!(matches!(refused, VaultError::Newer { found: 99, .. }), "{refused}");
}
