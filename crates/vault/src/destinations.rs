//! Destinations, how complete the copies there are, and which objects are to be gone at all of them.

use keepsake_record::OwnerId;

use crate::{
    AuditEntry, Vault, VaultError, VaultResult,
    db::{Arg, Row},
    ledger::owner_column,
    objects::forget_object,
};

/// A place for repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationRow {
    /// Its name.
    pub name: String,
    /// Where it is, without secrets.
    pub url: String,
    /// The nearest has the least.
    pub position: i64,
    /// What belongs to it, as JSON; empty: nothing.
    pub settings: String,
    /// What its last test found, as JSON; empty: it was never tested.
    pub found: String,
}

/// Whether a copy is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has everything.
    Settled,
    /// It lacks something.
    Behind,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Behind => "behind",
        }
    }

    fn parse(text: &str) -> VaultResult<Self> {
        [Self::Settled, Self::Behind]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| VaultError::Damaged(format!("a copy stands as `{text}`, which means nothing")))
    }
}

/// How an owner's copy at a destination stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRow {
    /// The destination's name.
    pub destination: String,
    /// Whether it is complete.
    pub standing: Standing,
    /// Why it is not.
    pub reason: String,
    /// Since when, in microseconds.
    pub since: i64,
}

impl Vault {
    /// Adds a destination, or changes what belongs to it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_destination(&self, destination: &DestinationRow, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let DestinationRow { name, url, position, settings, found } = destination;
        let args = [
            Arg::Text(name),
            Arg::Text(url),
            Arg::Int(self.ambient.now().micros()),
            Arg::Int(*position),
            Arg::Text(settings),
            Arg::Text(found),
        ];
        let sql = "INSERT INTO destinations (name, url, since, position, settings, found) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET url = excluded.url, position = excluded.position, settings = excluded.settings, found = excluded.found";
        tx.execute(sql, &args).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Forgets a destination and how the copies there stood. What is there stays.
    ///
    /// # Errors
    /// The database fails.
    pub async fn remove_destination(&self, name: &str, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        tx.execute("DELETE FROM destinations WHERE name = $1", &[Arg::Text(name)]).await?;
        tx.execute("DELETE FROM copies WHERE destination = $1", &[Arg::Text(name)]).await?;
        tx.execute("DELETE FROM locks WHERE destination = $1", &[Arg::Text(name)]).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// All destinations, the nearest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn destinations(&self) -> VaultResult<Vec<DestinationRow>> {
        let mut tx = self.db.read().await?;
        let rows = tx.fetch("SELECT name, url, position, settings, found FROM destinations ORDER BY position, name", &[]).await?;
        let read = |mut row: Row| {
            Ok(DestinationRow { name: row.text(0)?, url: row.text(1)?, position: row.int(2)?, settings: row.text(3)?, found: row.text(4)? })
        };
        rows.into_iter().map(read).collect()
    }

    /// How the copies of an owner's repository stand, by destination.
    ///
    /// # Errors
    /// The database fails.
    pub async fn copies(&self, owner: Option<OwnerId>) -> VaultResult<Vec<CopyRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT destination, standing, reason, since FROM copies WHERE owner = $1 ORDER BY destination";
        let rows = tx.fetch(sql, &[Arg::Text(&owner_column(owner))]).await?;
        let read = |mut row: Row| {
            Ok(CopyRow { destination: row.text(0)?, standing: Standing::parse(&row.text(1)?)?, reason: row.text(2)?, since: row.int(3)? })
        };
        rows.into_iter().map(read).collect()
    }

    /// Notes how copies stand, and that these runs of writers are over. Since when is kept while they stand as before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_copies(&self, owner: Option<OwnerId>, standings: &[(String, Standing, String)], ended: &[String]) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        for run in ended {
            tx.execute("DELETE FROM writes WHERE owner = $1 AND run = $2", &[Arg::Text(&owner), Arg::Text(run)]).await?;
        }
        let now = self.ambient.now().micros();
        let sql = "INSERT INTO copies (owner, destination, standing, reason, since) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (owner, destination) DO UPDATE SET since = CASE WHEN copies.standing = excluded.standing THEN copies.since ELSE excluded.since END, standing = excluded.standing, reason = excluded.reason";
        for (destination, standing, reason) in standings {
            let args = [Arg::Text(&owner), Arg::Text(destination), Arg::Text(standing.as_str()), Arg::Text(reason), Arg::Int(now)];
            tx.execute(sql, &args).await?;
        }
        tx.commit().await
    }

    /// Notes that a run begins to write to several destinations.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin_writes(&self, owner: Option<OwnerId>, run: &str, holder: &str) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        let args = [Arg::Text(&owner), Arg::Text(run), Arg::Text(holder), Arg::Int(self.ambient.now().micros())];
        tx.execute("INSERT INTO writes (owner, run, holder, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", &args).await?;
        tx.commit().await
    }

    /// The runs that began to write and have not said how they ended: each with its holder and since when (microseconds).
    ///
    /// # Errors
    /// The database fails.
    pub async fn open_writes(&self, owner: Option<OwnerId>) -> VaultResult<Vec<(String, String, i64)>> {
        let mut tx = self.db.read().await?;
        let rows =
            tx.fetch("SELECT run, holder, since FROM writes WHERE owner = $1 ORDER BY run", &[Arg::Text(&owner_column(owner))]).await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.text(1)?, row.int(2)?))).collect()
    }

    /// Notes that an object is to be gone everywhere.
    ///
    /// # Errors
    /// The database fails.
    pub async fn condemn(&self, owner: Option<OwnerId>, name: &str) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        let args = [Arg::Text(&owner), Arg::Text(name), Arg::Int(self.ambient.now().micros())];
        tx.execute("INSERT INTO condemned (owner, name, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", &args).await?;
        forget_object(&mut tx, &owner, name).await?;
        tx.commit().await
    }

    /// Takes that back: an object of this name is written again.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pardon(&self, owner: Option<OwnerId>, name: &str) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        tx.execute("DELETE FROM condemned WHERE owner = $1 AND name = $2", &[Arg::Text(&owner), Arg::Text(name)]).await?;
        tx.commit().await
    }

    /// Whether an object is to be gone everywhere.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_condemned(&self, owner: Option<OwnerId>, name: &str) -> VaultResult<bool> {
        let mut tx = self.db.read().await?;
        let owner = owner_column(owner);
        let sql = "SELECT name FROM condemned WHERE owner = $1 AND name = $2";
        Ok(tx.fetch_one(sql, &[Arg::Text(&owner), Arg::Text(name)]).await?.is_some())
    }

    /// Those of the objects that are to be gone everywhere that were condemned within so many microseconds.
    ///
    /// # Errors
    /// The database fails.
    pub async fn condemned_lately(&self, owner: Option<OwnerId>, micros: i64) -> VaultResult<Vec<String>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner_column(owner)), Arg::Int(self.ambient.now().micros() - micros)];
        let rows = tx.fetch("SELECT name FROM condemned WHERE owner = $1 AND at >= $2", &args).await?;
        rows.into_iter().map(|mut row| row.text(0)).collect()
    }

    /// The objects of an owner that are to be gone everywhere.
    ///
    /// # Errors
    /// The database fails.
    pub async fn condemned(&self, owner: Option<OwnerId>) -> VaultResult<Vec<String>> {
        let mut tx = self.db.read().await?;
        let rows = tx.fetch("SELECT name FROM condemned WHERE owner = $1", &[Arg::Text(&owner_column(owner))]).await?;
        rows.into_iter().map(|mut row| row.text(0)).collect()
    }
}
