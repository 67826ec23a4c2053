//! The parts of an import: a draft with its files hashed, and the things that drafts name.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, mpsc::SyncSender},
};

use keepsake_formats::import::{CollectionDetail, Draft, Input, Problem, ReadError, Sink};
use keepsake_record::{
    Collection, Entity, Medium, Membership, Memory, OwnerId, Person, PersonId, Place, PlaceId, Sha256Digest, settle_text, settle_value,
};
use keepsake_vault::Write;
use serde_json::Value;

use crate::{
    Custody, CustodyError, CustodyResult, ImportMode, ImportOptions, ImportReport, Monitor,
    memories::{hash_file, hash_reader},
};

/// What a reader sends, on its way to the vault.
pub(crate) enum Message {
    Draft(Box<Draft>),
    About(CollectionDetail),
    Problem(Problem),
    PassedOver(String, String),
    Ended(Result<(), ReadError>),
}

pub(crate) struct ChannelSink(pub SyncSender<Message>);

impl Sink for ChannelSink {
    fn draft(&mut self, draft: Draft) -> Result<(), ReadError> {
        self.0.send(Message::Draft(Box::new(draft))).map_err(|_| ReadError::Stopped)
    }

    fn about(&mut self, detail: CollectionDetail) {
        drop(self.0.send(Message::About(detail)));
    }

    fn problem(&mut self, problem: Problem) {
        drop(self.0.send(Message::Problem(problem)));
    }

    fn passed_over(&mut self, path: &str, what: &str) {
        drop(self.0.send(Message::PassedOver(path.into(), what.into())));
    }
}

/// The collections, people and places that are here, and the ones that this import makes.
#[derive(Default)]
pub(crate) struct Known {
    pub collections: HashMap<(String, String), Collection>,
    pub people: HashMap<String, Person>,
    pub places: HashMap<String, Place>,
    /// What the source says of collections, for those that are made.
    pub details: HashMap<(String, String), CollectionDetail>,
}

impl Known {
    pub fn describe(&mut self, mut detail: CollectionDetail) {
        detail.name = settled_name(detail.name);
        detail.description.iter_mut().for_each(settle_text);
        detail.custom = settled_custom(detail.custom);
        self.details.insert((detail.name.clone(), detail.kind.to_owned()), detail);
    }
}

/// The most characters that a collection, a person or a place is called by.
const NAME_MAX_CHARS: usize = 500;

/// A name as it is kept: without U+0000, which the database does not take, and no longer than a name is.
fn settled_name(mut name: String) -> String {
    settle_text(&mut name);
    let end = name.char_indices().nth(NAME_MAX_CHARS).map(|(end, _)| end);
    if let Some(end) = end {
        name.truncate(end);
    }
    name
}

fn settled_custom(custom: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let settle = |(mut key, mut value): (String, Value)| {
        settle_text(&mut key);
        settle_value(&mut value);
        (key, value)
    };
    custom.into_iter().map(settle).collect()
}

fn settled_place(place: Place) -> Place {
    Place {
        area: place.area.map(settled_name),
        country: place.country.map(settled_name),
        custom: settled_custom(place.custom),
        locality: place.locality.map(settled_name),
        name: settled_name(place.name),
        ..place
    }
}

fn place_key(place: &Place) -> String {
    let position = place.position.map(|p| format!("{:.5},{:.5}", p.latitude, p.longitude)).unwrap_or_default();
    format!("{}\n{}\n{position}", place.name, place.locality.as_deref().unwrap_or_default())
}

pub(crate) struct Job<'a> {
    pub owner: OwnerId,
    pub input: Input,
    pub options: &'a ImportOptions,
    pub mode: ImportMode,
    pub monitor: Arc<dyn Monitor>,
    pub report: ImportReport,
    pub known: Known,
    /// The items of this run, by source key, with where they stood.
    pub seen: HashMap<Sha256Digest, String>,
}

pub(crate) struct PreparedFile {
    pub key: String,
    pub path: String,
    pub sha256: Sha256Digest,
    pub bytes: u64,
}

/// A draft whose files are hashed.
pub(crate) struct Prepared {
    pub key: Sha256Digest,
    pub draft: Draft,
    pub files: Vec<PreparedFile>,
    pub replaces: bool,
}

impl Job<'_> {
    pub fn problem(&mut self, origin: String, reason: String) {
        self.monitor.problem(&origin, &reason);
        self.report.problems.push((origin, reason));
    }

    /// Hashes the files of a draft: what an item is, is what it says and the bytes it brings.
    pub fn prepare(&mut self, mut draft: Draft) -> Option<Prepared> {
        let mut digests = Vec::new();
        let mut files = Vec::new();
        for file in std::mem::take(&mut draft.files) {
            let hashed = match self.input.on_disk(&file.path) {
                Some(path) => hash_file(&path),
                None => self
                    .input
                    .open_file(&file.path)
                    .map_err(CustodyError::from)
                    .and_then(|mut r| hash_reader(&mut r).map_err(CustodyError::io(Path::new(&file.path)))),
            };
            let attachment = draft.memory.attachments.iter_mut().find(|a| a.key == file.key);
            match (hashed, attachment) {
                (Ok((sha256, bytes)), Some(attachment)) => {
                    attachment.medium = Some(Medium { bytes, sha256 });
                    digests.extend_from_slice(file.key.as_bytes());
                    digests.extend_from_slice(sha256.as_bytes());
                    files.push(PreparedFile { key: file.key, path: file.path, sha256, bytes });
                }
                (Err(error), attachment) => {
                    if let Some(attachment) = attachment {
                        attachment.problem = Some(error.to_string());
                    }
                    self.problem(file.path, error.to_string());
                }
                (Ok(_), None) => self.problem(file.path, "belongs to nothing that was read".into()),
            }
        }
        let source = draft.memory.source.as_mut()?;
        if !digests.is_empty()
            && let Some(own) = source.digest
        {
            digests.extend_from_slice(own.as_bytes());
            source.digest = Some(Sha256Digest::of(&digests));
        }
        let key = source.key();
        Some(Prepared { key, draft, files, replaces: false })
    }
}

impl Custody {
    /// Reads the names that are here.
    pub(crate) async fn learn(&self, job: &mut Job<'_>) -> CustodyResult<()> {
        for collection in self.vault.entities::<Collection>(job.owner, Entity::Collection).await? {
            job.known.collections.insert((collection.name.clone(), collection.kind.clone().unwrap_or_default()), collection);
        }
        for person in self.vault.entities::<Person>(job.owner, Entity::Person).await? {
            job.known.people.insert(person.name.clone(), person);
        }
        for place in self.vault.entities::<Place>(job.owner, Entity::Place).await? {
            job.known.places.insert(place_key(&place), place);
        }
        Ok(())
    }

    /// Fills in the ids of collections, people and places, making those that are not here.
    pub(crate) async fn resolve(&self, write: &mut Write<'_>, known: &mut Known, draft: &mut Draft) -> CustodyResult<()> {
        for wanted in std::mem::take(&mut draft.collections) {
            let key = (settled_name(wanted.name), wanted.kind.to_owned());
            if !known.collections.contains_key(&key) {
                let mut collection = self.new_collection(&key.0, Some(wanted.kind));
                if let Some(detail) = known.details.remove(&key) {
                    (collection.description, collection.custom) = (detail.description, detail.custom);
                }
                write.put_entity(Entity::Collection, &collection.id.to_string(), &collection.name, &collection).await?;
                known.collections.insert(key.clone(), collection);
            }
            draft.memory.collections.push(Membership { collection: known.collections[&key].id, position: String::new() });
        }
        for name in std::mem::take(&mut draft.people).into_iter().map(settled_name) {
            if !known.people.contains_key(&name) {
                let person = Person {
                    aliases: Vec::new(),
                    born: None,
                    custom: BTreeMap::new(),
                    id: self.new_id(PersonId::from_parts),
                    name: name.clone(),
                    extra: BTreeMap::new(),
                };
                write.put_entity(Entity::Person, &person.id.to_string(), &name, &person).await?;
                known.people.insert(name.clone(), person);
            }
            draft.memory.people.insert(known.people[&name].id);
        }
        if let Some(place) = draft.place.take().map(settled_place) {
            let key = place_key(&place);
            if !known.places.contains_key(&key) {
                let place = Place { id: self.new_id(PlaceId::from_parts), ..place };
                write.put_entity(Entity::Place, &place.id.to_string(), &place.name, &place).await?;
                known.places.insert(key.clone(), place);
            }
            draft.memory.place = Some(known.places[&key].id);
        }
        Ok(())
    }
}

/// What its owner has done with a memory here stays when a newer item of its source replaces it: where it was put, and
/// originals that the source does not bring this time.
pub(crate) fn keep_what_is_here(memory: &mut Memory, old: Memory) {
    for attachment in memory.attachments.iter_mut().filter(|a| a.medium.is_none()) {
        if let Some(known) = old.attachments.iter().find(|a| a.key == attachment.key) {
            attachment.medium.clone_from(&known.medium);
        }
    }
    memory.collections.extend(old.collections);
    memory.settle();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_settled_and_cut() {
        assert_eq!(settled_name("a\0b".into()), "a\u{fffd}b");
        assert_eq!(settled_name("é".repeat(600)), "é".repeat(500));
        let custom = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), Value::from(value))]);
        assert_eq!(settled_custom(custom("k\0", "v\0")), custom("k\u{fffd}", "v\u{fffd}"));
    }
}
