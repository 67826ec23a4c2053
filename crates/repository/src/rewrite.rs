//! Rewriting: snapshots made again without something that must not be in them, and the proof that it is gone.
//!
//! What goes is decided by a [`Rewriter`] that whoever knows what the bytes mean hands in: for each tree it answers the
//! edits that take it out, and the tree is built anew as a backup would build it, reading only the folders on the way.

use std::collections::{HashMap, HashSet};

use crate::{
    Edit, Id, LockKind, Monitor, Repository, RepositoryError, RepositoryResult, Snapshot, backup::edited, pack, repository::object,
    usage::Blobs, writer::Writer,
};

/// Decides what a rewrite takes out.
pub trait Rewriter {
    /// The edits, in [`Edit::order`], that take out of a snapshot's tree what must go; none: it holds nothing of it. Trees
    /// that several snapshots share are asked for once.
    ///
    /// # Errors
    /// Something cannot be read, or is not what it should be: the rewrite ends, nothing has changed.
    fn edits(&mut self, repository: &Repository, tree: &Id) -> RepositoryResult<Vec<Edit>>;
}

/// Takes out everything at and below paths.
#[derive(Debug, Clone, Default)]
pub struct WithoutPaths(pub Vec<String>);

impl Rewriter for WithoutPaths {
    fn edits(&mut self, repository: &Repository, tree: &Id) -> RepositoryResult<Vec<Edit>> {
        let mut there = Vec::new();
        for path in &self.0 {
            if repository.node_at(tree, path)?.is_some() {
                there.push(path.as_str());
            }
        }
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let outermost = there.iter().filter(|a| !there.iter().any(|b| below(a, b)));
        let mut edits: Vec<Edit> = outermost.map(|path| Edit::remove(path)).collect();
        edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
        edits.dedup_by(|a, b| a.path == b.path);
        Ok(edits)
    }
}

/// A snapshot that was made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The snapshot that is gone.
    pub old: Id,
    /// The one that stands for it.
    pub new: Id,
    /// Its root tree.
    pub tree: Id,
}

/// What a rewrite did.
#[derive(Debug, Clone, Default)]
pub struct RewriteOutcome {
    /// The snapshots that were made again; the others did not hold what was to go.
    pub snapshots: Vec<Rewritten>,
    /// What the old snapshots needed and no snapshot needs any more, folders included: what a prune must remove, and what
    /// must then be proved absent.
    pub gone: Blobs,
}

/// A snapshot in its new form, not written yet.
struct Made {
    old: Id,
    /// The tree that it had.
    before: Id,
    snapshot: Snapshot,
}

impl Repository {
    /// Makes snapshots again, oldest first, as a rewriter says, and removes the old ones. The index must be loaded.
    ///
    /// Packs are untouched: a prune with nothing unused allowed takes out what is gone.
    ///
    /// # Errors
    /// Something cannot be read or written, or others do not end. Cut off anywhere, each snapshot is there in its old or in
    /// its new form or in both, and doing it again ends the work.
    pub fn rewrite(&self, snapshots: &[Id], rewriter: &mut dyn Rewriter, monitor: &dyn Monitor) -> RepositoryResult<RewriteOutcome> {
        self.refuse_if_old()?;
        let lock = self.lock(LockKind::Shared)?;
        let writer = Writer::new(self, &lock);
        let made = match self.remake(&writer, snapshots, rewriter, monitor) {
            Ok(made) => made,
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        };
        writer.finish()?;
        lock.assert_held()?;
        // A run that was cut off may have written some of them, and not removed the old ones.
        let there: HashMap<Vec<u8>, Id> = self.snapshots()?.0.into_iter().map(|(id, s)| (s.likeness(s.original), id)).collect();
        let (mut outcome, mut before, mut renamed) = (RewriteOutcome::default(), Vec::new(), HashMap::<Id, Id>::new());
        for Made { old, before: tree, mut snapshot } in made {
            before.push(tree);
            snapshot.parent = snapshot.parent.map(|parent| *renamed.get(&parent).unwrap_or(&parent));
            let new = match there.get(&snapshot.likeness(snapshot.original)) {
                Some(there) => *there,
                None => {
                    lock.assert_held()?;
                    self.write_file("snapshots", &serde_json::to_vec(&snapshot).expect("plain strings and numbers"))?
                }
            };
            renamed.insert(old, new);
            outcome.snapshots.push(Rewritten { old, new, tree: snapshot.tree });
        }
        if outcome.snapshots.is_empty() {
            return Ok(outcome);
        }
        // Before the old ones go, and while nobody can prune: this is what must be gone at the end.
        let old: HashSet<Id> = outcome.snapshots.iter().map(|done| done.old).collect();
        match self.add_needed(before, &mut outcome.gone, monitor) {
            // What is lost already need not be proved gone.
            Ok(()) | Err(RepositoryError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let staying = self.snapshots()?.0.into_iter().filter(|(id, _)| !old.contains(id)).map(|(_, snapshot)| snapshot.tree);
        let mut needed = Blobs::new();
        self.add_needed(staying.collect::<Vec<_>>(), &mut needed, monitor)?;
        outcome.gone.retain(|blob| !needed.contains(blob));
        drop(lock);
        self.forget(&outcome.snapshots.iter().map(|done| done.old).collect::<Vec<_>>(), monitor)?;
        Ok(outcome)
    }

    /// Builds the trees of snapshots anew; answers those that changed.
    fn remake(
        &self,
        writer: &Writer<'_>,
        snapshots: &[Id],
        rewriter: &mut dyn Rewriter,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<Vec<Made>> {
        monitor.stage("rewriting snapshots", Some(snapshots.len() as u64), None);
        let (mut made, mut trees) = (Vec::new(), HashMap::<Id, Id>::new());
        for id in snapshots {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            let snapshot = self.snapshot(id)?;
            let before = snapshot.tree;
            let tree = match trees.get(&before) {
                Some(tree) => *tree,
                None => {
                    let edits = rewriter.edits(self, &before)?;
                    let tree = if edits.is_empty() { before } else { edited(self, writer, before, edits)? };
                    trees.insert(before, tree);
                    tree
                }
            };
            if tree != before {
                // The first form that a snapshot had is its original, however often it is made again.
                let original = Some(snapshot.original.unwrap_or(*id));
                made.push(Made { old: *id, before, snapshot: Snapshot { tree, original, ..snapshot } });
            }
            monitor.advance(1, 0);
        }
        Ok(made)
    }

    /// Looks for content in the headers of all packs of the store and in the index. Answers where it is, and which packs
    /// could not be looked into; nothing of either proves that it is gone.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn find_content(&self, wanted: &Blobs, monitor: &dyn Monitor) -> RepositoryResult<Vec<String>> {
        let mut found = Vec::new();
        self.reload_index()?;
        {
            let index = self.index.read().expect("no holder panics");
            let listed = wanted.iter().filter(|(kind, id)| index.places(*kind, id).next().is_some());
            found.extend(listed.map(|(_, id)| format!("the index lists blob {}", id.short())));
        }
        let packs = self.list_ids("data")?;
        monitor.stage("looking into packs", Some(packs.len() as u64), None);
        for (id, bytes) in packs {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            match self.pack_header(&id, bytes) {
                Ok(blobs) => {
                    let here = blobs.iter().filter(|blob| wanted.contains(&(blob.kind, blob.id)));
                    found.extend(here.map(|blob| format!("pack {} holds blob {}", id.short(), blob.id.short())));
                }
                Err(error @ RepositoryError::Damaged { .. }) => found.push(error.to_string()),
                Err(error) => return Err(error),
            }
            monitor.advance(1, 0);
        }
        Ok(found)
    }

    /// Opens everything that the store holds, by the packs' own headers and not by the index: every blob of every pack, every
    /// index, every snapshot. Gives each with the name of what it stood in.
    ///
    /// # Errors
    /// Something does not open, or the store fails.
    pub fn each_plaintext(&self, each: &mut dyn FnMut(&str, &[u8])) -> RepositoryResult<()> {
        for (id, _) in self.list_ids("data")? {
            let pack = self.store.get(&object("data", &id))?;
            for blob in pack::read_header(id, &pack, &self.key)? {
                each(&format!("pack {id}"), &self.open_packed(id, &blob, &pack)?);
            }
        }
        for folder in ["index", "snapshots"] {
            for (id, _) in self.list_ids(folder)? {
                each(&format!("{folder} {id}"), &self.read_file(folder, &id)?);
            }
        }
        Ok(())
    }

    /// What a pack's own header lists, read without the rest of the pack.
    fn pack_header(&self, id: &Id, bytes: u64) -> RepositoryResult<Vec<pack::PackedBlob>> {
        let name = object("data", id);
        // The header of a usual pack is much shorter than this.
        let tail = self.store.get_range(&name, bytes.saturating_sub(64 << 10)..bytes)?;
        match pack::read_header_at_end(*id, &tail, bytes, &self.key)? {
            Some(blobs) => Ok(blobs),
            None => pack::read_header(*id, &self.store.get(&name)?, &self.key),
        }
    }
}
