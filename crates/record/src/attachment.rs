//! Attachments: the original files of a memory, each with its words and its part.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, Position, Sha256Digest, When};

/// What part an attachment plays in its memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentRole {
    /// An original like any other.
    #[default]
    Original,
    /// The film of a live photo.
    LiveVideo,
    /// The raw file of a photo that is here as JPEG too.
    Raw,
    /// Metadata of another attachment, such as an `.xmp` file.
    Sidecar,
    /// An edited copy of another attachment.
    Edited,
}

/// The original file itself: its digest names it everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Medium {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 over its bytes.
    pub sha256: Sha256Digest,
}

/// What the source says of a file that it did not bring: enough to recognise it when it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// MD5 in hexadecimal, where the source names files by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Where the source says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// One file of a memory.
///
/// - `key` is unique in the memory and never changes: inline links name it. 1 to 128 of `A-Z a-z 0-9 . _ -`.
/// - `medium` is absent only while the file itself has not arrived; then `expected` says what to look for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Words for those who cannot see or hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
    /// The camera or recorder that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// A caption to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// When it was taken, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<When>,
    /// Whatever else the source says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
    /// What the source says of a file that has not arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// Height in pixels as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Names it inside the memory.
    pub key: String,
    /// Its media type, such as `image/jpeg`.
    pub media_type: String,
    /// The file, once it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// The file's name at its source, without folders.
    pub name: String,
    /// EXIF orientation, 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
    /// The key of the attachment that this one belongs to (film, raw, sidecar, edited copy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What was wrong with it on arrival; its bytes are kept all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its part.
    #[serde(default)]
    pub role: AttachmentRole,
    /// Width in pixels as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Attachment {
    /// An attachment with a key, a file name and a media type, its file not yet here.
    pub fn new(key: impl Into<String>, name: impl Into<String>, media_type: impl Into<String>) -> Self {
        Self {
            alt: None,
            camera: None,
            caption: None,
            captured: None,
            custom: BTreeMap::new(),
            expected: None,
            height: None,
            key: key.into(),
            media_type: media_type.into(),
            medium: None,
            name: name.into(),
            orientation: None,
            of: None,
            position: None,
            problem: None,
            role: AttachmentRole::Original,
            width: None,
            extra: BTreeMap::new(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=128).contains(&self.key.len()) || !self.key.bytes().all(ok) {
            return Err(Invalid::new("attachment key", "needs 1 to 128 of A-Z, a-z, 0-9, `.`, `_` and `-`"));
        }
        if self.name.is_empty() || self.name.len() > 1024 || self.name.contains(['/', '\\', '\0']) {
            return Err(Invalid::new("attachment name", "needs 1 to 1,024 bytes and no folder"));
        }
        if self.media_type.len() > 128 || !self.media_type.contains('/') {
            return Err(Invalid::new("media type", "is not of the form type/subtype"));
        }
        if self.orientation.is_some_and(|o| !(1..=8).contains(&o)) {
            return Err(Invalid::new("orientation", "needs 1 to 8"));
        }
        self.position.as_ref().map_or(Ok(()), Position::validate)
    }
}
