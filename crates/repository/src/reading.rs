//! Reading blobs, trees and files: every byte checked against its name.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;

use crate::{
    BlobKind, Id, Location, Node, Repository, RepositoryError, RepositoryResult, Tree, crypto::open, pack::PackedBlob, repository::object,
};

/// Packs up to this size are read whole when much of them will be wanted.
const PACK_CACHE_COUNT: usize = 6;
/// From this length on a blob is read without the rest of its pack.
const READ_ALONE_BYTES: u32 = 128 << 10;
/// A zstd block takes at least 4 bytes and gives at most 128 KiB (RFC 8878, 3.1.1.2).
const ZSTD_RATIO_MAX: usize = 32 << 10;

impl Repository {
    /// Where a blob is, if the loaded index knows it.
    pub fn locate(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.index.read().expect("no holder panics").get(kind, id)
    }

    /// Reads one blob, checked against its id. Where it stands in several packs, a damaged one does not matter.
    ///
    /// # Errors
    /// The index does not know it, or its bytes are damaged or gone.
    pub fn blob(&self, kind: BlobKind, id: &Id) -> RepositoryResult<Vec<u8>> {
        self.read_any_place(kind, id, |location| {
            let start = u64::from(location.offset);
            let sealed = self.store.get_range(&object("data", &location.pack), start..start + u64::from(location.length))?;
            self.open_blob(id, location, &sealed)
        })
    }

    /// As [`Repository::blob`], for readers that want most of a pack: reads packs whole and keeps a few.
    pub(crate) fn blob_from_pack(&self, kind: BlobKind, id: &Id) -> RepositoryResult<Vec<u8>> {
        self.read_any_place(kind, id, |location| {
            let pack = self.whole_pack(&location.pack)?;
            let blob = PackedBlob { kind, id: *id, offset: location.offset, length: location.length, uncompressed: location.uncompressed };
            self.open_packed(location.pack, &blob, &pack)
        })
    }

    /// A piece of a file that is being restored: long ones are read alone, short ones with the pack that their neighbours are in.
    pub(crate) fn piece(&self, id: &Id) -> RepositoryResult<Vec<u8>> {
        let long = self.locate(BlobKind::Data, id).is_some_and(|place| place.length >= READ_ALONE_BYTES);
        if long { self.blob(BlobKind::Data, id) } else { self.blob_from_pack(BlobKind::Data, id) }
    }

    fn whole_pack(&self, pack: &Id) -> RepositoryResult<Bytes> {
        let cached = self.packs.lock().expect("no holder panics").iter().find(|(id, _)| id == pack).map(|(_, bytes)| bytes.clone());
        if let Some(bytes) = cached {
            return Ok(bytes);
        }
        let bytes = self.store.get(&object("data", pack))?;
        let mut packs = self.packs.lock().expect("no holder panics");
        packs.push_front((*pack, bytes.clone()));
        packs.truncate(PACK_CACHE_COUNT);
        Ok(bytes)
    }

    fn read_any_place(&self, kind: BlobKind, id: &Id, read: impl Fn(&Location) -> RepositoryResult<Vec<u8>>) -> RepositoryResult<Vec<u8>> {
        let places: Vec<Location> = self.index.read().expect("no holder panics").places(kind, id).collect();
        let mut first = None;
        for place in &places {
            match read(place) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    // A store that did not answer says nothing about the pack.
                    let damaged = match &error {
                        RepositoryError::Store(error) => error.is_not_found() || error.is_short(),
                        _ => true,
                    };
                    if damaged {
                        self.suspects.lock().expect("no holder panics").insert(place.pack);
                    }
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            None => Err(RepositoryError::damaged(format!("blob {}", id.short()), "no index knows it")),
            // A pack that is not there is damage, not a wrong question.
            Some(RepositoryError::Store(error)) if error.is_short() => {
                Err(RepositoryError::damaged(format!("pack {}", places[0].pack.short()), "it is shorter than its index says"))
            }
            Some(RepositoryError::Store(error)) if error.is_not_found() => {
                Err(RepositoryError::damaged(format!("pack {}", places[0].pack.short()), "it is missing"))
            }
            Some(error) => Err(error),
        }
    }

    /// Opens one blob of a whole pack.
    pub(crate) fn open_packed(&self, id: Id, blob: &PackedBlob, pack: &[u8]) -> RepositoryResult<Vec<u8>> {
        let range = blob.offset as usize..blob.offset as usize + blob.length as usize;
        let short =
            || RepositoryError::damaged(format!("blob {} in pack {}", blob.id.short(), id.short()), "it lies beyond the end of the pack");
        self.open_blob(&blob.id, &blob.location(id), pack.get(range).ok_or_else(short)?)
    }

    /// What a blob's seal holds, still packed, once it is known to unpack to the blob.
    pub(crate) fn payload(&self, pack: Id, blob: &PackedBlob, whole: &[u8]) -> RepositoryResult<Vec<u8>> {
        self.open_packed(pack, blob, whole)?;
        let sealed = &whole[blob.offset as usize..][..blob.length as usize];
        Ok(open(&self.key, sealed).expect("it was opened just now"))
    }

    /// Opens, unpacks and checks a blob: its length must be the declared one, its hash its id.
    pub(crate) fn open_blob(&self, id: &Id, location: &Location, sealed: &[u8]) -> RepositoryResult<Vec<u8>> {
        let bad = |problem: &str| RepositoryError::damaged(format!("blob {} in pack {}", id.short(), location.pack.short()), problem);
        let payload = open(&self.key, sealed).ok_or_else(|| bad("it does not open with the repository's key"))?;
        let plain = if location.uncompressed == 0 {
            payload
        } else {
            unpack(&payload, location.uncompressed as usize).ok_or_else(|| bad("it does not unpack to its declared length"))?
        };
        if Id::of(&plain) == *id { Ok(plain) } else { Err(bad("its bytes are not the ones it was written with")) }
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// As [`Repository::blob`], or the tree is not well formed.
    pub fn tree(&self, id: &Id) -> RepositoryResult<Arc<Tree>> {
        self.cached_tree(id, |id| self.blob(BlobKind::Tree, id))
    }

    /// As [`Repository::tree`], for readers that want most of a pack of trees.
    pub(crate) fn tree_from_pack(&self, id: &Id) -> RepositoryResult<Arc<Tree>> {
        self.cached_tree(id, |id| self.blob_from_pack(BlobKind::Tree, id))
    }

    fn cached_tree(&self, id: &Id, read: impl FnOnce(&Id) -> RepositoryResult<Vec<u8>>) -> RepositoryResult<Arc<Tree>> {
        let known = self.index.read().expect("no holder panics").places(BlobKind::Tree, id).next().is_some();
        if let Some(tree) = self.trees.lock().expect("no holder panics").get(id).filter(|_| known) {
            return Ok(tree);
        }
        let tree = Arc::new(Tree::decode(*id, &read(id)?)?);
        self.trees.lock().expect("no holder panics").keep(*id, &tree);
        Ok(tree)
    }

    /// The node at a path below a tree (`""` is no node).
    ///
    /// # Errors
    /// A tree on the way cannot be read.
    pub fn node_at(&self, root: &Id, path: &str) -> RepositoryResult<Option<Node>> {
        let mut tree = *root;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let Some(node) = self.tree(&tree)?.get(part.as_bytes()).cloned() else { return Ok(None) };
            match (parts.peek(), node.subtree) {
                (None, _) => return Ok(Some(node)),
                (Some(_), Some(next)) => tree = next,
                (Some(_), None) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// One piece of a file's content. Made for reading many that lie near each other.
    ///
    /// # Errors
    /// As [`Repository::blob`].
    pub fn content(&self, id: &Id) -> RepositoryResult<Vec<u8>> {
        self.blob_from_pack(BlobKind::Data, id)
    }

    /// The whole content of a file node.
    ///
    /// # Errors
    /// A blob of it cannot be read.
    pub fn file_bytes(&self, node: &Node) -> RepositoryResult<Vec<u8>> {
        let mut bytes = Vec::new();
        for id in node.content.iter().flatten() {
            bytes.extend(self.blob_from_pack(BlobKind::Data, id)?);
        }
        Ok(bytes)
    }

    /// The content of a file node, piece by piece.
    ///
    /// # Errors
    /// A blob cannot be read, or `each` fails.
    pub fn file_each(&self, node: &Node, each: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> RepositoryResult<()> {
        for id in node.content.iter().flatten() {
            let bytes = self.blob_from_pack(BlobKind::Data, id)?;
            each(&bytes).map_err(|source| RepositoryError::Outside { path: node.display_name(), source })?;
        }
        Ok(())
    }
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Unpacks zstd frames that must give exactly `length` bytes.
pub(crate) fn unpack(payload: &[u8], length: usize) -> Option<Vec<u8>> {
    // What a damaged or hostile index declares must not take memory that its payload cannot fill.
    if length > payload.len().saturating_mul(ZSTD_RATIO_MAX) {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let mut plain = vec![0; length];
        let unpacked = slot.as_mut()?.decompress_to_buffer(payload, plain.as_mut_slice()).ok()?;
        (unpacked == length).then_some(plain)
    })
}
