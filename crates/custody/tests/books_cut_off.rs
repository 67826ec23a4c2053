//! Books that are cut off, by a kill, by somebody who stops them, or between any two writes: the next call ends with the book that would have been.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, atomic::AtomicI64},
};

use keepsake_custody::{
    BagFormat, BatchItem, BookOptions, Custody, DestinationSettings, Epub, ExportOptions, ExportState, MadeBook, MemoryDraft, Monitor,
    NewDestination, Paper, SealTo, Silent, SystemClock, Typesetter,
};
use keepsake_formats::book::{Printed, Volume};
use keepsake_record::{MemoryId, OwnerId, Sha256Digest};
use keepsake_repository::Password;
use keepsake_storage::{Fault, Faulty, Store};
use keepsake_testing::Dice;
use keepsake_vault::ExportRow;
use serde_json::{Value, json};

use crate::{
    histories::seed,
    support::{Abort, Home, files, home},
};

/// Sets a volume as what is in it, and notes the headings.
#[derive(Default)]
struct Digesting(Mutex<Vec<Vec<String>>>);

impl Typesetter for Digesting {
    fn ending(&self) -> &'static str {
        "pdf"
    }

    fn side_max(&self, _: Paper) -> u32 {
        500
    }

    fn set(&self, volume: &Volume) -> Result<Printed, String> {
        self.0.lock().expect("no holder panics").push(volume.leaves.iter().map(|leaf| leaf.heading.clone()).collect());
        let file = format!("{} {}", volume.ident, Sha256Digest::of(format!("{volume:?}").as_bytes())).into_bytes();
        Ok(Printed { file, pages: Some(volume.leaves.len()), replaced: BTreeMap::from([('x', 1)]) })
    }
}

impl Digesting {
    fn set_so_far(&self) -> usize {
        self.0.lock().expect("no holder panics").len()
    }
}

/// A home whose book has three volumes; memories go on from one to the next, and something in each cannot be shown.
async fn long_home() -> Home {
    let home = home().await;
    for (number, paragraphs) in [6, 25, 1, 7].into_iter().enumerate() {
        let text = vec!["word ".repeat(20_000); paragraphs].join("\n\n") + "\n\n![gone](keepsake:attachment/none)";
        let date = Some(format!("2024-0{}-17", number / 2 + 1));
        let draft = MemoryDraft { title: Some(format!("Number {number}")), text, date, ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("added");
    }
    home
}

fn folder(home: &Home, name: &str) -> PathBuf {
    let folder = home.folder.path().join(name);
    fs::create_dir_all(&folder).expect("made");
    folder
}

fn options(folder: &Path, name: &str) -> BookOptions {
    BookOptions { out: folder.join(name), with_data: true, ..BookOptions::default() }
}

async fn made(home: &Home, options: &BookOptions) -> MadeBook {
    home.custody.export_book(home.owner, options, Arc::<Digesting>::default(), Arc::new(Silent)).await.expect("made")
}

async fn add(home: &Home, number: u64) {
    let draft = MemoryDraft { text: format!("later {number}"), date: Some("2024-01-01".into()), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |path: &PathBuf| path.strip_prefix(folder).expect("below").to_path_buf();
    files(folder).iter().map(|path| (relative(path), fs::read(path).expect("read"))).collect()
}

/// What the vault has noted of the only export.
async fn noted(home: &Home) -> (ExportRow, Value) {
    let row = home.custody.vault().exports(home.owner).await.expect("exports").pop().expect("one");
    let record = serde_json::from_str(&row.record).expect("JSON");
    (row, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn between_any_two_writes() {
    let home = long_home().await;
    let then = folder(&home, "then");
    let report = made(&home, &options(&then, "book.pdf")).await.report;
    assert_eq!((report.volumes.len(), report.memories, report.skipped.len()), (3, 4, 4), "{report:?}");
    let expected = contents(&then);
    assert_eq!(expected.len(), 4);
    let now = folder(&home, "now");
    made(&home, &options(&now, "book.pdf")).await;
    let (row, whole) = noted(&home).await;
    assert_eq!(whole["asked"]["out"], json!(now.join("book.pdf")));
    let names: Vec<PathBuf> =
        whole["parts"].as_array().expect("parts").iter().map(|part| part["path"].as_str().expect("a path").into()).collect();
    for noted in 0..=names.len() {
        // The last one that is noted may have its name already, or not yet; the next one may stand there, in part.
        for is_named in [true, false] {
            if noted == 0 && is_named {
                continue;
            }
            for (number, path) in names.iter().enumerate() {
                let unfinished = path.with_file_name(format!("{}.part", path.file_name().expect("a name").to_string_lossy()));
                match number + 1 {
                    it if it == noted && !is_named => fs::rename(path, unfinished).expect("renamed"),
                    it if it > noted => {
                        fs::remove_file(path).expect("removed");
                        fs::write(unfinished, "half of it").expect("written");
                    }
                    _ => {}
                }
            }
            let mut record = whole.clone();
            record["state"] = json!("begun");
            record["parts"].as_array_mut().expect("parts").truncate(noted);
            record["book"]["volumes"].as_array_mut().expect("volumes").truncate(noted);
            record["book"]["is_whole"] = json!(noted >= 3);
            let row = ExportRow { record: record.to_string(), ..row.clone() };
            home.custody.vault().put_export(home.owner, &row).await.expect("noted");
            add(&home, noted as u64).await;
            let again = made(&home, &options(&now, "book.pdf")).await;
            assert!(again.resumed.is_some() && again.kept == noted.min(3) && again.remade == 0, "{noted} {is_named}: {again:?}");
            assert!(contents(&now) == expected, "{noted} {is_named}: {:?}", contents(&now).keys());
        }
    }
    let summary = home.custody.exports(home.owner).await.expect("exports").pop().expect("one");
    assert_eq!((summary.state, summary.parts.len(), summary.altered.len()), (ExportState::Skipped, 4, 0));
    let stayed = home.custody.delete_export(home.owner, &summary.id).await.expect("deleted");
    assert_eq!((stayed.len(), contents(&now).len()), (0, 0));
}

/// Asks to stop once so many volumes were set.
struct StopAfter(Arc<Digesting>, usize);

impl Monitor for StopAfter {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, _: &str, _: &str) {}
    fn cancelled(&self) -> bool {
        self.0.set_so_far() >= self.1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_goes_on_and_what_is_erased_leaves_it() {
    let home = long_home().await;
    let (then, now) = (folder(&home, "then"), folder(&home, "now"));
    made(&home, &options(&then, "book.pdf")).await;
    let typesetter = Arc::<Digesting>::default();
    let stopping = Arc::new(StopAfter(typesetter.clone(), 1));
    let stopped = home.custody.export_book(home.owner, &options(&now, "book.pdf"), typesetter, stopping).await;
    assert!(stopped.is_err());
    // It is asked between two memories; the second one goes on into the third volume.
    assert_eq!(contents(&now).keys().collect::<Vec<_>>(), [Path::new("book-1.pdf"), Path::new("book-2.pdf")]);
    // Edits between do not show; --anew would let them.
    add(&home, 1).await;
    // What the vault says of it while it is begun.
    let begun = home.custody.exports(home.owner).await.expect("exports").pop().expect("one");
    assert_eq!((begun.state, begun.parts.len()), (ExportState::Begun, 2));
    let again = made(&home, &options(&now, "book.pdf")).await;
    assert_eq!((again.kept, again.remade), (2, 0));
    assert!(contents(&now) == contents(&then));

    let gone = folder(&home, "gone");
    let typesetter = Arc::<Digesting>::default();
    let stopping = Arc::new(StopAfter(typesetter.clone(), 1));
    home.custody.export_book(home.owner, &options(&gone, "book.pdf"), typesetter, stopping).await.expect_err("it was stopped");
    let first = home.custody.list_memories(home.owner, &Default::default(), None, 20).await.expect("list");
    let first = first.into_iter().find(|row| row.memory.title.as_deref() == Some("Number 0")).expect("it is there").memory.id;
    erase(&home, &first).await;
    let typesetter = Arc::<Digesting>::default();
    let again =
        home.custody.export_book(home.owner, &options(&gone, "book.pdf"), typesetter.clone(), Arc::new(Silent)).await.expect("made");
    assert!(again.resumed.is_some() && (again.kept, again.remade) == (0, 2), "{again:?}");
    let headings = typesetter.0.lock().expect("no holder panics").concat();
    assert!(headings.iter().any(|heading| heading == "Number 3") && !headings.iter().any(|heading| heading.starts_with("Number 0")));
}

async fn erase(home: &Home, id: &MemoryId) {
    home.custody.delete_memory(home.owner, &id.to_string()).await.expect("deleted");
    let mut write = home.custody.vault().write(home.owner, "test").await.expect("write");
    write.redact_memory(id).await.expect("redact");
    write.commit(&home.entry()).await.expect("commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_for_one_reader() {
    let home = long_home().await;
    let now = folder(&home, "now");
    let seal = Some(SealTo::passphrase(Password::new("open sesame".into())).expect("a passphrase"));
    let misnamed = BookOptions { seal: seal.clone(), ..options(&now, "book.pdf") };
    let refused = home.custody.export_book(home.owner, &misnamed, Arc::<Digesting>::default(), Arc::new(Silent)).await;
    assert!(refused.expect_err("its name does not say so").to_string().contains("book.pdf.age"));
    let sealed = BookOptions { seal, ..options(&now, "book.pdf.age") };
    let typesetter = Arc::<Digesting>::default();
    let stopping = Arc::new(StopAfter(typesetter.clone(), 2));
    home.custody.export_book(home.owner, &sealed, typesetter, stopping).await.expect_err("it was stopped");
    let other = SealTo::passphrase(Password::new("another one".into())).expect("a passphrase");
    let refused = BookOptions { seal: Some(other), ..sealed.clone() };
    let refused = home.custody.export_book(home.owner, &refused, Arc::<Digesting>::default(), Arc::new(Silent)).await;
    assert!(refused.expect_err("another passphrase").to_string().contains("another passphrase"));
    let again = made(&home, &sealed).await;
    assert_eq!(again.kept, 2);
    let all = contents(&now);
    let names: Vec<_> = all.keys().map(|path| path.to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["book-1.pdf.age", "book-2.pdf.age", "book-3.pdf.age", "book.pdf.manifest.json.age"]);
    assert!(all.values().all(|bytes| bytes.starts_with(b"age-encryption.org/v1\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_whose_sending_is_cut_off_arrives_whole() {
    let mut home = long_home().await;
    let (name, url) = ("depot".into(), format!("file:{}", home.folder.path().join("depot").display()));
    home.custody.add_destination(NewDestination { name, url, settings: DestinationSettings::default(), make: false }).await.expect("added");
    let then = folder(&home, "then");
    made(&home, &options(&then, "book.pdf")).await;
    let far = BookOptions { destination: Some("depot".into()), ..options(Path::new(""), "book.pdf") };
    let there = home.folder.path().join("depot/exports");
    for cut in 0..=4_u64 {
        let faults = move |at: &str, store: Arc<dyn Store>| -> Arc<dyn Store> {
            if at == "depot" { Arc::new(Faulty::new(store, Fault::CutAfter(cut))) } else { store }
        };
        let opened = Custody::open(&home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
        home.custody = opened.with_faults_for_tests(Arc::new(faults));
        let cut_off = home.custody.export_book(home.owner, &far, Arc::<Digesting>::default(), Arc::new(Silent)).await;
        assert_eq!(cut_off.is_ok(), cut == 4, "{cut}: {cut_off:?}");
        home.custody = Custody::open(&home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
        if cut < 4 {
            let again = home.custody.export_book(home.owner, &far, Arc::<Digesting>::default(), Arc::new(Silent)).await.expect("goes on");
            assert!(again.resumed.is_some() && again.kept as u64 >= cut.min(3), "{cut}: {again:?}");
        }
        assert!(contents(&there) == contents(&then), "{cut}: {:?}", contents(&there).keys());
        let last = home.custody.exports(home.owner).await.expect("exports").pop().expect("one");
        assert!(last.parts.len() == 4 && last.parts.iter().all(|part| part.sent), "{last:?}");
        assert_eq!(home.custody.delete_export(home.owner, &last.id).await.expect("deleted").len() + contents(&there).len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_are_cut_off_go_on_at_their_state() {
    let home = long_home().await;
    let (then, now) = (folder(&home, "then"), folder(&home, "now"));
    let bag =
        |folder: &Path, name: &str, format| BatchItem::Bag(ExportOptions { out: folder.join(name), format, ..ExportOptions::default() });
    let items = |folder: &Path, typesetter: &Arc<Digesting>| {
        [
            bag(folder, "memories.zip", BagFormat::Json),
            BatchItem::Book(options(folder, "book.pdf"), typesetter.clone()),
            bag(folder, "as-xml.zip", BagFormat::Xml),
        ]
    };
    let all = home.custody.export_batch(home.owner, &items(&then, &Arc::default()), Arc::new(Silent)).await.expect("asked");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let typesetter = Arc::<Digesting>::default();
    let stopping = Arc::new(StopAfter(typesetter.clone(), 1));
    let stopped = home.custody.export_batch(home.owner, &items(&now, &typesetter), stopping).await.expect("asked");
    assert_eq!(stopped.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    add(&home, 1).await;
    let again = home.custody.export_batch(home.owner, &items(&now, &Arc::default()), Arc::new(Silent)).await.expect("asked");
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert!(contents(&now) == contents(&then), "{:?}", contents(&now).keys());
    // Once all have ended it is another one, and nothing is replaced.
    let third = home.custody.export_batch(home.owner, &items(&now, &Arc::default()), Arc::new(Silent)).await.expect("asked");
    assert!(third.iter().all(Result::is_err) && contents(&now) == contents(&then));
    let twice = [bag(&now, "x.zip", BagFormat::Json), bag(&now, "x.zip", BagFormat::Xml)];
    let refused = home.custody.export_batch(home.owner, &twice, Arc::new(Silent)).await.expect_err("one name for two");
    assert!(refused.to_string().contains("a name of its own"), "{refused}");
}

/// What others left where a volume is to be written stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_others_stays() {
    let home = long_home().await;
    let now = folder(&home, "now");
    for name in ["book-1.pdf.part", "book.pdf.manifest.json.part"] {
        fs::write(now.join(name), "theirs").expect("written");
        let refused = home.custody.export_book(home.owner, &options(&now, "book.pdf"), Arc::<Digesting>::default(), Arc::new(Silent)).await;
        assert!(refused.expect_err("it is there").to_string().contains("move it away"));
        assert_eq!(contents(&now), BTreeMap::from([(name.into(), b"theirs".to_vec())]));
        fs::remove_file(now.join(name)).expect("removed");
    }
    // Begun with other words, it is neither taken over nor in the way for ever.
    let typesetter = Arc::<Digesting>::default();
    let stopping = Arc::new(StopAfter(typesetter.clone(), 1));
    home.custody.export_book(home.owner, &options(&now, "book.pdf"), typesetter, stopping).await.expect_err("it was stopped");
    let titled = BookOptions { title: Some("Another".into()), ..options(&now, "book.pdf") };
    let refused = home.custody.export_book(home.owner, &titled, Arc::<Digesting>::default(), Arc::new(Silent)).await;
    assert!(refused.expect_err("it was begun as another").to_string().contains("export delete"));
    let begun_again = made(&home, &BookOptions { anew: true, ..titled }).await;
    assert_eq!((begun_again.report.title.as_str(), contents(&now).len()), ("Another", 4));
}

const CHILD: &str = "KEEPSAKE_TEST_BOOK_CHILD";

/// No test of its own: what [`killed_books_end_as_others`] runs and lets die.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_dies() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Value = serde_json::from_str(&told).expect("what to do");
    let text = |name: &str| told[name].as_str().expect("text").to_owned();
    let home = Custody::open(Path::new(&text("home")), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    let owner: OwnerId = text("owner").parse().expect("an owner");
    let options = options(Path::new(&text("out")), "book.epub");
    let monitor = Arc::new(Abort(AtomicI64::new(told["after"].as_i64().expect("a number"))));
    let ended = home.export_book(owner, &options, Arc::new(Epub), monitor).await;
    println!("it ended by itself: {:?}", ended.map(|made| made.report.volumes));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_books_end_as_others() {
    let mut dice = Dice(seed());
    let mut home = long_home().await;
    let (then, now) = (folder(&home, "then"), folder(&home, "now"));
    let made = |home: Home, folder: PathBuf| async move {
        let made = home.custody.export_book(home.owner, &options(&folder, "book.epub"), Arc::new(Epub), Arc::new(Silent)).await;
        (home, made.expect("made"))
    };
    (home, _) = made(home, then.clone()).await;
    for round in 0..5 {
        // It tells of four memories and three volumes; the first and the second of these stand before the rounds end.
        let after = if round == 0 { 3 } else { dice.below(3) };
        home.custody.close().await;
        let told = json!({ "home": home.path(), "owner": home.owner.to_string(), "out": now, "after": after });
        let exe = std::env::current_exe().expect("this program");
        let child =
            Command::new(exe).args(["--exact", "books_cut_off::a_child_that_dies", "--nocapture"]).env(CHILD, told.to_string()).output();
        let child = child.expect("it runs");
        assert!(!child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        home.reopen().await;
        // Before the first volume is whole, nothing says which state it shows.
        if home.custody.exports(home.owner).await.expect("exports").iter().any(|export| export.state == ExportState::Begun) {
            add(&home, round).await;
        }
    }
    let (_, made) = made(home, now.clone()).await;
    assert!(made.resumed.is_some(), "{made:?}");
    assert!(contents(&now) == contents(&then), "the bytes differ: {:?}", contents(&now).keys());
}
