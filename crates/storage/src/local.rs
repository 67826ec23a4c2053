//! A folder as a store, through `object_store`: temporary file, fsync of file and folder, then a name.

use std::{io, ops::Range, path::PathBuf};

use bytes::Bytes;
use futures::{StreamExt, executor::block_on};
use object_store::{
    Error as Cause, ObjectStore, ObjectStoreExt, PutMode as ObjectPutMode, PutOptions, PutPayload, WriteMultipart, local::LocalFileSystem,
    path::Path,
};

use crate::{ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

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
        std::fs::create_dir_all(&root).map_err(|e| unavailable(e.into()))?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(|e| unavailable(e.into()))?.with_fsync(true);
        Ok(Self { root, inner })
    }

    /// The folder.
    pub fn root(&self) -> &std::path::Path {
        &self.root
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
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => StoreError::Denied { place, name: name.into() },
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

fn path(name: &ObjectName) -> Path {
    Path::from(name.as_str())
}

impl Store for LocalStore {
    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let mode = match mode {
            PutMode::Create => ObjectPutMode::Create,
            PutMode::Replace => ObjectPutMode::Overwrite,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let path = path(name);
        block_on(self.inner.put_opts(&path, PutPayload::from(bytes), options)).map(drop).map_err(|e| self.fail(name.as_str(), "write", e))
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        let get = async { self.inner.get(&path(name)).await?.bytes().await };
        block_on(get).map_err(|e| self.fail(name.as_str(), "read", e))
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        let wanted = range.end.saturating_sub(range.start);
        let bytes = block_on(self.inner.get_range(&path(name), range)).map_err(|e| self.fail(name.as_str(), "read", e))?;
        if bytes.len() as u64 == wanted {
            return Ok(bytes);
        }
        let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the object is shorter than it should be").into();
        Err(StoreError::Unavailable { place: self.describe(), action: "read", name: name.to_string(), source })
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        match block_on(self.inner.head(&path(name))) {
            Ok(meta) => Ok(Some(ObjectInfo { name: name.clone(), bytes: meta.size })),
            Err(Cause::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fail(name.as_str(), "look up", error)),
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

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let upload = async {
            let mut write =
                WriteMultipart::new(self.inner.put_multipart(&path(name)).await.map_err(|e| self.fail(name.as_str(), "write", e))?);
            let mut buffer = vec![0; 1 << 20];
            let mut length = 0;
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        write.wait_for_capacity(4).await.map_err(|e| self.fail(name.as_str(), "write", e))?;
                        write.write(&buffer[..count]);
                        length += count as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(source) => {
                        write.abort().await.map_err(|e| self.fail(name.as_str(), "write", e))?;
                        return Err(StoreError::Unavailable {
                            place: self.describe(),
                            action: "read the bytes for",
                            name: name.to_string(),
                            source: source.into(),
                        });
                    }
                }
            }
            write.finish().await.map_err(|e| self.fail(name.as_str(), "write", e))?;
            Ok(length)
        };
        block_on(upload)
    }
}
