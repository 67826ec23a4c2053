//! Where the files of an export of media come from.

use std::io::Read;

use keepsake_record::Sha256Digest;

/// Where originals come from that are too long to be held.
pub trait Sources {
    /// Opens an original of so many bytes. Whoever reads it to its end knows that it is whole.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence.
    fn open(&self, digest: &Sha256Digest, length: u64) -> Result<Box<dyn Read + '_>, String>;
    /// Whether somebody asked to stop.
    fn is_stopped(&self) -> bool;
    /// Whether attachments that are not there were named already, each with its problem.
    fn names_missing(&self) -> bool;
    /// Whether the files are for others, who need not know how widely a memory is shown.
    fn is_for_others(&self) -> bool;
}
