//! Pruning: what no snapshot needs any more leaves the store.
//!
//! In two halves, so that backups go on beside the long one. Under the shared lock what is still needed of packs that go is
//! copied into new packs, and indexed. Then, under the exclusive lock and in a short time, what new snapshots need is looked
//! at once more, a new index is written, and the old index and the old packs go, in this order. Cut off anywhere, nothing
//! that a snapshot needs is missing, and the next prune finishes the work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    BlobKind, Id, LockKind, Monitor, Repository, RepositoryError, RepositoryResult, index_file,
    pack::{self, PackedBlob},
    repository::object,
    usage::Blobs,
    writer::Writer,
};

/// Packs that are shorter than this are small: the frequent backups of a vault leave many.
const SMALL_PACK_BYTES: u64 = 4 << 20;
/// So many small packs of one kind are joined.
const SMALL_PACKS_MAX: usize = 16;
/// So many index files are joined.
const INDEX_FILES_MAX: usize = 32;

/// How much waste may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneOptions {
    /// Unneeded bytes that may stay in packs with needed ones, in percent of the needed ones. 0: not one.
    pub max_unused_percent: u32,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { max_unused_percent: 5 }
    }
}

/// Snapshots that must stay recoverable, with their trees: a prune keeps what they need also when somebody removed their files,
/// and does nothing while one of them is not whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected(pub BTreeMap<Id, Id>);

/// What a prune would do. It holds as long as no index file that it was made from is gone; new snapshots do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// The snapshots that were looked at.
    pub snapshots: BTreeSet<Id>,
    /// The index files that were looked at.
    pub indexes: BTreeSet<Id>,
    /// Packs of which nothing is needed.
    pub remove: BTreeSet<Id>,
    /// Packs of which what is needed is copied into new ones.
    pub repack: BTreeSet<Id>,
    /// Packs that no index names.
    pub orphans: BTreeSet<Id>,
    /// Bytes that snapshots need.
    pub needed_bytes: u64,
    /// Bytes that no snapshot needs, orphans not counted.
    pub unused_bytes: u64,
    /// Bytes to copy.
    pub copied_bytes: u64,
    /// Bytes that the store will hold less.
    pub freed_bytes: u64,
    /// Whether many small index files are joined.
    pub joins_indexes: bool,
}

impl PrunePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.repack.is_empty() && self.orphans.is_empty() && !self.joins_indexes
    }
}

/// What a prune did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Packs that are gone.
    pub packs_removed: u64,
    /// Packs that were written.
    pub packs_written: u64,
    /// Index files that are gone.
    pub indexes_removed: u64,
    /// Packs that stayed because a snapshot came that needs them.
    pub packs_kept: u64,
    /// Bytes that the store holds less.
    pub freed_bytes: u64,
}

/// What is needed and not of one pack.
#[derive(Default)]
struct Share {
    needed: u64,
    unused: u64,
    kinds: HashSet<BlobKind>,
}

/// The first half of a prune is done: what is needed stands in packs that stay.
pub struct Pruning<'r> {
    repository: &'r Repository,
    plan: PrunePlan,
    protected: Protected,
    packs_written: u64,
    bytes_written: u64,
}

impl Repository {
    /// Works out what a prune would do. Reads every tree once.
    ///
    /// # Errors
    /// Something that a snapshot needs is missing or damaged: verify and repair come first.
    pub fn plan_prune(&self, options: PruneOptions, protected: &Protected, monitor: &dyn Monitor) -> RepositoryResult<PrunePlan> {
        let _lock = self.lock(LockKind::Shared)?;
        self.plan_locked(options, protected, monitor).map(|(plan, _)| plan)
    }

    fn plan_locked(&self, options: PruneOptions, protected: &Protected, monitor: &dyn Monitor) -> RepositoryResult<(PrunePlan, Blobs)> {
        let (snapshots, damaged) = self.snapshots()?;
        let bad_indexes = self.reload_index()?;
        if let Some(error) = damaged.into_iter().chain(bad_indexes).next() {
            return Err(error);
        }
        monitor.stage("looking for what is needed", Some(snapshots.len() as u64), None);
        let mut needed = Blobs::new();
        for (_, snapshot) in &snapshots {
            self.add_needed([snapshot.tree], &mut needed, monitor)?;
            monitor.advance(1, 0);
        }
        // A copy that is not there, or that could not be read just now, is no reason to let a good one go.
        self.distrust_bad_packs()?;
        self.add_needed(protected.0.values().copied(), &mut needed, monitor)?;
        self.refuse_if_lost(&needed)?;
        let mut plan = PrunePlan { snapshots: snapshots.iter().map(|(id, _)| *id).collect(), ..PrunePlan::default() };
        let shares = self.shares(&needed, &mut plan);
        let listed = self.list_ids("data")?;
        plan.orphans = listed.iter().filter(|(id, _)| !shares.contains_key(id)).map(|(id, _)| *id).collect();
        choose(options, &shares, &mut plan);
        let lengths: HashMap<Id, u64> = listed.into_iter().collect();
        let going = plan.remove.iter().chain(&plan.repack).chain(&plan.orphans);
        let gone: u64 = going.filter_map(|id| lengths.get(id)).sum();
        plan.freed_bytes = gone.saturating_sub(plan.copied_bytes);
        plan.joins_indexes = plan.indexes.len() > INDEX_FILES_MAX;
        Ok((plan, needed))
    }

    /// What snapshots need and what stands only in packs that are missing or damaged may be found again in packs that no
    /// index names: none of those may go before a repair.
    pub(crate) fn refuse_if_lost(&self, needed: &Blobs) -> RepositoryResult<()> {
        let index = self.index.read().expect("no holder panics");
        let lost = |(kind, id): &&(BlobKind, Id)| index.places(*kind, id).all(|place| index.is_distrusted(&place.pack));
        let Some((kind, id)) = needed.iter().filter(lost).min_by_key(|(_, id)| *id) else { return Ok(()) };
        let object = match index.places(*kind, id).next() {
            Some(place) => format!("pack {}", place.pack.short()),
            None => format!("blob {}", id.short()),
        };
        let problem = "it is missing or cannot be read, and snapshots need what is in it: `keepsake repair` comes first";
        Err(RepositoryError::damaged(object, problem))
    }

    /// How much of each pack is needed. Of a blob with several places the best one counts.
    fn shares(&self, needed: &Blobs, plan: &mut PrunePlan) -> HashMap<Id, Share> {
        let index = self.index.read().expect("no holder panics");
        plan.indexes = index.files.iter().copied().collect();
        let mut shares: HashMap<Id, Share> = index.packs().map(|(id, _)| (id, Share::default())).collect();
        for entry in index.all() {
            let place = index.location(entry);
            let bytes = u64::from(entry.length) + entry.packed().header_bytes();
            let counts = needed.contains(&(entry.kind(), entry.id)) && index.best(entry.kind(), &entry.id) == Some(place);
            let share = shares.entry(place.pack).or_default();
            share.kinds.insert(entry.kind());
            if counts {
                share.needed += bytes;
                plan.needed_bytes += bytes;
            } else {
                share.unused += bytes;
                plan.unused_bytes += bytes;
            }
        }
        shares
    }

    /// The first half, beside others: copies what is needed out of packs that go.
    ///
    /// # Errors
    /// The plan no longer holds, something needed cannot be read, or the store fails. Then nothing has gone.
    pub fn begin_prune(&self, plan: &PrunePlan, protected: &Protected, monitor: &dyn Monitor) -> RepositoryResult<Pruning<'_>> {
        let lock = self.lock(LockKind::Shared)?;
        self.refuse_if_old()?;
        // Snapshots first: one that appears later may rest on an index that is not read.
        let (snapshots, damaged) = self.snapshots()?;
        let bad = self.reload_index()?;
        self.refuse_if_stale(plan)?;
        if let Some(error) = damaged.into_iter().chain(bad).next() {
            return Err(error);
        }
        let mut needed = Blobs::new();
        self.add_needed(snapshots.iter().map(|(_, snapshot)| snapshot.tree).collect::<Vec<_>>(), &mut needed, monitor)?;
        self.distrust_bad_packs()?;
        self.add_needed(protected.0.values().copied(), &mut needed, monitor)?;
        self.refuse_if_lost(&needed)?;
        let mut plan = plan.clone();
        plan.snapshots = snapshots.iter().map(|(id, _)| *id).collect();
        let writer = Writer::new(self, &lock);
        if let Err(error) = self.copy_needed(&writer, &plan, &needed, monitor) {
            writer.abandon();
            return Err(error);
        }
        let counters = writer.finish()?;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        Ok(Pruning {
            repository: self,
            plan,
            protected: protected.clone(),
            packs_written: count(&counters.packs),
            bytes_written: count(&counters.stored_bytes),
        })
    }

    /// Distrusts packs that are not there or not as long as they should be, and those from which something could not be read.
    pub(crate) fn distrust_bad_packs(&self) -> RepositoryResult<()> {
        let bad: Vec<Id> = self.missing_packs()?.into_iter().chain(self.suspects()).collect();
        bad.into_iter().for_each(|pack| self.distrust(pack));
        Ok(())
    }

    fn refuse_if_stale(&self, plan: &PrunePlan) -> RepositoryResult<()> {
        let index = self.index.read().expect("no holder panics");
        if plan.indexes.iter().all(|id| index.files.contains(id)) {
            return Ok(());
        }
        Err(RepositoryError::ChangedMeanwhile { place: self.place() })
    }

    fn copy_needed(&self, writer: &Writer<'_>, plan: &PrunePlan, needed: &Blobs, monitor: &dyn Monitor) -> RepositoryResult<()> {
        let doomed: HashSet<Id> = plan.repack.iter().chain(&plan.remove).copied().collect();
        let packs = self.index.read().expect("no holder panics").by_pack();
        let mut blobs: BTreeMap<Id, Vec<PackedBlob>> = packs.into_iter().filter(|(id, _)| doomed.contains(id)).collect();
        {
            // What has a place in a pack that stays, or was found in an earlier one that goes, need not be copied.
            let index = self.index.read().expect("no holder panics");
            let mut taken = Blobs::new();
            for list in blobs.values_mut() {
                list.retain(|blob| {
                    let safe = |pack: &Id| !doomed.contains(pack) && !index.is_distrusted(pack);
                    let stays = || index.places(blob.kind, &blob.id).any(|place| safe(&place.pack));
                    needed.contains(&(blob.kind, blob.id)) && !stays() && taken.insert((blob.kind, blob.id))
                });
            }
        }
        blobs.retain(|_, list| !list.is_empty());
        let bytes = blobs.values().map(|list| pack::length(list)).sum();
        monitor.stage("copying what is needed", Some(blobs.len() as u64), Some(bytes));
        for (id, list) in blobs {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            let pack = self.store.get(&object("data", &id)).map_err(|error| match error.is_not_found() {
                true => RepositoryError::damaged(format!("pack {}", id.short()), "it is missing"),
                false => error.into(),
            })?;
            for blob in &list {
                // Damage is not copied: the blob is opened and compared with its name first.
                self.open_packed(id, blob, &pack)?;
                writer.copy(blob, &pack[blob.offset as usize..][..blob.length as usize])?;
            }
            writer.maybe_index()?;
            monitor.advance(1, pack::length(&list));
        }
        Ok(())
    }

    /// Prunes: both halves, one after the other.
    ///
    /// # Errors
    /// As [`Repository::begin_prune`] and [`Pruning::finish`].
    pub fn prune(&self, plan: &PrunePlan, protected: &Protected, monitor: &dyn Monitor) -> RepositoryResult<PruneReport> {
        self.begin_prune(plan, protected, monitor)?.finish(monitor)
    }
}

/// Chooses the packs to remove and to repack.
fn choose(options: PruneOptions, shares: &HashMap<Id, Share>, plan: &mut PrunePlan) {
    let mut repack: BTreeSet<Id> = BTreeSet::new();
    let mut partly: Vec<(&Id, &Share)> = Vec::new();
    let mut small: HashMap<BlobKind, Vec<&Id>> = HashMap::new();
    for (id, share) in shares {
        if share.needed == 0 {
            plan.remove.insert(*id);
            continue;
        }
        if share.kinds.len() > 1 {
            // Other programs may write trees and content into one pack; what reads trees alone is then slow.
            repack.insert(*id);
        } else if share.unused > 0 {
            partly.push((id, share));
        }
        if share.needed + share.unused < SMALL_PACK_BYTES {
            small.entry(if share.kinds.contains(&BlobKind::Tree) { BlobKind::Tree } else { BlobKind::Data }).or_default().push(id);
        }
    }
    for group in small.into_values().filter(|group| group.len() > SMALL_PACKS_MAX) {
        repack.extend(group);
    }
    // The most wasteful first, until what stays is little enough.
    partly.sort_by_key(|(id, share)| (std::cmp::Reverse(share.unused * 1000 / (share.unused + share.needed)), **id));
    let allowed = plan.needed_bytes / 100 * u64::from(options.max_unused_percent);
    let mut unused: u64 = partly.iter().filter(|(id, _)| !repack.contains(id)).map(|(_, share)| share.unused).sum();
    for (id, share) in partly {
        if unused <= allowed {
            break;
        }
        if repack.insert(*id) {
            unused -= share.unused;
        }
    }
    plan.copied_bytes = repack.iter().map(|id| shares[id].needed).sum();
    plan.repack = repack;
}

impl Pruning<'_> {
    /// The second half, alone: looks at snapshots that came meanwhile, writes the new index, removes the old one and the packs.
    ///
    /// # Errors
    /// Others do not end, somebody else pruned meanwhile, or the store fails. Then what was needed is still there.
    pub fn finish(self, monitor: &dyn Monitor) -> RepositoryResult<PruneReport> {
        let repository = self.repository;
        let lock = repository.lock_exclusively(monitor)?;
        let bad = repository.reload_index()?;
        repository.refuse_if_stale(&self.plan)?;
        if let Some(error) = bad.into_iter().next() {
            return Err(error);
        }
        repository.distrust_bad_packs()?;
        let mut doomed: BTreeSet<Id> = self.plan.remove.union(&self.plan.repack).copied().collect();
        let before = doomed.len();
        self.rescue(&mut doomed, monitor)?;
        let (old_indexes, packs) = {
            let index = repository.index.read().expect("no holder panics");
            (index.files.iter().copied().collect::<Vec<_>>(), index.by_pack())
        };
        let known: HashSet<Id> = packs.iter().map(|(id, _)| *id).collect();
        let staying: Vec<(Id, Vec<PackedBlob>)> = packs.into_iter().filter(|(id, _)| !doomed.contains(id)).collect();
        let mut report =
            PruneReport { packs_written: self.packs_written, packs_kept: (before - doomed.len()) as u64, ..PruneReport::default() };
        if !doomed.is_empty() || self.plan.joins_indexes {
            let new = index_file::write_all(repository, &staying)?;
            lock.assert_held()?;
            for id in old_indexes.iter().filter(|id| !new.contains(id)) {
                repository.store.delete(&object("index", id))?;
                report.indexes_removed += 1;
            }
        }
        // Alone with the repository, whatever no index names belongs to a run that ended.
        let listed = repository.list_ids("data")?;
        monitor.stage("removing packs", Some(doomed.len() as u64), None);
        for (id, bytes) in listed.into_iter().filter(|(id, _)| doomed.contains(id) || !known.contains(id)) {
            // A machine that slept here may wake beside new writers.
            lock.assert_held()?;
            repository.store.delete(&object("data", &id))?;
            report.packs_removed += 1;
            report.freed_bytes += bytes;
            monitor.advance(1, bytes);
        }
        // What writes that were cut off left beside the objects holds sealed blobs, too.
        repository.store.sweep("data")?;
        report.freed_bytes = report.freed_bytes.saturating_sub(self.bytes_written);
        repository.reload_index()?;
        repository.save_index_cache();
        drop(lock);
        Ok(report)
    }

    /// Keeps packs that snapshots need which came since the first half.
    fn rescue(&self, doomed: &mut BTreeSet<Id>, monitor: &dyn Monitor) -> RepositoryResult<()> {
        let (snapshots, damaged) = self.repository.snapshots()?;
        if let Some(error) = damaged.into_iter().next() {
            return Err(error);
        }
        let new = snapshots.iter().filter(|(id, _)| !self.plan.snapshots.contains(id)).map(|(_, snapshot)| snapshot.tree);
        let mut needed = Blobs::new();
        self.repository.add_needed(new.collect::<Vec<_>>(), &mut needed, monitor)?;
        self.repository.add_needed(self.protected.0.values().copied(), &mut needed, monitor)?;
        let index = self.repository.index.read().expect("no holder panics");
        for (kind, id) in needed {
            let safe = |pack: &Id| !doomed.contains(pack) && !index.is_distrusted(pack);
            let stays = index.places(kind, &id).any(|place| safe(&place.pack));
            if let Some(best) = index.best(kind, &id).filter(|_| !stays) {
                doomed.remove(&best.pack);
            }
        }
        Ok(())
    }
}
