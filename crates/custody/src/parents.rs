//! What an incremental may stand on: a snapshot that the live vault goes on from, in a repository that lost nothing.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use keepsake_record::{
    OwnerId,
    layout::{DayPath, ShardPrefix},
};
use keepsake_repository::{Id, Repository};
use keepsake_vault::{CatalogueRow, Head};

use crate::{
    BackupKind, Custody, CustodyError, CustodyResult, LAYOUT_VERSION,
    copies::{Copy, blocking},
    render::ParentDays,
};

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
            let names = self.repository.tree(&split)?.nodes;
            leaves.extend(names.iter().filter_map(|n| ShardPrefix::parse(std::str::from_utf8(&n.name).ok()?.strip_suffix(".ndjson")?)));
        }
        Ok(leaves)
    }
}

impl Custody {
    /// Loads the index; answers why earlier trees cannot be trusted whole, if packs are damaged or have gone.
    pub(crate) async fn loaded(&self, copy: Copy, asked: BackupKind, expected: bool) -> CustodyResult<(Copy, Option<String>)> {
        let (packs, damaged) = (self.cache_file(&copy, "packs"), self.cache_file(&copy, "damaged"));
        blocking(move || {
            let bad_indexes = copy.repository.load_index()?;
            let known_bad = read_ids(&damaged.with_extension("distrusted"))?;
            let new_bad = read_ids(&damaged)?;
            let missing = if asked == BackupKind::Full { copy.repository.missing_packs()? } else { Vec::new() };
            known_bad.iter().chain(&new_bad).chain(&missing).for_each(|pack| copy.repository.distrust(*pack));
            let again = "everything is read again, and what is missing is added";
            if let Some(error) = bad_indexes.first() {
                return Ok((copy, Some(format!("{error}: {again}"))));
            }
            if !new_bad.is_empty() {
                return Ok((copy, Some(format!("{} packs were found damaged: {again}", new_bad.len()))));
            }
            if !packs.exists() {
                let loss = expected.then(|| format!("nothing is known here of what the repository should hold: {again}"));
                return Ok((copy, loss));
            }
            let now: HashSet<Id> = copy.repository.pack_ids().into_iter().collect();
            let gone = read_ids(&packs)?.iter().filter(|id| !now.contains(id)).count();
            let loss = (gone > 0).then(|| format!("{gone} packs have left the repository's index: {again}"));
            Ok((copy, loss))
        })
        .await
    }

    fn cache_file(&self, copy: &Copy, ending: &str) -> PathBuf {
        self.home.join("cache").join(format!("{}.{ending}", copy.repository.id()))
    }

    /// Remembers which packs the index names, to notice later that some have gone. A full backup has added again what
    /// stood only in damaged packs: they are distrusted still, but are no reason for another one.
    pub(crate) fn remember_packs(&self, copy: &Copy, kind: BackupKind) -> CustodyResult<()> {
        write_ids(&self.cache_file(copy, "packs"), &copy.repository.pack_ids())?;
        let damaged = self.cache_file(copy, "damaged");
        if kind == BackupKind::Full && damaged.exists() {
            let distrusted = damaged.with_extension("distrusted");
            let all: Vec<Id> = read_ids(&distrusted)?.into_iter().chain(read_ids(&damaged)?).collect();
            write_ids(&distrusted, &all)?;
            fs::remove_file(&damaged).map_err(CustodyError::io(&damaged))?;
        }
        Ok(())
    }

    /// Remembers packs that a verification found damaged, so that the next backup adds again what they held.
    pub(crate) async fn remember_damage(&self, owner: OwnerId, packs: &[Id]) -> CustodyResult<()> {
        let Some(copy) = self.copy(Some(owner)).await? else { return Ok(()) };
        let damaged = self.cache_file(&copy, "damaged");
        let known: HashSet<Id> = read_ids(&damaged.with_extension("distrusted"))?.into_iter().collect();
        let fresh: Vec<Id> = packs.iter().filter(|id| !known.contains(id)).copied().collect();
        if fresh.is_empty() { Ok(()) } else { write_ids(&damaged, &fresh) }
    }

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
            let there = copy.repository.snapshot(&id).is_ok_and(|s| s.tree == tree) && copy.repository.tree(&tree).is_ok();
            if there {
                return Ok((Some(Parent { row: (*row).clone(), tree }), if row.snapshot == newest.snapshot { None } else { reason }));
            }
            reason.get_or_insert_with(|| "the last snapshot is no longer in the repository".to_owned());
        }
        Ok((None, reason))
    }
}

/// The ids of a list file; none if there is no file.
fn read_ids(path: &Path) -> CustodyResult<Vec<Id>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CustodyError::io(path)(error)),
    }
}

fn write_ids(path: &Path, ids: &[Id]) -> CustodyResult<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CustodyError::io(folder))?;
    }
    let part = path.with_extension("part");
    let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
    fs::write(&part, text).and_then(|()| fs::rename(&part, path)).map_err(CustodyError::io(path))
}
