//! The write side: hash, known?, compress, seal, pack, upload, index.

use std::{
    cell::RefCell,
    collections::HashSet,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use keepsake_storage::{PutMode, Store, StoreError};

use crate::{
    Id, Repository, RepositoryError, RepositoryResult,
    crypto::{fresh_iv, seal},
    index::BlobKind,
    index_file,
    pack::{PackBuilder, PackedBlob},
    repository::object,
};

/// Packs on their way to the store at once.
const UPLOADS: usize = 4;
/// An index file is written once this many blobs wait for one: restic reads no file of more than 8 MiB quickly.
const INDEX_BLOBS: usize = 40_000;
/// And after this long, so that an interrupted run keeps what it has uploaded.
const INDEX_AFTER: Duration = Duration::from_secs(60);
/// Blobs from this length on are probed before they are compressed.
const PROBE_MIN_BYTES: usize = 64 << 10;
const PROBE_BYTES: usize = 16 << 10;
const ZSTD_LEVEL: i32 = 3;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

type Packed = (Id, Vec<PackedBlob>);

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
    open: [Mutex<PackBuilder>; 2],
    seen: Mutex<HashSet<(BlobKind, Id)>>,
    uploads: Uploads,
    last_index: Mutex<Instant>,
    pub counters: Counters,
}

impl<'r> Writer<'r> {
    /// Begins to write into a repository whose index is loaded.
    #[expect(clippy::disallowed_methods, reason = "measures how long the run has gone without an index; nothing stored depends on it")]
    pub fn new(repository: &'r Repository) -> Self {
        Self {
            repository,
            open: Default::default(),
            seen: Mutex::default(),
            uploads: Uploads::start(&repository.store),
            last_index: Mutex::new(Instant::now()),
            counters: Counters::default(),
        }
    }

    /// Stores a blob unless the repository has it; answers its id.
    pub fn add(&self, kind: BlobKind, plain: &[u8]) -> RepositoryResult<Id> {
        let id = Id::of(plain);
        if self.repository.index.read().expect("no holder panics").contains(kind, &id)
            || !self.seen.lock().expect("no holder panics").insert((kind, id))
        {
            return Ok(id);
        }
        let (payload, uncompressed) = compress(plain);
        let payload = payload.as_deref().unwrap_or(plain);
        let mut sealed = Vec::with_capacity(payload.len() + 32);
        seal(&self.repository.key, fresh_iv(&*self.repository.ambient), payload, &mut sealed);
        let counter = if kind == BlobKind::Data { &self.counters.data_blobs } else { &self.counters.tree_blobs };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counters.plain_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
        self.counters.stored_bytes.fetch_add(sealed.len() as u64, Ordering::Relaxed);
        let full = {
            let mut open = self.open[kind as usize].lock().expect("no holder panics");
            open.push(kind, id, &sealed, uncompressed);
            open.is_full().then(|| std::mem::take(&mut *open))
        };
        full.map_or(Ok(()), |pack| self.send(pack))?;
        Ok(id)
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
        if waiting >= INDEX_BLOBS || (due && waiting > 0) { self.index() } else { Ok(()) }
    }

    #[expect(clippy::disallowed_methods, reason = "measures how long the run has gone without an index; nothing stored depends on it")]
    fn index(&self) -> RepositoryResult<()> {
        let packs = self.uploads.take_done();
        *self.last_index.lock().expect("no holder panics") = Instant::now();
        let mut rest = packs.as_slice();
        while !rest.is_empty() {
            let mut blobs = 0;
            let fits = rest
                .iter()
                .take_while(|(_, b)| {
                    (blobs == 0 || blobs + b.len() <= INDEX_BLOBS) && {
                        blobs += b.len();
                        true
                    }
                })
                .count();
            let (now, later) = rest.split_at(fits);
            let id = self.repository.write_file("index", &index_file::encode(now))?;
            self.counters.indexes.fetch_add(1, Ordering::Relaxed);
            self.repository.index.write().expect("no holder panics").add_file(id, now);
            let mut seen = self.seen.lock().expect("no holder panics");
            for blob in now.iter().flat_map(|(_, blobs)| blobs) {
                seen.remove(&(blob.kind, blob.id));
            }
            rest = later;
        }
        Ok(())
    }

    /// Sends off the packs that are not full, too.
    fn send_open(&self) -> RepositoryResult<()> {
        for open in &self.open {
            let pack = std::mem::take(&mut *open.lock().expect("no holder panics"));
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
        self.send_open()?;
        self.uploads.drain()?;
        self.refuse_if_pruned()?;
        self.index()?;
        self.repository.save_index_cache();
        self.uploads.end();
        Ok(self.counters)
    }

    /// Keeps what an ended run has uploaded, as far as the store still works: the next run finds it.
    pub fn abandon(self) {
        let sent = self.uploads.drain().is_ok();
        self.uploads.end();
        if sent {
            // The run has failed already, and says why; the next one uploads again what no index names.
            drop(self.index());
        }
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

/// The payload to store when it is not the plaintext itself, and the plaintext's length if that is compressed.
fn compress(plain: &[u8]) -> (Option<Vec<u8>>, u32) {
    let Ok(length) = u32::try_from(plain.len()) else { return (None, 0) };
    if length == 0 {
        return (None, 0);
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        compress_with(slot.as_mut(), plain, length)
    })
}

fn compress_with(compressor: Option<&mut zstd::bulk::Compressor<'static>>, plain: &[u8], length: u32) -> (Option<Vec<u8>>, u32) {
    let Some(compressor) = compressor else { return (None, 0) };
    if plain.len() >= PROBE_MIN_BYTES {
        let middle = plain.len() / 2;
        let sample = &plain[middle..middle + PROBE_BYTES];
        if compressor.compress(sample).is_ok_and(|packed| packed.len() * 20 > sample.len() * 19) {
            return (None, 0);
        }
    }
    match compressor.compress(plain) {
        Ok(packed) if packed.len() < plain.len() => (Some(packed), length),
        _ => (None, 0),
    }
}

type Upload = (Id, Bytes, Vec<PackedBlob>);

/// Threads that put packs into the store.
struct Uploads {
    queue: Mutex<Option<SyncSender<Upload>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Handed over and not in the store yet.
    waiting: usize,
    /// In the store, and in no index yet.
    done: Vec<Packed>,
    failed: Option<StoreError>,
}

impl Uploads {
    fn start(store: &Arc<dyn Store>) -> Self {
        let (queue, jobs) = sync_channel::<Upload>(1);
        let jobs = Arc::new(Mutex::new(jobs));
        let shared = Arc::<Shared>::default();
        let threads = (0..UPLOADS)
            .map(|_| {
                let (store, jobs, shared) = (store.clone(), jobs.clone(), shared.clone());
                std::thread::spawn(move || upload(&*store, &jobs, &shared))
            })
            .collect();
        Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads), shared }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no holder panics")
    }

    fn send(&self, id: Id, bytes: Bytes, blobs: Vec<PackedBlob>) -> RepositoryResult<()> {
        fail_if_failed(&mut self.state())?;
        self.state().waiting += 1;
        let queue = self.queue.lock().expect("no holder panics").clone();
        // The receivers live until the queue is closed, so a send fails only after the end.
        queue.expect("nothing is sent after the end").send((id, bytes, blobs)).expect("uploaders live as long as the queue");
        Ok(())
    }

    /// Waits until everything that was sent is in the store.
    fn drain(&self) -> RepositoryResult<()> {
        let mut state = self.shared.changed.wait_while(self.state(), |state| state.waiting > 0).expect("no holder panics");
        fail_if_failed(&mut state)
    }

    /// Lets the threads go.
    fn end(&self) {
        drop(self.queue.lock().expect("no holder panics").take());
        for thread in std::mem::take(&mut *self.threads.lock().expect("no holder panics")) {
            thread.join().expect("uploaders do not panic");
        }
    }

    fn done(&self) -> Vec<Packed> {
        self.state().done.clone()
    }

    fn take_done(&self) -> Vec<Packed> {
        std::mem::take(&mut self.state().done)
    }

    fn done_blobs(&self) -> usize {
        self.state().done.iter().map(|(_, blobs)| blobs.len()).sum()
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.end();
    }
}

fn fail_if_failed(state: &mut State) -> RepositoryResult<()> {
    state.failed.take().map_or(Ok(()), |error| Err(error.into()))
}

fn upload(store: &dyn Store, jobs: &Mutex<Receiver<Upload>>, shared: &Shared) {
    loop {
        let job = jobs.lock().expect("no holder panics").recv();
        let Ok((id, bytes, blobs)) = job else { return };
        let put = store.put(&object("data", &id), bytes, PutMode::Create);
        let mut state = shared.state.lock().expect("no holder panics");
        match put {
            Ok(()) | Err(StoreError::Exists { .. }) => state.done.push((id, blobs)),
            Err(error) => state.failed = Some(error),
        }
        state.waiting -= 1;
        shared.changed.notify_all();
    }
}
