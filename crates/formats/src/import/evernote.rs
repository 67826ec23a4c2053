//! Evernote's exports (ENEX): an XML file a notebook, with the notes and, as base64, the files in them.
//!
//! A note has no id there; the second in which it was made is one together with its title. The file's name is the notebook's. Links to other
//! notes name ids that no export holds, and stay as they are.

mod enml;
mod files;
mod notes;

use std::collections::BTreeMap;

use keepsake_record::{
    Kind, Place as NamedPlace, PlaceId, Position, Provenance, Sha256Digest, Timestamp, When, Zone, canonical_line, settle_value,
};
use serde_json::{Map, Value};

use self::{
    enml::{Enml, Task},
    notes::Place,
};
use super::{
    CollectionDraft, Draft, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{set_title, take_list},
    front_matter::custom,
};

/// What an export begins with.
const MARK: &str = "<en-export";
/// So much of a file is looked at to find out whether it is an export.
const LOOKED_BYTES: u64 = 4096;
/// A title in an id is cut: ids have 1,024 bytes.
const TITLE_IN_ID: usize = 200;

/// Whether most files are exports of notebooks.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> Result<bool, ReadError> {
    let notebooks: Vec<&&InputFile> = files.iter().filter(|file| is_notebook(file, input)).collect();
    let Some(first) = notebooks.first().filter(|_| notebooks.len() * 2 >= files.len()) else { return Ok(false) };
    let mut head = Vec::new();
    let mut reader = std::io::Read::take(input.open_file(&first.path)?, LOOKED_BYTES);
    std::io::Read::read_to_end(&mut reader, &mut head).map_err(|source| ReadError::Io { path: first.path.clone(), source })?;
    Ok(String::from_utf8_lossy(&head).contains(MARK))
}

fn is_notebook(file: &InputFile, input: &Input) -> bool {
    file.ending() == "enex" || (input.is_single_file() && file.ending() == "xml")
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut made = BTreeMap::new();
    for file in input.files()? {
        if !is_notebook(&file, input) && !input.is_single_file() {
            sink.passed_over(&file.path, "no export of a notebook");
            continue;
        }
        let place = match input.place(&file.path) {
            Ok(place) => place,
            Err(error) => {
                sink.problem(Problem::new(&file.path, error));
                continue;
            }
        };
        let name = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem).to_owned();
        let mut notebook = Notebook { file: &file.path, name, made: &mut made, number: 0, options, sink };
        notes::read(&place, &file.path, &mut |note, places| notebook.take(note, places))?;
        if notebook.number == 0 {
            sink.problem(Problem::new(&file.path, "holds no note: this is no export of Evernote, or an empty one"));
        }
    }
    Ok(())
}

struct Notebook<'a> {
    file: &'a str,
    name: String,
    /// The notes that were made in a second under a title, with their notebooks: a copy in another notebook is another note.
    made: &'a mut BTreeMap<String, Vec<(Sha256Digest, String)>>,
    number: usize,
    options: &'a ReadOptions,
    sink: &'a mut dyn Sink,
}

impl Notebook<'_> {
    fn take(&mut self, note: notes::Note, places: &[Place]) -> Result<(), ReadError> {
        self.number += 1;
        let origin = format!("{}: note {}", self.file, self.number);
        match note {
            Ok(fields) => self.note(fields, places, &origin),
            Err(reason) => {
                self.sink.problem(Problem::new(origin, reason));
                Ok(())
            }
        }
    }

    fn note(&mut self, mut fields: Map<String, Value>, places: &[Place], origin: &str) -> Result<(), ReadError> {
        let mut settled = Value::Object(fields.clone());
        settle_value(&mut settled);
        let digest = Sha256Digest::of(&canonical_line(&settled));
        drop(settled);
        let Some(id) = self.id_of(&fields, digest) else {
            self.sink.passed_over(origin, "the same note once more");
            return Ok(());
        };
        let mut draft = Draft::new("evernote", id, origin, digest, self.options);
        draft.memory.kind = Kind::Note;
        draft.collections.push(CollectionDraft { name: self.name.clone(), kind: "notebook" });
        self.times(&mut fields, &mut draft);
        if let Some(Value::String(title)) = fields.remove("title")
            && !set_title(&mut draft.memory, &title)
        {
            custom(&mut draft, "title".into(), title.into());
        }
        tags(&mut fields, &mut draft);
        let mut page = Enml { tasks: tasks(&fields), ..Enml::default() };
        for resource in take_list(&mut fields, "resource") {
            files::add(resource, self.file, places, &mut page, &mut draft, self.sink);
        }
        self.text(&mut fields, page, &mut draft);
        if let Some(Value::Object(attributes)) = fields.remove("note-attributes") {
            self.attributes(attributes, &mut draft);
        }
        for (field, value) in fields {
            custom(&mut draft, field, value);
        }
        self.sink.draft(draft)
    }

    /// What a note is known by; `None`: it was read already, the same.
    fn id_of(&mut self, fields: &Map<String, Value>, digest: Sha256Digest) -> Option<String> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let title: String = text("title").split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE_IN_ID).collect();
        let id = format!("{} {title}", time(text("created")).map_or("undated".to_owned(), |at| at.to_string()));
        let made = self.made.entry(id.clone()).or_default();
        if made.iter().any(|(known, notebook)| *known == digest && *notebook == self.name) {
            return None;
        }
        made.push((digest, self.name.clone()));
        Some(if made.len() == 1 { id } else { format!("{id} {}", made.len()) })
    }

    fn times(&mut self, fields: &mut Map<String, Value>, draft: &mut Draft) {
        match take_time(fields, "created") {
            Some(at) => {
                (draft.memory.created, draft.memory.modified) = (at, at);
                draft.memory.when = self.when(at);
            }
            None => self.sink.problem(Problem::new(&draft.origin, "has no readable `created`; it is kept without a date")),
        }
        if let Some(at) = take_time(fields, "updated") {
            draft.memory.modified = at;
        }
    }

    fn when(&self, at: Timestamp) -> When {
        When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc))
    }

    fn text(&mut self, fields: &mut Map<String, Value>, mut page: Enml, draft: &mut Draft) {
        if let Some(Value::String(content)) = fields.get("content") {
            let (text, problem) = page.convert(content);
            draft.memory.text = text;
            match problem {
                // What the words alone do not say stays.
                Some(problem) => self.sink.problem(Problem::new(&draft.origin, problem)),
                None => drop(fields.remove("content")),
            }
        }
        // Tasks that the text has no place for stand below it.
        for (is_done, title) in std::mem::take(&mut page.tasks).into_values().flatten() {
            let mark = if is_done { 'x' } else { ' ' };
            let gap = if draft.memory.text.is_empty() { "" } else { "\n\n" };
            draft.memory.text.push_str(&format!("{gap}- [{mark}] {title}"));
        }
        files::expect(std::mem::take(&mut page.missing), draft, self.sink);
        if !page.encrypted.is_empty() {
            let reason = "holds a passage that Evernote encrypted, which is kept as it is: decrypt it in Evernote and export again to have its words";
            self.sink.problem(Problem::new(&draft.origin, reason));
            custom(draft, "en-crypt".into(), Value::Array(page.encrypted));
        }
    }

    /// Where and when and by whom: a field each.
    fn attributes(&mut self, mut attributes: Map<String, Value>, draft: &mut Draft) {
        if let Some(at) = take_time(&mut attributes, "subject-date") {
            draft.memory.when = self.when(at);
        }
        if let Some(position) = take_position(&mut attributes) {
            draft.memory.position = Some(position);
            draft.memory.provenance.insert("position".into(), Provenance::Observed);
        }
        if let Some(Value::String(name)) = attributes.get("place-name")
            && !name.is_empty()
        {
            draft.place = Some(NamedPlace {
                area: None,
                country: None,
                custom: BTreeMap::new(),
                id: PlaceId::from_bytes([0; 16]),
                locality: None,
                name: name.clone(),
                position: draft.memory.position,
                extra: BTreeMap::new(),
            });
            attributes.remove("place-name");
        }
        for (field, value) in attributes.into_iter().filter(|(_, value)| value != "") {
            custom(draft, field, value);
        }
    }
}

/// `20240129T203941Z`, as Evernote writes every time.
fn time(text: &str) -> Option<Timestamp> {
    let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let is_number = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(day, 8) || !is_number(clock, 6) {
        return None;
    }
    format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &clock[..2], &clock[2..4], &clock[4..]).parse().ok()
}

/// Takes a time that can be read out of the fields.
fn take_time(fields: &mut Map<String, Value>, name: &str) -> Option<Timestamp> {
    let at = time(fields.get(name)?.as_str()?)?;
    fields.remove(name);
    Some(at)
}

/// Takes a position that is on the Earth out of the fields.
fn take_position(fields: &mut Map<String, Value>) -> Option<Position> {
    let number = |name: &str| fields.get(name)?.as_str()?.parse::<f64>().ok();
    let (latitude, longitude, altitude) = (number("latitude")?, number("longitude")?, number("altitude"));
    let mut position = Position::new(latitude, longitude).ok()?;
    position.altitude = altitude.filter(|metres| metres.is_finite());
    fields.remove("latitude");
    fields.remove("longitude");
    if position.altitude.is_some() {
        fields.remove("altitude");
    }
    Some(position)
}

/// Takes the tags that can be tags.
fn tags(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let mut others = Vec::new();
    for tag in take_list(fields, "tag") {
        match tag.as_str().and_then(|name| name.parse().ok()) {
            Some(name) => drop(draft.memory.tags.insert(name)),
            None => others.push(tag),
        }
    }
    if !others.is_empty() {
        fields.insert("tag".into(), Value::Array(others));
    }
}

/// The tasks of a note by their group, in the order that Evernote shows them in. What else is said of them stays in the fields.
fn tasks(fields: &Map<String, Value>) -> BTreeMap<String, Vec<Task>> {
    let mut sorted: BTreeMap<String, Vec<(&str, Task)>> = BTreeMap::new();
    for task in fields.get("task").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
        let title = text("title").split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = (text("taskStatus") == "completed", title);
        sorted.entry(text("taskGroupNoteLevelID").to_owned()).or_default().push((text("sortWeight"), shown));
    }
    let in_order = |mut tasks: Vec<(&str, Task)>| {
        tasks.sort_by_key(|(weight, _)| *weight);
        tasks.into_iter().map(|(_, task)| task).collect()
    };
    sorted.into_iter().map(|(group, tasks)| (group, in_order(tasks))).collect()
}
