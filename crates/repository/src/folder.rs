//! A real folder as a source: permissions, times, links, extended attributes and odd names, as restic keeps them.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Content, Edit, EditKind, Id, Node, NodeKind, Repository, RepositoryError, RepositoryResult, Tree, index::BlobKind, tree::MODE_DIR,
};

/// Walks a folder in the order that trees need. Files that look unchanged since the parent snapshot (type, size, times and
/// inode) are not read again.
pub struct FolderSource<'r> {
    repository: &'r Repository,
    stack: Vec<Level>,
    names: Names,
    first: Vec<RepositoryResult<Edit>>,
}

struct Level {
    folder: PathBuf,
    path: Vec<u8>,
    entries: std::vec::IntoIter<OsString>,
    parent: Option<Arc<Tree>>,
}

impl<'r> FolderSource<'r> {
    /// Begins a walk of an absolute folder. `parent` is the root tree of an earlier snapshot of the same folder.
    ///
    /// # Errors
    /// The folder is not there or cannot be read.
    pub fn new(repository: &'r Repository, folder: &Path, parent: Option<Id>) -> RepositoryResult<Self> {
        let names = Names::read();
        let mut source = Self { repository, stack: Vec::new(), names, first: Vec::new() };
        let parts: Vec<&OsStr> = folder.iter().skip(1).collect();
        let mut parent = parent.and_then(|id| repository.tree(&id).ok());
        let (mut real, mut path) = (PathBuf::from("/"), Vec::new());
        for (depth, part) in parts.iter().enumerate() {
            real.push(part);
            if depth > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(part.as_bytes());
            let meta = fs::metadata(&real).map_err(|e| RepositoryError::outside(&real, e))?;
            let kind = EditKind::Dir(source.node(&real, part.as_bytes(), &meta));
            source.first.push(Ok(Edit { path: path.clone(), kind }));
            parent = parent.and_then(|tree| tree.get(part.as_bytes()).and_then(|n| n.subtree)).and_then(|id| repository.tree(&id).ok());
        }
        source.first.reverse();
        let entries = read_names(folder).map_err(|e| RepositoryError::outside(folder, e))?;
        source.stack.push(Level { folder: folder.to_path_buf(), path, entries: entries.into_iter(), parent });
        Ok(source)
    }

    fn node(&self, path: &Path, name: &[u8], meta: &fs::Metadata) -> Node {
        let kind = kind_of(meta.file_type());
        let time = |seconds: i64, nanos: i64| {
            let clamped = jiff::Timestamp::new(seconds, nanos as i32).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            clamped.to_string()
        };
        let mut node = Node::bare(name.to_vec(), kind, "");
        node.mode = go_mode(kind, meta.mode());
        node.mtime = time(meta.mtime(), meta.mtime_nsec());
        node.atime = node.mtime.clone();
        node.ctime = time(meta.ctime(), meta.ctime_nsec());
        (node.uid, node.gid) = (meta.uid(), meta.gid());
        node.user = self.names.users.get(&meta.uid()).cloned().unwrap_or_default();
        node.group = self.names.groups.get(&meta.gid()).cloned().unwrap_or_default();
        node.inode = meta.ino();
        node.links = meta.nlink();
        if meta.nlink() > 1 && kind != NodeKind::Dir {
            node.device_id = meta.dev();
        }
        if matches!(kind, NodeKind::Device | NodeKind::CharDevice) {
            node.device = meta.rdev();
        }
        // Attributes that this user may not read are left out, as in restic.
        if let Ok(keys) = xattr::list(path) {
            for key in keys {
                if let (Some(name), Ok(Some(value))) = (key.to_str(), xattr::get(path, &key)) {
                    node.xattrs.push((name.to_owned(), value));
                }
            }
        }
        node
    }

    fn edit(&mut self, real: &Path, path: Vec<u8>, name: &OsStr, parent: Option<&Tree>) -> io::Result<Edit> {
        let meta = fs::symlink_metadata(real)?;
        let mut node = self.node(real, name.as_bytes(), &meta);
        let before = parent.and_then(|tree| tree.get(name.as_bytes()));
        let kind = match node.kind {
            NodeKind::File => match before.filter(|old| self.unchanged(old, &node, meta.len())) {
                Some(old) => EditKind::Keep(Node { content: old.content.clone(), size: old.size, ..node }),
                None => {
                    let file = real.to_path_buf();
                    EditKind::File(node, Content::Stream(Box::new(move || Ok(Box::new(fs::File::open(file)?)))))
                }
            },
            NodeKind::Dir => {
                let entries = read_names(real)?;
                let parent = before.and_then(|n| n.subtree).and_then(|id| self.repository.tree(&id).ok());
                self.stack.push(Level { folder: real.to_path_buf(), path: path.clone(), entries: entries.into_iter(), parent });
                EditKind::Dir(node)
            }
            NodeKind::Symlink => {
                node.link_target = fs::read_link(real)?.into_os_string().into_vec();
                EditKind::Keep(node)
            }
            _ => EditKind::Keep(node),
        };
        Ok(Edit { path, kind })
    }

    fn unchanged(&self, old: &Node, new: &Node, length: u64) -> bool {
        old.kind == NodeKind::File
            && old.size == length
            && old.mtime == new.mtime
            && old.ctime == new.ctime
            && old.inode == new.inode
            && old.content.iter().flatten().all(|id| self.repository.locate(BlobKind::Data, id).is_some())
    }
}

impl Iterator for FolderSource<'_> {
    type Item = RepositoryResult<Edit>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.pop() {
            return Some(first);
        }
        loop {
            let level = self.stack.last_mut()?;
            let Some(name) = level.entries.next() else {
                self.stack.pop();
                continue;
            };
            let real = level.folder.join(&name);
            let path = [level.path.as_slice(), b"/", name.as_bytes()].concat();
            let path = if level.path.is_empty() { name.as_bytes().to_vec() } else { path };
            let parent = level.parent.take();
            let depth = self.stack.len() - 1;
            let edit = self.edit(&real, path.clone(), &name, parent.as_deref());
            self.stack[depth].parent = parent;
            return Some(Ok(edit.unwrap_or_else(|error| Edit { path, kind: EditKind::Unreadable(error.to_string()) })));
        }
    }
}

fn read_names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

fn kind_of(kind: fs::FileType) -> NodeKind {
    match () {
        () if kind.is_dir() => NodeKind::Dir,
        () if kind.is_symlink() => NodeKind::Symlink,
        () if kind.is_block_device() => NodeKind::Device,
        () if kind.is_char_device() => NodeKind::CharDevice,
        () if kind.is_fifo() => NodeKind::Fifo,
        () if kind.is_socket() => NodeKind::Socket,
        () => NodeKind::File,
    }
}

/// Unix mode bits as Go's `os.FileMode`.
fn go_mode(kind: NodeKind, mode: u32) -> u32 {
    let kind_bits = match kind {
        NodeKind::File => 0,
        NodeKind::Dir => MODE_DIR,
        NodeKind::Symlink => 1 << 27,
        NodeKind::Device => 1 << 26,
        NodeKind::CharDevice => 1 << 26 | 1 << 21,
        NodeKind::Fifo => 1 << 25,
        NodeKind::Socket => 1 << 24,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    kind_bits | (mode & 0o777) | special.iter().filter(|(unix, _)| mode & unix != 0).map(|(_, go)| go).sum::<u32>()
}

/// Go's `os.FileMode` as Unix permission bits.
pub(crate) fn unix_mode(mode: u32) -> u32 {
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    (mode & 0o777) | special.iter().filter(|(_, go)| mode & go != 0).map(|(unix, _)| unix).sum::<u32>()
}

/// The names of users and groups of this machine.
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    fn read() -> Self {
        let table = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let entry = |line: &str| {
                let mut fields = line.split(':');
                let name = fields.next()?.to_owned();
                Some((fields.nth(1)?.parse().ok()?, name))
            };
            text.lines().rev().filter_map(entry).collect()
        };
        Self { users: table("/etc/passwd"), groups: table("/etc/group") }
    }
}
