//! Files that something seals while they are written: what a bag goes through on its way to disk, and which formats know nothing of.

use std::{fs, io};

/// A file under a seal.
pub trait Sealed: io::Write + Send {
    /// Writes what comes last; answers the file.
    ///
    /// # Errors
    /// The file cannot be written.
    fn finish(self: Box<Self>) -> io::Result<fs::File>;
}

/// Puts a file under a seal; it is written front to back.
pub type Seal<'a> = &'a (dyn Fn(fs::File) -> io::Result<Box<dyn Sealed>> + Sync);

/// No seal.
impl Sealed for fs::File {
    fn finish(self: Box<Self>) -> io::Result<fs::File> {
        Ok(*self)
    }
}
