//! Which memories an export takes, and what else belongs to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_record::{Entity, Memory};
use serde::Deserialize;

use crate::filter::Chosen;

/// Which memories are taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection(pub Option<Arc<Chosen>>);

impl Selection {
    /// Whether it takes a memory.
    ///
    /// # Errors
    /// Why the record is none.
    pub fn takes(&self, record: &str) -> Result<bool, String> {
        let Some(chosen) = &self.0 else { return Ok(true) };
        let memory = Memory::from_line(record.as_bytes()).map_err(|e| e.to_string())?;
        Ok(chosen.takes(&memory))
    }
}

/// What memories that were selected name. Consents and insights are about all memories, and do not belong to some.
#[derive(Debug, Clone, Default)]
pub(super) struct Selected {
    named: BTreeSet<(&'static str, String)>,
}

impl Selected {
    pub fn note(&mut self, memory: &Memory) {
        let mut add = |entity: Entity, id: String| {
            self.named.insert((entity.as_str(), id));
        };
        memory.tags.iter().for_each(|tag| add(Entity::Tag, tag.to_string()));
        memory.people.iter().for_each(|id| add(Entity::Person, id.to_string()));
        memory.place.iter().for_each(|id| add(Entity::Place, id.to_string()));
        memory.collections.iter().for_each(|member| add(Entity::Collection, member.collection.to_string()));
    }

    /// Takes the collections, too, that those which they name are inside.
    pub fn note_parents(&mut self, collections: &BTreeMap<String, String>) {
        #[derive(Deserialize)]
        struct Inside {
            parent: Option<String>,
        }
        let mut waiting: Vec<String> = collections.keys().filter(|id| self.names(Entity::Collection, id)).cloned().collect();
        while let Some(id) = waiting.pop() {
            let inside = collections.get(&id).and_then(|record| serde_json::from_str::<Inside>(record).ok());
            if let Some(parent) = inside.and_then(|inside| inside.parent)
                && self.named.insert((Entity::Collection.as_str(), parent.clone()))
            {
                waiting.push(parent);
            }
        }
    }

    /// Whether one of them names a thing.
    pub fn names(&self, entity: Entity, id: &str) -> bool {
        self.named.contains(&(entity.as_str(), id.to_owned()))
    }
}
