//! Owners, and where each one's history stands.

use std::collections::BTreeMap;

use keepsake_record::{Entity, Owner, OwnerId, Timestamp, canonical_line};

use crate::{
    AuditEntry, Vault, VaultError, VaultResult,
    db::{Arg, Row, Tx},
};

/// Where an owner's history stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// This vault's line of history for this owner.
    pub lineage: String,
    /// The number of the last change; 0 before the first.
    pub seq: u64,
    /// Its mark; empty before the first.
    pub mark: String,
    /// When the last change was.
    pub last_at: i64,
    /// Up to which change the search index has come.
    pub indexed_seq: u64,
    /// Memories that are not in the trash.
    pub memories: u64,
}

pub(crate) const HEAD: &str = "SELECT lineage, seq, mark, last_at, indexed_seq, memories FROM owners WHERE owner = $1";

pub(crate) fn head(mut row: Row) -> VaultResult<Head> {
    Ok(Head {
        lineage: row.text(0)?,
        seq: row.int(1)? as u64,
        mark: row.text(2)?,
        last_at: row.int(3)?,
        indexed_seq: row.int(4)? as u64,
        memories: row.int(5)? as u64,
    })
}

impl Vault {
    /// Makes an owner.
    ///
    /// # Errors
    /// The name or id is taken, or breaks a rule.
    pub async fn create_owner(&self, owner: &Owner, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        self.insert_owner(&mut tx, owner).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    async fn insert_owner(&self, tx: &mut Tx, owner: &Owner) -> VaultResult<()> {
        owner.validate()?;
        let same = [Arg::Text(&owner.name), Arg::Text(&owner.id.to_string())];
        if tx.fetch_one("SELECT owner FROM owners WHERE name = $1 OR owner = $2", &same).await?.is_some() {
            return Err(VaultError::Exists { what: "owner", name: owner.name.clone() });
        }
        let record = String::from_utf8(canonical_line(owner)).expect("JSON is UTF-8");
        let (id, lineage) = (owner.id.to_string(), self.random_hex(16));
        let args = [Arg::Text(&id), Arg::Text(&owner.name), Arg::Text(&record), Arg::Text(&lineage)];
        let sql = "INSERT INTO owners (owner, name, record, lineage, seq, mark, last_at, indexed_seq, memories) VALUES ($1, $2, $3, $4, 0, '', 0, 0, 0)";
        tx.execute(sql, &args).await?;
        Ok(())
    }

    /// Lets an owner who has no history yet take on the identity of a bundle.
    ///
    /// # Errors
    /// The owner has a history, or the new id or name belongs to somebody else.
    pub async fn adopt_owner(&self, old: OwnerId, owner: &Owner, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let old = old.to_string();
        let Some(row) = tx.fetch_one(HEAD, &[Arg::Text(&old)]).await? else { return Err(VaultError::not_found("owner", old)) };
        if head(row)?.seq > 0 {
            return Err(VaultError::Exists { what: "history of owner", name: old });
        }
        tx.execute("DELETE FROM owners WHERE owner = $1", &[Arg::Text(&old)]).await?;
        self.insert_owner(&mut tx, owner).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    /// All owners, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn owners(&self) -> VaultResult<Vec<Owner>> {
        let mut tx = self.db.read().await?;
        let rows = tx.fetch("SELECT record FROM owners ORDER BY name", &[]).await?;
        rows.into_iter().map(|mut row| read_owner(&row.text(0)?)).collect()
    }

    /// Where an owner's history stands now.
    ///
    /// # Errors
    /// There is no such owner.
    pub async fn head(&self, owner: OwnerId) -> VaultResult<Head> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        tx.fetch_one(HEAD, &[Arg::Text(&owner)]).await?.map_or_else(|| Err(VaultError::not_found("owner", owner)), head)
    }

    /// Begins a new line of history for an owner, as a vault that was restored or cloned must.
    ///
    /// # Errors
    /// The database fails.
    pub async fn new_lineage(&self, owner: OwnerId, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        tx.execute("UPDATE owners SET lineage = $2 WHERE owner = $1", &[Arg::Text(&owner.to_string()), Arg::Text(&self.random_hex(16))])
            .await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }
}

pub(crate) fn read_owner(record: &str) -> VaultResult<Owner> {
    serde_json::from_str(record).map_err(|e| VaultError::Damaged(format!("an owner's record: {e}")))
}

/// How many of each thing an owner has, for the head of the bundle.
pub(crate) async fn counts(tx: &mut Tx, owner: &str, memories: u64) -> VaultResult<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::from([("memories".to_owned(), memories)]);
    for mut row in tx.fetch("SELECT entity, COUNT(*) FROM entities WHERE owner = $1 GROUP BY entity", &[Arg::Text(owner)]).await? {
        counts.insert(plural(&row.text(0)?).to_owned(), row.int(1)? as u64);
    }
    Ok(counts)
}

fn plural(entity: &str) -> &str {
    match Entity::from_word(entity) {
        Some(Entity::Collection) => "collections",
        Some(Entity::Person) => "people",
        Some(Entity::Place) => "places",
        Some(Entity::Tag) => "tags",
        Some(Entity::Consent) => "consents",
        Some(Entity::Insight) => "insights",
        _ => "others",
    }
}

/// A stored time.
pub(crate) fn time(micros: i64) -> VaultResult<Timestamp> {
    Ok(Timestamp::from_micros(micros)?)
}
