//! Exports as XML and as Markdown: other programs read them, and make every record again out of them.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use keepsake_custody::{BagFormat, ImportMode, ImportOptions, MemoryDraft, Silent};

use crate::support::{Home, data, files, home};

/// What both comparisons share: the records of a JSON export by id.
const EXPECTED: &str = r#"
import json, pathlib, re, sys
lines, other = (pathlib.Path(arg) / "data" for arg in sys.argv[1:3])
expected = {}
for path in sorted(lines.rglob("*.ndjson")) + [lines / "owner.json", lines / "keepsake.json"]:
    for line in open(path, encoding="utf-8", newline="\n"):
        record = json.loads(line)
        kind = str(path.relative_to(lines)).split("/")[0].split(".")[0]
        expected[(kind, record.get("id") or record.get("name") or "")] = record
def same(found):
    assert found.keys() == expected.keys(), (sorted(found.keys() ^ expected.keys()))
    for key, record in expected.items():
        assert found[key] == record, (key, found[key], record)
"#;

/// Makes the records again out of the XML, by what its schema says.
const FROM_XML: &str = r#"
import xml.etree.ElementTree as tree
XS = "{http://www.w3.org/2001/XMLSchema}"
schema = tree.parse(other / "keepsake.xsd").getroot()
types = {t.get("name"): t for t in schema.findall(XS + "complexType")}
def name(element):
    return element.tag.split("}")[1]
def text(element):
    words = element.text or ""
    if element.get("escaped") == "true":
        words = re.sub(r"\\\\|\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)) if m[1] else "\\", words)
    return words
def entries(element):
    return {text(entry[0]): json.loads(text(entry[1])) for entry in element}
def value(element, declared):
    kind = declared.get("type")
    if kind == "Entries":
        return entries(element)
    if kind == "Json":
        return json.loads(text(element))
    if kind == "xs:integer":
        return int(element.text)
    if kind == "xs:double":
        return json.loads(element.text)
    if kind == "xs:boolean":
        return element.text == "true"
    if kind is not None or declared.find(XS + "simpleType") is not None:
        return text(element)
    inside = declared.find(XS + "complexType")
    many = inside.find(XS + "sequence")
    if many is not None:
        return [value(item, many[0]) for item in element]
    return record(element, inside)
def record(element, kind):
    fields = {field.get("name"): field for field in kind.find(XS + "all")}
    out = {}
    for child in element:
        if name(child) == "extra":
            out |= entries(child)
        else:
            out[name(child)] = value(child, fields[name(child)])
    return out
found = {}
for path in sorted(other.rglob("*.xml")):
    root = tree.parse(path).getroot()
    kind = str(path.relative_to(other)).split("/")[0].split(".")[0]
    single = kind in ("owner", "keepsake")
    for element in [root] if single else root:
        made = record(element, types[name(element).capitalize()])
        found[(kind, made.get("id") or made.get("name") or "")] = made
same(found)
print(len(found), "records")
"#;

/// Makes the records again out of the Markdown: front matter, then the text, in which links lead to files.
const FROM_MARKDOWN: &str = r#"
import yaml
class Plain(yaml.SafeLoader):
    pass
# Dates are text here, as they are in records.
Plain.yaml_implicit_resolvers = {k: [r for r in v if r[0] != "tag:yaml.org,2002:timestamp"] for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
expected = {key: record for key, record in expected.items() if key[0] == "memories"}
found, shown = {}, 0
for path in sorted(other.glob("memories/**/*.md")):
    whole = open(path, encoding="utf-8", newline="").read()
    assert whole.startswith("---\n")
    matter, text = whole[4:].split("\n---\n", 1)
    matter = yaml.load(matter, Plain)
    record = matter["keepsake"]
    told = matter.get("text", {"below": 0, "links": []})
    below = text.rsplit("\n\n<!-- keepsake: attachments -->\n", 1) if told["below"] else [text, ""]
    assert below[1].count("](../") == told["below"], below
    text, keys = below[0], list(told["links"])
    for link in re.findall(r"\]\((\.\./[^)]*)\)", whole):
        assert (path.parent / link).resolve().is_file(), link
        shown += 1
    text = re.sub(r"\]\((?:\.\./)+media/[^) \n]*", lambda m: f"](keepsake:attachment/{keys.pop(0)}", text)
    assert not keys
    if text:
        record["text"] = text
    assert matter.get("title") == record.get("title")
    found[("memories", record["id"])] = record
same(found)
media = sum(1 for r in expected.values() for a in r.get("attachments", []) if "medium" in a)
assert shown >= media, (shown, media)
print(len(found), "records")
"#;

/// A Python that reads YAML.
fn python() -> Option<String> {
    let told = std::env::var("KEEPSAKE_PYTHON").ok();
    assert!(told.is_some() || std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_PYTHON is not set: run scripts/test");
    if told.is_none() {
        println!("no KEEPSAKE_PYTHON: Markdown was not read back; scripts/test does it");
    }
    told
}

async fn compare(home: &Home, python: &str, format: BagFormat, script: &str) -> String {
    let lines = home.folder.path().join("lines");
    if !lines.exists() {
        home.export("lines", BagFormat::Json).await;
    }
    let other = home.export(&format!("{format:?}"), format).await;
    let ran = Command::new(python).arg("-c").arg(format!("{EXPECTED}{script}")).arg(lines).arg(&other).output().expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    if format == BagFormat::Xml {
        validate(&other.join("data"));
    }
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// Asks libxml2 whether all files keep to the schema.
fn validate(folder: &std::path::Path) {
    let all: Vec<PathBuf> = files(folder).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "xml")).collect();
    for some in all.chunks(500) {
        let ran = Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(folder.join("keepsake.xsd")).args(some).output();
        let Ok(ran) = ran else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "xmllint is not installed: run scripts/test");
            println!("no xmllint: the schema was not asked; scripts/test installs it");
            return;
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_records_come_back() {
    let home = home().await;
    let photo = home.folder.path().join("a [b].jpg");
    fs::write(&photo, "a photo").expect("written");
    for (words, date) in [
        ("plain", "2024-03-17T10:00:00+01:00"),
        ("<b>&amp; ]]> \\u0041 \\", "199X"),
        ("lone \r and \r\n, \u{1} \u{b} \u{fffe} \\u0001 \t, שלום 🐦, \u{85} \u{2028}", "2024-03"),
        ("", "2024-03-18"),
        ("---\n---\n# no front matter", "2024-03-19"),
        (" leading and trailing \n\n", "2024-03-20"),
    ] {
        let tags = vec!["sea".into(), "a/b".into(), "yes".into()];
        let title = Some(format!("@{words}: \"'#- no").replace(|c: char| c.is_control(), " "));
        let draft =
            MemoryDraft { text: words.into(), title, date: Some(date.into()), tags, attach: vec![photo.clone()], ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("added");
    }
    home.custody.create_collection(home.owner, "An <album>").await.expect("made");
    let rows = home.folder.path().join("rows.ndjson");
    let fields =
        r#""word": "-5", "none": null, "empty": "", "list": [1, "2024-01-01"], "tiny": 1e-7, "nested": {"a": {}}, "odd\u0001": "\u0000x""#;
    fs::write(&rows, format!("{{\"id\": \"1\", \"date\": \"2024-03-20\", \"text\": \"x\", {fields}}}\n")).expect("written");
    let mut options = ImportOptions { map: "id=id,date=date,text=text".parse().expect("a map"), ..ImportOptions::default() };
    options.format = keepsake_custody::Format::from_name("ndjson");
    home.custody.import(home.owner, &rows, &options, ImportMode::Apply, Arc::new(Silent)).await.expect("import");
    assert_eq!(compare(&home, "python3", BagFormat::Xml, FROM_XML).await, "10 records\n");
    if let Some(python) = python() {
        assert_eq!(compare(&home, &python, BagFormat::Markdown, FROM_MARKDOWN).await, "7 records\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_back() {
    let home = home().await;
    home.fill_every_field().await;
    assert_eq!(compare(&home, "python3", BagFormat::Xml, FROM_XML).await, "10 records\n");
    if let Some(python) = python() {
        assert_eq!(compare(&home, &python, BagFormat::Markdown, FROM_MARKDOWN).await, "1 records\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_exports_come_back() {
    for path in ["dayone-export/export", "photos-exif-samples", "obsidian-vault"] {
        let Some(path) = data(path) else { return };
        let home = home().await;
        home.custody.import(home.owner, &path, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await.expect("import");
        let said = compare(&home, "python3", BagFormat::Xml, FROM_XML).await;
        assert!(!said.starts_with("0 "), "{}: {said}", path.display());
        if let Some(python) = python() {
            let said = compare(&home, &python, BagFormat::Markdown, FROM_MARKDOWN).await;
            assert!(!said.starts_with("0 "), "{}: {said}", path.display());
        }
    }
}
