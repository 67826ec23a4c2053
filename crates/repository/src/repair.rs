//! Repair: what can still be read of damaged packs is put into new ones, and the index says again what is there.
//!
//! What is lost is then in no index, so that the next full backup adds it again as far as its source still has it. Snapshots
//! are not touched: those that need what is lost are named by a check.

use std::collections::{BTreeSet, HashMap, HashSet};

use keepsake_storage::StoreError;
use serde::Serialize;

use crate::{
    BlobKind, Id, LockKind, Monitor, Repository, RepositoryError, RepositoryResult, Snapshot, index_file,
    pack::{self, PackedBlob},
    repository::object,
    usage::Blobs,
    writer::Writer,
};

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Packs that no index named, or not as they are, and that the new one does.
    pub packs_found: u64,
    /// Packs that could not be read at all, perhaps for now: they stay, and no index names them.
    pub packs_unreadable: u64,
    /// Packs that the index named and that are gone from the store.
    pub packs_missing: u64,
    /// Damaged packs whose readable blobs were put into new ones; they are removed.
    pub packs_salvaged: u64,
    /// Blobs that were put into new packs.
    pub blobs_salvaged: u64,
    /// Blobs that are lost: of content and of trees.
    pub blobs_lost: u64,
    /// Index files that could not be read; they are removed.
    pub indexes_removed: u64,
}

/// What becomes of the packs of a store.
#[derive(Default)]
struct Sorted {
    /// Whole, with what is in them.
    whole: Vec<(Id, Vec<PackedBlob>)>,
    /// Those of the whole ones that were read to their end just now.
    read: HashSet<(BlobKind, Id)>,
    /// Damaged: with what can be read of them.
    damaged: Vec<(Id, Vec<PackedBlob>)>,
    lost: HashSet<(BlobKind, Id)>,
}

impl Repository {
    /// Repairs packs and index, alone. `suspects` are packs in which a check found damage; packs that no index names or that
    /// have another length than it says are looked at as well.
    ///
    /// # Errors
    /// Others work on the repository and do not end, or the store fails. Cut off anywhere, nothing that could be read before
    /// is gone, and doing it again ends the work.
    pub fn repair(&self, suspects: &BTreeSet<Id>, monitor: &dyn Monitor) -> RepositoryResult<RepairReport> {
        self.refuse_if_old()?;
        let lock = self.lock_exclusively(monitor)?;
        let mut report = RepairReport { indexes_removed: self.reload_index()?.len() as u64, ..RepairReport::default() };
        let listed: HashMap<Id, u64> = self.list_ids("data")?.into_iter().collect();
        let old_indexes: Vec<Id> = self.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        let known: HashMap<Id, Vec<PackedBlob>> = self.index.read().expect("no holder panics").by_pack().into_iter().collect();
        let mut sorted = Sorted::default();
        for (id, blobs) in known.iter().filter(|(id, _)| !listed.contains_key(*id)) {
            report.packs_missing += 1;
            sorted.lost.extend(blobs.iter().map(|blob| (blob.kind, blob.id)));
            monitor.problem("repair", &format!("pack {} is missing", id.short()));
        }
        monitor.stage("looking at packs", Some(listed.len() as u64), None);
        for (id, bytes) in &listed {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            let indexed = known.get(id).filter(|blobs| pack::length(blobs) == *bytes && !suspects.contains(id));
            match indexed {
                Some(blobs) => sorted.whole.push((*id, blobs.clone())),
                None => self.examine(id, known.get(id), &mut sorted, &mut report, monitor)?,
            }
            monitor.advance(1, 0);
        }
        let readable: HashSet<(BlobKind, Id)> =
            sorted.whole.iter().chain(&sorted.damaged).flat_map(|(_, blobs)| blobs.iter().map(|b| (b.kind, b.id))).collect();
        report.blobs_lost = sorted.lost.difference(&readable).count() as u64;
        let nothing_to_do = report == RepairReport::default();
        if nothing_to_do {
            return Ok(report);
        }
        let writer = Writer::new(self, &lock);
        let salvaged = self.salvage(&writer, &sorted, &mut report).and_then(|()| writer.settle()).and_then(|()| lock.assert_held());
        if let Err(error) = salvaged {
            writer.abandon();
            return Err(error);
        }
        // What was salvaged is in an index of its own before the old ones go.
        writer.finish()?;
        index_file::write_all(self, &sorted.whole)?;
        lock.assert_held()?;
        for id in &old_indexes {
            self.store.delete(&object("index", id))?;
        }
        for (id, _) in &sorted.damaged {
            lock.assert_held()?;
            self.store.delete(&object("data", id))?;
        }
        self.reload_index()?;
        self.save_index_cache();
        Ok(report)
    }

    /// Writes a snapshot whose file was lost or damaged anew.
    ///
    /// # Errors
    /// Something that its tree needs is in no index, or the store fails.
    pub fn rewrite_lost_snapshot(&self, snapshot: &Snapshot, monitor: &dyn Monitor) -> RepositoryResult<Id> {
        self.refuse_if_old()?;
        let lock = self.lock(LockKind::Shared)?;
        drop(self.reload_index()?);
        self.distrust_bad_packs()?;
        let mut needed = Blobs::new();
        self.add_needed([snapshot.tree], &mut needed, monitor)?;
        self.refuse_if_lost(&needed)?;
        lock.assert_held()?;
        self.write_file("snapshots", &serde_json::to_vec(snapshot).expect("plain strings and numbers"))
    }

    /// Looks into one pack, by its header or, where that does not open, by the index.
    fn examine(
        &self,
        id: &Id,
        indexed: Option<&Vec<PackedBlob>>,
        sorted: &mut Sorted,
        report: &mut RepairReport,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<()> {
        let bytes = match self.store.get(&object("data", id)) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error @ StoreError::Unavailable { .. }) => {
                monitor.problem("repair", &format!("pack {} cannot be read: {error}", id.short()));
                report.packs_unreadable += 1;
                sorted.lost.extend(indexed.into_iter().flatten().map(|blob| (blob.kind, blob.id)));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let header = pack::read_header(*id, &bytes, &self.key).ok();
        let whole = header.is_some() && Id::of(&bytes) == *id;
        let listed = header.as_ref().or(indexed).cloned().unwrap_or_default();
        let readable: Vec<PackedBlob> = listed.iter().copied().filter(|blob| self.open_packed(*id, blob, &bytes).is_ok()).collect();
        if whole && readable.len() == listed.len() {
            let set = |blobs: &[PackedBlob]| blobs.iter().copied().collect::<HashSet<_>>();
            report.packs_found += u64::from(indexed.is_none_or(|indexed| set(indexed) != set(&readable)));
            sorted.read.extend(readable.iter().map(|blob| (blob.kind, blob.id)));
            sorted.whole.push((*id, readable));
            return Ok(());
        }
        let all = listed.iter().chain(indexed.into_iter().flatten()).map(|blob| (blob.kind, blob.id));
        let good: HashSet<(BlobKind, Id)> = readable.iter().map(|blob| (blob.kind, blob.id)).collect();
        sorted.lost.extend(all.filter(|blob| !good.contains(blob)));
        report.packs_salvaged += 1;
        sorted.damaged.push((*id, readable));
        Ok(())
    }

    /// Copies what can be read of damaged packs, unless it is elsewhere.
    fn salvage(&self, writer: &Writer<'_>, sorted: &Sorted, report: &mut RepairReport) -> RepositoryResult<()> {
        // What stands in a pack that nobody read just now may be rotten there: better twice than not at all.
        let mut safe = sorted.read.clone();
        for (id, blobs) in &sorted.damaged {
            let bytes = self.store.get(&object("data", id))?;
            for blob in blobs.iter().filter(|blob| safe.insert((blob.kind, blob.id))) {
                self.open_packed(*id, blob, &bytes)?;
                writer.copy(blob, &bytes[blob.offset as usize..][..blob.length as usize])?;
                report.blobs_salvaged += 1;
            }
        }
        Ok(())
    }
}
