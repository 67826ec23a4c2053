//! Work on what others wrote, which is given up when it takes too long or too much.
//!
//! A thread cannot be ended from outside: it goes on until it ends by itself or the program does. A program that runs for years lets one of its own
//! processes do this.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::Monitor;

/// How much is too much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Looks at it, so many a second.
    pub seconds: u64,
    /// What the program takes more of than before, where the system tells (Linux).
    pub bytes: u64,
}

impl Limits {
    /// Of a volume that is set: some 400 pages take half a GiB and ten seconds.
    pub const SETTING: Self = Self { seconds: 300, bytes: 3 << 30 };
}

const LOOKS_A_SECOND: u64 = 20;
/// Typesetters call themselves; their own bounds are made for so much.
const STACK_BYTES: usize = 64 << 20;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It took more than it may.
    TooMuch(String),
    /// It failed in a way that nobody foresaw.
    Died,
    /// Somebody asked to stop.
    Cancelled,
}

/// Does something on a thread of its own.
pub(super) fn bounded<T: Send + 'static>(
    limits: Limits,
    monitor: &dyn Monitor,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GivenUp> {
    let (sender, results) = mpsc::channel();
    let before = resident_bytes();
    let thread = thread::Builder::new().name("template".into()).stack_size(STACK_BYTES).spawn(move || drop(sender.send(work())));
    if thread.is_err() {
        return Err(GivenUp::Died);
    }
    for _ in 0..limits.seconds.saturating_mul(LOOKS_A_SECOND) {
        match results.recv_timeout(Duration::from_millis(1_000 / LOOKS_A_SECOND)) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err(GivenUp::Died),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if monitor.cancelled() {
            return Err(GivenUp::Cancelled);
        }
        if resident_bytes().saturating_sub(before) > limits.bytes {
            return Err(GivenUp::TooMuch(format!("it takes more than {} MiB of memory", limits.bytes >> 20)));
        }
    }
    Err(GivenUp::TooMuch(format!("it takes more than {} seconds", limits.seconds)))
}

/// What the program has in memory, as Linux tells (proc(5)); 0 elsewhere.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::Silent;

    static IS_OVER: AtomicBool = AtomicBool::new(false);

    struct Impatient;

    impl Monitor for Impatient {
        fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
        fn advance(&self, _: u64, _: u64) {}
        fn problem(&self, _: &str, _: &str) {}
        fn cancelled(&self) -> bool {
            true
        }
    }

    fn endless() {
        while !IS_OVER.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_takes_too_much_is_given_up() {
        let limits = Limits { seconds: 1, bytes: 64 << 20 };
        assert_eq!(bounded(limits, &Silent, || 7), Ok(7));
        assert_eq!(bounded(limits, &Silent, || std::panic::resume_unwind(Box::new(()))), Err::<(), _>(GivenUp::Died));
        assert_eq!(bounded(limits, &Impatient, endless), Err(GivenUp::Cancelled));
        assert_eq!(bounded(limits, &Silent, endless), Err(GivenUp::TooMuch("it takes more than 1 seconds".into())));
        if cfg!(target_os = "linux") {
            let greedy = || {
                let taken = vec![1_u8; 512 << 20];
                endless();
                taken.len()
            };
            let found = bounded(Limits { seconds: 20, ..limits }, &Silent, greedy);
            assert_eq!(found, Err(GivenUp::TooMuch("it takes more than 64 MiB of memory".into())));
        }
        IS_OVER.store(true, Ordering::Relaxed);
    }
}
