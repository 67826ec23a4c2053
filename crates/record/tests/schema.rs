//! The published schema and field dictionary are what the types say; a change shows in the diff.

fn published(name: &str, text: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("docs folder is writable");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == text, "docs/{name} is not what the types say: run the tests with UPDATE_SNAPSHOTS=1 and review the diff");
}

#[test]
fn the_schema_in_the_docs_is_the_schema_of_the_types() {
    published("bundle.schema.json", &format!("{}\n", serde_json::to_string_pretty(&keepsake_record::bundle_schema()).expect("JSON")));
}

#[test]
fn the_field_dictionary_in_the_docs_tells_every_field() {
    let page = keepsake_record::field_dictionary();
    published("FIELDS.md", &page);
    let schema = keepsake_record::bundle_schema();
    for (name, definition) in schema["$defs"].as_object().expect("types") {
        let part = page.split(&format!("\n## {name}\n")).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("each type is told");
        for field in definition["properties"].as_object().into_iter().flatten().map(|(field, _)| field) {
            let row = part.lines().find(|line| line.starts_with(&format!("| `{field}` | "))).unwrap_or_default();
            assert!(row.split(" | ").nth(2).is_some_and(|meaning| meaning.len() > 5), "{name}: what `{field}` means is not told: {row}");
        }
    }
}
