//! A Mastodon account's archive (TAR.GZ until 2022, ZIP since): `outbox.json`, an ActivityStreams collection of what the account posted and
//! boosted, with the media that it attached.
//!
//! Who may see a post is kept: everybody, those with the link, followers, or those whom it names. What has no field of its own (mentions,
//! polls, replies, the post's address) is kept as custom fields. Likes and bookmarks are addresses of other people's posts, and are passed over.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Attachment, Expected, Sensitivity, Sha256Digest, Timestamp, Visibility, When, Zone, canonical_line, settle_value};
use serde_json::{Map, Value};

use super::{
    Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{key_of_file, take_list, take_tags},
    front_matter::custom,
    html,
    media_type::media_type,
};

/// The file that makes an archive one.
pub(crate) const OUTBOX: &str = "outbox.json";
/// Everybody, as ActivityStreams names them.
const EVERYBODY: [&str; 3] = ["https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"];
/// Where an archive keeps media.
const MEDIA: &str = "media_attachments/";

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let mut all: Vec<&InputFile> = files.iter().filter(|file| file.name() == OUTBOX).collect();
    all.sort_by_key(|file| file.depth());
    let Some(outbox) = all.first().map(|file| file.path.clone()) else {
        return Err(ReadError::malformed(input.describe(), "has no outbox.json: an archive of a Mastodon account holds one"));
    };
    for other in all.iter().skip(1) {
        sink.problem(Problem::new(&other.path, "belongs to another archive: import that one by itself"));
    }
    let root = outbox.trim_end_matches(OUTBOX);
    let value: Value = serde_json::from_slice(&input.whole(&outbox)?).map_err(|e| {
        ReadError::malformed(format!("{outbox}:{}", e.line()), format!("is not JSON: {e}; ask for the archive in Mastodon again"))
    })?;
    let Some(items) = value.get("orderedItems").and_then(Value::as_array) else {
        return Err(ReadError::malformed(&outbox, "has no list `orderedItems`: this is no archive of a Mastodon account"));
    };
    if let Some(said) = value.get("totalItems").and_then(Value::as_u64).filter(|said| *said > items.len() as u64) {
        sink.problem(Problem::new(&outbox, format!("says that it holds {said} posts and boosts; {} are there", items.len())));
    }
    let here: BTreeMap<String, String> =
        files.iter().filter_map(|file| Some((media_name(file.path.strip_prefix(root)?)?, file.path.clone()))).collect();
    let mut archive = Archive { here, used: BTreeSet::new(), options };
    for (number, item) in items.iter().enumerate() {
        let origin = format!("{outbox}: item {}", number + 1);
        match item.as_object() {
            Some(activity) => archive.activity(activity, &origin, sink)?,
            None => sink.problem(Problem::new(origin, "is no object and was left out")),
        }
    }
    for file in files.iter().filter(|file| file.path != outbox && !archive.used.contains(&file.path)) {
        sink.passed_over(&file.path, what(file.name()));
    }
    Ok(())
}

/// What a file of an archive is that is no post.
fn what(name: &str) -> &'static str {
    match name {
        "actor.json" => "the account's profile",
        "likes.json" => "posts of others that it liked, by address",
        "bookmarks.json" => "posts of others that it bookmarked, by address",
        _ if name.starts_with("avatar.") || name.starts_with("header.") => "a picture of the account's profile",
        _ => "no post names it",
    }
}

/// What comes after `media_attachments/` in a path or an address: servers put different things before it.
fn media_name(path: &str) -> Option<String> {
    path.find(MEDIA).map(|at| path[at + MEDIA.len()..].to_owned())
}

struct Archive<'a> {
    /// Media by what comes after `media_attachments/`.
    here: BTreeMap<String, String>,
    used: BTreeSet<String>,
    options: &'a ReadOptions,
}

impl Archive<'_> {
    fn activity(&mut self, activity: &Map<String, Value>, origin: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let kind = activity.get("type").and_then(Value::as_str).unwrap_or_default();
        match (kind, activity.get("object")) {
            ("Create", Some(Value::Object(post))) => self.post(post, origin, sink),
            ("Announce", Some(Value::String(address))) => self.boost(activity, address, origin, sink),
            // A post of one's own that not everybody may see stands in it whole; it is there as a post, too.
            ("Announce", Some(Value::Object(post))) => {
                self.boost(activity, post.get("id").and_then(Value::as_str).unwrap_or_default(), origin, sink)
            }
            _ => {
                sink.problem(Problem::new(origin, format!("is a `{kind}`, neither a post nor a boost, and was left out")));
                Ok(())
            }
        }
    }

    /// A draft with what posts and boosts have alike; takes it out of the fields.
    fn draft(&self, fields: &mut Map<String, Value>, origin: &str, sink: &mut dyn Sink) -> Option<Draft> {
        let Some(id) = fields.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= 1024).map(str::to_owned) else {
            sink.problem(Problem::new(origin, "has no `id` and was left out"));
            return None;
        };
        // What the server counts changes and is no part of the post.
        for counted in ["replies", "likes", "shares"] {
            fields.remove(counted);
        }
        let mut settled = Value::Object(fields.clone());
        settle_value(&mut settled);
        let mut draft = Draft::new("mastodon", id, origin, Sha256Digest::of(&canonical_line(&settled)), self.options);
        fields.remove("id");
        let mut time = |name: &str| {
            let at = fields.get(name)?.as_str()?.parse::<Timestamp>().ok()?;
            fields.remove(name);
            Some(at)
        };
        match time("published") {
            Some(at) => {
                draft.memory.created = at;
                draft.memory.modified = time("updated").unwrap_or(at);
                draft.memory.when = When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc));
            }
            None => sink.problem(Problem::new(origin, "has no readable `published`; it is kept without a date")),
        }
        draft.memory.visibility = visibility(fields);
        Some(draft)
    }

    fn post(&mut self, post: &Map<String, Value>, origin: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut fields = post.clone();
        let Some(mut draft) = self.draft(&mut fields, origin, sink) else { return Ok(()) };
        if let Some(Value::String(content)) = fields.get("content").cloned() {
            draft.memory.text = match html::to_markdown(&content) {
                Ok(text) => text,
                Err(words) => {
                    sink.problem(Problem::new(origin, "its HTML is nested too deep or too long to be read; its words are kept"));
                    words
                }
            };
            language(&mut fields, &content, &mut draft);
            fields.remove("content");
        }
        if fields.get("sensitive") == Some(&Value::Bool(true)) {
            draft.memory.sensitivity = Sensitivity::Sensitive;
            fields.remove("sensitive");
        }
        // Where a hashtag leads follows from its name and the server.
        take_tags(&mut fields, "tag", |tag| tag.get("type").and_then(Value::as_str) == Some("Hashtag"), &mut draft.memory);
        for item in take_list(&mut fields, "attachment") {
            match item {
                Value::Object(item) => self.medium(item, origin, &mut draft, sink),
                _ => sink.problem(Problem::new(origin, "an attachment is no object and was left out")),
            }
        }
        keep(fields, &mut draft);
        sink.draft(draft)
    }

    fn boost(&mut self, activity: &Map<String, Value>, address: &str, origin: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut fields = activity.clone();
        for of_the_server in ["@context", "signature"] {
            fields.remove(of_the_server);
        }
        let Some(mut draft) = self.draft(&mut fields, origin, sink) else { return Ok(()) };
        draft.memory.text = format!("<{address}>");
        keep(fields, &mut draft);
        sink.draft(draft)
    }

    fn medium(&mut self, mut item: Map<String, Value>, origin: &str, draft: &mut Draft, sink: &mut dyn Sink) {
        let mut text = |name: &str, is_good: fn(&str) -> bool| {
            let text = item.get(name)?.as_str().filter(|text| is_good(text))?.to_owned();
            item.remove(name);
            Some(text)
        };
        let (url, alt) = (text("url", |url| !url.is_empty()), text("name", |alt| !alt.is_empty()));
        let kind = text("mediaType", |kind| kind.contains('/') && kind.len() <= 128);
        let Some(url) = url else {
            sink.problem(Problem::new(origin, "an attachment has no `url` and was left out"));
            return;
        };
        let name = url.split(['?', '#']).next().unwrap_or(&url).rsplit('/').next().unwrap_or_default();
        let name = Some(name).filter(|name| (1..=255).contains(&name.len()) && !name.contains(['\\', '\0'])).unwrap_or("file");
        let key = key_of_file(&draft.memory, name);
        let mut attachment = Attachment::new(key.clone(), name, kind.unwrap_or_else(|| media_type(name).to_owned()));
        attachment.alt = alt;
        let mut pixels = |name: &str| {
            let pixels = u32::try_from(item.get(name)?.as_u64()?).ok()?;
            item.remove(name);
            Some(pixels)
        };
        attachment.width = pixels("width");
        attachment.height = pixels("height");
        for (field, mut value) in item.into_iter().filter(|(field, value)| field != "type" && !value.is_null()) {
            settle_value(&mut value);
            attachment.custom.insert(field, value);
        }
        match media_name(&url).and_then(|name| self.here.get(&name)).cloned() {
            Some(path) => {
                self.used.insert(path.clone());
                draft.files.push(DraftFile { key, path });
            }
            None => {
                sink.problem(Problem::new(
                    origin,
                    format!("its file {url} is not in the archive; put it there and import again to add it"),
                ));
                attachment.expected = Some(Expected { md5: None, path: Some(url) });
            }
        }
        draft.memory.attachments.push(attachment);
    }
}

/// Whom a post is for (Mastodon's documentation, `visibility`): `to` and `cc` say it.
fn visibility(fields: &Map<String, Value>) -> Visibility {
    let names = |field: &str| -> Vec<&str> {
        match fields.get(field) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        }
    };
    let (to, cc) = (names("to"), names("cc"));
    let followers: Vec<String> =
        ["attributedTo", "actor"].iter().filter_map(|field| Some(format!("{}/followers", fields.get(*field)?.as_str()?))).collect();
    let everybody = |names: &[&str]| names.iter().any(|name| EVERYBODY.contains(name));
    match (everybody(&to), everybody(&cc)) {
        (true, _) => Visibility::Public,
        (false, true) => Visibility::Unlisted,
        // People whom the owner chose. Whom else it is for, if anybody, is named in `to`.
        _ if to.iter().chain(&cc).any(|name| followers.iter().any(|followers| followers == name)) => Visibility::Shared,
        _ => Visibility::Private,
    }
}

/// The language that a post is in, if it is in one.
fn language(fields: &mut Map<String, Value>, content: &str, draft: &mut Draft) {
    let Some(Value::Object(by_language)) = fields.get("contentMap") else { return };
    let mut all = by_language.iter();
    let (Some((language, text)), None) = (all.next(), all.next()) else { return };
    if text.as_str() != Some(content) {
        return;
    }
    draft.memory.language = Some(language.clone());
    if draft.memory.validate().is_ok() {
        fields.remove("contentMap");
    } else {
        draft.memory.language = None;
    }
}

/// Keeps what has no field of its own.
fn keep(fields: Map<String, Value>, draft: &mut Draft) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        // Nothing is sensitive that is not said to be.
        other => *other == Value::Bool(false),
    };
    for (field, value) in fields.into_iter().filter(|(_, value)| !is_empty(value)) {
        custom(draft, field, value);
    }
}
