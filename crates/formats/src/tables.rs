//! Memories as tables: CSV files that refer to each other, described by a data package, for spreadsheets and databases.
//!
//! Whatever a record holds comes into a cell: known fields into columns of their own, the rest as JSON into `extra`, also what a cell cannot say, such as
//! that a text is there and empty. Rows go to temporary files as they come, so that memory does not grow with them. (RFC 4180; Frictionless Data
//! Package 1.0 and Table Schema 1.0.)

mod columns;

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
};

use keepsake_record::{LocalDay, Sha256Digest, layout};
use serde_json::{Map, Value, json};

use self::columns::{TABLES, Table, column_name};

/// How cells are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As they are: for programs.
    #[default]
    Faithful,
    /// With a byte order mark, and with an apostrophe before what a spreadsheet would take for a formula (OWASP, "CSV Injection"), wherever it cuts cells.
    Spreadsheet,
}

/// Gathers rows.
pub struct Tables {
    dialect: Dialect,
    writers: Vec<csv::Writer<File>>,
}

/// A table that is whole.
pub struct Written {
    /// The file's name, such as `memories.csv`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its bytes, from the first on.
    pub file: Box<dyn Read>,
}

type Record = Map<String, Value>;

impl Tables {
    /// Begins with empty tables, in temporary files in a folder.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn new(dialect: Dialect, folder: &Path) -> io::Result<Self> {
        let begin = |table: &Table| {
            let mut file = tempfile::tempfile_in(folder)?;
            if dialect == Dialect::Spreadsheet {
                file.write_all("\u{feff}".as_bytes())?;
            }
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
            writer.write_record(table.columns.iter().map(|(column, _)| column_name(column)))?;
            Ok(writer)
        };
        Ok(Self { dialect, writers: TABLES.iter().map(begin).collect::<io::Result<_>>()? })
    }

    /// Whether the lines of a file of the bundle, by its path below `data/`, belong into tables.
    pub fn takes(path: &str) -> bool {
        table_of(path).is_some()
    }

    /// Adds a line of a file of the bundle.
    ///
    /// # Errors
    /// The inner one: the line is no record, and nothing of it was added. The outer one: it cannot be written.
    pub fn line(&mut self, path: &str, line: &[u8]) -> io::Result<Result<(), String>> {
        let (Some(table), Ok(record)) = (table_of(path), serde_json::from_slice::<Record>(line)) else {
            return Ok(Err("it is no JSON object of a kind that is known here".into()));
        };
        if table == "memories" {
            self.memory(record)?
        } else {
            self.row(table, record, &[])?
        }
        Ok(Ok(()))
    }

    fn memory(&mut self, mut record: Record) -> io::Result<()> {
        let id = text_of(&record, "id");
        let day = record.get("when").and_then(|when| when.get("day")?.as_str()?.parse::<LocalDay>().ok());
        for (number, attachment) in objects(&mut record, "attachments").into_iter().enumerate() {
            let digest = attachment.get("medium").and_then(|medium| medium.get("sha256")?.as_str()?.parse::<Sha256Digest>().ok());
            let path = digest.map(|digest| layout::media_path(day, &text_of(&attachment, "name"), &digest));
            self.row("attachments", attachment, &[&id, &number.to_string(), &path.unwrap_or_default()])?;
        }
        for member in objects(&mut record, "collections") {
            self.row("members", member, &[&id])?;
        }
        for (table, field) in [("memory_tags", "tags"), ("memory_people", "people")] {
            for value in words(&mut record, field) {
                self.row(table, Record::new(), &[&id, &value])?;
            }
        }
        if let Some(Value::Object(mut custom)) = record.remove("custom") {
            let nameless = custom.remove("");
            for (key, value) in custom {
                self.row("custom", Record::from_iter([("value".to_owned(), value)]), &[&id, &key])?;
            }
            // A cell cannot say that a name is empty.
            record.extend(nameless.map(|value| ("custom".to_owned(), json!({ "": value }))));
        }
        self.row("memories", record, &[])
    }

    /// Writes a row: each column from where it says, and what is left as JSON into `extra`. `made`: the cells that are not in the record, in order.
    fn row(&mut self, name: &str, mut record: Record, made: &[&str]) -> io::Result<()> {
        let at = TABLES.iter().position(|table| table.name == name).expect("a table of ours");
        let mut made = made.iter();
        // What stands inside an object, first: the record may have a field of the same name that means something else.
        let mut inside: Vec<(&str, Record)> = Vec::new();
        for (object, _) in TABLES[at].columns.iter().filter_map(|(column, _)| column.split_once('.')) {
            if inside.iter().all(|(known, _)| *known != object)
                && let Some(Value::Object(fields)) = record.get_mut(object)
            {
                inside.push((object, std::mem::take(fields)));
            }
        }
        let mut cells: Vec<String> = Vec::with_capacity(TABLES[at].columns.len());
        for (column, kind) in TABLES[at].columns {
            let cell = match (column.strip_prefix('='), column.split_once('.')) {
                (Some(_), _) => self.guarded(made.next().copied().unwrap_or_default()),
                (None, Some((object, field))) => {
                    let fields = inside.iter_mut().find(|(name, _)| *name == object);
                    fields.map_or_else(String::new, |(_, fields)| self.take(fields, field, kind))
                }
                (None, None) if *column == "extra" => continue,
                (None, None) => self.take(&mut record, column, kind),
            };
            cells.push(cell);
        }
        for (object, fields) in inside {
            if fields.is_empty() {
                record.remove(object)
            } else {
                record.insert(object.to_owned(), Value::Object(fields))
            };
        }
        if TABLES[at].columns.last().is_some_and(|(column, _)| *column == "extra") {
            cells.push(if record.is_empty() { String::new() } else { self.json(&Value::Object(record)) });
        }
        Ok(self.writers[at].write_record(cells)?)
    }

    /// Takes a field out of a record as a cell. What a cell of this kind cannot say stays: an empty text, or something of another type.
    fn take(&self, record: &mut Record, field: &str, kind: &str) -> String {
        let fits = record.get(field).is_some_and(|value| match (kind, value) {
            ("any", _) | ("object", Value::Object(_)) | ("array", Value::Array(_)) | ("boolean", Value::Bool(_)) => true,
            ("number", Value::Number(_)) => true,
            ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("string" | "date" | "datetime", Value::String(text)) => !text.is_empty(),
            _ => false,
        });
        match if fits { record.remove(field) } else { None } {
            Some(Value::String(text)) if kind != "any" => self.guarded(&text),
            Some(value) => self.json(&value),
            None => String::new(),
        }
    }

    fn json(&self, value: &Value) -> String {
        let text = value.to_string();
        // A semicolon stands in a text only, and begins a new cell where lists are separated by it.
        if self.dialect == Dialect::Spreadsheet { text.replace(';', "\\u003b") } else { text }
    }

    /// A text as a cell that no spreadsheet takes for a formula, also one that cuts cells at semicolons or lines.
    fn guarded(&self, text: &str) -> String {
        if self.dialect == Dialect::Faithful {
            return text.to_owned();
        }
        let mut safe = String::with_capacity(text.len() + 1);
        let mut begins = true;
        for character in text.chars() {
            let formula = matches!(character, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}');
            if begins && (formula || safe.is_empty() && matches!(character, '\t' | '\r' | '\n' | '\0')) {
                safe.push('\'');
            }
            safe.push(character);
            begins = matches!(character, ';' | '\t' | '\r' | '\n');
        }
        safe
    }

    /// Ends the tables: their files, and the description of all.
    ///
    /// # Errors
    /// A temporary file fails.
    pub fn finish(self) -> io::Result<(Vec<Written>, Vec<u8>)> {
        let mut files = Vec::new();
        for (table, writer) in TABLES.iter().zip(self.writers) {
            let mut file = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
            let bytes = file.stream_position()?;
            file.rewind()?;
            files.push(Written { name: format!("{}.csv", table.name), bytes, file: Box::new(file) });
        }
        let mut package = serde_json::to_vec_pretty(&package(self.dialect))?;
        package.push(b'\n');
        Ok((files, package))
    }
}

/// The table of a file's lines.
fn table_of(path: &str) -> Option<&'static str> {
    match path {
        "collections.ndjson" => Some("collections"),
        "people.ndjson" => Some("people"),
        "places.ndjson" => Some("places"),
        "tags.ndjson" => Some("tags"),
        "consents.ndjson" => Some("consents"),
        "owner.json" => Some("owners"),
        _ if path.starts_with("insights/") => Some("insights"),
        _ if path.starts_with("memories/") => Some("memories"),
        _ => None,
    }
}

fn text_of(record: &Record, field: &str) -> String {
    record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Takes a list of objects out of a record; one of anything else stays.
fn objects(record: &mut Record, field: &str) -> Vec<Record> {
    let all = record.get(field).and_then(Value::as_array).is_some_and(|all| all.iter().all(Value::is_object));
    let Some(Value::Array(values)) = (if all { record.remove(field) } else { None }) else { return Vec::new() };
    values.into_iter().filter_map(|value| if let Value::Object(fields) = value { Some(fields) } else { None }).collect()
}

/// Takes a list of words out of a record; one of anything else stays.
fn words(record: &mut Record, field: &str) -> Vec<String> {
    let is_word = |value: &Value| value.as_str().is_some_and(|word| !word.is_empty());
    let all = record.get(field).and_then(Value::as_array).is_some_and(|all| all.iter().all(is_word));
    let Some(Value::Array(values)) = (if all { record.remove(field) } else { None }) else { return Vec::new() };
    values.into_iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// The description of the tables.
fn package(dialect: Dialect) -> Value {
    let resource = |table: &Table| {
        let field = |(column, kind): &(&str, &str)| {
            let name = column_name(column);
            // Table Schema's own form of an instant has no fractions of seconds.
            if *kind == "datetime" { json!({ "name": name, "type": kind, "format": "any" }) } else { json!({ "name": name, "type": kind }) }
        };
        let fields: Vec<Value> = table.columns.iter().map(field).collect();
        let keys: Vec<Value> = table
            .refers
            .iter()
            .map(|(field, other, key)| json!({ "fields": [field], "reference": { "resource": other, "fields": [key] } }))
            .collect();
        json!({
            "name": table.name,
            "path": format!("{}.csv", table.name),
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "dialect": { "delimiter": ",", "lineTerminator": "\r\n", "quoteChar": "\"", "doubleQuote": true, "header": true },
            "schema": { "fields": fields, "primaryKey": table.key, "foreignKeys": keys, "missingValues": [""] },
        })
    };
    json!({
        "profile": "tabular-data-package",
        "name": "keepsake",
        "title": "Memories",
        "keepsake": { "format": 1, "dialect": if dialect == Dialect::Faithful { "faithful" } else { "spreadsheet" } },
        "resources": TABLES.iter().map(resource).collect::<Vec<_>>(),
    })
}
