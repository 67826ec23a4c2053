//! What a source tells the engine: which paths of a tree are new, changed or gone.

use std::{
    cmp::Ordering,
    io::{self, Read},
};

use crate::{Id, Node, NodeKind};

/// Where the bytes of a file come from.
pub enum Content {
    /// Bytes that the source has cut already; each span becomes one blob.
    Spans(Vec<Vec<u8>>),
    /// Pieces, some of which the repository has already, as the writer of them knows.
    Pieces(Vec<Piece>),
    /// A reader that is opened when its turn comes; cut by content. An error of the reader skips the file, not the run.
    Stream(Box<dyn FnOnce() -> io::Result<Box<dyn Read>> + Send>),
}

/// A piece of a file; each becomes, or is, one blob.
pub enum Piece {
    /// Content that the repository has, and its length.
    Known(Id, u64),
    /// Bytes.
    New(Vec<u8>),
}

/// Why the bytes of one file could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentError(pub String);

/// What a virtual file's node says besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// RFC 3339; must be a function of the path and the content, so that equal states give equal trees.
    pub time: String,
}

/// What happens at a path.
pub enum EditKind {
    /// A file whose bytes are read now. The node says all but content and size.
    File(Node, Content),
    /// A node that is complete: an unchanged file, a link, a device.
    Keep(Node),
    /// A folder with metadata of its own; the edits below it follow. It stays even when it is empty.
    Dir(Node),
    /// What the parent tree has here goes, folders with all that is in them.
    Remove,
    /// It is there but cannot be read; what the last tree has here is carried forward.
    Unreadable(String),
}

/// One edit of a tree.
pub struct Edit {
    /// Names joined by `/`, from the root.
    pub path: Vec<u8>,
    /// What happens there.
    pub kind: EditKind,
}

impl Edit {
    /// A file of a virtual tree.
    pub fn file(path: &str, meta: &FileMeta, content: Content) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let node = Node { mode: 0o644, ..Node::bare(name.as_bytes().to_vec(), NodeKind::File, &meta.time) };
        Self { path: path.into(), kind: EditKind::File(node, content) }
    }

    /// A path that goes.
    pub fn remove(path: &str) -> Self {
        Self { path: path.into(), kind: EditKind::Remove }
    }

    /// The order in which edits must come: by names, folder by folder (not by the bytes of the joined path).
    pub fn order(a: &[u8], b: &[u8]) -> Ordering {
        a.split(|c| *c == b'/').cmp(b.split(|c| *c == b'/'))
    }
}
