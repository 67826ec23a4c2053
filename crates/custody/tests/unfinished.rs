//! Exports with templates that were killed: the same command makes what it would have made, and nothing of others is touched.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicI64},
};

use keepsake_custody::{Custody, ErrorKind, Monitor, SystemClock, TemplateExport};
use keepsake_record::{OwnerId, Sha256Digest};
use serde_json::json;

use crate::{
    support::{Abort, Home, copy_folder, files, home},
    templates::{Noting, add, export, made, photo, told, write},
};

const MARKER: &str = ".keepsake-unfinished.json";

/// A home with three photos, and a template that makes a file of each.
async fn filled() -> Home {
    let home = home().await;
    for number in 1..=3 {
        let photo = photo(&home, &format!("{number}.bmp"), number);
        add(&home, &format!("Number {number}"), Some(&format!("2024-03-0{number}")), "words", vec![photo]).await;
    }
    let manifest = "kind = \"markdown\"\nentry = \"a.md\"\nper = \"memory\"\nmedia = \"originals\"\n";
    write(&home, "each", manifest, &[("a.md", "{{ memory.heading | md }}")]);
    home
}

fn folder(home: &Home, name: &str) -> PathBuf {
    let path = home.folder.path().join(name);
    fs::create_dir(&path).expect("made");
    path
}

/// Everything in a folder, by its path from there.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: PathBuf| (path.strip_prefix(folder).expect("below").to_path_buf(), fs::read(&path).expect("read"));
    files(folder).into_iter().map(read).collect()
}

/// What a run notes that is about to publish what a manifest tells.
fn marker(home: &Home, folder: &Path, manifest: &str) -> String {
    let bytes = fs::read(folder.join(manifest)).expect("read");
    let told: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let of = |file: &serde_json::Value| json!({ "name": file["name"], "bytes": file["bytes"], "sha256": file["sha256"] });
    let mut all: Vec<_> = ["files", "beside"].iter().flat_map(|list| told[*list].as_array().expect("a list")).map(of).collect();
    all.push(json!({ "name": manifest, "bytes": bytes.len(), "sha256": Sha256Digest::of(&bytes) }));
    json!({ "format": "keepsake-unfinished", "owner": home.owner, "run": "another", "files": all }).to_string()
}

const CHILD: &str = "KEEPSAKE_TEST_TEMPLATE_CHILD";

/// No test of its own: what [`a_run_that_was_killed_is_done_again`] runs and lets die.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_dies() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: serde_json::Value = serde_json::from_str(&told).expect("what to do");
    let text = |name: &str| told[name].as_str().expect("text").to_owned();
    let custody = Custody::open(Path::new(&text("home")), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    let owner: OwnerId = text("owner").parse().expect("an owner");
    let options = TemplateExport { template: text("template"), out: text("out").into(), ..TemplateExport::default() };
    let abort = Arc::new(Abort(AtomicI64::new(told["after"].as_i64().expect("a number"))));
    let ended = custody.export_template(owner, &options, Arc::<Noting>::default(), abort).await;
    println!("it ended by itself: {:?}", ended.map(|report| report.memories));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_done_again() {
    let mut home = filled().await;
    let then = folder(&home, "then");
    // Each memory is a step, and each file.
    for (template, name, steps) in [("journal", "page.html", 4), ("each", "each", 6)] {
        made(&home, &export(&home, template, &format!("then/{name}"))).await.expect("made");
        let now = folder(&home, &format!("now-{template}"));
        fs::write(now.join("page.txt"), "of others").expect("written");
        for after in 0..steps {
            home.custody.close().await;
            let told = json!({ "home": home.path(), "owner": home.owner, "template": template, "out": now.join(name), "after": after });
            let exe = std::env::current_exe().expect("this program");
            let arguments = ["--exact", "unfinished::a_child_that_dies", "--nocapture"];
            let child = Command::new(exe).args(arguments).env(CHILD, told.to_string()).output().expect("it runs");
            assert!(!child.status.success(), "{template}: {}", String::from_utf8_lossy(&child.stdout));
            assert!(now.join(format!("{name}.part")).join(MARKER).exists(), "{template}, {after}");
            home.reopen().await;
        }
        made(&home, &export(&home, template, &format!("now-{template}/{name}"))).await.expect("made again");
        let mut wanted = contents(&then);
        wanted.insert("page.txt".into(), b"of others".to_vec());
        assert!(contents(&now) == wanted && !now.join(format!("{name}.part")).exists(), "{template}: {:?}", files(&now));
        fs::remove_dir_all(&then).expect("removed");
        fs::create_dir(&then).expect("made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_getting_its_name_is_taken_back() {
    let home = filled().await;
    let then = folder(&home, "then");
    made(&home, &export(&home, "journal", "then/page.html")).await.expect("made");
    let tops = ["page-files", "page.html", "page.manifest.json"];
    for done in 0..=tops.len() {
        let now = home.folder.path().join(format!("now-{done}"));
        copy_folder(&then, &now);
        fs::write(now.join("page.txt"), "of others").expect("written");
        let work = now.join("page.html.part");
        fs::create_dir(&work).expect("made");
        fs::write(work.join(MARKER), marker(&home, &then, "page.manifest.json")).expect("written");
        tops[done..].iter().for_each(|top| fs::rename(now.join(top), work.join(top)).expect("moved"));
        let (before, options) = (contents(&now), export(&home, "journal", &format!("now-{done}/page.html")));
        home.custody.plan_template(home.owner, &options).await.expect("planned");
        assert!(contents(&now) == before, "{done}: a plan touches nothing");
        made(&home, &options).await.expect("made");
        let mut wanted = contents(&then);
        wanted.insert("page.txt".into(), b"of others".to_vec());
        assert!(contents(&now) == wanted && !work.exists(), "{done}: {:?}", files(&now));
    }
    made(&home, &export(&home, "each", "each")).await.expect("made");
    let each = home.folder.path().join("each");
    let marked = marker(&home, &each, "manifest.json");
    // Before the marker stands beside it, before it has its name, and after.
    for (at, (whole, noted)) in
        [("each.part", "each.part/"), ("each.part", "each.part.json"), ("each", "each.part.json")].iter().enumerate()
    {
        let now = folder(&home, &format!("folder-{at}"));
        copy_folder(&each, &now.join(whole));
        let noted = if noted.ends_with('/') { now.join(noted).join(MARKER) } else { now.join(noted) };
        fs::write(&noted, &marked).expect("written");
        made(&home, &export(&home, "each", &format!("folder-{at}/each"))).await.expect("made");
        assert!(contents(&now.join("each")) == contents(&each), "{at}: {:?}", files(&now));
        assert_eq!(fs::read_dir(&now).expect("read").count(), 1, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_others_stays() {
    let home = filled().await;
    let then = folder(&home, "then");
    made(&home, &export(&home, "journal", "then/page.html")).await.expect("made");
    let now = home.folder.path().join("now");
    copy_folder(&then, &now);
    let (work, options) = (now.join("page.html.part"), export(&home, "journal", "now/page.html"));
    // A folder without a marker, even where it is called as ours.
    fs::rename(now.join("page.html"), now.join("kept.html")).expect("moved");
    let other = export(&home, "journal", "now/kept-2.html");
    fs::create_dir(now.join("kept-2.html.part")).expect("made");
    fs::write(now.join("kept-2.html.part/mine.txt"), "mine").expect("written");
    let before = contents(&now);
    assert!(told(made(&home, &other).await, ErrorKind::Refused).contains("another run is at it"));
    assert!(contents(&now) == before);
    // A page that was changed since the run was killed: what goes with it stays, too.
    fs::rename(now.join("kept.html"), now.join("page.html")).expect("moved");
    fs::create_dir(&work).expect("made");
    fs::write(work.join(MARKER), marker(&home, &then, "page.manifest.json")).expect("written");
    fs::write(now.join("page.html"), "my own words").expect("written");
    let before = contents(&now);
    let refused = told(made(&home, &options).await, ErrorKind::Refused);
    assert!(refused.contains("page.html is there already") && contents(&now) == before, "{refused}");
    // What another run is at.
    fs::remove_file(now.join("page.html")).expect("removed");
    let before = contents(&now);
    let name = format!("export {}", fs::canonicalize(&now).expect("a folder").join("page.html").display());
    let lease = home.custody.vault().lease(&name, "another").await.expect("free");
    told(made(&home, &options).await, ErrorKind::Locked);
    assert!(contents(&now) == before);
    home.custody.vault().release(&lease).await.expect("released");
    made(&home, &options).await.expect("made");
    assert_eq!(fs::read(now.join("page.html")).expect("read"), fs::read(then.join("page.html")).expect("read"));
}

/// Erases a memory once the first one was taken.
struct Erasing {
    vault: keepsake_vault::Vault,
    owner: OwnerId,
    entry: keepsake_vault::AuditEntry,
    victim: std::sync::Mutex<Option<keepsake_record::MemoryId>>,
    runtime: tokio::runtime::Handle,
}

impl Monitor for Erasing {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {
        let Some(victim) = self.victim.lock().expect("no holder panics").take() else { return };
        self.runtime.block_on(async {
            let mut write = self.vault.write(self.owner, "test").await.expect("write");
            write.trash_memory(&victim).await.expect("trash");
            write.redact_memory(&victim).await.expect("redact");
            write.commit(&self.entry).await.expect("commit");
        });
    }
    fn problem(&self, _: &str, _: &str) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_meanwhile_is_in_nothing() {
    let home = filled().await;
    let rows = home.custody.list_memories(home.owner, &Default::default(), None, 9).await.expect("list");
    let victim = rows.iter().find(|row| row.memory.title.as_deref() == Some("Number 1")).expect("it is there").memory.id;
    let out = folder(&home, "out");
    let erasing = Erasing {
        vault: home.custody.vault().clone(),
        owner: home.owner,
        entry: home.entry(),
        victim: std::sync::Mutex::new(Some(victim)),
        runtime: tokio::runtime::Handle::current(),
    };
    let options = export(&home, "journal", "out/page.html");
    let refused = home.custody.export_template(home.owner, &options, Arc::<Noting>::default(), Arc::new(erasing)).await;
    let refused = refused.expect_err("something was erased");
    assert!(refused.kind() == ErrorKind::Refused && refused.to_string().contains("run it again"), "{refused}");
    assert_eq!(files(&out), Vec::<PathBuf>::new());
    made(&home, &options).await.expect("made");
    let page = fs::read_to_string(out.join("page.html")).expect("read");
    assert!(page.contains("Number 2") && !page.contains("Number 1"));
}
