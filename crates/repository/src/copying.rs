//! Copying snapshots into another repository, whose master key is another: every blob is opened, checked and sealed anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use keepsake_storage::{ObjectName, Store, StoreError};

use crate::{
    BlobKind, Id, LockKind, Monitor, Repository, RepositoryError, RepositoryResult, Snapshot,
    pack::{self, PackedBlob},
    repository::object,
    usage::Blobs,
    writer::Writer,
};

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOutcome {
    /// Every snapshot of the source with the one that stands for it in the target, oldest first.
    pub snapshots: Vec<(Id, Id)>,
    /// How many of them were copied just now.
    pub copied: u64,
    /// Blobs that were copied just now.
    pub blobs: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
    /// Snapshots of the target that the source does not have (any more).
    pub others: Vec<Id>,
}

/// Removes a repository: its keys first, its config, then all the rest.
///
/// # Errors
/// The store fails; doing it again ends the work.
pub fn remove_everything(store: &dyn Store) -> RepositoryResult<u64> {
    let first = store.list("keys")?.into_iter().map(|object| object.name).chain([ObjectName::new("config")?]);
    let first: Vec<ObjectName> = first.collect();
    let rest = store.list("")?;
    for name in first.iter().chain(rest.iter().map(|object| &object.name)) {
        store.delete(name)?;
    }
    store.sweep("")?;
    Ok(rest.len() as u64)
}

impl Repository {
    /// Copies all snapshots that a target does not have yet, with what they need. Both go on being used meanwhile; doing it
    /// again copies what came since, and after an interruption what is left.
    ///
    /// # Errors
    /// Something that a snapshot needs is damaged, or a store fails.
    pub fn copy_to(&self, target: &Self, monitor: &dyn Monitor) -> RepositoryResult<CopyOutcome> {
        let _reading = self.lock(LockKind::Shared)?;
        self.copy_locked(target, &BTreeSet::new(), monitor)
    }

    /// Copies the snapshots that are not `known`, alone with the repository (of the others nothing is read); then, once `recorded` has
    /// taken note of it, removes everything: the keys first, so that nothing opens the rest. Answers how many objects went.
    ///
    /// # Errors
    /// Others do not end, something is damaged, `recorded` fails, or a store does. Until the keys go, everything is there.
    pub fn retire_into(
        &self,
        target: &Self,
        known: &BTreeSet<Id>,
        recorded: impl FnOnce(&CopyOutcome) -> RepositoryResult<()>,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<u64> {
        let lock = self.lock_exclusively(monitor)?;
        let came_since = self.snapshot_ids()?.iter().any(|id| !known.contains(id));
        let outcome = if came_since { self.copy_locked(target, known, monitor)? } else { CopyOutcome::default() };
        recorded(&outcome)?;
        lock.assert_held()?;
        remove_everything(&*self.store)
    }

    fn copy_locked(&self, target: &Self, known: &BTreeSet<Id>, monitor: &dyn Monitor) -> RepositoryResult<CopyOutcome> {
        target.refuse_if_old()?;
        let lock = target.lock(LockKind::Shared)?;
        // Snapshots first: what they need is in an index that was written before them.
        let (mut snapshots, damaged) = self.snapshots()?;
        if let Some(error) = damaged.into_iter().filter(|_| known.is_empty()).chain(self.reload_index()?).next() {
            return Err(error);
        }
        snapshots.retain(|(id, _)| !known.contains(id));
        let (there, _) = target.snapshots()?;
        drop(target.reload_index()?);
        target.distrust_bad_packs()?;
        let mut like: HashMap<Vec<u8>, VecDeque<Id>> = HashMap::new();
        for (id, snapshot) in &there {
            like.entry(snapshot.likeness(None)).or_default().push_back(*id);
        }
        let (mut copies, mut missing) = (BTreeMap::new(), Vec::new());
        for (id, snapshot) in &snapshots {
            match like.get_mut(&snapshot.likeness(None)).and_then(VecDeque::pop_front) {
                Some(copy) => drop(copies.insert(*id, copy)),
                None => missing.push((*id, snapshot)),
            }
        }
        let mut outcome = CopyOutcome { copied: missing.len() as u64, ..CopyOutcome::default() };
        outcome.others = like.into_values().flatten().collect();
        let mut needed = Blobs::new();
        // Of all of them: what was copied before may have been lost since.
        self.add_needed(snapshots.iter().map(|(_, snapshot)| snapshot.tree).collect::<Vec<_>>(), &mut needed, monitor)?;
        let writer = Writer::new(target, &lock);
        if let Err(error) = self.copy_blobs(&writer, target, &needed, &mut outcome, monitor) {
            writer.abandon();
            return Err(error);
        }
        writer.finish()?;
        lock.assert_held()?;
        for (id, snapshot) in missing {
            let parent = snapshot.parent.and_then(|parent| copies.get(&parent).copied());
            let copy = Snapshot { parent, original: Some(snapshot.original.unwrap_or(id)), ..snapshot.clone() };
            lock.assert_held()?;
            copies.insert(id, target.write_file("snapshots", &serde_json::to_vec(&copy).expect("plain strings and numbers"))?);
        }
        outcome.snapshots = snapshots.iter().map(|(id, _)| (*id, copies[id])).collect();
        Ok(outcome)
    }

    fn copy_blobs(
        &self,
        writer: &Writer<'_>,
        target: &Self,
        needed: &Blobs,
        outcome: &mut CopyOutcome,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<()> {
        let mut packs: BTreeMap<Id, Vec<PackedBlob>> = BTreeMap::new();
        for (kind, id) in needed {
            if target.locate(*kind, id).is_some() {
                continue;
            }
            let best = self.index.read().expect("no holder panics").best(*kind, id);
            let place = best.ok_or_else(|| RepositoryError::damaged(format!("blob {}", id.short()), "no index knows it"))?;
            let blob = PackedBlob { kind: *kind, id: *id, offset: place.offset, length: place.length, uncompressed: place.uncompressed };
            packs.entry(place.pack).or_default().push(blob);
        }
        let bytes = packs.values().map(|list| pack::length(list)).sum();
        monitor.stage("copying", Some(packs.len() as u64), Some(bytes));
        for (id, mut list) in packs {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            list.sort_unstable_by_key(|blob| blob.offset);
            let whole = match self.store.get(&object("data", &id)) {
                Ok(whole) => whole,
                Err(error) if error.is_not_found() => bytes::Bytes::new(),
                Err(error @ StoreError::Unavailable { .. }) => {
                    monitor.problem("copying", &error.to_string());
                    bytes::Bytes::new()
                }
                Err(error) => return Err(error.into()),
            };
            for blob in &list {
                self.copy_blob(writer, id, blob, &whole)?;
                outcome.blobs += 1;
                outcome.bytes += u64::from(blob.length);
            }
            writer.maybe_index()?;
            monitor.advance(1, pack::length(&list));
        }
        Ok(())
    }

    fn copy_blob(&self, writer: &Writer<'_>, pack: Id, blob: &PackedBlob, whole: &[u8]) -> RepositoryResult<()> {
        match self.payload(pack, blob, whole) {
            Ok(payload) => writer.add_packed(blob, &payload),
            // Perhaps it stands somewhere else, too.
            Err(_) => {
                let plain = self.blob(blob.kind, &blob.id)?;
                let added = if blob.kind == BlobKind::Tree { writer.add_tree(&plain) } else { writer.add_data(&plain, 0) };
                added.map(drop)
            }
        }
    }
}
