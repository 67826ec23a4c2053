//! Homes to test on, and what several tests need.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use keepsake_custody::{
    BackupKind, BackupReport, BagFormat, Custody, ExportOptions, ImportMode, ImportOptions, ImportReport, Monitor, Silent, SystemClock,
};
use keepsake_record::{Entity, Memory, OwnerId, Sha256Digest, layout::ShardLimits};
use keepsake_vault::{AuditEntry, Outcome};
use tempfile::TempDir;

pub struct Home {
    pub custody: Custody,
    pub owner: OwnerId,
    pub folder: TempDir,
}

pub async fn home() -> Home {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Custody::init(&folder.path().join("home"), &BTreeMap::new(), "ada", "test", Arc::new(SystemClock)).await.expect("init");
    Home { custody: made.custody, owner: made.owner.id, folder }
}

/// A home that cuts small.
pub async fn small_home() -> Home {
    let home = home().await;
    Home { custody: home.custody.with_limits_for_tests(SMALL), ..home }
}

/// Cuts day files after four memories, so that few memories reach every case.
pub const SMALL: ShardLimits = ShardLimits { memories_max: 4, bytes_max: 4096 };

impl Home {
    /// Opens the home again, cutting small.
    pub async fn reopen(&mut self) {
        let opened = Custody::open(&self.path(), &BTreeMap::new(), "test", Arc::new(SystemClock)).await.expect("open");
        self.custody = opened.with_limits_for_tests(SMALL);
    }

    /// What a write that a test makes by itself ends with.
    pub fn entry(&self) -> AuditEntry {
        let (owner, subject, detail) = (Some(self.owner), String::new(), serde_json::json!({}));
        AuditEntry { owner, actor: "test".into(), verb: "test", subject, outcome: Outcome::Complete, detail }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub async fn backup(&self, kind: BackupKind) -> BackupReport {
        self.custody.backup(self.owner, kind, Arc::new(Silent)).await.expect("backup")
    }

    pub async fn import(&self, path: &Path) -> ImportReport {
        self.custody.import(self.owner, path, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await.expect("import")
    }

    /// Exports everything to a file or folder of this name, with nothing left out.
    pub async fn export(&self, name: &str, format: BagFormat) -> PathBuf {
        let out = self.folder.path().join(name);
        let options = ExportOptions { out: out.clone(), format, ..ExportOptions::default() };
        let report = self.custody.export(self.owner, &options, Arc::new(Silent)).await.expect("export");
        assert_eq!(report.skipped, []);
        out
    }

    /// The objects of the owner's repository, by folder.
    pub fn objects(&self) -> BTreeMap<String, usize> {
        let root = self.path().join(format!("backups/owners/{}/g1", self.owner));
        let mut counts = BTreeMap::new();
        for folder in ["data", "index", "snapshots", "locks", "keys"] {
            counts.insert(folder.to_owned(), files(&root.join(folder)).len());
        }
        counts
    }
}

/// Copies a folder with everything in it, modes too.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("below"));
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        std::fs::copy(&file, target).expect("copy");
    }
}

pub fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    entries.map(|e| e.expect("an entry").path()).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The real data, or `None` with a line that says so; in CI its absence fails.
pub fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var("KEEPSAKE_TEST_DATA").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into());
    let path = Path::new(&root).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no test data at {}", path.display());
    println!("no test data at {}: this test was not run", path.display());
    None
}

/// A memory in which every field of the schema says something, with an attachment in which every field does, and fields of a newer version.
pub const FULL_MEMORY: &str = r#"{"attachments":[{"alt":"a <swallow> \"above\" the sea","camera":"Keepsake 1","caption":"& so on","captured":{"day":"2024-03-16","edtf":"2024-03-16T10:00","instant":"2024-03-16T10:00:00.5Z","zone":"Europe/Lisbon"},"custom":{"lens":"50 mm","f":1.8},"expected":{"md5":"d41d8cd98f00b204e9800998ecf8427e","path":"photos/1.jpg"},"height":3,"key":"one","mediaType":"image/jpeg","medium":{"bytes":7,"sha256":"DIGEST"},"name":"=1.jpg","newer":[1],"of":"two","orientation":6,"position":{"accuracy":5.5,"altitude":-3,"latitude":38.7,"longitude":-9.1},"problem":"it came late","role":"edited","width":4},{"key":"two","mediaType":"text/plain","name":"two.txt"}],"collections":[{"collection":"01900000-0000-7000-8000-000000000001","position":"b"}],"created":"2024-03-17T10:00:00.123456Z","custom":{"a":{"b":[null,true,"-5"]},"odd\u0001":"\u0000"},"id":"01900000-0000-7000-8000-0000000000aa","kind":"photo","language":"pt-PT","modified":"2024-03-18T10:00:00Z","newer":{"field":[1,{"x":"\u2028"}]},"people":["01900000-0000-7000-8000-000000000002"],"place":"01900000-0000-7000-8000-000000000003","position":{"accuracy":1,"altitude":2.25,"latitude":-38.7,"longitude":179.9},"provenance":{"place":"observed","title":"derived"},"sensitivity":"sensitive","source":{"account":"me","digest":"DIGEST","edited":true,"id":"7","importer":"dayone"},"starred":true,"tags":["a/b","yes"],"text":"See ![x](keepsake:attachment/one)","title":"A title","visibility":"unlisted","when":{"day":"2024-03-17","edtf":"2024-03-17T10:00","instant":"2024-03-17T10:00:00Z","zone":"Europe/Lisbon"}}"#;

/// One of each other record, every field filled: kinds, and lines.
pub const FULL_OTHERS: [(Entity, &str); 7] = [
    (
        Entity::Collection,
        r#"{"custom":{"x":1},"description":"d","id":"01900000-0000-7000-8000-000000000001","kind":"album","name":"An <album>","newer":1,"parent":"01900000-0000-7000-8000-000000000009"}"#,
    ),
    (
        Entity::Person,
        r#"{"aliases":["Ada","A."],"born":"1815-12","custom":{"x":"y"},"id":"01900000-0000-7000-8000-000000000002","name":"Ada Lovelace"}"#,
    ),
    (
        Entity::Place,
        r#"{"area":"Lisboa","country":"Portugal","custom":{"x":[]},"id":"01900000-0000-7000-8000-000000000003","locality":"Lisbon","name":"Alfama","position":{"latitude":38.7,"longitude":-9.1}}"#,
    ),
    (Entity::Tag, r##"{"colour":"#fff","description":"the sea","name":"a/b"}"##),
    (
        Entity::Consent,
        r#"{"at":"2024-03-17T10:00:00Z","id":"01900000-0000-7000-8000-000000000004","person":"01900000-0000-7000-8000-000000000002","purpose":"faces","state":"given","wording":"yes"}"#,
    ),
    (
        Entity::Insight,
        r#"{"at":"2024-03-17T10:00:00Z","derivedFrom":[],"id":"01900000-0000-7000-8000-000000000006","name":"moods","value":["a",null]}"#,
    ),
    (
        Entity::Insight,
        r#"{"at":"2024-03-17T10:00:00Z","derivedFrom":["01900000-0000-7000-8000-0000000000aa"],"id":"01900000-0000-7000-8000-000000000005","name":"moods","value":0.25}"#,
    ),
];

impl Home {
    /// Puts [`FULL_MEMORY`] and [`FULL_OTHERS`] into the vault, and a photo for it.
    pub async fn fill_every_field(&self) {
        let digest = Sha256Digest::of(b"a photo");
        let line = FULL_MEMORY.replace("DIGEST", &digest.to_string());
        let memory = Memory::from_line(line.as_bytes()).expect("a memory");
        let line = String::from_utf8(memory.to_line()).expect("text");
        let vault = self.custody.vault();
        vault.store_bytes(self.owner, bytes::Bytes::from_static(b"a photo")).expect("stored");
        let mut write = vault.write(self.owner, "test").await.expect("write");
        write.media_live(&[(digest, 7)]).await.expect("live");
        assert!(write.put_memory(&memory).await.expect("put"));
        for (entity, line) in FULL_OTHERS {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let id = value["id"].as_str().or(value["name"].as_str()).expect("a key").to_owned();
            write
                .put_entity(entity, &id, value["name"].as_str().or(value["purpose"].as_str()).expect("a name"), &value)
                .await
                .expect("put");
        }
        write.commit(&self.entry()).await.expect("commit");
        for (name, line) in [("Memory", line.as_str()), ("Attachment", &serde_json::json!(memory.attachments[0]).to_string())] {
            let schema = keepsake_record::bundle_schema();
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            for field in schema["$defs"][name]["properties"].as_object().expect("fields").keys() {
                assert!(record.get(field).is_some(), "{name} has a field `{field}` that the full memory does not fill");
            }
        }
    }
}

/// Ends the process, as a kill does, when it has heard so often that something was done.
pub struct Abort(pub AtomicI64);

impl Monitor for Abort {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {
        if self.0.fetch_sub(1, Ordering::Relaxed) <= 0 {
            std::process::abort();
        }
    }
    fn problem(&self, _: &str, _: &str) {}
}
