//! Journey's export: a JSON file an entry, `ID.json`, with the photos, films and recordings of the entry beside it.
//!
//! Not verified on a genuine export: the fields are those that programs which read such exports name. Where Journey has no number it
//! writes the largest there is.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{
    ATTACHMENTS_MAX, Attachment, Expected, Place, PlaceId, Position, Sha256Digest, Timestamp, When, Zone, canonical_line, rewrite_links,
    settle_value,
};
use serde_json::{Map, Value};

use super::{
    Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink, draft::key_of_file, draft::take_list, front_matter::custom,
    html, media_type::media_type,
};

/// When an entry was: the first name that is there counts.
const DATES: [&str; 2] = ["date_journal", "dateOfJournal"];
const CHANGES: [&str; 2] = ["date_modified", "updatedAt"];
/// What entries have, and files of other programs have not.
const MARKS: [&str; 2] = ["\"date_journal\"", "\"dateOfJournal\""];
/// So many files are looked at to find out whether they are entries, and longer ones are not.
const LOOKED_AT: usize = 20;
const LOOKED_BYTES: u64 = 1 << 20;
/// Files that begin with an id belong to its entry if it is as long as Journey's.
const ID_BYTES: usize = 16;

/// Whether most files of JSON are entries.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> Result<bool, ReadError> {
    let is_short = |file: &&&InputFile| file.ending() == "json" && file.bytes <= LOOKED_BYTES;
    let (mut looked, mut entries) = (0, 0);
    for file in files.iter().filter(is_short).take(LOOKED_AT) {
        let text = input.whole(&file.path)?;
        let text = String::from_utf8_lossy(&text);
        looked += 1;
        // Whoever has a list of them has not Journey's own export.
        entries += usize::from(text.trim_start().starts_with('{') && MARKS.iter().any(|mark| text.contains(mark)));
    }
    Ok(entries > 0 && entries * 2 >= looked)
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let mut entries =
        Entries { here: files.iter().map(|file| file.path.as_str()).collect(), used: BTreeSet::new(), seen: BTreeMap::new(), options };
    let mut read = BTreeSet::new();
    for file in files.iter().filter(|file| file.ending() == "json") {
        let value = match input.whole(&file.path) {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes),
            Err(error) => {
                read.insert(file.path.as_str());
                sink.problem(Problem::new(&file.path, format!("{error}; it was left out")));
                continue;
            }
        };
        match value {
            Ok(Value::Object(fields)) if DATES.iter().any(|name| fields.contains_key(*name)) => {
                read.insert(file.path.as_str());
                entries.entry(fields, file, sink)?;
            }
            Ok(_) => {}
            Err(error) => {
                read.insert(file.path.as_str());
                let problem = format!("is not JSON and was left out: {error}; export from Journey again");
                sink.problem(Problem::new(format!("{}:{}", file.path, error.line()), problem));
            }
        }
    }
    for file in files.iter().filter(|file| !read.contains(file.path.as_str()) && !entries.used.contains(&file.path)) {
        sink.passed_over(&file.path, if file.name().starts_with('.') { "a file of the system" } else { "no entry names it" });
    }
    Ok(())
}

struct Entries<'a> {
    here: BTreeSet<&'a str>,
    used: BTreeSet<String>,
    /// What was read under an id.
    seen: BTreeMap<String, Vec<Sha256Digest>>,
    options: &'a ReadOptions,
}

impl Entries<'_> {
    fn entry(&mut self, mut fields: Map<String, Value>, file: &InputFile, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let path = &file.path;
        let mut settled = Value::Object(fields.clone());
        settle_value(&mut settled);
        let digest = Sha256Digest::of(&canonical_line(&settled));
        let stem = file.name().rsplit_once('.').map_or(file.name(), |(stem, _)| stem);
        let said = fields.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= 256).map(str::to_owned);
        let name = said.clone().unwrap_or_else(|| stem.chars().take(200).collect());
        let known = self.seen.entry(name.clone()).or_default();
        if known.contains(&digest) {
            sink.passed_over(path, "the same entry once more");
            return Ok(());
        }
        known.push(digest);
        let id = if known.len() == 1 { name.clone() } else { format!("{name} {}", known.len()) };
        let mut draft = Draft::new("journey", id, path, digest, self.options);
        if said.is_some() {
            fields.remove("id");
        }
        times(&mut fields, self.options, &mut draft, sink);
        let html_was = text(&mut fields, &mut draft, sink);
        tags(&mut fields, &mut draft);
        if let Some(Value::Bool(starred)) = fields.get("favourite") {
            draft.memory.starred = *starred;
            fields.remove("favourite");
        }
        place(&mut fields, &mut draft);
        self.media(&mut fields, &name, path, &mut draft, sink);
        draft.memory.text = link_media(&draft);
        if html_was {
            fields.remove("type");
        }
        for (field, mut value) in fields {
            drop_nothings(&mut value, DEPTH_MAX);
            let is_usual = ["mood", "sentiment"].contains(&field.as_str()) && value == 0;
            if !is_nothing(&value) && !is_usual {
                custom(&mut draft, field, value);
            }
        }
        sink.draft(draft)
    }

    /// The files that an entry lists, and those that bear its name.
    fn media(&mut self, fields: &mut Map<String, Value>, id: &str, entry: &str, draft: &mut Draft, sink: &mut dyn Sink) {
        let folder = entry.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let mut others = Vec::new();
        for item in take_list(fields, "photos") {
            let Some(name) = item.as_str().map(|name| name.rsplit(['/', '\\']).next().unwrap_or(name)).filter(|name| is_name(name)) else {
                sink.problem(Problem::new(entry, "a photo has no file name that can be used; what is said of it is kept"));
                others.push(item);
                continue;
            };
            let found = Some(format!("{folder}{name}")).filter(|path| self.here.contains(path.as_str()));
            self.attach(name, found, entry, draft, sink);
        }
        if !others.is_empty() {
            fields.insert("photos".into(), Value::Array(others));
        }
        // Journey's ids are long; a short one of somebody else's may be how other names begin.
        let prefix = format!("{folder}{id}-");
        let unlisted: Vec<String> = self
            .here
            .range(prefix.as_str()..)
            .take_while(|path| path.starts_with(&prefix))
            .filter(|path| id.len() >= ID_BYTES && !path.ends_with(".json") && !self.used.contains(**path))
            .map(|path| (*path).to_owned())
            .collect();
        for path in unlisted {
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            if is_name(&name) {
                self.attach(&name, Some(path), entry, draft, sink);
            }
        }
    }

    fn attach(&mut self, name: &str, found: Option<String>, entry: &str, draft: &mut Draft, sink: &mut dyn Sink) {
        if draft.memory.attachments.iter().any(|attachment| attachment.name == name) {
            return;
        }
        if draft.memory.attachments.len() >= ATTACHMENTS_MAX {
            self.used.extend(found);
            sink.problem(Problem::new(entry, format!("has more than 1,000 files; {name} is beyond them and was left out")));
            return;
        }
        let key = key_of_file(&draft.memory, name);
        let mut attachment = Attachment::new(key.clone(), name, media_type(name));
        match found {
            Some(path) => {
                self.used.insert(path.clone());
                draft.files.push(DraftFile { key, path });
            }
            None => {
                let reason = format!("its file {name} is not in the export; put it beside the entry and import again to add it");
                sink.problem(Problem::new(entry, reason));
                attachment.expected = Some(Expected { md5: None, path: Some(name.to_owned()) });
            }
        }
        draft.memory.attachments.push(attachment);
    }
}

fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.contains(['/', '\\', '\0'])
}

/// Milliseconds since 1970 as a number or as text, or RFC 3339.
fn instant(value: &Value) -> Option<Timestamp> {
    let millis = match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => return Some(at),
            Err(_) => text.parse::<i64>().ok()?,
        },
        // Some write 1.5e12; what does not fit is no time either way.
        other => other.as_i64().or_else(|| other.as_f64().map(|millis| millis as i64))?,
    };
    Timestamp::from_micros(millis.checked_mul(1000)?).ok().filter(|at| at.micros() != 0)
}

fn times(fields: &mut Map<String, Value>, options: &ReadOptions, draft: &mut Draft, sink: &mut dyn Sink) {
    let mut take = |names: [&str; 2]| {
        let (name, at) = names.iter().find_map(|name| Some((*name, instant(fields.get(*name)?)?)))?;
        fields.remove(name);
        Some(at)
    };
    let (at, changed) = (take(DATES), take(CHANGES));
    let zone = fields.get("timezone").and_then(Value::as_str).and_then(|zone| zone.parse::<Zone>().ok());
    match at {
        Some(at) => {
            if zone.is_some() {
                fields.remove("timezone");
            }
            draft.memory.created = at;
            draft.memory.when = When::instant(at, zone.or_else(|| options.zone.clone()).unwrap_or_else(Zone::utc));
        }
        None => sink.problem(Problem::new(&draft.origin, "has no readable `date_journal`; it is kept without a date")),
    }
    // An entry may be about a day after it was written, so that the change comes before.
    if let Some(at) = changed.or(at) {
        draft.memory.modified = at;
    }
}

/// The text as Markdown; answers whether it was HTML.
fn text(fields: &mut Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) -> bool {
    let Some(Value::String(text)) = fields.get("text").cloned() else { return false };
    fields.remove("text");
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let start = text.trim_start();
    let is_html = kind == "html" || (kind.is_empty() && start.starts_with('<') && start.contains("</"));
    // The beginning of the text once more, for lists.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let preview = fields.get("preview_text").and_then(Value::as_str).map(|preview| words(preview.trim_end_matches(['.', '…'])));
    if preview.is_some_and(|preview| words(&text).starts_with(&preview)) {
        fields.remove("preview_text");
    }
    draft.memory.text = if !is_html {
        text
    } else {
        html::to_markdown(&text).unwrap_or_else(|words| {
            let reason = "its HTML is nested too deep or too long to be read; its words are kept";
            sink.problem(Problem::new(&draft.origin, reason));
            words
        })
    };
    is_html
}

fn tags(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let mut others = Vec::new();
    for item in take_list(fields, "tags") {
        match item.as_str().and_then(|name| name.parse().ok()) {
            Some(name) => drop(draft.memory.tags.insert(name)),
            None => others.push(item),
        }
    }
    if !others.is_empty() {
        fields.insert("tags".into(), Value::Array(others));
    }
}

fn place(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let degrees = |name: &str| fields.get(name).and_then(Value::as_f64);
    // Where two oceans meet the equator nobody keeps a journal: zeros are a phone that did not know.
    let position = match (degrees("lat"), degrees("lon")) {
        (Some(latitude), Some(longitude)) if (latitude, longitude) != (0.0, 0.0) => Position::new(latitude, longitude).ok(),
        _ => None,
    };
    if position.is_some() {
        fields.remove("lat");
        fields.remove("lon");
        draft.memory.position = position;
    }
    if let Some(name) = fields.get("address").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty()) {
        let name = name.to_owned();
        fields.remove("address");
        draft.place = Some(Place {
            area: None,
            country: None,
            custom: BTreeMap::new(),
            id: PlaceId::from_bytes([0; 16]),
            locality: None,
            name,
            position,
            extra: BTreeMap::new(),
        });
    }
}

/// Pictures in the text that are files of the entry stand there as attachments.
fn link_media(draft: &Draft) -> String {
    rewrite_links(&draft.memory.text, |target| {
        let name = target.rsplit('/').next()?;
        let attachment = draft.memory.attachments.iter().find(|attachment| attachment.name == name)?;
        Some(format!("keepsake:attachment/{}", attachment.key))
    })
}

/// What is nested deeper than entries are is left as it is.
const DEPTH_MAX: usize = 16;

/// Takes out of objects what says nothing: the weather of an entry that has none is an object of such.
fn drop_nothings(value: &mut Value, depth: usize) {
    if let (Value::Object(fields), 1..) = (value, depth) {
        fields.values_mut().for_each(|value| drop_nothings(value, depth - 1));
        fields.retain(|name, value| !is_nothing(value) && (name != "id" || *value != -1));
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => number.as_f64().is_some_and(|number| number >= 1.797e308),
        Value::Bool(_) => false,
    }
}
