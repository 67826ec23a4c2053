//! The index: which pack holds which blob, and where.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry as Slot},
    hash::{BuildHasherDefault, Hasher},
};

use serde::{Deserialize, Serialize};

use crate::{Id, RepositoryError, RepositoryResult, pack::PackedBlob};

/// Whether a blob holds content or a folder's listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobKind {
    /// Content of files.
    Data,
    /// A folder's nodes.
    Tree,
}

/// Where a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The pack.
    pub pack: Id,
    /// Where in the pack it begins.
    pub offset: u32,
    /// Its sealed length.
    pub length: u32,
    /// Its plaintext length if it is compressed, else 0.
    pub uncompressed: u32,
}

impl Location {
    /// The length of the blob's plaintext.
    pub fn plain_length(&self) -> u64 {
        if self.uncompressed == 0 { u64::from(self.length).saturating_sub(32) } else { self.uncompressed.into() }
    }
}

/// Ids are random already: their first bytes are their hash.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    fn write_isize(&mut self, discriminant: isize) {
        self.0 ^= discriminant as u64;
    }

    fn write_usize(&mut self, _: usize) {}
}

pub(crate) type IdState = BuildHasherDefault<IdHasher>;

#[derive(Debug, Clone, Copy)]
struct Entry {
    pack: u32,
    offset: u32,
    length: u32,
    uncompressed: u32,
}

/// All index files together, in memory.
#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<Id>,
    pack_numbers: HashMap<Id, u32, IdState>,
    pack_bytes: Vec<u64>,
    blobs: HashMap<(BlobKind, Id), Entry, IdState>,
    /// Further places of blobs that stand in several packs.
    others: HashMap<(BlobKind, Id), Vec<Entry>, IdState>,
    /// Packs that were found damaged: what stands only there counts as missing.
    distrusted: HashSet<Id, IdState>,
    /// The index files it was made from.
    pub files: HashSet<Id, IdState>,
}

impl Index {
    /// The first trusted place of a blob.
    pub fn get(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.places(kind, id).find(|place| !self.distrusted.contains(&place.pack))
    }

    /// Every place of a blob, distrusted ones too.
    pub fn places(&self, kind: BlobKind, id: &Id) -> impl Iterator<Item = Location> + '_ {
        let key = (kind, *id);
        let entries = self.blobs.get(&key).into_iter().chain(self.others.get(&key).into_iter().flatten());
        entries.map(|e| Location { pack: self.packs[e.pack as usize], offset: e.offset, length: e.length, uncompressed: e.uncompressed })
    }

    pub fn contains(&self, kind: BlobKind, id: &Id) -> bool {
        self.get(kind, id).is_some()
    }

    pub fn distrust(&mut self, pack: Id) {
        self.distrusted.insert(pack);
    }

    /// Adds a pack and what is in it; the first place of a blob wins.
    pub fn add_pack(&mut self, pack: Id, blobs: &[PackedBlob]) {
        let known = self.pack_numbers.get(&pack).copied();
        let number = known.unwrap_or_else(|| {
            self.packs.push(pack);
            self.pack_bytes.push(32 + 4);
            self.packs.len() as u32 - 1
        });
        self.pack_numbers.insert(pack, number);
        for blob in blobs {
            // A pack that two index files list in part is as long as both parts together.
            let listed =
                known.is_some() && self.blobs.get(&(blob.kind, blob.id)).is_some_and(|e| e.pack == number && e.offset == blob.offset);
            if !listed {
                self.pack_bytes[number as usize] += u64::from(blob.length) + if blob.uncompressed == 0 { 37 } else { 41 };
            }
            let entry = Entry { pack: number, offset: blob.offset, length: blob.length, uncompressed: blob.uncompressed };
            match self.blobs.entry((blob.kind, blob.id)) {
                Slot::Vacant(slot) => drop(slot.insert(entry)),
                Slot::Occupied(first) if first.get().pack != number => self.others.entry((blob.kind, blob.id)).or_default().push(entry),
                Slot::Occupied(_) => {}
            }
        }
    }

    /// Every pack with the length that its blobs add up to.
    pub fn packs(&self) -> impl Iterator<Item = (Id, u64)> + '_ {
        self.packs.iter().copied().zip(self.pack_bytes.iter().copied())
    }

    /// The blobs that the index places in a pack.
    pub fn blobs_by_pack(&self) -> HashMap<Id, Vec<(BlobKind, Id, Location)>, IdState> {
        let mut by_pack: HashMap<Id, Vec<_>, IdState> = HashMap::default();
        for (kind, id) in self.blobs.keys() {
            for location in self.places(*kind, id) {
                by_pack.entry(location.pack).or_default().push((*kind, *id, location));
            }
        }
        by_pack
    }

    pub fn blob_count(&self) -> usize {
        self.blobs.len()
    }
}

#[derive(Serialize, Deserialize)]
struct BlobJson {
    id: Id,
    r#type: BlobKind,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    uncompressed_length: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
struct PackJson {
    id: Id,
    blobs: Option<Vec<BlobJson>>,
}

#[derive(Serialize, Deserialize)]
struct IndexJson {
    packs: Option<Vec<PackJson>>,
}

/// The JSON of an index file over some packs.
pub(crate) fn encode(packs: &[(Id, Vec<PackedBlob>)]) -> Vec<u8> {
    let blob =
        |b: &PackedBlob| BlobJson { id: b.id, r#type: b.kind, offset: b.offset, length: b.length, uncompressed_length: b.uncompressed };
    let packs = packs.iter().map(|(id, blobs)| PackJson { id: *id, blobs: Some(blobs.iter().map(blob).collect()) }).collect();
    let mut json = serde_json::to_vec(&IndexJson { packs: Some(packs) }).expect("plain numbers and strings");
    json.push(b'\n');
    json
}

/// Reads an index file's JSON.
pub(crate) fn decode(id: Id, json: &[u8]) -> RepositoryResult<Vec<(Id, Vec<PackedBlob>)>> {
    let index: IndexJson = serde_json::from_slice(json).map_err(|e| RepositoryError::damaged(format!("index {}", id.short()), e))?;
    let packs = index.packs.unwrap_or_default().into_iter().map(|pack| {
        let blobs = pack.blobs.unwrap_or_default().into_iter();
        let blobs =
            blobs.map(|b| PackedBlob { kind: b.r#type, id: b.id, offset: b.offset, length: b.length, uncompressed: b.uncompressed_length });
        (pack.id, blobs.collect())
    });
    Ok(packs.collect())
}
