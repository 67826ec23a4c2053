//! Joplin's own export, as a JEX archive (TAR) or as the folder that it is of (RAW): a file an item, its fields below its text, and the files of
//! notes in `resources/`. Written after Joplin's own code; not verified on a genuine export.
//!
//! Notebooks inside others have the path of their names. Links to other notes (`:/ID`) stay as they are.

mod item;
mod links;

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Kind, Position, Provenance, Sha256Digest, Timestamp, When, Zone, canonical_line, settle_value};
use serde_json::{Map, Value, json};

use self::item::{Item, is_id, is_item, is_resource};
use super::{
    CollectionDraft, Draft, Input, InputFile, Problem, ReadError, ReadOptions, Sink, draft::set_title, front_matter::custom, markup,
};

/// So many files are looked at to find out whether they are items, and longer ones are not.
const LOOKED_AT: usize = 20;
const LOOKED_BYTES: u64 = 1 << 20;
/// Notebooks inside one another: more is a circle.
const DEPTH_MAX: usize = 64;
/// Whether most Markdown is items of Joplin.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> Result<bool, ReadError> {
    let items: Vec<&&InputFile> = files.iter().filter(|file| is_item(file)).collect();
    let notes = files.iter().filter(|file| file.ending() == "md").count();
    if items.is_empty() || items.len() * 2 < notes {
        return Ok(false);
    }
    let (mut looked, mut found) = (0, 0);
    for file in items.iter().filter(|file| file.bytes <= LOOKED_BYTES).take(LOOKED_AT) {
        looked += 1;
        found += usize::from(Item::read(&String::from_utf8_lossy(&input.whole(&file.path)?)).is_some());
    }
    Ok(found > 0 && found * 2 >= looked)
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let mut all = Everything {
        notes: Vec::new(),
        notebooks: BTreeMap::new(),
        tags: BTreeMap::new(),
        tagged: BTreeMap::new(),
        resources: BTreeMap::new(),
    };
    for file in files.iter().filter(|file| is_item(file)) {
        match input.whole(&file.path) {
            Ok(bytes) => all.learn(&String::from_utf8_lossy(&bytes), file, sink),
            Err(error) => sink.problem(Problem::new(&file.path, error)),
        }
    }
    let mut here: BTreeMap<String, String> = BTreeMap::new();
    for file in files.iter().filter(|file| is_resource(file)) {
        let stem = file.name().split('.').next().unwrap_or_default().to_ascii_lowercase();
        here.insert(stem, file.path.clone());
    }
    let mut used = BTreeSet::new();
    for path in std::mem::take(&mut all.notes) {
        let bytes = input.whole(&path)?;
        if let Some(item) = Item::read(&String::from_utf8_lossy(&bytes)) {
            Reader { all: &all, here: &here, used: &mut used, options }.note(item, &path, sink)?;
        }
    }
    for resource in all.resources.values().filter(|resource| !used.contains(&resource.path)) {
        sink.passed_over(&resource.path, "a file's description, which no note names");
    }
    for file in files.iter().filter(|file| !is_item(file) && !used.contains(&file.path)) {
        let is_hidden = file.path.split('/').any(|part| part.starts_with('.'));
        if is_resource(file) || is_hidden || !["md", "markdown"].contains(&file.ending().as_str()) {
            sink.passed_over(&file.path, if is_resource(file) { "no note names it" } else { "no item of Joplin" });
        } else {
            let reason = "is no item of Joplin and was left out: import it by itself with --format markdown";
            sink.problem(Problem::new(&file.path, reason));
        }
    }
    Ok(())
}

/// A notebook: its name, and the one it is in.
struct Notebook {
    name: String,
    parent: String,
}

/// What is said of a file.
struct Resource {
    path: String,
    name: String,
    fields: Map<String, Value>,
}

/// What notes refer to, by id; and where they are themselves.
struct Everything {
    notes: Vec<String>,
    notebooks: BTreeMap<String, Notebook>,
    tags: BTreeMap<String, String>,
    tagged: BTreeMap<String, Vec<String>>,
    resources: BTreeMap<String, Resource>,
}

impl Everything {
    fn learn(&mut self, text: &str, file: &InputFile, sink: &mut dyn Sink) {
        let Some(item) = Item::read(text) else {
            sink.problem(Problem::new(&file.path, "does not end with the fields of an item and was left out"));
            return;
        };
        let id = item.id(&file.path);
        if item.text("encryption_applied") == "1" {
            let reason = "is encrypted and was left out: switch encryption off in Joplin, or decrypt, and export again";
            sink.problem(Problem::new(&file.path, reason));
            return;
        }
        match item.kind {
            1 => self.notes.push(file.path.clone()),
            2 => {
                self.notebooks.insert(id, Notebook { parent: item.text("parent_id").to_owned(), name: item.title });
                sink.passed_over(&file.path, "a notebook, whose name its notes carry");
            }
            4 => {
                self.resources.insert(id, Resource { path: file.path.clone(), name: item.title, fields: item.fields });
            }
            5 => {
                self.tags.insert(id, item.title);
                sink.passed_over(&file.path, "a tag, which its notes carry");
            }
            6 => {
                let (note, tag) = (item.text("note_id").to_owned(), item.text("tag_id").to_owned());
                self.tagged.entry(note).or_default().push(tag);
                sink.passed_over(&file.path, "says which note has which tag");
            }
            13 => sink.passed_over(&file.path, "an older version of a note"),
            _ => sink.passed_over(&file.path, "what Joplin keeps for itself"),
        }
    }

    /// The path of a notebook's names, from the outermost on.
    fn path_of(&self, id: &str) -> Option<String> {
        let mut names = Vec::new();
        let mut at = self.notebooks.get(id);
        while let Some(notebook) = at.filter(|_| names.len() < DEPTH_MAX) {
            names.push(notebook.name.split_whitespace().collect::<Vec<_>>().join(" "));
            at = self.notebooks.get(&notebook.parent);
        }
        names.reverse();
        Some(names.join("/")).filter(|path| !path.is_empty())
    }

    /// The names of a note's tags.
    fn tags_of(&self, id: &str) -> BTreeSet<&str> {
        self.tagged.get(id).into_iter().flatten().filter_map(|tag| self.tags.get(tag)).map(String::as_str).collect()
    }
}

struct Reader<'a> {
    all: &'a Everything,
    /// Files of notes by id.
    here: &'a BTreeMap<String, String>,
    used: &'a mut BTreeSet<String>,
    options: &'a ReadOptions,
}

impl Reader<'_> {
    fn note(&mut self, item: Item, path: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let id = item.id(path);
        if !matches!(item.text("deleted_time"), "" | "0") {
            sink.passed_over(path, "a note in Joplin's trash");
            self.use_files(&item.body);
            return Ok(());
        }
        let mut draft = Draft::new("joplin", id.clone(), path, self.digest(&item, &id), self.options);
        draft.memory.kind = Kind::Note;
        let Item { title, body, mut fields, .. } = item;
        if !set_title(&mut draft.memory, &title) && !title.is_empty() {
            custom(&mut draft, "title".into(), title.into());
        }
        let parent = fields.get("parent_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(name) = self.all.path_of(&parent) {
            draft.collections.push(CollectionDraft { name, kind: "notebook" });
            fields.remove("parent_id");
        }
        for tag in self.all.tags_of(&id) {
            match tag.parse() {
                Ok(name) => drop(draft.memory.tags.insert(name)),
                Err(_) => sink.problem(Problem::new(path, format!("its tag `{}` is none here and was left out", tag.escape_debug()))),
            }
        }
        self.times(&mut fields, &mut draft, sink);
        position(&mut fields, &mut draft);
        self.text(body, &mut fields, &mut draft, sink);
        if fields.get("is_conflict").is_some_and(|value| value == "1") {
            sink.problem(Problem::new(path, "is a copy that Joplin made when a note was changed in two places; compare it with the note"));
        }
        for (field, value) in fields.into_iter().filter(|(field, value)| !is_usual(field, value)) {
            custom(&mut draft, field, value);
        }
        sink.draft(draft)
    }

    /// What a note says, with what others say of it.
    fn digest(&self, item: &Item, id: &str) -> Sha256Digest {
        let files = links::ids(&item.body).into_iter().filter_map(|id| self.all.resources.get(&id));
        let files: Vec<(&str, &Map<String, Value>)> = files.map(|resource| (resource.name.as_str(), &resource.fields)).collect();
        let mut whole = json!({
            "body": item.body,
            "fields": item.fields,
            "files": files,
            "notebook": self.all.path_of(item.text("parent_id")),
            "tags": self.all.tags_of(id),
            "title": item.title,
        });
        settle_value(&mut whole);
        Sha256Digest::of(&canonical_line(&whole))
    }

    fn times(&self, fields: &mut Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) {
        // What its owner set counts; what the program noted stays where it says something else.
        let mut time = |own: &str, noted: &str| {
            let of = |name: &str| time(fields.get(name)?.as_str()?);
            let (theirs, programs) = (of(own), of(noted));
            if theirs.is_some() {
                fields.remove(own);
            }
            if programs.is_some() && (theirs.is_none() || theirs == programs) {
                fields.remove(noted);
            }
            theirs.or(programs)
        };
        let (created, updated) = (time("user_created_time", "created_time"), time("user_updated_time", "updated_time"));
        match created.or(updated) {
            Some(at) => {
                draft.memory.created = at;
                draft.memory.modified = updated.unwrap_or(at);
                draft.memory.when = When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc));
            }
            None => sink.problem(Problem::new(&draft.origin, "has no readable time; it is kept without a date")),
        }
    }

    fn text(&mut self, body: String, fields: &mut Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) {
        let mut links = links::Links { resources: &self.all.resources, here: self.here, used: self.used, draft, sink };
        if fields.get("markup_language").is_some_and(|language| language == "2") {
            let (text, problem) = markup::convert(&body, &mut links);
            match problem {
                Some(problem) => {
                    sink.problem(Problem::new(&draft.origin, problem));
                    custom(draft, "body".into(), body.into());
                }
                None => drop(fields.remove("markup_language")),
            }
            draft.memory.text = text;
        } else {
            draft.memory.text = links.rewrite(&body);
        }
    }

    /// The files of a note that is passed over are accounted for with it.
    fn use_files(&mut self, body: &str) {
        for id in links::ids(body) {
            self.used.extend(self.here.get(&id).cloned());
            self.used.extend(self.all.resources.get(&id).map(|resource| resource.path.clone()));
        }
    }
}

/// An instant, as text or in milliseconds.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(millis) = text.parse::<i64>() {
        return Timestamp::from_micros(millis.checked_mul(1000)?).ok().filter(|at| at.micros() > 0);
    }
    text.parse().ok()
}

/// Takes where a note was made; what nobody knows is 0 degrees.
fn position(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let number = |name: &str| fields.get(name)?.as_str()?.parse::<f64>().ok();
    let (latitude, longitude, altitude) = (number("latitude"), number("longitude"), number("altitude"));
    let (Some(latitude), Some(longitude)) = (latitude, longitude) else { return };
    let is_known = latitude != 0.0 || longitude != 0.0;
    let Ok(mut position) = Position::new(latitude, longitude) else { return };
    position.altitude = altitude.filter(|metres| metres.is_finite() && *metres != 0.0);
    for field in ["latitude", "longitude"] {
        fields.remove(field);
    }
    if position.altitude.is_some() || altitude == Some(0.0) {
        fields.remove("altitude");
    }
    if is_known {
        draft.memory.position = Some(position);
        draft.memory.provenance.insert("position".into(), Provenance::Observed);
    }
}

/// What every note says, and what is said elsewhere.
fn is_usual(field: &str, value: &Value) -> bool {
    value == "" || value == "0" || matches!(field, "id" | "type_") || (field == "markup_language" && value == "1")
}
