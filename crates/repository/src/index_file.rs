//! Index files: restic's JSON, which lists packs and what is in them.

use serde::{Deserialize, Serialize};

use std::collections::HashSet;

use crate::{Id, Repository, RepositoryError, RepositoryResult, index::BlobKind, pack::PackedBlob};

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

/// An index file is written once this many blobs wait for one: restic reads no file of more than 8 MiB quickly.
pub(crate) const INDEX_BLOBS: usize = 40_000;

/// Cuts a list of packs into parts that are each enough for one index file.
pub(crate) fn parts(packs: &[(Id, Vec<PackedBlob>)]) -> impl Iterator<Item = &[(Id, Vec<PackedBlob>)]> {
    let mut rest = packs;
    std::iter::from_fn(move || {
        let mut blobs = 0;
        let fits = rest.iter().take_while(|(_, list)| {
            let first = blobs == 0;
            blobs += list.len();
            first || blobs <= INDEX_BLOBS
        });
        let (part, later) = rest.split_at(fits.count());
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

/// Writes index files over packs; answers their ids.
pub(crate) fn write_all(repository: &Repository, packs: &[(Id, Vec<PackedBlob>)]) -> RepositoryResult<HashSet<Id>> {
    parts(packs).map(|part| repository.write_file("index", &encode(part))).collect()
}

/// Reads an index file's JSON.
pub(crate) fn decode(id: Id, json: &[u8]) -> RepositoryResult<Vec<(Id, Vec<PackedBlob>)>> {
    let index: IndexJson = serde_json::from_slice(json).map_err(|e| RepositoryError::damaged(format!("index {}", id.short()), e))?;
    let packs = index.packs.unwrap_or_default().into_iter().map(|pack| {
        let blobs = pack.blobs.unwrap_or_default().into_iter().map(|b| {
            // Whoever reads adds them up.
            b.offset.checked_add(b.length)?;
            Some(PackedBlob { kind: b.r#type, id: b.id, offset: b.offset, length: b.length, uncompressed: b.uncompressed_length })
        });
        let blobs: Option<Vec<PackedBlob>> = blobs.collect();
        let far = || RepositoryError::damaged(format!("index {}", id.short()), "it places a blob beyond 4 GiB of its pack");
        Ok((pack.id, blobs.ok_or_else(far)?))
    });
    packs.collect()
}
