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

    /// How long the first chunk of a buffer is. The buffer holds at least [`CHUNK_MAX_BYTES`], or the file's end.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        let end = bytes.len().min(CHUNK_MAX_BYTES);
        if end <= CHUNK_MIN_BYTES {
            return end;
        }
        let normal = end.min(CHUNK_NORMAL_BYTES);
        let mut hash = 0_u64;
        for (at, byte) in bytes[..normal].iter().enumerate().skip(CHUNK_MIN_BYTES) {
            hash = (hash << 1).wrapping_add(self.0[*byte as usize]);
            if hash & MASK_BEFORE == 0 {
                return at + 1;
            }
        }
        for (at, byte) in bytes[..end].iter().enumerate().skip(normal) {
            hash = (hash << 1).wrapping_add(self.0[*byte as usize]);
            if hash & MASK_AFTER == 0 {
                return at + 1;
            }
        }
        end
    }
}

/// Cuts what a reader gives.
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
    pub fn each<E: From<io::Error>>(mut self, reader: &mut dyn Read, mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        loop {
            self.fill(reader)?;
            let waiting = &self.buffer[self.start..];
            if waiting.is_empty() {
                return Ok(());
            }
            let length = self.table.cut(waiting);
            emit(&waiting[..length])?;
            self.start += length;
        }
    }

    fn fill(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        if self.ended || self.buffer.len() - self.start >= CHUNK_MAX_BYTES {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let wanted = (2 * CHUNK_MAX_BYTES - self.buffer.len()) as u64;
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
