//! Where an export gets the bytes of originals from: those of the vault, or the copies that go to others instead.

use std::io::{Cursor, Read};

use keepsake_formats::{media::Sources, site::Originals};
use keepsake_record::Sha256Digest;

use super::sharing::Sharing;
use crate::{Monitor, render::MediaReader};

/// The originals that an export shows.
pub(super) struct Stock<'a> {
    pub media: &'a MediaReader,
    /// Where it is for others.
    pub sharing: Option<&'a Sharing<'a>>,
    pub monitor: &'a dyn Monitor,
}

impl Sources for Stock<'_> {
    fn open(&self, digest: &Sha256Digest, length: u64) -> Result<Box<dyn Read + '_>, String> {
        match self.sharing {
            Some(sharing) => Ok(Box::new(Cursor::new(sharing.read(digest, length)?))),
            None => self.media.open(digest).map_err(|error| format!("the original cannot be read: {error}")),
        }
    }

    fn is_stopped(&self) -> bool {
        self.monitor.cancelled()
    }

    fn names_missing(&self) -> bool {
        self.sharing.is_some()
    }

    fn is_for_others(&self) -> bool {
        self.sharing.is_some()
    }
}

impl Originals for MediaReader {
    fn read(&self, digest: &Sha256Digest, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let read = self.open(digest).and_then(|reader| reader.take(length).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|error| format!("the original cannot be read: {error}"))
    }
}
