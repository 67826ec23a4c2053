//! Many writers at once, also where the database ends transactions for each other's sake (SQLSTATE 40001).

use futures::future::join_all;
use keepsake_vault::{VaultError, again};

use crate::engines::{entry, memory, on_each_serializable};

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_each_other_lose_nothing() {
    on_each_serializable(async |engine| {
        let before = engine.vault.head(engine.owner).await.expect("head").seq;
        let writers = (0..8_u32).map(|writer| async move {
            for number in 0..10 {
                let put = async || {
                    let mut write = engine.vault.write(engine.owner, "test").await?;
                    write.put_memory(&memory(writer * 100 + number, "2024-03-17", "beside others")).await?;
                    write.commit(&entry("memory.put")).await
                };
                again(put, VaultError::is_contended).await.expect("in the end it is written");
            }
        });
        join_all(writers).await;
        let mut snapshot = engine.vault.snapshot(engine.owner).await.expect("snapshot");
        let seqs: Vec<u64> = snapshot.changes(before, u64::MAX >> 1).await.expect("changes").iter().map(|c| c.seq).collect();
        assert_eq!(seqs, (before + 1..=before + 80).collect::<Vec<_>>(), "{}", engine.name);
        assert_eq!(snapshot.head.memories, 80, "{}", engine.name);
    })
    .await;
}

/// Of many that ask for one lease at once, one gets it, and the others are told who; nobody meets an error of the database.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_gets_a_lease() {
    on_each_serializable(async |engine| {
        for round in 0..5 {
            let name = format!("round {round}");
            let asked = join_all((0..8).map(|n| {
                let (vault, name) = (&engine.vault, &name);
                async move { again(async || vault.lease(name, &format!("process {n}")).await, VaultError::is_contended).await }
            }));
            let asked = asked.await;
            assert_eq!(asked.iter().filter(|lease| lease.is_ok()).count(), 1, "{} {name}", engine.name);
            for refused in asked.iter().filter_map(|lease| lease.as_ref().err()) {
                assert!(matches!(refused, VaultError::Held { .. }), "{} {name}: {refused}", engine.name);
            }
        }
    })
    .await;
}
