//! Where a memory came from, so that the same import twice changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Sha256Digest};

/// The identity of an item at its source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Which account, journal or folder of that app; empty when there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// SHA-256 over the item as it was read: equal means that the source did not change since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256Digest>,
    /// Whether its owner changed it here since it was read: then a newer item of the source does not replace it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// The item's id there.
    pub id: String,
    /// The importer that read it, such as `dayone`.
    pub importer: String,
}

impl Source {
    /// What must be equal for two items to be the same one: importer, account and id.
    pub fn key(&self) -> Sha256Digest {
        let mut text = Vec::new();
        for part in [&self.importer, &self.account, &self.id] {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        Sha256Digest::of(&text)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let short = |text: &str| text.len() <= 1024;
        if self.importer.is_empty() || self.id.is_empty() || !short(&self.importer) || !short(&self.id) || !short(&self.account) {
            return Err(Invalid::new("source", "importer and id need 1 to 1,024 bytes, account at most 1,024"));
        }
        Ok(())
    }
}
