//! Insights: what a program computed over memories, with the memories it was computed from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{InsightId, Invalid, MemoryId, Timestamp};

/// Something derived from memories; when one of them is erased, it goes too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Insight {
    /// When it was computed.
    pub at: Timestamp,
    /// The memories it was derived from, sorted.
    pub derived_from: Vec<MemoryId>,
    /// The id.
    pub id: InsightId,
    /// The series it belongs to; names its file in the bundle: 1 to 64 of `a-z 0-9 -`.
    pub name: String,
    /// What was found.
    pub value: Value,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Insight {
    /// Checks the name, which becomes a file's name.
    ///
    /// # Errors
    /// The name is empty, too long or has other characters.
    pub fn validate(&self) -> Result<(), Invalid> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&self.name.len()) && self.name.bytes().all(ok) {
            Ok(())
        } else {
            Err(Invalid::new("insight name", "needs 1 to 64 of a-z, 0-9 and -"))
        }
    }
}
