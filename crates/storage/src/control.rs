//! What a cloud can be asked beside reading and writing objects: signed requests of our own, for what no library offers.

use std::fmt;

use crate::StoreResult;

/// What belongs to a bucket or container rather than to its objects.
pub trait Control: Send + Sync + fmt::Debug {
    /// Makes the bucket or container; one that is there stays as it is.
    ///
    /// # Errors
    /// The place refuses or fails.
    fn make_place(&self, locks: bool) -> StoreResult<()>;
}
