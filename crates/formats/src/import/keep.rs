//! Google Keep, as Google Takeout hands it out: a JSON file a note, its twin in HTML, and the files of its attachments beside it.
//!
//! A note has no id; the microsecond in which it was made is one. Notes in Keep's trash are passed over, and named.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Attachment, Expected, Sha256Digest, Timestamp, When, Zone, canonical_line, settle_value};
use serde_json::{Map, Value};

use super::{
    Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{key_of_file, take_list, take_tags},
    front_matter::custom,
    media_type::media_type,
};

/// What notes have, and files of other programs have not.
const MARKS: [&str; 2] = ["\"createdTimestampUsec\"", "\"userEditedTimestampUsec\""];
/// So many files are looked at to find out whether they are notes, and longer ones are not.
const LOOKED_AT: usize = 20;
const LOOKED_BYTES: u64 = 1 << 20;

/// Whether most files of JSON are notes, and there are not more notes of another sort.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> Result<bool, ReadError> {
    let is_short = |file: &&&InputFile| file.ending() == "json" && file.bytes <= LOOKED_BYTES;
    let (mut looked, mut notes) = (0, 0);
    for file in files.iter().filter(is_short).take(LOOKED_AT) {
        let text = input.whole(&file.path)?;
        let text = String::from_utf8_lossy(&text);
        looked += 1;
        notes += usize::from(MARKS.iter().any(|mark| text.contains(mark)));
    }
    let others = files.iter().filter(|file| file.ending() == "md").count();
    let json = files.iter().filter(|file| file.ending() == "json").count();
    Ok(notes > 0 && notes * 2 >= looked && others <= json)
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let here: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut notes = Notes { here: &here, used: BTreeSet::new(), made: BTreeMap::new(), options };
    let mut read = BTreeSet::new();
    for file in files.iter().filter(|file| file.ending() == "json") {
        match serde_json::from_slice::<Value>(&input.whole(&file.path)?) {
            Ok(Value::Object(note)) if note.contains_key("createdTimestampUsec") || note.contains_key("userEditedTimestampUsec") => {
                read.insert(file.path.as_str());
                notes.note(note, &file.path, sink)?;
            }
            Ok(_) => {}
            Err(error) => {
                read.insert(file.path.as_str());
                let problem = format!("is not JSON and was left out: {error}");
                sink.problem(Problem::new(format!("{}:{}", file.path, error.line()), problem));
            }
        }
    }
    let used = notes.used;
    for file in files.iter().filter(|file| !read.contains(file.path.as_str()) && !used.contains(&file.path)) {
        let twin = file.path.strip_suffix(".html").map(|stem| format!("{stem}.json"));
        let what = match file.name() {
            "Labels.txt" => "the list of labels",
            _ if twin.is_some_and(|twin| read.contains(twin.as_str())) => "the same note once more, as HTML",
            _ => "no note names it",
        };
        sink.passed_over(&file.path, what);
    }
    Ok(())
}

struct Notes<'a> {
    here: &'a BTreeSet<&'a str>,
    used: BTreeSet<String>,
    /// The notes that were made in a microsecond.
    made: BTreeMap<i64, Vec<Sha256Digest>>,
    options: &'a ReadOptions,
}

impl Notes<'_> {
    fn note(&mut self, mut fields: Map<String, Value>, path: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut settled = Value::Object(fields.clone());
        settle_value(&mut settled);
        let digest = Sha256Digest::of(&canonical_line(&settled));
        let mut time = |name: &str| {
            let micros = fields.get(name)?.as_i64()?;
            // Keep says 0 where it knows none.
            let at = Timestamp::from_micros(micros).ok().filter(|at| at.micros() > 0)?;
            fields.remove(name);
            Some(at)
        };
        let (created, edited) = (time("createdTimestampUsec"), time("userEditedTimestampUsec"));
        let Some(at) = created.or(edited) else {
            sink.problem(Problem::new(path, "has no readable time and was left out"));
            return Ok(());
        };
        let made = self.made.entry(at.micros()).or_default();
        if made.contains(&digest) {
            sink.passed_over(path, "the same note once more");
            self.use_files(&fields, path);
            return Ok(());
        }
        made.push(digest);
        let id = if made.len() == 1 { at.micros().to_string() } else { format!("{} {}", at.micros(), made.len()) };
        if fields.get("isTrashed") == Some(&Value::Bool(true)) {
            sink.passed_over(path, "a note in Keep's trash");
            self.use_files(&fields, path);
            return Ok(());
        }
        let mut draft = Draft::new("keep", id, path, digest, self.options);
        draft.memory.created = at;
        draft.memory.modified = edited.unwrap_or(at).max(at);
        draft.memory.when = When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc));
        draft.memory.kind = keepsake_record::Kind::Note;
        title(&mut fields, &mut draft);
        text(&mut fields, &mut draft);
        take_tags(&mut fields, "labels", |_| true, &mut draft.memory);
        for item in take_list(&mut fields, "attachments") {
            self.medium(&item, path, &mut draft, sink);
        }
        // What nobody chose is as it is for every note.
        let is_usual =
            |value: &Value| matches!(value, Value::Null | Value::Bool(false)) || value == "DEFAULT" || *value == Value::Array(Vec::new());
        for (field, value) in fields.into_iter().filter(|(_, value)| !is_usual(value)) {
            custom(&mut draft, field, value);
        }
        sink.draft(draft)
    }

    fn medium(&mut self, item: &Value, note: &str, draft: &mut Draft, sink: &mut dyn Sink) {
        let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(name) = text("filePath").filter(|name| name.len() <= 255 && !name.contains(['/', '\\', '\0'])) else {
            sink.problem(Problem::new(note, "an attachment has no file name that can be used and was left out"));
            return;
        };
        let key = key_of_file(&draft.memory, name);
        let found = self.find(note, name);
        let kind = text("mimetype")
            .filter(|kind| kind.contains('/') && kind.len() <= 128)
            .map_or_else(|| media_type(name).to_owned(), str::to_owned);
        let shown = found.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or(name).to_owned();
        let mut attachment = Attachment::new(key.clone(), shown, kind);
        for (field, value) in
            item.as_object().into_iter().flatten().filter(|(field, _)| !["filePath", "mimetype"].contains(&field.as_str()))
        {
            let mut value = value.clone();
            settle_value(&mut value);
            attachment.custom.insert(field.clone(), value);
        }
        match found {
            Some(path) => {
                self.used.insert(path.clone());
                draft.files.push(DraftFile { key, path });
            }
            None => {
                let reason = format!("its file {name} is not in the export; put it beside the note and import again to add it");
                sink.problem(Problem::new(note, reason));
                attachment.expected = Some(Expected { md5: None, path: Some(name.to_owned()) });
            }
        }
        draft.memory.attachments.push(attachment);
    }

    /// The file that a note names: it may say `.jpeg` where the file says `.jpg`.
    fn find(&self, note: &str, name: &str) -> Option<String> {
        let folder = note.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let pictures = if media_type(name).starts_with("image/") { ["jpg", "jpeg", "png", "gif", "webp"].as_slice() } else { &[] };
        let names = std::iter::once(name.to_owned()).chain(pictures.iter().map(|ending| format!("{stem}.{ending}")));
        names.map(|name| format!("{folder}{name}")).find(|path| self.here.contains(path.as_str()))
    }

    /// The files of a note that is passed over are accounted for with it.
    fn use_files(&mut self, fields: &Map<String, Value>, note: &str) {
        for item in fields.get("attachments").and_then(Value::as_array).into_iter().flatten() {
            if let Some(path) = item.get("filePath").and_then(Value::as_str).and_then(|name| self.find(note, name)) {
                self.used.insert(path);
            }
        }
    }
}

/// Titles have one line here; one that had more is kept as it was, too.
fn title(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let Some(Value::String(title)) = fields.get("title") else { return };
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_whole = line == *title;
    draft.memory.title = Some(line).filter(|line| !line.is_empty());
    if draft.memory.validate().is_err() {
        draft.memory.title = None;
    } else if is_whole {
        fields.remove("title");
    }
}

/// The text, or the list with what is done and what is not.
fn text(fields: &mut Map<String, Value>, draft: &mut Draft) {
    if let Some(Value::String(text)) = fields.get("textContent").cloned() {
        draft.memory.text = text;
        fields.remove("textContent");
        // What the text cannot say (bold, links, headings) stays.
        if fields.get("textContentHtml").and_then(Value::as_str).is_some_and(|html| !is_styled(html)) {
            fields.remove("textContentHtml");
        }
    }
    let Some(Value::Array(items)) = fields.get("listContent").filter(|items| **items != Value::Array(Vec::new())) else { return };
    let says_more = items.iter().filter_map(Value::as_object).any(|item| {
        item.iter().any(|(field, value)| match field.as_str() {
            "text" | "isChecked" => false,
            "textHtml" => value.as_str().is_none_or(is_styled),
            _ => true,
        })
    });
    let line = |item: &Value| {
        let text = item.get("text")?.as_str()?.replace('\n', "\n  ");
        let done = item.get("isChecked").and_then(Value::as_bool)?;
        Some(format!("- [{}] {text}", if done { "x" } else { " " }))
    };
    let Some(lines) = items.iter().map(line).collect::<Option<Vec<_>>>() else { return };
    if !draft.memory.text.is_empty() {
        draft.memory.text.push_str("\n\n");
    }
    draft.memory.text.push_str(&lines.join("\n"));
    if !says_more {
        fields.remove("listContent");
    }
}

/// Whether HTML says more than its words.
fn is_styled(html: &str) -> bool {
    let is_plain = |tag: &str| {
        ["p", "/p", "span", "/span", "br", "div", "/div"]
            .iter()
            .any(|plain| tag.strip_prefix(plain).is_some_and(|rest| rest.starts_with(['>', ' ', '/'])))
    };
    let styles = ["bold", "italic", "underline", "line-through", "font-weight:5", "font-weight:6", "font-weight:7", "font-weight:8"];
    html.split('<').skip(1).any(|tag| !is_plain(tag)) || styles.iter().any(|style| html.replace(": ", ":").contains(style))
}
