//! Memories in the order of shards, gathered into the files of their day as they come: no more of a day is held than fits one file.

use std::collections::VecDeque;

use keepsake_record::layout::{self, DayPath, ShardLimits, ShardPrefix};
use keepsake_vault::PastRow;

/// The memories of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub day: DayPath,
    pub path: String,
    pub rows: Vec<PastRow>,
}

/// Cuts days into files.
pub(super) struct Leaves {
    limits: ShardLimits,
    day: Option<DayPath>,
    /// Nodes of the day's trie that are to come; the last is the one that rows belong to now.
    nodes: Vec<ShardPrefix>,
    rows: VecDeque<PastRow>,
    bytes: u64,
    ready: VecDeque<Leaf>,
}

impl Leaves {
    pub fn new(limits: ShardLimits) -> Self {
        Self { limits, day: None, nodes: Vec::new(), rows: VecDeque::new(), bytes: 0, ready: VecDeque::new() }
    }

    /// Takes the next memory: days in their order, those of a day in the order of shards.
    pub fn push(&mut self, row: PastRow) {
        if self.day != Some(row.day) {
            self.finish();
            self.day = Some(row.day);
            self.nodes = vec![ShardPrefix::ROOT];
        }
        self.bytes += length(&row);
        self.rows.push_back(row);
        self.settle(false);
    }

    /// That was all.
    pub fn finish(&mut self) {
        self.settle(true);
    }

    /// A file that is whole.
    pub fn pop(&mut self) -> Option<Leaf> {
        self.ready.pop_front()
    }

    /// Lets go of the files that are known: those that the last memory is behind, or that no more memories come for.
    fn settle(&mut self, is_end: bool) {
        while let (Some(node), Some(last)) = (self.nodes.last().copied(), self.rows.back()) {
            let is_behind = !node.contains(last.shard);
            let fits = self.rows.len() <= self.limits.memories_max && self.bytes <= self.limits.bytes_max;
            if !is_end && !is_behind && fits {
                return;
            }
            let (_, high) = node.range();
            let inside = self.rows.partition_point(|row| row.shard <= high);
            let bytes = self.rows.iter().take(inside).map(length).sum();
            if !layout::is_leaf(inside, bytes, node.depth(), self.limits) {
                self.nodes.pop();
                self.nodes.extend([node.child(true), node.child(false)]);
            } else if is_end || is_behind {
                self.nodes.pop();
                self.bytes -= bytes;
                self.emit(node, inside);
            } else {
                // A single memory that is longer than a file may be waits for the next one.
                return;
            }
        }
    }

    fn emit(&mut self, node: ShardPrefix, count: usize) {
        let Some(day) = self.day.filter(|_| count > 0) else { return };
        let mut rows: Vec<PastRow> = self.rows.drain(..count).collect();
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.ready.push_back(Leaf { day, path: day.file(&node), rows });
    }
}

/// Its bytes in a file.
fn length(row: &PastRow) -> u64 {
    row.record.len() as u64 + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(day: u8, shard: u64, length: usize) -> PastRow {
        let day = DayPath::new(Some(format!("2024-01-{day:02}").parse().expect("a day")));
        PastRow { day, shard, id: format!("{shard:016x}"), record: "x".repeat(length) }
    }

    proptest! {
        #[test]
        fn files_are_those_of_the_layout(
            memories in prop::collection::btree_set((1..4_u8, prop_oneof![any::<u64>(), 0..40_u64], 0..300_usize), 0..60),
            memories_max in 1..6_usize,
        ) {
            let limits = ShardLimits { memories_max, bytes_max: 500 };
            let rows: Vec<PastRow> = memories.into_iter().map(|(day, shard, length)| row(day, shard, length)).collect();
            let mut leaves = Leaves::new(limits);
            rows.iter().cloned().for_each(|row| leaves.push(row));
            leaves.finish();
            let found: Vec<(String, Vec<String>)> =
                std::iter::from_fn(|| leaves.pop()).map(|leaf| (leaf.path, leaf.rows.into_iter().map(|row| row.id).collect())).collect();
            let mut expected = Vec::new();
            for day in [1, 2, 3].map(|day| row(day, 0, 0).day) {
                let of_day: Vec<&PastRow> = rows.iter().filter(|row| row.day == day).collect();
                let keys: Vec<(u64, u64)> = of_day.iter().map(|row| (row.shard, length(row))).collect();
                for (prefix, members) in layout::split(&keys, limits) {
                    let mut ids: Vec<String> = members.into_iter().map(|at| of_day[at].id.clone()).collect();
                    ids.sort();
                    expected.push((day.file(&prefix), ids));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
