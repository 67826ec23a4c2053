//! Repositories that were written once and must be readable for ever: by this version, by restic 0.14 and by restic 0.19.
//! testdata/golden/README.md says how they were made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_repository::{
    BackupRequest, CheckOptions, Content, Edit, FileMeta, Id, NodeKind, Repository, RestoreOptions, Share, Silent, Snapshot,
};

use crate::support::{init, local, open, restic, restics};

const ODD: [(&str, &str); 3] =
    [("odd names/q\"uo'te<&>.txt", "quote"), ("odd names/漢字😀.txt", "kanji"), ("odd names/tab\tnl\n.txt", "ctl")];

/// What every one of them holds; the second snapshot has one file more.
fn files() -> BTreeMap<String, Vec<u8>> {
    let rose = "This morning (we living lately in the garret,) I rose\n";
    let plain = [("1660/01-01.txt", rose), ("1660/twin", rose), ("empty-not.txt", "sparse"), ("empty", "")];
    let mut files: BTreeMap<String, Vec<u8>> =
        plain.iter().chain(&ODD).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    files.insert("long.txt".into(), vec![b'k'; 70_000]);
    files
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden")
}

/// A copy to work on: opening takes locks, and what must never change must not be touched.
fn copied(name: &str) -> tempfile::TempDir {
    let space = tempfile::tempdir().expect("space");
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        fs::create_dir_all(space.path().join(&folder)).expect("folder");
        for entry in fs::read_dir(golden().join(name).join(&folder)).expect("the golden repository is there") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            match entry.file_type().expect("a type").is_dir() {
                true => waiting.push(path),
                false => drop(fs::copy(entry.path(), space.path().join(path)).expect("copy")),
            }
        }
    }
    space
}

fn content(repository: &Repository, tree: Id) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![(String::new(), tree)]);
    while let Some((path, id)) = waiting.pop() {
        for node in &repository.tree(&id).expect("a tree").nodes {
            let name = String::from_utf8(node.name.clone()).expect("UTF-8");
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            match (node.kind, node.subtree) {
                (NodeKind::Dir, Some(subtree)) => waiting.push((path, subtree)),
                (NodeKind::File, _) => drop(found.insert(path, repository.file_bytes(node).expect("content"))),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn every_one_is_read_verified_restored_and_continued() {
    for name in ["keepsake-1", "restic-0.14", "restic-0.19"] {
        let place = copied(name);
        let repository = open(local(place.path()));
        let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert!(report.damage.is_empty(), "{name}: {:?}", report.damage);
        let (snapshots, damaged) = repository.snapshots().expect("snapshots");
        assert!(damaged.is_empty() && snapshots.len() == 2, "{name}");
        let mut wanted = files();
        assert_eq!(content(&repository, snapshots[0].1.tree), wanted, "{name}, first");
        wanted.insert("added.txt".into(), b"more\n".to_vec());
        assert_eq!(content(&repository, snapshots[1].1.tree), wanted, "{name}, second");
        let back = tempfile::tempdir().expect("space");
        let outcome = repository.restore(&snapshots[1].1.tree, back.path(), &RestoreOptions::default(), &Silent).expect("restore");
        assert_eq!(outcome.failed, vec![], "{name}");
        assert!(wanted.iter().all(|(path, bytes)| fs::read(back.path().join(path)).expect("there") == *bytes), "{name}");
        let after = write(&repository, Some(snapshots[1].1.tree), "third", BTreeMap::from([("third.txt".into(), b"3".to_vec())]));
        wanted.insert("third.txt".into(), b"3".to_vec());
        assert_eq!(content(&open(local(place.path())), after), wanted, "{name}, continued");
        for tool in restics() {
            restic(&tool, place.path(), &["check", "--read-data"]);
        }
    }
}

fn write(repository: &Repository, parent: Option<Id>, tag: &str, files: BTreeMap<String, Vec<u8>>) -> Id {
    let meta = FileMeta { time: "2024-03-17T00:00:00Z".into() };
    let mut edits: Vec<Edit> = files
        .into_iter()
        .map(|(path, bytes)| Edit::file(&path, &meta, Content::Stream(Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))))))
        .collect();
    edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
    let snapshot = Snapshot { tags: vec![tag.into()], ..Snapshot::new("2024-03-17T00:00:00Z".into(), "/keepsake", "keepsake golden") };
    let edits = Box::new(edits.into_iter().map(Ok));
    repository.backup(BackupRequest { parent_tree: parent, carry_tree: None, edits, replay: None, snapshot }, &Silent).expect("backup").tree
}

/// Writes this version's golden repository where `KEEPSAKE_WRITE_GOLDEN` says; into a passing folder otherwise.
#[test]
fn what_this_version_writes_it_reads() {
    let space = tempfile::tempdir().expect("space");
    let place = std::env::var_os("KEEPSAKE_WRITE_GOLDEN").map_or_else(|| space.path().to_owned(), PathBuf::from);
    let store: Arc<dyn keepsake_storage::Store> = local(&place);
    let repository = init(store);
    let first = write(&repository, None, "first", files());
    write(&repository, Some(first), "second", BTreeMap::from([("added.txt".into(), b"more\n".to_vec())]));
    assert_eq!(content(&open(local(&place)), first), files());
}
