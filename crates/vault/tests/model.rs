//! Random operations against a map: what the vault holds, counts, lists and journals is what the map says.

use std::collections::BTreeMap;

use keepsake_record::{Memory, MemoryId};
use keepsake_testing::Dice;
use keepsake_vault::ListFilter;

use crate::engines::{Engine, entry, memory, on_each};

/// The live version of each memory, or its version in the trash.
type Model = BTreeMap<MemoryId, (Memory, bool)>;

async fn step(engine: &Engine, model: &mut Model, dice: &mut Dice) -> u64 {
    let number = dice.below(12) as u32;
    let days = ["2024-01-01", "2024-01-02", ""];
    let m = memory(number, days[dice.below(3)], &format!("version {}", dice.below(3)));
    let known = model.get(&m.id).cloned();
    let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
    let changed = match (dice.below(4), known) {
        (0, Some((old, false))) => {
            write.trash_memory(&m.id).await.expect("trash");
            model.insert(m.id, (old, true));
            true
        }
        (1, Some((old, true))) => {
            write.untrash_memory(&m.id).await.expect("untrash");
            model.insert(m.id, (old, false));
            true
        }
        (2, Some((_, true))) => {
            write.delete_memory(&m.id).await.expect("delete");
            model.remove(&m.id);
            true
        }
        (_, known) => {
            let changed = write.put_memory(&m).await.expect("put");
            assert_eq!(changed, known.is_none_or(|(old, trashed)| trashed || old != m));
            model.insert(m.id, (m.clone(), false));
            changed
        }
    };
    write.commit(&entry("test")).await.expect("commit");
    u64::from(changed)
}

#[tokio::test(flavor = "multi_thread")]
async fn agrees_with_a_map() {
    let seed = std::env::var("KEEPSAKE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_240_317);
    println!("seed {seed}");
    on_each(async |engine| {
        let (mut model, mut dice, mut seq) = (Model::new(), Dice(seed), 0);
        for i in 0..150 {
            seq += step(engine, &mut model, &mut dice).await;
            let head = engine.vault.head(engine.owner).await.expect("head");
            let live = model.values().filter(|(_, trashed)| !trashed).count() as u64;
            assert_eq!((head.seq, head.memories), (seq, live), "seed {seed}, step {i}, {}", engine.name);
        }
        for trashed in [false, true] {
            let filter = ListFilter { trashed, ..ListFilter::default() };
            let listed: BTreeMap<MemoryId, Memory> = engine
                .vault
                .list(engine.owner, &filter, None, 100)
                .await
                .expect("list")
                .into_iter()
                .map(|r| (r.memory.id, r.memory))
                .collect();
            let wanted: BTreeMap<MemoryId, Memory> =
                model.iter().filter(|(_, (_, t))| *t == trashed).map(|(id, (m, _))| (*id, m.clone())).collect();
            assert_eq!(listed, wanted, "seed {seed}, {}", engine.name);
        }
        let mut snapshot = engine.vault.snapshot(engine.owner).await.expect("snapshot");
        let seqs: Vec<u64> = snapshot.changes(0, u64::MAX >> 1).await.expect("changes").iter().map(|c| c.seq).collect();
        assert_eq!(seqs, (1..=seq).collect::<Vec<_>>(), "seed {seed}");
    })
    .await;
}
