//! Reading the small things: collections, people, places, tags, consents, insights.

use std::collections::HashMap;

use keepsake_record::{CollectionId, Entity, Membership, OwnerId};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Vault, VaultError, VaultResult, db::Arg};

impl Vault {
    /// All things of a kind, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn entities<T: DeserializeOwned>(&self, owner: OwnerId, entity: Entity) -> VaultResult<Vec<T>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(entity.as_str())];
        let rows = tx.fetch("SELECT record FROM entities WHERE owner = $1 AND entity = $2 ORDER BY name, id", &args).await?;
        rows.into_iter().map(|mut row| parse(entity, &row.text(0)?)).collect()
    }

    /// The things of a kind that have a name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn entities_named<T: DeserializeOwned>(&self, owner: OwnerId, entity: Entity, name: &str) -> VaultResult<Vec<T>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(entity.as_str()), Arg::Text(name)];
        let rows = tx.fetch("SELECT record FROM entities WHERE owner = $1 AND entity = $2 AND name = $3 ORDER BY id", &args).await?;
        rows.into_iter().map(|mut row| parse(entity, &row.text(0)?)).collect()
    }

    /// How many memories outside the trash each collection has. Reads all memories, in pages.
    ///
    /// # Errors
    /// The database fails.
    pub async fn collection_counts(&self, owner: OwnerId) -> VaultResult<HashMap<CollectionId, u64>> {
        let mut tx = self.db.read().await?;
        let (owner, mut after, mut counts) = (owner.to_string(), String::new(), HashMap::new());
        loop {
            let sql = "SELECT id, record FROM memories WHERE owner = $1 AND id > $2 AND trashed_at IS NULL ORDER BY id LIMIT 2000";
            let rows = tx.fetch(sql, &[Arg::Text(&owner), Arg::Text(&after)]).await?;
            if rows.is_empty() {
                return Ok(counts);
            }
            for mut row in rows {
                after = row.text(0)?;
                let member: Member =
                    serde_json::from_str(&row.text(1)?).map_err(|e| VaultError::Damaged(format!("a memory's record: {e}")))?;
                for membership in member.collections {
                    *counts.entry(membership.collection).or_default() += 1;
                }
            }
        }
    }
}

/// What of a memory's record is counted.
#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    collections: Vec<Membership>,
}

fn parse<T: DeserializeOwned>(entity: Entity, record: &str) -> VaultResult<T> {
    serde_json::from_str(record).map_err(|e| VaultError::Damaged(format!("a {}'s record: {e}", entity.as_str())))
}
