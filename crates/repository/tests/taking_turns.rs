//! Taking turns with the stock tool on one repository: it tags, copies, rewrites, prunes and repairs on top of what we wrote,
//! we go on on top of that, and both are content after every turn.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use keepsake_repository::{
    BackupRequest, CheckOptions, Content, Edit, FileMeta, FolderSource, Id, Protected, PruneOptions, Repository, Share, Silent, Snapshot,
    WithoutPaths,
};

use crate::{
    folders::odd_folder,
    support::{PASSWORD, content, init, local, open, restic, restics},
};

/// The name of everything that a tree holds, by path.
fn digests(repository: &Repository, tree: Id) -> BTreeMap<String, Id> {
    content(repository, tree).into_iter().map(|(path, bytes)| (path, Id::of(&bytes))).collect()
}

struct Turns {
    tool: PathBuf,
    place: PathBuf,
    space: tempfile::TempDir,
}

impl Turns {
    fn stock(&self, args: &[&str]) -> String {
        restic(&self.tool, &self.place, args)
    }

    /// Opens, and is content with every byte.
    fn ours(&self) -> Repository {
        let repository = open(local(&self.place));
        let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert!(report.damage.is_empty(), "{}: {:?}", self.tool.display(), report.damage);
        repository
    }

    fn newest(&self, repository: &Repository) -> (Id, Snapshot) {
        repository.snapshots().expect("snapshots").0.pop().expect("one")
    }

    fn back_up_folder(&self, folder: &Path, second: u32) -> Id {
        let repository = self.ours();
        let parent = repository.snapshots().expect("snapshots").0.into_iter().rfind(|(_, s)| s.paths != ["/keepsake"]).map(|(_, s)| s.tree);
        let edits = FolderSource::new(&repository, folder, parent).expect("walk");
        let time = format!("2024-03-17T00:00:{second:02}Z");
        let snapshot = Snapshot::new(time, folder.to_str().expect("UTF-8"), "keepsake test");
        let request = BackupRequest { parent_tree: None, carry_tree: parent, edits: Box::new(edits), replay: None, snapshot };
        repository.backup(request, &Silent).expect("backup").tree
    }

    /// A virtual tree with every sort of name, as a vault's has.
    fn back_up_bundle(&self, second: u32) -> Id {
        let repository = self.ours();
        let names = ["a<b>&c", "q\"uo'te\\s", "tab\tnl\n\u{1}", "😀漢字\u{2028}\u{feff}", "é", "z"];
        let mut edits: Vec<Edit> = names
            .iter()
            .map(|name| {
                let meta = FileMeta { time: "2024-01-01T00:00:00Z".into() };
                Edit::file(&format!("data/{name}"), &meta, Content::Spans(vec![format!("{name} {second}").into_bytes()]))
            })
            .collect();
        edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
        let snapshot = Snapshot::new(format!("2024-03-17T00:00:{second:02}Z"), "/keepsake", "keepsake test");
        let edits = Box::new(edits.into_iter().map(Ok));
        let request = BackupRequest { parent_tree: None, carry_tree: None, edits, replay: None, snapshot };
        repository.backup(request, &Silent).expect("backup").tree
    }
}

#[test]
fn on_one_repository() {
    for tool in restics() {
        let space = tempfile::tempdir().expect("space");
        let place = space.path().join("repository");
        drop(init(local(&place)));
        let turns = Turns { tool, place, space };
        let version = turns.stock(&["version"]);
        let old = version.contains("0.14");
        let source = turns.space.path().join("source");
        fs::create_dir(&source).expect("folder");
        odd_folder(&source);

        let bundle = turns.back_up_bundle(1);
        let folder = turns.back_up_folder(&source, 2);
        let (kept_bundle, kept_folder) = (digests(&turns.ours(), bundle), digests(&turns.ours(), folder));
        // It tags: the snapshots have other names, the same trees, and say what they were.
        turns.stock(&["tag", "--add", "stock"]);
        let tagged = turns.ours().snapshots().expect("snapshots").0;
        assert!(tagged.iter().all(|(_, s)| s.tags.contains(&"stock".to_owned()) && s.original.is_some()), "{version}");
        assert_eq!(tagged.iter().map(|(_, s)| s.tree).collect::<Vec<_>>(), [bundle, folder], "{version}");

        // It backs up the same folder on top, and we on top of that.
        fs::write(source.join("new"), "since ours").expect("write");
        turns.stock(&["backup", source.to_str().expect("UTF-8")]);
        let theirs = turns.newest(&turns.ours()).1;
        assert!(digests(&turns.ours(), theirs.tree).keys().any(|path| path.ends_with("/new")));
        fs::write(source.join("newer"), "since theirs").expect("write");
        let third = turns.back_up_folder(&source, 3);
        turns.stock(&["check", "--read-data"]);

        // It copies everything into a repository of its own, which we read.
        let copy = turns.space.path().join("copy");
        restic(&turns.tool, &copy, &["init"]);
        let copied = Command::new(&turns.tool)
            .args(["--no-cache", "-r"])
            .arg(&copy)
            .args(["copy", "--from-repo"])
            .arg(&turns.place)
            .envs([("RESTIC_PASSWORD", PASSWORD), ("RESTIC_FROM_PASSWORD", PASSWORD)])
            .output()
            .expect("the tool runs");
        assert!(copied.status.success(), "{version}: {}", String::from_utf8_lossy(&copied.stderr));
        let copy = open(local(&copy));
        assert!(copy.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check").damage.is_empty());
        let trees: Vec<Id> = copy.snapshots().expect("snapshots").0.into_iter().map(|(_, s)| s.tree).collect();
        assert_eq!(trees.len(), 4);
        assert!(trees.contains(&bundle) && trees.contains(&folder) && trees.contains(&third), "{version}");
        assert_eq!(digests(&copy, bundle), kept_bundle);

        // It rewrites; no tree of ours is refused, and what it took out is gone from ours, too.
        if !old {
            let told = turns.stock(&["rewrite", "--forget", "--exclude", "noise.bin"]);
            assert!(!told.contains("cannot encode"), "{version}: {told}");
            let repository = turns.ours();
            for (_, snapshot) in repository.snapshots().expect("snapshots").0 {
                let found = digests(&repository, snapshot.tree);
                assert!(!found.keys().any(|path| path.ends_with("noise.bin")), "{version}");
                if snapshot.paths == ["/keepsake"] {
                    assert_eq!(found, kept_bundle);
                } else {
                    assert!(kept_folder.iter().all(|(path, id)| path.ends_with("noise.bin") || found.get(path) == Some(id)), "{version}");
                }
            }
        }
        // It forgets and prunes; we rewrite and prune; it checks.
        turns.stock(&["forget", "--keep-last", "1", "--group-by", "paths"]);
        turns.stock(&["prune", "--max-unused", "0"]);
        turns.back_up_bundle(4);
        let repository = turns.ours();
        let all = repository.snapshot_ids().expect("ids");
        let outcome = repository.rewrite(&all, &mut WithoutPaths(vec!["data/z".into()]), &Silent).expect("rewrite");
        assert_eq!(outcome.snapshots.len(), 2, "{version}: both bundles");
        let plan = repository.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &Silent).expect("plan");
        repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
        assert_eq!(repository.find_content(&outcome.gone, &Silent).expect("look"), Vec::<String>::new());
        turns.stock(&["check", "--read-data"]);

        // It repairs: the index from the packs, after somebody lost one.
        let index = fs::read_dir(turns.place.join("index")).expect("folder").next().expect("one").expect("entry").path();
        fs::remove_file(index).expect("lost");
        turns.stock(if old { &["rebuild-index"] } else { &["repair", "index"] });
        let repository = turns.ours();
        let bundles = repository.snapshots().expect("snapshots").0.into_iter().filter(|(_, s)| s.paths == ["/keepsake"]);
        assert!(bundles.map(|(_, s)| digests(&repository, s.tree).len()).eq([5, 5]), "{version}");
        turns.back_up_bundle(5);
        turns.stock(&["check", "--read-data"]);
    }
}
