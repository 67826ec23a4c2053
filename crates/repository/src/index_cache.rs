//! A local copy of the index in binary: opening a repository reads it, and only the index files that came since.
//!
//! Sealed with the repository's key, because the names of blobs tell what is in them, and so that a changed or torn file
//! is noticed. It may be removed at any time. Layout (numbers little-endian), before sealing: `KSIX`, version u32,
//! count of index files u32, their ids; count of packs u32, for each its id and length u64; entries of 48 bytes
//! (id, pack number with the kind in bit 31, offset, length, uncompressed length), sorted by id and kind.

use std::{collections::HashSet, fs, path::Path};

use crate::{
    Ambient, Id, MasterKey,
    crypto::{fresh_iv, open, seal},
    index::{Entry, Index},
};

const MAGIC: &[u8; 4] = b"KSIX";
const VERSION: u32 = 1;

fn encode(index: &mut Index) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((index.files.len() as u32).to_le_bytes());
    index.files.iter().for_each(|id| out.extend(id.as_bytes()));
    let packs: Vec<(Id, u64)> = index.packs().collect();
    out.extend((packs.len() as u32).to_le_bytes());
    for (id, bytes) in packs {
        out.extend(id.as_bytes());
        out.extend(bytes.to_le_bytes());
    }
    let entries = index.settled();
    out.reserve(entries.len() * Entry::BYTES);
    entries.iter().for_each(|entry| out.extend(entry.to_bytes()));
    out
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn id(&mut self) -> Option<Id> {
        self.take().map(Id::from_bytes)
    }
}

fn decode(bytes: &[u8]) -> Option<Index> {
    let mut reader = Reader(bytes);
    if reader.take::<4>()? != *MAGIC || reader.number()? != VERSION {
        return None;
    }
    let mut files = HashSet::new();
    for _ in 0..reader.number()? {
        files.insert(reader.id()?);
    }
    let mut packs = Vec::new();
    for _ in 0..reader.number()? {
        packs.push((reader.id()?, u64::from_le_bytes(reader.take()?)));
    }
    let (entries, rest) = reader.0.as_chunks::<{ Entry::BYTES }>();
    if !rest.is_empty() {
        return None;
    }
    Index::from_cache(files, packs, entries.iter().map(Entry::from_bytes).collect())
}

/// Reads a cache. `None`: there is none, it is another repository's, or its bytes are not the ones that were written.
pub(crate) fn read(path: &Path, key: &MasterKey) -> Option<Index> {
    decode(&open(key, &fs::read(path).ok()?)?)
}

/// Writes a cache, in one step. Failing costs only time at the next opening, so nobody is told.
pub(crate) fn write(path: &Path, key: &MasterKey, ambient: &dyn Ambient, index: &mut Index) {
    let mut sealed = Vec::new();
    seal(key, fresh_iv(ambient), &encode(index), &mut sealed);
    let part = path.with_extension(format!("part-{}", ambient.pid()));
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    if folder.and_then(|()| fs::write(&part, &sealed)).and_then(|()| fs::rename(&part, path)).is_err() {
        drop(fs::remove_file(&part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlobKind, SystemAmbient, pack::PackedBlob};

    #[test]
    fn comes_back_as_it_was_and_only_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache/index");
        let key = MasterKey::from_bytes(&[7; 64]);
        let mut index = Index::default();
        let blob = |n: u8| PackedBlob { kind: BlobKind::Data, id: Id::of(&[n]), offset: n.into(), length: 40, uncompressed: 99 };
        index.add_file(Id::of(b"file"), &[(Id::of(b"pack"), (0..200).map(blob).collect())]);
        write(&path, &key, &SystemAmbient, &mut index);
        let back = read(&path, &key).expect("readable");
        assert_eq!(back.files, index.files);
        assert_eq!(back.packs().collect::<Vec<_>>(), index.packs().collect::<Vec<_>>());
        assert!((0..200).all(|n| back.get(BlobKind::Data, &Id::of(&[n])) == index.get(BlobKind::Data, &Id::of(&[n]))));
        assert!(read(&path, &MasterKey::from_bytes(&[8; 64])).is_none(), "another key");
        let mut bytes = fs::read(&path).expect("bytes");
        bytes.truncate(bytes.len() - 48);
        fs::write(&path, &bytes).expect("cut");
        assert!(read(&path, &key).is_none(), "cut off");
        assert!(read(&folder.path().join("none"), &key).is_none());
    }

    /// Whatever the bytes are, decoding ends and never panics.
    #[test]
    fn takes_any_bytes() {
        let mut index = Index::default();
        index.files.insert(Id::of(b"file"));
        let good = encode(&mut index);
        for cut in 0..good.len() {
            assert!(decode(&good[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            drop(decode(&bad));
        }
    }
}
