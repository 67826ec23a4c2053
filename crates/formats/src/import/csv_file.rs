//! A table with a header line, with a field map.

use std::io::Read;

use keepsake_record::Sha256Digest;
use serde_json::{Map, Value};

use super::{Input, Problem, ReadError, ReadOptions, Sink, ndjson};

/// A row that is put behind the last one. Where a quote is open at the end of the file, it is swallowed with all that follows the quote.
const END: &str = "\u{1}the end of the table\u{1}";

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    for file in input.files()? {
        let delimiter = match file.ending().as_str() {
            "tsv" => b'\t',
            "csv" => b',',
            _ if input.is_single_file() => b',',
            _ => {
                sink.passed_over(&file.path, "no .csv or .tsv file");
                continue;
            }
        };
        let end = format!("\n{END}");
        let table = input.open_file(&file.path)?.chain(end.as_bytes());
        // Rows of another length are told apart here, so that the last one is seen.
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(table);
        let headers =
            reader.headers().map_err(|e| ReadError::malformed(&file.path, format!("the header line cannot be read: {e}")))?.clone();
        match headers.iter().next_back() {
            Some(END) if headers.len() == 1 => {
                sink.passed_over(&file.path, "an empty table");
                continue;
            }
            Some(cell) if cell.ends_with(END) => {
                return Err(ReadError::malformed(
                    &file.path,
                    "a quote begins in the header line and never ends: close it and import again",
                ));
            }
            _ => {}
        }
        let names: Vec<String> = headers.iter().map(|h| h.trim_start_matches('\u{feff}').to_owned()).collect();
        let missing = ["id", "date", "text", "title", "tags", "collection"]
            .iter()
            .filter_map(|f| options.map.source_of(f))
            .find(|n| !names.iter().any(|name| name == n));
        if let Some(missing) = missing {
            return Err(ReadError::malformed(&file.path, format!("has no column `{missing}`; it has {}", names.join(", "))));
        }
        let mut rows = reader.records().peekable();
        while let Some(row) = rows.next() {
            let last = rows.peek().is_none();
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    sink.problem(Problem::new(
                        format!("{}:{line}", file.path),
                        format!("the row cannot be read and was left out: {error}"),
                    ));
                    continue;
                }
            };
            let origin = format!("{}:{}", file.path, row.position().map_or(0, csv::Position::line));
            if last && row.len() == 1 && &row[0] == END {
                break;
            }
            let swallowed = last && row.iter().next_back().is_some_and(|cell| cell.ends_with(END));
            if swallowed || row.len() != names.len() {
                let problem = match swallowed {
                    true => {
                        "a quote begins in this row and never ends: it and what follows were left out; close the quote and import again"
                            .into()
                    }
                    false => format!("the row has {} cells and the header {}: it was left out", row.len(), names.len()),
                };
                sink.problem(Problem::new(origin, problem));
                continue;
            }
            let mut text = Vec::new();
            let mut fields = Map::new();
            for (name, cell) in names.iter().zip(&row) {
                text.extend_from_slice(&(cell.len() as u64).to_le_bytes());
                text.extend_from_slice(cell.as_bytes());
                if !cell.is_empty() {
                    fields.insert(name.clone(), Value::String(cell.to_owned()));
                }
            }
            ndjson::object("csv", fields, Sha256Digest::of(&text), &origin, options, sink)?;
        }
    }
    Ok(())
}
