//! Packs: sealed blobs, one after another, then the sealed header that lists them.

use keepsake_hashing::{Message, Progress};

use crate::{
    Ambient, Id, Location, MasterKey, RepositoryError, RepositoryResult,
    crypto::{OVERHEAD_BYTES, fresh_iv, open, seal},
    index::BlobKind,
};

/// A pack is sent off once it holds this much.
pub(crate) const PACK_TARGET_BYTES: usize = 16 << 20;
/// And once it holds so many blobs: a header of more than 16 MiB is read by nobody.
const PACK_BLOBS_MAX: usize = 100_000;
/// What a pack has beside its blobs and their entries: the header's IV and MAC, and its length.
pub(crate) const PACK_FRAME_BYTES: u64 = 32 + 4;
/// The longest header that readers accept.
const HEADER_MAX_BYTES: usize = 16 << 20;

/// One blob in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PackedBlob {
    pub kind: BlobKind,
    pub id: Id,
    pub offset: u32,
    /// Sealed length.
    pub length: u32,
    /// Plaintext length if it is compressed, else 0.
    pub uncompressed: u32,
}

impl PackedBlob {
    /// What its entry takes in the header.
    pub fn header_bytes(&self) -> u64 {
        if self.uncompressed == 0 { 37 } else { 41 }
    }

    /// Where it lies in the pack's bytes.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = self.offset as usize;
        start..start + self.length as usize
    }

    pub fn location(&self, pack: Id) -> Location {
        Location { pack, offset: self.offset, length: self.length, uncompressed: self.uncompressed }
    }
}

/// What a pack with these blobs and nothing else measures.
pub(crate) fn length(blobs: &[PackedBlob]) -> u64 {
    PACK_FRAME_BYTES + blobs.iter().map(|blob| u64::from(blob.length) + blob.header_bytes()).sum::<u64>()
}

/// Grows a pack in memory, and hashes it beside the blobs that come.
#[derive(Default)]
pub(crate) struct PackBuilder {
    bytes: Vec<u8>,
    blobs: Vec<PackedBlob>,
    hashed: Progress,
}

impl PackBuilder {
    /// Grows in a buffer that was used before.
    pub fn within(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, ..Self::default() }
    }

    /// Whether another one can be taken over without becoming longer than a pack should be.
    pub fn fits(&self, other: &Self) -> bool {
        self.bytes.len() + other.bytes.len() <= PACK_TARGET_BYTES && self.blobs.len() + other.blobs.len() <= PACK_BLOBS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK_TARGET_BYTES || self.blobs.len() >= PACK_BLOBS_MAX
    }

    /// The id of a blob's plaintext. What the pack has grown by since the last one is hashed beside it.
    pub fn id_of(&mut self, plain: &[u8]) -> Id {
        let (mut pack, mut plain) = (Message::after(self.hashed, &self.bytes), Message::new(plain));
        Message::advance_both(&mut pack, &mut plain);
        self.hashed = pack.progress();
        Id::from_bytes(plain.finish())
    }

    /// Seals a blob's payload and appends it; `uncompressed` is the length of its plaintext if it is compressed, else 0.
    pub fn push(&mut self, key: &MasterKey, iv: [u8; 16], kind: BlobKind, id: Id, payload: &[u8], uncompressed: u32) {
        let (offset, length) = (self.bytes.len() as u32, (payload.len() + OVERHEAD_BYTES) as u32);
        seal(key, iv, payload, &mut self.bytes);
        self.blobs.push(PackedBlob { kind, id, offset, length, uncompressed });
    }

    /// Appends a blob that is sealed already.
    pub fn push_sealed(&mut self, blob: &PackedBlob, sealed: &[u8]) {
        self.blobs.push(PackedBlob { offset: self.bytes.len() as u32, ..*blob });
        self.bytes.extend_from_slice(sealed);
    }

    /// Takes over the blobs of another pack that did not become full; answers its buffer.
    pub fn absorb(&mut self, other: Self) -> Vec<u8> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.blobs.extend(other.blobs.into_iter().map(|blob| PackedBlob { offset: blob.offset + start, ..blob }));
        other.bytes
    }

    /// Adds the header; answers the pack's id, its bytes and what is in it.
    pub fn finish(mut self, key: &MasterKey, ambient: &dyn Ambient) -> (Id, Vec<u8>, Vec<PackedBlob>) {
        let mut header = Vec::with_capacity(self.blobs.len() * 41);
        for blob in &self.blobs {
            let base = if blob.kind == BlobKind::Tree { 1 } else { 0 };
            header.push(if blob.uncompressed == 0 { base } else { base + 2 });
            header.extend_from_slice(&blob.length.to_le_bytes());
            if blob.uncompressed != 0 {
                header.extend_from_slice(&blob.uncompressed.to_le_bytes());
            }
            header.extend_from_slice(blob.id.as_bytes());
        }
        seal(key, fresh_iv(ambient), &header, &mut self.bytes);
        let length = ((header.len() + OVERHEAD_BYTES) as u32).to_le_bytes();
        self.bytes.extend_from_slice(&length);
        let id = Id::from_bytes(Message::after(self.hashed, &self.bytes).finish());
        (id, self.bytes, self.blobs)
    }
}

/// Reads the header of a whole pack.
pub(crate) fn read_header(id: Id, pack: &[u8], key: &MasterKey) -> RepositoryResult<Vec<PackedBlob>> {
    read_header_at_end(id, pack, pack.len() as u64, key)?
        .ok_or_else(|| RepositoryError::damaged(format!("pack {}", id.short()), "its header has an impossible length"))
}

/// Reads the header out of the last bytes of a pack of a known length. `None`: it begins before them.
pub(crate) fn read_header_at_end(id: Id, end: &[u8], pack_bytes: u64, key: &MasterKey) -> RepositoryResult<Option<Vec<PackedBlob>>> {
    let bad = |problem: &str| RepositoryError::damaged(format!("pack {}", id.short()), problem);
    let (body, tail) = end.split_last_chunk::<4>().ok_or_else(|| bad("it is too short"))?;
    let length = u32::from_le_bytes(*tail) as usize;
    if !(OVERHEAD_BYTES..=HEADER_MAX_BYTES).contains(&length) {
        return Err(bad("its header has an impossible length"));
    }
    let Some(sealed) = body.len().checked_sub(length).map(|start| &body[start..]) else { return Ok(None) };
    let header = open(key, sealed).ok_or_else(|| bad("its header does not open"))?;
    let mut blobs = Vec::new();
    let mut rest = header.as_slice();
    let mut offset = 0_u32;
    while let Some((kind, after)) = rest.split_first() {
        let (compressed, kind) = match kind {
            0 => (false, BlobKind::Data),
            1 => (false, BlobKind::Tree),
            2 => (true, BlobKind::Data),
            3 => (true, BlobKind::Tree),
            _ => return Err(bad("its header names an unknown type of blob")),
        };
        let entry = after.get(..if compressed { 40 } else { 36 }).ok_or_else(|| bad("its header ends in the middle"))?;
        let length = u32::from_le_bytes(entry[..4].try_into().expect("4 bytes"));
        let uncompressed = if compressed { u32::from_le_bytes(entry[4..8].try_into().expect("4 bytes")) } else { 0 };
        let id = Id::from_bytes(entry[entry.len() - 32..].try_into().expect("32 bytes"));
        blobs.push(PackedBlob { kind, id, offset, length, uncompressed });
        offset = offset.checked_add(length).ok_or_else(|| bad("its blobs are longer than 4 GiB"))?;
        rest = &after[entry.len()..];
    }
    let accounted = u64::from(offset) + length as u64 + 4;
    if accounted == pack_bytes { Ok(Some(blobs)) } else { Err(bad("its header does not account for all its bytes")) }
}
