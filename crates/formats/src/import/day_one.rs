//! Day One's JSON export: one `JOURNAL.json` per journal, with the media in folders beside it, named by MD5.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{
    Attachment, Expected, PlaceId, Position, Provenance, Sha256Digest, Timestamp, When, Zone, canonical_line, rewrite_links,
};
use serde_json::{Map, Value};

use super::{
    CollectionDraft, Draft, DraftFile, Input, Problem, ReadError, ReadOptions, Sink, draft::key_of, front_matter::custom,
    media_type::media_type,
};

/// The lists of media of an entry: field, folder, and the media type where the item names none.
const MEDIA: [(&str, &str, &str); 4] =
    [("photos", "photos", "jpeg"), ("videos", "videos", "mp4"), ("audios", "audios", "m4a"), ("pdfAttachments", "pdfs", "pdf")];

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let journals: Vec<_> = files.iter().filter(|f| f.ending() == "json" && f.depth() == 0).collect();
    if journals.is_empty() {
        return Err(ReadError::malformed(input.describe(), "has no journal: a Day One export holds JOURNAL.json at its top"));
    }
    let mut here: BTreeMap<String, String> = BTreeMap::new();
    for file in files.iter().filter(|f| MEDIA.iter().any(|(_, folder, _)| f.path.starts_with(&format!("{folder}/")))) {
        let stem = file.name().split('.').next().unwrap_or_default().to_ascii_lowercase();
        here.insert(stem, file.path.clone());
    }
    let mut reader = Journal { here, used: BTreeSet::new(), missing: BTreeSet::new(), options };
    for file in &journals {
        let value: Value = serde_json::from_slice(&input.whole(&file.path)?).map_err(|e| {
            ReadError::malformed(format!("{}:{}", file.path, e.line()), format!("is not JSON: {e}; export the journal from Day One again"))
        })?;
        let Some(entries) = value.get("entries").and_then(Value::as_array) else {
            return Err(ReadError::malformed(&file.path, "has no list `entries`: this is no Day One export"));
        };
        let journal = file.name().trim_end_matches(".json");
        for (number, entry) in entries.iter().enumerate() {
            let origin = format!("{}: entry {}", file.path, number + 1);
            match entry.as_object() {
                Some(fields) => reader.entry(fields, journal, &origin, sink)?,
                None => sink.problem(Problem::new(origin, "is no object and was left out")),
            }
        }
    }
    for (path, name) in files.iter().map(|f| (&f.path, f.name())) {
        if !journals.iter().any(|j| j.path == *path) && !reader.used.contains(path) {
            sink.passed_over(path, if name.starts_with('.') { "a file of the system" } else { "no entry names it" });
        }
    }
    Ok(())
}

struct Journal<'a> {
    here: BTreeMap<String, String>,
    used: BTreeSet<String>,
    missing: BTreeSet<String>,
    options: &'a ReadOptions,
}

impl Journal<'_> {
    fn entry(&mut self, entry: &Map<String, Value>, journal: &str, origin: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(uuid) = entry.get("uuid").and_then(Value::as_str).filter(|u| !u.is_empty() && u.len() <= 256) else {
            sink.problem(Problem::new(origin, "has no `uuid` and was left out"));
            return Ok(());
        };
        let mut fields = entry.clone();
        let mut settled = Value::Object(fields.clone());
        keepsake_record::settle_value(&mut settled);
        let mut draft = Draft::new("dayone", uuid, origin, Sha256Digest::of(&canonical_line(&settled)), self.options);
        draft.collections.push(CollectionDraft { name: journal.to_owned(), kind: "journal" });
        fields.remove("uuid");
        times(&mut fields, origin, &mut draft, sink);
        if let Some(Value::String(text)) = fields.remove("text") {
            draft.memory.text = rewrite_links(&text, |target| {
                let id = target.strip_prefix("dayone-moment:")?.trim_start_matches('/');
                let id = id.rsplit('/').next()?;
                Some(format!("keepsake:attachment/{}", key_of(id)))
            });
        }
        if let Some(Value::Array(tags)) = fields.get("tags").cloned() {
            let names: Option<BTreeSet<_>> = tags.iter().map(|t| t.as_str()?.parse().ok()).collect();
            if let Some(names) = names {
                draft.memory.tags = names;
                fields.remove("tags");
            }
        }
        if let Some(Value::Bool(starred)) = fields.get("starred") {
            draft.memory.starred = *starred;
            fields.remove("starred");
        }
        if let Some(Value::Object(location)) = fields.remove("location") {
            place(location, &mut draft);
        }
        for (field, folder, ending) in MEDIA {
            if let Some(Value::Array(items)) = fields.remove(field) {
                for item in items {
                    self.medium(&item, folder, ending, origin, &mut draft, sink);
                }
            }
        }
        for (key, value) in fields {
            custom(&mut draft, key, value);
        }
        sink.draft(draft)
    }

    fn medium(&mut self, item: &Value, folder: &str, ending: &str, origin: &str, draft: &mut Draft, sink: &mut dyn Sink) {
        let Some(mut fields) = item.as_object().cloned() else { return };
        let mut text = |key: &str| match fields.remove(key) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let (identifier, md5, kind) =
            (text("identifier"), text("md5").map(|m| m.to_ascii_lowercase()), text("type").or_else(|| text("format")));
        let Some(base) = identifier.as_deref().or(md5.as_deref()).map(key_of) else {
            sink.problem(Problem::new(origin, format!("an item of `{folder}` has neither identifier nor md5 and was left out")));
            return;
        };
        if draft.memory.attachments.iter().any(|a| a.key == base) {
            return;
        }
        let ending = kind.as_deref().filter(|k| k.len() <= 5 && k.bytes().all(|b| b.is_ascii_alphanumeric())).unwrap_or(ending);
        let stem = md5.clone().unwrap_or_else(|| base.clone());
        let name = text("filename").or_else(|| text("pdfName")).filter(|n| !n.contains(['/', '\\', '\0']) && n.len() <= 1024);
        let found = md5.as_ref().and_then(|m| self.here.get(m)).cloned();
        let path = found.clone().unwrap_or_else(|| format!("{folder}/{stem}.{ending}"));
        let file_name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let mut attachment = Attachment::new(base.clone(), name.unwrap_or_else(|| file_name.clone()), media_type(&file_name));
        attachment.camera = [text("cameraMake"), text("cameraModel")].into_iter().flatten().reduce(|a, b| format!("{a} {b}"));
        attachment.captured = text("date")
            .and_then(|d| d.parse::<Timestamp>().ok())
            .map(|at| When::instant(at, draft.memory.when.zone.clone().unwrap_or_else(Zone::utc)));
        let pixels = |value: Option<Value>| value.and_then(|v| v.as_u64()).and_then(|n| u32::try_from(n).ok());
        attachment.width = pixels(fields.remove("width"));
        attachment.height = pixels(fields.remove("height"));
        attachment.position = fields.get("location").and_then(Value::as_object).and_then(position);
        for (key, mut value) in fields {
            keepsake_record::settle_value(&mut value);
            attachment.custom.insert(key, value);
        }
        match found {
            Some(path) => {
                self.used.insert(path.clone());
                draft.files.push(DraftFile { key: base, path });
            }
            None => {
                if self.missing.insert(path.clone()) {
                    sink.problem(Problem::new(
                        origin,
                        format!("its file {path} is not in the export; put it there and import again to add it"),
                    ));
                }
                attachment.expected = Some(Expected { md5, path: Some(path) });
            }
        }
        draft.memory.attachments.push(attachment);
    }
}

fn times(fields: &mut Map<String, Value>, origin: &str, draft: &mut Draft, sink: &mut dyn Sink) {
    let zone = fields.get("timeZone").and_then(Value::as_str).and_then(|z| z.replace("\\/", "/").parse::<Zone>().ok());
    match fields.get("creationDate").and_then(Value::as_str).map(str::parse::<Timestamp>) {
        Some(Ok(at)) => {
            draft.memory.created = at;
            draft.memory.modified = at;
            draft.memory.when = When::instant(at, zone.clone().unwrap_or_else(Zone::utc));
            fields.remove("creationDate");
            if zone.is_some() {
                fields.remove("timeZone");
            }
        }
        _ => sink.problem(Problem::new(origin, "has no readable `creationDate`; it is kept without a date")),
    }
    if let Some(Ok(at)) = fields.get("modifiedDate").and_then(Value::as_str).map(str::parse::<Timestamp>) {
        draft.memory.modified = at;
        fields.remove("modifiedDate");
    }
}

fn position(location: &Map<String, Value>) -> Option<Position> {
    let degrees = |key: &str| location.get(key).and_then(Value::as_f64);
    Position::new(degrees("latitude")?, degrees("longitude")?).ok()
}

fn place(mut location: Map<String, Value>, draft: &mut Draft) {
    draft.memory.position = position(&location);
    if draft.memory.position.is_some() {
        draft.memory.provenance.insert("position".into(), Provenance::Observed);
    }
    let mut text = |key: &str| match location.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (name, label, locality, area, country) =
        (text("placeName"), text("userLabel"), text("localityName"), text("administrativeArea"), text("country"));
    let Some(shown) = label.or(name).or_else(|| locality.clone()).or_else(|| country.clone()) else {
        custom(draft, "location".into(), Value::Object(location));
        return;
    };
    let custom = location
        .into_iter()
        .filter(|(key, _)| key != "latitude" && key != "longitude")
        .map(|(key, mut value)| {
            keepsake_record::settle_value(&mut value);
            (key, value)
        })
        .collect();
    draft.place = Some(keepsake_record::Place {
        area,
        country,
        custom,
        id: PlaceId::from_bytes([0; 16]),
        locality,
        name: shown,
        position: draft.memory.position,
        extra: BTreeMap::new(),
    });
}
