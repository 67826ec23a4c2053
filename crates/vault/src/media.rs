//! The media store: originals by content, per owner, with a state that says what may be relied on.

use std::{io, sync::Arc};

use bytes::Bytes;
use keepsake_record::{OwnerId, Sha256Digest};
use keepsake_storage::{ObjectName, ObjectReader, PutMode, Store, StoreError};
use sha2::{Digest, Sha256};

use crate::{Vault, VaultError, VaultResult, db::Arg};

/// What may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaState {
    /// Announced; its bytes may be on their way.
    Pending,
    /// Here.
    Live,
    /// Named by nothing any more; goes after a grace period.
    Condemned,
}

/// One medium of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumRow {
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its length.
    pub bytes: u64,
    /// What may be relied on.
    pub state: MediaState,
}

/// The object of a medium.
pub(crate) fn object(owner: OwnerId, digest: &Sha256Digest) -> ObjectName {
    let hex = digest.to_string();
    ObjectName::new(format!("{owner}/{}/{hex}", &hex[..2])).expect("ids and digests are valid names")
}

impl Vault {
    /// Announces media whose bytes will be stored now, so that nothing is in the store that no row knows.
    ///
    /// # Errors
    /// The database fails.
    pub async fn media_pending(&self, owner: OwnerId, media: &[(Sha256Digest, u64)]) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let (owner, now) = (owner.to_string(), self.ambient.now().micros());
        let names: Vec<String> = media.iter().map(|(digest, _)| digest.to_string()).collect();
        let args: Vec<Arg<'_>> = media
            .iter()
            .zip(&names)
            .flat_map(|((_, bytes), name)| {
                [Arg::Text(&owner), Arg::Text(name), Arg::Int(*bytes as i64), Arg::Text("pending"), Arg::Int(now)]
            })
            .collect();
        tx.insert_many(
            "media (owner, sha256, bytes, state, since)",
            5,
            &args,
            " ON CONFLICT (owner, sha256) DO UPDATE SET state = 'pending', since = excluded.since WHERE media.state = 'condemned'",
        )
        .await?;
        tx.commit().await
    }

    /// Stores bytes that are in memory. Blocks; call it from a thread that may.
    ///
    /// # Errors
    /// The store fails.
    pub fn store_bytes(&self, owner: OwnerId, bytes: Bytes) -> VaultResult<Sha256Digest> {
        let digest = Sha256Digest::of(&bytes);
        let name = object(owner, &digest);
        match self.media.put(&name, bytes.clone(), PutMode::Create) {
            Ok(()) => Ok(digest),
            // What is there may be a torn or rotten copy; these bytes are known to be right.
            Err(StoreError::Exists { .. }) => {
                if self.media.get(&name).ok().is_none_or(|there| Sha256Digest::of(&there) != digest) {
                    self.media.put(&name, bytes, PutMode::Replace)?;
                }
                Ok(digest)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores what a reader gives, which must have this digest. Blocks; call it from a thread that may.
    ///
    /// # Errors
    /// The reader or the store fails, or the bytes are others; then nothing is kept.
    pub fn store_reader(&self, owner: OwnerId, digest: &Sha256Digest, reader: &mut dyn io::Read) -> VaultResult<u64> {
        let name = object(owner, digest);
        let mut checked = CheckedReader::new(reader, *digest);
        Ok(self.media.put_reader(&name, &mut checked)?)
    }

    /// Opens a medium; reading to the end fails if its bytes are not the ones of its digest.
    ///
    /// # Errors
    /// It is not in the store.
    pub fn open_medium(&self, owner: OwnerId, digest: &Sha256Digest) -> VaultResult<impl io::Read + use<>> {
        open_checked(self.media.clone(), owner, digest)
    }

    /// How many bytes of a medium are in the store, if it is there. Blocks; call it from a thread that may.
    ///
    /// # Errors
    /// The store fails.
    pub fn stored_length(&self, owner: OwnerId, digest: &Sha256Digest) -> VaultResult<Option<u64>> {
        Ok(self.media.head(&object(owner, digest))?.map(|info| info.bytes))
    }

    /// What is known of a medium.
    ///
    /// # Errors
    /// The database fails.
    pub async fn medium(&self, owner: OwnerId, digest: &Sha256Digest) -> VaultResult<Option<MediumRow>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(&digest.to_string())];
        let Some(mut row) = tx.fetch_one("SELECT bytes, state FROM media WHERE owner = $1 AND sha256 = $2", &args).await? else {
            return Ok(None);
        };
        let state = match row.text(1)?.as_str() {
            "pending" => MediaState::Pending,
            "live" => MediaState::Live,
            "condemned" => MediaState::Condemned,
            other => return Err(VaultError::Damaged(format!("a medium has the unknown state `{other}`"))),
        };
        Ok(Some(MediumRow { sha256: *digest, bytes: row.int(0)? as u64, state }))
    }

    /// Condemns media that no memory, journal entry or open backup names, and removes those condemned before `before`
    /// (microseconds). Answers how many bytes were freed.
    ///
    /// # Errors
    /// The database or the store fails.
    pub async fn sweep_media(&self, owner: OwnerId, before: i64) -> VaultResult<u64> {
        let name = owner.to_string();
        let unnamed = "NOT EXISTS (SELECT 1 FROM attachments a WHERE a.owner = media.owner AND a.sha256 = media.sha256) \
             AND NOT EXISTS (SELECT 1 FROM journal_media j WHERE j.owner = media.owner AND j.sha256 = media.sha256) \
             AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.name = $2 AND l.until > $3)";
        let now = self.ambient.now().micros();
        let lease = crate::leases::backup_lease(owner);
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&name), Arg::Text(&lease), Arg::Int(now), Arg::Int(before)];
        let due = tx
            .fetch_built(
                format!("SELECT sha256, bytes FROM media WHERE owner = $1 AND state = 'condemned' AND since < $4 AND {unnamed}"),
                &args,
            )
            .await?;
        let mut freed = 0;
        for mut row in due {
            let digest: Sha256Digest = row.text(0)?.parse()?;
            freed += row.int(1)? as u64;
            tx.execute(
                "DELETE FROM media WHERE owner = $1 AND sha256 = $2 AND state = 'condemned'",
                &[Arg::Text(&name), Arg::Text(&digest.to_string())],
            )
            .await?;
            let store = self.media.clone();
            tokio::task::spawn_blocking(move || store.delete(&object(owner, &digest)))
                .await
                .map_err(|e| VaultError::Damaged(e.to_string()))??;
        }
        let condemn = format!("SELECT sha256 FROM media WHERE owner = $1 AND state = 'live' AND {unnamed}");
        for mut row in tx.fetch_built(condemn, &args[..3]).await? {
            let digest = row.text(0)?;
            tx.execute(
                "UPDATE media SET state = 'condemned', since = $3 WHERE owner = $1 AND sha256 = $2",
                &[Arg::Text(&name), Arg::Text(&digest), Arg::Int(now)],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(freed)
    }
}

/// Opens a medium of a store; reading to the end fails if its bytes are not the ones of its digest.
pub(crate) fn open_checked(store: Arc<dyn Store>, owner: OwnerId, digest: &Sha256Digest) -> VaultResult<CheckedReader<ObjectReader>> {
    Ok(CheckedReader::new(ObjectReader::open(store, object(owner, digest))?, *digest))
}

/// Passes bytes on and fails at their end if they are not the ones that were promised.
pub(crate) struct CheckedReader<R> {
    inner: R,
    hasher: Option<Sha256>,
    wanted: Sha256Digest,
}

impl<R: io::Read> CheckedReader<R> {
    pub fn new(inner: R, wanted: Sha256Digest) -> Self {
        Self { inner, hasher: Some(Sha256::new()), wanted }
    }
}

impl<R: io::Read> io::Read for CheckedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&out[..count]);
        }
        if count == 0 && !out.is_empty() {
            let found = self.hasher.take().map(|hasher| Sha256Digest::from_bytes(hasher.finalize().into()));
            if found.is_some_and(|found| found != self.wanted) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not the ones that were kept"));
            }
        }
        Ok(count)
    }
}
