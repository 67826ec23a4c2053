//! Collections: make, list, fill.

use std::collections::BTreeMap;

use keepsake_record::{Collection, CollectionId, Entity, Membership, OwnerId};
use keepsake_vault::again;
use serde::Serialize;

use crate::{Custody, CustodyError, CustodyResult};

/// A collection with how many memories it has.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its source calls it.
    pub kind: Option<String>,
    /// Memories in it that are not in the trash.
    pub memories: u64,
}

impl Custody {
    /// Makes a collection.
    ///
    /// # Errors
    /// There is one of this name.
    pub async fn create_collection(&self, owner: OwnerId, name: &str) -> CustodyResult<Collection> {
        let work = async || {
            let name = name.trim();
            if name.is_empty() || name.chars().count() > 200 {
                return Err(CustodyError::Usage("a collection's name has 1 to 200 characters".into()));
            }
            if !self.vault.entities_named::<Collection>(owner, Entity::Collection, name).await?.is_empty() {
                return Err(CustodyError::Usage(format!("there is a collection `{name}` already")));
            }
            let collection = self.new_collection(name, None);
            let mut write = self.vault.write(owner, &self.actor).await?;
            write.put_entity(Entity::Collection, &collection.id.to_string(), &collection.name, &collection).await?;
            write.commit(&self.done(owner, "collection.create", collection.id)).await?;
            Ok(collection)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "collection.create", "", result).await
    }

    pub(crate) fn new_collection(&self, name: &str, kind: Option<&str>) -> Collection {
        Collection {
            custom: BTreeMap::new(),
            description: None,
            id: self.new_id(CollectionId::from_parts),
            kind: kind.map(str::to_owned),
            name: name.into(),
            parent: None,
            extra: BTreeMap::new(),
        }
    }

    /// All collections with the number of their memories.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn collections(&self, owner: OwnerId) -> CustodyResult<Vec<CollectionSummary>> {
        let result = async {
            let all = self.vault.entities::<Collection>(owner, Entity::Collection).await?;
            // Counting looks at every memory.
            let counts = if all.is_empty() { Default::default() } else { self.vault.collection_counts(owner).await? };
            let summary = |c: Collection| CollectionSummary {
                memories: counts.get(&c.id).copied().unwrap_or(0),
                id: c.id.to_string(),
                name: c.name,
                kind: c.kind,
            };
            Ok(all.into_iter().map(summary).collect())
        };
        let result = result.await;
        self.audited(Some(owner), "collection.list", "", result).await
    }

    /// The collection of a name or id.
    ///
    /// # Errors
    /// There is none.
    pub async fn collection(&self, owner: OwnerId, name: &str) -> CustodyResult<Collection> {
        let all = self.vault.entities::<Collection>(owner, Entity::Collection).await?;
        let found = all.into_iter().find(|c| c.name == name || c.id.to_string() == name);
        found.ok_or_else(|| CustodyError::Usage(format!("there is no collection `{name}`: `keepsake collection list` shows them")))
    }

    /// Puts a memory into a collection, or takes it out.
    ///
    /// # Errors
    /// One of them is not there.
    pub async fn set_membership(&self, owner: OwnerId, collection: &str, memory: &str, member: bool) -> CustodyResult<bool> {
        let verb = if member { "collection.add" } else { "collection.remove" };
        let work = async || {
            let collection = self.collection(owner, collection).await?;
            let mut row = self.memory(owner, memory).await?;
            row.memory.collections.retain(|m| m.collection != collection.id);
            if member {
                row.memory.collections.push(Membership { collection: collection.id, position: String::new() });
            }
            row.memory.settle();
            let mut write = self.vault.write(owner, &self.actor).await?;
            let changed = write.put_memory(&row.memory).await?;
            write.commit(&self.done(owner, verb, row.memory.id)).await?;
            Ok(changed)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), verb, memory, result).await
    }
}
