//! Shares of exports: who may have their files, until when, how often, and after how many wrong passphrases nobody.
//!
//! What two could do at once (take the last download, try a passphrase) is decided by the database, in one statement each.

use keepsake_record::OwnerId;

use crate::{
    AuditEntry, Moment, Vault, VaultError, VaultResult,
    asof::reach,
    db::{Arg, Row, Tx},
};

/// A share of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// Whose export it is.
    pub owner: OwnerId,
    /// What it is known by; no secret.
    pub id: String,
    /// Of which export.
    pub export: String,
    /// SHA-256 over its secret word.
    pub hash: String,
    /// When it was made, in microseconds.
    pub made: i64,
    /// From when on it is over, in microseconds; `None`: it never is.
    pub expires: Option<i64>,
    /// How often each of its files may be handed out; `None`: as often as somebody asks.
    pub downloads_max: Option<i64>,
    /// What its passphrase is compared with; `None`: it has none.
    pub passphrase: Option<String>,
    /// Wrong passphrases since the last right one.
    pub wrong: i64,
    /// Until when no passphrase is looked at, in microseconds.
    pub locked_until: i64,
    /// When it was ended, in microseconds.
    pub revoked: Option<i64>,
    /// What its owner noted.
    pub note: String,
    /// Files that were handed out so far.
    pub downloads: i64,
}

/// What became of the memories of a moment since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    /// So many were deleted, and are not there now.
    pub deleted: u64,
    /// So many were erased.
    pub erased: u64,
}

/// How often something is counted again that others got in the way of.
const TRIES: u32 = 7;

/// `SUM` of whole numbers is no whole number on PostgreSQL.
const OF_OWNER: &str = "SELECT owner, id, export, hash, made, expires, downloads_max, passphrase, wrong, locked_until, revoked, note, CAST((SELECT COALESCE(SUM(count), 0) FROM share_downloads d WHERE d.owner = shares.owner AND d.share = shares.id) AS BIGINT) FROM shares WHERE owner = $1 ORDER BY made, id";
const BY_ID: &str = "SELECT owner, id, export, hash, made, expires, downloads_max, passphrase, wrong, locked_until, revoked, note, CAST((SELECT COALESCE(SUM(count), 0) FROM share_downloads d WHERE d.owner = shares.owner AND d.share = shares.id) AS BIGINT) FROM shares WHERE id = $1";

fn share(mut row: Row) -> VaultResult<ShareRow> {
    Ok(ShareRow {
        owner: row.text(0)?.parse()?,
        id: row.text(1)?,
        export: row.text(2)?,
        hash: row.text(3)?,
        made: row.int(4)?,
        expires: row.opt_int(5)?,
        downloads_max: row.opt_int(6)?,
        passphrase: row.opt_text(7)?,
        wrong: row.int(8)?,
        locked_until: row.int(9)?,
        revoked: row.opt_int(10)?,
        note: row.text(11)?,
        downloads: row.int(12)?,
    })
}

/// Whether what the database ended for the sake of others is done again, after a pause that grows. (`again` takes closures, whose futures stay on
/// one thread; these are asked for by whatever door.)
async fn goes_again(error: &VaultError, tried: &mut u32) -> bool {
    if !error.is_contended() || *tried == TRIES {
        return false;
    }
    *tried += 1;
    tokio::time::sleep(std::time::Duration::from_millis(5) * 2_u32.pow(*tried)).await;
    true
}

/// Takes the shares of an export away, with what they counted.
pub(crate) async fn end_shares(tx: &mut Tx, owner: &str, export: &str) -> VaultResult<()> {
    let args = [Arg::Text(owner), Arg::Text(export)];
    let counts = "DELETE FROM share_downloads WHERE owner = $1 AND share IN (SELECT id FROM shares WHERE owner = $1 AND export = $2)";
    tx.execute(counts, &args).await?;
    tx.execute("DELETE FROM shares WHERE owner = $1 AND export = $2", &args).await.map(drop)
}

impl Vault {
    /// Notes a new share.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_share(&self, row: &ShareRow, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = row.owner.to_string();
        let args = [
            Arg::Text(&owner),
            Arg::Text(&row.id),
            Arg::Text(&row.export),
            Arg::Text(&row.hash),
            Arg::Int(row.made),
            Arg::OptInt(row.expires),
            Arg::OptInt(row.downloads_max),
            Arg::OptText(row.passphrase.as_deref()),
            Arg::Text(&row.note),
        ];
        let sql = "INSERT INTO shares (owner, id, export, hash, made, expires, downloads_max, passphrase, wrong, locked_until, revoked, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, NULL, $9)";
        tx.execute(sql, &args).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// An owner's shares, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shares(&self, owner: OwnerId) -> VaultResult<Vec<ShareRow>> {
        let mut tx = self.db.read().await?;
        tx.fetch(OF_OWNER, &[Arg::Text(&owner.to_string())]).await?.into_iter().map(share).collect()
    }

    /// The shares of an id, whoever owns them: who opens one does not know whose it is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shares_by_id(&self, id: &str) -> VaultResult<Vec<ShareRow>> {
        let mut tx = self.db.read().await?;
        tx.fetch(BY_ID, &[Arg::Text(id)]).await?.into_iter().map(share).collect()
    }

    /// Ends a share at once; `false`: it was ended before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke_share(&self, owner: OwnerId, id: &str, at: i64, entry: &AuditEntry) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(id), Arg::Int(at)];
        let ended = tx.execute("UPDATE shares SET revoked = $3 WHERE owner = $1 AND id = $2 AND revoked IS NULL", &args).await? == 1;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Counts an attempt at a passphrase before it is looked at, so that many at once do not get more of them. `false`: others were
    /// counted since the row was read, or none is taken now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_attempt(&self, row: &ShareRow, now: i64, locked_until: i64) -> VaultResult<bool> {
        let mut tried = 0;
        loop {
            match self.try_counting_attempt(row, now, locked_until).await {
                Err(error) if goes_again(&error, &mut tried).await => {}
                other => return other,
            }
        }
    }

    async fn try_counting_attempt(&self, row: &ShareRow, now: i64, locked_until: i64) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&row.owner.to_string()), Arg::Text(&row.id), Arg::Int(row.wrong), Arg::Int(now), Arg::Int(locked_until)];
        let sql = "UPDATE shares SET wrong = wrong + 1, locked_until = $5 WHERE owner = $1 AND id = $2 AND wrong = $3 AND locked_until <= $4 AND revoked IS NULL";
        let counted = tx.execute(sql, &args).await? == 1;
        tx.commit().await?;
        Ok(counted)
    }

    /// The passphrase was the right one: what was counted before does not count any more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forgive_attempts(&self, owner: OwnerId, id: &str) -> VaultResult<()> {
        let mut tried = 0;
        loop {
            match self.try_forgiving(owner, id).await {
                Err(error) if goes_again(&error, &mut tried).await => {}
                other => return other,
            }
        }
    }

    async fn try_forgiving(&self, owner: OwnerId, id: &str) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(id)];
        tx.execute("UPDATE shares SET wrong = 0, locked_until = 0 WHERE owner = $1 AND id = $2", &args).await?;
        tx.commit().await
    }

    /// Counts a file that is about to be handed out. `false`: the share has ended, or gives this file no more; nothing was counted, and no
    /// entry written.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_download(&self, row: &ShareRow, file: &str, now: i64, entry: &AuditEntry) -> VaultResult<bool> {
        let mut tried = 0;
        loop {
            match self.try_counting_download(row, file, now, entry).await {
                Err(error) if goes_again(&error, &mut tried).await => {}
                other => return other,
            }
        }
    }

    async fn try_counting_download(&self, row: &ShareRow, file: &str, now: i64, entry: &AuditEntry) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let owner = row.owner.to_string();
        // Takes the share for itself: who ends it, or takes the last one, comes before or after.
        let args = [Arg::Text(&owner), Arg::Text(&row.id), Arg::Int(now)];
        let open = "UPDATE shares SET made = made WHERE owner = $1 AND id = $2 AND revoked IS NULL AND (expires IS NULL OR expires > $3)";
        if tx.execute(open, &args).await? == 0 {
            return Ok(false);
        }
        let max = row.downloads_max.unwrap_or(i64::MAX);
        let args = [Arg::Text(&owner), Arg::Text(&row.id), Arg::Text(file), Arg::Int(max)];
        let count = "INSERT INTO share_downloads (owner, share, file, count) VALUES ($1, $2, $3, 1) ON CONFLICT (owner, share, file) DO UPDATE SET count = share_downloads.count + 1 WHERE share_downloads.count < $4";
        if max < 1 || tx.execute(count, &args).await? == 0 {
            return Ok(false);
        }
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets the shares of an owner that ended before an instant; answers how many.
    ///
    /// # Errors
    /// The database fails.
    pub async fn purge_shares(&self, owner: OwnerId, before: i64, entry: &AuditEntry) -> VaultResult<u64> {
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Int(before)];
        let counts = "DELETE FROM share_downloads WHERE owner = $1 AND share IN (SELECT id FROM shares WHERE owner = $1 AND (expires < $2 OR revoked < $2))";
        tx.execute(counts, &args).await?;
        let gone = tx.execute("DELETE FROM shares WHERE owner = $1 AND (expires < $2 OR revoked < $2)", &args).await?;
        if gone > 0 {
            self.write_audit(&mut tx, entry).await?;
            tx.commit().await?;
        }
        Ok(gone)
    }

    /// What became of the memories that were there at a moment. What was erased up to the change `clean` does not count.
    ///
    /// # Errors
    /// The vault's history is another one ([`VaultError::Passed`](crate::VaultError::Passed)), or the database fails.
    pub async fn since(&self, owner: OwnerId, moment: &Moment, clean: u64) -> VaultResult<Since> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        reach(&mut tx, &owner, moment).await?;
        let args = [Arg::Text(&owner), Arg::Int(moment.seq as i64), Arg::Int(clean.max(moment.seq) as i64)];
        // All entries of what was erased say so, and so stand in the index of what is no creation.
        let erased = "SELECT COUNT(DISTINCT j.id) FROM journal j WHERE j.owner = $1 AND j.entity = 'memory' AND j.seq > $3 AND j.op = 'erased' AND EXISTS (SELECT 1 FROM journal e WHERE e.owner = j.owner AND e.entity = 'memory' AND e.id = j.id AND e.seq <= $2 AND e.op <> 'created')";
        // What was in the trash at that moment was in no export of it.
        let deleted = "SELECT COUNT(DISTINCT j.id) FROM journal j WHERE j.owner = $1 AND j.entity = 'memory' AND j.seq > $2 AND j.op IN ('trashed', 'deleted') AND j.id NOT IN (SELECT c.id FROM journal c WHERE c.owner = $1 AND c.entity = 'memory' AND c.op = 'created' AND c.seq > $2) AND COALESCE((SELECT b.op FROM journal b WHERE b.owner = j.owner AND b.entity = 'memory' AND b.id = j.id AND b.seq <= $2 AND b.op <> 'created' ORDER BY b.seq DESC LIMIT 1), '') NOT IN ('trashed', 'deleted') AND NOT EXISTS (SELECT 1 FROM memories m WHERE m.owner = j.owner AND m.id = j.id AND m.trashed_at IS NULL)";
        let count = |row: Option<Row>| row.map_or(Ok(0), |row| row.int(0)).map(|count| count as u64);
        Ok(Since { deleted: count(tx.fetch_one(deleted, &args[..2]).await?)?, erased: count(tx.fetch_one(erased, &args).await?)? })
    }
}
