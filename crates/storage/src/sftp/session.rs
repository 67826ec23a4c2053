//! A connection, and what is asked over it.

use std::{
    collections::BTreeSet,
    io::{self, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use openssh_sftp_client::{Error, Sftp, SftpOptions, error::SftpErrorKind, file::File};
use tokio::{
    io::{AsyncReadExt, AsyncSeek},
    process::{Child, Command},
};

use super::{SftpResult, joined};
use crate::{Place, PutMode, net::Failure};

/// What `ssh` said is kept up to so many bytes.
const SAID_BYTES: usize = 4096;

/// No object of ours that is read whole is longer.
const READ_MAX_BYTES: u64 = 1 << 30;

/// So long may one thing take that is asked over the connection, however much it is.
pub(super) const PATIENCE: Duration = Duration::from_secs(1200);
const OPENING: Duration = Duration::from_secs(45);

/// So much is asked for at once; the library asks for less where the server gives less.
const READ_BYTES: u64 = 256 << 10;

/// Makes connections, and keeps the one that works.
#[derive(Debug)]
pub(super) struct Sessions {
    arguments: Vec<String>,
    host: String,
    current: tokio::sync::Mutex<Option<Arc<Session>>>,
    broken: Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    pub fn new(place: &Place) -> Self {
        let mut arguments: Vec<String> =
            ["-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
                .map(str::to_owned)
                .into();
        arguments.extend(place.port().into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        arguments.extend(place.user().into_iter().flat_map(|user| ["-l".to_owned(), user.to_owned()]));
        arguments.extend(place.settings().ssh.iter().cloned());
        arguments.extend(["-s".to_owned(), "--".to_owned(), place.host().to_owned(), "sftp".to_owned()]);
        Self { arguments, host: place.host().to_owned(), current: tokio::sync::Mutex::default(), broken: Mutex::default() }
    }

    /// The connection; made if there is none, or none that works.
    pub async fn get(&self) -> Result<Arc<Session>, Failure> {
        let mut current = self.current.lock().await;
        let broken = self.broken.lock().expect("no holder panics").take();
        if let (Some(open), Some(broken)) = (&*current, broken)
            && Arc::ptr_eq(open, &broken)
        {
            *current = None;
        }
        if let Some(open) = &*current {
            return Ok(open.clone());
        }
        let made = Arc::new(Session::open(&self.arguments, &self.host).await?);
        *current = Some(made.clone());
        Ok(made)
    }

    /// Does not give a connection out again.
    pub fn forget(&self, session: &Arc<Session>) {
        *self.broken.lock().expect("no holder panics") = Some(session.clone());
    }
}

/// A running `ssh`, ended with the last use of it.
#[derive(Debug)]
pub(super) struct Session {
    sftp: Sftp,
    _child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    host: String,
    turn: tokio::sync::Mutex<()>,
}

impl Session {
    async fn open(arguments: &[String], host: &str) -> Result<Self, Failure> {
        let mut command = Command::new("ssh");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Never("the program `ssh` is not there: install OpenSSH's client".into()),
            _ => Failure::Network(format!("`ssh` does not start: {error}")),
        })?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let Some(((stdin, stdout), mut stderr)) = pipes else { return Err(Failure::Network("`ssh` has no pipes".into())) };
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let listener = said.clone();
        let listening = tokio::spawn(async move {
            let mut chunk = [0; 512];
            while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
                let mut said = listener.lock().expect("no holder panics");
                let room = SAID_BYTES.saturating_sub(said.len());
                said.extend_from_slice(&chunk[..count.min(room)]);
            }
        });
        let opened = tokio::time::timeout(OPENING, Sftp::new(stdin, stdout, SftpOptions::default())).await;
        match opened.unwrap_or_else(|_| Err(Error::IOError(io::ErrorKind::TimedOut.into()))) {
            Ok(sftp) => Ok(Self { sftp, _child: child, said, host: host.to_owned(), turn: tokio::sync::Mutex::default() }),
            Err(error) => {
                // It says why when it ends.
                drop(tokio::time::timeout(Duration::from_secs(2), child.wait()).await);
                drop(tokio::time::timeout(Duration::from_secs(1), listening).await);
                Err(why(&said, host, &error))
            }
        }
    }

    /// Why the connection is of no more use.
    pub fn failure(&self, error: &Error) -> Failure {
        why(&self.said, &self.host, error)
    }

    pub async fn make_folders(&self, path: &Path, known: &Mutex<BTreeSet<PathBuf>>) -> SftpResult<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        let is_known = |folder: &Path| known.lock().expect("no holder panics").contains(folder);
        if is_known(folder) {
            return Ok(());
        }
        let mut above: Vec<&Path> = folder.ancestors().filter(|p| !p.as_os_str().is_empty() && *p != Path::new("/")).collect();
        above.reverse();
        for folder in above {
            if is_known(folder) {
                continue;
            }
            let mut fs = self.sftp.fs();
            if let Err(error) = fs.create_dir(folder).await {
                // It says "failure" when it is there already; whether it is there is what counts.
                fs.metadata(folder).await.map_err(|_| error)?;
            }
            known.lock().expect("no holder panics").insert(folder.to_owned());
        }
        Ok(())
    }

    /// Writes a file that was not there, durably, and reads back what came to be there.
    pub async fn write(&self, path: &Path, bytes: &Bytes) -> SftpResult<()> {
        let mut file = self.sftp.options().write(true).create_new(true).open(path).await?;
        file.write_all(bytes).await?;
        if self.sftp.support_fsync() {
            file.sync_all().await?;
        }
        file.close().await?;
        if self.read(path, None).await? == *bytes {
            return Ok(());
        }
        Err(Error::IOError(io::Error::other("what was written does not read back the same")))
    }

    /// Gives a finished file its name.
    pub async fn put_in_place(&self, beside: &Path, path: &Path, mode: PutMode) -> SftpResult<()> {
        let exists = || Error::IOError(io::Error::from(io::ErrorKind::AlreadyExists));
        let mut fs = self.sftp.fs();
        if mode == PutMode::Replace {
            if self.sftp.support_posix_rename() || !self.is_there(path).await? {
                return fs.rename(beside, path).await;
            }
            // Such a server renames to no name that is taken.
            let aside = PathBuf::from(format!("{}~old", beside.display()));
            fs.rename(path, &aside).await?;
            return match fs.rename(beside, path).await {
                Ok(()) => fs.remove_file(&aside).await,
                Err(error) => {
                    fs.rename(&aside, path).await?;
                    Err(error)
                }
            };
        }
        if self.sftp.support_hardlink() {
            match fs.hard_link(beside, path).await {
                Ok(()) => return Ok(()),
                Err(Error::SftpError(..)) if self.is_there(path).await? => return Err(exists()),
                // Some say that they can, and cannot.
                Err(Error::SftpError(..)) => {}
                Err(error) => return Err(error),
            }
        }
        // Without links there is no step that looks and renames at once: of this process only one does so at a time, of others nobody
        // knows. Names that two might want at once are made under a lease of the vault.
        let _turn = self.turn.lock().await;
        if self.is_there(path).await? { Err(exists()) } else { fs.rename(beside, path).await }
    }

    pub async fn read(&self, path: &Path, range: Option<Range<u64>>) -> SftpResult<Bytes> {
        let mut file = self.sftp.options().read(true).open(path).await?;
        let unknown = || Error::IOError(io::Error::other("the server does not tell how long the file is"));
        let length = file.metadata().await?.len().filter(|length| *length <= READ_MAX_BYTES).ok_or_else(unknown)?;
        let range = range.unwrap_or(0..length);
        let end = range.end.min(length);
        let mut bytes = BytesMut::with_capacity(end.saturating_sub(range.start) as usize);
        while range.start + (bytes.len() as u64) < end {
            let at = range.start + bytes.len() as u64;
            seek(&mut file, at)?;
            let wanted = (end - at).min(READ_BYTES) as u32;
            match file.read(wanted, BytesMut::with_capacity(wanted as usize)).await? {
                Some(read) if !read.is_empty() => bytes.extend_from_slice(&read),
                _ => break,
            }
        }
        file.close().await?;
        if range.start + (bytes.len() as u64) < end {
            return Err(Error::IOError(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        Ok(bytes.freeze())
    }

    /// Only "there is no such file" means that it is not there.
    async fn is_there(&self, path: &Path) -> SftpResult<bool> {
        match self.length(path).await {
            Ok(_) => Ok(true),
            Err(Error::SftpError(SftpErrorKind::NoSuchFile, _)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn length(&self, path: &Path) -> SftpResult<u64> {
        let unknown = || Error::IOError(io::Error::other("the server does not tell how long the file is"));
        self.sftp.fs().metadata(path).await?.len().ok_or_else(unknown)
    }

    pub async fn remove(&self, path: &Path) -> SftpResult<()> {
        self.sftp.fs().remove_file(path).await
    }

    /// The files and the folders in a folder; one that is not there is empty.
    pub async fn folder(&self, root: &Path, folder: &str) -> SftpResult<(Vec<(String, u64)>, Vec<String>)> {
        let mut fs = self.sftp.fs();
        let open = match fs.open_dir(root.join(folder)).await {
            Err(Error::SftpError(SftpErrorKind::NoSuchFile, _)) => return Ok((Vec::new(), Vec::new())),
            other => other?,
        };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        let mut entries = Box::pin(open.read_dir());
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let Some(name) = entry.filename().to_str().filter(|name| !matches!(*name, "." | "..") && !name.contains('/')) else { continue };
            let (path, meta) = (joined(folder, name), entry.metadata());
            match entry.file_type() {
                Some(kind) if kind.is_dir() => folders.push(path),
                Some(kind) if kind.is_file() => files.push((path, meta.len().unwrap_or(0))),
                _ => {}
            }
        }
        Ok((files, folders))
    }
}

/// The library moves on by what was asked for, also when it got less: the place is set before each read.
fn seek(file: &mut File, to: u64) -> SftpResult<()> {
    Ok(Pin::new(file).start_seek(SeekFrom::Start(to))?)
}

/// What `ssh` said, as something to act on.
fn why(said: &Mutex<Vec<u8>>, host: &str, error: &Error) -> Failure {
    let said = String::from_utf8_lossy(&said.lock().expect("no holder panics")).into_owned();
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let last: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    if said.contains("Host key verification failed") {
        return Failure::Never(format!(
            "the server's key is not the one that is known, or none is known: run `ssh {host}` once and compare it"
        ));
    }
    if said.contains("Permission denied (") {
        return Failure::Never(format!(
            "it lets nobody in with the keys that `ssh` has here: try `ssh {host}`, and give a key with `--ssh '-i FILE'`"
        ));
    }
    if last.is_empty() {
        return Failure::Network(format!("the connection broke off ({error})"));
    }
    Failure::Network(last)
}
