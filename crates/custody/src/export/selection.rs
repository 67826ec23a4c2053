//! Which memories an export takes, and what else belongs to them.

use std::collections::BTreeSet;

use keepsake_record::{Entity, Memory};

use crate::{CustodyError, CustodyResult, filter::Chosen};

/// Which memories are taken.
#[derive(Debug, Default)]
pub(super) struct Selection(pub Option<Chosen>);

impl Selection {
    /// Whether it takes a memory.
    pub fn takes(&self, record: &str) -> CustodyResult<bool> {
        let Some(chosen) = &self.0 else { return Ok(true) };
        let memory = Memory::from_line(record.as_bytes()).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        Ok(chosen.takes(&memory))
    }
}

/// What memories that were selected name. Consents and insights are about all memories, and do not belong to some.
#[derive(Debug, Clone, Default)]
pub(super) struct Selected {
    pub memories: u64,
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
        self.memories += 1;
    }

    /// Whether one of them names a thing.
    pub fn names(&self, entity: Entity, id: &str) -> bool {
        self.named.contains(&(entity.as_str(), id.to_owned()))
    }
}
