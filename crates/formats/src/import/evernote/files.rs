//! The files of a note: what is said of each, and where its bytes stand.

use std::collections::BTreeMap;

use keepsake_record::{ATTACHMENTS_MAX, Attachment, Expected, When, Zone, settle_value};
use serde_json::{Map, Value};

use super::{
    super::{Draft, DraftFile, Problem, Sink, input::Embedded, media_type::media_type},
    enml::{Enml, Shown},
    notes::Place,
    take_position, take_time,
};

/// Makes an attachment of a `resource`.
pub(super) fn add(resource: Value, file: &str, places: &[Place], page: &mut Enml, draft: &mut Draft, sink: &mut dyn Sink) {
    let Value::Object(mut fields) = resource else {
        sink.problem(Problem::new(&draft.origin, "a file of it has no bytes and no name, and was left out"));
        return;
    };
    if draft.memory.attachments.len() >= ATTACHMENTS_MAX {
        sink.problem(Problem::new(&draft.origin, "has more than 1,000 files; one that is beyond them was left out"));
        return;
    }
    let data = match fields.remove("data") {
        Some(Value::Object(data)) => data,
        other => {
            fields.extend(other.filter(|other| other != "").map(|other| ("data".to_owned(), other)));
            Map::new()
        }
    };
    let mut attributes = match fields.remove("resource-attributes") {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    };
    let md5 = data.get("md5").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bytes = data.get("bytes").and_then(Value::as_u64).unwrap_or_default();
    let mime = take_text(&mut fields, "mime").filter(|kind| kind.contains('/') && kind.len() <= 128);
    let name = name(&mut attributes, &md5, mime.as_deref());
    let key = key(draft, &md5);
    let mut attachment = Attachment::new(key.clone(), name.clone(), mime.unwrap_or_else(|| media_type(&name).to_owned()));
    let mut pixels = |name: &str| {
        let pixels = fields.get(name)?.as_str()?.parse().ok()?;
        fields.remove(name);
        Some(pixels).filter(|pixels| *pixels > 0)
    };
    (attachment.width, attachment.height) = (pixels("width"), pixels("height"));
    attachment.position = take_position(&mut attributes);
    // What Evernote does not know is the first second of 1970.
    if attributes.get("timestamp").and_then(Value::as_str).is_some_and(|at| !at.starts_with("1970010")) {
        attachment.captured = take_time(&mut attributes, "timestamp").map(|at| When::instant(at, Zone::utc()));
    }
    attachment.camera = [take_text(&mut attributes, "camera-make"), take_text(&mut attributes, "camera-model")]
        .into_iter()
        .flatten()
        .reduce(|make, model| format!("{make} {model}"));
    if fields.remove("alternate-data").is_some() {
        sink.problem(Problem::new(&draft.origin, format!("another form of its file {name} was left out; the file itself is kept")));
    }
    for (field, mut value) in attributes.into_iter().chain(fields).filter(|(_, value)| value != "") {
        settle_value(&mut value);
        attachment.custom.insert(field, value);
    }
    let place = data.get("place").and_then(Value::as_u64).and_then(|at| places.get(usize::try_from(at).ok()?));
    let problem =
        data.get("problem").and_then(Value::as_str).map(str::to_owned).or_else(|| (bytes == 0).then(|| "has no bytes".to_owned()));
    // One that has no bytes is shown, too, and is the same attachment when it arrives.
    if !md5.is_empty() {
        let is_picture = attachment.media_type.starts_with("image/");
        page.files.entry(md5).or_insert(Shown { key: key.clone(), name: name.clone(), is_picture });
    }
    match (place, problem) {
        (Some(place), None) => {
            let path = Embedded { file, start: place.start, length: place.length }.path();
            draft.files.push(DraftFile { key, path });
        }
        (_, problem) => {
            let problem = problem.unwrap_or_else(|| "has no bytes".into());
            let reason = format!("its file {name} {problem} in the export; export the notebook again and import that to add it");
            sink.problem(Problem::new(&draft.origin, reason));
            attachment.expected = Some(Expected { md5: None, path: Some(name) });
        }
    }
    draft.memory.attachments.push(attachment);
}

/// Files that a text shows and that its note does not have: they may arrive later, and are known by their MD5.
pub(super) fn expect(missing: BTreeMap<String, String>, draft: &mut Draft, sink: &mut dyn Sink) {
    for (hash, kind) in missing {
        if draft.memory.attachments.iter().any(|attachment| attachment.key == hash) {
            continue;
        }
        let reason = format!("its file with the MD5 {hash} is not in the export; export the notebook again and import that to add it");
        sink.problem(Problem::new(&draft.origin, reason));
        if draft.memory.attachments.len() >= ATTACHMENTS_MAX {
            continue;
        }
        let kind = Some(kind).filter(|kind| kind.contains('/') && kind.len() <= 128).unwrap_or_else(|| media_type(&hash).to_owned());
        let mut attachment = Attachment::new(hash.clone(), hash.clone(), kind);
        attachment.expected = Some(Expected { md5: Some(hash), path: None });
        draft.memory.attachments.push(attachment);
    }
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = fields.get(name)?.as_str().filter(|text| !text.is_empty())?.to_owned();
    fields.remove(name);
    Some(text)
}

/// The name of a file; one that no file may have is kept as it was, too.
fn name(attributes: &mut Map<String, Value>, md5: &str, mime: Option<&str>) -> String {
    let said = attributes.get("file-name").and_then(Value::as_str).unwrap_or_default();
    let mut name: String = said.chars().map(|c| if "/\\\0".contains(c) { '-' } else { c }).collect();
    while name.len() > 1024 {
        name.pop();
    }
    if name == said && !name.is_empty() {
        attributes.remove("file-name");
    }
    if name.is_empty() {
        let ending = mime.and_then(|kind| kind.split_once('/')).map_or("", |(_, subtype)| subtype);
        let is_ending = (1..=5).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let stem = if md5.is_empty() { "file" } else { md5 };
        return if is_ending { format!("{stem}.{ending}") } else { stem.to_owned() };
    }
    name
}

/// A file is known by its MD5; a note may hold it twice.
fn key(draft: &Draft, md5: &str) -> String {
    let stem = if md5.is_empty() { "file" } else { md5 };
    let is_new = |key: &str| draft.memory.attachments.iter().all(|attachment| attachment.key != key);
    if is_new(stem) { stem.to_owned() } else { format!("{stem}-{}", draft.memory.attachments.len() + 1) }
}
