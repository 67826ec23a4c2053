//! The published schema is what the types say; a change shows in the diff.

#[test]
fn the_schema_in_the_docs_is_the_schema_of_the_types() {
    let text = format!("{}\n", serde_json::to_string_pretty(&keepsake_record::bundle_schema()).expect("JSON"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bundle.schema.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).expect("docs folder is writable");
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == text,
        "docs/bundle.schema.json is not what the types say: run the tests with UPDATE_SNAPSHOTS=1 and review the diff"
    );
}
