//! States that have passed: whatever is written later, they read as they were, page by page.

use std::collections::BTreeMap;

use keepsake_record::{Memory, When, layout::DayPath};
use keepsake_testing::Dice;
use keepsake_vault::{AsOf, Moment, PastRow, VaultError};

use crate::engines::{Engine, entry, memory, on_each};

const DAYS: [&str; 4] = ["2024-01-31", "2024-02-01", "1978-06-05", ""];

/// One random change.
async fn change(engine: &Engine, dice: &mut Dice) {
    let number = dice.below(30) as u32;
    let mut other = memory(number, DAYS[dice.below(4)], &format!("text {}", dice.below(1000)));
    // A few that are long, so that there are several pages.
    if dice.below(4) == 0 {
        other.text = "x".repeat(700 << 10);
    }
    let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
    let is_here = write.memory(&other.id).await.expect("asked").is_some();
    // What cannot be done as things stand is no change.
    match dice.below(8) {
        0..=3 => drop(write.put_memory(&other).await.expect("put")),
        4 if is_here => drop(write.trash_memory(&other.id).await),
        5 if is_here => drop(write.untrash_memory(&other.id).await),
        6 if is_here => drop(write.delete_memory(&other.id).await),
        _ => {}
    }
    write.commit(&entry("test")).await.expect("commit");
}

/// What is live, as the tables have it now.
async fn live(engine: &Engine) -> (Moment, BTreeMap<String, String>) {
    let mut snapshot = engine.vault.snapshot(engine.owner).await.expect("snapshot");
    let mut live = BTreeMap::new();
    for day in DAYS {
        let day = DayPath::new(day.parse().ok());
        for row in snapshot.day_rows(day, keepsake_record::layout::ShardPrefix::ROOT).await.expect("rows") {
            live.insert(row.id, row.record);
        }
    }
    (snapshot.head.moment(), live)
}

async fn all(state: &mut AsOf) -> Vec<PastRow> {
    let mut rows = Vec::new();
    loop {
        let page = state.memories().await.expect("a page");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

fn is_in_order(rows: &[PastRow]) -> bool {
    let spot = |row: &PastRow| (row.day.day().is_none(), row.day.day(), row.shard, row.id.clone());
    rows.windows(2).all(|pair| spot(&pair[0]) < spot(&pair[1]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_reads_as_it_was() {
    let seed = keepsake_testing::number("KEEPSAKE_TEST_SEED", 7);
    println!("seed {seed}");
    on_each(async |engine| {
        let mut dice = Dice(seed);
        let mut moments = Vec::new();
        for _ in 0..6 {
            for _ in 0..dice.below(40) {
                change(engine, &mut dice).await;
            }
            moments.push(live(engine).await);
        }
        for (moment, expected) in &moments {
            let mut state = engine.vault.as_of(engine.owner, moment.clone());
            // Writers go on between two pages.
            let mut rows = state.memories().await.expect("a page");
            change(engine, &mut dice).await;
            rows.extend(all(&mut state).await);
            assert!(is_in_order(&rows), "{}", engine.name);
            let found: BTreeMap<String, String> = rows.iter().map(|row| (row.id.clone(), row.record.clone())).collect();
            assert_eq!((found.len(), &found), (rows.len(), expected), "{} at {}", engine.name, moment.seq);
            for day in DAYS {
                let day = DayPath::new(day.parse().ok());
                state.seek(day);
                let rest =
                    rows.iter().position(|row| (row.day.day().is_none(), row.day) >= (day.day().is_none(), day)).unwrap_or(rows.len());
                assert_eq!(all(&mut state).await, rows[rest..], "{} from {day}", engine.name);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_since_is_not_there_and_known() {
    on_each(async |engine| {
        let (one, two) = (memory(1, "2024-03-17", "one"), memory(2, "", "two"));
        for memory in [&one, &two] {
            engine.put(memory).await;
        }
        let moment = engine.vault.head(engine.owner).await.expect("head").moment();
        let mut before = engine.vault.as_of(engine.owner, moment.clone());
        // Its version of then is known before it is erased.
        engine.put(&Memory { when: When::default(), ..one.clone() }).await;
        before.catch_up().await.expect("read");
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        write.trash_memory(&one.id).await.expect("trash");
        assert!(write.redact_memory(&one.id).await.expect("redact"));
        write.commit(&entry("test")).await.expect("commit");
        for state in [&mut before, &mut engine.vault.as_of(engine.owner, moment)] {
            assert_eq!(all(state).await.into_iter().map(|row| row.id).collect::<Vec<_>>(), [two.id.to_string()]);
            assert!(state.erased().iter().eq([&one.id]));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_has_no_such_moment() {
    on_each(async |engine| {
        engine.put(&memory(1, "2024-03-17", "one")).await;
        let moment = engine.vault.head(engine.owner).await.expect("head").moment();
        let others = [
            Moment { mark: "another".into(), ..moment.clone() },
            Moment { lineage: "another".into(), ..moment.clone() },
            Moment { seq: moment.seq + 1, ..moment },
        ];
        for other in others {
            let error = engine.vault.as_of(engine.owner, other).memories().await.expect_err("no such moment");
            assert!(matches!(error, VaultError::Passed { .. }), "{error}");
        }
    })
    .await;
}
