//! Who is told how a long operation goes: a terminal, a job row, a test, or nobody.

/// Told about progress; may ask to stop.
pub trait Monitor: Send + Sync {
    /// What is being done now, and how many items and bytes there will be, if that is known.
    fn stage(&self, name: &str, items: Option<u64>, bytes: Option<u64>);
    /// Items and bytes done since the last call.
    fn advance(&self, items: u64, bytes: u64);
    /// A problem that does not end the operation.
    fn problem(&self, subject: &str, reason: &str);
    /// Whether somebody asked to stop.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, _: &str, _: &str) {}
}
