//! The memory itself.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Attachment, Invalid, Membership, MemoryId, PersonId, PlaceId, Position, Sha256Digest, Source, TagName, Timestamp, When, canonical_line,
    layout, settle_text, settle_value,
};

/// What sort of memory it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each name says it")]
pub enum Kind {
    #[default]
    Entry,
    Note,
    Photo,
    Audio,
    Video,
    Document,
    Message,
}

/// Who else may see it, in the product that shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Nobody but the owner.
    #[default]
    Private,
    /// People the owner chose.
    Shared,
    /// Those who have the link.
    Unlisted,
    /// Everybody.
    Public,
}

/// How careful everybody must be with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// As any memory.
    #[default]
    Normal,
    /// Left out of shared exports unless it is asked for.
    Sensitive,
}

/// Where a field's value comes from, as data protection law tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// The person gave it.
    Provided,
    /// A device or program recorded it.
    Observed,
    /// It was computed from other data.
    Derived,
}

/// What a person wants kept.
///
/// - Text is Markdown; it names attachments as `keepsake:attachment/KEY` and memories as `keepsake:memory/ID`.
/// - Attachment keys are unique; `of` names an attachment that exists.
/// - `people`, `tags` and `collections` are sorted and free of duplicates once settled.
/// - Title at most 1,000 characters, text at most 16 MiB, at most 1,000 attachments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Its original files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The collections it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<Membership>,
    /// When it was written down.
    pub created: Timestamp,
    /// Whatever else the source or the person says; what an importer cannot place is here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
    /// Its id.
    pub id: MemoryId,
    /// Its sort.
    #[serde(default)]
    pub kind: Kind,
    /// The language of its text, BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// When its content last changed, as its author or source says.
    pub modified: Timestamp,
    /// The people in it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<PersonId>,
    /// The place it is tied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceId>,
    /// The exact position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Where the values of its fields come from; a field that is not named was provided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provenance: BTreeMap<String, Provenance>,
    /// How careful to be with it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sensitivity: Sensitivity,
    /// What it is at its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Marked by its owner as dear.
    #[serde(default, skip_serializing_if = "is_default")]
    pub starred: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<TagName>,
    /// Its words, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who else may see it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub visibility: Visibility,
    /// When it happened.
    #[serde(default)]
    pub when: When,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The longest text, in bytes.
pub const TEXT_MAX_BYTES: usize = 16 << 20;
/// The longest title, in characters.
pub const TITLE_MAX_CHARS: usize = 1000;
/// The most attachments of one memory.
pub const ATTACHMENTS_MAX: usize = 1000;

impl Memory {
    /// An empty entry, made at an instant.
    pub fn new(id: MemoryId, created: Timestamp) -> Self {
        Self {
            attachments: Vec::new(),
            collections: Vec::new(),
            created,
            custom: BTreeMap::new(),
            id,
            kind: Kind::Entry,
            language: None,
            modified: created,
            people: BTreeSet::new(),
            place: None,
            position: None,
            provenance: BTreeMap::new(),
            sensitivity: Sensitivity::Normal,
            source: None,
            starred: false,
            tags: BTreeSet::new(),
            text: String::new(),
            title: None,
            visibility: Visibility::Private,
            when: When::default(),
            extra: BTreeMap::new(),
        }
    }

    /// Brings what came from outside into its one form: text without U+0000, sorted sets, exact numbers.
    pub fn settle(&mut self) {
        settle_text(&mut self.text);
        if let Some(title) = &mut self.title {
            settle_text(title);
        }
        self.title.take_if(|title| title.is_empty());
        self.collections.sort();
        self.collections.dedup_by(|a, b| a.collection == b.collection);
        self.custom.values_mut().chain(self.extra.values_mut()).for_each(settle_value);
        for attachment in &mut self.attachments {
            attachment.alt.iter_mut().chain(&mut attachment.caption).for_each(settle_text);
            attachment.custom.values_mut().for_each(settle_value);
        }
    }

    /// Checks every rule of the type.
    ///
    /// # Errors
    /// Names the first field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.text.len() > TEXT_MAX_BYTES {
            return Err(Invalid::new("text", "is longer than 16 MiB"));
        }
        if self.title.as_ref().is_some_and(|title| title.chars().count() > TITLE_MAX_CHARS) {
            return Err(Invalid::new("title", "is longer than 1,000 characters"));
        }
        if self.language.as_ref().is_some_and(|tag| !is_language(tag)) {
            return Err(Invalid::new("language", "is no BCP 47 tag such as `en` or `zh-Hant`"));
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            return Err(Invalid::new("attachments", "more than 1,000"));
        }
        let mut keys = BTreeSet::new();
        for attachment in &self.attachments {
            attachment.validate()?;
            if !keys.insert(attachment.key.as_str()) {
                return Err(Invalid::new("attachments", format!("two have the key `{}`", attachment.key)));
            }
        }
        if let Some(of) = self.attachments.iter().filter_map(|a| a.of.as_deref()).find(|of| !keys.contains(of)) {
            return Err(Invalid::new("attachments", format!("`of` names `{of}`, which is not there")));
        }
        self.collections.iter().try_for_each(Membership::validate)?;
        self.position.as_ref().map_or(Ok(()), Position::validate)?;
        self.source.as_ref().map_or(Ok(()), Source::validate)
    }

    /// Its canonical JSON line, without newline: the bytes that the vault keeps and the bundle holds.
    pub fn to_line(&self) -> Vec<u8> {
        canonical_line(self)
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// Not JSON, or not a memory.
    pub fn from_line(line: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(line).map_err(|error| Invalid::new("memory", error.to_string()))
    }

    /// The path of its day in the bundle.
    pub fn day_path(&self) -> layout::DayPath {
        layout::DayPath::new(self.when.day)
    }

    /// The bundle paths of its media that are here, with their digests, in the order of its attachments.
    pub fn media_paths(&self) -> Vec<(String, Sha256Digest)> {
        let here = self.attachments.iter().filter_map(|a| a.medium.as_ref().map(|m| (a, m)));
        here.map(|(a, m)| (layout::media_path(self.when.day, &a.name, &m.sha256), m.sha256)).collect()
    }
}

/// The shape of a BCP 47 tag (RFC 5646), without asking the registry.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let alphanumeric = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= 64 && (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic()) && parts.all(alphanumeric)
}
