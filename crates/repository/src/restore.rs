//! Bringing a tree back into a folder: every blob checked, every file whole or absent, nothing outside the folder.

mod fetching;
mod links;
mod metadata;
mod parts;
mod staging;
mod writing;

use std::{
    collections::HashMap,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use self::{
    fetching::Fetcher,
    metadata::{apply_meta, make_special},
    parts::{DISK, Disk, PartNames, alone_in},
    writing::{Buffers, Source, write_file},
};
use crate::{Id, LockKind, Monitor, Node, NodeKind, Repository, RepositoryError, RepositoryResult, index::BlobKind, needed::is_wanted};

/// What to bring back, and how.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what is at or below these paths; empty: everything.
    pub paths: Vec<String>,
    /// Replace files that are there.
    pub overwrite: bool,
}

/// What came back and what did not.
#[derive(Debug, Clone, Default)]
pub struct RestoreOutcome {
    /// Files written.
    pub files: u64,
    /// Folders made.
    pub folders: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Paths that could not be brought back, each with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether damage in the repository is among the reasons.
    pub damaged: bool,
}

struct Job {
    node: Node,
    target: PathBuf,
    /// Where it is until it is whole.
    part: PathBuf,
    path: String,
    /// Of a file with several names.
    stands: Option<Stands>,
}

/// The name under which this run brought the content of hard links back, once it did.
type Stands = Arc<Mutex<Option<PathBuf>>>;

impl Job {
    fn pieces(&self) -> &[Id] {
        self.node.content.as_deref().unwrap_or_default()
    }

    /// It has its name, and others may be linked to it.
    fn has_come(&self) {
        if let Some(stands) = &self.stands {
            *stands.lock().expect("no holder panics") = Some(self.target.clone());
        }
    }
}

/// Threads that restore from behind a network: they mostly wait for answers.
const FAR_THREADS: usize = 12;

/// How many files that lie next to each other go to one thread together, so that threads do not wait for each other at every small file; a batch
/// ends also with the file that reaches so many bytes.
const NEAR_BATCH: (usize, u64) = (64, 1 << 20);
/// From behind a network the files of a batch are read together, too.
const FAR_BATCH: (usize, u64) = (1024, 4 << 20);

/// Gathers files for the threads that write them.
struct Batches {
    queue: SyncSender<Vec<Job>>,
    open: Vec<Job>,
    bytes: u64,
    limit: (usize, u64),
}

impl Batches {
    fn add(&mut self, job: Job) {
        self.bytes = self.bytes.saturating_add(job.node.size);
        self.open.push(job);
        if self.open.len() >= self.limit.0 || self.bytes >= self.limit.1 {
            self.send();
        }
    }

    fn send(&mut self) {
        self.bytes = 0;
        // The threads take everything, even after somebody asked to stop.
        drop(self.queue.send(std::mem::take(&mut self.open)));
    }
}

/// Why one file did not come back.
struct Failure {
    reason: String,
    damaged: bool,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { reason: error.to_string(), damaged: false }
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        Self { damaged: matches!(error, RepositoryError::Damaged { .. }), reason: error.to_string() }
    }
}

struct Walk<'a> {
    repository: &'a Repository,
    options: &'a RestoreOptions,
    monitor: &'a dyn Monitor,
    outcome: &'a Mutex<RestoreOutcome>,
    /// By device, inode and content: a file that was written to while it was backed up has another content under each name.
    hard_links: HashMap<(u64, u64, Id), Stands>,
    /// Further names, for the end: only then it is known whether the first one came back.
    linked: Vec<Job>,
    folders: Vec<(PathBuf, Node, String)>,
}

impl Repository {
    /// Writes a tree below a folder, which is made if it is not there. The index must be loaded.
    ///
    /// # Errors
    /// The folder cannot be made, another restore writes into it, or somebody asks to stop. What is wrong with single files is in the outcome.
    pub fn restore(&self, tree: &Id, target: &Path, options: &RestoreOptions, monitor: &dyn Monitor) -> RepositoryResult<RestoreOutcome> {
        let _lock = self.lock(LockKind::Shared)?;
        fs::create_dir_all(target).map_err(|e| {
            let told = format!("the folder cannot be made ({e}): choose another one");
            RepositoryError::outside(target, io::Error::new(e.kind(), told))
        })?;
        let _alone = alone_in(target)?;
        self.restore_on(DISK, tree, target, options, monitor)
    }

    fn restore_on(
        &self,
        disk: Disk,
        tree: &Id,
        target: &Path,
        options: &RestoreOptions,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<RestoreOutcome> {
        let outcome = Mutex::new(RestoreOutcome::default());
        let (queue, jobs) = sync_channel::<Vec<Job>>(8);
        let jobs = Mutex::new(jobs);
        let mut walk = Walk {
            repository: self,
            options,
            monitor,
            outcome: &outcome,
            hard_links: HashMap::new(),
            linked: Vec::new(),
            folders: Vec::new(),
        };
        std::thread::scope(|scope| {
            // Some of them wait for the store while the others compute.
            let cores = std::thread::available_parallelism().map_or(2, usize::from).min(8);
            let threads = if self.store.is_far() { FAR_THREADS } else { cores + 2 };
            let fetcher = self.store.is_far().then(|| Arc::new(Fetcher::start(scope, self)));
            for _ in 0..threads {
                let fetcher = fetcher.clone();
                let (jobs, outcome) = (&jobs, &outcome);
                scope.spawn(move || write_files(self, fetcher.as_deref(), jobs, options, disk, monitor, outcome));
            }
            let limit = if self.store.is_far() { FAR_BATCH } else { NEAR_BATCH };
            let mut batches = Batches { queue, open: Vec::new(), bytes: 0, limit };
            let walked = walk.dir(tree, target, "", &mut batches);
            batches.send();
            walked
        })?;
        links::link_or_write(self, std::mem::take(&mut walk.linked), options, disk, monitor, &outcome);
        // Deepest first, so that writing inside a folder does not change its time again.
        for (folder, node, path) in std::mem::take(&mut walk.folders).into_iter().rev() {
            if let Err(error) = apply_meta(&folder, &node) {
                walk.fail(&path, &error.to_string());
            }
        }
        if monitor.cancelled() {
            return Err(RepositoryError::Cancelled);
        }
        let mut outcome = outcome.into_inner().expect("no holder panics");
        outcome.failed.sort();
        Ok(outcome)
    }
}

impl Walk<'_> {
    fn fail(&self, path: &str, reason: &str) {
        fail(self.outcome, self.monitor, path, reason);
    }

    fn dir(&mut self, tree: &Id, target: &Path, prefix: &str, batches: &mut Batches) -> RepositoryResult<()> {
        let nodes = match self.repository.blob_from_pack(BlobKind::Tree, tree).and_then(|bytes| crate::Tree::decode(*tree, &bytes)) {
            Ok(tree) => tree.nodes,
            Err(error) => {
                self.outcome.lock().expect("no holder panics").damaged = true;
                self.fail(if prefix.is_empty() { "/" } else { prefix }, &error.to_string());
                return Ok(());
            }
        };
        let parts = PartNames::beside(&nodes);
        for node in nodes {
            if self.monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            let path = if prefix.is_empty() { node.display_name() } else { format!("{prefix}/{}", node.display_name()) };
            if is_wanted(&self.options.paths, &path) {
                let target = target.join(std::ffi::OsStr::from_bytes(&node.name));
                self.node(node, target, path, &parts, batches)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, node: Node, target: PathBuf, path: String, parts: &PartNames, batches: &mut Batches) -> RepositoryResult<()> {
        match (node.kind, node.subtree) {
            (NodeKind::Dir, Some(subtree)) => {
                if let Err(error) = make_folder(&target) {
                    self.fail(&path, &error.to_string());
                    return Ok(());
                }
                self.outcome.lock().expect("no holder panics").folders += 1;
                self.folders.push((target.clone(), node, path.clone()));
                self.dir(&subtree, &target, &path, batches)
            }
            (NodeKind::File, _) => {
                let part = target.with_file_name(parts.part_of(&node.name));
                let mut job = Job { node, target, part, path, stands: None };
                if job.node.links > 1 && job.node.inode != 0 {
                    let key = (job.node.device_id, job.node.inode, content_of(&job.node));
                    if let Some(stands) = self.hard_links.get(&key) {
                        job.stands = Some(Arc::clone(stands));
                        self.linked.push(job);
                        return Ok(());
                    }
                    job.stands = Some(Arc::clone(self.hard_links.entry(key).or_default()));
                }
                batches.add(job);
                Ok(())
            }
            _ => {
                let part = target.with_file_name(parts.part_of(&node.name));
                if let Err(error) = make_special(&node, &target, &part, self.options.overwrite).and_then(|()| apply_meta(&target, &node)) {
                    self.fail(&path, &error.to_string());
                }
                Ok(())
            }
        }
    }
}

/// Names the content of a file.
fn content_of(node: &Node) -> Id {
    let pieces = node.content.iter().flatten();
    Id::of(&pieces.flat_map(|id| id.as_bytes().iter().copied()).collect::<Vec<u8>>())
}

fn fail(outcome: &Mutex<RestoreOutcome>, monitor: &dyn Monitor, path: &str, reason: &str) {
    monitor.problem(path, reason);
    outcome.lock().expect("no holder panics").failed.push((path.to_owned(), reason.to_owned()));
}

/// A folder that is there already must be one, not a link that leads elsewhere. A new one is its owner's alone until all is in it.
fn make_folder(target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(meta) if meta.is_dir() => {
            let mode = meta.mode() & 0o7777;
            if mode & 0o700 != 0o700 {
                // A restore before this one may have made it read-only; it will be so again at the end. Who may not change that is told so by the
                // files that cannot be written.
                drop(fs::set_permissions(target, fs::Permissions::from_mode(mode | 0o700)));
            }
            Ok(())
        }
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no folder is in the way")),
        Err(_) => fs::DirBuilder::new().mode(0o700).create(target),
    }
}

fn write_files(
    repository: &Repository,
    fetcher: Option<&Fetcher>,
    batches: &Mutex<Receiver<Vec<Job>>>,
    options: &RestoreOptions,
    disk: Disk,
    monitor: &dyn Monitor,
    outcome: &Mutex<RestoreOutcome>,
) {
    let mut buffers = Buffers::default();
    loop {
        let batch = batches.lock().expect("no holder panics").recv();
        let Ok(batch) = batch else { return };
        let pieces: Vec<Id> = if fetcher.is_some() { batch.iter().flat_map(Job::pieces).copied().collect() } else { Vec::new() };
        let mut source = Source { repository, ahead: fetcher.map(|fetcher| fetcher.ahead(repository, &pieces)), first: 0 };
        for job in batch {
            if monitor.cancelled() {
                break;
            }
            let written = write_file(&mut source, &job, options.overwrite, &mut buffers, disk, monitor);
            source.first += job.pieces().len();
            note(outcome, monitor, &job, written);
        }
    }
}

/// What became of a file.
fn note(outcome: &Mutex<RestoreOutcome>, monitor: &dyn Monitor, job: &Job, written: Result<u64, Failure>) {
    match written {
        Ok(bytes) => {
            let mut outcome = outcome.lock().expect("no holder panics");
            outcome.files += 1;
            outcome.bytes += bytes;
            monitor.advance(1, 0);
        }
        // The whole run ends as cancelled, of which a file in the middle is no further news.
        Err(_) if monitor.cancelled() => {}
        Err(failure) => {
            outcome.lock().expect("no holder panics").damaged |= failure.damaged;
            fail(outcome, monitor, &job.path, &failure.reason);
        }
    }
}
