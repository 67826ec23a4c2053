//! Fields with names of somebody else's choosing: front matter, JSON objects, table columns.

use std::{collections::BTreeMap, str::FromStr};

use keepsake_record::{TagName, When, Zone, settle_value};
use serde_json::{Map, Value};

use super::{Draft, Problem, ReadError};

/// Which field of a source means which field of a memory: `id=id,date=date_iso,text=text`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap(BTreeMap<String, String>);

const FIELDS: [&str; 9] = ["id", "date", "text", "title", "tags", "created", "modified", "collection", "language"];

impl FieldMap {
    /// The source's name of one of our fields.
    pub fn source_of(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for FieldMap {
    type Err = ReadError;
    fn from_str(text: &str) -> Result<Self, ReadError> {
        let mut map = BTreeMap::new();
        for pair in text.split(',').filter(|p| !p.is_empty()) {
            let (ours, theirs) = pair.split_once('=').unwrap_or((pair, pair));
            if !FIELDS.contains(&ours) || theirs.is_empty() {
                return Err(ReadError::malformed("--map", format!("`{pair}` is not FIELD=NAME with FIELD one of {}", FIELDS.join(", "))));
            }
            map.insert(ours.to_owned(), theirs.to_owned());
        }
        Ok(Self(map))
    }
}

/// The names under which front matter is known to keep a field.
const KNOWN: &[(&str, &[&str])] = &[
    ("title", &["title"]),
    ("date", &["date", "created", "creation-date", "date created"]),
    ("modified", &["modified", "updated", "lastmod", "date modified"]),
    ("tags", &["tags", "tag", "keywords"]),
    ("language", &["lang", "language"]),
];

/// Moves what front matter says into a draft; what has no place goes under custom fields.
pub(crate) fn apply(fields: Map<String, Value>, zone: Option<&Zone>, draft: &mut Draft, problems: &mut Vec<Problem>) {
    let mut fields = fields;
    let mut take = |ours: &str| {
        let (_, names) = KNOWN.iter().find(|(field, _)| *field == ours)?;
        let key = names
            .iter()
            .find_map(|name| fields.keys().find(|key| key.eq_ignore_ascii_case(name) && fields.get(*key).is_some_and(|v| !v.is_null())))?
            .clone();
        fields.remove(&key).map(|value| (key, value))
    };
    for field in ["title", "date", "modified", "tags", "language"] {
        if let Some((key, value)) = take(field)
            && let Err((reason, value)) = set(field, value, zone, draft)
        {
            if let Some(reason) = reason {
                problems.push(Problem::new(&draft.origin, format!("`{key}`: {reason}")));
            }
            custom(draft, key, value);
        }
    }
    for (key, value) in fields {
        custom(draft, key, value);
    }
}

/// Keeps a field that has no place of its own.
pub(crate) fn custom(draft: &mut Draft, key: String, mut value: Value) {
    settle_value(&mut value);
    draft.memory.custom.insert(key.replace('\0', "\u{FFFD}"), value);
}

type Refused = (Option<String>, Value);

/// Sets one of our fields; what does not fit comes back, with a reason if that is worth telling.
pub(crate) fn set(field: &str, value: Value, zone: Option<&Zone>, draft: &mut Draft) -> Result<(), Refused> {
    let memory = &mut draft.memory;
    match (field, &value) {
        (_, Value::Null) => Ok(()),
        ("title", Value::String(text)) if text.chars().count() <= 1000 => {
            memory.title = Some(text.clone());
            Ok(())
        }
        ("text", Value::String(text)) => {
            memory.text.clone_from(text);
            Ok(())
        }
        ("language", Value::String(text)) => {
            memory.language = Some(text.clone());
            if memory.validate().is_ok() {
                return Ok(());
            }
            memory.language = None;
            Err((Some("is no language tag".into()), value))
        }
        ("date", Value::String(text)) if text.trim().is_empty() => Ok(()),
        ("date", Value::String(text)) => match When::parse(text, zone) {
            Ok(when) => {
                if let Some(instant) = when.instant {
                    memory.created = instant;
                    memory.modified = instant;
                }
                memory.when = when;
                Ok(())
            }
            Err(error) => Err((Some(error.to_string()), value)),
        },
        ("created" | "modified", Value::String(text)) => match When::parse(text, zone).ok().and_then(|w| w.instant) {
            Some(instant) if field == "created" => {
                memory.created = instant;
                Ok(())
            }
            Some(instant) => {
                memory.modified = instant;
                Ok(())
            }
            // A day without a clock time says less than an instant needs; it is kept as it is.
            None => Err((None, value)),
        },
        ("tags", _) => match tags(&value) {
            Some(names) => {
                memory.tags.extend(names);
                Ok(())
            }
            None => Err((Some("is no list of tags".into()), value)),
        },
        ("collection", Value::String(name)) => {
            draft.collections.push(super::CollectionDraft { name: name.clone(), kind: "collection" });
            Ok(())
        }
        _ => Err((Some("is not of the sort that is expected here".into()), value)),
    }
}

/// Tags as a list, or as one text with commas or spaces between.
fn tags(value: &Value) -> Option<Vec<TagName>> {
    let names: Vec<String> = match value {
        Value::Array(items) => {
            items.iter().map(|v| v.as_str().map(str::to_owned).or_else(|| v.as_i64().map(|n| n.to_string()))).collect::<Option<_>>()?
        }
        Value::String(text) => text.split([',', ' ', '\n']).map(str::to_owned).collect(),
        _ => return None,
    };
    names.iter().filter(|n| !n.trim().trim_start_matches('#').is_empty()).map(|n| n.parse().ok()).collect()
}
