//! Real folders: what we write the stock tool checks and restores, what it writes we check and restore.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::Path,
};

use keepsake_repository::{BackupRequest, CheckOptions, FolderSource, RestoreOptions, Share, Silent};

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
