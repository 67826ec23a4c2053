//! Memories as tables: CSV files that refer to each other, described by a data package, for spreadsheets and databases.
//!
//! Whatever a record holds comes into a cell: known fields into columns of their own, the rest as JSON into `extra`. Rows go to temporary files as
//! they come, so that memory does not grow with them. (RFC 4180; Frictionless Data Package 1.0 and Table Schema 1.0.)

mod layout;

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
};

use serde_json::{Map, Value, json};

use self::layout::{TABLES, Table};

/// How cells are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As they are: for programs.
    #[default]
    Faithful,
    /// With a byte order mark, and with an apostrophe before what a spreadsheet would take for a formula (OWASP, "CSV Injection").
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

impl Tables {
    /// Begins with empty tables.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn new(dialect: Dialect) -> io::Result<Self> {
        let begin = |table: &Table| {
            let mut file = tempfile::tempfile()?;
            if dialect == Dialect::Spreadsheet {
                file.write_all("\u{feff}".as_bytes())?;
            }
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
            writer.write_record(table.columns.iter().map(|column| column.0))?;
            Ok(writer)
        };
        Ok(Self { dialect, writers: TABLES.iter().map(begin).collect::<io::Result<_>>()? })
    }

    /// Adds what a line of a bundle's file says; `path` is the file's, below `data/`. Answers whether it belongs into a table.
    ///
    /// # Errors
    /// The line is no JSON object, or cannot be written.
    pub fn line(&mut self, path: &str, line: &[u8]) -> io::Result<bool> {
        let mut record: Map<String, Value> = serde_json::from_slice(line)?;
        match path {
            "collections.ndjson" => self.row("collections", &mut record)?,
            "people.ndjson" => self.row("people", &mut record)?,
            "places.ndjson" => self.place(record)?,
            "tags.ndjson" => self.row("tags", &mut record)?,
            "consents.ndjson" => self.row("consents", &mut record)?,
            "owner.json" => self.row("owners", &mut record)?,
            _ if path.starts_with("insights/") => self.row("insights", &mut record)?,
            _ if path.starts_with("memories/") => self.memory(record)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn memory(&mut self, mut record: Map<String, Value>) -> io::Result<()> {
        let id = record.get("id").cloned().unwrap_or_default();
        let of = |rest: [(&str, Value); 1]| {
            let mut row = Map::from_iter(rest.map(|(name, value)| (name.to_owned(), value)));
            row.insert("memory".into(), id.clone());
            row
        };
        for (number, attachment) in list(&mut record, "attachments").into_iter().enumerate() {
            let Value::Object(mut row) = attachment else { continue };
            lift(&mut row, "medium", &["bytes", "sha256"]);
            lift(&mut row, "captured", &WHEN);
            lift(&mut row, "position", &POSITION);
            row.extend([("memory".to_owned(), id.clone()), ("number".to_owned(), number.into())]);
            self.row("attachments", &mut row)?;
        }
        for member in list(&mut record, "collections") {
            let Value::Object(mut row) = member else { continue };
            row.insert("memory".into(), id.clone());
            self.row("members", &mut row)?;
        }
        for (table, field) in [("memory_tags", "tags"), ("memory_people", "people")] {
            for value in list(&mut record, field) {
                self.row(table, &mut of([(if field == "tags" { "tag" } else { "person" }, value)]))?;
            }
        }
        if let Some(Value::Object(custom)) = record.remove("custom") {
            for (key, value) in custom {
                let mut row = of([("value", value)]);
                row.insert("key".into(), key.into());
                self.row("custom", &mut row)?;
            }
        }
        lift(&mut record, "when", &WHEN);
        lift(&mut record, "position", &POSITION);
        self.row("memories", &mut record)
    }

    fn place(&mut self, mut record: Map<String, Value>) -> io::Result<()> {
        lift(&mut record, "position", &POSITION);
        self.row("places", &mut record)
    }

    /// Writes a row: each column from the field of its name, what is left as JSON into `extra`, if there is such a column.
    fn row(&mut self, name: &str, record: &mut Map<String, Value>) -> io::Result<()> {
        let at = TABLES.iter().position(|table| table.name == name).expect("a table of ours");
        let mut cells: Vec<String> = Vec::with_capacity(TABLES[at].columns.len());
        for (column, kind) in TABLES[at].columns.iter().filter(|(column, _)| *column != "extra") {
            let value = record.remove(*column);
            cells.push(self.cell(value, kind));
        }
        if TABLES[at].columns.last().is_some_and(|(column, _)| *column == "extra") {
            let rest = (!record.is_empty()).then(|| Value::Object(std::mem::take(record)));
            cells.push(self.cell(rest, "object"));
        }
        Ok(self.writers[at].write_record(cells)?)
    }

    fn cell(&self, value: Option<Value>, kind: &str) -> String {
        let text = match value {
            None => return String::new(),
            Some(Value::String(text)) if kind != "any" => text,
            Some(value) => value.to_string(),
        };
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']);
        // A number is one, also below zero.
        if self.dialect == Dialect::Spreadsheet && is_formula && kind != "number" && kind != "integer" { format!("'{text}") } else { text }
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

const WHEN: [&str; 4] = ["day", "edtf", "instant", "zone"];
const POSITION: [&str; 4] = ["latitude", "longitude", "altitude", "accuracy"];

fn list(record: &mut Map<String, Value>, field: &str) -> Vec<Value> {
    match record.remove(field) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

/// Lifts fields of an object inside a record into the record; what nobody knows there stays in it.
fn lift(record: &mut Map<String, Value>, object: &str, fields: &[&str]) {
    let Some(Value::Object(mut inside)) = record.remove(object) else { return };
    for field in fields {
        if let Some(value) = inside.remove(*field) {
            record.insert((*field).to_owned(), value);
        }
    }
    if !inside.is_empty() {
        record.insert(object.to_owned(), Value::Object(inside));
    }
}

/// The description of the tables.
fn package(dialect: Dialect) -> Value {
    let resource = |table: &Table| {
        let fields: Vec<Value> = table.columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
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
