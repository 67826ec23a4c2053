//! Real folders: what we write the stock tool checks and restores, what it writes we check and restore.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::Mutex,
};

use keepsake_repository::{
    BackupRequest, CheckOptions, FolderSource, Id, Monitor, Repository, RestoreOptions, RestoreOutcome, Share, Silent,
};

use crate::support::{fingerprint, init, local, open, restic, restics, snapshot};

pub fn odd_folder(root: &Path) {
    let file = |name: &[u8], bytes: &[u8]| fs::write(root.join(OsStr::from_bytes(name)), bytes).expect("write");
    fs::create_dir_all(root.join("a/empty")).expect("folder");
    fs::create_dir_all(root.join("a.b")).expect("folder");
    file(b"a/plain.txt", b"hello");
    file(b"a.b/x", b"sorted after a/");
    file(b"nl\n\x01tab\t<&>.txt", b"control");
    file(br#"we ird"\q.txt"#, b"quotes");
    file(b"bad\xff\xfe.bin", b"not UTF-8");
    file("ünïcode–😀漢字\u{a0}\u{200b}.txt".as_bytes(), b"unicode");
    file(b"empty", b"");
    let noise: Vec<u8> = (0..9_000_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
    file(b"noise.bin", &noise);
    file(b"twin", b"same bytes");
    fs::hard_link(root.join("twin"), root.join("twin-2")).expect("hard link");
    let sparse = fs::File::create(root.join("sparse")).expect("create");
    sparse.set_len(20 << 20).expect("sparse");
    symlink("a/plain.txt", root.join("link")).expect("symlink");
    symlink("no/where/ünï<&>", root.join("dangling")).expect("symlink");
    fs::set_permissions(root.join("a/plain.txt"), fs::Permissions::from_mode(0o4751)).expect("mode");
    fs::set_permissions(root.join("a/empty"), fs::Permissions::from_mode(0o1777)).expect("mode");
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .expect("fifo");
}

#[test]
fn we_write_the_stock_tool_reads() {
    let space = tempfile::tempdir().expect("space");
    let source = space.path().join("source");
    fs::create_dir(&source).expect("folder");
    odd_folder(&source);
    let place = space.path().join("repository");
    let repository = init(local(&place));
    let run = |parent| {
        let edits = FolderSource::new(&repository, &source, parent).expect("walk");
        let request = BackupRequest { parent_tree: None, carry_tree: parent, edits: Box::new(edits), replay: None, snapshot: snapshot(1) };
        repository.backup(request, &Silent).expect("backup")
    };
    let first = run(None);
    assert_eq!(first.skipped, vec![]);
    let second = run(Some(first.tree));
    // The folders on the way to it are in the tree, too, and others write into them meanwhile.
    let below = source.strip_prefix("/").expect("absolute").to_str().expect("UTF-8");
    let folder = |tree| repository.node_at(tree, below).expect("readable").and_then(|node| node.subtree).expect("a folder");
    assert_eq!(folder(&second.tree), folder(&first.tree), "nothing changed");
    assert_eq!((second.totals.files_read, second.totals.data_blobs), (0, 0), "nothing is read");

    let expected = fingerprint(&source);
    let ours = space.path().join("ours");
    let outcome = repository.restore(&first.tree, &ours, &RestoreOptions::default(), &Silent).expect("restore");
    assert_eq!(outcome.failed, vec![]);
    assert_eq!(fingerprint(&ours.join(source.strip_prefix("/").expect("absolute"))), expected);
    for tool in restics() {
        restic(&tool, &place, &["check", "--read-data"]);
        let theirs = space.path().join("theirs");
        restic(&tool, &place, &["restore", "latest", "--verify", "--target", theirs.to_str().expect("UTF-8")]);
        assert_eq!(fingerprint(&theirs.join(source.strip_prefix("/").expect("absolute"))), expected);
        fs::remove_dir_all(&theirs).expect("clean up");
        // The tool re-encodes every tree and refuses those whose bytes differ from its own encoding.
        if !restic(&tool, &place, &["version"]).contains("0.14") {
            let printed = restic(&tool, &place, &["rewrite", "--exclude", "no-such-file", "latest", "--dry-run"]);
            assert!(!printed.contains("cannot encode"), "{printed}");
        }
    }
}

#[test]
fn the_stock_tool_writes_we_read() {
    for tool in restics() {
        let space = tempfile::tempdir().expect("space");
        let source = space.path().join("source");
        fs::create_dir(&source).expect("folder");
        odd_folder(&source);
        let place = space.path().join("repository");
        restic(&tool, &place, &["init"]);
        restic(&tool, &place, &["backup", source.to_str().expect("UTF-8")]);
        let repository = open(local(&place));
        let (snapshots, damaged) = repository.snapshots().expect("snapshots");
        assert!(damaged.is_empty() && snapshots.len() == 1);
        let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert_eq!(report.damage, vec![]);
        let target = space.path().join("back");
        let outcome = repository.restore(&snapshots[0].1.tree, &target, &RestoreOptions::default(), &Silent).expect("restore");
        assert_eq!(outcome.failed, vec![]);
        assert_eq!(fingerprint(&target.join(source.strip_prefix("/").expect("absolute"))), fingerprint(&source));
        // Our own snapshot of the same folder stands on the stock tool's.
        let parent = Some(snapshots[0].1.tree);
        let edits = FolderSource::new(&repository, &source, parent).expect("walk");
        let request = BackupRequest { parent_tree: None, carry_tree: parent, edits: Box::new(edits), replay: None, snapshot: snapshot(2) };
        let outcome = repository.backup(request, &Silent).expect("backup");
        assert_eq!((outcome.totals.files_read, outcome.totals.data_blobs), (0, 0), "unchanged files are recognised in its trees");
        restic(&tool, &place, &["check", "--read-data"]);
    }
}

/// How a restore names what it has not finished.
fn part_of(name: &str) -> String {
    format!(".keepsake-part-{}", &Id::of(name.as_bytes()).to_string()[..32])
}

/// Looks at a folder and at the parts in it whenever bytes were written.
struct Looks {
    folder: PathBuf,
    modes: Mutex<Vec<(String, u32)>>,
}

impl Looks {
    fn at(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), modes: Mutex::default() }
    }

    /// Names and permissions that were seen, each once.
    fn seen(self) -> Vec<(String, u32)> {
        let mut seen = self.modes.into_inner().expect("no holder panics");
        seen.sort();
        seen.dedup();
        seen
    }
}

impl Monitor for Looks {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, bytes: u64) {
        let mode = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.mode() & 0o7777);
        if bytes > 0 {
            let parts = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let found =
                parts.filter(|path| path.is_file()).map(|path| (path.file_name().unwrap_or_default().display().to_string(), mode(&path)));
            let mut modes = self.modes.lock().expect("no holder panics");
            modes.extend(found);
            modes.push((".".into(), mode(&self.folder)));
        }
    }
    fn problem(&self, _: &str, _: &str) {}
}

/// A repository that has one folder, read-only, with a program of several MiB that runs as its owner; where the folder is in the tree.
fn with_a_program(space: &Path) -> (Repository, Id, PathBuf) {
    let source = space.join("source/tools");
    fs::create_dir_all(&source).expect("folder");
    let noise: Vec<u8> = (0..5_000_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
    fs::write(source.join("program"), noise).expect("write");
    fs::set_permissions(source.join("program"), fs::Permissions::from_mode(0o4555)).expect("mode");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o555)).expect("mode");
    let repository = init(local(&space.join("repository")));
    let tree = backed_up(&repository, &source);
    // So that the space can be cleaned up.
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).expect("mode");
    (repository, tree, source.strip_prefix("/").expect("absolute").to_path_buf())
}

fn backed_up(repository: &Repository, source: &Path) -> Id {
    let edits = FolderSource::new(repository, source, None).expect("walk");
    let request = BackupRequest { parent_tree: None, carry_tree: None, edits: Box::new(edits), replay: None, snapshot: snapshot(1) };
    repository.backup(request, &Silent).expect("backup").tree
}

fn restored_over(repository: &Repository, tree: &Id, target: &Path, monitor: &dyn Monitor) -> RestoreOutcome {
    let options = RestoreOptions { overwrite: true, ..RestoreOptions::default() };
    repository.restore(tree, target, &options, monitor).expect("it runs to its end")
}

/// What a restore has not finished is its owner's alone and no program, also where a killed one left it with other permissions.
#[test]
fn what_is_not_whole_is_nobody_elses() {
    let space = tempfile::tempdir().expect("space");
    let (repository, tree, below) = with_a_program(space.path());
    let target = space.path().join("back");
    let folder = target.join(&below);
    let private = |around: u32| vec![(".".to_owned(), around), (part_of("program"), 0o600)];

    let looks = Looks::at(&folder);
    assert_eq!(restored_over(&repository, &tree, &target, &looks).failed, vec![]);
    assert_eq!(looks.seen(), private(0o700));
    let finished = |name: &str| fs::symlink_metadata(folder.join(name)).expect("metadata").mode() & 0o7777;
    assert_eq!((finished(""), finished("program")), (0o555, 0o4555), "at the end it has what was backed up");
    let bytes = fs::read(folder.join("program")).expect("readable");

    // As if it had been killed between permissions and name; or a read-only part could not be opened again.
    for left in [0o4777, 0o444] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("mode");
        fs::remove_file(folder.join("program")).expect("removed");
        fs::write(folder.join(part_of("program")), vec![1; 6_000_000]).expect("write");
        fs::set_permissions(folder.join(part_of("program")), fs::Permissions::from_mode(left)).expect("mode");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("mode");
        let looks = Looks::at(&folder);
        assert_eq!(restored_over(&repository, &tree, &target, &looks).failed, vec![]);
        assert_eq!(looks.seen(), private(0o755), "what the folder had, and that its owner may write");
        assert_eq!((finished(""), finished("program")), (0o555, 0o4555));
        assert!(fs::read(folder.join("program")).expect("readable") == bytes, "nothing of the longer part stays");
        assert!(!folder.join(part_of("program")).exists());
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("mode");
}

/// Only a file of exactly this name is a part that was left: nothing else is removed, and no link followed.
#[test]
fn what_is_no_part_stays() {
    let space = tempfile::tempdir().expect("space");
    let (repository, tree, below) = with_a_program(space.path());
    let target = space.path().join("back");
    let folder = target.join(&below);
    fs::create_dir_all(&folder).expect("folder");
    let (other, victim) = (folder.join(part_of("another file")), space.path().join("victim"));
    fs::write(&other, "of somebody").expect("write");
    fs::write(&victim, "precious").expect("write");
    symlink(&victim, folder.join(part_of("program"))).expect("symlink");

    let outcome = restored_over(&repository, &tree, &target, &Silent);
    let told: Vec<_> = outcome.failed.iter().map(|(path, reason)| (path.as_str(), reason.contains("is in the way: move it"))).collect();
    assert_eq!(told, [(below.join("program").to_str().expect("UTF-8"), true)]);
    assert!(!outcome.damaged && !folder.join("program").exists());
    assert_eq!(fs::read_to_string(&victim).expect("readable"), "precious");

    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("mode");
    fs::remove_file(folder.join(part_of("program"))).expect("removed");
    assert_eq!(restored_over(&repository, &tree, &target, &Silent).failed, vec![]);
    assert_eq!(fs::read_to_string(&other).expect("readable"), "of somebody");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("mode");
}

#[test]
fn two_restores_do_not_share_a_folder() {
    let space = tempfile::tempdir().expect("space");
    let (repository, tree, below) = with_a_program(space.path());
    let target = space.path().join("back");
    fs::create_dir(&target).expect("folder");
    let other = fs::File::open(&target).expect("open");
    other.try_lock().expect("as another restore has it");
    let error = repository.restore(&tree, &target, &RestoreOptions::default(), &Silent).expect_err("it is taken").to_string();
    assert!(error.contains("another restore writes into this folder: wait for it"), "{error}");
    assert_eq!(fs::read_dir(&target).expect("listed").count(), 0);
    drop(other);
    assert_eq!(restored_over(&repository, &tree, &target, &Silent).failed, vec![]);
    fs::set_permissions(target.join(below), fs::Permissions::from_mode(0o755)).expect("mode");
}

/// Who backs up a folder in which a restore was killed has its part in the snapshot, beside the file that it was to become.
#[test]
fn parts_that_were_backed_up_come_back() {
    let space = tempfile::tempdir().expect("space");
    let source = space.path().join("source");
    fs::create_dir(&source).expect("folder");
    let part = part_of("file");
    for name in ["file", &part, &part_of(&part)] {
        fs::write(source.join(name), format!("what is in {name}")).expect("write");
    }
    let repository = init(local(&space.path().join("repository")));
    let tree = backed_up(&repository, &source);
    let target = space.path().join("back");
    for _ in 0..2 {
        assert_eq!(restored_over(&repository, &tree, &target, &Silent).failed, vec![]);
        assert_eq!(fingerprint(&target.join(source.strip_prefix("/").expect("absolute"))), fingerprint(&source));
    }
}

/// A repository that has one file under three names; the place of it, where the folder is in the tree, and what is in the file.
fn with_links(space: &Path) -> (PathBuf, Id, PathBuf, Vec<u8>) {
    let (source, place) = (space.join("source"), space.join("repository"));
    fs::create_dir(&source).expect("folder");
    let noise: Vec<u8> = (0..400_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
    fs::write(source.join("a"), &noise).expect("write");
    for name in ["b", "c"] {
        fs::hard_link(source.join("a"), source.join(name)).expect("hard link");
    }
    let tree = backed_up(&init(local(&place)), &source);
    (place, tree, source.strip_prefix("/").expect("absolute").to_path_buf(), noise)
}

/// Links lead only to what this run wrote: what stood under the first name before is something else.
#[test]
fn hard_links_without_their_first_name() {
    let space = tempfile::tempdir().expect("space");
    let (place, tree, below, noise) = with_links(space.path());
    let target = space.path().join("back");
    let folder = target.join(&below);
    fs::create_dir_all(folder.join("a/full")).expect("folder");
    fs::write(folder.join("b"), "old").expect("write");
    fs::write(folder.join(part_of("c")), "left").expect("write");
    let outcome = restored_over(&open(local(&place)), &tree, &target, &Silent);
    let failed: Vec<&str> = outcome.failed.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(failed, [below.join("a").to_str().expect("UTF-8")]);
    assert!(fs::read(folder.join("b")).expect("readable") == noise, "from its own content");
    let inode = |name: &str| fs::metadata(folder.join(name)).expect("metadata").ino();
    assert_eq!(inode("b"), inode("c"));

    fs::remove_dir_all(folder.join("a")).expect("removed");
    for _ in 0..2 {
        assert_eq!(restored_over(&open(local(&place)), &tree, &target, &Silent).failed, vec![]);
        assert_eq!((inode("a"), inode("a")), (inode("b"), inode("c")));
        assert_eq!(fs::read_dir(&folder).expect("listed").count(), 3, "no part stays");
    }
    let outcome = open(local(&place)).restore(&tree, &target, &RestoreOptions::default(), &Silent).expect("it runs to its end");
    let told = outcome.failed.iter().filter(|(_, reason)| reason.contains("is there already: choose another folder"));
    assert_eq!(told.count(), 3);
}

#[test]
fn hard_links_to_what_is_damaged() {
    let space = tempfile::tempdir().expect("space");
    let (place, tree, below, _) = with_links(space.path());
    let packs =
        fs::read_dir(place.join("data")).expect("listed").flat_map(|entry| fs::read_dir(entry.expect("entry").path()).expect("listed"));
    let pack = packs.map(|entry| entry.expect("entry").path()).max_by_key(|path| fs::metadata(path).expect("metadata").len());
    let pack = pack.expect("a pack");
    let mut bytes = fs::read(&pack).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&pack).expect("removed");
    fs::write(&pack, bytes).expect("write");

    let target = space.path().join("back");
    let folder = target.join(&below);
    fs::create_dir_all(&folder).expect("folder");
    for name in ["a", "b"] {
        fs::write(folder.join(name), format!("old {name}")).expect("write");
    }
    let outcome = restored_over(&open(local(&place)), &tree, &target, &Silent);
    assert_eq!((outcome.failed.len(), outcome.files, outcome.damaged), (3, 0, true), "{:?}", outcome.failed);
    for name in ["a", "b"] {
        assert_eq!(fs::read_to_string(folder.join(name)).expect("readable"), format!("old {name}"));
    }
    assert_eq!(fs::read_dir(&folder).expect("listed").count(), 2, "nothing takes the place of c, and no part stays");
}

/// What is no file replaces what is there only when it was made; sockets never are.
#[test]
fn what_is_no_file_takes_the_place_of_one() {
    let space = tempfile::tempdir().expect("space");
    let source = space.path().join("source");
    fs::create_dir(&source).expect("folder");
    let _listener = UnixListener::bind(source.join("socket")).expect("socket");
    for name in ["link", "in the way"] {
        symlink("somewhere", source.join(name)).expect("symlink");
    }
    let repository = init(local(&space.path().join("repository")));
    let tree = backed_up(&repository, &source);
    let below = source.strip_prefix("/").expect("absolute");
    let target = space.path().join("back");
    let folder = target.join(below);
    fs::create_dir_all(folder.join("in the way")).expect("folder");
    for name in ["socket", "link"] {
        fs::write(folder.join(name), "old").expect("write");
    }
    symlink("left", folder.join(part_of("link"))).expect("symlink");
    let outcome = restored_over(&repository, &tree, &target, &Silent);
    let failed: Vec<&str> = outcome.failed.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(failed, [below.join("in the way").to_str().expect("UTF-8")]);
    assert_eq!(fs::read_to_string(folder.join("socket")).expect("readable"), "old");
    assert_eq!(fs::read_link(folder.join("link")).expect("a link"), Path::new("somewhere"));
    assert_eq!(fs::read_dir(&folder).expect("listed").count(), 3, "no part stays");
}
