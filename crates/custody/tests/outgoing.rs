//! Exports that go elsewhere, and exports that only some can open.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use keepsake_custody::{
    BagFormat, Bundle, Custody, CustodyResult, DestinationSettings, ErrorKind, ExportOptions, ExportReport, ExportState, ImportMode,
    ImportOptions, MemoryDraft, Monitor, NewDestination, Password, SealTo, Silent, SystemClock, Unlock,
};
use keepsake_storage::{Fault, Faulty, ObjectInfo, ObjectName, PutMode, Store, StoreResult};
use keepsake_testing::Dice;

use crate::support::{Home, SMALL, files, small_home};

/// A home with photos of half a MiB in several months, and a folder as a destination.
async fn filled() -> Home {
    let home = small_home().await;
    let mut dice = Dice(7);
    for number in 0..6 {
        let photo = home.folder.path().join(format!("photo-{number}.jpg"));
        fs::write(&photo, (0..64 << 10).flat_map(|_| dice.roll().to_le_bytes()).collect::<Vec<u8>>()).expect("a photo");
        let date = Some(format!("2024-{:02}-17", number % 4 + 1));
        let draft = MemoryDraft { text: format!("memory {number}"), date, attach: vec![photo], ..MemoryDraft::default() };
        home.custody.add_memory(home.owner, &draft).await.expect("add");
    }
    let (name, url) = ("depot".into(), format!("file:{}", home.folder.path().join("depot").display()));
    home.custody.add_destination(NewDestination { name, url, settings: DestinationSettings::default(), make: false }).await.expect("added");
    home
}

fn to(out: &str, parts: bool) -> ExportOptions {
    let part_bytes = parts.then_some(1 << 20);
    ExportOptions { out: out.into(), destination: Some("depot".into()), part_bytes, ..ExportOptions::default() }
}

async fn run(home: &Home, options: &ExportOptions) -> CustodyResult<ExportReport> {
    home.custody.export(home.owner, options, Arc::new(Silent)).await
}

/// What is at the destination below `exports/`.
fn there(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let root = home.folder.path().join("depot/exports");
    let name = |path: &Path| path.strip_prefix(&root).expect("below").display().to_string();
    files(&root).into_iter().map(|path| (name(&path), fs::read(&path).expect("read"))).collect()
}

fn waiting(home: &Home) -> Vec<PathBuf> {
    files(&home.path().join("outgoing"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_what_would_stand_here() {
    let home = filled().await;
    fs::create_dir(home.folder.path().join("here")).expect("a folder");
    for (name, parts) in [("memories.zip", false), ("memories.tar.gz", false), ("parts.zip", true)] {
        let local = ExportOptions { out: home.folder.path().join("here").join(name), destination: None, ..to(name, parts) };
        let plan = home.custody.plan_export(home.owner, &to(name, parts), Arc::new(Silent)).await.expect("plan");
        let here = run(&home, &local).await.expect("export");
        let report = run(&home, &to(name, parts)).await.expect("export");
        assert_eq!((report.parts.len(), plan.parts()), (here.parts.len(), here.parts.len()), "{name}");
        let there = there(&home);
        for part in &here.parts {
            let name = part.path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(there[&name] == fs::read(&part.path).expect("read"), "{name}");
        }
        assert!(report.parts.iter().all(|part| part.sent) && waiting(&home).is_empty(), "{report:?}");
        let again = run(&home, &to(name, parts)).await.expect_err("it is there");
        assert!(again.kind() == ErrorKind::Refused && again.to_string().contains("choose another name"), "{again}");
    }
    for (out, words) in [
        ("memories", "would be a folder"),
        ("a b.zip", "characters other than"),
        ("../x.zip", "`.` or `..`"),
        ("s3://b/x.zip", "is only a name"),
        ("/x.zip", "is only a name"),
    ] {
        let error = run(&home, &to(out, false)).await.expect_err(out).to_string();
        assert!(error.contains(words), "{out}: {error}");
    }
    for url in ["s3://169.254.169.254", "webdav://169.254.169.254/x.zip", "webdavs://me:hunter2@host/x.zip", "s3://"] {
        let options = ExportOptions { out: url.into(), destination: None, ..to("", false) };
        let error = run(&home, &options).await.expect_err(url).to_string();
        assert!(!error.contains("hunter2"), "{error}");
        drop(home.custody.plan_export(home.owner, &options, Arc::new(Silent)).await.expect_err(url));
    }
    let audit = format!("{:?}", home.custody.audit_after("", 1000).await.expect("audit"));
    assert!(audit.contains("webdavs://me@host/x.zip") && !audit.contains("hunter2"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_known_looked_at_and_removed() {
    let home = filled().await;
    let report = run(&home, &to("parts.zip", true)).await.expect("export");
    assert_eq!(home.custody.exports(home.owner).await.expect("list")[0].state, ExportState::Complete);
    let shown = home.custody.export_at(home.owner, &report.id).await.expect("shown");
    assert!(shown.altered.is_empty() && shown.out.ends_with("depot/exports/parts.zip"), "{shown:?}");
    let first = home.folder.path().join("depot/exports").join(report.parts[0].path.file_name().expect("a name"));
    let whole = fs::read(&first).expect("read");
    let mut bytes = whole.clone();
    bytes[100] ^= 1;
    fs::write(&first, bytes).expect("written");
    let shown = home.custody.export_at(home.owner, &report.id).await.expect("shown");
    assert_eq!(shown.altered, [report.parts[0].path.display().to_string()]);
    fs::write(&first, &whole[1..]).expect("written");
    let stayed = home.custody.delete_export(home.owner, &report.id).await.expect("deleted");
    assert_eq!((stayed, there(&home).len()), (shown.altered, 1), "what is another one stays");
    assert!(home.custody.exports(home.owner).await.expect("list").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_while_it_is_sent_goes_on() {
    let mut home = filled().await;
    let then = run(&home, &to("then.zip", true)).await.expect("export");
    let wanted: Vec<Vec<u8>> = there(&home).into_values().collect();
    home.custody.delete_export(home.owner, &then.id).await.expect("deleted");
    for cut in 0..=wanted.len() {
        let faults = move |at: &str, store: Arc<dyn Store>| -> Arc<dyn Store> {
            if at == "depot" { Arc::new(Faulty::new(store, Fault::CutAfter(cut as u64))) } else { store }
        };
        let opened = Custody::open(&home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
        home.custody = opened.with_limits_for_tests(SMALL).with_faults_for_tests(Arc::new(faults));
        let cut_off = run(&home, &to("then.zip", true)).await;
        assert_eq!(cut_off.is_ok(), cut == wanted.len(), "{cut}: {cut_off:?}");
        if cut < wanted.len() {
            let begun = home.custody.exports(home.owner).await.expect("list").remove(0);
            assert_eq!((begun.state, begun.parts.iter().filter(|part| part.sent).count()), (ExportState::Begun, cut));
            home.reopen().await;
            let report = run(&home, &to("then.zip", true)).await.expect("goes on");
            assert!(report.resumed.is_some() && report.kept >= cut, "{report:?}");
        }
        assert!(there(&home).into_values().collect::<Vec<_>>() == wanted && waiting(&home).is_empty(), "{cut}");
        let id = home.custody.exports(home.owner).await.expect("list")[0].id.clone();
        home.reopen().await;
        assert!(home.custody.delete_export(home.owner, &id).await.expect("deleted").is_empty() && there(&home).is_empty());
    }
}

/// A place that keeps other bytes than it is given.
#[derive(Debug)]
struct Liar(Arc<dyn Store>);

impl Store for Liar {
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        self.0.put(name, bytes.into(), mode)
    }
    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.0.get(name)
    }
    fn get_range(&self, name: &ObjectName, range: std::ops::Range<u64>) -> StoreResult<Bytes> {
        self.0.get_range(name, range)
    }
    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        self.0.head(name)
    }
    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        self.0.list(prefix)
    }
    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        self.0.delete(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_read_back_is_not_called_written() {
    let mut home = filled().await;
    let opened = Custody::open(&home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    home.custody = opened.with_limits_for_tests(SMALL).with_faults_for_tests(Arc::new(|_: &str, store| Arc::new(Liar(store))));
    let error = run(&home, &to("memories.zip", false)).await.expect_err("it lies");
    assert!(error.kind() == ErrorKind::Damaged && error.to_string().contains("does not read back"), "{error}");
    assert!(there(&home).is_empty(), "what is not what was sent does not stay");
    home.reopen().await;
    let report = run(&home, &to("memories.zip", false)).await.expect("goes on");
    assert!(report.resumed.is_some() && report.kept == 1 && there(&home).len() == 1, "{report:?}");
}

/// What others put where an export is to go is theirs, also when it comes while the export is made.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_there_stays() {
    let mut home = filled().await;
    let cut = |at: &str, store: Arc<dyn Store>| -> Arc<dyn Store> {
        if at == "depot" { Arc::new(Faulty::new(store, Fault::CutAfter(0))) } else { store }
    };
    let opened = Custody::open(&home.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
    home.custody = opened.with_limits_for_tests(SMALL).with_faults_for_tests(Arc::new(cut));
    run(&home, &to("memories.zip", false)).await.expect_err("cut off");
    home.reopen().await;
    let there_now = home.folder.path().join("depot/exports/memories.zip");
    fs::create_dir_all(there_now.parent().expect("a folder")).expect("a folder");
    fs::write(&there_now, "theirs").expect("written");
    let error = run(&home, &to("memories.zip", false)).await.expect_err("it is theirs");
    assert!(error.kind() == ErrorKind::Refused && fs::read(&there_now).expect("read") == b"theirs", "{error}");
    // What was sent and not noted so is known again, and goes with its export.
    let begun = home.custody.exports(home.owner).await.expect("list").remove(0);
    let waits = waiting(&home).remove(0);
    fs::copy(waits, &there_now).expect("copied");
    assert!(home.custody.delete_export(home.owner, &begun.id).await.expect("deleted").is_empty() && there(&home).is_empty());
    run(&home, &to("memories.zip", false)).await.expect("export");
}

/// What is under the seal, by the crate.
fn opened(path: &Path, identity: &dyn age::Identity) -> Vec<u8> {
    let file = BufReader::new(fs::File::open(path).expect("open"));
    let mut plain = Vec::new();
    let decryptor = age::Decryptor::new_buffered(file).expect("an age file");
    decryptor.decrypt(std::iter::once(identity)).expect("the key fits").read_to_end(&mut plain).expect("whole");
    plain
}

fn sealed(home: &Home, name: &str, seal: &SealTo) -> ExportOptions {
    ExportOptions { out: home.folder.path().join(name), seal: Some(seal.clone()), ..ExportOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_a_key_reads_it() {
    let home = filled().await;
    let (first, second, stranger) =
        (age::x25519::Identity::generate(), age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let seal = SealTo::keys(&format!("{}\n{}", first.to_public(), second.to_public())).expect("keys");
    let plain = ExportOptions { out: home.folder.path().join("plain.tar.gz"), ..ExportOptions::default() };
    run(&home, &plain).await.expect("export");
    let wanted = home.custody.data_id(home.owner).await.expect("data ID");
    for (name, format) in [("plain.tar.gz.age", BagFormat::Json), ("memories.zip.age", BagFormat::Json), ("pages.zip.age", BagFormat::Html)]
    {
        let options = ExportOptions { format, ..sealed(&home, name, &seal) };
        let report = run(&home, &options).await.expect("export");
        let shown = home.custody.export_at(home.owner, &report.id).await.expect("shown");
        assert!(shown.altered.is_empty() && shown.sealed_to.contains(&first.to_public().to_string()), "{shown:?}");
        let bytes = opened(&options.out, &first);
        assert!(bytes == opened(&options.out, &second), "{name}");
        assert!(!bytes.is_empty() && fs::read(&options.out).expect("read").starts_with(b"age-encryption.org/v1\n"));
        if name == "plain.tar.gz.age" {
            assert!(bytes == fs::read(&plain.out).expect("read"), "what is encrypted are the same bytes");
        }
        if format == BagFormat::Html {
            continue;
        }
        let keys = |identity: &age::x25519::Identity| {
            Unlock::keys(age::secrecy::ExposeSecret::expose_secret(&identity.to_string())).expect("a key")
        };
        let other = crate::support::home().await;
        let paths = [options.out.clone()];
        let error = other.custody.unsealed(&paths, None, Arc::new(Silent)).await.err().expect("no key").to_string();
        assert!(error.contains("--identity"), "{error}");
        let error = other.custody.unsealed(&paths, Some(&keys(&stranger)), Arc::new(Silent)).await.err().expect("another key");
        assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
        let unsealed = other.custody.unsealed(&paths, Some(&keys(&second)), Arc::new(Silent)).await.expect("decrypted");
        let owner = other.custody.bundle_owner(&Bundle::open(&unsealed.paths[0]).expect("a bundle"), None).await.expect("owner");
        let options = ImportOptions::default();
        let taken = other.custody.import_all(owner.id, &unsealed.paths, &options, ImportMode::Apply, Arc::new(Silent)).await;
        assert_eq!(taken.expect("import").problems, []);
        drop(unsealed);
        assert!(files(&other.path()).iter().all(|path| !path.to_string_lossy().contains("unsealed-")), "the clear copy is gone");
        assert_eq!(other.custody.with_limits_for_tests(SMALL).data_id(owner.id).await.expect("data ID"), wanted, "{name}");
    }
    // Changed by a bit, it does not open to its end.
    let mut bytes = fs::read(home.folder.path().join("memories.zip.age")).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = home.folder.path().join("changed.zip.age");
    fs::write(&changed, bytes).expect("written");
    let key = Unlock::keys(age::secrecy::ExposeSecret::expose_secret(&first.to_string())).expect("a key");
    assert!(home.custody.unsealed(&[changed], Some(&key), Arc::new(Silent)).await.is_err());
    // Who asks to stop leaves nothing in the clear, and a key for nothing is a mistake.
    let stopped = home.custody.unsealed(&[home.folder.path().join("pages.zip.age")], Some(&key), Arc::new(Stop(AtomicI64::new(0)))).await;
    assert_eq!(stopped.err().expect("stopped").kind(), ErrorKind::Cancelled);
    assert!(files(&home.path()).iter().all(|path| !path.to_string_lossy().contains("unsealed-")));
    let error =
        home.custody.unsealed(std::slice::from_ref(&plain.out), Some(&key), Arc::new(Silent)).await.err().expect("nothing is encrypted");
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
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

#[tokio::test(flavor = "multi_thread")]
async fn one_passphrase_opens_all_parts() {
    let home = filled().await;
    let with = |words: &str| SealTo::passphrase(Password::new(words.into())).expect("a passphrase");
    let options = |words: &str| ExportOptions { part_bytes: Some(1 << 20), ..sealed(&home, "parts.zip.age", &with(words)) };
    let stopped = home.custody.export(home.owner, &options("open sesame"), Arc::new(Stop(AtomicI64::new(9)))).await;
    assert!(stopped.is_err() && !home.custody.exports(home.owner).await.expect("list")[0].parts.is_empty(), "it was asked to stop");
    let error = run(&home, &options("another one")).await.expect_err("another one");
    assert!(error.kind() == ErrorKind::WrongKey && error.to_string().contains("another passphrase"), "{error}");
    let report = run(&home, &options("open sesame")).await.expect("goes on");
    assert!(report.kept > 0 && report.parts.len() > 2, "{report:?}");
    assert!(report.parts[0].path.to_string_lossy().ends_with(&format!("parts-001-of-{:03}.zip.age", report.parts.len())), "{report:?}");
    let paths: Vec<PathBuf> = report.parts.iter().map(|part| part.path.clone()).collect();
    let key = Unlock::Passphrase(Password::new("open sesame".into()));
    let unsealed = home.custody.unsealed(&paths[1..2], Some(&key), Arc::new(Silent)).await.expect("decrypted");
    assert_eq!((unsealed.paths.len(), &unsealed.named[..]), (1, &paths[1..2]), "one part stands for all of them");
    let wanted = home.custody.data_id(home.owner).await.expect("data ID");
    let other = crate::support::home().await;
    let owner = other.custody.bundle_owner(&Bundle::open(&unsealed.paths[0]).expect("all parts"), None).await.expect("owner");
    let taken = other.custody.import(owner.id, &unsealed.paths[0], &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await;
    assert_eq!(taken.expect("import").problems, []);
    assert_eq!(other.custody.with_limits_for_tests(SMALL).data_id(owner.id).await.expect("data ID"), wanted);
    let all = format!(
        "{:?} {:?}",
        home.custody.exports(home.owner).await.expect("list"),
        home.custody.audit_after("", 1000).await.expect("audit")
    );
    assert!(all.contains("a passphrase") && !all.contains("sesame"), "no passphrase is noted");
}

/// It goes to a place encrypted, and what waits in the home is encrypted, too.
#[tokio::test(flavor = "multi_thread")]
async fn encrypted_and_elsewhere_go_together() {
    let home = filled().await;
    let key = age::x25519::Identity::generate();
    let seal = SealTo::keys(&key.to_public().to_string()).expect("a key");
    let options = ExportOptions { seal: Some(seal), for_sharing: true, ..to("2026/memories.zip.age", false) };
    let report = run(&home, &options).await.expect("export");
    let file = home.folder.path().join("depot/exports/2026/memories.zip.age");
    assert!(opened(&file, &key).starts_with(b"PK"));
    // A link leads there, too.
    let made = home.custody.share_export(home.owner, &report.id, &keepsake_custody::ShareOptions::default()).await.expect("shared");
    let token = keepsake_custody::ShareToken::parse(&made.link).expect("a link");
    let open = home.custody.open_share(&token, None, "somebody").await.expect("open");
    let taken = home.custody.fetch_share(&open, home.folder.path()).await.expect("fetched");
    assert!(fs::read(&taken[0].path).expect("read") == fs::read(&file).expect("read"));
    let mut bytes = fs::read(&file).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).expect("written");
    fs::remove_file(&taken[0].path).expect("removed");
    assert!(home.custody.fetch_share(&open, home.folder.path()).await.is_err() && !taken[0].path.exists(), "nobody has it whole");
}
