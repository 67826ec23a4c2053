//! Albums: folders that a file of JSON says more of, in the language of the account (`metadata.json`, `Metadaten.json`, `métadonnées.json`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{names, sidecar};
use crate::import::{CollectionDetail, CollectionDraft};

/// What a file of JSON says of an album, by the folder that it is.
#[derive(Default)]
pub(super) struct Albums(BTreeMap<String, Map<String, Value>>);

impl Albums {
    /// What a file says, if it is an album: it has a title, and nothing that photos have.
    pub fn fields(value: Value) -> Option<Map<String, Value>> {
        let Value::Object(mut fields) = value else { return None };
        // So it was until 2018.
        if let Some(Value::Object(inner)) = fields.get_mut("albumData") {
            let inner = std::mem::take(inner);
            fields.remove("albumData");
            fields.extend(inner);
        }
        let is_photo = ["photoTakenTime", "creationTime", "imageViews"].iter().any(|field| fields.contains_key(*field));
        (fields.get("title").is_some_and(Value::is_string) && !is_photo).then_some(fields)
    }

    /// Notes an album; `false`: its folder was said to be one already.
    pub fn add(&mut self, folder: &str, fields: Map<String, Value>) -> bool {
        if self.0.contains_key(folder) {
            return false;
        }
        self.0.insert(folder.to_owned(), fields);
        true
    }

    /// The collections that folders are; those of years are none. Two albums of the same name are told apart by the names of their folders.
    pub fn collections(&self, folders: &BTreeSet<&str>) -> Collections {
        let mut found = Collections::default();
        let mut known = BTreeSet::new();
        for folder in folders.iter().copied() {
            let own = folder.rsplit('/').next().unwrap_or(folder).replace('\0', "\u{FFFD}");
            match self.0.get(folder) {
                Some(fields) => {
                    let said = fields.get("title").and_then(Value::as_str).map(|title| title.replace('\0', "\u{FFFD}"));
                    let said = said.filter(|title| !title.trim().is_empty() && title.len() <= 1000);
                    let names = said.into_iter().chain((!own.is_empty()).then(|| own.clone())).chain([folder.to_owned()]);
                    if let Some(name) = names.filter(|name| !name.is_empty()).find(|name| known.insert(name.clone())) {
                        found.details.push(detail(&name, fields));
                        found.by_folder.insert(folder.to_owned(), CollectionDraft { name, kind: "album" });
                    }
                }
                None if own.is_empty() || names::is_year(&own) => {}
                None => drop(found.by_folder.insert(folder.to_owned(), CollectionDraft { name: own, kind: "folder" })),
            }
        }
        found
    }
}

/// What folders are collections, and what is said of those.
#[derive(Default)]
pub(super) struct Collections {
    pub by_folder: BTreeMap<String, CollectionDraft>,
    pub details: Vec<CollectionDetail>,
}

/// Whether somebody wrote something of it.
pub(super) fn is_described(fields: &Map<String, Value>) -> bool {
    ["description", "enrichments", "sharedAlbumComments"]
        .iter()
        .any(|field| fields.get(*field).is_some_and(|value| !sidecar::is_empty(value)))
}

fn detail(name: &str, fields: &Map<String, Value>) -> CollectionDetail {
    let said = sidecar::settled(fields).into_iter().filter(|(_, value)| !sidecar::is_empty(value));
    let mut custom: BTreeMap<String, Value> = said.collect();
    let description = match custom.remove("description") {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            custom.insert("description".into(), other);
            None
        }
        None => None,
    };
    if custom.get("title").and_then(Value::as_str) == Some(name) {
        custom.remove("title");
    }
    CollectionDetail { name: name.to_owned(), kind: "album", description, custom }
}
