//! Asking again.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::RngExt;

use crate::{Caches, ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult, Traffic};

/// How often, and how long in between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Attempts in all.
    pub attempts: u32,
    /// The first pause is at most so long, each later one at most twice as long as the one before.
    pub first: Duration,
    /// No pause is longer, whatever the server asks for.
    pub longest: Duration,
    /// After so many calls in a row that failed at every attempt, calls fail at once …
    pub open_after: u32,
    /// … for so long.
    pub open_for: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(60),
            open_after: 3,
            open_for: Duration::from_secs(60),
        }
    }
}

impl Schedule {
    /// A pause that is random from nothing to the whole of what it could be, so that many callers do not come back at once
    /// ("full jitter"), and never shorter than the server asked for.
    fn pause(&self, attempt: u32, asked: Option<Duration>, random: f64) -> Duration {
        let ceiling = self.longest.min(self.first.saturating_mul(1 << attempt.min(16)));
        asked.unwrap_or_default().min(self.longest) + ceiling.mul_f64(random)
    }
}

/// Calls a store again when it fails in a way that may pass, and leaves it alone for a while when it does not.
#[derive(Debug)]
pub struct Retry {
    inner: Arc<dyn Store>,
    schedule: Schedule,
    traffic: Arc<Traffic>,
    breaker: Mutex<Breaker>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Retry {
    /// Asks a store up to six times.
    pub fn new(inner: Arc<dyn Store>, traffic: Arc<Traffic>) -> Self {
        Self::with(inner, traffic, Schedule::default())
    }

    pub(crate) fn with(inner: Arc<dyn Store>, traffic: Arc<Traffic>, schedule: Schedule) -> Self {
        Self { inner, schedule, traffic, breaker: Mutex::default() }
    }

    #[expect(clippy::disallowed_methods, reason = "how long a server is left alone is told by the clock")]
    fn is_open(&self) -> bool {
        self.breaker().open_until.is_some_and(|until| Instant::now() < until)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().expect("no holder panics")
    }

    #[expect(clippy::disallowed_methods, reason = "how long a server is left alone is told by the clock")]
    fn took<T>(&self, result: StoreResult<T>) -> StoreResult<T> {
        let mut breaker = self.breaker();
        match &result {
            Err(error) if error.is_transient() => {
                breaker.failures += 1;
                if breaker.failures >= self.schedule.open_after {
                    breaker.open_until = Some(Instant::now() + self.schedule.open_for);
                }
            }
            _ => *breaker = Breaker::default(),
        }
        drop(breaker);
        result
    }

    /// Calls until it works, fails for good, or was tried often enough. The call is told how often it was tried before.
    fn again<T>(&self, action: &'static str, name: &str, call: impl FnMut(u32) -> StoreResult<T>) -> StoreResult<T> {
        if self.is_open() {
            let (place, name) = (self.describe(), name.to_owned());
            return Err(StoreError::Unavailable {
                place,
                action,
                name,
                source: "it failed again and again just now, and is left alone for a minute".into(),
            });
        }
        self.took(patiently(self.schedule, &self.traffic, call))
    }
}

/// Calls until it works, fails for good, or was tried often enough.
pub(crate) fn patiently<T>(schedule: Schedule, traffic: &Traffic, mut call: impl FnMut(u32) -> StoreResult<T>) -> StoreResult<T> {
    let mut attempt = 0;
    loop {
        match call(attempt) {
            Err(error) if error.is_transient() && attempt + 1 < schedule.attempts => {
                std::thread::sleep(schedule.pause(attempt, error.retry_after(), rand::rng().random()));
                attempt += 1;
                traffic.retry();
            }
            result => return result,
        }
    }
}

impl Store for Retry {
    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        self.again("write", name.as_str(), |attempt| match self.inner.put(name, bytes.clone(), mode) {
            // The answer to an earlier attempt may have been lost: then what is there is what was sent.
            Err(StoreError::Exists { .. }) if attempt > 0 && self.inner.get(name)? == bytes => Ok(()),
            other => other,
        })
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.again("read", name.as_str(), |_| self.inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.again("read", name.as_str(), |_| self.inner.get_range(name, range.clone()))
    }

    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        self.again("read", name.as_str(), |_| self.inner.read_into(name, range.clone(), caches, buffer))
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.again("look for", name.as_str(), |_| self.inner.head(name))
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.again("list", prefix, |_| self.inner.list(prefix))
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.again("delete", name.as_str(), |_| self.inner.delete(name))
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        self.inner.doubt(name)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.inner.sweep(prefix)
    }

    /// What a reader gave is gone after a failure: it is tried once.
    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        self.took(self.inner.put_reader(name, reader))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Faulty, MemoryStore};

    const QUICK: Schedule = Schedule {
        attempts: 3,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
        open_after: 2,
        open_for: Duration::from_secs(3600),
    };

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).expect("a name")
    }

    fn retrying(fault: Fault) -> (Retry, Arc<Traffic>, Arc<MemoryStore>) {
        let (memory, traffic) = (Arc::new(MemoryStore::new()), Arc::<Traffic>::default());
        (Retry::with(Arc::new(Faulty::new(memory.clone(), fault)), traffic.clone(), QUICK), traffic, memory)
    }

    #[test]
    fn a_lost_answer_to_a_create_is_no_conflict() {
        let (store, traffic, _) = retrying(Fault::LostReply(0));
        store.put(&name("a"), Bytes::from_static(b"mine"), PutMode::Create).expect("it is there, and it is mine");
        assert_eq!(traffic.used().retried, 1);
        assert!(matches!(store.put(&name("a"), Bytes::from_static(b"mine"), PutMode::Create), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn somebody_elses_object_stays_a_conflict() {
        let (store, _, memory) = retrying(Fault::FailOnce(0));
        memory.set(name("a"), Bytes::from_static(b"theirs"));
        assert!(matches!(store.put(&name("a"), Bytes::from_static(b"mine"), PutMode::Create), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn a_place_that_stays_down_is_left_alone() {
        let (store, traffic, _) = retrying(Fault::Unreadable);
        for _ in 0..2 {
            assert!(store.get(&name("a")).is_err());
        }
        assert_eq!(traffic.used().retried, 4, "three attempts each");
        let error = store.get(&name("a")).expect_err("left alone").to_string();
        assert!(error.contains("left alone"), "{error}");
        assert_eq!(traffic.used().retried, 4);
    }

    #[test]
    fn pauses_grow_and_honour_what_the_server_asks() {
        let schedule = Schedule::default();
        let of = |attempt, asked, random| schedule.pause(attempt, asked, random).as_millis();
        assert_eq!([of(0, None, 1.0), of(1, None, 1.0), of(3, None, 0.5), of(3, None, 0.0)], [200, 400, 800, 0]);
        assert_eq!(of(20, None, 1.0), 60_000);
        assert_eq!(of(0, Some(Duration::from_secs(7)), 0.5), 7_100);
        assert_eq!(of(0, Some(Duration::from_secs(86_400)), 0.0), 60_000);
    }
}
