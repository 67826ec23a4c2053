//! What an incremental may stand on: a snapshot that the live vault goes on from, in a repository that lost nothing.

use keepsake_record::layout::{DayPath, ShardPrefix};
use keepsake_repository::{Id, Repository};
use keepsake_vault::{CatalogueRow, Head};

use crate::{BackupKind, Custody, CustodyResult, LAYOUT_VERSION, copies::Copy, render::ParentDays};

/// More changes than this since the parent are read faster by a full backup.
const CHANGES_MAX: u64 = 200_000;

/// What an incremental stands on.
pub(crate) struct Parent {
    pub row: CatalogueRow,
    pub tree: Id,
}

/// Reads a day's files from the parent's tree.
pub(crate) struct RepositoryDays<'r> {
    pub repository: &'r Repository,
    pub tree: Id,
}

impl ParentDays for RepositoryDays<'_> {
    fn leaves(&self, day: &DayPath) -> CustodyResult<Vec<ShardPrefix>> {
        let mut leaves = Vec::new();
        if self.repository.node_at(&self.tree, &format!("data/{}", day.file(&ShardPrefix::ROOT)))?.is_some() {
            leaves.push(ShardPrefix::ROOT);
        }
        if let Some(split) = self.repository.node_at(&self.tree, &format!("data/{}", day.folder()))?.and_then(|n| n.subtree) {
            let tree = self.repository.tree(&split)?;
            leaves
                .extend(tree.nodes.iter().filter_map(|n| ShardPrefix::parse(std::str::from_utf8(&n.name).ok()?.strip_suffix(".ndjson")?)));
        }
        Ok(leaves)
    }
}

impl Custody {
    /// The newest snapshot that the live vault still goes on from: same line of history, and its mark at its number.
    pub(crate) async fn find_parent(
        &self,
        copy: &Copy,
        snapshot: &mut keepsake_vault::Snapshot,
        head: &Head,
        known: &[CatalogueRow],
        asked: BackupKind,
    ) -> CustodyResult<(Option<Parent>, Option<String>)> {
        let mut candidates: Vec<&CatalogueRow> =
            known.iter().filter(|r| r.lineage == head.lineage && (asked != BackupKind::Differential || r.kind == "full")).collect();
        candidates.sort_by_key(|row| std::cmp::Reverse((row.seq, row.at)));
        let Some(newest) = candidates.first() else {
            return Ok((
                None,
                Some(if known.is_empty() {
                    "it is the first one".into()
                } else {
                    "the vault's history is another one than the backups'".into()
                }),
            ));
        };
        let mut reason = None;
        for row in candidates.iter().take(50) {
            if row.layout != LAYOUT_VERSION {
                reason.get_or_insert_with(|| "the layout of backups has changed".to_owned());
                continue;
            }
            let same = row.seq <= head.seq && (row.seq == 0 || snapshot.mark_at(row.seq).await?.as_ref() == Some(&row.mark));
            if !same {
                reason.get_or_insert_with(|| "the vault is an older or another copy than the one that was backed up last".to_owned());
                continue;
            }
            if head.seq - row.seq > CHANGES_MAX {
                return Ok((None, Some(format!("{} changes are read faster all at once", head.seq - row.seq))));
            }
            let (Ok(id), Ok(tree)) = (row.snapshot.parse::<Id>(), row.tree.parse::<Id>()) else { continue };
            if !copy.repository.snapshot(&id).is_ok_and(|s| s.tree == tree) {
                reason.get_or_insert_with(|| "the last snapshot is no longer in the repository".to_owned());
            } else if let Err(error) = copy.repository.tree(&tree) {
                reason.get_or_insert_with(|| format!("the last snapshot cannot be read: {error}"));
            } else {
                return Ok((Some(Parent { row: (*row).clone(), tree }), if row.snapshot == newest.snapshot { None } else { reason }));
            }
        }
        Ok((None, reason))
    }
}
