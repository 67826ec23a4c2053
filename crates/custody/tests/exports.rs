//! Exports in parts, of some memories, cut off and gone on with: whatever happens meanwhile, they are what they would have been.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use keepsake_custody::{
    BagFormat, Bundle, Custody, Dialect, ExportOptions, ExportState, ImportMode, ImportOptions, MemoryDraft, Monitor, Silent, SystemClock,
};
use keepsake_record::{MemoryId, OwnerId};
use keepsake_testing::Dice;
use keepsake_vault::{ExportRow, Moment};

use crate::{
    histories::{change, seed},
    support::{Abort, Home, SMALL, files, home, small_home},
};

/// Every file below a folder, or the bytes of a file.
fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = if path.is_dir() { files(path) } else { vec![path.to_path_buf()] };
    all.into_iter().map(|file| (file.strip_prefix(path).expect("below").to_path_buf(), fs::read(&file).expect("a file"))).collect()
}

fn folder(home: &Home, name: &str) -> PathBuf {
    let path = home.folder.path().join(name);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn to(out: PathBuf) -> ExportOptions {
    ExportOptions { out, ..ExportOptions::default() }
}

/// What a run notes that is killed before its first part is whole.
async fn leave_begun(home: &Home, out: &Path, moment: &Moment) {
    let record = serde_json::json!({
        "id": "0123456789abcdef",
        "group": "keepsake-0123456789abcdef",
        "state": "begun",
        "began": "2024-01-01T00:00:00Z",
        "asked": { "out": out, "format": "json" },
        "moment": moment,
    });
    let row = ExportRow { id: "0123456789abcdef".into(), began: 0, record: record.to_string() };
    home.custody.vault().put_export(home.owner, &row).await.expect("noted");
}

async fn erase(home: &Home, id: &MemoryId) {
    // It may be in the trash already.
    drop(home.custody.delete_memory(home.owner, &id.to_string()).await);
    let mut write = home.custody.vault().write(home.owner, "test").await.expect("write");
    write.redact_memory(id).await.expect("redact");
    write.commit(&home.entry()).await.expect("commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_stays_with_its_moment() {
    let mut dice = Dice(seed());
    let home = small_home().await;
    let mut steps = Vec::new();
    for round in 0..8 {
        for _ in 0..dice.below(14) {
            change(&home, &mut dice).await;
        }
        let moment = home.custody.vault().head(home.owner).await.expect("head").moment();
        let out = folder(&home, &format!("then-{round}")).join("bag");
        home.custody.export(home.owner, &to(out.clone()), Arc::new(Silent)).await.expect("export");
        steps.push((moment, contents(&out)));
    }
    for (round, (moment, then)) in steps.iter().enumerate() {
        let out = folder(&home, &format!("later-{round}")).join("bag");
        leave_begun(&home, &out, moment).await;
        let report = home.custody.export(home.owner, &to(out.clone()), Arc::new(Silent)).await.expect("export");
        assert!(report.resumed.is_some() && report.began_anew.is_none() && report.seq == moment.seq, "{report:?}");
        assert_eq!(contents(&out), *then, "round {round}");
    }
    // What is erased since is in none.
    let live = home.custody.list_memories(home.owner, &Default::default(), None, 1).await.expect("list").remove(0).memory.id;
    erase(&home, &live).await;
    for (round, (moment, _)) in steps.iter().enumerate() {
        let out = folder(&home, &format!("erased-{round}")).join("bag");
        leave_begun(&home, &out, moment).await;
        home.custody.export(home.owner, &to(out.clone()), Arc::new(Silent)).await.expect("export");
        let id = live.to_string();
        assert!(contents(&out).values().all(|bytes| !bytes.windows(id.len()).any(|window| window == id.as_bytes())), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_another_one_begins_anew() {
    let home = small_home().await;
    let draft = MemoryDraft { text: "one".into(), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add");
    let out = folder(&home, "out").join("bag");
    let moment = home.custody.vault().head(home.owner).await.expect("head").moment();
    leave_begun(&home, &out, &Moment { mark: "another".into(), ..moment }).await;
    let report = home.custody.export(home.owner, &to(out.clone()), Arc::new(Silent)).await.expect("export");
    assert!(report.resumed.is_none() && report.began_anew.expect("a reason").contains("another one"));
    let again = home.custody.export(home.owner, &to(out), Arc::new(Silent)).await.expect_err("it is there");
    assert!(again.to_string().contains("choose another name"), "{again}");
    let nowhere = to(home.folder.path().join("nowhere/bag"));
    let error = home.custody.export(home.owner, &nowhere, Arc::new(Silent)).await.expect_err("no such folder");
    assert!(error.to_string().contains("make it first"), "{error}");
}

/// Asks to stop when so many pieces were written.
struct Stop(AtomicI64);

impl Monitor for Stop {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
    fn problem(&self, _: &str, _: &str) {}
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

const CHILD: &str = "KEEPSAKE_TEST_CHILD";

/// No test of its own: what [`cut_off_exports_end_as_others`] runs and lets die.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_dies() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: serde_json::Value = serde_json::from_str(&told).expect("what to do");
    let text = |name: &str| told[name].as_str().expect("text").to_owned();
    let home = Custody::open(Path::new(&text("home")), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    let owner: OwnerId = text("owner").parse().expect("an owner");
    let options = options(&text("kind"), PathBuf::from(text("out")));
    let after = told["after"].as_i64().expect("a number");
    let ended = home.with_limits_for_tests(SMALL).export(owner, &options, Arc::new(Abort(AtomicI64::new(after)))).await;
    println!("it ended by itself: {:?}", ended.map(|report| report.files));
}

fn options(kind: &str, folder: PathBuf) -> ExportOptions {
    let (name, format, part_bytes) = match kind {
        "folder" => ("memories", BagFormat::Json, None),
        "zip" => ("memories.zip", BagFormat::Json, None),
        "tar" => ("memories.tar.gz", BagFormat::Json, None),
        "csv" => ("tables.zip", BagFormat::Csv(Dialect::Faithful), None),
        "xml" => ("memories.tar.gz", BagFormat::Xml, None),
        "markdown" => ("notes.zip", BagFormat::Markdown, None),
        "html" => ("pages.zip", BagFormat::Html, None),
        "shared" => ("shared.zip", BagFormat::Html, None),
        "parts" => ("memories.zip", BagFormat::Json, Some(1 << 20)),
        _ => ("memories", BagFormat::Json, Some(1 << 20)),
    };
    ExportOptions { format, part_bytes, for_sharing: kind == "shared", ..to(folder.join(name)) }
}

/// A home with photos of half a MiB in several months.
async fn with_photos(count: usize) -> Home {
    let home = small_home().await;
    let mut dice = Dice(7);
    for number in 0..count {
        let photo = home.folder.path().join(format!("photo-{number}.jpg"));
        fs::write(&photo, (0..64 << 10).flat_map(|_| dice.roll().to_le_bytes()).collect::<Vec<u8>>()).expect("a photo");
        let date = Some(format!("2024-{:02}-17", number % 4 + 1));
        let draft = MemoryDraft { text: format!("memory {number}"), date, attach: vec![photo], ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("add");
    }
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_exports_end_as_others() {
    let mut dice = Dice(seed());
    let mut home = with_photos(8).await;
    for kind in ["folder", "zip", "tar", "csv", "xml", "markdown", "html", "shared", "parts", "folders"] {
        let then = folder(&home, &format!("{kind}-then"));
        home.custody.export(home.owner, &options(kind, then.clone()), Arc::new(Silent)).await.expect("export");
        let now = folder(&home, &format!("{kind}-now"));
        for round in 0..3 {
            // Of 14 pieces at least; once, parts are whole already.
            let after = if round == 0 { 11 } else { dice.below(3) };
            home.custody.close().await;
            let told =
                serde_json::json!({ "home": home.path(), "owner": home.owner.to_string(), "kind": kind, "out": now, "after": after });
            let exe = std::env::current_exe().expect("this program");
            let child =
                Command::new(exe).args(["--exact", "exports::a_child_that_dies", "--nocapture"]).env(CHILD, told.to_string()).output();
            let child = child.expect("it runs");
            assert!(!child.status.success(), "{kind}: {}", String::from_utf8_lossy(&child.stdout));
            home.reopen().await;
            for _ in 0..3 {
                change(&home, &mut dice).await;
            }
        }
        let report = home.custody.export(home.owner, &options(kind, now.clone()), Arc::new(Silent)).await.expect("export");
        assert!(report.resumed.is_some(), "{kind}: {report:?}");
        assert!(contents(&now) == contents(&then), "{kind}: the bytes differ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_bags_that_come_back_together() {
    let home = with_photos(8).await;
    let out = folder(&home, "out");
    for ending in ["zip", "tar.gz", "folder"] {
        let options = ExportOptions { part_bytes: Some(1 << 20), ..to(out.join(format!("{ending}/memories.{ending}"))) };
        fs::create_dir(out.join(ending)).expect("a folder");
        let plan = home.custody.plan_export(home.owner, &options, Arc::new(Silent)).await.expect("plan");
        let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
        assert_eq!((plan.memories, plan.media, plan.parts(), plan.bytes), (8, 8, report.parts.len(), report.bytes), "{plan:?}");
        assert!(report.parts.len() >= 4 && report.parts.iter().all(|part| part.bytes <= 1 << 20), "{:?}", report.parts);
        // In any order, by any name, named by any of them or by their folder.
        let shuffled = folder(&home, &format!("shuffled-{ending}"));
        let count = report.parts.len();
        for (number, part) in report.parts.iter().enumerate() {
            check_bag(&part.path);
            let name = format!("{}-of-them.{ending}", count - number);
            fs::rename(&part.path, shuffled.join(name)).expect("moved");
        }
        let wanted = home.custody.data_id(home.owner).await.expect("data ID");
        for named in [shuffled.clone(), shuffled.join(format!("2-of-them.{ending}"))] {
            let other = crate::support::home().await;
            let owner = other.custody.bundle_owner(&Bundle::open(&named).expect("all parts"), None).await.expect("owner");
            let report = other.custody.import(owner.id, &named, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await;
            assert_eq!(report.expect("import").problems, []);
            assert_eq!(other.custody.with_limits_for_tests(SMALL).data_id(owner.id).await.expect("data ID"), wanted, "{}", named.display());
        }
        let gone = shuffled.join(format!("1-of-them.{ending}"));
        if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) }.expect("removed");
        let error = Bundle::open(&shuffled).err().expect("one is missing").to_string();
        assert!(error.contains(&format!("has {count} parts; part {count} is not in")), "{error}");
    }
}

/// Asks the stock validator about a bag that is a folder.
fn check_bag(bag: &Path) {
    if let (true, Ok(tool)) = (bag.is_dir(), std::env::var("KEEPSAKE_BAGIT")) {
        let checked = Command::new(&tool).arg("--validate").arg(bag).output().expect("bagit.py runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_meanwhile_leaves_the_parts_that_are_there() {
    let home = with_photos(8).await;
    let options = ExportOptions { part_bytes: Some(1 << 20), ..to(folder(&home, "out").join("memories")) };
    let stopped = home.custody.export(home.owner, &options, Arc::new(Stop(AtomicI64::new(9)))).await;
    assert!(stopped.is_err(), "it was asked to stop");
    let begun = home.custody.exports(home.owner).await.expect("list").remove(0);
    assert!(begun.state == ExportState::Begun && !begun.parts.is_empty() && begun.altered.is_empty(), "{begun:?}");
    let text = fs::read_to_string(&files(&begun.parts[0].path.join("data/memories"))[0]).expect("memories");
    let id: MemoryId = serde_json::from_str::<serde_json::Value>(text.lines().next().expect("a line")).expect("JSON")["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let digest = home.custody.vault().memory(home.owner, &id).await.expect("asked").expect("there").memory.attachments[0].medium.clone();
    let digest = digest.expect("a photo").sha256;
    // Another memory names it: that is no reason to write anything again and again.
    let draft = MemoryDraft { text: format!("see [it](keepsake:memory/{id})"), date: Some("2024-01-02".into()), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("add");
    erase(&home, &id).await;
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    assert!(report.kept > 0 && report.remade > 0 && report.memories == 7, "{report:?}");
    let name = id.to_string();
    for part in &report.parts {
        for (path, bytes) in contents(&part.path) {
            assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{}", path.display());
            assert_ne!(keepsake_record::Sha256Digest::of(&bytes), digest, "{}", path.display());
        }
    }
    let bundle = Bundle::open(&report.parts[0].path).expect("a bundle");
    assert_eq!(bundle.header().expect("a head").counts["memories"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_taken_up_as_they_are_found() {
    let home = with_photos(8).await;
    let options = ExportOptions { part_bytes: Some(1 << 20), ..to(folder(&home, "out").join("memories")) };
    assert!(home.custody.export(home.owner, &options, Arc::new(Stop(AtomicI64::new(9)))).await.is_err(), "it was asked to stop");
    let begun = home.custody.exports(home.owner).await.expect("list").remove(0);
    let first = begun.parts[0].path.clone();
    // Killed after it was noted, before it had its name.
    let waiting = PathBuf::from(format!("{}.part", first.display()));
    fs::rename(&first, &waiting).expect("moved");
    // A file of somebody else's in another part stays, and is a reason to ask.
    let added = begun.parts[1].path.join("data/mine.txt");
    fs::write(&added, "mine").expect("written");
    let error = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect_err("it was changed").to_string();
    assert!(error.contains("not what was written any more") && added.exists() && first.exists() && !waiting.exists(), "{error}");
    fs::remove_file(&added).expect("removed");
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    assert_eq!(report.kept, begun.parts.len());
    // Asked for again, nothing of it is forgotten.
    let again = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect_err("it is there").to_string();
    assert!(again.contains("choose another name"), "{again}");
    let kept = home.custody.export_at(home.owner, &report.id).await.expect("still known");
    assert!(kept.state == ExportState::Complete && kept.altered.is_empty() && kept.parts.len() == report.parts.len(), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn some_memories_come_with_what_they_name_and_nothing_else() {
    let home = home().await;
    let add = async |text: &str, date: &str, tags: &[&str]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let draft = MemoryDraft { text: text.into(), date: Some(date.into()), tags, ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("add").id
    };
    let wanted = [add("by the sea", "2024-03-17", &["trip/sea"]).await, add("a swallow", "2024-04-01", &[]).await];
    let other = add("secret", "2024-05-01", &["secret"]).await;
    home.custody.create_collection(home.owner, "Hidden").await.expect("a collection");
    home.custody.create_collection(home.owner, "Shown").await.expect("a collection");
    home.custody.set_membership(home.owner, "Hidden", &other.to_string(), true).await.expect("a member");
    home.custody.set_membership(home.owner, "Shown", &wanted[0].to_string(), true).await.expect("a member");
    let out = folder(&home, "out");
    let filter = "tag:trip or text:swallow".parse().expect("a filter");
    let options = ExportOptions { filter: Some(filter), ..to(out.join("some")) };
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    assert_eq!(report.memories, 2);
    let read = |name: &str| fs::read_to_string(out.join("some/data").join(name)).unwrap_or_default();
    assert!(read("collections.ndjson").contains("Shown"));
    assert!(!read("tags.ndjson").contains("secret") && !read("collections.ndjson").contains("Hidden"));
    let bundle = Bundle::open(&out.join("some")).expect("a bundle");
    assert_eq!(bundle.header().expect("a head").counts["memories"], 2);
    let there: BTreeSet<String> =
        bundle.files_below("memories/").map(read).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(there.len() == 2 && wanted.iter().all(|id| there.iter().any(|line| line.contains(&id.to_string()))), "{there:?}");
    assert!(fs::read_to_string(out.join("some/keepsake-export.json")).expect("about").contains("tag:trip or text:swallow"));
    let nobody = ExportOptions { filter: Some("person:Grace".parse().expect("a filter")), ..to(out.join("none")) };
    let error = home.custody.export(home.owner, &nobody, Arc::new(Silent)).await.expect_err("nobody of that name");
    assert!(error.to_string().contains("names the person `Grace`"), "{error}");
    for (filter, expected) in [("not tag:secrit", "the tag `secrit`, which no memory has"), ("from:2030", "takes no memory")] {
        let options = ExportOptions { filter: Some(filter.parse().expect("a filter")), ..to(out.join("none")) };
        let error = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect_err(filter).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(!out.join("none").exists() && home.custody.exports(home.owner).await.expect("list").len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_listed_looked_at_and_removed() {
    let home = with_photos(4).await;
    let out = folder(&home, "out");
    let mut ids = Vec::new();
    for name in ["a", "b.zip"] {
        ids.push(home.custody.export(home.owner, &to(out.join(name)), Arc::new(Silent)).await.expect("export").id);
    }
    let all = home.custody.exports(home.owner).await.expect("list");
    assert!(all.iter().all(|export| export.state == ExportState::Complete && export.altered.is_empty()), "{all:?}");
    let original = files(&out.join("a/data/media")).remove(0);
    fs::write(&original, "changed").expect("changed");
    let shown = home.custody.export_at(home.owner, &ids[0][..6]).await.expect("shown");
    assert_eq!(shown.altered, [out.join("a").display().to_string()]);
    assert_eq!(home.custody.delete_export(home.owner, &ids[0]).await.expect("forgotten"), shown.altered);
    assert!(out.join("a").exists(), "what somebody changed stays");
    assert!(home.custody.delete_export(home.owner, &ids[1]).await.expect("deleted").is_empty() && !out.join("b.zip").exists());
    assert!(home.custody.exports(home.owner).await.expect("list").is_empty());
    let error = home.custody.export_at(home.owner, &ids[1]).await.expect_err("gone").to_string();
    assert!(error.contains("export list"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bags_that_lie_lead_nowhere() {
    let home = with_photos(1).await;
    let bag = folder(&home, "out").join("bag");
    home.custody.export(home.owner, &to(bag.clone()), Arc::new(Silent)).await.expect("export");
    let (info, manifest) = (bag.join("bag-info.txt"), bag.join("manifest-sha256.txt"));
    let said = fs::read_to_string(&info).expect("read");
    for count in ["1 of 18446744073709551615", "0 of 2", "3 of 2", "1 of ?", "1"] {
        fs::write(&info, format!("{said}Bag-Group-Identifier: x\nBag-Count: {count}\n")).expect("written");
        assert!(Bundle::open(&bag).is_ok(), "{count}: it is no part, then");
    }
    let text = fs::read_to_string(&manifest).expect("read");
    let digest = &text[..64];
    fs::write(&manifest, format!("{text}{digest}  ../../../../../../dev/zero\n{digest}  /dev/zero\n")).expect("written");
    let altered = Bundle::open(&bag).expect("a bundle").altered_files().expect("looked at");
    assert_eq!(altered, ["../../../../../../dev/zero", "/dev/zero"], "what is not in the bag is not read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_more_than_parts_is_imported_for_what_it_is() {
    let home = with_photos(4).await;
    let notes = folder(&home, "notes");
    let options = ExportOptions { part_bytes: Some(1 << 20), ..to(notes.join("memories.zip")) };
    home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    fs::write(notes.join("a.md"), "a note").expect("written");
    let other = crate::support::home().await;
    let options = ImportOptions::default();
    let unnamed = other.custody.import(other.owner, &notes, &options, ImportMode::Plan, Arc::new(Silent)).await;
    assert!(unnamed.expect_err("it is many things").to_string().contains("name it with --format"));
    let options = ImportOptions { format: keepsake_custody::Format::from_name("markdown"), ..options };
    let report = other.custody.import(other.owner, &notes, &options, ImportMode::Apply, Arc::new(Silent)).await.expect("import");
    assert_eq!(report.new, 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_what_is_all_erased_ends_empty() {
    let home = with_photos(12).await;
    let filter = Some("from:2024-02 to:2024-02".parse().expect("a filter"));
    let options = ExportOptions { filter, part_bytes: Some(1 << 20), ..to(folder(&home, "out").join("memories")) };
    assert!(home.custody.export(home.owner, &options, Arc::new(Stop(AtomicI64::new(5)))).await.is_err(), "it was asked to stop");
    assert!(!home.custody.exports(home.owner).await.expect("list").remove(0).parts.is_empty());
    for row in home.custody.list_memories(home.owner, &Default::default(), None, 100).await.expect("list") {
        if row.memory.when.day.is_some_and(|day| day.month() == 2) {
            erase(&home, &row.memory.id).await;
        }
    }
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    assert!(report.memories == 0 && report.remade > 0, "{report:?}");
    assert!(report.parts.iter().all(|part| !part.path.join("data/memories").exists() && !part.path.join("data/media").exists()));
}
