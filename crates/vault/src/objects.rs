//! The objects of repositories, as far as they are known without looking: what there is, when it was read, until when it is locked.

use std::collections::BTreeMap;

use keepsake_record::OwnerId;

use crate::{
    Vault, VaultResult,
    db::{Arg, Tx},
    ledger::owner_column,
};

/// An object that a destination keeps until an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRow {
    /// The destination's name.
    pub destination: String,
    /// The object's name.
    pub name: String,
    /// Until when, in microseconds.
    pub until: i64,
}

/// What a repository amounted to at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeRow {
    /// The day, `YYYY-MM-DD` (UTC).
    pub day: String,
    /// Objects.
    pub objects: i64,
    /// Bytes.
    pub bytes: i64,
}

impl Vault {
    /// Notes objects that were written, with their lengths, unless somebody condemned them meanwhile; then what all of them amount to today.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_objects(&self, owner: Option<OwnerId>, written: &BTreeMap<String, u64>) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        for (name, bytes) in written {
            let args = [Arg::Text(&owner), Arg::Text(name), Arg::Int(*bytes as i64)];
            let condemned = "SELECT name FROM condemned WHERE owner = $1 AND name = $2";
            if tx.fetch_one(condemned, &args[..2]).await?.is_some() {
                continue;
            }
            let sql = "INSERT INTO objects (owner, name, bytes) VALUES ($1, $2, $3) ON CONFLICT (owner, name) DO UPDATE SET bytes = excluded.bytes";
            tx.execute(sql, &args).await?;
        }
        let day = self.ambient.now().to_jiff().to_string();
        let sql = "INSERT INTO sizes (owner, day, objects, bytes) SELECT $1, $2, COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM objects WHERE owner = $1 ON CONFLICT (owner, day) DO UPDATE SET objects = excluded.objects, bytes = excluded.bytes";
        tx.execute(sql, &[Arg::Text(&owner), Arg::Text(&day[..10])]).await?;
        tx.commit().await
    }

    /// Forgets objects: they are gone, or are about to go.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_objects(&self, owner: Option<OwnerId>, names: &[&str]) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        for name in names {
            forget_object(&mut tx, &owner_column(owner), name).await?;
        }
        tx.commit().await
    }

    /// The objects of an owner's repository with their lengths, as far as they were noted.
    ///
    /// # Errors
    /// The database fails.
    pub async fn objects(&self, owner: Option<OwnerId>) -> VaultResult<BTreeMap<String, u64>> {
        let mut tx = self.db.read().await?;
        let rows = tx.fetch("SELECT name, bytes FROM objects WHERE owner = $1", &[Arg::Text(&owner_column(owner))]).await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.int(1)? as u64))).collect()
    }

    /// What an owner's repository amounted to, day by day, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sizes(&self, owner: Option<OwnerId>) -> VaultResult<Vec<SizeRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT day, objects, bytes FROM sizes WHERE owner = $1 ORDER BY day";
        let rows = tx.fetch(sql, &[Arg::Text(&owner_column(owner))]).await?;
        rows.into_iter().map(|mut row| Ok(SizeRow { day: row.text(0)?, objects: row.int(1)?, bytes: row.int(2)? })).collect()
    }

    /// Notes that objects were read for somebody.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_reads(&self, owner: Option<OwnerId>, names: &[String]) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let (owner, now) = (owner_column(owner), self.ambient.now().micros());
        for name in names {
            let sql = "INSERT INTO reads (owner, name, at) VALUES ($1, $2, $3) ON CONFLICT (owner, name) DO UPDATE SET at = excluded.at";
            tx.execute(sql, &[Arg::Text(&owner), Arg::Text(name), Arg::Int(now)]).await?;
        }
        tx.commit().await
    }

    /// When objects were last read, in microseconds; those that never were are not in it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last_reads(&self, owner: Option<OwnerId>) -> VaultResult<BTreeMap<String, i64>> {
        let mut tx = self.db.read().await?;
        let rows = tx.fetch("SELECT name, at FROM reads WHERE owner = $1", &[Arg::Text(&owner_column(owner))]).await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.int(1)?))).collect()
    }

    /// Notes until when a destination keeps objects of an owner (microseconds).
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_locks(&self, owner: Option<OwnerId>, destination: &str, locks: &BTreeMap<String, i64>) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        for (name, until) in locks {
            let args = [Arg::Text(destination), Arg::Text(&owner), Arg::Text(name), Arg::Int(*until)];
            let sql = "INSERT INTO locks (destination, owner, name, until) VALUES ($1, $2, $3, $4) ON CONFLICT (destination, owner, name) DO UPDATE SET until = excluded.until";
            tx.execute(sql, &args).await?;
        }
        tx.commit().await
    }

    /// Forgets locks of a destination: they went with their objects, or nobody knows of them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_locks(&self, owner: Option<OwnerId>, destination: &str, names: &[String]) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        for name in names {
            let args = [Arg::Text(destination), Arg::Text(&owner), Arg::Text(name)];
            tx.execute("DELETE FROM locks WHERE destination = $1 AND owner = $2 AND name = $3", &args).await?;
        }
        tx.commit().await
    }

    /// The first instants (microseconds) at which a lock of an owner's objects ends at a destination: of those that should be there, and of those that
    /// were condemned.
    ///
    /// # Errors
    /// The database fails.
    pub async fn first_locks_to_end(&self, owner: Option<OwnerId>, destination: &str) -> VaultResult<(Option<i64>, Option<i64>)> {
        let mut tx = self.db.read().await?;
        let owner = owner_column(owner);
        let args = [Arg::Text(destination), Arg::Text(&owner)];
        let live = "SELECT until FROM locks WHERE destination = $1 AND owner = $2 AND NOT EXISTS (SELECT 1 FROM condemned WHERE condemned.owner = locks.owner AND condemned.name = locks.name) ORDER BY until LIMIT 1";
        let gone = "SELECT until FROM locks WHERE destination = $1 AND owner = $2 AND EXISTS (SELECT 1 FROM condemned WHERE condemned.owner = locks.owner AND condemned.name = locks.name) ORDER BY until LIMIT 1";
        let live = tx.fetch_one(live, &args).await?.map(|row| row.int(0)).transpose()?;
        let gone = tx.fetch_one(gone, &args).await?.map(|row| row.int(0)).transpose()?;
        Ok((live, gone))
    }

    /// The locks on an owner's objects, by destination, also those that have ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn locks(&self, owner: Option<OwnerId>) -> VaultResult<Vec<LockRow>> {
        let mut tx = self.db.read().await?;
        let owner = owner_column(owner);
        let rows = tx
            .fetch("SELECT destination, name, until FROM locks WHERE owner = $1 ORDER BY destination, name", &[Arg::Text(&owner)])
            .await?;
        let read = |mut row: crate::db::Row| Ok(LockRow { destination: row.text(0)?, name: row.text(1)?, until: row.int(2)? });
        rows.into_iter().map(read).collect()
    }
}

/// An object is gone: nothing is known of it any more but until when somebody keeps it.
pub(crate) async fn forget_object(tx: &mut Tx, owner: &str, name: &str) -> VaultResult<()> {
    tx.execute("DELETE FROM objects WHERE owner = $1 AND name = $2", &[Arg::Text(owner), Arg::Text(name)]).await?;
    tx.execute("DELETE FROM reads WHERE owner = $1 AND name = $2", &[Arg::Text(owner), Arg::Text(name)]).await?;
    Ok(())
}
