//! Opening a share: what is asked of who has a link, and handing out files.
//!
//! Who has a link that leads to nothing learns nothing of why; the audit log does. Every attempt is in it, and never the link or the passphrase.

use std::{
    fs,
    io::{self, Read, Seek},
};

use keepsake_record::{Sha256Digest, Timestamp};
use keepsake_repository::Password;
use keepsake_vault::{AuditEntry, Outcome, ShareRow};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ShareState, ShareToken, passphrases::Verdict, state};
use crate::{
    Custody, CustodyError, CustodyResult,
    copies::blocking,
    export::{ExportPart, depot::Depot, job::Job},
    memories::hash_reader,
};

/// Of who asks, no more than this is noted.
const WHO_CHARS_MAX: usize = 200;

/// What the log says where files may hold what is erased.
const ERASED: &str = "what it holds may have been erased since: export anew, and share that";

/// Why somebody with a link gets nothing, as they may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareDenied {
    /// It leads to nothing: there never was such a link, or it has ended.
    #[error("this link leads to nothing, or not any more: ask who gave it to you for another one")]
    Gone,
    /// What it led to is not as it was made.
    #[error("what this link led to has changed since, and is not handed out: it has to be exported and shared anew")]
    Outdated,
    /// Nobody said its passphrase.
    #[error("this link has a passphrase: ask who gave it to you")]
    NeedsPassphrase,
    /// It is another one.
    #[error("that is not the passphrase of this link: look at it, and try again; after some wrong ones it takes none for a while")]
    WrongPassphrase,
    /// There were too many wrong ones.
    #[error("too many wrong passphrases were tried: this link takes none until {0}")]
    Wait(Timestamp),
}

/// A file that a share hands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedFile {
    /// Its name, without any folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over it.
    pub sha256: Sha256Digest,
}

/// A share that somebody opened.
pub struct OpenShare {
    row: ShareRow,
    job: Job,
    who: String,
    /// Its files.
    pub files: Vec<SharedFile>,
}

impl OpenShare {
    /// What it is known by.
    pub fn id(&self) -> &str {
        &self.row.id
    }

    /// When it ends by itself.
    pub fn expires(&self) -> Option<Timestamp> {
        self.row.expires.and_then(|at| Timestamp::from_micros(at).ok())
    }
}

/// Reads a file of a share. The end of one that was changed meanwhile is an error, so that nobody takes it for whole.
pub struct ShareReader {
    inner: Box<dyn Read + Send>,
    hasher: Sha256,
    left: u64,
    /// It is not what it should be: whoever reads on gets no end, either.
    is_changed: bool,
    file: SharedFile,
}

impl ShareReader {
    /// Which file it is.
    pub fn file(&self) -> &SharedFile {
        &self.file
    }
}

impl Read for ShareReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let changed = || io::Error::new(io::ErrorKind::InvalidData, "the file was changed while it was handed out");
        if self.is_changed {
            return Err(changed());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut out[..most])?;
        self.hasher.update(&out[..count]);
        self.left -= count as u64;
        // What came last goes out only when all of it is what it should be.
        self.is_changed = count == 0 || self.left == 0 && self.hasher.finalize_reset().as_slice() != self.file.sha256.as_bytes();
        if self.is_changed { Err(changed()) } else { Ok(count) }
    }
}

/// Why somebody got nothing: what they are told, and what the audit log says.
type Why = (ShareDenied, &'static str);

impl Custody {
    /// Opens a share. Nothing is handed out yet, and no download counted.
    ///
    /// # Errors
    /// [`ShareDenied`], whose reason is in the audit log; or the vault fails.
    pub async fn open_share(&self, token: &ShareToken, passphrase: Option<&Password>, who: &str) -> CustodyResult<OpenShare> {
        let who = told(who);
        let (hash, now) = (token.hash().to_string(), self.now());
        // The id leads to the row; whether it is that of this word is found out without telling how near it came.
        let rows = self.vault.shares_by_id(&token.id()).await?;
        let row = rows.into_iter().find(|row| bool::from(row.hash.as_bytes().ct_eq(hash.as_bytes())));
        let (opened, row) = match row {
            None => (Err(self.gone("there is no such link", passphrase).await?), None),
            Some(row) => {
                let looked_at = self.look_at(&row, passphrase, now).await;
                (self.audited_failure(Some(row.owner), "share.open", &row.id, looked_at).await?, Some(row))
            }
        };
        let (outcome, detail) = match &opened {
            Ok(_) => (Outcome::Complete, json!({ "who": who })),
            Err((_, reason)) => (Outcome::Denied, json!({ "who": who, "reason": reason })),
        };
        self.vault.audit(&self.share_entry(row.as_ref(), "share.open", outcome, detail)).await?;
        match (opened, row) {
            (Ok(job), Some(row)) => Ok(OpenShare { files: files(&job), row, job, who }),
            (Err((denied, _)), _) => Err(denied.into()),
            (Ok(_), None) => Err(ShareDenied::Gone.into()),
        }
    }

    fn share_entry(&self, row: Option<&ShareRow>, verb: &'static str, outcome: Outcome, detail: serde_json::Value) -> AuditEntry {
        self.entry(row.map(|row| row.owner), verb, row.map_or("", |row| &row.id), outcome, detail)
    }

    /// What leads to nothing takes as long as what leads to something.
    async fn gone(&self, reason: &'static str, passphrase: Option<&Password>) -> CustodyResult<Why> {
        if let Some(passphrase) = passphrase {
            self.pretend(passphrase.clone()).await?;
        }
        Ok((ShareDenied::Gone, reason))
    }

    async fn look_at(&self, row: &ShareRow, passphrase: Option<&Password>, now: Timestamp) -> CustodyResult<Result<Job, Why>> {
        let job = self.jobs(row.owner).await?.into_iter().find(|job| job.id == row.export);
        let reason = match state(row, job.as_ref().map_or(1, |job| job.parts.len()), now) {
            ShareState::Ended => Some("it was ended"),
            ShareState::Expired => Some("it has expired"),
            ShareState::UsedUp => Some("it was used up"),
            ShareState::Closed => Some("too many wrong passphrases were tried before"),
            ShareState::Open | ShareState::Outdated => None,
        };
        let job = match (job, reason) {
            (Some(job), None) => job,
            (_, reason) => return Ok(Err(self.gone(reason.unwrap_or("its export is gone"), passphrase).await?)),
        };
        if row.passphrase.is_some() {
            let Some(passphrase) = passphrase else {
                return Ok(Err((ShareDenied::NeedsPassphrase, "it was asked for without its passphrase")));
            };
            match self.try_passphrase(row.clone(), passphrase.clone(), now).await? {
                Verdict::Right => {}
                Verdict::Wrong => return Ok(Err((ShareDenied::WrongPassphrase, "the passphrase was wrong"))),
                Verdict::Wait(until) => return Ok(Err((ShareDenied::Wait(until), "no passphrase is taken for a while"))),
                Verdict::Closed => return Ok(Err((ShareDenied::Gone, "too many wrong passphrases were tried, or it was ended"))),
            }
        }
        match self.refuse_outdated(row.owner, &job).await {
            Ok(()) => Ok(Ok(job)),
            Err(CustodyError::Refused(_)) => Ok(Err((ShareDenied::Outdated, ERASED))),
            Err(error) => Err(error),
        }
    }

    /// Notes that a file was not handed out, and why.
    async fn deny<T>(&self, open: &OpenShare, name: &str, denied: ShareDenied, reason: &str) -> CustodyResult<T> {
        let detail = json!({ "who": open.who, "reason": reason, "file": told(name) });
        self.vault.audit(&self.share_entry(Some(&open.row), "share.download", Outcome::Denied, detail)).await?;
        Err(denied.into())
    }

    /// Hands out a file of a share. The download is counted before the first byte goes: one that is cut off counts, too.
    ///
    /// # Errors
    /// [`ShareDenied`], whose reason is in the audit log; or the file cannot be read.
    pub async fn read_share(&self, open: &OpenShare, name: &str) -> CustodyResult<ShareReader> {
        let row = &open.row;
        let Some((number, file)) = open.files.iter().enumerate().find(|(_, file)| file.name == name) else {
            return self.deny(open, name, ShareDenied::Gone, "it has no such file").await;
        };
        let Some(part) = open.job.parts.get(number).and_then(Option::clone) else {
            return self.deny(open, name, ShareDenied::Outdated, "its file is gone").await;
        };
        let inner = async {
            let (depot, path) = (self.depot_of(&open.job).await?, open.job.here(&part.path));
            blocking(move || opened(&part, &path, depot.as_ref())).await
        };
        let inner = inner.await;
        let Some(inner) = self.audited_failure(Some(row.owner), "share.download", &row.id, inner).await? else {
            return self.deny(open, name, ShareDenied::Outdated, "its file is not what was made any more").await;
        };
        // Something may have been erased since it was opened, or while the file was read.
        match self.refuse_outdated(row.owner, &open.job).await {
            Err(CustodyError::Refused(_)) => return self.deny(open, name, ShareDenied::Outdated, ERASED).await,
            other => other?,
        }
        let entry = self.share_entry(Some(row), "share.download", Outcome::Complete, json!({ "who": open.who, "file": file.name }));
        let now = self.now().micros();
        let counted = self.vault.count_download(row, &file.name, now, &entry).await?;
        if !counted {
            return self.deny(open, name, ShareDenied::Gone, "it has ended, or hands this file out no more").await;
        }
        Ok(ShareReader { inner, hasher: Sha256::new(), left: file.bytes, is_changed: false, file: file.clone() })
    }
}

/// A part to read, if it is what was made. What is here is read to its end before, through the same descriptor: whatever takes its place
/// meanwhile does not go out. Of what is elsewhere the length is looked at; the reader sees the rest.
fn opened(part: &ExportPart, path: &std::path::Path, depot: Option<&Depot>) -> CustodyResult<Option<Box<dyn Read + Send>>> {
    if let (true, Some(depot)) = (part.sent, depot) {
        return Ok(if depot.is_there(part)? { Some(Box::new(depot.read(part)?)) } else { None });
    }
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(CustodyError::io(path))?,
    };
    let found = hash_reader(&mut file).map_err(CustodyError::io(path))?;
    file.rewind().map_err(CustodyError::io(path))?;
    Ok((found == (part.sha256, part.length)).then(|| Box::new(file) as Box<dyn Read + Send>))
}

fn files(job: &Job) -> Vec<SharedFile> {
    let file = |part: &ExportPart| SharedFile {
        name: part.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        bytes: part.length,
        sha256: part.sha256,
    };
    job.parts.iter().flatten().map(file).collect()
}

/// What others say of themselves, as it may stand in a log.
fn told(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WHO_CHARS_MAX).collect()
}
