//! Consents: what the owner, or somebody in a memory, allowed or took back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ConsentId, PersonId, Timestamp};

/// Whether a consent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConsentState {
    /// It was given and stands.
    Given,
    /// It was taken back; that is never undone by a restore.
    Withdrawn,
}

/// One decision about one purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// When it was decided.
    pub at: Timestamp,
    /// The id.
    pub id: ConsentId,
    /// The person in the memories, when it is not the owner who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// What for, such as `insights` or `sharing`.
    pub purpose: String,
    /// Whether it stands.
    pub state: ConsentState,
    /// The wording that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}
