//! What memories can be looked up by: people, places, collections and tags, each with a page.

use std::{collections::BTreeMap, io};

use keepsake_record::{Collection, Memory, Person, Place, Sha256Digest, TagName, layout};

use super::{
    Out,
    chain::{Chain, Step},
    frame::{Frame, count, up},
    index::{Index, entry},
};
use crate::markup::Markup;

/// So many memories stand on a page.
const PAGE: usize = 200;

/// A kind of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shelf {
    People,
    Places,
    Collections,
    Tags,
}

impl Shelf {
    pub const ALL: [Self; 4] = [Self::People, Self::Places, Self::Collections, Self::Tags];

    pub fn folder(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Places => "places",
            Self::Collections => "collections",
            Self::Tags => "tags",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::People => "People",
            Self::Places => "Places",
            Self::Collections => "Collections",
            Self::Tags => "Tags",
        }
    }

    pub fn one(self) -> &'static str {
        match self {
            Self::People => "person",
            Self::Places => "place",
            Self::Collections => "collection",
            Self::Tags => "tag",
        }
    }

    pub fn many(self) -> &'static str {
        self.folder()
    }

    /// The page of a thing: what it is called, and what tells it from others of that name.
    pub fn path(self, id: &str, name: &str) -> String {
        let digest = Sha256Digest::of(id.as_bytes()).to_string();
        format!("{}/{}-{}.html", self.folder(), layout::safe_stem(name), &digest[..12])
    }
}

/// A thing, and the memories that name it.
#[derive(Debug, Default)]
struct Thing {
    path: String,
    name: String,
    /// What is known of it, a line each.
    about: Vec<String>,
    /// What it is inside, by id.
    parent: Option<String>,
    /// Where each memory stands in its order, and the memory's number.
    members: Vec<(String, u32)>,
}

/// All things by kind and id.
#[derive(Debug, Default)]
pub(super) struct Shelves(BTreeMap<(Shelf, String), Thing>);

impl Shelves {
    fn add(&mut self, shelf: Shelf, id: &str, name: &str, about: Vec<String>, parent: Option<String>) {
        let thing = Thing { path: shelf.path(id, name), name: name.to_owned(), about, parent, members: Vec::new() };
        self.0.insert((shelf, id.to_owned()), thing);
    }

    pub fn add_person(&mut self, person: Person) {
        let aliases = (!person.aliases.is_empty()).then(|| format!("Also called {}", person.aliases.join(", ")));
        let born = person.born.as_ref().map(|born| format!("Born {}", born.as_str()));
        let about = aliases.into_iter().chain(born).chain(others(&person.custom)).collect();
        self.add(Shelf::People, &person.id.to_string(), &person.name, about, None);
    }

    pub fn add_place(&mut self, place: &Place, name: &str) {
        let position = place.position.map(|position| format!("{}, {}", position.latitude, position.longitude));
        let about = place.area.iter().cloned().chain(position).chain(others(&place.custom)).collect();
        self.add(Shelf::Places, &place.id.to_string(), name, about, None);
    }

    pub fn add_collection(&mut self, collection: Collection) {
        let about = collection.description.iter().cloned().chain(others(&collection.custom)).collect();
        let parent = collection.parent.map(|parent| parent.to_string());
        self.add(Shelf::Collections, &collection.id.to_string(), &collection.name, about, parent);
    }

    pub fn add_tag(&mut self, name: &TagName) {
        self.add(Shelf::Tags, name.as_str(), name.as_str(), Vec::new(), None);
    }

    /// Notes what a memory names.
    pub fn note(&mut self, memory: &Memory, number: u32) {
        let mut add = |shelf: Shelf, id: String, position: &str| {
            if let Some(thing) = self.0.get_mut(&(shelf, id)) {
                thing.members.push((position.to_owned(), number));
            }
        };
        memory.people.iter().for_each(|id| add(Shelf::People, id.to_string(), ""));
        memory.place.iter().for_each(|id| add(Shelf::Places, id.to_string(), ""));
        memory.collections.iter().for_each(|member| add(Shelf::Collections, member.collection.to_string(), &member.position));
        for tag in &memory.tags {
            if !self.0.contains_key(&(Shelf::Tags, tag.as_str().to_owned())) {
                self.add_tag(tag);
            }
            if let Some(thing) = self.0.get_mut(&(Shelf::Tags, tag.as_str().to_owned())) {
                thing.members.push((String::new(), number));
            }
        }
    }

    fn on(&self, shelf: Shelf) -> impl Iterator<Item = (&String, &Thing)> {
        self.0.range((shelf, String::new())..).take_while(move |((of, _), _)| *of == shelf).map(|((_, id), thing)| (id, thing))
    }

    /// How many things of each kind there are.
    pub fn counts(&self) -> Vec<(Shelf, usize)> {
        Shelf::ALL.map(|shelf| (shelf, self.on(shelf).count())).into()
    }

    /// Writes the pages of a kind, and the list of them.
    pub fn write(&mut self, shelf: Shelf, index: &mut Index, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        for ((of, _), thing) in &mut self.0 {
            if *of == shelf {
                thing.members.sort();
            }
        }
        let mut all: Vec<(&String, &Thing)> = self.on(shelf).collect();
        all.sort_by_cached_key(|(id, thing)| (thing.name.to_lowercase(), (*id).clone()));
        let mut body = Markup::default();
        body.words("h1", &[], shelf.title());
        if all.is_empty() {
            body.raw("<p>There are none.</p>");
        } else {
            body.raw("<ul class=\"list\">");
            for (_, thing) in &all {
                body.raw("<li>").words("a", &[("dir", "auto"), ("href", &format!("../{}", thing.path))], &thing.name).raw(" ");
                body.words("span", &[("class", "count")], &count(thing.members.len() as u64, "memory", "memories")).raw("</li>\n");
            }
            body.raw("</ul>");
        }
        frame.write(&Step { path: format!("{}/index.html", shelf.folder()), title: shelf.title().into() }, &body, None, None, out)?;
        let mut inside: BTreeMap<&str, Vec<&Thing>> = BTreeMap::new();
        for (_, thing) in &all {
            thing.parent.iter().for_each(|parent| inside.entry(parent).or_default().push(thing));
        }
        for (id, thing) in all {
            let mut chain = Chain::new("");
            chain.begin(&thing.path, &thing.name, frame, out)?;
            chain.add(&self.about(shelf, thing, inside.get(id.as_str()).map_or(&[], Vec::as_slice)));
            for members in thing.members.chunks(PAGE) {
                if members.first() != thing.members.first() {
                    chain.go_on(frame, out)?;
                }
                let mut list = Markup::default();
                list.raw("<ul class=\"list\">");
                for (_, number) in members {
                    list.append(&entry(&index.get(*number)?, &up(&thing.path)));
                }
                list.raw("</ul>");
                chain.add(&list);
            }
            chain.end(frame, out)?;
        }
        Ok(())
    }

    /// What is known of a thing, and what it is inside and around.
    fn about(&self, shelf: Shelf, thing: &Thing, inside: &[&Thing]) -> Markup {
        let mut about = Markup::default();
        for line in &thing.about {
            about.words("p", &[("dir", "auto")], line);
        }
        let mut lead = |words: &'static str, other: &Thing| {
            about.raw("<p>").raw(words).words("a", &[("dir", "auto"), ("href", &format!("../{}", other.path))], &other.name).raw("</p>");
        };
        if let Some(parent) = thing.parent.as_ref().and_then(|parent| self.0.get(&(shelf, parent.clone()))) {
            lead("Inside ", parent);
        }
        inside.iter().for_each(|other| lead("Holds ", other));
        about
    }
}

/// What somebody noted of a thing beside what has a name here.
fn others(custom: &BTreeMap<String, serde_json::Value>) -> impl Iterator<Item = String> {
    custom.iter().map(|(name, value)| format!("{name}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}
