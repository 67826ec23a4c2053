//! The index: which pack holds which blob, and where. 48 bytes a blob, in sorted runs.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    Id,
    pack::{PACK_FRAME_BYTES, PackedBlob},
};

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

/// One place of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub id: Id,
    /// The number of the pack, and in the highest bit the kind: see [`Entry::new`].
    pack_and_kind: u32,
    pub offset: u32,
    pub length: u32,
    pub uncompressed: u32,
}

const _: () = assert!(size_of::<Entry>() == Entry::BYTES);
const TREE_BIT: u32 = 1 << 31;

impl Entry {
    /// In memory and in the local cache.
    pub const BYTES: usize = 48;

    pub fn new(kind: BlobKind, pack: u32, blob: &PackedBlob) -> Self {
        let bit = if kind == BlobKind::Tree { TREE_BIT } else { 0 };
        Self { id: blob.id, pack_and_kind: pack | bit, offset: blob.offset, length: blob.length, uncompressed: blob.uncompressed }
    }

    pub fn kind(&self) -> BlobKind {
        if self.pack_and_kind & TREE_BIT == 0 { BlobKind::Data } else { BlobKind::Tree }
    }

    pub fn pack(&self) -> usize {
        (self.pack_and_kind & !TREE_BIT) as usize
    }

    fn key(&self) -> (Id, BlobKind) {
        (self.id, self.kind())
    }

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        for (at, number) in [self.pack_and_kind, self.offset, self.length, self.uncompressed].into_iter().enumerate() {
            bytes[32 + at * 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |at: usize| u32::from_le_bytes(bytes[32 + at * 4..][..4].try_into().expect("4 bytes"));
        let id = Id::from_bytes(bytes[..32].try_into().expect("32 bytes"));
        Self { id, pack_and_kind: number(0), offset: number(1), length: number(2), uncompressed: number(3) }
    }

    pub fn packed(&self) -> PackedBlob {
        PackedBlob { kind: self.kind(), id: self.id, offset: self.offset, length: self.length, uncompressed: self.uncompressed }
    }
}

/// A run is merged into the one before it unless that is at least so many times as long.
const RUN_FACTOR: usize = 4;

/// The local cache is written anew once it lacks so many files, or one blob in so many.
const CACHE_LAG_FILES: usize = 16;
const CACHE_LAG_SHARE: usize = 8;

/// All index files together, in memory.
#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<Id>,
    pack_numbers: HashMap<Id, u32>,
    pack_bytes: Vec<u64>,
    /// Sorted by id and kind, the oldest place of a blob first. Each run is several times as long as the next, so that
    /// adding costs little and no blob needs more than its entry.
    runs: Vec<Vec<Entry>>,
    /// Packs that were found damaged: what stands only there counts as missing.
    distrusted: HashSet<Id>,
    /// The index files it was made from.
    pub files: HashSet<Id>,
    /// How many files and entries the local cache has.
    cached: (usize, usize),
}

/// The entries of a sorted run for one blob. Ids are random, so a guess from the first bytes is nearly right.
fn find<'r>(run: &'r [Entry], kind: BlobKind, id: &Id) -> &'r [Entry] {
    let key = (*id, kind);
    let prefix = u64::from_be_bytes(*id.as_bytes().first_chunk().expect("32 bytes"));
    let guess = ((u128::from(prefix) * run.len() as u128) >> 64) as usize;
    let (mut low, mut high) = (guess, guess);
    let mut step = 8;
    while low > 0 && run[low - 1].key() >= key {
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 8;
    while high < run.len() && run[high].key() < key {
        high = (high + step).min(run.len());
        step *= 2;
    }
    let first = low + run[low..high].partition_point(|entry| entry.key() < key);
    let count = run[first..].iter().take_while(|entry| entry.key() == key).count();
    &run[first..first + count]
}

/// Joins two sorted runs; of equal ones those of the first come first.
fn merge(first: Vec<Entry>, second: Vec<Entry>) -> Vec<Entry> {
    let mut out = first;
    out.extend(second);
    // Stable, and quick where there are two sorted runs.
    out.sort_by_key(Entry::key);
    out
}

impl Index {
    /// The first trusted place of a blob.
    pub fn get(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.places(kind, id).find(|place| !self.distrusted.contains(&place.pack))
    }

    fn entries<'i>(&'i self, kind: BlobKind, id: &Id) -> impl Iterator<Item = &'i Entry> + use<'i> {
        let id = *id;
        self.runs.iter().flat_map(move |run| find(run, kind, &id))
    }

    /// Whether a pack was found damaged.
    pub fn is_distrusted(&self, pack: &Id) -> bool {
        self.distrusted.contains(pack)
    }

    /// The place to keep a blob at: the first trusted one, or the first one if all are distrusted.
    pub fn best(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.get(kind, id).or_else(|| self.places(kind, id).next())
    }

    /// Every place of a blob, distrusted ones too.
    pub fn places<'i>(&'i self, kind: BlobKind, id: &Id) -> impl Iterator<Item = Location> + use<'i> {
        self.entries(kind, id).map(|entry| self.location(entry))
    }

    pub fn location(&self, e: &Entry) -> Location {
        Location { pack: self.packs[e.pack()], offset: e.offset, length: e.length, uncompressed: e.uncompressed }
    }

    pub fn contains(&self, kind: BlobKind, id: &Id) -> bool {
        self.get(kind, id).is_some()
    }

    pub fn distrust(&mut self, pack: Id) {
        self.distrusted.insert(pack);
    }

    /// Adds what an index file lists.
    pub fn add_file(&mut self, file: Id, packs: &[(Id, Vec<PackedBlob>)]) {
        self.add_packs(packs);
        self.files.insert(file);
    }

    /// Adds packs and what is in them; the first place of a blob wins.
    pub fn add_packs(&mut self, packs: &[(Id, Vec<PackedBlob>)]) {
        let mut run = Vec::with_capacity(packs.iter().map(|(_, blobs)| blobs.len()).sum());
        for (pack, blobs) in packs {
            let known = self.pack_numbers.get(pack).copied();
            let number = known.unwrap_or_else(|| {
                self.packs.push(*pack);
                self.pack_bytes.push(PACK_FRAME_BYTES);
                self.packs.len() as u32 - 1
            });
            self.pack_numbers.insert(*pack, number);
            for blob in blobs {
                let entry = Entry::new(blob.kind, number, blob);
                // A pack that two index files list in part is as long as both parts together.
                let listed = known.is_some() && {
                    let same = |e: &Entry| e.key() == entry.key() && e.pack() == entry.pack() && e.offset == blob.offset;
                    self.entries(blob.kind, &blob.id).any(same) || run.iter().any(same)
                };
                if !listed {
                    self.pack_bytes[number as usize] += u64::from(blob.length) + blob.header_bytes();
                    run.push(entry);
                }
            }
        }
        run.sort_by_key(Entry::key);
        self.push_run(run);
    }

    fn push_run(&mut self, mut run: Vec<Entry>) {
        while let Some(last) = self.runs.pop_if(|last| last.len() < run.len() * RUN_FACTOR) {
            run = merge(last, run);
        }
        if !run.is_empty() {
            run.shrink_to_fit();
            self.runs.push(run);
        }
    }

    /// Every pack with the length that its blobs add up to.
    pub fn packs(&self) -> impl Iterator<Item = (Id, u64)> + '_ {
        self.packs.iter().copied().zip(self.pack_bytes.iter().copied())
    }

    /// All entries, run after run.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.runs.iter().flatten()
    }

    /// The blobs that the index places in one pack, in no order.
    pub fn blobs_in(&self, pack: &Id) -> Vec<(BlobKind, Id)> {
        let Some(number) = self.pack_numbers.get(pack) else { return Vec::new() };
        self.all().filter(|e| e.pack() == *number as usize).map(|e| (e.kind(), e.id)).collect()
    }

    /// All packs with the blobs that the index places in them, by offset.
    pub fn by_pack(&self) -> Vec<(Id, Vec<PackedBlob>)> {
        let mut packs: Vec<(Id, Vec<PackedBlob>)> = self.packs.iter().map(|id| (*id, Vec::new())).collect();
        self.all().for_each(|entry| packs[entry.pack()].1.push(entry.packed()));
        packs.iter_mut().for_each(|(_, blobs)| blobs.sort_unstable_by_key(|blob| blob.offset));
        packs
    }

    /// How many different blobs there are.
    pub fn blob_count(&self) -> usize {
        let in_run = |run: &Vec<Entry>| run.chunk_by(|a, b| a.key() == b.key()).count();
        let repeated = |at: usize| {
            let earlier = |e: &Entry| self.runs[..at].iter().any(|run| !find(run, e.kind(), &e.id).is_empty());
            self.runs[at].chunk_by(|a, b| a.key() == b.key()).filter(|same| earlier(&same[0])).count()
        };
        (0..self.runs.len()).map(|at| in_run(&self.runs[at]) - repeated(at)).sum()
    }

    /// Takes over what a cache holds: packs with their lengths, and one sorted run. `None`: it does not hold together.
    pub fn from_cache(files: HashSet<Id>, packs: Vec<(Id, u64)>, run: Vec<Entry>) -> Option<Self> {
        let sound = run.iter().all(|e| e.pack() < packs.len()) && run.is_sorted_by_key(Entry::key);
        let pack_numbers = packs.iter().enumerate().map(|(number, (id, _))| (*id, number as u32)).collect();
        let (packs, pack_bytes) = packs.into_iter().unzip();
        let runs = if run.is_empty() { Vec::new() } else { vec![run] };
        sound.then(|| Self { packs, pack_numbers, pack_bytes, runs, distrusted: HashSet::new(), files, cached: (0, 0) }.with_cached())
    }

    fn with_cached(mut self) -> Self {
        self.mark_cached();
        self
    }

    /// Remembers that the local cache holds all of it.
    pub fn mark_cached(&mut self) {
        self.cached = (self.files.len(), self.all_len());
    }

    fn all_len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// Whether the local cache lacks so much that writing it anew costs less than reading the rest at each opening.
    pub fn cache_is_due(&self) -> bool {
        let (files, entries) = self.cached;
        self.files.len() >= files + CACHE_LAG_FILES || (self.all_len() - entries) * CACHE_LAG_SHARE > self.all_len()
    }

    /// Takes another one's content; what is distrusted stays so.
    pub fn replace_files(&mut self, other: Self) {
        *self = Self { distrusted: std::mem::take(&mut self.distrusted), ..other };
    }

    /// One sorted run of everything, for the cache.
    pub fn settled(&mut self) -> &[Entry] {
        let run = std::mem::take(&mut self.runs).into_iter().reduce(merge).unwrap_or_default();
        self.push_run(run);
        self.runs.first().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u32) -> Id {
        Id::of(&number.to_le_bytes())
    }

    proptest! {
        /// Against a plain map: whatever the order of packs, every place of every blob is found, the oldest first.
        #[test]
        fn finds_what_a_map_finds(packs in prop::collection::vec(prop::collection::vec((0_u32..40, any::<bool>()), 0..30), 0..20)) {
            let mut index = Index::default();
            let mut map: BTreeMap<(Id, BlobKind), Vec<Location>> = BTreeMap::new();
            for (number, blobs) in packs.iter().enumerate() {
                let pack = id(1000 + number as u32);
                let blobs: Vec<PackedBlob> = blobs.iter().enumerate().map(|(at, (blob, tree))| PackedBlob {
                    kind: if *tree { BlobKind::Tree } else { BlobKind::Data }, id: id(*blob), offset: at as u32 * 100, length: 100, uncompressed: 0,
                }).collect();
                for blob in &blobs {
                    let place = Location { pack, offset: blob.offset, length: 100, uncompressed: 0 };
                    map.entry((blob.id, blob.kind)).or_default().push(place);
                }
                index.add_packs(&[(pack, blobs)]);
            }
            prop_assert_eq!(index.blob_count(), map.len());
            let bytes: u64 = index.packs().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(bytes, packs.iter().map(|p| 36 + p.len() as u64 * 137).sum::<u64>());
            for settled in [false, true] {
                if settled {
                    let entries: Vec<Entry> = index.settled().iter().map(|e| Entry::from_bytes(&e.to_bytes())).collect();
                    index = Index::from_cache(HashSet::new(), index.packs().collect(), entries).expect("sound");
                }
                for number in 0..50 {
                    for kind in [BlobKind::Data, BlobKind::Tree] {
                        let found: Vec<Location> = index.places(kind, &id(number)).collect();
                        prop_assert_eq!(found, map.get(&(id(number), kind)).cloned().unwrap_or_default());
                    }
                }
            }
        }
    }

    #[test]
    fn a_pack_listed_in_two_parts_is_as_long_as_both() {
        let blob = |number: u32| PackedBlob { kind: BlobKind::Data, id: id(number), offset: number * 10, length: 10, uncompressed: 0 };
        let mut index = Index::default();
        index.add_packs(&[(id(9), vec![blob(0), blob(1)])]);
        index.add_packs(&[(id(9), vec![blob(1), blob(2)])]);
        assert_eq!(index.packs().collect::<Vec<_>>(), [(id(9), 36 + 3 * 47)]);
        assert_eq!(index.places(BlobKind::Data, &id(1)).count(), 1);
    }
}
