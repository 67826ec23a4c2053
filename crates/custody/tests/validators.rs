//! Exports before the programs that people have: archivers, and validators that others made.

use std::{fs, path::Path, process::Command};

use keepsake_custody::{BagFormat, Dialect, MemoryDraft};

use crate::support::{Home, data, files, home};

/// Runs a program that must be content; without it, says so, and fails in CI.
fn content(program: &str, args: &[&str]) -> bool {
    let Ok(ran) = Command::new(program).args(args).output() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is not installed: run scripts/test");
        println!("no {program}: it was not asked; scripts/test installs it");
        return false;
    };
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&said));
    true
}

/// A program that stands beside the Python of scripts/tools.
fn beside_python(name: &str) -> Option<String> {
    let python = std::env::var("KEEPSAKE_PYTHON").ok();
    assert!(python.is_some() || std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_PYTHON is not set: run scripts/test");
    let Some(python) = python else {
        println!("no KEEPSAKE_PYTHON: {name} was not asked; scripts/test asks it");
        return None;
    };
    Some(Path::new(&python).with_file_name(name).to_str().expect("a path in UTF-8").to_owned())
}

async fn import_samples(home: &Home) {
    for name in ["dayone-export/export", "photos-exif-samples/gps"] {
        if let Some(path) = data(name) {
            home.import(&path).await;
        }
    }
}

async fn filled() -> Home {
    let home = home().await;
    import_samples(&home).await;
    home.fill_every_field().await;
    home
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn archivers_open_every_archive() {
    let home = home().await;
    import_samples(&home).await;
    let draft = MemoryDraft { text: "שלום, 🐦".into(), title: Some("CON/..\\\"a\"".into()), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
    for (name, format) in [("json", BagFormat::Json), ("pages", BagFormat::Html), ("tables", BagFormat::Csv(Dialect::Faithful))] {
        let zip = home.export(&format!("{name}.zip"), format).await;
        content("unzip", &["-tqq", text(&zip)]);
        content("7z", &["t", "-bd", text(&zip)]);
        content("bsdtar", &["-tf", text(&zip)]);
        let tar = home.export(&format!("{name}.tar.gz"), format).await;
        content("gzip", &["-t", text(&tar)]);
        content("tar", &["-tzf", text(&tar)]);
        content("bsdtar", &["-tf", text(&tar)]);
        content("7z", &["t", "-bd", text(&tar)]);
    }
}

/// Each line is a document: they are put into lists, and the schema says what each entry of a list is.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_keeps_to_the_schema_that_goes_with_it() {
    let home = filled().await;
    let bag = home.export("bundle", BagFormat::Json).await;
    let Some(check) = beside_python("check-jsonschema") else { return };
    let schema = fs::read(bag.join("bundle.schema.json")).expect("the schema goes with it");
    let mut schema: serde_json::Value = serde_json::from_slice(&schema).expect("JSON");
    content(&check, &["--check-metaschema", text(&bag.join("bundle.schema.json"))]);
    assert!(fs::read_to_string(bag.join("FIELDS.md")).expect("and what its fields mean").contains("| `starred` | boolean |"));
    let lists = home.folder.path().join("lists");
    fs::create_dir(&lists).expect("made");
    let root = bag.join("data");
    let mut seen = 0;
    for (kind, name) in [
        ("Memory", "memories/"),
        ("Insight", "insights/"),
        ("Collection", "collections.ndjson"),
        ("Person", "people.ndjson"),
        ("Place", "places.ndjson"),
        ("Tag", "tags.ndjson"),
        ("Consent", "consents.ndjson"),
        ("Owner", "owner.json"),
        ("Header", "keepsake.json"),
    ] {
        let lines: Vec<String> = files(&root)
            .iter()
            .filter(|path| path.strip_prefix(&root).is_ok_and(|below| text(below).starts_with(name)))
            .flat_map(|path| fs::read_to_string(path).expect("text").lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        assert!(!lines.is_empty(), "there is no {kind}");
        seen += lines.len();
        let (list, shape) = (lists.join(format!("{kind}.json")), lists.join(format!("{kind}.schema.json")));
        fs::write(&list, format!("[{}]", lines.join(","))).expect("written");
        let whole = schema.as_object_mut().expect("an object");
        for word in ["properties", "required"] {
            whole.remove(word);
        }
        whole.insert("type".into(), "array".into());
        whole.insert("items".into(), serde_json::json!({ "$ref": format!("#/$defs/{kind}") }));
        fs::write(&shape, schema.to_string()).expect("written");
        content(&check, &["--schemafile", text(&shape), text(&list)]);
        // That it would say so, if a record were another one.
        fs::write(&list, r#"[{"id": 7}]"#).expect("written");
        let ran = Command::new(&check).args(["--schemafile", text(&shape), text(&list)]).output().expect("it ran before");
        assert!(!ran.status.success(), "{kind}");
    }
    println!("{seen} records keep to the schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_a_data_package() {
    let home = filled().await;
    let tables = home.export("tables", BagFormat::Csv(Dialect::Faithful)).await;
    let Some(frictionless) = beside_python("frictionless") else { return };
    content(&frictionless, &["validate", text(&tables.join("data/datapackage.json"))]);
}
