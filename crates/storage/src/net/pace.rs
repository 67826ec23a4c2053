//! How fast bytes may go, by the hour of the day.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// A span of the day with its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first minute of the day, local time, 0 to 1439.
    pub from: u16,
    /// The first minute after it; smaller than `from` when it goes over midnight.
    pub to: u16,
    /// Bytes a second in it; `None`: as fast as it goes.
    pub bytes_per_second: Option<u64>,
}

impl Window {
    fn holds(&self, minute: u16) -> bool {
        if self.from <= self.to { (self.from..self.to).contains(&minute) } else { minute >= self.from || minute < self.to }
    }
}

/// A limit that all requests of a store share: whoever sends bytes asks first, and waits as long as it is told.
#[derive(Debug)]
pub struct Pace {
    always: Option<u64>,
    windows: Vec<Window>,
    /// Until when the bytes that were allowed so far take.
    busy_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// A limit for all day, in bytes a second, with windows that go before it: the first that holds the minute counts.
    pub fn new(always: Option<u64>, windows: Vec<Window>) -> Self {
        Self { always, windows, busy_until: Mutex::default() }
    }

    /// The limit at a minute of the day.
    pub fn at(&self, minute: u16) -> Option<u64> {
        self.windows.iter().find(|w| w.holds(minute)).map_or(self.always, |w| w.bytes_per_second)
    }

    /// How long to wait before so many bytes may go. They are taken as gone.
    fn wait_for(&self, bytes: u64, now: Instant, minute: u16) -> Duration {
        let Some(rate) = self.at(minute).filter(|rate| *rate > 0) else { return Duration::ZERO };
        let mut until = self.busy_until.lock().expect("no holder panics");
        let start = until.map_or(now, |until| until.max(now));
        *until = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
        start - now
    }

    /// Waits until so many bytes may go.
    #[expect(clippy::disallowed_methods, reason = "a limit per second needs the clock")]
    pub(crate) async fn take(&self, bytes: u64) {
        let now = jiff::Zoned::now();
        let minute = now.hour() as u16 * 60 + now.minute() as u16;
        tokio::time::sleep(self.wait_for(bytes, Instant::now(), minute)).await;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_for_the_bytes_before_them() {
        let pace = Pace::new(Some(1000), vec![]);
        let now = Instant::now();
        assert_eq!(pace.wait_for(500, now, 0), Duration::ZERO);
        assert_eq!(pace.wait_for(2000, now, 0), Duration::from_millis(500));
        assert_eq!(pace.wait_for(1, now + Duration::from_secs(1), 0), Duration::from_millis(1500));
        assert_eq!(pace.wait_for(1, now + Duration::from_secs(60), 0), Duration::ZERO, "nothing is saved up, nothing owed for ever");
    }

    #[test]
    fn the_hour_decides() {
        let night = Window { from: 22 * 60, to: 6 * 60, bytes_per_second: None };
        let noon = Window { from: 12 * 60, to: 13 * 60, bytes_per_second: Some(10) };
        let pace = Pace::new(Some(100), vec![night, noon]);
        let at = |hour: u16, minute: u16| pace.at(hour * 60 + minute);
        assert_eq!([at(21, 59), at(22, 0), at(0, 0), at(5, 59), at(6, 0)], [Some(100), None, None, None, Some(100)]);
        assert_eq!([at(11, 59), at(12, 0), at(12, 59), at(13, 0)], [Some(100), Some(10), Some(10), Some(100)]);
    }
}
