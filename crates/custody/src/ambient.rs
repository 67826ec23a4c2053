//! The real clock and the operating system's randomness, for the vault and the engine alike.

use keepsake_record::Timestamp;
use keepsake_repository::{Ambient as _, SystemAmbient};

/// What the product runs on; tests bring their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl keepsake_vault::Ambient for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(SystemAmbient.now()).expect("the clock stands between the years 1 and 9999")
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemAmbient.fill(bytes);
    }
}
