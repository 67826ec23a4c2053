//! What changes make of the bundle: the files that they touch, and no others.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{
    Entity,
    layout::{self, DayPath, SEGMENT_CHANGES, ShardPrefix},
};
use keepsake_vault::Touched;

use super::{Body, Rendered, Renderer, SMALL_FILES, day_spans};
use crate::CustodyResult;

impl Renderer {
    /// What the changes after `seq` make of the bundle. `parent` tells which files a day had; `debts` are paths to write
    /// again whatever the changes say.
    pub async fn changed(&mut self, seq: u64, parent: &dyn ParentDays, debts: &BTreeSet<String>) -> CustodyResult<Vec<Rendered>> {
        let mut touched = self.state().await?.touched_since(seq).await?;
        let mut out: BTreeMap<String, Rendered> = BTreeMap::new();
        let mut add = |rendered: Rendered| drop(out.insert(rendered.path.clone(), rendered));
        self.debts(debts, &mut touched);
        add(self.header().await?);
        if touched.files.contains("owner.json") {
            add(self.owner_file());
        }
        for (entity, path) in SMALL_FILES {
            if touched.files.contains(path) {
                add(self.entity_file(entity, None, path).await?);
            }
        }
        for path in touched.files.iter().filter(|p| p.starts_with("insights/")) {
            let name = path.strip_prefix("insights/").and_then(|p| p.strip_suffix(".ndjson")).unwrap_or_default();
            add(self.entity_file(Entity::Insight, Some(name), path).await?);
        }
        for (day, keys) in &touched.days {
            for rendered in self.changed_day(*day, keys, parent).await? {
                add(rendered);
            }
        }
        let mut history_media = touched.history_media;
        for path in &touched.media {
            let digest = self.state().await?.medium_at(path).await?;
            history_media.extend(digest);
            add(Rendered { path: format!("data/{path}"), body: digest.map_or(Body::Gone, Body::Medium) });
        }
        for digest in history_media {
            let body = if self.state().await?.only_in_history(&digest).await? { Body::Medium(digest) } else { Body::Gone };
            add(Rendered { path: format!("history/{}", layout::history_media_path(&digest)), body });
        }
        add(self.history_head().await?);
        let sealed = self.head.seq / SEGMENT_CHANGES;
        for segment in seq / SEGMENT_CHANGES..sealed {
            add(self.segment(segment).await?);
        }
        add(self.tail().await?);
        Ok(out.into_values().collect())
    }

    fn debts(&self, debts: &BTreeSet<String>, touched: &mut Touched) {
        for path in debts {
            if let Some(digest) = path.strip_prefix("history/media/").and_then(|d| d.parse().ok()) {
                touched.history_media.insert(digest);
            } else if let Some(path) = path.strip_prefix("data/media/") {
                touched.media.insert(format!("media/{path}"));
            }
        }
    }

    /// The files of a day that hold touched memories, and the ones that go because the day was cut anew.
    async fn changed_day(&mut self, day: DayPath, keys: &BTreeSet<u64>, parent: &dyn ParentDays) -> CustodyResult<Vec<Rendered>> {
        let before = parent.leaves(&day)?;
        let mut out = Vec::new();
        let mut nodes = vec![ShardPrefix::ROOT];
        while let Some(node) = nodes.pop() {
            let (low, high) = node.range();
            let covered = before.iter().any(|leaf| leaf.depth() < node.depth() && leaf.contains(low));
            if !covered && !node.is_root() && keys.range(low..=high).next().is_none() {
                // Nothing below was touched and its files are files of its own: they are as they were.
                continue;
            }
            let limit = self.limits.memories_max + 1;
            let (count, bytes) = self.state().await?.measure(day, node, limit).await?;
            if count > 0 && !layout::is_leaf(count, bytes, node.depth(), self.limits) {
                if before.contains(&node) {
                    out.push(Rendered { path: format!("data/{}", day.file(&node)), body: Body::Gone });
                }
                nodes.extend([node.child(true), node.child(false)]);
                continue;
            }
            let rows = if count > 0 { self.state().await?.day_rows(day, node).await? } else { Vec::new() };
            out.push(Rendered::spans(format!("data/{}", day.file(&node)), day_spans(&rows)));
            let below = before.iter().filter(|leaf| leaf.depth() > node.depth() && node.contains(leaf.range().0));
            out.extend(below.map(|leaf| Rendered { path: format!("data/{}", day.file(leaf)), body: Body::Gone }));
        }
        Ok(out)
    }
}

/// Which files a day has in the parent snapshot.
pub(crate) trait ParentDays: Send + Sync {
    /// The prefixes of the day's files; the root alone when it is one file.
    fn leaves(&self, day: &DayPath) -> CustodyResult<Vec<ShardPrefix>>;
}
