//! Lines joined into spans, cut where the format says, and the times that nodes show: functions of the content alone.

use keepsake_record::{MemoryId, layout};
use keepsake_vault::DayFileRow;
use sha2::{Digest, Sha256};

/// The time that a node of the tree shows: a function of its path, because what it holds is not when it was made.
pub(crate) fn node_time(path: &str) -> String {
    let mut parts = path.split('/').skip(2);
    let date = match (parts.next(), parts.next(), parts.next()) {
        (Some(year), Some(month), name) if year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) && month.len() == 2 => {
            let day = name.and_then(|n| n.get(8..10)).filter(|_| path.starts_with("data/memories/")).unwrap_or("01");
            format!("{year}-{month}-{day}")
        }
        _ => "2000-01-01".into(),
    };
    format!("{date}T00:00:00Z")
}

/// Joins lines into spans, cut where the format says.
fn cut<'a>(lines: impl Iterator<Item = (u64, &'a [u8])>) -> Vec<Vec<u8>> {
    let mut spans = Vec::new();
    let mut span = Vec::new();
    for (key, line) in lines {
        span.extend_from_slice(line);
        span.push(b'\n');
        if layout::cuts_after(key, span.len()) {
            spans.push(std::mem::take(&mut span));
        }
    }
    if !span.is_empty() {
        spans.push(span);
    }
    spans
}

/// The spans of a file of memories: ids and lines without newlines, in the file's order.
pub(crate) fn memory_spans<'a>(lines: impl Iterator<Item = (&'a MemoryId, &'a [u8])>) -> Vec<Vec<u8>> {
    cut(lines.map(|(id, line)| (layout::shard_key(id), line)))
}

/// As [`memory_spans`], for rows of the vault, which keep their keys.
pub(crate) fn day_spans(rows: &[DayFileRow]) -> Vec<Vec<u8>> {
    cut(rows.iter().map(|row| (row.shard, row.record.as_bytes())))
}

/// The spans of a file of small things: ids and lines.
pub(crate) fn entity_spans<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<Vec<u8>> {
    let key = |id: &str| {
        let digest = Sha256::digest(id.as_bytes());
        u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    };
    cut(lines.map(|(id, line)| (key(id), line)))
}

/// The spans of a file of the journal: numbers of changes and lines.
pub(crate) fn change_spans<'a>(lines: impl Iterator<Item = (u64, &'a [u8])>) -> Vec<Vec<u8>> {
    cut(lines.map(|(seq, line)| (change_key(seq), line)))
}

/// The key of a change, by which the journal is cut.
pub(crate) fn change_key(seq: u64) -> u64 {
    u64::from(!seq.is_multiple_of(64))
}
