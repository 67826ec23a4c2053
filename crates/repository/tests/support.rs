//! What several tests need: a repository, the stock tool, a comparison of folders.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use keepsake_repository::{
    Ambient, CheckOptions, Content, Edit, FileMeta, Id, KdfCost, Password, Repository, Share, Silent, Snapshot, SystemAmbient,
};
use keepsake_storage::{LocalStore, Store};

pub const PASSWORD: &str = "correct horse";

pub fn ambient() -> Arc<dyn Ambient> {
    Arc::new(SystemAmbient)
}

pub fn local(path: &Path) -> Arc<dyn Store> {
    Arc::new(LocalStore::open(path).expect("a folder"))
}

pub fn init(store: Arc<dyn Store>) -> Repository {
    Repository::init(store, &Password::new(PASSWORD.into()), KdfCost { log_n: 4, r: 8, p: 1 }, ambient()).expect("init")
}

pub fn open(store: Arc<dyn Store>) -> Repository {
    let repository = Repository::open(store, &Password::new(PASSWORD.into()), ambient()).expect("open");
    assert!(repository.load_index().expect("index").is_empty(), "no index is damaged");
    repository
}

pub fn snapshot(seq: u64) -> Snapshot {
    Snapshot {
        tags: vec![format!("seq={seq}")],
        ..Snapshot::new(format!("2024-03-17T00:00:{:02}Z", seq % 60), "/keepsake", "keepsake test")
    }
}

/// A file of a few hundred bytes.
pub fn file(path: &str, text: &str) -> Edit {
    Edit::file(path, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(vec![text.repeat(40).into_bytes()]))
}

/// Everything that a tree holds, by path.
pub fn content(repository: &Repository, tree: Id) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![(String::new(), tree)]);
    while let Some((path, id)) = waiting.pop() {
        for node in &repository.tree(&id).expect("a tree").nodes {
            let path = format!("{path}/{}", node.display_name());
            match node.subtree {
                Some(subtree) => waiting.push((path, subtree)),
                None => drop(found.insert(path, repository.file_bytes(node).expect("content"))),
            }
        }
    }
    found
}

pub fn assert_sound(repository: &Repository, told: &str) {
    let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
    assert!(report.damage.is_empty() && report.orphans.is_empty(), "{told}: {:?} {:?}", report.damage, report.orphans);
}

/// The stock tools to ask: `KEEPSAKE_RESTIC` names them, separated by `:`; without it, the one on the path.
pub fn restics() -> Vec<PathBuf> {
    let named = std::env::var("KEEPSAKE_RESTIC").unwrap_or_else(|_| "restic".into());
    named.split(':').map(PathBuf::from).collect()
}

/// Runs the stock tool on a repository and answers what it printed; panics if it is not content.
pub fn restic(tool: &Path, repository: &Path, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(["--no-cache", "-r"])
        .arg(repository)
        .args(args)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}: install restic, or run scripts/test, which does", tool.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}: {text}", tool.display());
    text
}

/// Everything about the files below a folder that a restore must bring back.
pub fn fingerprint(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).expect("metadata");
        let what = if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("readable").map(|e| e.expect("entry").path()));
            "dir".to_owned()
        } else if meta.is_symlink() {
            format!("link {:?}", fs::read_link(&path).expect("link"))
        } else if meta.is_file() {
            format!("file {} {}", meta.len(), Id::of(&fs::read(&path).expect("readable")))
        } else {
            "special".to_owned()
        };
        let name = path.strip_prefix(root).expect("below the root").to_owned();
        lines.push(format!(
            "{name:?} {what} mode {:o} mtime {}.{:09} links {}",
            meta.mode(),
            meta.mtime(),
            meta.mtime_nsec(),
            if meta.is_dir() { 0 } else { meta.nlink() }
        ));
    }
    lines.sort();
    lines
}
