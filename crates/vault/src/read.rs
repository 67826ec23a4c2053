//! Reading the small things: collections, people, places, tags, consents, insights.

use keepsake_record::{Entity, OwnerId};
use serde::de::DeserializeOwned;

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
}

fn parse<T: DeserializeOwned>(entity: Entity, record: &str) -> VaultResult<T> {
    serde_json::from_str(record).map_err(|e| VaultError::Damaged(format!("a {}'s record: {e}", entity.as_str())))
}
