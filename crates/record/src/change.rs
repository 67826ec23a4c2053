//! One entry of an owner's journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each name says it")]
pub enum Entity {
    Owner,
    Memory,
    Collection,
    Person,
    Place,
    Tag,
    Consent,
    Insight,
}

impl Entity {
    /// The word used in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Memory => "memory",
            Self::Collection => "collection",
            Self::Person => "person",
            Self::Place => "place",
            Self::Tag => "tag",
            Self::Consent => "consent",
            Self::Insight => "insight",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Owner, Self::Memory, Self::Collection, Self::Person, Self::Place, Self::Tag, Self::Consent, Self::Insight]
            .into_iter()
            .find(|entity| entity.as_str() == word)
    }
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// It was made.
    Created,
    /// It was replaced by a new version.
    Edited,
    /// It went to the trash.
    Trashed,
    /// It came back from the trash.
    Untrashed,
    /// It left the trash for good.
    Deleted,
    /// It was erased: nothing of it remains.
    Erased,
}

impl Op {
    /// The word used in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Trashed => "trashed",
            Self::Untrashed => "untrashed",
            Self::Deleted => "deleted",
            Self::Erased => "erased",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Created, Self::Edited, Self::Trashed, Self::Untrashed, Self::Deleted, Self::Erased]
            .into_iter()
            .find(|op| op.as_str() == word)
    }
}

/// One change: who did what to which thing, when, and what was there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Who did it.
    pub actor: String,
    /// When; never before the change with the number below.
    pub at: Timestamp,
    /// The version that this change replaced; absent for creations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is about.
    pub entity: Entity,
    /// The id (or tag name) of that.
    pub id: String,
    /// Random, so that two histories that parted never look alike.
    pub mark: String,
    /// What happened.
    pub op: Op,
    /// The bundle paths below `data/` that the change touches (days by their path without ending).
    pub paths: Vec<String>,
    /// Its number in the owner's journal, from 1, without gaps.
    pub seq: u64,
}
