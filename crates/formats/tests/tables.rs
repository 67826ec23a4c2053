//! What a record of a newer version holds comes into the tables, too, and into no cell that means something else.

use std::{collections::BTreeMap, io::Read};

use keepsake_formats::tables::{Dialect, Tables};
use serde_json::{Value, json};

/// The rows of a table, by column.
fn rows(records: &[(&str, Value)], table: &str) -> Vec<BTreeMap<String, String>> {
    let mut tables = Tables::new(Dialect::Faithful, &std::env::temp_dir()).expect("temporary files");
    for (path, record) in records {
        tables.line(path, record.to_string().as_bytes()).expect("written").expect("a record");
    }
    let (files, _) = tables.finish().expect("finished");
    let mut text = String::new();
    let mut file = files.into_iter().find(|file| file.name == table).expect("a table").file;
    file.read_to_string(&mut text).expect("UTF-8");
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| row.expect("a row")).collect()
}

#[test]
fn fields_of_newer_versions_are_not_mixed_up() {
    let record = json!({
        "id": "1", "kind": "entry", "title": "", "zone": "blue", "latitude": "north", "starred": "very", "weather": { "rain": true },
        "when": { "day": "2024-03-17", "zone": "Europe/Lisbon", "calendar": "julian" }, "position": { "latitude": 1.5 },
        "tags": ["sea", 7], "people": ["p"], "custom": { "": 1, "a": -5 },
    });
    let row = rows(&[("memories/x", record.clone())], "memories.csv").remove(0);
    assert_eq!((row["day"].as_str(), row["zone"].as_str(), row["latitude"].as_str()), ("2024-03-17", "Europe/Lisbon", "1.5"));
    assert_eq!((row["title"].as_str(), row["starred"].as_str()), ("", ""));
    let extra: Value = serde_json::from_str(&row["extra"]).expect("JSON");
    let expected = json!({
        "title": "", "zone": "blue", "latitude": "north", "starred": "very", "weather": { "rain": true },
        "when": { "calendar": "julian" }, "tags": ["sea", 7], "custom": { "": 1 },
    });
    assert_eq!(extra, expected);
    assert_eq!(rows(&[("memories/x", record.clone())], "memory_tags.csv").len(), 0, "a list with something else in it is whole in `extra`");
    assert_eq!(rows(&[("memories/x", record.clone())], "memory_people.csv")[0]["person"], "p");
    assert_eq!(rows(&[("memories/x", record)], "custom.csv")[0]["value"], "-5");
}

#[test]
fn what_is_no_record_is_named_and_leaves_the_others() {
    let mut tables = Tables::new(Dialect::Faithful, &std::env::temp_dir()).expect("temporary files");
    for line in ["", "[]", "{\"id\": \"1\"", "7"] {
        assert!(tables.line("people.ndjson", line.as_bytes()).expect("written").is_err(), "{line}");
    }
    tables.line("people.ndjson", b"{\"id\":\"1\",\"name\":\"Ada\"}").expect("written").expect("a record");
    assert!(!Tables::takes("keepsake.json") && Tables::takes("insights/moods.ndjson"));
    let (files, package) = tables.finish().expect("finished");
    let people = files.iter().find(|file| file.name == "people.csv").expect("a table");
    assert_eq!(people.bytes, "id,name,aliases,born,custom,extra\r\n1,Ada,,,,\r\n".len() as u64);
    let package: Value = serde_json::from_slice(&package).expect("JSON");
    assert_eq!(package["resources"].as_array().map(Vec::len), Some(13));
}
