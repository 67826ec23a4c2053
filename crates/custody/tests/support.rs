//! Homes to test on, and what several tests need.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_custody::{BackupKind, BackupReport, Custody, ImportMode, ImportOptions, ImportReport, Silent, SystemClock};
use keepsake_record::{OwnerId, layout::ShardLimits};
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

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub async fn backup(&self, kind: BackupKind) -> BackupReport {
        self.custody.backup(self.owner, kind, Arc::new(Silent)).await.expect("backup")
    }

    pub async fn import(&self, path: &Path) -> ImportReport {
        self.custody.import(self.owner, path, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await.expect("import")
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
