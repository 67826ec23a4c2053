//! Exports with templates: what is made of memories, what stays out, and what a template that somebody changed or that means harm comes to. The
//! typesetter here notes what it gets; the real one has tests of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use keepsake_custody::{
    CustodyError, CustodyResult, ErrorKind, MemoryDraft, Setter, Silent, TemplateExport, TemplateProblem, TemplateReport, drawn_photo,
};
use keepsake_formats::{book::Printed, template::Sheet};
use keepsake_record::Sha256Digest;

use crate::support::{Home, data, files, home};

#[derive(Default)]
pub struct Noting {
    sheets: Mutex<Vec<Sheet>>,
}

impl Setter for Noting {
    fn set(&self, sheet: &Sheet) -> Result<Printed, Vec<TemplateProblem>> {
        self.sheets.lock().expect("no holder panics").push(sheet.clone());
        let source = String::from_utf8_lossy(&sheet.set.files[&sheet.set.manifest.entry]).into_owned();
        if source.contains("#panic") {
            std::panic::resume_unwind(Box::new("a typesetter that fails"));
        }
        Ok(Printed { file: sheet.data.to_string().into_bytes(), pages: Some(1), replaced: BTreeMap::from([('x', 2)]) })
    }
}

pub fn export(home: &Home, template: &str, name: &str) -> TemplateExport {
    TemplateExport { template: template.into(), out: home.folder.path().join(name), ..TemplateExport::default() }
}

pub async fn made(home: &Home, options: &TemplateExport) -> CustodyResult<TemplateReport> {
    home.custody.export_template(home.owner, options, Arc::<Noting>::default(), Arc::new(Silent)).await
}

fn read(home: &Home, name: &str) -> String {
    fs::read_to_string(home.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub async fn add(home: &Home, title: &str, date: Option<&str>, text: &str, attach: Vec<PathBuf>) {
    let (title, tags) = (Some(title.to_owned()), vec!["a/b".to_owned()]);
    // Of some year: nobody knows the day.
    let date = Some(date.unwrap_or("199X").to_owned());
    let draft = MemoryDraft { text: text.into(), title, date, tags, attach, ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
}

pub fn photo(home: &Home, name: &str, seed: u64) -> PathBuf {
    let path = home.folder.path().join(name);
    fs::write(&path, drawn_photo(seed, 60, 40)).expect("written");
    path
}

/// Writes an own template.
pub fn write(home: &Home, name: &str, manifest: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = home.path().join("templates").join(name);
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("template.toml"), format!("name = \"{name}\"\ndescription = \"d\"\n{manifest}")).expect("written");
    for (path, text) in files {
        fs::write(folder.join(path), text).expect("written");
    }
    folder
}

async fn problems(home: &Home, name: &str) -> Vec<String> {
    let check = home.custody.check_template(name, Arc::<Noting>::default()).await.expect("checked");
    check.problems.iter().map(ToString::to_string).collect()
}

pub fn told<T>(result: CustodyResult<T>, kind: ErrorKind) -> String {
    let error: CustodyError = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stands_beside_its_photos_and_its_manifest() {
    let home = home().await;
    add(&home, "Of the sea", Some("2024-03-17T10:00:00Z"), "<script>alert(1)</script> & words", vec![photo(&home, "a.bmp", 1)]).await;
    fs::write(home.folder.path().join("b.heic"), b"no picture").expect("written");
    add(&home, "Undated", None, "later", vec![home.folder.path().join("b.heic")]).await;
    let report = made(&home, &export(&home, "journal", "my #1.html")).await.expect("made");
    let page = read(&home, "my #1.html");
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
    assert!(page.contains("src=\"my%20%231-files/pictures/") && page.contains("Without a day"), "{page}");
    assert_eq!((report.memories, report.files.len(), report.beside.len(), report.skipped.len()), (2, 1, 1, 1), "{report:?}");
    let manifest: serde_json::Value = serde_json::from_str(&read(&home, "my #1.manifest.json")).expect("JSON");
    for file in ["files", "beside"].iter().flat_map(|list| manifest[list].as_array().expect("a list")) {
        let path = home.folder.path().join(file["name"].as_str().expect("a name"));
        assert_eq!(file["sha256"], Sha256Digest::of(&fs::read(&path).expect("read")).to_string(), "{}", path.display());
    }
    // Again, elsewhere: the same bytes. In a folder: all below it.
    made(&home, &export(&home, "journal", "again.html")).await.expect("made");
    assert_eq!(read(&home, "again.html").replace("again-files", "my%20%231-files"), page);
    made(&home, &export(&home, "journal", "folder")).await.expect("made");
    assert!(read(&home, "folder/index.html").contains("src=\"pictures/"));
    assert_eq!(files(&home.folder.path().join("folder")).len(), 3);
    assert!(told(made(&home, &export(&home, "journal", "again.html")).await, ErrorKind::Refused).contains("there already"));
    assert!(told(made(&home, &export(&home, "journal", "a.pdf")).await, ErrorKind::Usage).contains(".html"));
    assert!(told(made(&home, &export(&home, "nothing", "a.pdf")).await, ErrorKind::Usage).contains("template list"));
    let left: Vec<_> = fs::read_dir(home.folder.path()).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_the_templates_own_or_the_one_that_was_said() {
    let home = home().await;
    add(&home, "Old", Some("1999-01-01"), "o", vec![]).await;
    add(&home, "New", Some("2024-01-01"), "n", vec![]).await;
    write(
        &home,
        "years",
        "kind = \"text\"\nentry = \"a.txt\"\nfilter = \"from:2024\"\n",
        &[("a.txt", "{{ filter }}:{% for m in memories %}{{ m.title }}{% endfor %}")],
    );
    made(&home, &export(&home, "years", "own.txt")).await.expect("made");
    let filter = Some("to:1999".parse().expect("a filter"));
    made(&home, &TemplateExport { filter, ..export(&home, "years", "said.txt") }).await.expect("made");
    assert_eq!((read(&home, "own.txt"), read(&home, "said.txt")), ("from:2024:New".into(), "to:1999:Old".into()));
    let none = TemplateExport { filter: Some("from:2030".parse().expect("a filter")), ..export(&home, "years", "none.txt") };
    told(made(&home, &none).await, ErrorKind::Usage);
    let plan = home.custody.plan_template(home.owner, &export(&home, "years", "plan.txt")).await.expect("planned");
    assert_eq!((plan.memories, plan.files, plan.filter.as_deref()), (1, 1, Some("from:2024")));
    write(&home, "odd", "kind = \"text\"\nentry = \"a.txt\"\nfilter = \"from:yesterday\"\n", &[("a.txt", "x")]);
    assert!(told(made(&home, &export(&home, "odd", "odd.txt")).await, ErrorKind::Usage).contains("filter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_long_comes_in_files_and_what_is_too_long_is_named() {
    let home = home().await;
    for number in 0..5 {
        add(&home, &format!("Number {number}"), Some(&format!("2024-01-0{}", number + 1)), &"word ".repeat(80_000), vec![]).await;
    }
    add(&home, "Too long", Some("2024-02-01"), &"word ".repeat(500_000), vec![]).await;
    let noting = Arc::<Noting>::default();
    let options = export(&home, "legal", "record.pdf");
    let report = home.custody.export_template(home.owner, &options, noting.clone(), Arc::new(Silent)).await.expect("made");
    let names: Vec<&str> = report.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((names, report.memories), (vec!["record-1.pdf", "record-2.pdf"], 5));
    assert!(report.skipped.iter().any(|(_, reason)| reason.contains("too long")), "{:?}", report.skipped);
    let sheets = noting.sheets.lock().expect("no holder panics").clone();
    let told: Vec<String> =
        sheets.iter().map(|sheet| format!("{} {} {}", sheet.data["number"], sheet.data["of"], sheet.data["count"])).collect();
    assert_eq!(told, ["1 2 5", "2 2 5"]);
    assert_eq!(sheets[1].data["memories"][0]["number"], 4, "items go on counting");
    let left_out = &sheets.last().expect("a sheet").data["left_out"];
    assert!(left_out[0]["why"].as_str().is_some_and(|why| why.contains("too long")), "the record itself says it: {left_out}");
    let planned = home.custody.plan_template(home.owner, &export(&home, "legal", "plan.pdf")).await.expect("planned");
    assert_eq!((planned.memories, planned.too_long, planned.damaged, planned.missing), (5, 1, 0, 0));
    let alone = TemplateExport { filter: Some("from:2024-02".parse().expect("a filter")), ..export(&home, "legal", "alone.pdf") };
    assert!(told_refused(made(&home, &alone).await).contains("too long"));
    // One file of text holds so much, and no more.
    for number in 0..11 {
        add(&home, &format!("Long {number}"), Some("2024-03-01"), &"word ".repeat(500_000), vec![]).await;
    }
    let refused = told_refused(made(&home, &export(&home, "plain", "plain.md")).await);
    assert!(refused.contains("--filter") && !home.folder.path().join("plain.md").exists(), "{refused}");
}

fn told_refused<T>(result: CustodyResult<T>) -> String {
    told(result, ErrorKind::Refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_template_is_made_changed_checked_used_and_deleted() {
    let home = home().await;
    add(&home, "A <title>", Some("2024-03-17"), "words", vec![photo(&home, "a.bmp", 1)]).await;
    add(&home, "../..//etc/CON", None, "more words", vec![]).await;
    let folder = PathBuf::from(home.custody.new_template("mine", "journal").await.expect("made"));
    assert_eq!(problems(&home, "mine").await, Vec::<String>::new());
    fs::write(folder.join("journal.html"), "<h1>{{ title }}</h1>\n{% for m in memories %}\n<p>{{ m.headin }}</p>{% endfor %}")
        .expect("written");
    let wrong = problems(&home, "mine").await;
    assert!(wrong.len() == 1 && wrong[0].starts_with("journal.html, line 3: ") && wrong[0].contains("headin"), "{wrong:?}");
    assert!(told(made(&home, &export(&home, "mine", "mine.html")).await, ErrorKind::Usage).contains("line 3"));
    fs::write(folder.join("journal.html"), "{% for m in memories %}<p>{{ m.heading }}</p>{% endfor %}").expect("written");
    assert_eq!(problems(&home, "mine").await, Vec::<String>::new());
    made(&home, &export(&home, "mine", "mine.html")).await.expect("made");
    assert_eq!(read(&home, "mine.html"), "<p>A &lt;title&gt;</p><p>../..//etc/CON</p>");
    // A file of each memory, with its original.
    write(
        &home,
        "each",
        "kind = \"markdown\"\nentry = \"a.md\"\nper = \"memory\"\nmedia = \"both\"\n",
        &[("a.md", "{{ memory.heading | md }} {% for a in memory.attachments %}{{ a.original }}{% endfor %}")],
    );
    assert_eq!(problems(&home, "each").await, Vec::<String>::new());
    let report = made(&home, &export(&home, "each", "each")).await.expect("made");
    assert_eq!((report.files.len(), report.beside.len()), (2, 2));
    assert!(report.files[0].name.starts_with("2024-03-17-a-title-") && !report.files[1].name.contains('/'), "{report:?}");
    let original = report.beside.iter().find(|file| file.name.starts_with("media/")).expect("the original");
    assert_eq!(fs::read(home.folder.path().join("each").join(&original.name)).expect("read"), drawn_photo(1, 60, 40));
    assert!(read(&home, &format!("each/{}", report.files[0].name)).ends_with(&original.name));
    for name in ["each.md", "each.age", "each.docx"] {
        assert!(told(made(&home, &export(&home, "each", name)).await, ErrorKind::Usage).contains("folder"), "{name}");
    }
    made(&home, &export(&home, "journal", "Upper.HTML")).await.expect("made");
    assert!(read(&home, "Upper.HTML").contains("Upper-files/"));
    let names: Vec<String> = home.custody.templates().await.expect("listed").into_iter().map(|template| template.name).collect();
    assert_eq!(names, ["journal", "legal", "letter", "photo-book", "plain", "each", "mine"]);
    home.custody.delete_template("mine").await.expect("deleted");
    assert!(!folder.exists());
    told(home.custody.delete_template("mine").await, ErrorKind::Usage);
    told(home.custody.delete_template("journal").await, ErrorKind::Usage);
    let verbs: Vec<String> = home.custody.audit_after("", 1_000).await.expect("read").into_iter().map(|row| row.verb).collect();
    for verb in ["template.new", "template.check", "template.list", "template.delete", "export"] {
        assert!(verbs.iter().any(|found| found == verb), "{verb} is not in {verbs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_memory_lacks_is_in_no_other_file() {
    let home = home().await;
    add(&home, "Whole", Some("2024-03-17"), "words", vec![]).await;
    add(&home, "Lacks", Some("2024-03-18"), "![x](keepsake:attachment/none)", vec![]).await;
    add(&home, "Whole, too", Some("2024-03-19"), "words", vec![]).await;
    let manifest = "kind = \"text\"\nentry = \"a.txt\"\nper = \"memory\"\n";
    write(&home, "lacks", manifest, &[("a.txt", "{% for one in left_out %}{{ one.what }}{% endfor %}")]);
    let report = made(&home, &export(&home, "lacks", "lacks")).await.expect("made");
    let lacking: Vec<bool> = report.files.iter().map(|file| !read(&home, &format!("lacks/{}", file.name)).is_empty()).collect();
    assert_eq!(lacking, [false, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_folders_lead_nowhere_else() {
    let home = home().await;
    for name in ["../x", "a/b", "..", "", ".x", "a b", "journal"] {
        told(home.custody.new_template(name, "plain").await, ErrorKind::Usage);
    }
    for name in ["../../etc", "/etc", "..", "a/../b"] {
        told(home.custody.template(name).await, ErrorKind::Usage);
        told(home.custody.delete_template(name).await, ErrorKind::Usage);
        told(home.custody.new_template("mine", name).await, ErrorKind::Usage);
    }
    let text = "kind = \"text\"\nentry = \"a.txt\"\n";
    let folder = write(&home, "linked", text, &[]);
    std::os::unix::fs::symlink("/etc/hostname", folder.join("a.txt")).expect("linked");
    assert!(problems(&home, "linked").await[0].contains("links are not followed"));
    let elsewhere = home.folder.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).expect("made");
    fs::write(elsewhere.join("kept"), "x").expect("written");
    std::os::unix::fs::symlink(&elsewhere, home.path().join("templates/gone")).expect("linked");
    assert!(problems(&home, "gone").await[0].contains("not followed"));
    told_refused(home.custody.delete_template("gone").await);
    assert!(elsewhere.join("kept").exists());
    write(&home, "large", text, &[("a.txt", &"x".repeat((1 << 20) + 1))]);
    assert!(problems(&home, "large").await[0].contains("1 MiB"));
    write(&home, "key", &format!("{text}colour = 1\n"), &[("a.txt", "x")]);
    assert!(problems(&home, "key").await[0].starts_with("template.toml, line 5"));
    let listed = home.custody.templates().await.expect("listed");
    assert_eq!(listed.iter().filter(|template| !template.problems.is_empty()).count(), 4, "{listed:?}");
    // What sets it fails: the program goes on.
    write(&home, "fails", "kind = \"typst\"\nentry = \"a.typ\"\n", &[("a.typ", "#panic()")]);
    assert!(told(made(&home, &export(&home, "fails", "fails.pdf")).await, ErrorKind::Usage).contains("fail"));
    assert!(files(home.folder.path()).iter().all(|file| !file.display().to_string().contains(".part/")));
}

/// Asks the Nu Html Checker, a browser and axe about a page.
fn check_pages(folder: &Path) {
    let Some(check) = std::env::var_os("KEEPSAKE_CHECK_PAGES") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_CHECK_PAGES is not set: run scripts/test");
        println!("no KEEPSAKE_CHECK_PAGES: nobody else was asked; scripts/test does it");
        return;
    };
    let ran = Command::new(check).arg(folder).output().expect("it runs");
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_real_memories_are_for_everybody() {
    let home = home().await;
    let odd = "# One\n\n#### Skips\n\n1. a\n\n> `b`\n\n| a | |\n|---|---|\n| c |\n\nשלום עולם 👩‍👩‍👧‍👦 \u{1} [x](keepsake:memory/0190) ![y](keepsake:attachment/none)";
    add(&home, "שלום <b>", Some("2024-03-17T10:00:00Z"), odd, vec![photo(&home, "a.bmp", 3)]).await;
    if let Some(path) = data("dayone-export/export") {
        home.import(&path).await;
    }
    made(&home, &export(&home, "journal", "page")).await.expect("made");
    check_pages(&home.folder.path().join("page"));
}
