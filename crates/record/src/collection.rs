//! Collections: albums, notebooks, journals. A memory says which it is in, and where in their order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CollectionId, Invalid};

/// A named set of memories with an order of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// Whatever else is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The id that memories refer to.
    pub id: CollectionId,
    /// What the source calls it: `journal`, `album`, `notebook`, `folder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name to show.
    pub name: String,
    /// The collection this one is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<CollectionId>,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// One memory's place in one collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The collection.
    pub collection: CollectionId,
    /// Sorts the members by bytes; a key between two others can always be made by appending. Empty: by time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub position: String,
}

impl Membership {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.position.len() <= 256 && self.position.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(())
        } else {
            Err(Invalid::new("collection position", "needs at most 256 ASCII letters and digits"))
        }
    }
}
