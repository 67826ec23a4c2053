//! Memories as Markdown, a file each, for every program that reads notes.
//!
//! Front matter (YAML) says what people want to see by name; under `keepsake` it holds the whole record but for its text, so that nothing is
//! lost. The text follows as it is, with links to attachments leading to the files; under `text` stand the keys of these links, in order, and how many
//! attachments that the text does not show stand below it, after [`REST`].

use keepsake_record::{Attachment, Memory, layout, rewrite_links};
use serde_json::{Value, json};

use crate::names::Names;

/// What stands between the text and the attachments that it does not show.
pub const REST: &str = "<!-- keepsake: attachments -->";

/// Longer keys are announced: YAML bounds the others to 1,024 characters, and an escape takes six.
const KEY_BYTES: usize = 160;

/// The path of a memory's file below `data/`: its day, a word or two of its title, and its id.
pub fn path_of(memory: &Memory) -> String {
    let folder = memory.when.day.map_or_else(|| "undated".to_owned(), |day| format!("{:04}/{:02}", day.year(), day.month()));
    let title = memory.title.as_deref().map(layout::safe_stem).filter(|stem| *stem != layout::NO_STEM);
    let parts = [memory.when.day.map(|day| day.to_string()), title, Some(memory.id.to_string())];
    format!("memories/{folder}/{}.md", parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
}

/// A memory as a file.
///
/// # Errors
/// It cannot be written as YAML.
pub fn write(memory: &Memory, names: &Names) -> Result<String, String> {
    let target = |attachment: &Attachment| {
        let medium = attachment.medium.as_ref()?;
        let above = "../".repeat(path_of(memory).matches('/').count());
        Some(format!("{above}{}", layout::media_path(memory.when.day, &attachment.name, &medium.sha256)))
    };
    let of_key = |key: &str| memory.attachments.iter().find(|attachment| attachment.key == key);
    let mut shown: Vec<String> = Vec::new();
    let text = rewrite_links(&memory.text, |link| {
        let key = link.strip_prefix("keepsake:attachment/")?;
        let target = target(of_key(key)?)?;
        shown.push(key.to_owned());
        Some(target)
    });
    let rest: Vec<String> = memory
        .attachments
        .iter()
        .filter(|attachment| !shown.contains(&attachment.key))
        .filter_map(|attachment| {
            let label = attachment.alt.as_ref().or(attachment.caption.as_ref()).unwrap_or(&attachment.name);
            let picture = if attachment.media_type.starts_with("image/") { "!" } else { "" };
            Some(format!("{picture}[{}]({})", escaped(label), target(attachment)?))
        })
        .collect();
    let mut out = "---\n".to_owned();
    let mut matter = front_matter(memory, names)?;
    if !shown.is_empty() || !rest.is_empty() {
        matter.push(("text", json!({ "below": rest.len(), "links": shown })));
    }
    for (field, value) in matter {
        out.push_str(&format!("{field}: "));
        flow(&value, &mut out);
        out.push('\n');
    }
    out.push_str("---\n");
    out.push_str(&text);
    if !rest.is_empty() {
        out.push_str(&format!("\n\n{REST}\n\n{}\n", rest.join("\n\n")));
    }
    Ok(out)
}

/// What people want to see first, in the order in which they do; then what programs want.
fn front_matter(memory: &Memory, names: &Names) -> Result<Vec<(&'static str, Value)>, String> {
    let mut matter = Vec::new();
    let when = &memory.when;
    let mut put = |name: &'static str, value: Option<Value>| matter.extend(value.map(|value| (name, value)));
    put("title", memory.title.as_ref().map(|title| json!(title)));
    let instant = when.instant.map(|instant| match when.zone.as_ref().and_then(keepsake_record::Zone::to_jiff) {
        // Offsets with seconds, as they were before there was standard time, have no form that others read.
        Some(zone) if zone.to_offset(instant.to_jiff()).seconds() % 60 == 0 => {
            instant.to_jiff().to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
        _ => instant.to_string(),
    });
    put(
        "date",
        instant.or(when.edtf.as_ref().map(|edtf| edtf.as_str().to_owned())).or(when.day.map(|day| day.to_string())).map(Value::from),
    );
    put("tags", (!memory.tags.is_empty()).then(|| json!(memory.tags)));
    let called = |ids: Vec<String>, names: &std::collections::BTreeMap<String, String>| {
        let known: Vec<&String> = ids.iter().filter_map(|id| names.get(id)).collect();
        (!known.is_empty()).then(|| json!(known))
    };
    put("people", called(memory.people.iter().map(ToString::to_string).collect(), &names.people));
    put("place", memory.place.as_ref().and_then(|id| names.places.get(&id.to_string())).map(|name| json!(name)));
    put("collections", called(memory.collections.iter().map(|member| member.collection.to_string()).collect(), &names.collections));
    put("language", memory.language.as_ref().map(|language| json!(language)));
    let mut record = serde_json::to_value(memory).map_err(|e| e.to_string())?;
    record.as_object_mut().and_then(|record| record.remove("text"));
    put("keepsake", Some(record));
    Ok(matter)
}

/// A value as YAML in flow style that readers of YAML 1.1 and 1.2 take for the same: every text in quotation marks (a bare `yes` is a word for
/// some and a truth for others), every number with what makes it one.
fn flow(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => quoted(text, out),
        Value::Number(number) => out.push_str(&float(&number.to_string())),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (field, value)) in fields.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                // Readers look for the colon of a longer key in vain, unless they are told that it is one.
                out.push_str(if field.len() > KEY_BYTES { "? " } else { "" });
                quoted(field, out);
                out.push_str(if field.len() > KEY_BYTES { " : " } else { ": " });
                flow(value, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    // Most texts are ids, names and days.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.push_str(text);
    } else {
        text.chars().for_each(|character| quote(character, out));
    }
    out.push('"');
}

fn quote(character: char, out: &mut String) {
    match character {
        '"' | '\\' => out.extend(['\\', character]),
        // Not printable in YAML, or the end of a line for some readers.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        }
        printable => out.push(printable),
    }
}

/// `1e-7` is a text in YAML 1.1; `1.0e-7` is a number everywhere.
fn float(number: &str) -> String {
    let Some((digits, exponent)) = number.split_once('e') else { return number.to_owned() };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// Words that are no markup between brackets.
fn escaped(words: &str) -> String {
    words.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(['\n', '\r'], " ")
}
