//! Time and randomness come in as parameters.

use keepsake_record::Timestamp;

/// What the vault needs from its surroundings.
pub trait Ambient: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Fills with bytes that nobody can foresee.
    fn fill(&self, bytes: &mut [u8]);
}
