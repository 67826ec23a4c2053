//! Exports as tables: read back by another program, they say everything that the records say.

use std::{fs, path::Path, process::Command, sync::Arc};

use keepsake_custody::{BagFormat, Dialect, ExportOptions, ImportMode, ImportOptions, MemoryDraft, Silent};

use crate::support::{Home, data, home};

/// Makes the records again out of the tables, by what the data package says of their columns, and compares them with the lines of a JSON export.
const COMPARE: &str = r#"
import csv, json, pathlib, sys
lines, tables = (pathlib.Path(arg) / "data" for arg in sys.argv[1:3])
csv.field_size_limit(1 << 30)
package = json.load(open(tables / "datapackage.json", encoding="utf-8"))
types = {r["name"]: {f["name"]: f["type"] for f in r["schema"]["fields"]} for r in package["resources"]}
keys = {r["name"]: r["schema"] for r in package["resources"]}
def rows(name):
    with open(tables / (name + ".csv"), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells = {column: cell for column, cell in row.items() if cell != ""}
            yield {c: v if types[name][c] in ("string", "date", "datetime") else json.loads(v) for c, v in cells.items()}
def nest(record, name, fields):
    inside = {field: record.pop(field) for field in fields if field in record}
    if inside:
        record[name] = inside
def merge(record, extra):
    for key, value in extra.items():
        record[key] = merge(record[key], value) if key in record else value
    return record
def whole(record):
    return merge(record, record.pop("extra", {}))
WHEN, POSITION = ["day", "edtf", "instant", "zone"], ["latitude", "longitude", "altitude", "accuracy"]
memories = {}
for record in rows("memories"):
    nest(record, "when", WHEN)
    nest(record, "position", POSITION)
    memories[record["id"]] = whole(record)
for record in rows("attachments"):
    memory = memories[record.pop("memory")]
    assert record.pop("number") == len(memory.setdefault("attachments", []))
    path = record.pop("path", None)
    assert path is None or (tables / path).stat().st_size == record["bytes"], path
    nest(record, "medium", ["bytes", "sha256"])
    nest(record, "captured", WHEN)
    nest(record, "position", POSITION)
    memory["attachments"].append(whole(record))
for record in rows("members"):
    memories[record.pop("memory")].setdefault("collections", []).append(whole(record))
for table, field, column in (("memory_tags", "tags", "tag"), ("memory_people", "people", "person")):
    for record in rows(table):
        memories[record["memory"]].setdefault(field, []).append(record[column])
for record in rows("custom"):
    memories[record["memory"]].setdefault("custom", {})[record["key"]] = record["value"]
def filled(value):
    # Whether an object or a list that is empty is there or not, no record tells apart.
    if isinstance(value, dict):
        return {key: filled(inside) for key, inside in value.items() if inside not in ({}, [])}
    return [filled(inside) for inside in value] if isinstance(value, list) else value
expected = {}
for path in sorted((lines / "memories").rglob("*.ndjson")):
    for line in open(path, encoding="utf-8"):
        record = json.loads(line)
        expected[record["id"]] = record
assert memories.keys() == expected.keys(), (len(memories), len(expected))
for id, record in expected.items():
    assert filled(memories[id]) == filled(record), (filled(memories[id]), filled(record))
files = {name: [lines / (name + ".ndjson")] for name in ("collections", "people", "places", "tags", "consents")}
files |= {"owners": [lines / "owner.json"], "insights": sorted((lines / "insights").glob("*.ndjson"))}
for name, paths in files.items():
    there = [json.loads(line) for path in paths if path.exists() for line in open(path, encoding="utf-8")]
    found = list(rows(name))
    for record in found:
        nest(record, "position", POSITION)
        whole(record)
    assert [filled(r) for r in found] == [filled(r) for r in there], (name, found, there)
for name, schema in keys.items():
    for key in schema["foreignKeys"]:
        other = key["reference"]["resource"] or name
        known = {row.get(key["reference"]["fields"][0]) for row in rows(other)}
        for row in rows(name):
            assert row.get(key["fields"][0]) in known | {None}, (name, key, row)
print(len(memories), "memories,", sum(len(m.get("attachments", [])) for m in memories.values()), "attachments")
"#;

async fn export(home: &Home, name: &str, format: BagFormat) -> std::path::PathBuf {
    let out = home.folder.path().join(name);
    home.custody
        .export(home.owner, &ExportOptions { out: out.clone(), format, ..ExportOptions::default() }, Arc::new(Silent))
        .await
        .expect("export");
    out
}

async fn compare(home: &Home) -> String {
    let (lines, tables) = (export(home, "lines", BagFormat::Json).await, export(home, "tables", BagFormat::Csv(Dialect::Faithful)).await);
    let ran = Command::new("python3").arg("-c").arg(COMPARE).arg(lines).arg(&tables).output().expect("Python 3 is installed");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

async fn add(home: &Home, draft: MemoryDraft) {
    home.custody.add_memory(home.owner, &draft).await.expect("added");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("read")
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_cells_come_back() {
    let home = home().await;
    let attach = home.folder.path().join("=odd, \"name\".txt");
    fs::write(&attach, "a file").expect("written");
    for (words, date) in [
        ("plain", "2024-03-17"),
        ("=1+1", "2024-03-17T10:00:00+01:00"),
        ("a \"quoted\", line\r\nand\nmore\rlone; \u{1} \t שלום 🐦", "199X"),
        ("-@+", "2024-03"),
        ("", "2024-03-18"),
    ] {
        let tags = vec!["sea".into(), "a/b".into()];
        let draft =
            MemoryDraft { text: words.into(), title: Some(format!("@{words}")), date: Some(date.into()), tags, ..MemoryDraft::default() };
        let title = draft.title.clone().map(|title| title.replace(['\r', '\n', '\t', '\u{1}'], " "));
        add(&home, MemoryDraft { title, attach: vec![attach.clone()], ..draft }).await;
    }
    let rows = home.folder.path().join("rows.ndjson");
    let fields = r#""below": -5, "word": "-5", "none": null, "empty": "", "list": [1, "=2;=3"], "tiny": 1e-7, "nested": {"a": {}}"#;
    fs::write(&rows, format!("{{\"id\": \"1\", \"date\": \"2024-03-20\", \"text\": \"x;=1+1\\n=2\", {fields}}}\n")).expect("written");
    let mut options = ImportOptions { map: "id=id,date=date,text=text".parse().expect("a map"), ..ImportOptions::default() };
    options.format = keepsake_custody::Format::from_name("ndjson");
    home.custody.import(home.owner, &rows, &options, ImportMode::Apply, Arc::new(Silent)).await.expect("import");
    assert_eq!(compare(&home).await, "6 memories, 5 attachments\n");
    let safe = export(&home, "safe", BagFormat::Csv(Dialect::Spreadsheet)).await;
    let cells = text(&safe.join("data/memories.csv"));
    assert!(cells.starts_with('\u{feff}') && cells.contains(",'=1+1,") && !cells.contains(",=1+1,"), "{cells}");
    assert!(cells.contains("x;'=1+1\n'=2"), "also where cells are cut at semicolons and lines: {cells}");
    let custom = text(&safe.join("data/custom.csv"));
    assert!(custom.contains(",below,-5\r\n") && custom.contains("=2\\u003b=3"), "{custom}");
    let names = text(&safe.join("data/attachments.csv"));
    assert!(names.contains("'=odd"), "{names}");
    let (one, two) = (home.folder.path().join("one"), home.folder.path().join("two"));
    for folder in [&one, &two] {
        fs::create_dir(folder).expect("made");
        for (name, format) in [("bag.zip", BagFormat::Json), ("csv.tar.gz", BagFormat::Csv(Dialect::Faithful))] {
            let out = folder.join(name);
            home.custody
                .export(home.owner, &ExportOptions { out, format, ..ExportOptions::default() }, Arc::new(Silent))
                .await
                .expect("export");
        }
    }
    for name in ["bag.zip", "csv.tar.gz"] {
        assert!(fs::read(one.join(name)).expect("read") == fs::read(two.join(name)).expect("read"), "{name}: the same bytes each time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_back() {
    let home = home().await;
    home.fill_every_field().await;
    assert_eq!(compare(&home).await, "1 memories, 2 attachments\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_exports_come_back() {
    for path in ["dayone-export/export", "photos-exif-samples", "obsidian-vault"] {
        let Some(path) = data(path) else { return };
        let home = home().await;
        home.custody.import(home.owner, &path, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await.expect("import");
        let said = compare(&home).await;
        assert!(!said.starts_with("0 "), "{}: {said}", path.display());
    }
}
