//! Exports for people: sites of pages, which a checker of HTML, a browser and axe look at, and books for readers, which EPUBCheck does. Other programs
//! read them back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use keepsake_custody::{
    BagFormat, BookOptions, Epub, ExportOptions, Format, ImportMode, ImportOptions, MemoryDraft, MemoryEdit, Silent, drawn_photo,
};
use keepsake_record::Memory;

use crate::support::{Home, data, files, home};

/// Asks a program that `scripts/test` names; without it, says so.
fn ask(variable: &str, args: &[&str]) {
    let Some(program) = std::env::var_os(variable) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set: run scripts/test");
        println!("no {variable}: nobody else was asked; scripts/test does it");
        return;
    };
    let ran = Command::new(program).args(args).output().expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{args:?}: {}", said.trim());
    assert!(ran.status.success(), "{args:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What is left out has a reason that is known, and is so much, where that is told.
fn known_reasons(skipped: &[(String, String)], count: Option<usize>) {
    let known = ["never arrived", "is not here", "cannot be decoded", "of a kind that is known", "are decoded", "heif"];
    assert!(skipped.iter().all(|(_, reason)| known.iter().any(|word| reason.contains(word))), "{skipped:?}");
    assert!(count.is_none_or(|count| count == skipped.len()), "{skipped:?}");
}

/// Exports a site; what is left out must be so often.
async fn site(home: &Home, name: &str, left_out: impl Into<Option<usize>>) -> PathBuf {
    let out = home.folder.path().join(name);
    let options = ExportOptions { out: out.clone(), format: BagFormat::Html, ..ExportOptions::default() };
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    known_reasons(&report.skipped, left_out.into());
    out.join("data")
}

/// Exports a book for readers and has it checked; answers its files by name.
async fn book(home: &Home, name: &str, left_out: impl Into<Option<usize>>) -> Vec<PathBuf> {
    let folder = home.folder.path().join(name);
    fs::create_dir_all(&folder).expect("made");
    let out = folder.join("book.epub");
    let options = BookOptions { out, with_data: true, ..BookOptions::default() };
    let report = home.custody.export_book(home.owner, &options, Arc::new(Epub), Arc::new(Silent)).await.expect("export").report;
    known_reasons(&report.skipped, left_out.into());
    let volumes: Vec<PathBuf> = report.volumes.iter().map(|volume| folder.join(&volume.name)).collect();
    for volume in &volumes {
        ask("KEEPSAKE_CHECK_EPUB", &[text(volume)]);
    }
    volumes
}

/// Reads a book back with another program: its words, in the order in which a reader shows them, and its pictures.
fn read_back(volumes: &[PathBuf]) -> String {
    const READ: &str = r#"
import html.parser, posixpath, sys, xml.etree.ElementTree as tree, zipfile
class Words(html.parser.HTMLParser):
    def handle_data(self, data):
        print(data, end="")
    def handle_startendtag(self, tag, attributes):
        if tag == "img":
            image = posixpath.normpath(posixpath.join("EPUB/text", dict(attributes)["src"]))
            assert archive.read(image)[:2] == b"\xff\xd8", image
            print("[picture: " + dict(attributes)["alt"] + "]", end="")
    def handle_endtag(self, tag):
        if tag in ("p", "h1", "h2", "h3", "h4", "li", "td", "th", "pre"):
            print()
for name in sys.argv[1:]:
    archive = zipfile.ZipFile(name)
    assert archive.testzip() is None
    package = tree.fromstring(archive.read("EPUB/package.opf"))
    opf = "{http://www.idpf.org/2007/opf}"
    items = {item.get("id"): item.get("href") for item in package.iter(opf + "item")}
    for item in package.iter(opf + "itemref"):
        page = archive.read("EPUB/" + items[item.get("idref")]).decode()
        tree.fromstring(page)
        Words().feed(page.split("<body>", 1)[1])
"#;
    let ran = Command::new("python3").arg("-c").arg(READ).args(volumes).output().expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

async fn add(home: &Home, title: Option<&str>, date: &str, words: &str, attach: Vec<PathBuf>) -> Memory {
    let tags = vec!["sea".into(), "a/b & <c>".into(), "CON".into()];
    let draft = MemoryDraft {
        text: words.into(),
        title: title.map(str::to_owned),
        date: Some(date.into()),
        tags,
        attach,
        ..MemoryDraft::default()
    };
    home.custody.add_memory(home.owner, &draft).await.expect("added")
}

/// Memories as odd as people and programs make them.
async fn odd_home() -> Home {
    let home = home().await;
    let photo = home.folder.path().join("a [b] & 'c'.bmp");
    fs::write(&photo, drawn_photo(7, 90, 60)).expect("written");
    let broken = home.folder.path().join("CON.jpg");
    fs::write(&broken, b"\xff\xd8 no photo").expect("written");
    let letter = home.folder.path().join("..letter.txt");
    fs::write(&letter, "a letter").expect("written");
    let first = add(&home, Some("<script>alert(1)</script>"), "2024-03-17T10:00:00+01:00", "plain", vec![photo, broken, letter]).await;
    let key = &first.attachments[0].key;
    let shown = format!(
        "# Ein Vogel\n\nbefore ![the \"sea\"](keepsake:attachment/{key}) after\n\n[the same](keepsake:memory/{}) and [another](keepsake:memory/01900000-0000-7000-8000-00000000ffff), [the letter](keepsake:attachment/{})\n\n| a | |\n|---|---|\n| 1 | [x](https://example.org/?a=1&b=%20) |\n\n7. seven\n8. eight\n   > quoted `code`\n\n```\n<b>code</b>\n```\n\n---\n\n![](keepsake:attachment/none) [bad](javascript:alert(1)) <b onclick=x>bold</b> [also bad](http://[/)",
        first.id, first.attachments[2].key
    );
    let edit = MemoryEdit { text: Some(shown), ..MemoryEdit::default() };
    home.custody.edit_memory(home.owner, &first.id.to_string(), &edit).await.expect("edited");
    for (title, date, words) in [
        (None, "2024-03-17", "שלום עולם, وداعا \u{202e}evil\u{202c}"),
        (Some("東坡志林 🐦‍🔥 👩🏽‍🚀"), "2024-03-18", "元豐六年十月十二日夜，解衣欲睡，月色入戶。"),
        (Some("../../etc/passwd"), "199X", "private \u{e000} use, controls \u{1}\u{b}\u{1b}\u{7f}\u{85}\u{fffe}, lone \r, e\u{301}"),
        (Some("\"quotes' & so on"), "1666-09-02", ""),
        (None, "0001-01-01", "in the first year"),
        (Some("  "), "2024-04", "# \n\n#\n\n######\n\n- \n- [ ] task\n\n> "),
    ] {
        add(&home, title, date, words, Vec::new()).await;
    }
    add(&home, Some("Long"), "2024-04-02", &"lorem swallowed ipsum ".repeat(33_000), Vec::new()).await;
    for at in 0..90 {
        add(&home, Some(&format!("Number {at}")), "2024-05-01", &format!("word{at} everywhere"), Vec::new()).await;
    }
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_memories_make_sound_pages() {
    let home = odd_home().await;
    let pages = site(&home, "site", 1).await;
    for name in [
        "index.html",
        "search.html",
        "months/2024-03.html",
        "months/undated.html",
        "months/2024-05-3.html",
        "tags/index.html",
        "photos/2024-03.html",
    ] {
        assert!(pages.join(name).is_file(), "{name}");
    }
    let all: String =
        files(&pages).iter().filter(|p| p.extension().is_some_and(|e| e == "html")).map(|p| fs::read_to_string(p).expect("read")).collect();
    assert!(!all.contains("<script>") && !all.contains("<b ") && !all.contains("javascript:alert(1)\""), "words stay words");
    let searches = [
        "swallowed=1",
        "swallow=0",
        "Swállow*=1",
        "word89=1",
        "everywhere=90",
        "月色=1",
        "שלום=1",
        "CON=98",
        "nothingofthekind=0",
        "Everywhere WORD7*=11",
    ];
    ask("KEEPSAKE_CHECK_PAGES", &[&[text(&pages)], &searches[..]].concat());
    // The same state gives the same bytes.
    let again = site(&home, "again", 1).await;
    let digests = |root: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        files(root).into_iter().map(|p| (p.strip_prefix(root).expect("below").to_owned(), fs::read(&p).expect("read"))).collect()
    };
    assert!(digests(&pages) == digests(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_memories_make_sound_books() {
    let home = odd_home().await;
    let volumes = book(&home, "book", 2).await;
    let words = read_back(&volumes);
    for expected in [
        "<script>alert(1)</script>",
        "[picture: the \"sea\"]",
        "An attachment that is not here (none)",
        "שלום עולם",
        "元豐六年十月十二日夜",
        "controls \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
        "word89 everywhere",
        "<b>code</b>",
        "(javascript:alert(1))",
    ] {
        assert!(words.contains(expected), "{expected}");
    }
    assert_eq!(words.matches("lorem swallowed ipsum").count(), 33_000);
}

/// What the matrix calls whole is made again out of a page by another program.
#[tokio::test(flavor = "multi_thread")]
async fn what_pages_keep_whole_comes_back() {
    const READ: &str = r#"
import hashlib, html.parser, json, pathlib, sys
root = pathlib.Path(sys.argv[1])
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.row, self.tags, self.words, self.media, self.caption = {}, None, [], "", {}, None
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.last = attributes
        if tag == "article":
            self.found["id"], self.found["language"] = attributes["id"][2:], attributes.get("lang")
        if tag == "time":
            self.found["instant"] = attributes["datetime"]
        self.words = ""
    def handle_data(self, data):
        self.words += data
    def handle_endtag(self, tag):
        words, last = self.words.strip(), self.last
        if tag == "dt":
            self.row = words
        if tag == "dd":
            self.found[self.row] = words
        if tag == "a" and last.get("href", "").startswith("../tags/"):
            self.tags.append(words)
        if tag == "a" and last.get("class") == "original":
            self.media[words] = hashlib.sha256((root / "months" / last["href"]).resolve().read_bytes()).hexdigest()
        if tag == "span" and "original" not in last.get("class", "") and "caption" not in self.found and last == {"dir": "auto"}:
            self.found["caption"] = words
        if tag == "li" and "starred" in words:
            self.found["starred"] = True
        if tag == "li" and words in ("shared", "unlisted", "public"):
            self.found["visibility"] = words
        if tag == "li" and words == "sensitive":
            self.found["sensitivity"] = words
page = Page()
page.feed((root / "months/2024-03.html").read_text(encoding="utf-8").split("<main", 1)[1])
said = json.loads(sys.argv[2])
found = page.found
for field in ("id", "language", "starred", "visibility", "sensitivity"):
    assert found[field] == said[field], (field, found)
assert found["Kind"] == said["kind"] and found["Written down"] == said["created"] and found["Last changed"] == said["modified"], found
assert found["instant"] == said["when"]["instant"], found
assert sorted(page.tags) == said["tags"], page.tags
attachment = said["attachments"][0]
assert found["caption"] == attachment["caption"], found
assert page.media == {attachment["name"]: attachment["medium"]["sha256"]}, page.media
"#;
    let home = home().await;
    home.fill_every_field().await;
    let pages = site(&home, "site", 1).await;
    let lines: Vec<Memory> = {
        let out = home.folder.path().join("lines");
        let options = ExportOptions { out: out.clone(), ..ExportOptions::default() };
        home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
        let bytes = fs::read(out.join("data/memories/2024/03/2024-03-17.ndjson")).expect("read");
        bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| Memory::from_line(line).expect("a memory")).collect()
    };
    let line = String::from_utf8(lines[0].to_line()).expect("text");
    let ran = Command::new("python3").arg("-c").arg(READ).arg(&pages).arg(line).output().expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    ask("KEEPSAKE_CHECK_PAGES", &[text(&pages), "swallow=1", "Lovelace=1", "Alfama=1"]);
    book(&home, "book", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_exports_make_sound_pages_and_books() {
    for (path, format, words) in [
        ("pepys-diary/entries.jsonl", Some("ndjson"), "fire=164"),
        ("dongpo-zhilin/entries.json", Some("ndjson"), "月=59"),
        ("dayone-export/export", None, ""),
        ("mastodon-archive/archive-20221218.tar.gz", None, ""),
        ("photos-exif-samples", None, ""),
        ("photos-permissive", None, ""),
        ("obsidian-vault", None, ""),
    ] {
        let Some(from) = data(path) else { return };
        let home = home().await;
        let mut options = ImportOptions { format: format.and_then(Format::from_name), ..ImportOptions::default() };
        let mut from = from;
        if path.starts_with("pepys") {
            options.map = "id=id,date=date_iso,text=text".parse().expect("a map");
        } else if format.is_some() {
            // A list in one object, which nobody exports: as lines.
            let all: serde_json::Value = serde_json::from_slice(&fs::read(&from).expect("read")).expect("JSON");
            let items = all["items"].as_array().expect("a list").iter().enumerate();
            let line = |(at, item): (usize, &serde_json::Value)| {
                format!("{}\n", serde_json::json!({ "id": at.to_string(), "title": item["title"], "text": item["content"] }))
            };
            from = home.folder.path().join("rows.ndjson");
            fs::write(&from, items.map(line).collect::<String>()).expect("written");
            options.map = "id=id,title=title,text=text".parse().expect("a map");
        }
        home.custody.import(home.owner, &from, &options, ImportMode::Apply, Arc::new(Silent)).await.expect("import");
        println!("{path}");
        let pages = site(&home, "site", None).await;
        let args: Vec<&str> = std::iter::once(text(&pages)).chain(Some(words).filter(|words| !words.is_empty())).collect();
        ask("KEEPSAKE_CHECK_PAGES", &args);
        book(&home, "book", None).await;
    }
}
