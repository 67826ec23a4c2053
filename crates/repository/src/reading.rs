//! Reading blobs, trees and files: every byte checked against its name.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use keepsake_hashing::Message;
use keepsake_storage::Caches;
use sha2::{Digest, Sha256};

use crate::{
    BlobKind, Id, Location, Node, Repository, RepositoryError, RepositoryResult, Tree,
    crypto::{append_opened, open, open_each},
    pack::PackedBlob,
    repository::object,
};

/// Buffers that one thread reads blobs with, one after the other: fresh memory for each would cost as much as deciphering it.
#[derive(Default)]
pub(crate) struct Scratch {
    sealed: Vec<u8>,
    payload: Vec<u8>,
    plain: Vec<u8>,
}

impl Scratch {
    /// The bytes that were read last.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }
}

/// A pack that was read, or that somebody is reading.
pub(crate) type PackSlot = Arc<Mutex<Option<Bytes>>>;

/// So many packs that were read whole are kept, because much of them will be wanted.
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
        let mut scratch = Scratch::default();
        self.blob_into(kind, id, &mut scratch)?;
        Ok(scratch.plain)
    }

    fn blob_into(&self, kind: BlobKind, id: &Id, scratch: &mut Scratch) -> RepositoryResult<()> {
        self.read_any_place(kind, id, |location| {
            let start = u64::from(location.offset);
            let range = start..start + u64::from(location.length);
            let mut sealed = std::mem::take(&mut scratch.sealed);
            let read = self.store.read_into(&object("data", &location.pack), Some(range), Caches::Use, &mut sealed);
            let opened = read.map_err(RepositoryError::from).and_then(|()| self.open_blob(id, location, &sealed, scratch));
            scratch.sealed = sealed;
            opened
        })
    }

    /// As [`Repository::blob`], for readers that want most of a pack: reads packs whole and keeps a few.
    pub(crate) fn blob_from_pack(&self, kind: BlobKind, id: &Id) -> RepositoryResult<Vec<u8>> {
        let mut scratch = Scratch::default();
        self.blob_from_pack_into(kind, id, &mut scratch)?;
        Ok(scratch.plain)
    }

    fn blob_from_pack_into(&self, kind: BlobKind, id: &Id, scratch: &mut Scratch) -> RepositoryResult<()> {
        self.read_any_place(kind, id, |location| {
            let pack = self.whole_pack(&location.pack)?;
            let blob = PackedBlob { kind, id: *id, offset: location.offset, length: location.length, uncompressed: location.uncompressed };
            self.open_packed_into(location.pack, &blob, &pack, scratch)
        })
    }

    /// A piece of a file that is being restored: long ones are read alone, short ones with the pack that their neighbours are in.
    pub(crate) fn piece<'s>(&self, id: &Id, scratch: &'s mut Scratch) -> RepositoryResult<&'s [u8]> {
        let long = self.locate(BlobKind::Data, id).is_some_and(|place| place.length >= READ_ALONE_BYTES);
        match long {
            true => self.blob_into(BlobKind::Data, id, scratch)?,
            false => self.blob_from_pack_into(BlobKind::Data, id, scratch)?,
        }
        Ok(&scratch.plain)
    }

    /// As [`Repository::piece`], but behind what is in a buffer, not compared with its name, and only where the index has it first. Answers whether
    /// it was had.
    pub(crate) fn append_piece(&self, id: &Id, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        let Some(place) = self.locate(BlobKind::Data, id) else { return false };
        let start = u64::from(place.offset);
        let range = start..start + u64::from(place.length);
        if place.length < READ_ALONE_BYTES {
            let Ok(pack) = self.whole_pack(&place.pack) else { return false };
            return pack
                .get(range.start as usize..range.end as usize)
                .is_some_and(|sealed| self.append_unnamed(&place, sealed, scratch, out));
        }
        let mut sealed = std::mem::take(&mut scratch.sealed);
        let read = self.store.read_into(&object("data", &place.pack), Some(range), Caches::Use, &mut sealed);
        let opened = read.is_ok() && self.append_unnamed(&place, &sealed, scratch, out);
        scratch.sealed = sealed;
        opened
    }

    fn whole_pack(&self, pack: &Id) -> RepositoryResult<Bytes> {
        let slot = {
            let mut packs = self.packs.lock().expect("no holder panics");
            match packs.iter().find(|(id, _)| id == pack) {
                Some((_, slot)) => slot.clone(),
                None => {
                    let slot = PackSlot::default();
                    packs.push_front((*pack, slot.clone()));
                    packs.truncate(PACK_CACHE_COUNT);
                    slot
                }
            }
        };
        // Whoever comes first reads it; the others wait here and do not read it again.
        let mut slot = slot.lock().expect("no holder panics");
        if let Some(bytes) = &*slot {
            return Ok(bytes.clone());
        }
        let bytes = self.store.get(&object("data", pack))?;
        *slot = Some(bytes.clone());
        Ok(bytes)
    }

    fn read_any_place(&self, kind: BlobKind, id: &Id, mut read: impl FnMut(&Location) -> RepositoryResult<()>) -> RepositoryResult<()> {
        let places: Vec<Location> = self.index.read().expect("no holder panics").places(kind, id).collect();
        let mut first = None;
        for place in &places {
            loop {
                let Err(error) = read(place) else { return Ok(()) };
                // A store that did not answer says nothing about the pack.
                let damaged = match &error {
                    RepositoryError::Store(error) => error.is_not_found() || error.is_short(),
                    _ => true,
                };
                if damaged && self.ask_elsewhere(&place.pack) {
                    continue;
                }
                if damaged {
                    self.suspects.lock().expect("no holder panics").insert(place.pack);
                }
                first.get_or_insert(error);
                break;
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

    /// Whether a pack that is not what it should be may be read from another source. What was read of it is forgotten.
    fn ask_elsewhere(&self, pack: &Id) -> bool {
        self.packs.lock().expect("no holder panics").retain(|(id, _)| id != pack);
        self.store.doubt(&object("data", pack))
    }

    /// Opens one blob of a whole pack.
    pub(crate) fn open_packed(&self, id: Id, blob: &PackedBlob, pack: &[u8]) -> RepositoryResult<Vec<u8>> {
        let mut scratch = Scratch::default();
        self.open_packed_into(id, blob, pack, &mut scratch)?;
        Ok(scratch.plain)
    }

    /// As [`Repository::open_packed`], into buffers that are used again.
    pub(crate) fn open_packed_into(&self, id: Id, blob: &PackedBlob, pack: &[u8], scratch: &mut Scratch) -> RepositoryResult<()> {
        let short =
            || RepositoryError::damaged(format!("blob {} in pack {}", blob.id.short(), id.short()), "it lies beyond the end of the pack");
        self.open_blob(&blob.id, &blob.location(id), pack.get(blob.range()).ok_or_else(short)?, scratch)
    }

    /// As [`Repository::open_packed_into`]; what is hashed of the pack goes on meanwhile.
    pub(crate) fn open_packed_beside(
        &self,
        id: Id,
        blob: &PackedBlob,
        pack: &[u8],
        hashed: &mut Message<'_>,
        scratch: &mut Scratch,
    ) -> RepositoryResult<()> {
        let mut plain = std::mem::take(&mut scratch.plain);
        plain.clear();
        let mut opened = pack.get(blob.range()).is_some_and(|sealed| self.append_unnamed(&blob.location(id), sealed, scratch, &mut plain));
        if opened {
            let mut message = Message::new(&plain);
            Message::advance_both(hashed, &mut message);
            opened = Id::from_bytes(message.finish()) == blob.id;
        }
        scratch.plain = plain;
        if opened {
            return Ok(());
        }
        // Once more, to say what is wrong.
        self.open_packed_into(id, blob, pack, scratch)
    }

    /// What a blob's seal holds, still packed, once it is known to unpack to the blob.
    pub(crate) fn payload(&self, pack: Id, blob: &PackedBlob, whole: &[u8]) -> RepositoryResult<Vec<u8>> {
        self.open_packed(pack, blob, whole)?;
        let sealed = &whole[blob.offset as usize..][..blob.length as usize];
        Ok(open(&self.key, sealed).expect("it was opened just now"))
    }

    /// Opens, unpacks and checks a blob: its length must be the declared one, its hash its id.
    pub(crate) fn open_blob(&self, id: &Id, location: &Location, sealed: &[u8], scratch: &mut Scratch) -> RepositoryResult<()> {
        let bad = |problem: &str| Err(RepositoryError::damaged(format!("blob {} in pack {}", id.short(), location.pack.short()), problem));
        let mut hasher = Sha256::new();
        let opened = match location.uncompressed {
            0 => open_each(&self.key, sealed, &mut scratch.plain, |piece| hasher.update(piece)),
            _ => open_each(&self.key, sealed, &mut scratch.payload, |_| ()),
        };
        if !opened {
            return bad("it does not open with the repository's key");
        }
        if location.uncompressed != 0 {
            if !unpack(&scratch.payload, location.uncompressed as usize, &mut scratch.plain) {
                return bad("it does not unpack to its declared length");
            }
            hasher.update(&scratch.plain);
        }
        match Id::from_bytes(hasher.finalize().into()) == *id {
            true => Ok(()),
            false => bad("its bytes are not the ones it was written with"),
        }
    }

    /// Opens and unpacks a blob behind what is in a buffer. Whether it is the one that it is named after is for the caller to see, who hashes
    /// several at once.
    pub(crate) fn append_unnamed(&self, location: &Location, sealed: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        if location.uncompressed == 0 {
            return append_opened(&self.key, sealed, out, |_| ());
        }
        let unpacked = open_each(&self.key, sealed, &mut scratch.payload, |_| ())
            && unpack(&scratch.payload, location.uncompressed as usize, &mut scratch.plain);
        if unpacked {
            out.extend_from_slice(&scratch.plain);
        }
        unpacked
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

/// Unpacks zstd frames that must give exactly `length` bytes, in place of what is in the buffer. Answers whether they do.
pub(crate) fn unpack(payload: &[u8], length: usize, plain: &mut Vec<u8>) -> bool {
    plain.clear();
    // What a damaged or hostile index declares must not take memory that its payload cannot fill.
    if length > payload.len().saturating_mul(ZSTD_RATIO_MAX) {
        return false;
    }
    plain.reserve(length);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut().is_some_and(|zstd| zstd.decompress_to_buffer(payload, plain).is_ok_and(|unpacked| unpacked == length))
    })
}
