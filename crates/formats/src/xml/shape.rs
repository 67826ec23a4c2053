//! What the bundle's schema says of a field, as far as XML needs it.

use std::collections::BTreeMap;

use keepsake_record::bundle_schema;
use serde_json::Value;

/// What may stand in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text.
    Text,
    /// Text of a form that XML Schema can tell, by the name of its definition.
    Form(String),
    /// One of some words.
    Word(Vec<String>),
    /// A number that is whole.
    Whole,
    /// Any number.
    Number,
    /// Yes or no.
    Flag,
    /// A list.
    List(Box<Shape>),
    /// Fields by name.
    Fields(BTreeMap<String, Field>),
    /// Keys and values that the person or the source chose.
    Open,
    /// A value of any kind.
    Json,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub shape: Shape,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it is.
    pub about: String,
}

/// Texts whose form XML Schema can tell.
pub(super) const FORMS: [&str; 3] = ["LocalDay", "Sha256", "Timestamp"];

impl Shape {
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Fields(fields) => fields.get(name).map(|field| &field.shape),
            _ => None,
        }
    }

    /// Whether a value can stand where this shape is asked for. One that cannot is of a newer version.
    pub fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text | Self::Form(_), Value::String(_)) | (Self::Number, Value::Number(_)) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Word(words), Value::String(word)) => words.contains(word),
            (Self::Whole, Value::Number(number)) => number.is_u64() || number.is_i64(),
            (Self::Fields(_) | Self::Open, Value::Object(_)) => true,
            (Self::List(inside), Value::Array(items)) => items.iter().all(|item| inside.fits(item)),
            (Self::Json, _) => true,
            _ => false,
        }
    }
}

/// The shapes of all records by the names that the bundle's schema gives them: `memory`, `owner`.
pub(super) fn shapes() -> BTreeMap<String, Field> {
    let schema = bundle_schema();
    fields(&schema, &schema["$defs"])
}

fn fields(part: &Value, definitions: &Value) -> BTreeMap<String, Field> {
    let required: Vec<&str> = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let field = |(name, inside): (&String, &Value)| {
        let about = inside["description"].as_str().unwrap_or_default().to_owned();
        (name.clone(), Field { shape: read(inside, definitions), is_required: required.contains(&name.as_str()), about })
    };
    part["properties"].as_object().into_iter().flatten().map(field).collect()
}

fn read(part: &Value, definitions: &Value) -> Shape {
    if let Some(name) = part["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return if FORMS.contains(&name) { Shape::Form(name.to_owned()) } else { read(&definitions[name], definitions) };
    }
    // A value that may be absent is one of two.
    if let Some(choices) = part["anyOf"].as_array() {
        let some = choices.iter().find(|choice| choice["type"] != "null");
        return some.map_or(Shape::Json, |some| read(some, definitions));
    }
    let words = |list: &Value, word: fn(&Value) -> Option<&str>| {
        list.as_array().map(|list| list.iter().filter_map(|item| word(item).map(str::to_owned)).collect::<Vec<_>>())
    };
    if let Some(words) = words(&part["oneOf"], |item| item["const"].as_str()).or_else(|| words(&part["enum"], Value::as_str)) {
        return Shape::Word(words);
    }
    let kind = match &part["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    };
    match kind {
        Some("integer") => Shape::Whole,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Flag,
        Some("string") => Shape::Text,
        Some("array") => Shape::List(Box::new(read(&part["items"], definitions))),
        Some("object") if part["properties"].is_object() => Shape::Fields(fields(part, definitions)),
        Some("object") => Shape::Open,
        _ => Shape::Json,
    }
}
