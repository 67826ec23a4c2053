//! Content-defined cutting: FastCDC (Xia et al., USENIX ATC 2016) with normalised chunking and a secret gear table.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::MasterKey;

/// The shortest chunk, except the last of a file.
pub const CHUNK_MIN_BYTES: usize = 512 << 10;
/// The length that chunks tend to.
pub const CHUNK_NORMAL_BYTES: usize = 1 << 20;
/// The longest chunk.
pub const CHUNK_MAX_BYTES: usize = 8 << 20;

/// 22 bits before the normal length, 18 after: two steps of normalisation around 2^20.
const MASK_BEFORE: u64 = 0xffff_fc00_0000_0000;
const MASK_AFTER: u64 = 0xffff_c000_0000_0000;

/// 256 random words that decide where files are cut. Keyed per repository, so that the lengths of chunks tell nobody
/// which public file they belong to.
pub struct GearTable([u64; 256]);

impl GearTable {
    /// The table of a repository: word `i` is the first 8 bytes (little-endian) of
    /// SHA-256("keepsake gear table v1" ‖ encryption key ‖ `i` as one byte).
    pub fn of(key: &MasterKey) -> Self {
        Self(std::array::from_fn(|i| {
            let digest =
                Sha256::new().chain_update(b"keepsake gear table v1").chain_update(key.parts().0).chain_update([i as u8]).finalize();
            u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
        }))
    }

    /// Where content ends the first chunk of a buffer. `None`: nowhere in it before [`CHUNK_MAX_BYTES`].
    pub fn boundary(&self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.len().min(CHUNK_MAX_BYTES);
        let normal = end.min(CHUNK_NORMAL_BYTES);
        let mut hash = 0_u64;
        for (at, byte) in bytes[..normal].iter().enumerate().skip(CHUNK_MIN_BYTES) {
            hash = (hash << 1).wrapping_add(self.0[*byte as usize]);
            if hash & MASK_BEFORE == 0 {
                return Some(at + 1);
            }
        }
        for (at, byte) in bytes[..end].iter().enumerate().skip(normal.max(CHUNK_MIN_BYTES)) {
            hash = (hash << 1).wrapping_add(self.0[*byte as usize]);
            if hash & MASK_AFTER == 0 {
                return Some(at + 1);
            }
        }
        None
    }
}

/// Most chunks end before this: so much is read ahead before a boundary is looked for.
const AHEAD_BYTES: usize = 2 << 20;
/// The length of the buffer.
const BUFFER_BYTES: usize = 2 * CHUNK_MAX_BYTES;

/// Cuts what a reader gives. Its buffer serves one reader after the other.
pub struct Cutter<'a> {
    table: &'a GearTable,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<'a> Cutter<'a> {
    /// A cutter with an empty buffer.
    pub fn new(table: &'a GearTable) -> Self {
        Self { table, buffer: Vec::new(), start: 0, ended: false }
    }

    /// Gives each chunk of a reader to `emit`.
    ///
    /// # Errors
    /// The reader's, or what `emit` says.
    pub fn each<E: From<io::Error>>(&mut self, reader: &mut dyn Read, mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.buffer.clear();
        (self.start, self.ended) = (0, false);
        loop {
            self.fill(reader, AHEAD_BYTES)?;
            let mut boundary = self.table.boundary(&self.buffer[self.start..]);
            if boundary.is_none() {
                self.fill(reader, CHUNK_MAX_BYTES)?;
                boundary = self.table.boundary(&self.buffer[self.start..]);
            }
            let waiting = &self.buffer[self.start..];
            if waiting.is_empty() {
                return Ok(());
            }
            let length = boundary.unwrap_or(waiting.len().min(CHUNK_MAX_BYTES));
            emit(&waiting[..length])?;
            self.start += length;
        }
    }

    /// Reads until so much is there, or the end.
    fn fill(&mut self, reader: &mut dyn Read, least: usize) -> io::Result<()> {
        if self.ended || self.buffer.len() - self.start >= least {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let wanted = (BUFFER_BYTES - self.buffer.len()) as u64;
        let before = self.buffer.len();
        (&mut *reader).take(wanted).read_to_end(&mut self.buffer)?;
        self.ended = ((self.buffer.len() - before) as u64) < wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .take(length)
        .collect()
    }

    fn chunks(table: &GearTable, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        Cutter::new(table)
            .each::<io::Error>(&mut &*bytes, |chunk| {
                chunks.push(chunk.to_vec());
                Ok(())
            })
            .expect("reads memory");
        chunks
    }

    #[test]
    fn cuts_within_limits_and_meets_again_after_an_insertion() {
        let table = GearTable::of(&MasterKey::from_bytes(&[9; 64]));
        let original = noise(24 << 20, 1);
        let mut edited = original.clone();
        edited.splice(3_000_000..3_000_000, *b"something new");
        let (a, b) = (chunks(&table, &original), chunks(&table, &edited));
        assert_eq!(a.concat(), original);
        assert!(a[..a.len() - 1].iter().all(|c| (CHUNK_MIN_BYTES..=CHUNK_MAX_BYTES).contains(&c.len())));
        let shared = b.iter().filter(|chunk| a.contains(chunk)).count();
        assert!(shared + 4 >= b.len(), "{shared} of {} chunks are shared", b.len());
        assert!(chunks(&table, b"").is_empty());
    }

    /// The vector of docs/FORMAT.md: where a known key cuts known bytes.
    #[test]
    fn cuts_where_the_format_says() {
        let table = GearTable::of(&MasterKey::from_bytes(&std::array::from_fn(|i| i as u8)));
        let lengths: Vec<usize> = chunks(&table, &noise(6 << 20, 42)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [1_698_638, 1_129_080, 1_331_774, 1_074_775, 1_057_189]);
    }
}
