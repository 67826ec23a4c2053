//! Memos (usememos), which exports nothing: its SQLite database, of the versions of 2023 to 2026, with the files that lie beside it.
//!
//! A memo is a memory, and so is a comment, which says what it comments on; a file that no memo has is one, too. Memos of all users of the
//! instance are read; each says whose it is. What is protected is seen by whoever is signed in, so by people whom the owner lets in: shared.
//! Columns have come, gone and changed names: what is there is read, and what has no field of its own is kept.

mod database;
mod files;
mod known;

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use keepsake_record::{
    Kind, Place, PlaceId, Position, Sha256Digest, Timestamp, Visibility, When, Zone, canonical_line, rewrite_links, settle_value,
};
use serde_json::{Map, Value, json};

use super::{
    CollectionDraft, Draft, Input, Problem, ReadError, ReadOptions, Sink,
    front_matter::custom,
    input::DatabaseInput,
    spans::{may_begin_tag, spans},
};
use database::{Database, Table};
use files::Files;
use known::{Known, Rows, number, text};

/// Whether an input is a database of Memos.
pub(crate) fn is_one(input: &Input) -> bool {
    let Input::Database(place) = input else { return false };
    open(place).is_ok_and(|database| database.has(Table::Memo) && database.has(Table::User))
}

/// Opens the database; with a write-ahead log beside it, a copy of both: reading that log means writing beside it.
fn open(place: &DatabaseInput) -> Result<Database, String> {
    let file = place.root().join(place.name());
    let wal = place.root().join(format!("{}-wal", place.name()));
    if fs::symlink_metadata(&wal).map_or(true, |meta| meta.len() == 0 || !meta.is_file()) {
        return Database::open(&file, false);
    }
    let folder = place.taken_out().join("copy");
    let copy = || -> io::Result<PathBuf> {
        let copy = folder.join("memos.db");
        if !copy.exists() {
            fs::create_dir_all(&folder)?;
            fs::copy(&wal, folder.join("memos.db-wal"))?;
            fs::copy(&file, &copy)?;
        }
        Ok(copy)
    };
    Database::open(&copy().map_err(|error| error.to_string())?, true)
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let Input::Database(place) = input else {
        return Err(ReadError::malformed(input.describe(), "is no database of Memos: name memos_prod.db itself, unpacked"));
    };
    let broken = |why: String| {
        let hint = "stop Memos, and copy its database with what lies beside it again";
        ReadError::malformed(input.describe(), format!("cannot be read: {why}; {hint}"))
    };
    let database = open(place).map_err(broken)?;
    if !database.has(Table::Memo) {
        return Err(ReadError::malformed(input.describe(), "has no table `memo`: this is no database of Memos"));
    }
    let rows = Rows { database: &database, name: place.name() };
    let known = Known::read(&rows, sink)?;
    let mut files = Files::new(place, input)?;
    for table in [Table::Attachment, Table::Resource] {
        rows.each(table, sink, |id, row, sink| files.take(id, row, sink))?;
    }
    rows.each(Table::MemoResource, sink, |_, row, _| {
        if let (Some(memo), Some(file)) = (number(&row.fields, "memo_id"), number(&row.fields, "resource_id")) {
            files.tie(memo, file);
        }
        Ok(())
    })?;
    rows.each(Table::Memo, sink, |id, row, sink| {
        let origin = format!("{}: memo {id}", place.name());
        memo(id, row.fields, &origin, &known, &mut files, options, sink)
    })?;
    files.rest(&known, options, sink)?;
    for name in database.others() {
        sink.passed_over(&format!("{}: table {name}", place.name()), what(name));
    }
    pass_over(place, input, &files, sink)
}

/// What a table holds that is not read.
fn what(name: &str) -> &'static str {
    match name {
        "memo_share" => "links that were given to others",
        "poll" | "poll_vote" => "who voted for what",
        "memo_comment" => "comments of people without an account",
        "tag" => "the list of tags",
        "shortcut" | "memo_view" => "filters of memos",
        _ => "settings and notes of Memos for itself",
    }
}

fn pass_over(place: &DatabaseInput, input: &Input, files: &Files<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    for file in input.files()? {
        let rest = file.path.strip_prefix(place.name());
        match rest {
            Some("" | "-wal") => {}
            Some("-shm") => sink.passed_over(&file.path, "the database's own index"),
            Some("-journal") if file.bytes > 0 => {
                let reason = "was written to when it was copied, so that the database may be damaged: stop Memos, copy it and import again";
                sink.problem(Problem::new(&file.path, reason));
            }
            _ if files.is_used(&file.path) => {}
            _ if file.path.contains("thumbnail") => sink.passed_over(&file.path, "a small picture that Memos makes itself"),
            _ => sink.passed_over(&file.path, "no memo names it"),
        }
    }
    Ok(())
}

fn memo(
    id: i64,
    mut fields: Map<String, Value>,
    origin: &str,
    known: &Known,
    files: &mut Files<'_>,
    options: &ReadOptions,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let said = known.of(id, number(&fields, "creator_id"));
    let mut settled = json!({ "memo": fields, "said": said, "files": files.said(id) });
    settle_value(&mut settled);
    let name = known.ids.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let mut draft = Draft::new("memos", name, origin, Sha256Digest::of(&canonical_line(&settled)), options);
    draft.memory.kind = Kind::Note;
    times(&mut fields, options, &mut draft, sink);
    if let Some(Value::String(content)) = fields.remove("content") {
        draft.memory.text = content;
    }
    visibility(&mut fields, &mut draft, sink);
    let payload_was = fields.contains_key("payload") || fields.contains_key("tags");
    payload(&mut fields, &mut draft);
    if !payload_was {
        written_tags(&mut draft);
    }
    if let Some(space) = number(&fields, "space_id").and_then(|space| known.spaces.get(&space)) {
        draft.collections.push(CollectionDraft { name: space.clone(), kind: "space" });
        fields.remove("space_id");
    }
    for (field, value) in said {
        custom(&mut draft, field, value);
    }
    let keys = files.attach_all(id, known, &mut draft, sink);
    draft.memory.text = rewrite_links(&draft.memory.text, |target| Some(format!("keepsake:attachment/{}", keys.get(named(target)?)?)));
    for taken in ["id", "uid", "resource_name", "creator_id"] {
        fields.remove(taken);
    }
    match number(&fields, "pinned") {
        Some(0) => drop(fields.remove("pinned")),
        Some(1) => drop(fields.insert("pinned".into(), Value::Bool(true))),
        _ => {}
    }
    let is_usual = |field: &str, value: &Value| value.is_null() || (field == "row_status" && *value == "NORMAL");
    for (field, value) in fields.into_iter().filter(|(field, value)| !is_usual(field, value)) {
        custom(&mut draft, field, value);
    }
    sink.draft(draft)
}

/// Seconds since 1970.
fn times(fields: &mut Map<String, Value>, options: &ReadOptions, draft: &mut Draft, sink: &mut dyn Sink) {
    let mut take = |name: &str| {
        let at = Timestamp::from_micros(number(fields, name)?.checked_mul(1_000_000)?).ok()?;
        fields.remove(name);
        Some(at)
    };
    match (take("created_ts"), take("updated_ts")) {
        (None, None) => sink.problem(Problem::new(&draft.origin, "has no readable `created_ts`; it is kept without a date")),
        (created, updated) => {
            let at = created.or(updated).unwrap_or(options.now);
            draft.memory.created = at;
            draft.memory.modified = updated.unwrap_or(at);
            draft.memory.when = When::instant(at, options.zone.clone().unwrap_or_else(Zone::utc));
        }
    }
}

fn visibility(fields: &mut Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) {
    draft.memory.visibility = match text(fields, "visibility") {
        Some("PUBLIC") => Visibility::Public,
        // Whoever is signed in sees a protected memo, and members of its space what is in a space: people whom somebody let in, not everybody.
        Some("PROTECTED" | "SPACE") => Visibility::Shared,
        Some("PRIVATE") | None => Visibility::Private,
        Some(other) => {
            let reason = format!("is seen by `{}`, which Keepsake does not know; here nobody but the owner sees it", other.escape_debug());
            sink.problem(Problem::new(&draft.origin, reason));
            return;
        }
    };
    // What is protected is not quite what is shared with some; the word stays.
    if draft.memory.visibility != Visibility::Shared {
        fields.remove("visibility");
    }
}

/// What Memos knows of a memo besides its text: since 0.22 as JSON in one column, tags for a while in another.
fn payload(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let mut parse = |name: &str| {
        let value = serde_json::from_str::<Value>(text(fields, name)?).ok()?;
        fields.remove(name);
        Some(value)
    };
    let (tags, payload) = (parse("tags"), parse("payload"));
    let mut payload = match payload {
        Some(Value::Object(payload)) => payload,
        Some(other) => Map::from_iter([("payload".to_owned(), other)]),
        None => Map::new(),
    };
    let mut others = Vec::new();
    for item in [tags, payload.remove("tags")].into_iter().flatten() {
        let items = if let Value::Array(items) = item { items } else { vec![item] };
        for item in items {
            match item.as_str().and_then(|name| name.parse().ok()) {
                Some(name) => drop(draft.memory.tags.insert(name)),
                None => others.push(item),
            }
        }
    }
    if !others.is_empty() {
        payload.insert("tags".into(), Value::Array(others));
    }
    if let Some(Value::Object(location)) = payload.get("location").cloned()
        && place(location, draft)
    {
        payload.remove("location");
    }
    for (field, value) in payload.into_iter().filter(|(_, value)| !value.is_null() && *value != Value::Object(Map::new())) {
        custom(draft, field, value);
    }
}

/// The place of a memo; answers whether it was one.
fn place(mut location: Map<String, Value>, draft: &mut Draft) -> bool {
    // Memos leaves out what is zero; where both are, nobody chose a point.
    let degrees = |name: &str| location.get(name).map_or(Some(0.0), Value::as_f64);
    let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) else { return false };
    let Ok(position) = Position::new(latitude, longitude) else { return false };
    let position = Some(position).filter(|_| latitude != 0.0 || longitude != 0.0);
    draft.memory.position = position;
    let Some(name) = text(&location, "placeholder").map(str::to_owned) else {
        return position.is_some() && location.keys().all(|key| key.ends_with("itude"));
    };
    for taken in ["placeholder", "latitude", "longitude"] {
        location.remove(taken);
    }
    let custom = location.into_iter().collect();
    let (area, country, locality, extra) = (None, None, None, BTreeMap::new());
    draft.place = Some(Place { area, country, custom, id: PlaceId::from_bytes([0; 16]), locality, name, position, extra });
    true
}

/// Before 0.22 tags were in the text alone.
fn written_tags(draft: &mut Draft) {
    let mut found = Vec::new();
    for (piece, _) in spans(&draft.memory.text).into_iter().filter(|(_, is_code)| !is_code) {
        for (at, _) in piece.match_indices('#').filter(|(at, _)| may_begin_tag(&piece[..*at])) {
            let after = &piece[at + 1..];
            let end = after.find(|c: char| c.is_whitespace() || "#,".contains(c)).unwrap_or(after.len());
            found.extend(after[..end].parse().ok());
        }
    }
    draft.memory.tags.extend(found);
}

/// The id of the file that an address of Memos names: `/file/attachments/UID/NAME`, `/file/resources/UID`, `/o/r/UID`.
fn named(target: &str) -> Option<&str> {
    let (_, after) = ["/file/attachments/", "/file/resources/", "/o/r/"].iter().find_map(|road| target.split_once(road))?;
    after.split(['/', '?', '#']).next().filter(|uid| !uid.is_empty())
}
