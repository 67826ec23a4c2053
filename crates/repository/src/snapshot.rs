//! Snapshots: one restore point each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Id, RepositoryError, RepositoryResult};

/// A snapshot as restic stores it. What Keepsake says besides stands in tags, which survive every rewriting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was begun, RFC 3339.
    pub time: String,
    /// The snapshot it was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Id>,
    /// Its root tree.
    pub tree: Id,
    /// What was backed up.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub paths: Vec<String>,
    /// The machine, or a constant for virtual trees.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The user, or a constant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// User number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Group number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// What was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub excludes: Vec<String>,
    /// `key=value` words of ours, or anybody's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// The first snapshot whose metadata was rewritten into this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Id>,
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
    /// Counts of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<BTreeMap<String, Value>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Snapshot {
    /// What tells that two snapshots are the same one: everything but the ids of its relatives, save for its `original`.
    pub(crate) fn likeness(&self, original: Option<Id>) -> Vec<u8> {
        let bare = Self { parent: None, original, ..self.clone() };
        serde_json::to_vec(&bare).expect("plain strings and numbers")
    }

    /// A snapshot of a virtual tree, whose host and user are constants. The tree is filled in by the backup.
    pub fn new(time: String, path: &str, program_version: &str) -> Self {
        Self {
            time,
            parent: None,
            tree: Id::of(b""),
            paths: vec![path.into()],
            hostname: "keepsake".into(),
            username: "keepsake".into(),
            uid: 0,
            gid: 0,
            excludes: Vec::new(),
            tags: Vec::new(),
            original: None,
            program_version: program_version.into(),
            summary: None,
        }
    }

    pub(crate) fn read(id: Id, plain: &[u8]) -> RepositoryResult<Self> {
        serde_json::from_slice(plain).map_err(|e| RepositoryError::damaged(format!("snapshot {}", id.short()), e))
    }

    /// The value of a tag `key=value`.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='))
    }
}
