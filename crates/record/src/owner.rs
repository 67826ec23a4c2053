//! Owners: whose memories.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, OwnerId, Timestamp, Zone};

/// What an owner chose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerSettings {
    /// The language to show, BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How long deleted memories wait in the trash, in days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash_days: Option<u32>,
    /// The zone in which times without one are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Somebody whose memories are kept, each with a journal and a repository of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// When this owner was made.
    pub created: Timestamp,
    /// The id.
    pub id: OwnerId,
    /// The name to show and to give to `--owner`: 1 to 100 characters, no control characters.
    pub name: String,
    /// What they chose.
    #[serde(default)]
    pub settings: OwnerSettings,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Owner {
    /// Checks the name.
    ///
    /// # Errors
    /// The name is empty, too long or has control characters.
    pub fn validate(&self) -> Result<(), Invalid> {
        let count = self.name.chars().count();
        if (1..=100).contains(&count) && !self.name.chars().any(char::is_control) && self.name.trim() == self.name {
            Ok(())
        } else {
            Err(Invalid::new("owner name", "needs 1 to 100 characters, no control characters, no space at the ends"))
        }
    }
}
