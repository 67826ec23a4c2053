//! A folder as a store: a file gets its name when it is whole and on the disk.

mod direct;
mod writing;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use bytes::Bytes;
use futures::StreamExt;
use object_store::{Error as Cause, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};

use crate::{Caches, ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

/// Waits for a call. Without tokio's cooperative budget: on a thread that a runtime lends us nobody would refill it, and the
/// wait would never end.
fn block_on<F: Future>(call: F) -> F::Output {
    futures::executor::block_on(tokio::task::unconstrained(call))
}

/// How much of a long object is written at a time.
const PART_BYTES: u64 = 8 << 20;

/// Objects as files below a folder.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    inner: LocalFileSystem,
}

impl LocalStore {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> StoreResult<Self> {
        let root = root.into();
        let unavailable = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Unavailable {
            place: root.display().to_string(),
            action: "open",
            name: String::from("."),
            source,
        };
        std::fs::create_dir_all(&root).map_err(|e| StoreError::Refused {
            place: root.display().to_string(),
            problem: format!("it cannot be a folder for backups ({e}): connect its disk, or see what is in its place"),
        })?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(|e| unavailable(e.into()))?.with_fsync(true);
        Ok(Self { root, inner })
    }

    /// The folder.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    fn fail_io(&self, name: &ObjectName, action: &'static str, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { name: name.clone() },
            io::ErrorKind::AlreadyExists => StoreError::Exists { name: name.clone() },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { place: self.describe() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::Denied { place: self.describe(), action, name: name.to_string() }
            }
            _ => StoreError::Unavailable { place: self.describe(), action, name: name.to_string(), source: source.into() },
        }
    }

    fn fail(&self, name: &str, action: &'static str, cause: Cause) -> StoreError {
        let place = self.root.display().to_string();
        match &cause {
            Cause::NotFound { .. } => match ObjectName::new(name) {
                Ok(name) => return StoreError::NotFound { name },
                Err(error) => return error,
            },
            Cause::AlreadyExists { .. } => match ObjectName::new(name) {
                Ok(name) => return StoreError::Exists { name },
                Err(error) => return error,
            },
            _ => {}
        }
        match io_kind(&cause) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => StoreError::Full { place },
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                StoreError::Denied { place, action, name: name.into() }
            }
            _ => StoreError::Unavailable { place, action, name: name.into(), source: cause.into() },
        }
    }
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// Whether this is how a file is named until it is whole, here and by `object_store`: `name#1`.
fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the object is shorter than it should be")
}

/// Appends a part of a file, which lies within it, to a buffer.
type ReadPart = fn(&File, Range<u64>, &mut Vec<u8>) -> io::Result<()>;

/// Reads a file or a part of it. `past` is how it is done past the page cache, where the system has a way.
fn read_file(path: &std::path::Path, range: Option<Range<u64>>, caches: Caches, past: ReadPart, buffer: &mut Vec<u8>) -> io::Result<()> {
    if caches == Caches::Pass
        && let Some(flag) = direct::flag()
    {
        let opened = OpenOptions::new().read(true).custom_flags(flag).open(path);
        match opened.and_then(|file| read_open(&file, range.clone(), past, buffer)) {
            // This file system has no direct reads, or asks for larger blocks.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            done => return done,
        }
    }
    read_open(&File::open(path)?, range, read_through, buffer)
}

fn read_open(file: &File, range: Option<Range<u64>>, read: ReadPart, buffer: &mut Vec<u8>) -> io::Result<()> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let range = range.unwrap_or(0..meta.len());
    // Before memory is taken for it.
    if range.end > meta.len() {
        return Err(short());
    }
    let wanted = range.end.saturating_sub(range.start);
    buffer.clear();
    buffer.reserve(usize::try_from(wanted).map_err(io::Error::other)?);
    read(file, range, buffer)
}

/// Through the page cache.
fn read_through(mut file: &File, range: Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
    file.seek(io::SeekFrom::Start(range.start))?;
    let wanted = range.end.saturating_sub(range.start);
    if file.take(wanted).read_to_end(buffer)? as u64 == wanted { Ok(()) } else { Err(short()) }
}

fn path(name: &ObjectName) -> Path {
    Path::from(name.as_str())
}

impl Store for LocalStore {
    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let path = self.inner.path_to_filesystem(&path(name)).map_err(|e| self.fail(name.as_str(), "write", e))?;
        writing::write_whole(&path, &bytes, mode == PutMode::Replace).map_err(|error| match error.kind() {
            // Somebody took the folder or the unfinished file away: that says nothing of the object.
            io::ErrorKind::NotFound => self.fail_io(name, "write", io::Error::other(error)),
            _ => self.fail_io(name, "write", error),
        })
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        let mut bytes = Vec::new();
        self.read_into(name, None, Caches::Use, &mut bytes)?;
        Ok(bytes.into())
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        let mut bytes = Vec::new();
        self.read_into(name, Some(range), Caches::Use, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Reading needs no thread of somebody's runtime: it is done where it is asked for.
    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        let read = || {
            let path = self.inner.path_to_filesystem(&path(name)).map_err(io::Error::other)?;
            read_file(&path, range, caches, direct::read, buffer)
        };
        read().map_err(|e| self.fail_io(name, "read", e))
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        match self.inner.path_to_filesystem(&path(name)).map_err(io::Error::other).and_then(std::fs::metadata) {
            Ok(meta) => Ok(meta.is_file().then(|| ObjectInfo { name: name.clone(), bytes: meta.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail_io(name, "look up", error)),
        }
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let below = (!prefix.is_empty()).then(|| Path::from(prefix));
        let mut found = Vec::new();
        block_on(async {
            let mut listing = self.inner.list(below.as_ref());
            while let Some(meta) = listing.next().await {
                match meta {
                    // Files that no name of ours fits (an editor's backup, say) are not objects.
                    Ok(meta) => {
                        found.extend(ObjectName::new(meta.location.to_string()).ok().map(|name| ObjectInfo { name, bytes: meta.size }))
                    }
                    Err(Cause::NotFound { .. }) => {}
                    Err(error) => return Err(self.fail(prefix, "list", error)),
                }
            }
            Ok(found)
        })
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        match block_on(self.inner.delete(&path(name))) {
            Ok(()) | Err(Cause::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fail(name.as_str(), "delete", error)),
        }
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        let failed = |path: &std::path::Path, source: io::Error| StoreError::Unavailable {
            place: self.describe(),
            action: "sweep",
            name: path.display().to_string(),
            source: source.into(),
        };
        let (mut swept, mut waiting) = (0, vec![self.root.join(prefix)]);
        while let Some(folder) = waiting.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&folder, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| failed(&folder, e))?;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push(entry.path());
                } else if is_unfinished(&entry.file_name().to_string_lossy()) {
                    std::fs::remove_file(entry.path()).map_err(|e| failed(&entry.path(), e))?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let failed = |e| self.fail(name.as_str(), "write", e);
        // The reader may read from a store itself: no future is being waited for while it does.
        let mut upload = block_on(self.inner.put_multipart(&path(name))).map_err(failed)?;
        let mut length = 0;
        loop {
            let mut part = Vec::new();
            let read = (&mut *reader).take(PART_BYTES).read_to_end(&mut part);
            if let Err(source) = read {
                block_on(upload.abort()).map_err(failed)?;
                return Err(StoreError::Unavailable {
                    place: self.describe(),
                    action: "read the bytes for",
                    name: name.to_string(),
                    source: source.into(),
                });
            }
            if part.is_empty() {
                break;
            }
            length += part.len() as u64;
            if let Err(error) = block_on(upload.put_part(PutPayload::from(part))) {
                // What is left of the upload is swept with the folder's temporary files; the first error counts.
                drop(block_on(upload.abort()));
                return Err(failed(error));
            }
        }
        block_on(upload.complete()).map_err(failed)?;
        Ok(length)
    }
}

/// Bytes that are free for us on the disk of a folder, if its system tells.
pub fn room_in(folder: &std::path::Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some of it comes; a disk with larger blocks says no at the end that does not fill one.
    fn refuse_the_end(file: &File, part: Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        read_through(file, part.start..part.start.midpoint(part.end), buffer)?;
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn refuse(_: &File, _: Range<u64>, _: &mut Vec<u8>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn broken(_: &File, _: Range<u64>, _: &mut Vec<u8>) -> io::Result<()> {
        Err(io::Error::other("a sector that cannot be read"))
    }

    #[test]
    fn the_same_bytes_past_the_page_cache_and_where_that_is_refused() {
        let space = tempfile::tempdir().expect("space");
        let path = space.path().join("file");
        let mut buffer = b"what was there before".to_vec();
        let ways: [(Caches, ReadPart); 4] =
            [(Caches::Use, broken), (Caches::Pass, direct::read), (Caches::Pass, refuse_the_end), (Caches::Pass, refuse)];
        for length in [0, 1, 4095, 4096, 4097, 70_000, direct::STRIDE_BYTES, 2 * direct::STRIDE_BYTES + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            for (caches, past) in ways {
                read_file(&path, None, caches, past, &mut buffer).expect("whole");
                assert!(buffer == bytes, "{length} {caches:?}");
                for part in [0..length / 2, length / 3..length, length.saturating_sub(1)..length] {
                    read_file(&path, Some(part.start as u64..part.end as u64), caches, past, &mut buffer).expect("a part");
                    assert!(buffer == bytes[part.clone()], "{length} {caches:?} {part:?}");
                }
                let beyond = read_file(&path, Some(0..length as u64 + 1), caches, past, &mut buffer).expect_err("it is not there");
                assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    /// Not every error is a refusal: what the disk cannot read is not looked for in memory.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_disk_cannot_read_is_told() {
        let space = tempfile::tempdir().expect("space");
        let path = space.path().join("file");
        std::fs::write(&path, "bytes").expect("written");
        let told = read_file(&path, None, Caches::Pass, broken, &mut Vec::new());
        // Where direct I/O is refused at the door, it is the second way that answers.
        let direct = direct::flag().is_some_and(|flag| OpenOptions::new().read(true).custom_flags(flag).open(&path).is_ok());
        assert_eq!(told.is_err(), direct);
    }
}
