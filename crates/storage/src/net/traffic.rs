//! What a store used of the network, counted where the requests are made.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters of one store; several threads add to them.
#[derive(Debug, Default)]
pub struct Traffic {
    writes: AtomicU64,
    reads: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    retried: AtomicU64,
    /// The server's clock minus ours, in seconds.
    clock_ahead: AtomicI64,
}

/// What was used so far, or in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Used {
    /// Requests that write.
    pub writes: u64,
    /// Requests that read an object or ask about one.
    pub reads: u64,
    /// Requests that list.
    pub lists: u64,
    /// Requests that delete.
    pub deletes: u64,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// Bytes of bodies received.
    pub received: u64,
    /// Calls that were made once more after they failed.
    pub retried: u64,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Write,
    Read,
    List,
    Delete,
}

impl Traffic {
    pub(crate) fn request(&self, kind: Kind) {
        let counter = match kind {
            Kind::Write => &self.writes,
            Kind::Read => &self.reads,
            Kind::List => &self.lists,
            Kind::Delete => &self.deletes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn bytes_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn saw_clock(&self, ahead: i64) {
        self.clock_ahead.store(ahead, Ordering::Relaxed);
    }

    /// The server's clock minus ours when it last answered, in seconds; 0 also where no server has told its time.
    pub fn clock_ahead(&self) -> i64 {
        self.clock_ahead.load(Ordering::Relaxed)
    }

    /// What was used so far.
    pub fn used(&self) -> Used {
        self.each(|counter| counter.load(Ordering::Relaxed))
    }

    /// What was used since this was last called.
    pub fn take(&self) -> Used {
        self.each(|counter| counter.swap(0, Ordering::Relaxed))
    }

    fn each(&self, of: impl Fn(&AtomicU64) -> u64) -> Used {
        Used {
            writes: of(&self.writes),
            reads: of(&self.reads),
            lists: of(&self.lists),
            deletes: of(&self.deletes),
            sent: of(&self.sent),
            received: of(&self.received),
            retried: of(&self.retried),
        }
    }
}
