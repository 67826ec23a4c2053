//! Exports that were begun: whoever is killed in one goes on where it stood.

use keepsake_record::OwnerId;

use crate::{
    AuditEntry, Vault, VaultResult,
    db::{Arg, Row},
    shares::end_shares,
};

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Its id.
    pub id: String,
    /// When it was begun, in microseconds.
    pub began: i64,
    /// What its writer notes of it.
    pub record: String,
}

impl Vault {
    /// Notes where an export stands.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_export(&self, owner: OwnerId, row: &ExportRow) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner.to_string();
        let args = [Arg::Text(&owner), Arg::Text(&row.id), Arg::Int(row.began), Arg::Text(&row.record)];
        let sql = "INSERT INTO exports (owner, id, began, record) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, id) DO UPDATE SET began = excluded.began, record = excluded.record";
        tx.execute(sql, &args).await?;
        tx.commit().await
    }

    /// An owner's exports, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn exports(&self, owner: OwnerId) -> VaultResult<Vec<ExportRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT id, began, record FROM exports WHERE owner = $1 ORDER BY began, id";
        let rows = tx.fetch(sql, &[Arg::Text(&owner.to_string())]).await?;
        rows.into_iter().map(|mut row: Row| Ok(ExportRow { id: row.text(0)?, began: row.int(1)?, record: row.text(2)? })).collect()
    }

    /// Forgets an export, and ends its shares.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_export(&self, owner: OwnerId, id: &str, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        end_shares(&mut tx, &owner.to_string(), id).await?;
        tx.execute("DELETE FROM exports WHERE owner = $1 AND id = $2", &[Arg::Text(&owner.to_string()), Arg::Text(id)]).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }
}
