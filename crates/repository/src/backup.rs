//! A backup: a stream of edits over a parent tree becomes a snapshot.

use std::{
    collections::{HashSet, VecDeque},
    sync::atomic::Ordering,
};

use crate::{
    Edit, EditKind, Id, LockKind, Monitor, Node, NodeKind, Repository, RepositoryError, RepositoryResult, Silent, Snapshot, Tree,
    index::BlobKind,
    pool::{Pool, Queue, ReadError, Reply},
    writer::Writer,
};

/// Edits whose content is being read ahead of the tree that is being built.
const AHEAD: usize = 32;
/// The time of virtual folders: a constant, because what is in a folder is not when it was made.
const DIR_TIME: &str = "2000-01-01T00:00:00Z";

/// Edits, in [`Edit::order`].
pub type EditStream<'a> = Box<dyn Iterator<Item = RepositoryResult<Edit>> + 'a>;

/// Given the tree that the edits made, answers what changed meanwhile, as edits over that tree, and the snapshot to write.
pub type Replay<'a> = Box<dyn FnOnce(&Id) -> RepositoryResult<(EditStream<'a>, Snapshot)> + 'a>;

/// What to back up, on top of what.
pub struct BackupRequest<'a> {
    /// The tree to edit; `None` begins with nothing.
    pub parent_tree: Option<Id>,
    /// Where to look for what the source can no longer give.
    pub carry_tree: Option<Id>,
    /// The edits, in [`Edit::order`].
    pub edits: EditStream<'a>,
    /// For sources that go on changing while they are read.
    pub replay: Option<Replay<'a>>,
    /// The snapshot to write; its tree is filled in.
    pub snapshot: Snapshot,
}

/// A path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPath {
    /// The path in the tree.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Whether the last snapshot's copy was carried forward.
    pub carried: bool,
}

/// What a backup read and added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files whose bytes were read.
    pub files_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// New blobs of content.
    pub data_blobs: u64,
    /// New blobs of folder listings.
    pub tree_blobs: u64,
    /// Bytes in new blobs, before compression.
    pub bytes_new: u64,
    /// Bytes in new blobs, as stored.
    pub bytes_stored: u64,
    /// Packs written.
    pub packs: u64,
    /// Index files written.
    pub indexes: u64,
}

/// A finished backup.
#[derive(Debug, Clone)]
pub struct BackupOutcome {
    /// The new snapshot.
    pub snapshot: Id,
    /// What was written as it.
    pub written: Snapshot,
    /// Its root tree.
    pub tree: Id,
    /// What was read and added.
    pub totals: Totals,
    /// What could not be read.
    pub skipped: Vec<SkippedPath>,
}

impl Repository {
    /// Runs a backup under a shared lock. The index must be loaded.
    ///
    /// # Errors
    /// The store fails, the parent tree cannot be read, or somebody asks to stop. Then no snapshot is written, and what
    /// was uploaded is indexed, so that the next run need not upload it again.
    pub fn backup(&self, request: BackupRequest<'_>, monitor: &dyn Monitor) -> RepositoryResult<BackupOutcome> {
        self.refuse_if_old()?;
        let lock = self.lock(LockKind::Shared)?;
        let writer = Writer::new(self, &lock);
        let (Built { tree, skipped, files_read, bytes_read }, snapshot) = match build_all(self, &writer, request, monitor) {
            Ok(built) => built,
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        };
        let counters = writer.finish()?;
        lock.assert_held()?;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let totals = Totals {
            files_read,
            bytes_read,
            data_blobs: count(&counters.data_blobs),
            tree_blobs: count(&counters.tree_blobs),
            bytes_new: count(&counters.plain_bytes),
            bytes_stored: count(&counters.stored_bytes),
            packs: count(&counters.packs),
            indexes: count(&counters.indexes),
        };
        let snapshot = Snapshot { tree, ..snapshot };
        let id = self.write_file("snapshots", &serde_json::to_vec(&snapshot).expect("plain strings and numbers"))?;
        drop(lock);
        Ok(BackupOutcome { snapshot: id, written: snapshot, tree, totals, skipped })
    }
}

struct Built {
    tree: Id,
    skipped: Vec<SkippedPath>,
    files_read: u64,
    bytes_read: u64,
}

fn build_all(
    repository: &Repository,
    writer: &Writer<'_>,
    request: BackupRequest<'_>,
    monitor: &dyn Monitor,
) -> RepositoryResult<(Built, Snapshot)> {
    let BackupRequest { parent_tree, carry_tree, edits, replay, snapshot } = request;
    let first = build(repository, writer, parent_tree, carry_tree, edits, monitor)?;
    let Some(replay) = replay else { return Ok((first, snapshot)) };
    // The trees of the first round are read again.
    writer.settle()?;
    let (edits, snapshot) = replay(&first.tree)?;
    let mut again = HashSet::new();
    let edits = edits.inspect(|edit| again.extend(edit.iter().map(|e| e.path.clone())));
    let mut last = build(repository, writer, Some(first.tree), carry_tree, Box::new(edits), monitor)?;
    last.skipped.extend(first.skipped.into_iter().filter(|s| !again.contains(s.path.as_bytes())));
    last.files_read += first.files_read;
    last.bytes_read += first.bytes_read;
    Ok((last, snapshot))
}

/// A tree with edits carried out over it.
pub(crate) fn edited(repository: &Repository, writer: &Writer<'_>, tree: Id, edits: Vec<Edit>) -> RepositoryResult<Id> {
    Ok(build(repository, writer, Some(tree), None, Box::new(edits.into_iter().map(Ok)), &Silent)?.tree)
}

fn build<'a>(
    repository: &Repository,
    writer: &Writer<'_>,
    parent: Option<Id>,
    carry: Option<Id>,
    edits: EditStream<'a>,
    monitor: &dyn Monitor,
) -> RepositoryResult<Built> {
    let pool = Pool::new(repository, writer, monitor);
    std::thread::scope(|scope| {
        let pool = &pool;
        for lane in 0..std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 8) {
            scope.spawn(move || pool.work(lane));
        }
        // However the building ends, the workers are let go.
        let queue = pool.queue();
        let mut builder = Builder {
            repository,
            writer,
            carry,
            edits,
            queue,
            ahead: VecDeque::new(),
            ended: false,
            monitor,
            skipped: Vec::new(),
            files_read: 0,
            bytes_read: 0,
        };
        let root = builder.dir(b"", parent)?;
        let root = match root {
            Some(root) => root,
            None => writer.add_tree(&Tree::default().encode())?,
        };
        let Builder { skipped, files_read, bytes_read, .. } = builder;
        Ok(Built { tree: root, skipped, files_read, bytes_read })
    })
}

/// An edit whose content, if it has any, is on its way.
struct Prepared {
    path: Vec<u8>,
    kind: EditKind,
    reply: Option<Reply>,
}

enum Slot {
    Done(Node),
    Reading { node: Node, reply: Reply, path: Vec<u8> },
}

struct Builder<'a> {
    repository: &'a Repository,
    writer: &'a Writer<'a>,
    carry: Option<Id>,
    edits: EditStream<'a>,
    queue: Queue<'a>,
    ahead: VecDeque<Prepared>,
    ended: bool,
    monitor: &'a dyn Monitor,
    skipped: Vec<SkippedPath>,
    files_read: u64,
    bytes_read: u64,
}

impl Builder<'_> {
    /// Keeps the workers busy with what comes next.
    fn fill(&mut self) -> RepositoryResult<()> {
        while !self.ended && self.ahead.len() < AHEAD {
            let Some(edit) = self.edits.next().transpose()? else {
                self.ended = true;
                return Ok(());
            };
            let Edit { path, kind } = edit;
            let (kind, reply) = match kind {
                EditKind::File(node, content) => (EditKind::Keep(node), Some(self.queue.read(content))),
                other => (other, None),
            };
            self.ahead.push_back(Prepared { path, kind, reply });
        }
        Ok(())
    }

    /// Builds the folder whose path, with a final `/` unless it is the root, is `prefix`. `None`: nothing is in it.
    fn dir(&mut self, prefix: &[u8], parent: Option<Id>) -> RepositoryResult<Option<Id>> {
        let mut old = match parent {
            Some(id) => VecDeque::from(self.repository.tree(&id)?.nodes.clone()),
            None => VecDeque::new(),
        };
        let mut slots = Vec::new();
        loop {
            self.fill()?;
            if self.monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            let Some(name) = self.ahead.front().and_then(|next| next.path.strip_prefix(prefix)).map(<[u8]>::to_vec) else { break };
            let (name, is_here) = match name.iter().position(|c| *c == b'/') {
                Some(at) => (name[..at].to_vec(), false),
                None => (name, true),
            };
            while old.front().is_some_and(|node| node.name < name) {
                slots.extend(old.pop_front().map(Slot::Done));
            }
            let before = if old.front().is_some_and(|node| node.name == name) { old.pop_front() } else { None };
            let slot = if is_here { self.here(before)? } else { self.below(prefix, &name, before)? };
            slots.extend(slot);
        }
        slots.extend(old.into_iter().map(Slot::Done));
        self.close(slots)
    }

    /// Carries out the edit at the front, which is about a node of this folder.
    fn here(&mut self, before: Option<Node>) -> RepositoryResult<Option<Slot>> {
        let Some(Prepared { path, kind, reply }) = self.ahead.pop_front() else { return Ok(None) };
        self.writer.maybe_index()?;
        match (kind, reply) {
            (EditKind::Keep(node) | EditKind::File(node, _), Some(reply)) => Ok(Some(Slot::Reading { node, reply, path })),
            (EditKind::Keep(node) | EditKind::File(node, _), None) => {
                self.monitor.advance(1, 0);
                Ok(Some(Slot::Done(node)))
            }
            (EditKind::Dir(mut node), _) => {
                let mut prefix = path;
                prefix.push(b'/');
                let subtree = self.dir(&prefix, before.and_then(|n| n.subtree))?;
                node.subtree = Some(subtree.map_or_else(|| self.writer.add_tree(&Tree::default().encode()), Ok)?);
                Ok(Some(Slot::Done(node)))
            }
            (EditKind::Remove, _) => Ok(None),
            (EditKind::Unreadable(reason), _) => Ok(self.carry(&path, reason)?.map(Slot::Done)),
        }
    }

    fn below(&mut self, prefix: &[u8], name: &[u8], before: Option<Node>) -> RepositoryResult<Option<Slot>> {
        let path = [prefix, name, b"/"].concat();
        let subtree = self.dir(&path, before.as_ref().and_then(|n| n.subtree))?;
        let Some(subtree) = subtree else {
            // Something went below what is no folder: nothing was there, and what is there stays.
            return Ok(before.filter(|node| node.kind != NodeKind::Dir).map(Slot::Done));
        };
        let node = |id| match &before {
            Some(node) if node.subtree.is_some() => Node { subtree: Some(id), ..node.clone() },
            _ => Node { name: name.to_vec(), ..Node::virtual_dir("", DIR_TIME, id) },
        };
        Ok(Some(Slot::Done(node(subtree))))
    }

    fn close(&mut self, slots: Vec<Slot>) -> RepositoryResult<Option<Id>> {
        let mut nodes = Vec::with_capacity(slots.len());
        for slot in slots {
            match slot {
                Slot::Done(node) => nodes.push(node),
                Slot::Reading { node, reply, path } => match reply.recv().expect("a worker answers every job") {
                    Ok(content) => {
                        self.files_read += 1;
                        self.bytes_read += content.bytes;
                        self.monitor.advance(1, 0);
                        nodes.push(Node { content: Some(content.ids), size: content.bytes, ..node });
                    }
                    Err(ReadError::Source(reason)) => nodes.extend(self.carry(&path, reason)?),
                    Err(ReadError::Fatal(error)) => return Err(error),
                },
            }
        }
        if nodes.is_empty() {
            return Ok(None);
        }
        self.writer.add_tree(&Tree { nodes }.encode()).map(Some)
    }

    /// What the last tree has at a path, if all its content is still there.
    fn carry(&mut self, path: &[u8], reason: String) -> RepositoryResult<Option<Node>> {
        let path = String::from_utf8_lossy(path).into_owned();
        let found = match self.carry {
            // A tree that cannot be read has nothing to carry.
            Some(tree) => self.repository.node_at(&tree, &path).ok().flatten(),
            None => None,
        };
        let node = found.filter(|node| whole(self.repository, node));
        self.monitor.problem(&path, &reason);
        self.skipped.push(SkippedPath { path, reason, carried: node.is_some() });
        Ok(node)
    }
}

/// Whether all content of a node, and of everything below it, is still in the repository.
fn whole(repository: &Repository, node: &Node) -> bool {
    let here = node.content.iter().flatten().all(|id| repository.locate(BlobKind::Data, id).is_some());
    let below = |id| repository.tree(&id).is_ok_and(|tree| tree.nodes.iter().all(|node| whole(repository, node)));
    here && node.subtree.is_none_or(below)
}
