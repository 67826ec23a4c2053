//! Packs on their way to the store, several at once.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use keepsake_storage::{PutMode, Store, StoreError};

use crate::{Id, RepositoryResult, pack::PackedBlob, repository::object};

/// Packs on their way to the store at once.
const UPLOADS: usize = 4;

/// A pack that is in the store, with what is in it.
pub(crate) type Packed = (Id, Vec<PackedBlob>);

type Upload = (Id, Bytes, Vec<PackedBlob>);

/// Threads that put packs into the store.
pub(crate) struct Uploads {
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
pub(crate) struct State {
    /// Handed over and not in the store yet.
    waiting: usize,
    /// In the store, and in no index yet.
    done: Vec<Packed>,
    /// What failed first; everybody who asks is told.
    failed: Option<StoreError>,
    /// Buffers of packs that are in the store, for packs to come.
    spare: Vec<Vec<u8>>,
}

impl Uploads {
    pub fn start(store: &Arc<dyn Store>) -> Self {
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

    pub fn send(&self, id: Id, bytes: Bytes, blobs: Vec<PackedBlob>) -> RepositoryResult<()> {
        fail_if_failed(&self.state())?;
        self.state().waiting += 1;
        let queue = self.queue.lock().expect("no holder panics").clone();
        // The receivers live until the queue is closed, so a send fails only after the end.
        queue.expect("nothing is sent after the end").send((id, bytes, blobs)).expect("uploaders live as long as the queue");
        Ok(())
    }

    /// Waits until everything that was sent is in the store, or failed.
    pub fn wait(&self) -> MutexGuard<'_, State> {
        self.shared.changed.wait_while(self.state(), |state| state.waiting > 0).expect("no holder panics")
    }

    /// Waits until everything that was sent is in the store.
    pub fn drain(&self) -> RepositoryResult<()> {
        fail_if_failed(&self.wait())
    }

    /// Lets the threads go.
    pub fn end(&self) {
        drop(self.queue.lock().expect("no holder panics").take());
        for thread in std::mem::take(&mut *self.threads.lock().expect("no holder panics")) {
            thread.join().expect("uploaders do not panic");
        }
    }

    pub fn done(&self) -> Vec<Packed> {
        self.state().done.clone()
    }

    pub fn take_done(&self) -> Vec<Packed> {
        std::mem::take(&mut self.state().done)
    }

    /// A buffer for the next pack: one that was used, if there is one.
    pub fn spare_buffer(&self) -> Vec<u8> {
        self.state().spare.pop().unwrap_or_default()
    }

    pub fn give_back(&self, buffer: Vec<u8>) {
        self.state().spare.push(buffer);
    }

    pub fn done_blobs(&self) -> usize {
        self.state().done.iter().map(|(_, blobs)| blobs.len()).sum()
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.end();
    }
}

fn fail_if_failed(state: &State) -> RepositoryResult<()> {
    state.failed.as_ref().map_or(Ok(()), |error| Err(error.again().into()))
}

fn upload(store: &dyn Store, jobs: &Mutex<Receiver<Upload>>, shared: &Shared) {
    loop {
        let job = jobs.lock().expect("no holder panics").recv();
        let Ok((id, bytes, blobs)) = job else { return };
        let put = store.put(&object("data", &id), bytes.clone(), PutMode::Create);
        let buffer = bytes.is_unique().then(|| Vec::from(bytes));
        let mut state = shared.state.lock().expect("no holder panics");
        match put {
            Ok(()) | Err(StoreError::Exists { .. }) => state.done.push((id, blobs)),
            Err(error) => drop(state.failed.get_or_insert(error)),
        }
        state.waiting -= 1;
        if state.spare.len() < UPLOADS {
            state.spare.extend(buffer);
        }
        shared.changed.notify_all();
    }
}
