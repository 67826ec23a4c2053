//! The write side: hash, known?, compress, seal, pack, upload, index.

use std::{
    cell::RefCell,
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keepsake_storage::both;

use crate::{
    Id, Repository, RepositoryError, RepositoryResult,
    crypto::{OVERHEAD_BYTES, fresh_iv},
    index::BlobKind,
    index_file,
    lock::LockGuard,
    pack::{PackBuilder, PackedBlob},
    uploads::Uploads,
};

/// Packs of content that grow at once: workers that share one wait for each other.
const LANES: usize = 4;
/// An index is written after this long, so that an interrupted run keeps what it has uploaded.
const INDEX_AFTER: Duration = Duration::from_secs(60);
/// Blobs from this length on are probed before they are compressed.
const PROBE_MIN_BYTES: usize = 64 << 10;
const PROBE_BYTES: usize = 16 << 10;
const ZSTD_LEVEL: i32 = 3;

thread_local! {
    static COMPRESSOR: RefCell<(Option<zstd::bulk::Compressor<'static>>, Vec<u8>)> = const { RefCell::new((None, Vec::new())) };
}

/// What a run added to the repository.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub data_blobs: AtomicU64,
    pub tree_blobs: AtomicU64,
    pub plain_bytes: AtomicU64,
    pub stored_bytes: AtomicU64,
    pub packs: AtomicU64,
    pub indexes: AtomicU64,
}

pub(crate) struct Writer<'r> {
    repository: &'r Repository,
    lock: &'r LockGuard,
    /// The pack of trees that grows, and those of content, one a lane.
    trees: Mutex<PackBuilder>,
    lanes: Vec<Mutex<PackBuilder>>,
    seen: Mutex<HashSet<(BlobKind, Id)>>,
    uploads: Uploads,
    last_index: Mutex<Instant>,
    pub counters: Counters,
}

impl<'r> Writer<'r> {
    /// Begins to write into a repository whose index is loaded.
    #[expect(clippy::disallowed_methods, reason = "measures how long the run has gone without an index; nothing stored depends on it")]
    pub fn new(repository: &'r Repository, lock: &'r LockGuard) -> Self {
        Self {
            repository,
            lock,
            trees: Mutex::default(),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            seen: Mutex::default(),
            uploads: Uploads::start(&repository.store),
            last_index: Mutex::new(Instant::now()),
            counters: Counters::default(),
        }
    }

    /// Stores a tree unless the repository has it; answers its id.
    pub fn add_tree(&self, plain: &[u8]) -> RepositoryResult<Id> {
        self.add(BlobKind::Tree, plain, &self.trees)
    }

    /// Stores content unless the repository has it; answers its id. Workers with lanes of their own do not wait for each other.
    pub fn add_data(&self, plain: &[u8], lane: usize) -> RepositoryResult<Id> {
        self.add(BlobKind::Data, plain, &self.lanes[lane % LANES])
    }

    fn add(&self, kind: BlobKind, plain: &[u8], open: &Mutex<PackBuilder>) -> RepositoryResult<Id> {
        let id = open.lock().expect("no holder panics").id_of(plain);
        if self.is_new(kind, id) {
            self.count(kind, plain.len() as u64);
            with_compressed(plain, |payload, uncompressed| self.store(open, kind, id, payload, uncompressed))?;
        }
        Ok(id)
    }

    /// Stores a blob whose payload was opened elsewhere, unless the repository has it.
    pub fn add_packed(&self, blob: &PackedBlob, payload: &[u8]) -> RepositoryResult<()> {
        if !self.is_new(blob.kind, blob.id) {
            return Ok(());
        }
        self.count(blob.kind, if blob.uncompressed == 0 { payload.len() as u64 } else { u64::from(blob.uncompressed) });
        let open = if blob.kind == BlobKind::Tree { &self.trees } else { &self.lanes[0] };
        self.store(open, blob.kind, blob.id, payload, blob.uncompressed)
    }

    /// Whether the repository has a blob, or will once this run is done.
    pub fn knows(&self, kind: BlobKind, id: &Id) -> bool {
        let stored = self.repository.index.read().expect("no holder panics").contains(kind, id);
        stored || self.seen.lock().expect("no holder panics").contains(&(kind, *id))
    }

    fn is_new(&self, kind: BlobKind, id: Id) -> bool {
        let known = self.repository.index.read().expect("no holder panics").contains(kind, &id);
        !known && self.seen.lock().expect("no holder panics").insert((kind, id))
    }

    fn count(&self, kind: BlobKind, plain_bytes: u64) {
        let counter = if kind == BlobKind::Data { &self.counters.data_blobs } else { &self.counters.tree_blobs };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counters.plain_bytes.fetch_add(plain_bytes, Ordering::Relaxed);
    }

    /// Seals a payload into an open pack; `uncompressed` is the length of its plaintext if it is compressed, else 0.
    fn store(&self, open: &Mutex<PackBuilder>, kind: BlobKind, id: Id, payload: &[u8], uncompressed: u32) -> RepositoryResult<()> {
        self.counters.stored_bytes.fetch_add((payload.len() + OVERHEAD_BYTES) as u64, Ordering::Relaxed);
        let iv = fresh_iv(&*self.repository.ambient);
        let full = {
            let mut open = open.lock().expect("no holder panics");
            open.push(&self.repository.key, iv, kind, id, payload, uncompressed);
            self.taken_if_full(&mut open)
        };
        full.map_or(Ok(()), |pack| self.send(pack))
    }

    fn taken_if_full(&self, open: &mut PackBuilder) -> Option<PackBuilder> {
        open.is_full().then(|| std::mem::replace(open, PackBuilder::within(self.uploads.spare_buffer())))
    }

    /// Copies a blob as it is sealed already, whether or not the repository has it elsewhere.
    pub fn copy(&self, blob: &PackedBlob, sealed: &[u8]) -> RepositoryResult<()> {
        self.counters.stored_bytes.fetch_add(sealed.len() as u64, Ordering::Relaxed);
        let open = if blob.kind == BlobKind::Tree { &self.trees } else { &self.lanes[0] };
        let full = {
            let mut open = open.lock().expect("no holder panics");
            open.push_sealed(blob, sealed);
            self.taken_if_full(&mut open)
        };
        full.map_or(Ok(()), |pack| self.send(pack))
    }

    fn send(&self, pack: PackBuilder) -> RepositoryResult<()> {
        let (id, bytes, blobs) = pack.finish(&self.repository.key, &*self.repository.ambient);
        self.counters.packs.fetch_add(1, Ordering::Relaxed);
        self.uploads.send(id, bytes.into(), blobs)
    }

    /// Writes an index over what is uploaded, when there is enough of it or enough time has passed.
    pub fn maybe_index(&self) -> RepositoryResult<()> {
        let due = self.last_index.lock().expect("no holder panics").elapsed() > INDEX_AFTER;
        let waiting = self.uploads.done_blobs();
        if waiting >= index_file::INDEX_BLOBS || (due && waiting > 0) { self.index() } else { Ok(()) }
    }

    fn index(&self) -> RepositoryResult<()> {
        // Without the lock somebody may have taken these packs for leftovers already.
        self.lock.assert_held()?;
        self.write_index()
    }

    #[expect(clippy::disallowed_methods, reason = "measures how long the run has gone without an index; nothing stored depends on it")]
    fn write_index(&self) -> RepositoryResult<()> {
        let mut packs = self.uploads.take_done();
        // Whoever sees the root of a tree in an index has seen the others.
        packs.sort_by_key(|(_, blobs)| blobs.iter().any(|blob| blob.kind == BlobKind::Tree));
        *self.last_index.lock().expect("no holder panics") = Instant::now();
        for part in index_file::parts(&packs) {
            let id = self.repository.write_file("index", &index_file::encode(part))?;
            self.counters.indexes.fetch_add(1, Ordering::Relaxed);
            self.repository.index.write().expect("no holder panics").add_file(id, part);
            let mut seen = self.seen.lock().expect("no holder panics");
            for blob in part.iter().flat_map(|(_, blobs)| blobs) {
                seen.remove(&(blob.kind, blob.id));
            }
        }
        Ok(())
    }

    /// Sends off the packs that are not full, too.
    fn send_open(&self) -> RepositoryResult<()> {
        let take = |open: &Mutex<PackBuilder>| std::mem::take(&mut *open.lock().expect("no holder panics"));
        let mut waiting = PackBuilder::default();
        for pack in self.lanes.iter().map(take).filter(|pack| !pack.is_empty()) {
            if waiting.is_empty() {
                waiting = pack;
            } else if waiting.fits(&pack) {
                self.uploads.give_back(waiting.absorb(pack));
            } else {
                self.send(std::mem::replace(&mut waiting, pack))?;
            }
        }
        for pack in [waiting, take(&self.trees)] {
            if !pack.is_empty() {
                self.send(pack)?;
            }
        }
        Ok(())
    }

    /// Makes everything that was added so far readable: sends it off, waits, and knows where it is.
    pub fn settle(&self) -> RepositoryResult<()> {
        self.send_open()?;
        self.uploads.drain()?;
        let packs = self.uploads.done();
        self.repository.index.write().expect("no holder panics").add_packs(&packs);
        Ok(())
    }

    /// Sends off what is left, waits for all uploads, writes the index. Then a snapshot may be written.
    pub fn finish(self) -> RepositoryResult<Counters> {
        let sent = self.send_open().and_then(|()| self.uploads.drain());
        let allowed = |()| {
            let (there, held) = both(&*self.repository.store, || self.refuse_if_pruned(), || self.lock.assert_held());
            there.and(held)
        };
        if let Err(error) = sent.and_then(allowed).and_then(|()| self.write_index()) {
            // What no index names must not be taken for present by whoever uses this repository next.
            self.repository.forget_index();
            return Err(error);
        }
        self.repository.save_index_cache();
        self.uploads.end();
        Ok(self.counters)
    }

    /// Keeps what an ended run has uploaded, as far as the store still works: the next run finds it.
    pub fn abandon(self) {
        drop(self.uploads.wait());
        self.uploads.end();
        // The run has failed already, and says why; the next one uploads again what no index names.
        drop(self.index());
        self.repository.forget_index();
    }

    /// If an index that this run relied on has gone, somebody pruned beside us, and what we did not store again may be gone.
    fn refuse_if_pruned(&self) -> RepositoryResult<()> {
        let now: HashSet<Id> = self.repository.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        let index = self.repository.index.read().expect("no holder panics");
        if index.files.iter().all(|id| now.contains(id)) {
            Ok(())
        } else {
            Err(RepositoryError::ChangedMeanwhile { place: self.repository.place() })
        }
    }
}

/// Gives what is to be stored, and the plaintext's length if that is compressed, else 0.
fn with_compressed<T>(plain: &[u8], store: impl FnOnce(&[u8], u32) -> T) -> T {
    let length = u32::try_from(plain.len()).unwrap_or(0);
    COMPRESSOR.with_borrow_mut(|(slot, buffer)| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let packed = slot.as_mut().filter(|_| length > 0).is_some_and(|compressor| compress(compressor, plain, buffer));
        if packed { store(buffer, length) } else { store(plain, 0) }
    })
}

/// Compresses into a buffer; answers whether that is shorter.
fn compress(compressor: &mut zstd::bulk::Compressor<'static>, plain: &[u8], buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    if plain.len() >= PROBE_MIN_BYTES {
        let middle = plain.len() / 2;
        let sample = &plain[middle..middle + PROBE_BYTES];
        buffer.reserve(zstd::compress_bound(PROBE_BYTES));
        if compressor.compress_to_buffer(sample, buffer).is_ok_and(|packed| packed * 20 > sample.len() * 19) {
            return false;
        }
        buffer.clear();
    }
    buffer.reserve(zstd::compress_bound(plain.len()));
    compressor.compress_to_buffer(plain, buffer).is_ok_and(|packed| packed < plain.len())
}
