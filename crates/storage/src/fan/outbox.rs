//! What is on its way to one place, in an order that is right at every moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;

use super::{Member, Standing};
use crate::{ObjectName, PutMode, Store, StoreError, StoreResult};

/// Writes on their way to a place at once.
const WRITES: usize = 4;
/// So many bytes may wait for a place …
const WAITING_BYTES: usize = 64 << 20;
/// … and nobody waits longer than this for room, or for a place to do what it was given.
const SLOW: Duration = Duration::from_secs(60);

/// A change of one object.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Put(Bytes, PutMode),
    Delete,
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Put(bytes, _) => bytes.len(),
            Self::Delete => 0,
        }
    }

    fn apply(&self, store: &dyn Store, name: &ObjectName) -> StoreResult<()> {
        match self {
            Self::Put(bytes, mode) => store.put(name, bytes.clone(), *mode),
            Self::Delete => store.delete(name),
        }
    }
}

/// Where the answers of all places to one write come in.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    answers: Mutex<Answers>,
    changed: Condvar,
}

/// What the places answered so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    outstanding: usize,
    pub done: usize,
    pub exists: Option<StoreError>,
    pub failed: Option<StoreError>,
}

impl Arrival {
    pub fn expecting(places: usize) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(Answers { outstanding: places, ..Answers::default() }), changed: Condvar::new() })
    }

    fn answer(&self, result: StoreResult<()>) {
        let mut answers = self.answers.lock().expect("no holder panics");
        answers.outstanding -= 1;
        match result {
            Ok(()) => answers.done += 1,
            Err(error @ StoreError::Exists { .. }) => answers.exists = Some(error),
            Err(error) => answers.failed = Some(error),
        }
        self.changed.notify_all();
    }

    /// Waits until so many places have done it, or all have answered.
    pub fn wait(&self, needed: usize) -> Answers {
        let answers = self.answers.lock().expect("no holder panics");
        let waiting = |answers: &mut Answers| answers.outstanding > 0 && answers.done < needed;
        let mut answers = self.changed.wait_while(answers, waiting).expect("no holder panics");
        Answers { outstanding: 0, done: answers.done, exists: answers.exists.take(), failed: answers.failed.take() }
    }
}

struct Job {
    name: ObjectName,
    write: Write,
    /// Writes of one phase may overlap, and each phase waits for the one before.
    phase: (bool, u8),
    arrival: Arc<Arrival>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    flying: usize,
    phase: (bool, u8),
    behind: Option<String>,
    closed: bool,
    /// Counts what was done, to tell a place that is slow from one that has stopped.
    done: u64,
}

struct Shared {
    member: Member,
    rank: fn(&ObjectName) -> u8,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A place and the threads that write to it.
pub(super) struct Outbox {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outbox").field(&self.shared.member).finish()
    }
}

impl Outbox {
    pub fn start(member: Member, rank: fn(&ObjectName) -> u8) -> Self {
        let shared = Arc::new(Shared { member, rank, queue: Mutex::default(), changed: Condvar::new() });
        let worker = |shared: Arc<Shared>| std::thread::spawn(move || shared.work());
        Self { threads: (0..WRITES).map(|_| worker(shared.clone())).collect(), shared }
    }

    pub fn store(&self) -> &dyn Store {
        &*self.shared.member.store
    }

    pub fn name(&self) -> &str {
        &self.shared.member.name
    }

    pub fn is_behind(&self) -> bool {
        self.shared.queue().behind.is_some()
    }

    /// Gives the place nothing more.
    pub fn leave_out(&self, error: &StoreError) {
        self.shared.leave_out(&mut self.shared.queue(), error.to_string());
    }

    /// Hands a write over; when the place has too much to do already, after it has done some of that.
    pub fn send(&self, name: &ObjectName, write: &Write, arrival: &Arc<Arrival>) {
        let shared = &*self.shared;
        let mut queue = shared.wait_while(shared.queue(), |queue| queue.bytes + write.bytes() > WAITING_BYTES && queue.bytes > 0);
        if let Some(reason) = queue.behind.clone() {
            drop(queue);
            let (place, name) = (shared.member.store.describe(), name.to_string());
            arrival.answer(Err(StoreError::Unavailable { place, action: "write", name, source: reason.into() }));
            return;
        }
        queue.bytes += write.bytes();
        let phase = (matches!(write, Write::Delete), (shared.rank)(name));
        queue.jobs.push_back(Job { name: name.clone(), write: write.clone(), phase, arrival: arrival.clone() });
        shared.changed.notify_all();
    }

    /// Waits until everything is done, and says how the place stands.
    pub fn standing(&self) -> Standing {
        let shared = &*self.shared;
        let queue = shared.wait_while(shared.queue(), |queue| !queue.jobs.is_empty() || queue.flying > 0);
        Standing { member: shared.member.name.clone(), behind: queue.behind.clone() }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().expect("no worker panics");
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }

    /// Waits as long as the place gets anything done. One that does not is left out.
    fn wait_while<'q>(&'q self, mut queue: MutexGuard<'q, Queue>, waiting: impl Fn(&Queue) -> bool) -> MutexGuard<'q, Queue> {
        while waiting(&queue) && queue.behind.is_none() {
            let before = queue.done;
            let stuck = |queue: &mut Queue| queue.done == before && queue.behind.is_none() && waiting(queue);
            let (after, timed_out) = self.changed.wait_timeout_while(queue, SLOW, stuck).expect("no holder panics");
            queue = after;
            if timed_out.timed_out() {
                self.leave_out(&mut queue, format!("it did nothing for {} seconds", SLOW.as_secs()));
            }
        }
        queue
    }

    /// Whoever waits for this place is told that it failed.
    fn leave_out(&self, queue: &mut Queue, reason: String) {
        let reason = queue.behind.get_or_insert(reason).clone();
        queue.bytes = 0;
        for job in queue.jobs.drain(..) {
            let (place, name) = (self.member.store.describe(), job.name.to_string());
            job.arrival.answer(Err(StoreError::Unavailable { place, action: "write", name, source: reason.clone().into() }));
        }
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            let may_start = queue.jobs.front().is_some_and(|job| queue.flying == 0 || queue.phase == job.phase);
            if may_start && let Some(job) = queue.jobs.pop_front() {
                queue.flying += 1;
                queue.phase = job.phase;
                return Some(job);
            }
            if queue.closed && queue.jobs.is_empty() {
                return None;
            }
            queue = self.changed.wait(queue).expect("no holder panics");
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let result = job.write.apply(&*self.member.store, &job.name);
            let mut queue = self.queue();
            queue.flying -= 1;
            queue.done += 1;
            queue.bytes = queue.bytes.saturating_sub(job.write.bytes());
            if let Err(error) = &result
                && !matches!(error, StoreError::Exists { .. })
            {
                self.leave_out(&mut queue, error.to_string());
            }
            self.changed.notify_all();
            drop(queue);
            job.arrival.answer(result);
        }
    }
}
