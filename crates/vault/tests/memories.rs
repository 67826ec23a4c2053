//! Writing, the trash, listing by keyset.

use keepsake_vault::{IdState, ListFilter, Page, VaultError};

use crate::engines::{entry, memory, on_each};

#[tokio::test(flavor = "multi_thread")]
async fn through_its_life() {
    on_each(async |engine| {
        let (vault, owner) = (&engine.vault, engine.owner);
        let mut m = memory(1, "2024-03-17", "first");
        assert!(engine.put(&m).await);
        assert!(!engine.put(&m).await, "the same again is no change");
        m.text = "second".into();
        assert!(engine.put(&m).await);
        assert_eq!(vault.memory(owner, &m.id).await.expect("read").expect("here").memory, m);

        let mut write = vault.write(owner, "test").await.expect("write");
        write.trash_memory(&m.id).await.expect("trash");
        assert!(matches!(write.trash_memory(&m.id).await, Err(VaultError::NotFound { .. })), "it is in the trash already");
        write.commit(&entry("memory.delete")).await.expect("commit");
        assert_eq!(vault.head(owner).await.expect("head").memories, 0);
        assert!(vault.list(owner, &ListFilter::default(), None, 10).await.expect("list").is_empty());
        let in_trash = ListFilter { trashed: true, ..ListFilter::default() };
        assert_eq!(vault.list(owner, &in_trash, None, 10).await.expect("list").len(), 1);

        let mut write = vault.write(owner, "test").await.expect("write");
        write.untrash_memory(&m.id).await.expect("untrash");
        write.commit(&entry("memory.undelete")).await.expect("commit");
        assert_eq!(vault.memory(owner, &m.id).await.expect("read").expect("here").memory, m, "as it was");

        let mut write = vault.write(owner, "test").await.expect("write");
        write.trash_memory(&m.id).await.expect("trash");
        write.delete_memory(&m.id).await.expect("delete");
        write.commit(&entry("memory.purge")).await.expect("commit");
        assert!(vault.memory(owner, &m.id).await.expect("read").is_none());
        assert_eq!(vault.id_states(owner, &[m.id]).await.expect("states").get(&m.id), Some(&IdState::Gone), "{}", engine.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_never_was() {
    on_each(async |engine| {
        let before = engine.audit_count().await;
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        write.create_memories(&[memory(1, "2024-03-17", "lost")]).await.expect("create");
        drop(write);
        let head = engine.vault.head(engine.owner).await.expect("head");
        assert_eq!((head.seq, head.memories, engine.audit_count().await), (0, 0, before));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_miss_nothing_and_repeat_nothing() {
    on_each(async |engine| {
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        let days = ["2024-01-02", "", "2024-01-01", "1666-09-02", "2024-01-02"];
        let memories: Vec<_> = (0..57).map(|i| memory(i, days[i as usize % days.len()], "x")).collect();
        write.create_memories(&memories).await.expect("create");
        write.commit(&entry("import")).await.expect("commit");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = engine.vault.list(engine.owner, &ListFilter::default(), after, 10).await.expect("list");
            let Some(last) = page.last() else { break };
            after = Some(Page { sort_at: last.sort_at, id: last.memory.id });
            seen.extend(page.into_iter().map(|row| (row.sort_at, row.memory.id)));
        }
        assert_eq!(seen.len(), 57);
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
        let year = ListFilter { from: "2024-01-01".parse().ok(), to: "2024-01-01".parse().ok(), ..ListFilter::default() };
        assert_eq!(engine.vault.list(engine.owner, &year, None, 100).await.expect("list").len(), 11);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_never_see_each_other() {
    on_each(async |engine| {
        let other = keepsake_record::Owner {
            id: keepsake_record::OwnerId::from_bytes([2; 16]),
            name: "Bob".into(),
            ..engine.vault.owners().await.expect("owners").remove(0)
        };
        engine.vault.create_owner(&other, &entry("owner.create")).await.expect("create");
        engine.put(&memory(1, "2024-01-01", "secret of Ada")).await;
        engine.vault.index_all(engine.owner).await.expect("index");
        assert!(engine.vault.list(other.id, &ListFilter::default(), None, 10).await.expect("list").is_empty());
        assert!(engine.vault.search(other.id, "secret", 10).await.expect("search").ids.is_empty());
        assert!(matches!(engine.vault.create_owner(&other, &entry("owner.create")).await, Err(VaultError::Exists { .. })));
    })
    .await;
}
