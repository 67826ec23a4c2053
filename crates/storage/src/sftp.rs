//! SFTP, through the system's own `ssh`: keys, agents, jump hosts and known hosts are what they are everywhere else.
//!
//! An object is written beside its place, made durable, read back, and linked to its name, which fails when the name is taken. Names on
//! the way end in `~` and something; no listing shows them.

mod session;

use std::{
    collections::BTreeSet,
    io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::StreamExt;
use openssh_sftp_client::{Error, error::SftpErrorKind};
use rand::RngExt;

use self::session::{PATIENCE, Session, Sessions};
use crate::{
    ObjectInfo, ObjectName, Pace, Place, PutMode, Store, StoreError, StoreResult, Traffic,
    net::{Failure, TrafficKind, wait},
};

/// A folder on a server that speaks SFTP.
#[derive(Debug)]
pub(crate) struct SftpStore {
    sessions: Arc<Sessions>,
    url: String,
    root: PathBuf,
    pace: Option<Arc<Pace>>,
    traffic: Arc<Traffic>,
    folders: Arc<Mutex<BTreeSet<PathBuf>>>,
}

type SftpResult<T> = Result<T, Error>;

impl SftpStore {
    pub fn new(place: &Place, pace: Option<Arc<Pace>>, traffic: Arc<Traffic>) -> Self {
        let root = match place.path() {
            "~" => PathBuf::from("."),
            path => path.strip_prefix("~/").map_or_else(|| PathBuf::from(format!("/{path}")), PathBuf::from),
        };
        let sessions = Arc::new(Sessions::new(place));
        Self { sessions, url: place.url().to_owned(), root, pace, traffic, folders: Arc::default() }
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn ask<T, F>(&self, kind: TrafficKind, action: &'static str, name: &str, work: impl FnOnce(Arc<Session>) -> F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: Future<Output = SftpResult<T>> + Send + 'static,
    {
        self.traffic.request(kind);
        let sessions = self.sessions.clone();
        let session = wait(async move { sessions.get().await }).map_err(|failure| self.failed(action, name, failure))?;
        let work = work(session.clone());
        let limited = async move {
            let late = |_| Err(Error::IOError(io::ErrorKind::TimedOut.into()));
            tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(late)
        };
        match wait(limited) {
            Ok(answer) => Ok(answer),
            Err(Error::SftpError(SftpErrorKind::NoSuchFile, _)) => {
                ObjectName::new(name).map_or_else(Err, |name| Err(StoreError::NotFound { name }))
            }
            Err(Error::SftpError(SftpErrorKind::PermDenied, _)) => {
                Err(StoreError::Denied { place: self.describe(), action, name: name.into() })
            }
            Err(Error::IOError(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                ObjectName::new(name).map_or_else(Err, |name| Err(StoreError::Exists { name }))
            }
            Err(error @ Error::SftpError(..)) => Err(self.failed(action, name, Failure::Network(error.to_string()))),
            Err(error) => {
                // The connection is of no more use: the next attempt makes another.
                let failure = session.failure(&error);
                self.sessions.forget(&session);
                Err(self.failed(action, name, failure))
            }
        }
    }

    fn failed(&self, action: &'static str, name: &str, failure: Failure) -> StoreError {
        failure.into_error(self.describe(), action, name.to_owned())
    }

    fn paced(&self, bytes: u64) {
        if let Some(pace) = self.pace.clone() {
            wait(async move { pace.take(bytes).await });
        }
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> StoreResult<Bytes> {
        let path = self.path(name);
        let wanted = range.as_ref().map(|r| r.end - r.start);
        let bytes = self.ask(TrafficKind::Read, "read", name.as_str(), |session| async move { session.read(&path, range).await })?;
        self.traffic.bytes_received(bytes.len() as u64);
        self.paced(bytes.len() as u64);
        if wanted.is_some_and(|wanted| wanted != bytes.len() as u64) {
            return Err(StoreError::short(self.describe(), "read", name.to_string()));
        }
        Ok(bytes)
    }
}

impl Store for SftpStore {
    fn is_far(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.url.clone()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let path = self.path(name);
        let beside = PathBuf::from(format!("{}~{}", path.display(), HEXLOWER.encode(&rand::rng().random::<[u8; 8]>())));
        self.paced(bytes.len() as u64);
        self.traffic.bytes_sent(bytes.len() as u64);
        let folders = self.folders.clone();
        self.ask(TrafficKind::Write, "write", name.as_str(), |session| async move {
            session.make_folders(&path, &folders).await?;
            let written = session.write(&beside, &bytes).await;
            let result = match written {
                Ok(()) => session.put_in_place(&beside, &path, mode).await,
                Err(error) => {
                    // Somebody may have removed a folder that was there.
                    folders.lock().expect("no holder panics").clear();
                    Err(error)
                }
            };
            // Gone already when it was renamed; what stays behind is swept with the next prune.
            drop(session.remove(&beside).await);
            result
        })
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.read(name, None)
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.read(name, Some(range))
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        let path = self.path(name);
        let found = self.ask(TrafficKind::Read, "look for", name.as_str(), |session| async move { session.length(&path).await });
        match found {
            Ok(bytes) => Ok(Some(ObjectInfo { name: name.clone(), bytes })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let own = |(path, bytes): (String, u64)| Some(ObjectInfo { name: ObjectName::new(path).ok()?, bytes });
        Ok(self.walk(prefix)?.into_iter().filter_map(own).collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        let path = self.path(name);
        match self.ask(TrafficKind::Delete, "delete", name.as_str(), |session| async move { session.remove(&path).await }) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        let mut count = 0;
        for (left, _) in self.walk(prefix)?.into_iter().filter(|(path, _)| path.contains('~')) {
            let path = self.root.join(&left);
            self.ask(
                TrafficKind::Delete,
                "delete",
                "a file that was never finished",
                |session| async move { session.remove(&path).await },
            )?;
            count += 1;
        }
        Ok(count)
    }
}

impl SftpStore {
    /// All files below a folder, with their lengths.
    fn walk(&self, prefix: &str) -> StoreResult<Vec<(String, u64)>> {
        let (root, start) = (self.root.clone(), prefix.to_owned());
        self.ask(TrafficKind::List, "list", if prefix.is_empty() { "everything" } else { prefix }, |session| async move {
            let (mut files, mut level) = (Vec::new(), vec![start]);
            while !level.is_empty() {
                let lists = level.into_iter().map(|folder| {
                    let (session, root) = (session.clone(), root.clone());
                    async move { session.folder(&root, &folder).await }
                });
                let lists: Vec<_> = futures::stream::iter(lists).buffer_unordered(8).collect().await;
                level = Vec::new();
                for list in lists {
                    let (found, folders) = list?;
                    files.extend(found);
                    level.extend(folders);
                }
            }
            Ok(files)
        })
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
