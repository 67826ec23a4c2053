//! The head files of a bundle: what it is, whose it is, and where in its history it stands.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Entity, Invalid, OwnerId, Timestamp};

/// The version of the layout that this program writes.
pub const FORMAT_VERSION: u32 = 1;

/// `data/keepsake.json`: the first file to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// How many of each thing the bundle holds.
    pub counts: BTreeMap<String, u64>,
    /// Always `keepsake-bundle`.
    pub format: String,
    /// The version of the layout.
    pub format_version: u32,
    /// The oldest reader, by format version, that can read it without loss.
    pub min_reader: u32,
    /// Whose it is.
    pub owner: OwnerId,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Things of which there are few, with the name that headers and files count them by.
pub const SMALL: [(Entity, &str); 6] = [
    (Entity::Collection, "collections"),
    (Entity::Consent, "consents"),
    (Entity::Insight, "insights"),
    (Entity::Person, "people"),
    (Entity::Place, "places"),
    (Entity::Tag, "tags"),
];

impl Header {
    /// A header of this version.
    pub fn new(owner: OwnerId, counts: BTreeMap<String, u64>) -> Self {
        Self {
            counts,
            format: "keepsake-bundle".into(),
            format_version: FORMAT_VERSION,
            min_reader: FORMAT_VERSION,
            owner,
            extra: BTreeMap::new(),
        }
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// Not JSON, another format, or one that needs a newer reader.
    pub fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let header: Self = serde_json::from_slice(bytes).map_err(|e| Invalid::new("keepsake.json", e.to_string()))?;
        if header.format != "keepsake-bundle" {
            return Err(Invalid::new("keepsake.json", "is not the head of a Keepsake bundle"));
        }
        if header.min_reader > FORMAT_VERSION {
            let wanted = header.min_reader;
            return Err(Invalid::new(
                "keepsake.json",
                format!("needs a reader of format {wanted}; this one reads {FORMAT_VERSION}: update Keepsake"),
            ));
        }
        Ok(header)
    }
}

/// `history/history.json`: where the journal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The vault's line of history; another vault, or a restored one, has another.
    pub lineage: String,
    /// The mark of the last change.
    pub mark: String,
    /// The instant of the oldest change that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// The number of the last change; 0 before the first.
    pub seq: u64,
}
