//! A memory on its page.

use std::{cell::RefCell, collections::BTreeSet};

use keepsake_record::{Attachment, Memory, MemoryId, Sensitivity, Timestamp, Visibility, layout};
use serde::Serialize;
use serde_json::Value;

use super::{
    frame::up,
    photos::{self, Photos},
    shelves::Shelf,
};
use crate::{
    markup::{Markup, Surroundings},
    names::Names,
    text::{self, Block},
    told,
};

/// Films and recordings that browsers play.
pub(super) const PLAYED: [&str; 12] = [
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mpeg",
    "audio/mp4",
    "audio/x-m4a",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/flac",
    "audio/webm",
];

/// A memory that is being written.
pub(super) struct Article<'a> {
    pub memory: &'a Memory,
    pub blocks: &'a [Block],
    pub heading: &'a str,
    pub names: &'a Names,
    pub photos: &'a Photos,
    /// The language of memories that name none.
    pub language: &'a str,
    /// The page that it stands on.
    pub page: &'a str,
    /// The memories that it leads to.
    pub linked: RefCell<BTreeSet<MemoryId>>,
}

impl Article<'_> {
    pub fn write(&self, out: &mut Markup) {
        let memory = self.memory;
        let id = format!("m-{}", memory.id);
        out.open("article", &[("id", &id), ("lang", memory.language.as_deref().unwrap_or(self.language))]);
        out.open("h2", &[("dir", "auto")]).words("a", &[("href", &format!("#{id}"))], self.heading).close("h2");
        self.facts(out);
        out.blocks(self.blocks, 3, self);
        let shown: BTreeSet<&str> = text::figures(self.blocks).into_iter().collect();
        // What the text does not show stands after it.
        for attachment in memory.attachments.iter().filter(|a| told::is_shown(a) && !shown.contains(a.key.as_str())) {
            self.figure(out, &attachment.key, "");
        }
        self.more(out);
        out.raw("</article>\n");
    }

    fn facts(&self, out: &mut Markup) {
        let memory = self.memory;
        let mut facts: Vec<Markup> = Vec::new();
        let fact = |write: &dyn Fn(&mut Markup)| {
            let mut fact = Markup::default();
            write(&mut fact);
            fact
        };
        if let Some(when) = told::when(&memory.when) {
            // Pages take milliseconds (HTML, 2.3.5.7).
            let machine = |at: Timestamp| {
                if at.micros() % 1_000_000 == 0 { at.to_string() } else { at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string() }
            };
            let exact = memory.when.instant.map(machine).or(memory.when.day.map(|day| day.to_string()));
            facts.push(fact(&|out| {
                match &exact {
                    // Years before 1000 have four digits there, too; none is before the first (HTML, 2.3.5).
                    Some(exact) if !exact.starts_with("0000") => out.words("time", &[("datetime", exact)], &when),
                    _ => out.text(&when),
                };
            }));
        }
        let up = up(self.page);
        let link = |out: &mut Markup, shelf: Shelf, id: &str, name: &str| {
            out.words("a", &[("dir", "auto"), ("href", &format!("{up}{}", shelf.path(id, name)))], name);
        };
        let named = |shelf: Shelf, ids: Vec<String>, names: &std::collections::BTreeMap<String, String>, before: &'static str| {
            let known: Vec<(&String, &String)> = ids.iter().filter_map(|id| Some((id, names.get(id)?))).collect();
            (!known.is_empty()).then(|| {
                fact(&|out| {
                    out.raw(before);
                    for (at, (id, name)) in known.iter().enumerate() {
                        out.raw(if at > 0 { ", " } else { "" });
                        link(out, shelf, id, name);
                    }
                })
            })
        };
        facts.extend(named(Shelf::Places, memory.place.iter().map(ToString::to_string).collect(), &self.names.places, ""));
        facts.extend(named(Shelf::People, memory.people.iter().map(ToString::to_string).collect(), &self.names.people, "With "));
        let collections = memory.collections.iter().map(|member| member.collection.to_string()).collect();
        facts.extend(named(Shelf::Collections, collections, &self.names.collections, "In "));
        facts.extend(memory.tags.iter().map(|tag| {
            fact(&|out| {
                out.raw("#");
                link(out, Shelf::Tags, tag.as_str(), tag.as_str());
            })
        }));
        facts.extend(memory.starred.then(|| {
            fact(&|out| {
                out.raw("★ starred");
            })
        }));
        if memory.visibility != Visibility::Private {
            facts.push(fact(&|out| {
                out.text(&word(&memory.visibility));
            }));
        }
        if memory.sensitivity != Sensitivity::Normal {
            facts.push(fact(&|out| {
                out.text(&word(&memory.sensitivity));
            }));
        }
        if !facts.is_empty() {
            out.raw("<ul class=\"facts\" lang=\"en\">");
            for fact in &facts {
                out.raw("<li>").append(fact).raw("</li>");
            }
            out.raw("</ul>\n");
        }
    }

    /// What few people want to read, and somebody will want to know.
    fn more(&self, out: &mut Markup) {
        let memory = self.memory;
        out.raw("<details lang=\"en\"><summary>More about it</summary><dl>");
        let mut row = |name: &str, value: &str| {
            out.words("dt", &[("dir", "auto")], name).words("dd", &[("dir", "auto")], value);
        };
        row("Kind", &word(&memory.kind));
        row("Written down", &memory.created.to_string());
        row("Last changed", &memory.modified.to_string());
        if let Some(position) = &memory.position {
            row("Position", &format!("{}, {}", position.latitude, position.longitude));
        }
        if let Some(source) = &memory.source {
            row("Source", &format!("{} {}", source.importer, source.id));
        }
        row("Id", &memory.id.to_string());
        for (name, value) in memory.custom.iter().chain(&memory.extra) {
            row(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        out.raw("</dl></details>");
    }

    fn media_address(&self, attachment: &Attachment) -> Option<String> {
        let medium = attachment.medium.as_ref()?;
        Some(format!("{}{}", up(self.page), layout::media_path(self.memory.when.day, &attachment.name, &medium.sha256)))
    }
}

impl Surroundings for Article<'_> {
    fn memory(&self, id: &str) -> Option<String> {
        let id: MemoryId = id.parse().ok()?;
        self.linked.borrow_mut().insert(id);
        Some(format!("{}links/{id}.html", up(self.page)))
    }

    fn attachment(&self, key: &str) -> Option<String> {
        let attachment = self.memory.attachments.iter().find(|attachment| attachment.key == key)?;
        self.media_address(attachment).filter(|_| photos::is_harmless(&attachment.media_type))
    }

    fn figure(&self, out: &mut Markup, key: &str, words: &str) {
        let found = self.memory.attachments.iter().find(|attachment| attachment.key == key);
        let Some((attachment, address)) = found.and_then(|attachment| Some((attachment, self.media_address(attachment)?))) else {
            let name = found.map_or(key, |attachment| attachment.name.as_str());
            let said = if words.trim().is_empty() { name } else { words };
            out.words("p", &[("class", "gone"), ("dir", "auto")], &format!("{said} (the file is not here)"));
            return;
        };
        let (made_up, _) = told::description(attachment, self.memory, self.names);
        let alt = if words.trim().is_empty() { &made_up } else { words };
        out.raw("<figure>");
        let kind = attachment.media_type.split('/').next().unwrap_or_default();
        match (kind, self.photos.preview(self.memory, attachment)) {
            ("image", Some(preview)) => {
                let has_page = told::is_shown(attachment);
                let photo =
                    if has_page { format!("{}{}", up(self.page), photos::page_of(self.memory, attachment)) } else { address.clone() };
                out.open("a", &[("href", &photo)]);
                preview.write(out, &up(self.page), alt);
                out.raw("</a>");
            }
            ("video", _) if PLAYED.contains(&attachment.media_type.as_str()) => {
                out.open("video", &[("controls", "controls"), ("preload", "none"), ("src", &address), ("aria-label", alt)]).raw("</video>");
            }
            ("audio", _) if PLAYED.contains(&attachment.media_type.as_str()) => {
                out.open("audio", &[("controls", "controls"), ("preload", "none"), ("src", &address), ("aria-label", alt)]).raw("</audio>");
            }
            _ => {}
        }
        out.raw("<figcaption>");
        if let Some(caption) = attachment.caption.as_ref().filter(|caption| !caption.trim().is_empty()) {
            out.words("span", &[("dir", "auto")], caption).raw(" ");
        }
        let size = attachment.medium.as_ref().map_or(0, |medium| medium.bytes);
        let mut attributes = vec![("class", "original"), ("dir", "auto"), ("href", &*address)];
        // What may hold scripts of its own is not opened beside the pages.
        attributes.extend((!photos::is_harmless(&attachment.media_type)).then_some(("download", &*attachment.name)));
        out.words("a", &attributes, &attachment.name);
        out.raw(" ").words("span", &[("class", "count")], &photos::size(size)).raw("</figcaption></figure>");
    }
}

/// A value that is a word, as people read it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
