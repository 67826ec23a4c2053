//! What an importer makes of one item.

use std::collections::BTreeMap;

use keepsake_record::{Memory, MemoryId, Place, Sha256Digest, Source, TITLE_MAX_CHARS};

use serde_json::{Map, Value};

use super::ReadOptions;

/// A collection that an item says it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectionDraft {
    /// Its name.
    pub name: String,
    /// What the source calls it.
    pub kind: &'static str,
}

/// What a source says of a collection itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionDetail {
    /// Its name, as items say it.
    pub name: String,
    /// What the source calls it.
    pub kind: &'static str,
    /// What it is about.
    pub description: Option<String>,
    /// Whatever else the source says of it.
    pub custom: BTreeMap<String, Value>,
}

/// A file that belongs to an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftFile {
    /// The key of the attachment that it is.
    pub key: String,
    /// Where it is in the input.
    pub path: String,
}

/// One item: a memory whose id, people and collections the taker fills in, and whose files it stores.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// File, and line or number where there are several in one, for people.
    pub origin: String,
    /// The memory, under a nil id.
    pub memory: Memory,
    /// The files of its attachments that are in the input.
    pub files: Vec<DraftFile>,
    /// The collections it is in.
    pub collections: Vec<CollectionDraft>,
    /// The names of the people in it.
    pub people: Vec<String>,
    /// The place it is tied to, under a nil id.
    pub place: Option<Place>,
}

impl Draft {
    /// An empty draft with its source identity.
    pub fn new(importer: &str, id: impl Into<String>, origin: impl Into<String>, digest: Sha256Digest, options: &ReadOptions) -> Self {
        let mut memory = Memory::new(MemoryId::from_bytes([0; 16]), options.now);
        memory.source = Some(Source {
            account: options.account.clone(),
            digest: Some(digest),
            edited: false,
            id: id.into(),
            importer: importer.into(),
        });
        Self { origin: origin.into(), memory, files: Vec::new(), collections: Vec::new(), people: Vec::new(), place: None }
    }
}

/// Sets a title, which has one line here; `false`: it had more or was too long, and is to be kept as it was, too.
pub(crate) fn set_title(memory: &mut Memory, title: &str) -> bool {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(TITLE_MAX_CHARS).collect();
    let is_whole = shown == title;
    memory.title = Some(shown).filter(|shown| !shown.is_empty());
    is_whole
}

/// A list that a field holds, taken out of the fields; a single object is a list of one, and anything else stays where it is.
pub(crate) fn take_list(fields: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match fields.remove(name) {
        Some(Value::Array(items)) => items,
        Some(one @ Value::Object(_)) => vec![one],
        Some(other) => {
            fields.insert(name.to_owned(), other);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Identifiers become attachment keys; whatever no key may hold is replaced.
pub(crate) fn key_of(identifier: &str) -> String {
    let key: String = identifier.chars().take(128).map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    if key.is_empty() { "-".into() } else { key }
}

/// A key for one more attachment, made of its file's name: its place in the list changes when an item is edited.
pub(crate) fn key_of_file(memory: &Memory, name: &str) -> String {
    let is_free = |key: &str| memory.attachments.iter().all(|attachment| attachment.key != key);
    let stem = key_of(name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    let mut key = stem.clone();
    let mut number = memory.attachments.len();
    // Another file may be called like this one with its number.
    while !is_free(&key) {
        number += 1;
        key = format!("{}-{number}", stem.chars().take(120).collect::<String>());
    }
    key
}

/// Takes the names of a list that can be tags, and leaves the other items where they were.
pub(crate) fn take_tags(fields: &mut Map<String, Value>, list: &str, is_tag: fn(&Value) -> bool, memory: &mut Memory) {
    let name = |item: &Value| item.get("name")?.as_str()?.parse().ok();
    let mut others = Vec::new();
    for item in take_list(fields, list) {
        match name(&item).filter(|_| is_tag(&item)) {
            Some(name) => {
                memory.tags.insert(name);
            }
            None => others.push(item),
        }
    }
    if !others.is_empty() {
        fields.insert(list.to_owned(), Value::Array(others));
    }
}

/// Something that was left out, or is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, and line where there is one.
    pub origin: String,
    /// What is wrong.
    pub reason: String,
}

impl Problem {
    pub(crate) fn new(origin: impl Into<String>, reason: impl ToString) -> Self {
        Self { origin: origin.into(), reason: reason.to_string() }
    }
}
