//! What is known of the repositories: where they are, the catalogue of snapshots, the debt list.

use keepsake_record::OwnerId;

use crate::{
    AuditEntry, Vault, VaultResult,
    db::{Arg, Row, Tx},
};

/// An owner's repository, the same at every destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Whose; `None`: the system repository.
    pub owner: Option<OwnerId>,
    /// The repository's id.
    pub repository: String,
    /// Which master key: re-encryption makes the next.
    pub generation: u64,
    /// Where below the destination it is.
    pub prefix: String,
    /// Its password, sealed with the instance key.
    pub password: Vec<u8>,
}

/// A snapshot of a bundle, as it was recorded when it was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the columns of the catalogue; each name says it")]
pub struct CatalogueRow {
    pub snapshot: String,
    pub tree: String,
    pub data_tree: String,
    pub kind: String,
    pub parent: Option<String>,
    pub lineage: String,
    pub seq: u64,
    pub mark: String,
    pub layout: u32,
    pub at: i64,
    /// Paths that this backup could not write as they should be: what stands on it owes them.
    pub skipped: Vec<String>,
}

/// A path of the bundle that the last backup could not write as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Debt {
    /// The path.
    pub path: String,
    /// What was wrong.
    pub reason: String,
    /// Since when, in microseconds.
    pub since: i64,
}

pub(crate) fn owner_column(owner: Option<OwnerId>) -> String {
    owner.map(|o| o.to_string()).unwrap_or_default()
}

fn repository_row(mut row: Row) -> VaultResult<RepositoryRow> {
    let owner = row.text(0)?;
    Ok(RepositoryRow {
        owner: if owner.is_empty() { None } else { Some(owner.parse()?) },
        repository: row.text(1)?,
        generation: row.int(2)? as u64,
        prefix: row.text(3)?,
        password: row.blob(4)?,
    })
}

async fn catalogue_snapshot(tx: &mut Tx, owner: &str, row: &CatalogueRow) -> VaultResult<()> {
    let skipped = row.skipped.join("\n");
    let args = [
        Arg::Text(owner),
        Arg::Text(&row.snapshot),
        Arg::Text(&row.tree),
        Arg::Text(&row.data_tree),
        Arg::Text(&row.kind),
        Arg::OptText(row.parent.as_deref()),
        Arg::Text(&row.lineage),
        Arg::Int(row.seq as i64),
        Arg::Text(&row.mark),
        Arg::Int(row.layout.into()),
        Arg::Int(row.at),
        Arg::Text(&skipped),
    ];
    let sql = "INSERT INTO catalogue (owner, snapshot, tree, data_tree, kind, parent, lineage, seq, mark, layout, at, skipped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
    tx.execute(sql, &args).await.map(drop)
}

impl Vault {
    /// Records a new repository.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_repository(&self, row: &RepositoryRow, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(row.owner);
        let args = [
            Arg::Text(&owner),
            Arg::Text(&row.repository),
            Arg::Int(row.generation as i64),
            Arg::Text(&row.prefix),
            Arg::Blob(&row.password),
            Arg::Int(self.ambient.now().micros()),
        ];
        tx.execute(
            "INSERT INTO repositories (owner, repository, generation, prefix, password, since) VALUES ($1, $2, $3, $4, $5, $6)",
            &args,
        )
        .await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Takes note of a repository's new password.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_repository_password(&self, row: &RepositoryRow, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(row.owner);
        let args = [Arg::Text(&owner), Arg::Blob(&row.password)];
        tx.execute("UPDATE repositories SET password = $2 WHERE owner = $1", &args).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// The repository of an owner, or the system repository.
    ///
    /// # Errors
    /// The database fails.
    pub async fn repository(&self, owner: Option<OwnerId>) -> VaultResult<Option<RepositoryRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT owner, repository, generation, prefix, password FROM repositories WHERE owner = $1";
        tx.fetch_one(sql, &[Arg::Text(&owner_column(owner))]).await?.map(repository_row).transpose()
    }

    /// Records a snapshot and replaces the debt list, with the audit entry of the backup.
    ///
    /// # Errors
    /// The database fails.
    pub async fn record_snapshot(&self, owner: Option<OwnerId>, row: &CatalogueRow, debts: &[Debt], entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        catalogue_snapshot(&mut tx, &owner, row).await?;
        tx.execute("DELETE FROM debts WHERE owner = $1", &[Arg::Text(&owner)]).await?;
        let debts: Vec<Arg<'_>> =
            debts.iter().flat_map(|d| [Arg::Text(&owner), Arg::Text(&d.path), Arg::Text(&d.reason), Arg::Int(d.since)]).collect();
        tx.insert_many("debts (owner, path, reason, since)", 4, &debts, " ON CONFLICT DO NOTHING").await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Takes a snapshot into the catalogue that is not one of the vault: of a folder, or somebody else's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn adopt_snapshot(&self, owner: OwnerId, row: &CatalogueRow, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        catalogue_snapshot(&mut tx, &owner.to_string(), row).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// The recorded snapshots, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn catalogue(&self, owner: Option<OwnerId>) -> VaultResult<Vec<CatalogueRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT snapshot, tree, data_tree, kind, parent, lineage, seq, mark, layout, at, skipped FROM catalogue WHERE owner = $1 ORDER BY at, snapshot";
        let read = |mut row: Row| {
            Ok(CatalogueRow {
                snapshot: row.text(0)?,
                tree: row.text(1)?,
                data_tree: row.text(2)?,
                kind: row.text(3)?,
                parent: row.opt_text(4)?,
                lineage: row.text(5)?,
                seq: row.int(6)? as u64,
                mark: row.text(7)?,
                layout: row.int(8)? as u32,
                at: row.int(9)?,
                skipped: row.text(10)?.lines().map(str::to_owned).collect(),
            })
        };
        tx.fetch(sql, &[Arg::Text(&owner_column(owner))]).await?.into_iter().map(read).collect()
    }

    /// The paths that the last backup could not write as they should be.
    ///
    /// # Errors
    /// The database fails.
    pub async fn debts(&self, owner: OwnerId) -> VaultResult<Vec<Debt>> {
        let mut tx = self.db.read().await?;
        let rows =
            tx.fetch("SELECT path, reason, since FROM debts WHERE owner = $1 ORDER BY path", &[Arg::Text(&owner.to_string())]).await?;
        rows.into_iter().map(|mut row| Ok(Debt { path: row.text(0)?, reason: row.text(1)?, since: row.int(2)? })).collect()
    }
}
