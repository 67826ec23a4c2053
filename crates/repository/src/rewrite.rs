//! Rewriting: snapshots made again without something that must not be in them, and the proof that it is gone.
//!
//! What goes and what stays is decided by a [`Rewriter`] that whoever knows what the bytes mean hands in. Every tree is
//! looked at once however many snapshots hold it, and only where the rewriter says that it may be concerned.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    BlobKind, Id, LockKind, Monitor, Node, NodeKind, Repository, RepositoryError, RepositoryResult, Snapshot, Tree, pack,
    repository::object, usage::Blobs, writer::Writer,
};

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileVerdict {
    /// It stays as it is.
    Keep,
    /// It gets this content, cut into spans.
    Replace(Vec<Vec<u8>>),
    /// It goes.
    Drop,
}

/// Decides what a rewrite takes out.
pub trait Rewriter: Sync {
    /// Whether anything at or below a path may change; what is not concerned is not read.
    fn concerns(&self, path: &str) -> bool;

    /// What becomes of a file, and how many things went with that.
    ///
    /// # Errors
    /// The bytes are not what they should be: the rewrite ends, nothing has changed.
    fn file(&self, path: &str, bytes: &[u8]) -> Result<(FileVerdict, u64), String>;

    /// Whether a file tells about the others (a count, say) and is decided once they are.
    fn is_summary(&self, _path: &str) -> bool {
        false
    }

    /// What becomes of a summary in a snapshot out of which so many things went.
    ///
    /// # Errors
    /// As [`Rewriter::file`].
    fn summary(&self, _path: &str, _bytes: &[u8], _gone: u64) -> Result<FileVerdict, String> {
        Ok(FileVerdict::Keep)
    }
}

/// Takes out everything at and below paths.
#[derive(Debug, Clone, Default)]
pub struct WithoutPaths(pub Vec<String>);

impl Rewriter for WithoutPaths {
    fn concerns(&self, path: &str) -> bool {
        let below = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        self.0.iter().any(|p| below(path, p) || below(p, path))
    }

    fn file(&self, path: &str, _bytes: &[u8]) -> Result<(FileVerdict, u64), String> {
        let below = |p: &String| path == p || path.strip_prefix(p.as_str()).is_some_and(|rest| rest.starts_with('/'));
        Ok(if self.0.iter().any(below) { (FileVerdict::Drop, 1) } else { (FileVerdict::Keep, 0) })
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
    /// How many things went out of it.
    pub gone: u64,
}

/// What a rewrite did.
#[derive(Debug, Clone, Default)]
pub struct RewriteOutcome {
    /// The snapshots that were made again; the others did not hold what was to go.
    pub snapshots: Vec<Rewritten>,
    /// Content that no snapshot needs any more because of it: what a prune must remove, and what must then be proved absent.
    pub gone: HashSet<Id>,
}

struct Rewriting<'a> {
    repository: &'a Repository,
    writer: &'a Writer<'a>,
    rewriter: &'a dyn Rewriter,
    monitor: &'a dyn Monitor,
    /// What became of a tree at a path, and how many things went out of it.
    done: HashMap<(String, Id), (Option<Id>, u64)>,
    /// Trees of this run, which no index knows yet.
    made: HashMap<Id, Arc<Tree>>,
    /// Content of files that changed or went.
    left: HashSet<Id>,
}

impl Repository {
    /// Makes snapshots again as a rewriter says, and removes the old ones. The index must be loaded.
    ///
    /// Packs are untouched: a prune with nothing unused allowed takes out what is gone.
    ///
    /// # Errors
    /// Something cannot be read or written, or others do not end. Cut off anywhere, each snapshot is there in its old or in
    /// its new form or in both, and doing it again ends the work.
    pub fn rewrite(&self, snapshots: &[Id], rewriter: &dyn Rewriter, monitor: &dyn Monitor) -> RepositoryResult<RewriteOutcome> {
        self.refuse_if_old()?;
        let lock = self.lock(LockKind::Shared)?;
        let writer = Writer::new(self, &lock);
        let mut rewriting = Rewriting {
            repository: self,
            writer: &writer,
            rewriter,
            monitor,
            done: HashMap::new(),
            made: HashMap::new(),
            left: HashSet::new(),
        };
        monitor.stage("rewriting snapshots", Some(snapshots.len() as u64), None);
        let mut made: Vec<(Id, Snapshot, u64)> = Vec::new();
        for id in snapshots {
            let built = self.snapshot(id).and_then(|snapshot| Ok((rewriting.snapshot(&snapshot)?, snapshot)));
            match built {
                Ok(((tree, gone), snapshot)) if tree != snapshot.tree => {
                    made.push((*id, Snapshot { tree, original: Some(snapshot.original.unwrap_or(*id)), ..snapshot }, gone));
                }
                Ok(_) => {}
                Err(error) => {
                    writer.abandon();
                    return Err(error);
                }
            }
            monitor.advance(1, 0);
        }
        let mut left = rewriting.left;
        writer.finish()?;
        lock.assert_held()?;
        let mut outcome = RewriteOutcome::default();
        for (old, snapshot, gone) in made {
            let new = self.write_file("snapshots", &serde_json::to_vec(&snapshot).expect("plain strings and numbers"))?;
            outcome.snapshots.push(Rewritten { old, new, tree: snapshot.tree, gone });
        }
        drop(lock);
        self.forget(&outcome.snapshots.iter().map(|done| done.old).collect::<Vec<_>>(), monitor)?;
        let mut needed = Blobs::new();
        self.add_needed(self.snapshots()?.0.into_iter().map(|(_, snapshot)| snapshot.tree).collect::<Vec<_>>(), &mut needed, monitor)?;
        left.retain(|id| !needed.contains(&(BlobKind::Data, *id)));
        outcome.gone = left;
        Ok(outcome)
    }

    /// Looks for content in the headers of all packs of the store and in the index. Answers where it is, and which packs
    /// could not be looked into; nothing of either proves that it is gone.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn find_content(&self, wanted: &HashSet<Id>, monitor: &dyn Monitor) -> RepositoryResult<Vec<String>> {
        let mut found = Vec::new();
        self.reload_index()?;
        {
            let index = self.index.read().expect("no holder panics");
            let listed = wanted.iter().filter(|id| index.places(BlobKind::Data, id).next().is_some());
            found.extend(listed.map(|id| format!("the index lists blob {}", id.short())));
        }
        let packs = self.list_ids("data")?;
        monitor.stage("looking into packs", Some(packs.len() as u64), None);
        for (id, bytes) in packs {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            match self.pack_header(&id, bytes) {
                Ok(blobs) => {
                    let here = blobs.iter().filter(|blob| wanted.contains(&blob.id));
                    found.extend(here.map(|blob| format!("pack {} holds blob {}", id.short(), blob.id.short())));
                }
                Err(error @ RepositoryError::Damaged { .. }) => found.push(error.to_string()),
                Err(error) => return Err(error),
            }
            monitor.advance(1, 0);
        }
        Ok(found)
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

impl Rewriting<'_> {
    fn snapshot(&mut self, snapshot: &Snapshot) -> RepositoryResult<(Id, u64)> {
        let (tree, gone) = self.tree(&snapshot.tree, "", None)?;
        let tree = self.or_empty(tree)?;
        if gone == 0 {
            return Ok((tree, 0));
        }
        let (tree, _) = self.tree(&tree, "", Some(gone))?;
        Ok((self.or_empty(tree)?, gone))
    }

    fn or_empty(&self, tree: Option<Id>) -> RepositoryResult<Id> {
        tree.map_or_else(|| self.writer.add_tree(&Tree::default().encode()), Ok)
    }

    /// One tree; with `summaries`, only the files that tell about the others, given how many things went.
    fn tree(&mut self, id: &Id, path: &str, summaries: Option<u64>) -> RepositoryResult<(Option<Id>, u64)> {
        let key = (path.to_owned(), *id);
        if summaries.is_none()
            && let Some(known) = self.done.get(&key)
        {
            return Ok(*known);
        }
        if self.monitor.cancelled() {
            return Err(RepositoryError::Cancelled);
        }
        let tree = match self.made.get(id) {
            Some(tree) => tree.clone(),
            None => self.repository.tree(id)?,
        };
        let (mut nodes, mut gone, mut changed) = (Vec::with_capacity(tree.nodes.len()), 0, false);
        for node in &tree.nodes {
            let name = node.display_name();
            let below = if path.is_empty() { name } else { format!("{path}/{name}") };
            if !self.rewriter.concerns(&below) {
                nodes.push(node.clone());
                continue;
            }
            let (new, went) = self.node(node, &below, summaries)?;
            gone += went;
            changed |= new.as_ref() != Some(node);
            nodes.extend(new);
        }
        let new = match (changed, nodes.is_empty()) {
            (false, _) => Some(*id),
            (true, true) => None,
            (true, false) => {
                let tree = Tree { nodes };
                let id = self.writer.add_tree(&tree.encode())?;
                self.made.insert(id, Arc::new(tree));
                Some(id)
            }
        };
        if summaries.is_none() {
            self.done.insert(key, (new, gone));
        }
        Ok((new, gone))
    }

    fn node(&mut self, node: &Node, path: &str, summaries: Option<u64>) -> RepositoryResult<(Option<Node>, u64)> {
        if let (NodeKind::Dir, Some(subtree)) = (node.kind, node.subtree) {
            let (tree, gone) = self.tree(&subtree, path, summaries)?;
            return Ok((tree.map(|id| Node { subtree: Some(id), ..node.clone() }), gone));
        }
        let unusable = |problem: String| RepositoryError::damaged(format!("`{path}`"), problem);
        let (verdict, gone) = match (node.kind, summaries, self.rewriter.is_summary(path)) {
            (NodeKind::File, None, false) => self.rewriter.file(path, &self.repository.file_bytes(node)?).map_err(unusable)?,
            (NodeKind::File, Some(gone), true) => {
                (self.rewriter.summary(path, &self.repository.file_bytes(node)?, gone).map_err(unusable)?, 0)
            }
            // Links and devices have no content: only where they are matters.
            (NodeKind::File, ..) => (FileVerdict::Keep, 0),
            (_, None, _) => self.rewriter.file(path, b"").map_err(unusable)?,
            _ => (FileVerdict::Keep, 0),
        };
        let new = match verdict {
            FileVerdict::Keep => return Ok((Some(node.clone()), gone)),
            FileVerdict::Drop => None,
            FileVerdict::Replace(spans) => {
                let ids = spans.iter().map(|span| self.writer.add_data(span, 0)).collect::<RepositoryResult<Vec<Id>>>()?;
                let size = spans.iter().map(|span| span.len() as u64).sum();
                Some(Node { content: Some(ids), size, ..node.clone() })
            }
        };
        self.left.extend(node.content.iter().flatten());
        Ok((new, gone))
    }
}
