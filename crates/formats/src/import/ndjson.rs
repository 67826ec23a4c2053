//! One JSON object a line, with a field map.

use std::io::{BufRead, BufReader};

use keepsake_record::{Kind, Sha256Digest};
use serde_json::{Map, Value};

use super::{
    Draft, Input, Problem, ReadError, ReadOptions, Sink,
    front_matter::{custom, set},
};

/// The longest line.
const LINE_MAX_BYTES: usize = 64 << 20;

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    for file in input.files()? {
        if !["ndjson", "jsonl", "json"].contains(&file.ending().as_str()) && !input.is_single_file() {
            sink.passed_over(&file.path, "no .ndjson or .jsonl file");
            continue;
        }
        let mut reader = BufReader::new(input.open_file(&file.path)?);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let count = reader.read_until(b'\n', &mut line).map_err(|source| ReadError::Io { path: file.path.clone(), source })?;
            if count == 0 {
                break;
            }
            if line.len() > LINE_MAX_BYTES {
                return Err(ReadError::malformed(format!("{}:{number}", file.path), "the line is longer than 64 MiB"));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                item(text, &format!("{}:{number}", file.path), options, sink)?;
            }
        }
    }
    Ok(())
}

fn item(line: &[u8], origin: &str, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(fields)) => object("ndjson", fields, Sha256Digest::of(line), origin, options, sink),
        Ok(_) => {
            sink.problem(Problem::new(origin, "the line is JSON but no object; it was left out"));
            Ok(())
        }
        Err(error) => {
            sink.problem(Problem::new(origin, format!("the line is not JSON and was left out: {error}")));
            Ok(())
        }
    }
}

/// Makes a draft of an object by the field map.
pub(crate) fn object(
    importer: &str,
    mut fields: Map<String, Value>,
    digest: Sha256Digest,
    origin: &str,
    options: &ReadOptions,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let map = &options.map;
    let id_field = map.source_of("id").unwrap_or("id");
    let id = match fields.remove(id_field) {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= 1024 => id,
        Some(Value::Number(id)) => id.to_string(),
        other => {
            if let Some(value) = other.filter(|v| !v.is_null()) {
                fields.insert(id_field.to_owned(), value);
            }
            // Without an id the content itself says what it is; the same line twice is then one memory.
            digest.to_string()
        }
    };
    let mut draft = Draft::new(importer, id, origin, digest, options);
    draft.memory.kind = Kind::Entry;
    for field in ["title", "text", "date", "created", "modified", "tags", "collection", "language"] {
        let name = map.source_of(field).unwrap_or_else(|| if map.is_empty() { field } else { "" });
        let Some(value) = fields.remove(name) else { continue };
        if let Err((reason, value)) = set(field, value, options.zone.as_ref(), &mut draft) {
            if let Some(reason) = reason {
                sink.problem(Problem::new(origin, format!("`{name}`: {reason}; it is kept under custom fields")));
            }
            custom(&mut draft, name.to_owned(), value);
        }
    }
    for (key, value) in fields {
        if !value.is_null() {
            custom(&mut draft, key, value);
        }
    }
    sink.draft(draft)
}
