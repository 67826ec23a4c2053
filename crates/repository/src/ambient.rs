//! Time, randomness and who we are come in as parameters, so that tests can hold them still.

use rand::Rng;

/// What the engine needs from its surroundings.
pub trait Ambient: Send + Sync {
    /// The time now.
    fn now(&self) -> jiff::Timestamp;
    /// Fills with bytes that nobody can foresee.
    fn fill(&self, bytes: &mut [u8]);
    /// This machine's name, for locks.
    fn hostname(&self) -> String;
    /// This process's number, for locks.
    fn pid(&self) -> u32;
}

/// The real clock, the operating system's randomness, this machine and process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemAmbient;

impl Ambient for SystemAmbient {
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine's real clock comes from")]
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn hostname(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}
