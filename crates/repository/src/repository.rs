//! A repository: made, opened, read.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use keepsake_storage::{ObjectName, PutMode, Store, both};

use crate::{
    Ambient, GearTable, Id, KdfCost, LockKind, MasterKey, Monitor, Password, RepositoryError, RepositoryResult, Snapshot,
    config::Config,
    crypto::{fresh_iv, open, seal},
    frame,
    index::Index,
    key_file,
    lock::{LockGuard, Locker},
    reading::PackSlot,
    tree_cache::TreeCache,
};

/// At most this many key files are tried, as in restic.
pub(crate) const KEYS_MAX: usize = 20;
/// So many small files are read at once from behind a network.
pub(crate) const FILES_AT_ONCE: usize = 16;
/// How long verbs that must be alone wait for others.
const PATIENCE: Duration = Duration::from_secs(120);

/// A snapshot with its id.
pub type Named = (Id, Snapshot);

/// An open repository: its key is known, its index may be loaded.
pub struct Repository {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: MasterKey,
    pub(crate) config: Config,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) gear: GearTable,
    pub(crate) index: RwLock<Index>,
    pub(crate) index_cache: Option<PathBuf>,
    pub(crate) packs: Mutex<VecDeque<(Id, PackSlot)>>,
    pub(crate) trees: Mutex<TreeCache>,
    patience: Duration,
    pub(crate) suspects: Mutex<BTreeSet<Id>>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({})", self.store.describe())
    }
}

pub(crate) fn object(folder: &str, id: &Id) -> ObjectName {
    let name = if folder == "data" { format!("data/{}/{id}", &id.to_string()[..2]) } else { format!("{folder}/{id}") };
    ObjectName::new(name).expect("hexadecimal names are valid")
}

fn config_name() -> ObjectName {
    ObjectName::new("config").expect("a valid name")
}

impl Repository {
    /// Makes a repository with one key. Its id, key and polynomial are random.
    ///
    /// # Errors
    /// There is one already, or the store fails.
    pub fn init(store: Arc<dyn Store>, password: &Password, cost: KdfCost, ambient: Arc<dyn Ambient>) -> RepositoryResult<Self> {
        let place = store.describe();
        let (config, others) =
            both(&*store, || store.head(&config_name()), || both(&*store, || store.list("keys"), || store.list("snapshots")));
        if config?.is_some() || !others.0?.is_empty() || !others.1?.is_empty() {
            return Err(RepositoryError::AlreadyThere { place });
        }
        let key = MasterKey::random(&*ambient);
        let file = key_file::write(&key, password, cost, key_file::OWN_NAME, &*ambient);
        store.put(&object("keys", &Id::of(&file)), file.into(), PutMode::Create)?;
        let config = Config::random(&*ambient);
        let mut sealed = Vec::new();
        seal(&key, fresh_iv(&*ambient), &serde_json::to_vec(&config).expect("plain strings"), &mut sealed);
        store.put(&config_name(), sealed.into(), PutMode::Create)?;
        Ok(Self::with(store, key, config, ambient))
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`], [`RepositoryError::WrongPassword`], or damage to what opening needs.
    pub fn open(store: Arc<dyn Store>, password: &Password, ambient: Arc<dyn Ambient>) -> RepositoryResult<Self> {
        let place = store.describe();
        let (config, keys) = both(&*store, || store.get(&config_name()), || store.list("keys"));
        let sealed = match config {
            Ok(sealed) => sealed,
            Err(error) if error.is_not_found() => return Err(RepositoryError::NoRepository { place }),
            Err(error) => return Err(error.into()),
        };
        let mut damage = None;
        for file in keys?.into_iter().take(KEYS_MAX) {
            match store.get(&file.name).map_err(RepositoryError::from).and_then(|bytes| key_file::read(&bytes, password)) {
                Ok(Some(key)) => {
                    let plain = open(&key, &sealed)
                        .ok_or_else(|| RepositoryError::damaged("the config file", "it does not open with the repository's key"))?;
                    return Ok(Self::with(store, key, Config::read(&plain)?, ambient));
                }
                Ok(None) => {}
                Err(RepositoryError::Damaged { problem, .. }) => {
                    let object = format!("key {}", file.name.file_name().get(..8).unwrap_or_default());
                    damage = Some(RepositoryError::Damaged { object, problem });
                }
                Err(error) => damage = Some(error),
            }
        }
        Err(damage.unwrap_or(RepositoryError::WrongPassword { place }))
    }

    fn with(store: Arc<dyn Store>, key: MasterKey, config: Config, ambient: Arc<dyn Ambient>) -> Self {
        let gear = GearTable::of(&key);
        Self {
            store,
            key,
            config,
            ambient,
            gear,
            index: RwLock::default(),
            index_cache: None,
            packs: Mutex::default(),
            trees: Mutex::default(),
            suspects: Mutex::default(),
            patience: PATIENCE,
        }
    }

    /// Keeps a binary copy of the index in a local folder, so that opening reads only the index files that came since.
    #[must_use]
    pub fn with_index_cache(mut self, folder: &Path) -> Self {
        self.index_cache = Some(folder.join(format!("{}.index", self.config.id)));
        self
    }

    /// The id in its config: names its local cache.
    pub fn id(&self) -> Id {
        self.config.id
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.store.describe()
    }

    /// How long verbs that must be alone wait for others to end; two minutes unless told.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The exclusive lock, waiting for others to end.
    pub(crate) fn lock_exclusively(&self, monitor: &dyn Monitor) -> RepositoryResult<LockGuard> {
        let (mut waited, mut pause) = (Duration::ZERO, Duration::from_millis(50));
        loop {
            match self.lock(LockKind::Exclusive) {
                Err(RepositoryError::Locked { .. }) if waited < self.patience && !monitor.cancelled() => std::thread::sleep(pause),
                other => return other,
            }
            waited += pause;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Whether it is of the format's first version, which this program reads and does not write.
    fn is_old(&self) -> bool {
        self.config.version < 2
    }

    pub(crate) fn refuse_if_old(&self) -> RepositoryResult<()> {
        if !self.is_old() {
            return Ok(());
        }
        let what = "format version 1 to be written to: run `restic migrate upgrade_repo_v2` on it; it uses a form".into();
        Err(RepositoryError::Unsupported { what })
    }

    pub(crate) fn lock(&self, kind: LockKind) -> RepositoryResult<LockGuard> {
        let locker = Locker { store: self.store.clone(), key: self.key.clone(), ambient: self.ambient.clone(), framed: !self.is_old() };
        // Somebody may have replaced it by another since it was opened.
        let (config, lock) = locker.acquire(kind, || self.store.head(&config_name()))?;
        if config?.is_none() {
            return Err(RepositoryError::NoRepository { place: format!("{} any more: run this again", self.place()) });
        }
        Ok(lock)
    }

    /// Reads and opens an index, snapshot or lock file, checking that its bytes are what its name says.
    pub(crate) fn read_file(&self, folder: &str, id: &Id) -> RepositoryResult<Vec<u8>> {
        let what = || format!("{} {}", folder.trim_end_matches('s'), id.short());
        let sealed = self.store.get(&object(folder, id))?;
        if Id::of(&sealed) != *id {
            return Err(RepositoryError::damaged(what(), "its bytes are not the ones it was written with"));
        }
        let framed =
            open(&self.key, &sealed).ok_or_else(|| RepositoryError::damaged(what(), "it does not open with the repository's key"))?;
        frame::unwrap(&what(), framed)
    }

    /// As [`Repository::read_file`] for several, in their order; from behind a network many at once, because each takes as long as the way there.
    pub(crate) fn read_files(&self, folder: &str, ids: &[Id]) -> Vec<RepositoryResult<Vec<u8>>> {
        if !self.store.is_far() {
            return ids.iter().map(|id| self.read_file(folder, id)).collect();
        }
        let mut all = Vec::new();
        for some in ids.chunks(FILES_AT_ONCE) {
            std::thread::scope(|scope| {
                let threads: Vec<_> = some.iter().map(|id| scope.spawn(move || self.read_file(folder, id))).collect();
                all.extend(threads.into_iter().map(|thread| thread.join().expect("no reader panics")));
            });
        }
        all
    }

    /// Seals and writes an index or snapshot file; answers its id.
    pub(crate) fn write_file(&self, folder: &str, json: &[u8]) -> RepositoryResult<Id> {
        let mut sealed = Vec::new();
        seal(&self.key, fresh_iv(&*self.ambient), &frame::wrap(json), &mut sealed);
        let id = Id::of(&sealed);
        self.store.put(&object(folder, &id), sealed.into(), PutMode::Create)?;
        Ok(id)
    }

    /// The ids of the files of a folder; names that are no ids are nobody's.
    pub(crate) fn list_ids(&self, folder: &str) -> RepositoryResult<Vec<(Id, u64)>> {
        let mut ids: Vec<_> =
            self.store.list(folder)?.into_iter().filter_map(|o| Some((o.name.file_name().parse().ok()?, o.bytes))).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The ids of all snapshots.
    ///
    /// # Errors
    /// The store cannot list.
    pub fn snapshot_ids(&self) -> RepositoryResult<Vec<Id>> {
        Ok(self.list_ids("snapshots")?.into_iter().map(|(id, _)| id).collect())
    }

    /// Does two things that ask its store: at once if that is behind a network.
    pub fn both<A: Send, B>(&self, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
        both(&*self.store, first, second)
    }

    /// Removes snapshots. What only they needed stays until a prune.
    ///
    /// # Errors
    /// Others work on the repository and do not end, or the store fails; those before the failing one are gone.
    pub fn forget(&self, snapshots: &[Id], monitor: &dyn Monitor) -> RepositoryResult<()> {
        let lock = self.lock_exclusively(monitor)?;
        for id in snapshots {
            lock.assert_held()?;
            self.store.delete(&object("snapshots", id))?;
        }
        Ok(())
    }

    /// All snapshots, oldest first; damaged ones are answered beside them.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn snapshots(&self) -> RepositoryResult<(Vec<Named>, Vec<RepositoryError>)> {
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        let ids: Vec<Id> = self.list_ids("snapshots")?.into_iter().map(|(id, _)| id).collect();
        for (id, json) in ids.iter().zip(self.read_files("snapshots", &ids)) {
            let id = *id;
            match json.and_then(|json| Snapshot::read(id, &json)) {
                Ok(snapshot) => good.push((id, snapshot)),
                Err(error @ RepositoryError::Damaged { .. }) => damaged.push(error),
                Err(RepositoryError::Store(error)) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let time = |s: &Snapshot| s.time.parse::<jiff::Timestamp>().map_or(i128::MIN, jiff::Timestamp::as_nanosecond);
        good.sort_by_key(|(id, snapshot)| (time(snapshot), *id));
        Ok((good, damaged))
    }

    /// The snapshot files that are not what was written.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn damaged_snapshots(&self) -> RepositoryResult<Vec<Id>> {
        let mut damaged = Vec::new();
        for (id, _) in self.list_ids("snapshots")? {
            match self.read_file("snapshots", &id).and_then(|json| Snapshot::read(id, &json)) {
                Err(RepositoryError::Damaged { .. }) => damaged.push(id),
                Err(RepositoryError::Store(error)) if error.is_not_found() => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(damaged)
    }

    /// One snapshot by id.
    ///
    /// # Errors
    /// It is not there or damaged.
    pub fn snapshot(&self, id: &Id) -> RepositoryResult<Snapshot> {
        match self.read_file("snapshots", id) {
            Ok(json) => Snapshot::read(*id, &json),
            Err(RepositoryError::Store(error)) if error.is_not_found() => Err(RepositoryError::NoSnapshot { name: id.to_string() }),
            Err(error) => Err(error),
        }
    }

    /// Packs from which something could not be read so far.
    pub fn suspects(&self) -> Vec<Id> {
        self.suspects.lock().expect("no holder panics").iter().copied().collect()
    }

    /// Seals bytes with the repository's key: for tests that play another program with the same password.
    #[doc(hidden)]
    pub fn seal_for_tests(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        seal(&self.key, fresh_iv(&*self.ambient), plain, &mut sealed);
        sealed
    }

    /// Opens what [`Repository::seal_for_tests`] or the engine sealed, unpacked.
    #[doc(hidden)]
    pub fn open_for_tests(&self, sealed: &[u8]) -> Vec<u8> {
        frame::unwrap("a file", open(&self.key, sealed).expect("it opens")).expect("it unpacks")
    }
}
