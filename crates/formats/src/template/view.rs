//! What a template sees of memories: the same names for all kinds of templates, each there whether it says something or not.
//!
//! `docs/TEMPLATES.md` has every field; a test compares it with this.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use keepsake_record::{Attachment, Memory, MemoryId, Timestamp, Zone, rewrite_links};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Kind,
    blocks::{self, is_right_to_left},
};
use crate::{
    markup::{Markup, Surroundings},
    names::Names,
    text::{self, Block},
    told,
};

/// The level of the first headings of a text in HTML: below that of a memory, below that of a month, below that of a page.
const LEVEL: u8 = 4;

/// A picture that was made for the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// Where it is, from what is made on.
    pub path: String,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// What there is of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Words for those who cannot see it.
    pub alt: String,
    /// Whether somebody wrote them about it.
    pub is_described: bool,
    /// A caption to show.
    pub caption: Option<String>,
    /// The picture, or why there is none.
    pub picture: Result<PictureFile, String>,
    /// Where the original is, from what is made on.
    pub original: Option<String>,
}

impl Shown {
    /// An attachment of which nothing goes with what is made.
    pub fn told(attachment: &Attachment, memory: &Memory, names: &Names, reason: impl Into<String>) -> Self {
        let (alt, is_described) = told::description(attachment, memory, names);
        let caption = attachment.caption.clone().filter(|caption| !caption.trim().is_empty());
        Self { alt, is_described, caption, picture: Err(reason.into()), original: None }
    }

    pub(super) fn picture_value(&self) -> Value {
        self.picture.as_ref().map_or(Value::Null, |p| json!({ "path": p.path, "width": p.width, "height": p.height }))
    }

    pub(super) fn missing(&self) -> Option<&str> {
        self.picture.as_ref().err().map(String::as_str)
    }
}

/// What all memories of a file have in common.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    /// The program that makes it.
    pub program: String,
    /// The template.
    pub template: String,
    /// Its title.
    pub title: String,
    /// The language of its own words and of memories that name none.
    pub language: String,
    /// Whose memories.
    pub owner: String,
    /// Which state it shows.
    pub state: State,
    /// Which memories, if not all.
    pub filter: Option<String>,
    /// All memories that it takes, in this file and in others.
    pub count: u64,
    /// Which file it is, from 1 on,
    pub number: usize,
    /// of so many.
    pub of: usize,
}

/// A state of the owner's memories.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// The number of the last change.
    pub seq: u64,
    /// Its random mark.
    pub mark: String,
    /// Its instant.
    pub at: Timestamp,
}

/// A memory as a template sees it.
#[derive(Debug, Clone)]
pub struct View {
    /// All that is no markup.
    pub fields: Map<String, Value>,
    /// Its text as HTML; for templates of text only.
    pub html: Option<String>,
}

/// Makes views of the memories of a file.
pub struct Viewer<'a> {
    /// What is made.
    pub kind: Kind,
    /// What things are called.
    pub names: &'a Names,
    /// The memories that stand in the same file.
    pub here: &'a BTreeSet<MemoryId>,
    /// The language of memories that name none.
    pub language: &'a str,
}

impl Viewer<'_> {
    /// A memory; `number` counts from 1 on, `shown` is what there is of each attachment by key.
    pub fn memory(&self, memory: &Memory, number: u64, shown: &BTreeMap<String, Shown>) -> View {
        let parsed = text::parse(&memory.text);
        let named: BTreeSet<&str> = text::figures(&parsed).into_iter().collect();
        let mut fields = self.told(memory, &parsed);
        let mut put = |name: &str, value: Value| {
            fields.insert(name.into(), value);
        };
        put("number", json!(number));
        let attachments = memory.attachments.iter().map(|one| attachment(one, shown.get(&one.key), named.contains(one.key.as_str())));
        put("attachments", attachments.collect());
        put("text", json!(memory.text));
        if self.kind == Kind::Typst {
            put("blocks", json!(blocks::blocks(&parsed, shown)));
            return View { fields, html: None };
        }
        put("markdown", json!(linked(memory, shown)));
        let mut markup = Markup::default();
        markup.blocks(&parsed, LEVEL, &Around { shown, here: self.here });
        View { fields, html: Some(markup.into_string()) }
    }

    /// What is known of a memory beside its text and its files.
    fn told(&self, memory: &Memory, parsed: &[Block]) -> Map<String, Value> {
        let name = |names: &BTreeMap<String, String>, id: String| {
            let name = names.get(&id).cloned().unwrap_or_else(|| id.clone());
            json!({ "id": id, "name": name })
        };
        let people: Vec<Value> = memory.people.iter().map(|id| name(&self.names.people, id.to_string())).collect();
        let collections: Vec<Value> =
            memory.collections.iter().map(|member| name(&self.names.collections, member.collection.to_string())).collect();
        let custom = memory.custom.iter().chain(&memory.extra);
        let custom: Vec<Value> = custom
            .map(|(name, value)| json!({ "name": name, "value": value.as_str().map_or_else(|| value.to_string(), str::to_owned) }))
            .collect();
        let value = json!({
            "id": memory.id,
            "title": memory.title,
            "heading": told::heading(memory, parsed),
            "kind": memory.kind,
            "language": memory.language.as_deref().unwrap_or(self.language),
            "rtl": is_right_to_left(parsed),
            "starred": memory.starred,
            "visibility": memory.visibility,
            "sensitivity": memory.sensitivity,
            "when": when(memory),
            "created": memory.created,
            "modified": memory.modified,
            "place": memory.place.as_ref().map(|id| name(&self.names.places, id.to_string())),
            "position": memory.position.as_ref().map(|p| json!({ "latitude": p.latitude, "longitude": p.longitude, "altitude": p.altitude })),
            "people": people,
            "collections": collections,
            "tags": memory.tags,
            "custom": custom,
            "source": memory.source.as_ref().map(|source| json!({ "importer": source.importer, "id": source.id, "account": source.account })),
        });
        let Value::Object(fields) = value else { return Map::new() };
        fields
    }
}

/// When it was: in words, and exactly.
fn when(memory: &Memory) -> Value {
    let when = &memory.when;
    let zone = when.zone.as_ref().and_then(Zone::to_jiff).unwrap_or(TimeZone::UTC);
    let local = when.instant.map(|instant| instant.to_jiff().to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    json!({
        "text": told::when(when),
        "day": when.day,
        "month": told::month(when.day),
        "year": when.day.map(|day| day.year()),
        "instant": when.instant,
        "local": local,
        "zone": when.zone,
        "edtf": when.edtf,
    })
}

fn attachment(attachment: &Attachment, shown: Option<&Shown>, in_text: bool) -> Value {
    let kind = match attachment.media_type.split('/').next() {
        Some("image") => "photo",
        Some("video") => "film",
        Some("audio") => "recording",
        _ => "document",
    };
    json!({
        "key": attachment.key,
        "name": attachment.name,
        "type": attachment.media_type,
        "kind": kind,
        "role": attachment.role,
        "bytes": attachment.medium.as_ref().map(|medium| medium.bytes),
        "sha256": attachment.medium.as_ref().map(|medium| medium.sha256),
        "alt": shown.map_or(attachment.name.as_str(), |shown| &shown.alt),
        "described": shown.is_some_and(|shown| shown.is_described),
        "caption": shown.and_then(|shown| shown.caption.as_ref()),
        "captured": attachment.captured.as_ref().and_then(told::when),
        "in_text": in_text,
        "shown": told::is_shown(attachment),
        "picture": shown.map_or(Value::Null, Shown::picture_value),
        "original": shown.and_then(|shown| shown.original.as_ref()),
        "missing": shown.map_or(Some("it is not here"), Shown::missing),
    })
}

/// The text as it was written, but that links to attachments lead to what is here of them.
fn linked(memory: &Memory, shown: &BTreeMap<String, Shown>) -> String {
    rewrite_links(&memory.text, |link| {
        let found = shown.get(link.strip_prefix("keepsake:attachment/")?)?;
        found.picture.as_ref().ok().map(|picture| picture.path.clone()).or_else(|| found.original.clone())
    })
}

struct Around<'a> {
    shown: &'a BTreeMap<String, Shown>,
    here: &'a BTreeSet<MemoryId>,
}

impl Surroundings for Around<'_> {
    fn memory(&self, id: &str) -> Option<String> {
        let id: MemoryId = id.parse().ok()?;
        self.here.contains(&id).then(|| format!("#m-{id}"))
    }

    fn attachment(&self, key: &str) -> Option<String> {
        self.shown.get(key)?.original.clone()
    }

    fn figure(&self, markup: &mut Markup, key: &str, words: &str) {
        let found = self.shown.get(key);
        let known = found.map_or_else(|| format!("An attachment ({key})"), |shown| shown.alt.clone());
        let alt = if words.trim().is_empty() { &known } else { words };
        let Some((shown, picture)) = found.and_then(|shown| Some((shown, shown.picture.as_ref().ok()?))) else {
            if let Some(original) = found.and_then(|shown| shown.original.as_deref()) {
                markup.open("p", &[("dir", "auto")]).words("a", &[("href", original)], alt).close("p");
            } else {
                let reason = found.and_then(Shown::missing).unwrap_or("it is not here");
                markup.words("p", &[("class", "gone"), ("dir", "auto")], &format!("{alt} ({reason})"));
            }
            if let Some(caption) = found.and_then(|shown| shown.caption.as_deref()).filter(|caption| *caption != alt) {
                markup.words("p", &[("dir", "auto")], caption);
            }
            return;
        };
        let (width, height) = (picture.width.to_string(), picture.height.to_string());
        let attributes = [("src", picture.path.as_str()), ("alt", alt), ("width", &width), ("height", &height), ("loading", "lazy")];
        markup.open("figure", &[]);
        match &shown.original {
            Some(original) => {
                markup.open("a", &[("href", original)]).void("img", &attributes).close("a");
            }
            None => {
                markup.void("img", &attributes);
            }
        }
        if let Some(caption) = &shown.caption {
            markup.words("figcaption", &[("dir", "auto")], caption);
        }
        markup.close("figure");
    }
}

/// All that a template sees, as data: `memories` of one file, with `memory` where each has a file of its own; what was left out of it.
pub fn data(head: &Head, memories: &[View], alone: bool, left_out: &[(String, String)]) -> Value {
    let fields = |view: &View| Value::Object(view.fields.clone());
    let mut all = serde_json::to_value(head).unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        let at = head.state.at.to_jiff().to_zoned(TimeZone::UTC);
        all.insert("date".into(), json!([at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second()]));
        all.insert("left_out".into(), left_out.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect());
        all.insert("memories".into(), memories.iter().map(fields).collect());
        if let (true, [view]) = (alone, memories) {
            all.insert("memory".into(), fields(view));
        }
    }
    all
}
