//! What a backup reads of the vault, in rows: what changed decides it, not how much there is.

use std::fmt::Write;

use keepsake_custody::{BackupKind, ListFilter, MemoryEdit};
use keepsake_record::layout::{SEGMENT_CHANGES, ShardLimits};

use crate::support::home;

const A_DAY: u32 = 40;
const EDITS: usize = 10;

/// Edits one memory on each of ten days; answers how many rows the next backup reads.
async fn rows_after_edits(memories: u32) -> u64 {
    let home = home().await;
    let mut lines = String::new();
    for number in 0..memories {
        let day = number / A_DAY;
        let date = format!("{}-{:02}-{:02}", 2000 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
        writeln!(lines, "{{\"id\":\"{number}\",\"date\":\"{date}\",\"text\":\"line {number}\"}}").expect("text");
    }
    let path = home.folder.path().join("lines.ndjson");
    std::fs::write(&path, lines).expect("written");
    home.import(&path).await;
    let full = home.backup(BackupKind::Incremental).await;
    assert!(full.rows_read > u64::from(memories), "a full backup reads everything: {}", full.rows_read);
    let listed = home.custody.list_memories(home.owner, &ListFilter::default(), None, memories).await.expect("list");
    assert_eq!(listed.len(), memories as usize);
    for row in listed.iter().step_by(A_DAY as usize).take(EDITS) {
        let edit = MemoryEdit { text: Some("edited".into()), ..MemoryEdit::default() };
        home.custody.edit_memory(home.owner, &row.memory.id.to_string(), &edit).await.expect("edit");
    }
    let report = home.backup(BackupKind::Incremental).await;
    assert_eq!((report.kind, report.files_read as usize), (BackupKind::Incremental, EDITS + 3), "the days, both heads, the open end");
    report.rows_read
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_read_are_bounded_by_what_was_edited() {
    // Both leave about as much in the journal's open end, which is read whole.
    let segment = SEGMENT_CHANGES as u32;
    let (small, large) = (rows_after_edits(segment + 40).await, rows_after_edits(2 * segment + 40).await);
    // The days with an edit, the journal's open end, and some heads.
    let most = u64::from(A_DAY) * EDITS as u64 + 40 + 2 * EDITS as u64 + 60;
    assert!(most <= (ShardLimits::FORMAT.memories_max * EDITS) as u64);
    assert!(small <= most && large <= most, "{small} and {large} rows for {EDITS} edits, {most} at most");
    assert!(small.abs_diff(large) <= u64::from(A_DAY), "{small} rows in a small vault, {large} in one twice as large");
}
