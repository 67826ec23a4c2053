//! What is on its way to one place, in an order that is right at every moment.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Member, Standing};
use crate::{ObjectName, PutMode, Store, StoreError, StoreResult};

/// Writes on their way to a place at once.
const WRITES: usize = 4;
/// So many bytes may wait for a place.
const WAITING_BYTES: usize = 64 << 20;
/// Nobody waits longer than this for a place to finish something …
const SLOW: Duration = Duration::from_secs(60);
/// … and as long again as its bytes would take at this rate, which is slower than any line that is worth having (bytes a second).
const LEAST_RATE: u64 = 32 << 10;
/// How often it is looked whether a place is stuck.
const LOOK: Duration = Duration::from_secs(1);

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
            Self::Delete => match store.delete(name) {
                // It is condemned, and goes when its lock has ended: that stops nothing.
                Err(StoreError::Locked { .. }) => Ok(()),
                other => other,
            },
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
    outstanding: BTreeSet<usize>,
    pub done: usize,
    pub exists: Option<StoreError>,
    pub failed: Option<StoreError>,
}

impl Arrival {
    pub fn expecting(places: usize) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(Answers { outstanding: (0..places).collect(), ..Answers::default() }),
            changed: Condvar::new(),
        })
    }

    /// The first answer of a place counts.
    fn answer(&self, place: usize, result: StoreResult<()>) {
        let mut answers = self.answers.lock().expect("no holder panics");
        if !answers.outstanding.remove(&place) {
            return;
        }
        match result {
            Ok(()) => answers.done += 1,
            Err(error @ StoreError::Exists { .. }) => answers.exists = Some(error),
            Err(error) => answers.failed = Some(error),
        }
        self.changed.notify_all();
    }

    /// Waits until so many places have done it, or all have answered; `None`: not yet, and it is time to look whether one is stuck.
    pub fn wait(&self, needed: usize) -> Option<Answers> {
        let answers = self.answers.lock().expect("no holder panics");
        let waiting = |answers: &mut Answers| !answers.outstanding.is_empty() && answers.done < needed;
        let (mut answers, timed_out) = self.changed.wait_timeout_while(answers, LOOK, waiting).expect("no holder panics");
        if timed_out.timed_out() {
            return None;
        }
        let (exists, failed) = (answers.exists.take(), answers.failed.take());
        Some(Answers { outstanding: BTreeSet::new(), done: answers.done, exists, failed })
    }
}

#[derive(Clone)]
struct Job {
    number: u64,
    name: ObjectName,
    write: Write,
    /// Writes of one phase may overlap, and each phase waits for the one before.
    phase: (bool, u8),
    arrival: (usize, Arc<Arrival>),
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Bytes of the jobs that wait or are on their way.
    bytes: usize,
    flying: Vec<Job>,
    phase: (bool, u8),
    behind: Option<String>,
    closed: bool,
    number: u64,
    /// When the place last finished something, or got something to do while it had nothing.
    moved: Option<Instant>,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.flying.is_empty()
    }

    fn is_stuck(&self) -> bool {
        let patience = SLOW + Duration::from_secs(self.bytes as u64 / LEAST_RATE);
        !self.is_idle() && self.behind.is_none() && self.moved.is_some_and(|at| at.elapsed() > patience)
    }

    #[expect(clippy::disallowed_methods, reason = "whether a place is stuck is told by the clock")]
    fn moves(&mut self) {
        self.moved = Some(Instant::now());
    }
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

    /// Gives the place nothing more if it has finished nothing for too long.
    pub fn leave_out_if_stuck(&self) {
        self.shared.leave_out_if_stuck(&mut self.shared.queue());
    }

    /// Hands a write over; when the place has too much to do already, after it has done some of that.
    pub fn send(&self, name: &ObjectName, write: &Write, (place, arrival): (usize, &Arc<Arrival>)) {
        let shared = &*self.shared;
        let mut queue = shared.wait_while(shared.queue(), |queue| queue.bytes + write.bytes() > WAITING_BYTES && queue.bytes > 0);
        if let Some(reason) = queue.behind.clone() {
            drop(queue);
            arrival.answer(place, Err(shared.failed(name, reason)));
            return;
        }
        if queue.is_idle() {
            queue.moves();
        }
        queue.bytes += write.bytes();
        queue.number += 1;
        let phase = (matches!(write, Write::Delete), (shared.rank)(name));
        let job = Job { number: queue.number, name: name.clone(), write: write.clone(), phase, arrival: (place, arrival.clone()) };
        queue.jobs.push_back(job);
        shared.changed.notify_all();
    }

    /// Waits until everything is done, and says how the place stands.
    pub fn standing(&self) -> Standing {
        let shared = &*self.shared;
        let queue = shared.wait_while(shared.queue(), |queue| !queue.is_idle());
        Standing { member: shared.member.name.clone(), behind: queue.behind.clone() }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        let hangs = !queue.flying.is_empty() && queue.behind.is_some();
        drop(queue);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..).filter(|_| !hangs) {
            thread.join().expect("no worker panics");
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }

    fn failed(&self, name: &ObjectName, reason: String) -> StoreError {
        StoreError::Unavailable { place: self.member.store.describe(), action: "write", name: name.to_string(), source: reason.into() }
    }

    /// Waits as long as the place gets anything done. One that does not is left out.
    fn wait_while<'q>(&'q self, mut queue: MutexGuard<'q, Queue>, waiting: impl Fn(&Queue) -> bool) -> MutexGuard<'q, Queue> {
        while waiting(&queue) && queue.behind.is_none() {
            queue = self.changed.wait_timeout(queue, LOOK).expect("no holder panics").0;
            self.leave_out_if_stuck(&mut queue);
        }
        queue
    }

    fn leave_out_if_stuck(&self, queue: &mut Queue) {
        if queue.is_stuck() {
            self.leave_out(queue, "it finished nothing for too long".to_owned());
        }
    }

    /// Whoever waits for this place is told that it failed, also of what is on its way: nobody knows how that ends.
    fn leave_out(&self, queue: &mut Queue, reason: String) {
        let reason = queue.behind.get_or_insert(reason).clone();
        queue.bytes = 0;
        for job in queue.jobs.drain(..).chain(queue.flying.iter().cloned()) {
            job.arrival.1.answer(job.arrival.0, Err(self.failed(&job.name, reason.clone())));
        }
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            let may_start = queue.jobs.front().is_some_and(|job| queue.flying.is_empty() || queue.phase == job.phase);
            if may_start && let Some(job) = queue.jobs.pop_front() {
                queue.phase = job.phase;
                queue.flying.push(job.clone());
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
            let applied = catch_unwind(AssertUnwindSafe(|| job.write.apply(&*self.member.store, &job.name)));
            let result = applied.unwrap_or_else(|_| Err(self.failed(&job.name, "the program failed there".into())));
            let mut queue = self.queue();
            queue.flying.retain(|flying| flying.number != job.number);
            queue.moves();
            queue.bytes = queue.bytes.saturating_sub(job.write.bytes());
            // This write has its own answer; those behind it share the reason.
            let reason = result.as_ref().err().filter(|e| !matches!(e, StoreError::Exists { .. })).map(ToString::to_string);
            job.arrival.1.answer(job.arrival.0, result);
            if let Some(reason) = reason {
                self.leave_out(&mut queue, reason);
            }
            self.changed.notify_all();
        }
    }
}
