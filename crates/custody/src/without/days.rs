//! One day of a bundle without some of its memories: the files that stay are the ones that a vault without them has.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{
    Memory, MemoryId,
    layout::{self, ShardLimits, ShardPrefix},
};
use serde::Deserialize;

use crate::render::memory_spans;

/// One file of a day, read as far as it is needed.
pub(crate) struct Shard<N> {
    /// Where to read it; `None` once it has changed.
    pub node: Option<N>,
    /// Its length.
    pub bytes: u64,
    lines: Option<Vec<Line>>,
}

impl<N> Shard<N> {
    pub fn new(node: N, bytes: u64) -> Self {
        Self { node: Some(node), bytes, lines: None }
    }
}

struct Line {
    id: MemoryId,
    text: Vec<u8>,
}

#[derive(Deserialize)]
struct OnlyId {
    id: MemoryId,
}

/// What becomes of a day.
#[derive(Debug, Default)]
pub(crate) struct DayWithout {
    /// The files that change: their spans, or nothing for those that go.
    pub files: BTreeMap<ShardPrefix, Option<Vec<Vec<u8>>>>,
    /// The memories that went.
    pub gone: Vec<Memory>,
}

fn read_lines(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let line = |text: &[u8]| {
        let OnlyId { id } = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        Ok(Line { id, text: text.to_vec() })
    };
    bytes.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).map(line).collect()
}

/// Takes memories out of a day. `hits` are the files that may hold one of them.
///
/// # Errors
/// `read` fails, or a file does not hold memories.
pub(crate) fn without<N, E>(
    mut shards: BTreeMap<ShardPrefix, Shard<N>>,
    hits: &[ShardPrefix],
    ids: &BTreeSet<MemoryId>,
    limits: ShardLimits,
    read: &dyn Fn(&N) -> Result<Vec<u8>, E>,
    unusable: &dyn Fn(String) -> E,
) -> Result<DayWithout, E> {
    let before: BTreeSet<ShardPrefix> = shards.keys().copied().collect();
    let mut day = DayWithout::default();
    for hit in hits {
        let Some(shard) = shards.get_mut(hit) else { continue };
        let lines = load(shard, read, unusable)?;
        let (gone, kept): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| ids.contains(&line.id));
        for line in &gone {
            day.gone.push(serde_json::from_slice(&line.text).map_err(|e| unusable(e.to_string()))?);
        }
        if !gone.is_empty() {
            shard.node = None;
        }
        shard.bytes = kept.iter().map(|line| line.text.len() as u64 + 1).sum();
        shard.lines = Some(kept);
    }
    if day.gone.is_empty() {
        return Ok(day);
    }
    for hit in hits {
        join_upwards(&mut shards, *hit, limits, read, unusable)?;
    }
    for (prefix, shard) in &shards {
        let (None, Some(lines)) = (&shard.node, &shard.lines) else { continue };
        let spans = memory_spans(lines.iter().map(|line| (&line.id, line.text.as_slice())));
        day.files.insert(*prefix, Some(spans).filter(|spans| !spans.is_empty()));
    }
    let vanished = before.into_iter().filter(|prefix| !shards.contains_key(prefix));
    day.files.extend(vanished.map(|prefix| (prefix, None)));
    Ok(day)
}

fn load<N, E>(shard: &mut Shard<N>, read: &dyn Fn(&N) -> Result<Vec<u8>, E>, unusable: &dyn Fn(String) -> E) -> Result<Vec<Line>, E> {
    match (shard.lines.take(), &shard.node) {
        (Some(lines), _) => Ok(lines),
        (None, Some(node)) => read_lines(&read(node)?).map_err(unusable),
        (None, None) => Ok(Vec::new()),
    }
}

/// Joins a file with its neighbours as long as what is left of them fits into one.
fn join_upwards<N, E>(
    shards: &mut BTreeMap<ShardPrefix, Shard<N>>,
    from: ShardPrefix,
    limits: ShardLimits,
    read: &dyn Fn(&N) -> Result<Vec<u8>, E>,
    unusable: &dyn Fn(String) -> E,
) -> Result<(), E> {
    if !shards.contains_key(&from) {
        // It was joined with a neighbour of which something went, too.
        return Ok(());
    }
    let mut at = from;
    while let Some(above) = at.parent() {
        let below: Vec<ShardPrefix> = shards.keys().filter(|p| p.depth() > above.depth() && above.contains(p.range().0)).copied().collect();
        // Each file that is not empty holds at least one memory: too many of them, or too long, and none need be read.
        let filled = below.iter().filter(|p| shards[p].bytes > 0).count();
        let bytes: u64 = below.iter().map(|p| shards[p].bytes).sum();
        if filled > 1 && (filled > limits.memories_max || bytes > limits.bytes_max) {
            return Ok(());
        }
        let mut count = 0;
        for prefix in &below {
            let shard = shards.get_mut(prefix).expect("listed just now");
            let lines = load(shard, read, unusable)?;
            count += lines.len();
            shard.lines = Some(lines);
        }
        if !layout::is_leaf(count, bytes, above.depth(), limits) {
            return Ok(());
        }
        let mut lines: Vec<Line> =
            below.iter().filter_map(|p| shards.remove(p)).flat_map(|shard| shard.lines.unwrap_or_default()).collect();
        lines.sort_unstable_by_key(|line| line.id.to_string());
        shards.insert(above, Shard { node: None, bytes, lines: Some(lines) });
        at = above;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ShardLimits = ShardLimits { memories_max: 4, bytes_max: 2000 };

    fn memory(number: u8) -> (MemoryId, Vec<u8>) {
        let id = MemoryId::from_parts(0, [number; 10]);
        let mut memory = Memory::new(id, keepsake_record::Timestamp::from_micros(0).expect("1970"));
        memory.text = "x".repeat(usize::from(number) * 13 % 700);
        (id, keepsake_record::canonical_line(&memory))
    }

    /// The files that the format makes of a day.
    fn files(memories: &BTreeMap<MemoryId, Vec<u8>>) -> BTreeMap<ShardPrefix, Vec<u8>> {
        let mut sorted: Vec<_> = memories.iter().collect();
        sorted.sort_by_key(|(id, _)| id.to_string());
        let keys: Vec<_> = sorted.iter().map(|(id, line)| (layout::shard_key(id), line.len() as u64 + 1)).collect();
        let file = |members: Vec<usize>| members.iter().flat_map(|at| [sorted[*at].1.as_slice(), b"\n"].concat()).collect();
        layout::split(&keys, LIMITS).into_iter().map(|(prefix, members)| (prefix, file(members))).collect()
    }

    proptest! {
        #[test]
        fn what_stays_is_what_a_vault_without_them_has(
            numbers in prop::collection::btree_set(any::<u8>(), 0..60),
            going in prop::collection::btree_set(any::<u8>(), 0..40),
        ) {
            let all: BTreeMap<MemoryId, Vec<u8>> = numbers.iter().map(|n| memory(*n)).collect();
            let ids: BTreeSet<MemoryId> = going.iter().map(|n| memory(*n).0).collect();
            let before = files(&all);
            let kept: BTreeMap<MemoryId, Vec<u8>> = all.iter().filter(|(id, _)| !ids.contains(id)).map(|(id, line)| (*id, line.clone())).collect();
            let shards = before.iter().map(|(prefix, file)| (*prefix, Shard::new(file.clone(), file.len() as u64))).collect();
            let hits: Vec<ShardPrefix> = before.keys().copied().collect();
            let read = |file: &Vec<u8>| Ok::<_, String>(file.clone());
            let day = without(shards, &hits, &ids, LIMITS, &read, &|problem| problem).expect("memories");
            let mut after = before.clone();
            for (prefix, spans) in &day.files {
                match spans {
                    Some(spans) => drop(after.insert(*prefix, spans.concat())),
                    None => drop(after.remove(prefix)),
                }
            }
            prop_assert_eq!(day.gone.len(), all.len() - kept.len());
            prop_assert_eq!(after, files(&kept));
        }
    }
}
