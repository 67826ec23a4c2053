//! Progress of long work: a line on the terminal with bytes, items, rate and time left; events for programs.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keepsake_custody::Monitor;
use serde_json::json;

use crate::output::Output;

/// How often programs are told.
const EVENTS_EVERY: Duration = Duration::from_millis(500);

/// Signals this close to the first are still the same press: the terminal sends it to every program in front, and what wraps a command
/// (`timeout`, `npm`, a script) passes it on as well.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// What an interrupt means.
#[derive(Debug, PartialEq, Eq)]
enum Interrupt {
    /// End in good order.
    Asks,
    /// The same again.
    Echo,
    /// End at once.
    Insists,
}

impl Interrupt {
    fn heard(since_first: Option<Duration>) -> Self {
        match since_first {
            None => Self::Asks,
            Some(since) if since < ONE_PRESS => Self::Echo,
            Some(_) => Self::Insists,
        }
    }
}

pub struct Progress {
    bar: ProgressBar,
    output: Output,
    verbose: bool,
    stopped: Arc<AtomicBool>,
    items: AtomicU64,
    bytes: AtomicU64,
    last_event: Mutex<Instant>,
}

impl Progress {
    /// Progress that is shown where somebody can see it, and that Ctrl-C stops.
    #[expect(clippy::disallowed_methods, reason = "what a person sees on the terminal goes by the real clock")]
    pub fn new(output: Output, quiet: bool, verbose: bool) -> Arc<Self> {
        let shown = !quiet && !output.is_json() && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        bar.enable_steady_tick(Duration::from_millis(120));
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = stopped.clone();
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            while tokio::signal::ctrl_c().await.is_ok() {
                match Interrupt::heard(first.map(|first| first.elapsed())) {
                    Interrupt::Asks => {
                        flag.store(true, Ordering::SeqCst);
                        first = Some(Instant::now());
                        Output::new(false, false).warn("stopping; press Ctrl-C again to stop at once");
                    }
                    Interrupt::Echo => {}
                    Interrupt::Insists => std::process::exit(crate::exit::INTERRUPTED.into()),
                }
            }
        });
        Arc::new(Self {
            bar,
            output,
            verbose,
            stopped,
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last_event: Mutex::new(Instant::now()),
        })
    }

    /// Takes the line off the terminal.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Monitor for Progress {
    fn stage(&self, name: &str, items: Option<u64>, bytes: Option<u64>) {
        let template = match (items, bytes) {
            (_, Some(_)) => "{spinner} {msg}: {bytes}/{total_bytes} at {bytes_per_sec}, {eta} left",
            (Some(_), None) => "{spinner} {msg}: {human_pos}/{human_len}, {per_sec}, {eta} left",
            (None, None) => "{spinner} {msg} {elapsed}",
        };
        self.items.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.bar.reset();
        self.bar.set_message(name.to_owned());
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
        match bytes.or(items) {
            Some(length) => self.bar.set_length(length),
            None => self.bar.unset_length(),
        }
        self.output.event("stage", json!({ "name": name, "items": items, "bytes": bytes }));
    }

    #[expect(clippy::disallowed_methods, reason = "what a person sees on the terminal goes by the real clock")]
    fn advance(&self, items: u64, bytes: u64) {
        let items = self.items.fetch_add(items, Ordering::Relaxed) + items;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match self.bar.length() {
            Some(_) => self.bar.set_position(if bytes > 0 { bytes } else { items }),
            None => self.bar.set_message(format!("{} items, {}", crate::words::count(items), crate::words::bytes(bytes))),
        }
        if self.output.is_json() {
            let mut last = self.last_event.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.elapsed() >= EVENTS_EVERY {
                *last = Instant::now();
                self.output.event("progress", json!({ "items": items, "bytes": bytes }));
            }
        }
    }

    fn problem(&self, subject: &str, reason: &str) {
        if self.output.is_json() {
            self.output.event("problem", json!({ "subject": subject, "reason": reason }));
        } else if self.verbose {
            self.bar.suspend(|| self.output.warn(format!("{subject}: {reason}")));
        }
    }

    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_press_that_comes_twice_does_not_insist() {
        let after = |milliseconds| Interrupt::heard(Some(Duration::from_millis(milliseconds)));
        assert_eq!(Interrupt::heard(None), Interrupt::Asks);
        assert_eq!([after(0), after(299)], [Interrupt::Echo, Interrupt::Echo]);
        assert_eq!([after(300), after(5000)], [Interrupt::Insists, Interrupt::Insists]);
    }
}
