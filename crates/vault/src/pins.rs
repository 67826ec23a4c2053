//! Pins: snapshots that no rotation may forget; and the catalogue's rows of those that were forgotten.

use keepsake_record::OwnerId;

use crate::{
    AuditEntry, RepositoryRow, Vault, VaultResult,
    db::{Arg, Tx},
    ledger::owner_column,
    vault::put_fact,
};

/// A snapshot that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its id.
    pub snapshot: String,
    /// Why it stays.
    pub reason: String,
    /// Since when, in microseconds.
    pub at: i64,
}

/// A snapshot in its new form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// The id it had.
    pub old: String,
    /// The id it has.
    pub new: String,
    /// Its root tree, if that is another one than before.
    pub tree: Option<String>,
    /// Its tree of data, if that is another one than before.
    pub data_tree: Option<String>,
}

impl Vault {
    /// Pins a snapshot, or gives its pin another reason.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pin(&self, owner: OwnerId, pin: &Pin, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner.to_string();
        let args = [Arg::Text(&owner), Arg::Text(&pin.snapshot), Arg::Text(&pin.reason), Arg::Int(pin.at)];
        let sql = "INSERT INTO pins (owner, snapshot, reason, at) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, snapshot) DO UPDATE SET reason = excluded.reason, at = excluded.at";
        tx.execute(sql, &args).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Takes a pin off; `false`: there was none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unpin(&self, owner: OwnerId, snapshot: &str, entry: &AuditEntry) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let owner = owner.to_string();
        let args = [Arg::Text(&owner), Arg::Text(snapshot)];
        let gone = tx.execute("DELETE FROM pins WHERE owner = $1 AND snapshot = $2", &args).await? > 0;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// An owner's pins.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pins(&self, owner: OwnerId) -> VaultResult<Vec<Pin>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT snapshot, reason, at FROM pins WHERE owner = $1 ORDER BY snapshot";
        let rows = tx.fetch(sql, &[Arg::Text(&owner.to_string())]).await?;
        let read = |mut row: crate::db::Row| Ok(Pin { snapshot: row.text(0)?, reason: row.text(1)?, at: row.int(2)? });
        rows.into_iter().map(read).collect()
    }

    /// Strikes snapshots out of the catalogue, and their pins, with the audit entry of what forgets them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn strike_snapshots(&self, owner: Option<OwnerId>, snapshots: &[String], entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(owner);
        for snapshot in snapshots {
            let args = [Arg::Text(&owner), Arg::Text(snapshot)];
            tx.execute("DELETE FROM catalogue WHERE owner = $1 AND snapshot = $2", &args).await?;
            tx.execute("DELETE FROM pins WHERE owner = $1 AND snapshot = $2", &args).await?;
        }
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Puts snapshots that were made again in the places of the old ones: in the catalogue, as parents, and as pins.
    ///
    /// # Errors
    /// The database fails.
    pub async fn replace_snapshots(&self, owner: Option<OwnerId>, made: &[Remade], entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        put_in_place(&mut tx, &owner_column(owner), made).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Begins to use another generation of a repository: its row, the ids that its snapshots have, and a fact about the
    /// instance, all at once. `false`: another one than `old` is used by now, and nothing was changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn switch_repository(
        &self,
        old: &str,
        row: &RepositoryRow,
        made: &[Remade],
        fact: (&str, &str),
        entry: &AuditEntry,
    ) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let owner = owner_column(row.owner);
        let args = [
            Arg::Text(&owner),
            Arg::Text(&row.repository),
            Arg::Int(row.generation as i64),
            Arg::Text(&row.prefix),
            Arg::Blob(&row.password),
            Arg::Text(old),
        ];
        let sql =
            "UPDATE repositories SET repository = $2, generation = $3, prefix = $4, password = $5 WHERE owner = $1 AND repository = $6";
        if tx.execute(sql, &args).await? == 0 {
            return Ok(false);
        }
        put_in_place(&mut tx, &owner, made).await?;
        put_fact(&mut tx, fact.0, fact.1).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn put_in_place(tx: &mut Tx, owner: &str, made: &[Remade]) -> VaultResult<()> {
    for Remade { old, new, tree, data_tree } in made {
        let place = [Arg::Text(owner), Arg::Text(old), Arg::Text(new)];
        let row = [place.as_slice(), &[Arg::OptText(tree.as_deref()), Arg::OptText(data_tree.as_deref())]].concat();
        let sql = "UPDATE catalogue SET snapshot = $3, tree = COALESCE($4, tree), data_tree = COALESCE($5, data_tree) WHERE owner = $1 AND snapshot = $2";
        tx.execute(sql, &row).await?;
        tx.execute("UPDATE catalogue SET parent = $3 WHERE owner = $1 AND parent = $2", &place).await?;
        tx.execute("UPDATE pins SET snapshot = $3 WHERE owner = $1 AND snapshot = $2", &place).await?;
    }
    Ok(())
}
