//! The matrix of formats and fields: nothing is forgotten, and the page prints it.

use std::{collections::BTreeSet, fs};

use keepsake_formats::matrix::{MATRIX, table};

#[test]
fn every_field_of_the_schema_has_a_row() {
    let schema = keepsake_record::bundle_schema();
    let rows: BTreeSet<(String, String)> = MATRIX.iter().map(|row| (row.field.0.to_owned(), row.field.1.to_owned())).collect();
    assert_eq!(rows.len(), MATRIX.len(), "each stands once");
    for name in ["Memory", "Attachment"] {
        let fields = schema["$defs"][name]["properties"].as_object().expect("fields");
        let wanted: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let there: BTreeSet<&str> = rows.iter().filter(|(record, _)| record == name).map(|(_, field)| field.as_str()).collect();
        assert_eq!(there, wanted, "{name}");
    }
    let others: BTreeSet<&str> = rows.iter().filter(|(_, field)| field.is_empty()).map(|(record, _)| record.as_str()).collect();
    let wanted = schema["properties"].as_object().expect("records").values().filter_map(|part| part["$ref"].as_str()?.rsplit('/').next());
    // What a bundle says of itself, and where its history stands, is made anew by each export.
    let wanted: BTreeSet<&str> = wanted.filter(|name| !["Memory", "Header", "History"].contains(name)).collect();
    assert_eq!(others, wanted);
}

#[test]
fn the_page_prints_the_matrix() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/DATA_EXPORT.md");
    let page = fs::read_to_string(path).expect("the page");
    let (begin, end) = ("<!-- matrix -->\n", "<!-- end of matrix -->");
    let (before, rest) = page.split_once(begin).expect("where the matrix begins");
    let (there, after) = rest.split_once(end).expect("where it ends");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path, format!("{before}{begin}\n{}\n{end}{after}", table())).expect("docs folder is writable");
        return;
    }
    assert!(there.trim() == table().trim(), "docs/DATA_EXPORT.md is not what the matrix says: run the tests with UPDATE_SNAPSHOTS=1");
}
