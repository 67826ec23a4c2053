//! The files of memos: in the database, beside it, or somewhere else, where nobody looks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use keepsake_record::{ATTACHMENTS_MAX, Attachment, Expected, Sha256Digest, canonical_line, settle_value};
use serde_json::{Map, Value};

use super::{
    database::Row,
    known::{Known, number, text},
    times,
};
use crate::import::{
    Draft, DraftFile, Input, Problem, ReadError, ReadOptions, Sink,
    draft::key_of_file,
    input::DatabaseInput,
    media_type::{self, media_type},
};

/// What a file's row says under names that changed: its id, and where it is.
const IDS: [&str; 3] = ["uid", "resource_name", "public_id"];
const PLACES: [&str; 3] = ["reference", "internal_path", "external_link"];

/// What of a bucket's object changes by itself, or is nobody's memory, as its secret key.
const PASSING: [&str; 4] = ["s3Config", "s3_config", "lastPresignedTime", "last_presigned_time"];
/// So many bytes of a file's row are kept: each memo that has the file has them.
const FIELDS_BYTES: usize = 64 << 10;

/// A file of an instance.
struct Held {
    fields: Map<String, Value>,
    /// Where it is in the input.
    path: Option<String>,
    bytes: u64,
}

pub(super) struct Files<'a> {
    place: &'a DatabaseInput,
    /// The files beside the database, with their lengths.
    here: BTreeMap<String, u64>,
    held: BTreeMap<i64, Held>,
    /// The files of a memo, in order.
    of_memo: BTreeMap<i64, Vec<i64>>,
    /// Each memo with each of its files.
    tied: BTreeSet<(i64, i64)>,
    attached: BTreeSet<i64>,
    used: BTreeSet<String>,
}

impl<'a> Files<'a> {
    pub(super) fn new(place: &'a DatabaseInput, input: &Input) -> Result<Self, ReadError> {
        let is_database = |path: &str| path.strip_prefix(place.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let here = input.files()?.into_iter().filter(|file| !is_database(&file.path)).map(|file| (file.path, file.bytes)).collect();
        let (held, of_memo) = (BTreeMap::new(), BTreeMap::new());
        let (tied, attached, used) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Ok(Self { place, here, held, of_memo, tied, attached, used })
    }

    /// Takes a row, and its bytes out of the database into a file.
    pub(super) fn take(&mut self, id: i64, mut row: Row, sink: &mut dyn Sink) -> Result<(), ReadError> {
        if self.held.contains_key(&id) {
            sink.problem(Problem::new(self.origin(id), "is there twice; the second one was left out"));
            return Ok(());
        }
        let mut bytes = 0;
        let path = match &row.blob {
            Some(blob) => {
                let path = format!("{}/{id}", self.place.name());
                let file = self.place.taken_out().join(id.to_string());
                fs::write(&file, blob).map_err(|source| ReadError::Io { path: path.clone(), source })?;
                bytes = blob.len() as u64;
                Some(path)
            }
            None => PLACES.iter().filter_map(|name| text(&row.fields, name)).find_map(|reference| self.find(reference)),
        };
        if let Some(path) = path.as_ref().filter(|_| row.blob.is_none()) {
            bytes = self.here.get(path).copied().unwrap_or_default();
            self.used.insert(path.clone());
        }
        if let Some(memo) = number(&row.fields, "memo_id") {
            self.tie(memo, id);
        }
        for name in cut(&mut row.fields) {
            let reason = format!("its field `{}` was left out: the row is longer than 64 KiB", name.escape_debug());
            sink.problem(Problem::new(self.origin(id), reason));
        }
        clean(&mut row.fields);
        self.held.insert(id, Held { fields: row.fields, path, bytes });
        Ok(())
    }

    /// Says that a memo has a file.
    pub(super) fn tie(&mut self, memo: i64, file: i64) {
        if self.tied.insert((memo, file)) {
            self.of_memo.entry(memo).or_default().push(file);
        }
    }

    /// A file beside the database: by its path there, of which the beginning may be one of another machine.
    fn find(&self, reference: &str) -> Option<String> {
        let reference = reference.replace('\\', "/");
        if reference.contains("://") {
            return None;
        }
        let mut rest = reference.trim_start_matches('/');
        loop {
            if self.here.contains_key(rest) {
                return Some(rest.to_owned());
            }
            rest = rest.split_once('/')?.1;
        }
    }

    fn origin(&self, id: i64) -> String {
        format!("{}: attachment {id}", self.place.name())
    }

    /// What is said of the files of a memo.
    pub(super) fn said(&self, memo: i64) -> Value {
        self.of_memo.get(&memo).into_iter().flatten().filter_map(|id| Some(Value::Object(self.held.get(id)?.fields.clone()))).collect()
    }

    /// Attaches the files of a memo; answers under which ids its text may name them.
    pub(super) fn attach_all(&mut self, memo: i64, known: &Known, draft: &mut Draft, sink: &mut dyn Sink) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        for id in self.of_memo.get(&memo).cloned().unwrap_or_default() {
            let Some(held) = self.held.get(&id) else {
                sink.problem(Problem::new(&draft.origin, format!("has attachment {id}, which is not in the database")));
                continue;
            };
            // What is not attached here becomes a memory of its own.
            if draft.memory.attachments.len() >= ATTACHMENTS_MAX {
                let reason =
                    format!("has more than 1,000 files; attachment {id} is beyond them and is kept by itself, unless another memo has it");
                sink.problem(Problem::new(&draft.origin, reason));
                continue;
            }
            let key = self.attach(id, held, known, draft, sink);
            for own in IDS.iter().filter_map(|name| text(&held.fields, name)) {
                keys.insert(own.to_owned(), key.clone());
            }
            keys.insert(id.to_string(), key);
            self.attached.insert(id);
        }
        keys
    }

    fn attach(&self, id: i64, held: &Held, known: &Known, draft: &mut Draft, sink: &mut dyn Sink) -> String {
        let mut fields = held.fields.clone();
        let name = text(&fields, "filename").map_or_else(|| format!("attachment-{id}"), |name| name.replace(['/', '\\', '\0'], "-"));
        let name: String = name.chars().take(250).collect();
        let kind = text(&fields, "type").filter(|kind| kind.contains('/') && kind.len() <= 128).map(str::to_owned);
        let key = key_of_file(&draft.memory, &name);
        let mut attachment = Attachment::new(key.clone(), &name, kind.unwrap_or_else(|| media_type(&name).to_owned()));
        let said = number(&fields, "size").and_then(|size| u64::try_from(size).ok());
        match &held.path {
            Some(path) => draft.files.push(DraftFile { key: key.clone(), path: path.clone() }),
            None => {
                let place = PLACES.iter().find_map(|name| text(&fields, name)).map(str::to_owned);
                let reason = match &place {
                    Some(place) if place.contains("://") || text(&fields, "storage_type") == Some("S3") => {
                        format!("its file {name} is at {place}, from where nothing is fetched; download it in Memos and add it")
                    }
                    Some(place) => format!("its file {place} is not beside the database; put it there and import again to add it"),
                    None => format!("its file {name} has no bytes in the database"),
                };
                sink.problem(Problem::new(&draft.origin, reason));
                attachment.expected = Some(Expected { md5: None, path: place });
            }
        }
        if let Some(said) = said.filter(|said| held.path.is_some() && *said != held.bytes) {
            let reason = format!("its file {name} has {} bytes where Memos says {said}; it is kept as it is", held.bytes);
            sink.problem(Problem::new(&draft.origin, reason));
        }
        if held.path.is_some() && said == Some(held.bytes) {
            fields.remove("size");
        }
        let creator = number(&fields, "creator_id").map(|creator| known.user(creator));
        if let Some(creator) = creator.filter(|creator| draft.memory.custom.get("creator") != Some(creator)) {
            fields.insert("creator".into(), creator);
        }
        for taken in ["id", "memo_id", "creator_id", "filename", "type"] {
            fields.remove(taken);
        }
        let is_nothing = |value: &Value| value.is_null() || *value == "" || *value == Value::Object(Map::new());
        for (field, mut value) in fields.into_iter().filter(|(_, value)| !is_nothing(value)) {
            settle_value(&mut value);
            attachment.custom.insert(field, value);
        }
        draft.memory.attachments.push(attachment);
        key
    }

    /// Files that no memo has are memories of their own.
    pub(super) fn rest(&mut self, known: &Known, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for (id, held) in self.held.iter().filter(|(id, _)| !self.attached.contains(id)) {
            let mut settled = Value::Object(held.fields.clone());
            settle_value(&mut settled);
            let own = IDS.iter().find_map(|name| text(&held.fields, name)).filter(|own| own.len() <= 256).map(str::to_owned);
            let own = own.unwrap_or_else(|| format!("{id} {}", number(&held.fields, "created_ts").unwrap_or_default()));
            let digest = Sha256Digest::of(&canonical_line(&settled));
            let mut draft = Draft::new("memos", format!("attachment {own}"), self.origin(*id), digest, options);
            let mut fields = held.fields.clone();
            times(&mut fields, options, &mut draft, sink);
            draft.memory.title = text(&fields, "filename").map(|name| name.chars().take(1000).collect());
            draft.memory.kind = media_type::kind(text(&fields, "filename").unwrap_or_default());
            if let Some(creator) = number(&fields, "creator_id") {
                draft.memory.custom.insert("creator".into(), known.user(creator));
            }
            self.attach(*id, held, known, &mut draft, sink);
            sink.draft(draft)?;
        }
        Ok(())
    }

    pub(super) fn is_used(&self, path: &str) -> bool {
        self.used.contains(path)
    }
}

/// Takes out of a row what is too long to be said at every memo that has the file; answers what.
fn cut(fields: &mut Map<String, Value>) -> Vec<String> {
    let (mut left, mut out) = (FIELDS_BYTES, Vec::new());
    fields.retain(|name, value| match left.checked_sub(value.as_str().map_or(0, str::len)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => {
            out.push(name.clone());
            false
        }
    });
    out
}

/// Leaves of a row what stays as it is while nobody changes the file: Memos signs addresses anew every few days.
fn clean(fields: &mut Map<String, Value>) {
    for place in PLACES {
        let address = text(fields, place).map(without_signature);
        if let Some(address) = address {
            fields.insert(place.into(), address.into());
        }
    }
    let payload = text(fields, "payload").and_then(|payload| serde_json::from_str::<Value>(payload).ok());
    if let Some(mut payload) = payload {
        for object in ["s3Object", "s3_object"] {
            if let Some(object) = payload.get_mut(object).and_then(Value::as_object_mut) {
                object.retain(|field, _| !PASSING.contains(&field.as_str()));
            }
        }
        fields.insert("payload".into(), payload);
    }
}

/// An address without what opens it for some days.
fn without_signature(address: &str) -> String {
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    if query.to_ascii_lowercase().contains("signature") { place.to_owned() } else { address.to_owned() }
}
