//! Which memories: one language for every verb that takes some of them.
//!
//! Terms that stand beside each other all hold; `or`, `not` and parentheses do what they say. `docs/DATA_EXPORT.md` has the table.

mod parsing;

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use keepsake_record::{Collection, Entity, Kind, LocalDay, Memory, MemoryId, Person, Place, Position, Sensitivity, Visibility, terms};
use keepsake_vault::AsOf;
use serde::de::DeserializeOwned;
use unicode_normalization::UnicodeNormalization;

use crate::{CustodyError, CustodyResult};

/// A condition as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    From(LocalDay),
    To(LocalDay),
    Undated,
    Starred,
    Kind(BTreeSet<String>),
    Visibility(BTreeSet<String>),
    Sensitivity(BTreeSet<String>),
    Tag(String),
    Collection(String),
    Person(String),
    Place(String),
    /// Within so many kilometres.
    Near(Position, f64),
    /// The terms of which each must be there.
    Text(BTreeSet<String>),
    Id(MemoryId),
}

/// A choice of memories.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    text: String,
    condition: Condition,
}

impl Filter {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it says how sensitive what it takes may be.
    pub(crate) fn names_sensitivity(&self) -> bool {
        fn names(condition: &Condition) -> bool {
            match condition {
                Condition::All(inside) | Condition::Any(inside) => inside.iter().any(names),
                Condition::Not(inside) => names(inside),
                Condition::Sensitivity(_) => true,
                _ => false,
            }
        }
        names(&self.condition)
    }
}

impl FromStr for Filter {
    type Err = CustodyError;

    fn from_str(text: &str) -> CustodyResult<Self> {
        Ok(Self { text: text.to_owned(), condition: parsing::parse(text)? })
    }
}

/// What the names in a filter stand for.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// By name in lower case: ids.
    collections: BTreeMap<String, BTreeSet<String>>,
    people: BTreeMap<String, BTreeSet<String>>,
    places: BTreeMap<String, BTreeSet<String>>,
    /// By id: where it is.
    positions: BTreeMap<String, Position>,
}

impl Named {
    /// All names of a state.
    pub async fn of(state: &mut AsOf) -> CustodyResult<Self> {
        let mut named = Self::default();
        for collection in read::<Collection>(state, Entity::Collection).await? {
            note(&mut named.collections, &collection.id.to_string(), [collection.name.as_str()]);
        }
        for person in read::<Person>(state, Entity::Person).await? {
            note(&mut named.people, &person.id.to_string(), std::iter::once(&person.name).chain(&person.aliases).map(String::as_str));
        }
        for place in read::<Place>(state, Entity::Place).await? {
            let id = place.id.to_string();
            let parts = [Some(&place.name), place.locality.as_ref(), place.area.as_ref(), place.country.as_ref()];
            note(&mut named.places, &id, parts.into_iter().flatten().map(String::as_str));
            if let Some(position) = place.position {
                named.positions.insert(id, position);
            }
        }
        Ok(named)
    }
}

async fn read<T: DeserializeOwned>(state: &mut AsOf, entity: Entity) -> CustodyResult<Vec<T>> {
    let records = state.things(entity).await?.into_values();
    let read = |record: String| serde_json::from_str(&record).map_err(|e| CustodyError::Damaged(format!("{}: {e}", entity.as_str())));
    records.map(read).collect()
}

fn note<'a>(into: &mut BTreeMap<String, BTreeSet<String>>, id: &'a str, names: impl IntoIterator<Item = &'a str>) {
    for name in names.into_iter().chain([id]) {
        into.entry(folded(name)).or_default().insert(id.to_owned());
    }
}

/// A filter that can be asked.
#[derive(Debug)]
pub(crate) struct Chosen {
    condition: Condition,
    named: Named,
    /// The tags that it names, each with whether a memory had it: there is no list of tags to ask.
    tags: Vec<(String, AtomicBool)>,
    /// Some of the tags that memories have, for whoever named another one.
    others: Mutex<BTreeSet<String>>,
}

/// So many names are told to somebody who wrote another one.
const TOLD: usize = 8;

impl Chosen {
    /// Checks that every name in a filter stands for something.
    ///
    /// # Errors
    /// One does not; the sentence says which there are.
    pub fn new(filter: &Filter, named: Named) -> CustodyResult<Self> {
        check(&filter.condition, &named)?;
        let mut tags = Vec::new();
        tags_in(&filter.condition, &mut tags);
        Ok(Self { condition: filter.condition.clone(), named, tags, others: Mutex::default() })
    }

    /// Whether it takes a memory.
    pub fn takes(&self, memory: &Memory) -> bool {
        for (name, is_seen) in &self.tags {
            if !is_seen.load(Ordering::Relaxed) && has_tag(memory, name) {
                is_seen.store(true, Ordering::Relaxed);
            }
        }
        if !self.tags.is_empty() && !memory.tags.is_empty() {
            let mut others = self.others.lock().expect("no holder panics");
            let room = TOLD.saturating_sub(others.len());
            others.extend(memory.tags.iter().map(ToString::to_string).take(room));
        }
        holds(&self.condition, &self.named, memory)
    }

    /// The days before and after which it takes nothing, as far as that can be told without looking. Where tags are named, every memory is
    /// looked at, so that it is known which of them are there.
    pub fn days(&self) -> (Option<LocalDay>, Option<LocalDay>) {
        let top = match &self.condition {
            _ if !self.tags.is_empty() => &[],
            Condition::All(inside) => inside.as_slice(),
            one => std::slice::from_ref(one),
        };
        let first = top.iter().filter_map(|condition| if let Condition::From(day) = condition { Some(*day) } else { None }).max();
        let last = top.iter().filter_map(|condition| if let Condition::To(day) = condition { Some(*day) } else { None }).min();
        (first, last)
    }

    /// Once it was asked about all memories: that each tag which it names is there, for `not tag:privat` would let out what is private.
    ///
    /// # Errors
    /// One is not.
    pub fn refuse_unknown_tags(&self) -> CustodyResult<()> {
        match self.tags.iter().find(|(_, is_seen)| !is_seen.load(Ordering::Relaxed)) {
            None => Ok(()),
            Some((name, _)) => {
                let others = self.others.lock().expect("no holder panics");
                let there = there_are(others.iter().map(String::as_str));
                Err(CustodyError::Usage(format!("the filter names the tag `{name}`, which no memory has; {there}")))
            }
        }
    }
}

fn tags_in(condition: &Condition, into: &mut Vec<(String, AtomicBool)>) {
    match condition {
        Condition::All(inside) | Condition::Any(inside) => inside.iter().for_each(|condition| tags_in(condition, into)),
        Condition::Not(inside) => tags_in(inside, into),
        Condition::Tag(name) => into.push((name.clone(), AtomicBool::new(false))),
        _ => {}
    }
}

fn there_are<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let some: Vec<&str> = names.take(TOLD).collect();
    if some.is_empty() { "there are none".to_owned() } else { format!("there are {} …", some.join(", ")) }
}

fn check(condition: &Condition, named: &Named) -> CustodyResult<()> {
    let known = |what: &str, name: &str, names: &BTreeMap<String, BTreeSet<String>>| {
        if names.contains_key(&folded(name)) {
            return Ok(());
        }
        // Ids are names, too, but nobody types them.
        let is_id = |name: &&String| names[*name].contains(*name);
        let there = there_are(names.keys().filter(|name| !is_id(name)).map(String::as_str));
        Err(CustodyError::Usage(format!("the filter names the {what} `{name}`, which is not there; {there}")))
    };
    match condition {
        Condition::All(inside) | Condition::Any(inside) => inside.iter().try_for_each(|condition| check(condition, named)),
        Condition::Not(inside) => check(inside, named),
        Condition::Collection(name) => known("collection", name, &named.collections),
        Condition::Person(name) => known("person", name, &named.people),
        Condition::Place(name) => known("place", name, &named.places),
        _ => Ok(()),
    }
}

fn holds(condition: &Condition, named: &Named, memory: &Memory) -> bool {
    let stands_for =
        |names: &BTreeMap<String, BTreeSet<String>>, name: &str, id: &str| names.get(&folded(name)).is_some_and(|ids| ids.contains(id));
    match condition {
        Condition::All(inside) => inside.iter().all(|condition| holds(condition, named, memory)),
        Condition::Any(inside) => inside.iter().any(|condition| holds(condition, named, memory)),
        Condition::Not(inside) => !holds(inside, named, memory),
        Condition::From(first) => day_of(memory).is_some_and(|day| day >= *first),
        Condition::To(last) => day_of(memory).is_some_and(|day| day <= *last),
        Condition::Undated => day_of(memory).is_none(),
        Condition::Starred => memory.starred,
        Condition::Kind(kinds) => kinds.contains(&word(&memory.kind)),
        Condition::Visibility(words) => words.contains(&word(&memory.visibility)),
        Condition::Sensitivity(words) => words.contains(&word(&memory.sensitivity)),
        Condition::Tag(name) => has_tag(memory, name),
        Condition::Collection(name) => {
            memory.collections.iter().any(|member| stands_for(&named.collections, name, &member.collection.to_string()))
        }
        Condition::Person(name) => memory.people.iter().any(|id| stands_for(&named.people, name, &id.to_string())),
        Condition::Place(name) => memory.place.as_ref().is_some_and(|id| stands_for(&named.places, name, &id.to_string())),
        Condition::Near(centre, kilometres) => {
            let of_place = memory.place.as_ref().and_then(|id| named.positions.get(&id.to_string()));
            let of_photos = memory.attachments.iter().filter_map(|attachment| attachment.position.as_ref());
            memory.position.iter().chain(of_place).chain(of_photos).any(|position| distance(centre, position) <= *kilometres)
        }
        Condition::Text(wanted) => {
            let words = terms(&format!("{} {}", memory.title.as_deref().unwrap_or_default(), memory.text));
            wanted.iter().all(|term| words.contains(term))
        }
        Condition::Id(id) => memory.id == *id,
    }
}

/// The day by which it is chosen: its own, or the first that its date may mean.
fn day_of(memory: &Memory) -> Option<LocalDay> {
    memory.when.day.or_else(|| memory.when.edtf.as_ref()?.earliest())
}

fn has_tag(memory: &Memory, name: &str) -> bool {
    memory.tags.iter().any(|tag| is_below(&folded(tag.as_str()), name))
}

/// A name as it is compared: composed, in lower case.
fn folded(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}

/// Whether a tag is another one or stands below it: `trip/2024` below `trip`.
fn is_below(tag: &str, above: &str) -> bool {
    tag.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The word by which a record names one of several.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The words that records know for a kind or a visibility.
fn words_of<T: serde::Serialize>(all: &[T]) -> BTreeSet<String> {
    all.iter().map(word).collect()
}

fn kinds() -> BTreeSet<String> {
    words_of(&[Kind::Entry, Kind::Note, Kind::Photo, Kind::Audio, Kind::Video, Kind::Document, Kind::Message])
}

fn sensitivities() -> BTreeSet<String> {
    words_of(&[Sensitivity::Normal, Sensitivity::Sensitive])
}

fn visibilities() -> BTreeSet<String> {
    words_of(&[Visibility::Private, Visibility::Shared, Visibility::Unlisted, Visibility::Public])
}

/// Kilometres between two points, on a sphere of the Earth's mean radius (haversine).
fn distance(a: &Position, b: &Position) -> f64 {
    let [from, to] = [a, b].map(|p| (p.latitude.to_radians(), p.longitude.to_radians()));
    let half = |difference: f64| (difference / 2.0).sin().powi(2);
    let chord = half(to.0 - from.0) + from.0.cos() * to.0.cos() * half(to.1 - from.1);
    2.0 * 6371.0088 * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests;
