//! The bundle's records as XML, and the schema (XSD 1.0) that says what may stand in it. Both follow the JSON Schema of the bundle, so that no
//! field is forgotten: every record can be made again out of its element.
//!
//! - A record is an element of its kind, in `urn:keepsake:bundle:1`; a field is an element of its name; members of a list are `item`.
//! - What the schema leaves open (custom fields, fields of newer versions) are `entry` elements: a `key`, and the value as `json`.
//! - XML has no words for some characters (most control characters, U+FFFE, U+FFFF). A text that has one bears `escaped="true"`; in it `\u0001`
//!   stands for the character and `\\` for a backslash. Everywhere else a backslash is a backslash.

mod shape;
mod xsd;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::shape::{Field, Shape};
pub use self::xsd::xsd;

/// The namespace.
pub const NAMESPACE: &str = "urn:keepsake:bundle:1";

/// Records by the name that the bundle's schema gives them, with the element around them where a file has many.
const RECORDS: [(&str, Option<&str>); 9] = [
    ("collection", Some("collections")),
    ("consent", Some("consents")),
    ("header", None),
    ("insight", Some("insights")),
    ("memory", Some("memories")),
    ("owner", None),
    ("person", Some("people")),
    ("place", Some("places")),
    ("tag", Some("tags")),
];

/// Which of them a file of the bundle holds, by its path below `data/`.
fn record_of(path: &str) -> Option<(&'static str, Option<&'static str>)> {
    let around = match path {
        "keepsake.json" => return Some(("header", None)),
        "owner.json" => return Some(("owner", None)),
        _ => path.strip_suffix(".ndjson")?.split('/').next(),
    };
    RECORDS.into_iter().find(|(_, many)| many.is_some() && *many == around)
}

/// The path that a file of the bundle has as XML; `None`: it is none that becomes XML.
pub fn path_of(path: &str) -> Option<String> {
    record_of(path)?;
    Some(format!("{}.xml", path.rsplit_once('.')?.0))
}

/// A record that could not be written: its line, from 1 on, and why.
pub type BadLine = (usize, String);

/// Writes files of the bundle as XML.
#[derive(Debug)]
pub struct Xml {
    shapes: BTreeMap<String, Field>,
}

impl Default for Xml {
    fn default() -> Self {
        Self { shapes: shape::shapes() }
    }
}

impl Xml {
    /// A file of the bundle as XML, and the lines of it that are no records.
    pub fn file(&self, path: &str, bytes: &[u8]) -> (Vec<u8>, Vec<BadLine>) {
        let mut out = String::with_capacity(bytes.len() * 2);
        let mut bad = Vec::new();
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let Some((name, around)) = record_of(path) else { return (Vec::new(), bad) };
        let Some(Field { shape, .. }) = self.shapes.get(name) else { return (Vec::new(), bad) };
        let namespace = format!(" xmlns=\"{NAMESPACE}\"");
        if let Some(around) = around {
            out.push_str(&format!("<{around}{namespace}>\n"));
        }
        let (attributes, depth) = if around.is_some() { ("", 1) } else { (namespace.as_str(), 0) };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(record) => object(name, attributes, record, shape, depth, &mut out),
                Err(error) => bad.push((number, error.to_string())),
            }
        }
        if let Some(around) = around {
            out.push_str(&format!("</{around}>\n"));
        }
        (out.into_bytes(), bad)
    }
}

fn indent(depth: usize, out: &mut String) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn object(name: &str, attributes: &str, record: Map<String, Value>, shape: &Shape, depth: usize, out: &mut String) {
    indent(depth, out);
    out.push_str(&format!("<{name}{attributes}>\n"));
    let mut extra = Map::new();
    for (field, value) in record {
        let inside = shape.field(&field).filter(|inside| inside.fits(&value));
        match inside {
            Some(inside) => element(&field, value, inside, depth + 1, out),
            None => drop(extra.insert(field, value)),
        }
    }
    if !extra.is_empty() {
        entries("extra", extra, depth + 1, out);
    }
    indent(depth, out);
    out.push_str(&format!("</{name}>\n"));
}

fn element(name: &str, value: Value, shape: &Shape, depth: usize, out: &mut String) {
    match (value, shape) {
        (value, Shape::Json) => leaf(name, &value.to_string(), depth, out),
        (Value::Object(record), Shape::Open) => entries(name, record, depth, out),
        (Value::Object(record), shape) => object(name, "", record, shape, depth, out),
        (Value::Array(items), Shape::List(inside)) => {
            indent(depth, out);
            out.push_str(&format!("<{name}>\n"));
            items.into_iter().for_each(|item| element("item", item, inside, depth + 1, out));
            indent(depth, out);
            out.push_str(&format!("</{name}>\n"));
        }
        (Value::String(text), _) => leaf(name, &text, depth, out),
        (value, _) => leaf(name, &value.to_string(), depth, out),
    }
}

/// What the schema leaves open.
fn entries(name: &str, record: Map<String, Value>, depth: usize, out: &mut String) {
    indent(depth, out);
    out.push_str(&format!("<{name}>\n"));
    for (key, value) in record {
        indent(depth + 1, out);
        out.push_str("<entry>\n");
        leaf("key", &key, depth + 2, out);
        leaf("json", &value.to_string(), depth + 2, out);
        indent(depth + 1, out);
        out.push_str("</entry>\n");
    }
    indent(depth, out);
    out.push_str(&format!("</{name}>\n"));
}

fn leaf(name: &str, text: &str, depth: usize, out: &mut String) {
    indent(depth, out);
    let is_escaped = text.chars().any(|c| !is_allowed(c));
    out.push('<');
    out.push_str(name);
    out.push_str(if is_escaped { " escaped=\"true\">" } else { ">" });
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Readers take a bare one for the end of a line.
            '\r' => out.push_str("&#13;"),
            '\\' if is_escaped => out.push_str("\\\\"),
            c if is_allowed(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push_str(&format!("</{name}>\n"));
}

/// Whether XML 1.0 can hold a character (production 2).
fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
