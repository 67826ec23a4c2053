//! A repository: made, opened, read.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use bytes::Bytes;
use keepsake_storage::{ObjectName, PutMode, Store};

use crate::{
    Ambient, GearTable, Id, KdfCost, Location, LockKind, MasterKey, Password, RepositoryError, RepositoryResult, Snapshot, Tree,
    config::Config,
    crypto::{fresh_iv, open, seal},
    frame,
    index::{BlobKind, Index},
    index_cache, index_file, key_file,
    lock::{LockGuard, Locker},
    pack::PackedBlob,
};

/// At most this many key files are tried, as in restic.
const KEYS_MAX: usize = 20;
/// Packs up to this size are read whole when much of them will be wanted.
const PACK_CACHE_COUNT: usize = 6;
/// A zstd block takes at least 4 bytes and gives at most 128 KiB (RFC 8878, 3.1.1.2).
const ZSTD_RATIO_MAX: usize = 32 << 10;
/// So many trees are kept, none of them with more nodes than that: a walk along changed paths meets the upper ones again.
const TREE_CACHE_COUNT: usize = 64;
const TREE_CACHE_NODES: usize = 1000;

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
    index_cache: Option<PathBuf>,
    packs: Mutex<VecDeque<(Id, Bytes)>>,
    trees: Mutex<VecDeque<(Id, Arc<Tree>)>>,
    suspects: Mutex<BTreeSet<Id>>,
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
        let taken = store.head(&config_name())?.is_some() || !store.list("keys")?.is_empty() || !store.list("snapshots")?.is_empty();
        if taken {
            return Err(RepositoryError::AlreadyThere { place });
        }
        let key = MasterKey::random(&*ambient);
        let file = key_file::write(&key, password, cost, &*ambient);
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
        let sealed = match store.get(&config_name()) {
            Ok(sealed) => sealed,
            Err(error) if error.is_not_found() => return Err(RepositoryError::NoRepository { place }),
            Err(error) => return Err(error.into()),
        };
        let mut damage = None;
        for file in store.list("keys")?.into_iter().take(KEYS_MAX) {
            match store.get(&file.name).map_err(RepositoryError::from).and_then(|bytes| key_file::read(&bytes, password)) {
                Ok(Some(key)) => {
                    let plain = open(&key, &sealed)
                        .ok_or_else(|| RepositoryError::damaged("the config file", "it does not open with the repository's key"))?;
                    return Ok(Self::with(store, key, Config::read(&plain)?, ambient));
                }
                Ok(None) => {}
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

    pub(crate) fn lock(&self, kind: LockKind) -> RepositoryResult<LockGuard> {
        Locker { store: self.store.clone(), key: self.key.clone(), ambient: self.ambient.clone() }.acquire(kind)
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

    /// Reads all index files that are neither in memory nor in the local cache. Damaged ones are answered, not fatal: what
    /// they list is missing.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn load_index(&self) -> RepositoryResult<Vec<RepositoryError>> {
        let listed: Vec<Id> = self.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        let mut index = self.index.write().expect("no holder panics");
        if index.files.is_empty()
            && let Some(cached) = self.index_cache.as_ref().and_then(|path| index_cache::read(path, &self.key))
            // One that a prune took away would leave blobs that are there no more.
            && cached.files.iter().all(|id| listed.binary_search(id).is_ok())
        {
            index.replace_files(cached);
        }
        drop(index);
        let damaged = self.read_index_files(&listed)?;
        self.save_index_cache();
        Ok(damaged)
    }

    /// As [`Repository::load_index`], from the store alone: for those who check it.
    pub(crate) fn reload_index(&self) -> RepositoryResult<Vec<RepositoryError>> {
        let listed: Vec<Id> = self.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        self.index.write().expect("no holder panics").replace_files(Index::default());
        self.read_index_files(&listed)
    }

    fn read_index_files(&self, listed: &[Id]) -> RepositoryResult<Vec<RepositoryError>> {
        let mut damaged = Vec::new();
        for id in listed {
            if self.index.read().expect("no holder panics").files.contains(id) {
                continue;
            }
            match self.read_file("index", id).and_then(|json| index_file::decode(*id, &json)) {
                Ok(packs) => self.index.write().expect("no holder panics").add_file(*id, &packs),
                Err(error @ RepositoryError::Damaged { .. }) => damaged.push(error),
                Err(RepositoryError::Store(error)) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    /// Writes the local cache once enough has come since.
    pub(crate) fn save_index_cache(&self) {
        let Some(path) = &self.index_cache else { return };
        let mut index = self.index.write().expect("no holder panics");
        if index.cache_is_due() {
            index_cache::write(path, &self.key, &*self.ambient, &mut index);
            index.mark_cached();
        }
    }

    /// The packs that the loaded index names.
    pub fn pack_ids(&self) -> Vec<Id> {
        let mut ids: Vec<_> = self.index.read().expect("no holder panics").packs().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// The ids of all snapshots.
    ///
    /// # Errors
    /// The store cannot list.
    pub fn snapshot_ids(&self) -> RepositoryResult<Vec<Id>> {
        Ok(self.list_ids("snapshots")?.into_iter().map(|(id, _)| id).collect())
    }

    /// All snapshots, oldest first; damaged ones are answered beside them.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn snapshots(&self) -> RepositoryResult<(Vec<Named>, Vec<RepositoryError>)> {
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        for (id, _) in self.list_ids("snapshots")? {
            match self.read_file("snapshots", &id).and_then(|json| Snapshot::read(id, &json)) {
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

    /// Where a blob is, if the loaded index knows it.
    pub fn locate(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.index.read().expect("no holder panics").get(kind, id)
    }

    /// Reads one blob, checked against its id. Where it stands in several packs, a damaged one does not matter.
    ///
    /// # Errors
    /// The index does not know it, or its bytes are damaged or gone.
    pub fn blob(&self, kind: BlobKind, id: &Id) -> RepositoryResult<Vec<u8>> {
        self.read_any_place(kind, id, |location| {
            let start = u64::from(location.offset);
            let sealed = self.store.get_range(&object("data", &location.pack), start..start + u64::from(location.length))?;
            self.open_blob(id, location, &sealed)
        })
    }

    /// As [`Repository::blob`], for readers that want most of a pack: reads packs whole and keeps a few.
    pub(crate) fn blob_from_pack(&self, kind: BlobKind, id: &Id) -> RepositoryResult<Vec<u8>> {
        self.read_any_place(kind, id, |location| {
            let pack = self.whole_pack(&location.pack)?;
            let blob = PackedBlob { kind, id: *id, offset: location.offset, length: location.length, uncompressed: location.uncompressed };
            self.open_packed(location.pack, &blob, &pack)
        })
    }

    fn whole_pack(&self, pack: &Id) -> RepositoryResult<Bytes> {
        let cached = self.packs.lock().expect("no holder panics").iter().find(|(id, _)| id == pack).map(|(_, bytes)| bytes.clone());
        if let Some(bytes) = cached {
            return Ok(bytes);
        }
        let bytes = self.store.get(&object("data", pack))?;
        let mut packs = self.packs.lock().expect("no holder panics");
        packs.push_front((*pack, bytes.clone()));
        packs.truncate(PACK_CACHE_COUNT);
        Ok(bytes)
    }

    fn read_any_place(&self, kind: BlobKind, id: &Id, read: impl Fn(&Location) -> RepositoryResult<Vec<u8>>) -> RepositoryResult<Vec<u8>> {
        let places: Vec<Location> = self.index.read().expect("no holder panics").places(kind, id).collect();
        let mut first = None;
        for place in &places {
            match read(place) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    self.suspects.lock().expect("no holder panics").insert(place.pack);
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            None => Err(RepositoryError::damaged(format!("blob {}", id.short()), "no index knows it")),
            // A pack that is not there is damage, not a wrong question.
            Some(RepositoryError::Store(error)) if error.is_short() => {
                Err(RepositoryError::damaged(format!("pack {}", places[0].pack.short()), "it is shorter than its index says"))
            }
            Some(RepositoryError::Store(error)) if error.is_not_found() => {
                Err(RepositoryError::damaged(format!("pack {}", places[0].pack.short()), "it is missing"))
            }
            Some(error) => Err(error),
        }
    }

    /// Packs from which something could not be read so far.
    pub fn suspects(&self) -> Vec<Id> {
        self.suspects.lock().expect("no holder panics").iter().copied().collect()
    }

    /// Treats what stands only in this pack as missing: the next backup adds it again.
    pub fn distrust(&self, pack: Id) {
        self.index.write().expect("no holder panics").distrust(pack);
    }

    /// Packs that the index names and the store does not have, or has in another length. Lists all packs.
    ///
    /// # Errors
    /// The store cannot list.
    pub fn missing_packs(&self) -> RepositoryResult<Vec<Id>> {
        let there: std::collections::HashMap<Id, u64> = self.list_ids("data")?.into_iter().collect();
        Ok(self
            .index
            .read()
            .expect("no holder panics")
            .packs()
            .filter(|(id, bytes)| there.get(id) != Some(bytes))
            .map(|(id, _)| id)
            .collect())
    }

    /// Opens one blob of a whole pack.
    pub(crate) fn open_packed(&self, id: Id, blob: &PackedBlob, pack: &[u8]) -> RepositoryResult<Vec<u8>> {
        let range = blob.offset as usize..blob.offset as usize + blob.length as usize;
        let short =
            || RepositoryError::damaged(format!("blob {} in pack {}", blob.id.short(), id.short()), "it lies beyond the end of the pack");
        self.open_blob(&blob.id, &blob.location(id), pack.get(range).ok_or_else(short)?)
    }

    /// Opens, unpacks and checks a blob: its length must be the declared one, its hash its id.
    pub(crate) fn open_blob(&self, id: &Id, location: &Location, sealed: &[u8]) -> RepositoryResult<Vec<u8>> {
        let bad = |problem: &str| RepositoryError::damaged(format!("blob {} in pack {}", id.short(), location.pack.short()), problem);
        let payload = open(&self.key, sealed).ok_or_else(|| bad("it does not open with the repository's key"))?;
        let plain = if location.uncompressed == 0 {
            payload
        } else {
            unpack(&payload, location.uncompressed as usize).ok_or_else(|| bad("it does not unpack to its declared length"))?
        };
        if Id::of(&plain) == *id { Ok(plain) } else { Err(bad("its bytes are not the ones it was written with")) }
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// As [`Repository::blob`], or the tree is not well formed.
    pub fn tree(&self, id: &Id) -> RepositoryResult<Arc<Tree>> {
        let cached = self.trees.lock().expect("no holder panics").iter().find(|(known, _)| known == id).map(|(_, tree)| tree.clone());
        if let Some(tree) = cached {
            return Ok(tree);
        }
        let tree = Arc::new(Tree::decode(*id, &self.blob(BlobKind::Tree, id)?)?);
        if tree.nodes.len() <= TREE_CACHE_NODES {
            let mut trees = self.trees.lock().expect("no holder panics");
            trees.push_front((*id, tree.clone()));
            trees.truncate(TREE_CACHE_COUNT);
        }
        Ok(tree)
    }

    /// The node at a path below a tree (`""` is no node).
    ///
    /// # Errors
    /// A tree on the way cannot be read.
    pub fn node_at(&self, root: &Id, path: &str) -> RepositoryResult<Option<crate::Node>> {
        let mut tree = *root;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let Some(node) = self.tree(&tree)?.get(part.as_bytes()).cloned() else { return Ok(None) };
            match (parts.peek(), node.subtree) {
                (None, _) => return Ok(Some(node)),
                (Some(_), Some(next)) => tree = next,
                (Some(_), None) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The whole content of a file node.
    ///
    /// # Errors
    /// A blob of it cannot be read.
    pub fn file_bytes(&self, node: &crate::Node) -> RepositoryResult<Vec<u8>> {
        let mut bytes = Vec::new();
        for id in node.content.iter().flatten() {
            bytes.extend(self.blob_from_pack(BlobKind::Data, id)?);
        }
        Ok(bytes)
    }

    /// The content of a file node, piece by piece.
    ///
    /// # Errors
    /// A blob cannot be read, or `each` fails.
    pub fn file_each(&self, node: &crate::Node, each: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> RepositoryResult<()> {
        for id in node.content.iter().flatten() {
            let bytes = self.blob_from_pack(BlobKind::Data, id)?;
            each(&bytes).map_err(|source| RepositoryError::Outside { path: node.display_name(), source })?;
        }
        Ok(())
    }

    /// Seals bytes with the repository's key: for tests that play another program with the same password.
    #[doc(hidden)]
    pub fn seal_for_tests(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        seal(&self.key, fresh_iv(&*self.ambient), plain, &mut sealed);
        sealed
    }

    /// How many blobs the loaded index knows.
    pub fn blob_count(&self) -> usize {
        self.index.read().expect("no holder panics").blob_count()
    }
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Unpacks zstd frames that must give exactly `length` bytes.
fn unpack(payload: &[u8], length: usize) -> Option<Vec<u8>> {
    // What a damaged or hostile index declares must not take memory that its payload cannot fill.
    if length > payload.len().saturating_mul(ZSTD_RATIO_MAX) {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let mut plain = vec![0; length];
        let unpacked = slot.as_mut()?.decompress_to_buffer(payload, plain.as_mut_slice()).ok()?;
        (unpacked == length).then_some(plain)
    })
}
