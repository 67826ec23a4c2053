//! Taking something out of every snapshot, so that nothing of it is left.

use std::sync::Arc;

use keepsake_repository::{
    CheckOptions, Content, Edit, FileMeta, Id, Password, Protected, PruneOptions, Repository, RepositoryResult, Rewriter, Share, Silent,
    WithoutPaths,
};
use keepsake_storage::{Fault, Faulty, MemoryStore, Store};

use crate::{
    support::{PASSWORD, ambient, init, local, open, restic, restics},
    virtual_trees::run,
};

fn file(path: &str, lines: &[String]) -> Edit {
    let spans = lines.chunks(3).map(|lines| lines.concat().into_bytes()).collect();
    Edit::file(path, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(spans))
}

/// A little bundle: days with numbered lines, and a count of all of them. Lines up to `newest`, without one of them.
fn bundle(newest: u32, without: Option<u32>) -> Vec<Edit> {
    let days = 6;
    let mut edits = vec![file("data/count.json", &[format!("{}\n", newest - without.iter().filter(|w| **w < newest).count() as u32)])];
    for day in 0..days {
        let lines: Vec<String> =
            (0..newest).filter(|n| n % days == day && Some(*n) != without).map(|n| format!("line {n} of the diary\n")).collect();
        edits.push(file(&format!("data/days/{day}"), &lines));
    }
    edits
}

/// Takes one line out of its day, and one off the count.
struct WithoutLine(u32);

impl Rewriter for WithoutLine {
    fn edits(&mut self, repository: &Repository, tree: &Id) -> RepositoryResult<Vec<Edit>> {
        let read = |path: &str| -> RepositoryResult<String> {
            let node = repository.node_at(tree, path)?.expect("every bundle has it");
            Ok(String::from_utf8(repository.file_bytes(&node)?).expect("text"))
        };
        let day = format!("data/days/{}", self.0 % 6);
        if repository.node_at(tree, &day)?.is_none() {
            return Ok(Vec::new());
        }
        let secret = format!("line {} of the diary\n", self.0);
        let lines: Vec<String> = read(&day)?.split_inclusive('\n').map(str::to_owned).collect();
        if !lines.contains(&secret) {
            return Ok(Vec::new());
        }
        let kept: Vec<String> = lines.into_iter().filter(|line| *line != secret).collect();
        let count: u64 = read("data/count.json")?.trim().parse().expect("a number");
        Ok(vec![file("data/count.json", &[format!("{}\n", count - 1)]), file(&day, &kept)])
    }
}

fn filled(repository: &Repository) -> Vec<Id> {
    let mut parent = None;
    (1..=12)
        .map(|round| {
            let outcome = run(repository, parent, bundle(round * 5, None)).expect("backup");
            parent = Some(outcome.tree);
            outcome.snapshot
        })
        .collect()
}

fn prune(repository: &Repository) {
    let options = PruneOptions { max_unused_percent: 0 };
    let plan = repository.plan_prune(options, &Protected::default(), &Silent).expect("plan");
    repository.prune(&plan, &Protected::default(), &Silent).expect("prune");
}

#[test]
fn nothing_of_it_is_left_and_it_commutes_with_backing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = init(local(folder.path()));
    let snapshots = filled(&repository);
    let outcome = repository.rewrite(&snapshots, &mut WithoutLine(17), &Silent).expect("rewrite");
    // Lines 0 to 14 are in the first three alone.
    assert_eq!(outcome.snapshots.iter().map(|done| done.old).collect::<Vec<_>>(), &snapshots[3..]);
    assert!(!outcome.gone.is_empty());
    assert!(!repository.find_content(&outcome.gone, &Silent).expect("look").is_empty(), "before the prune it is still there");
    prune(&repository);

    let again = open(local(folder.path()));
    assert_eq!(again.find_content(&outcome.gone, &Silent).expect("look"), Vec::<String>::new());
    let report = again.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
    assert!(report.damage.is_empty() && report.orphans.is_empty(), "{:?}", report.damage);
    let (all, _) = again.snapshots().expect("snapshots");
    assert_eq!(all.len(), 12);
    // The same trees as a backup of what never had the line.
    for done in &outcome.snapshots {
        let round = snapshots.iter().position(|id| *id == done.old).expect("known") as u32 + 1;
        let fresh = run(&again, None, bundle(round * 5, Some(17))).expect("backup");
        assert_eq!(fresh.tree, done.tree, "round {round}");
        let snapshot = again.snapshot(&done.new).expect("there");
        assert_eq!((snapshot.original, snapshot.tags), (Some(done.old), vec!["seq=1".to_owned()]));
    }
    for tool in restics() {
        restic(&tool, folder.path(), &["check", "--read-data"]);
        let dumped = restic(&tool, folder.path(), &["dump", &outcome.snapshots[0].new.to_string(), "/data/days/5"]);
        assert!(dumped.contains("line 11 of") && !dumped.contains("line 17 of"), "{dumped}");
    }
    assert!(
        again.rewrite(&snapshots[..3], &mut WithoutLine(17), &Silent).expect("again").snapshots.is_empty(),
        "there is nothing left to do"
    );
}

#[test]
fn paths_go_with_all_that_is_in_them() {
    let repository = init(Arc::new(MemoryStore::new()));
    let snapshots = filled(&repository);
    let outcome = repository.rewrite(&snapshots, &mut WithoutPaths(vec!["data/days".into()]), &Silent).expect("rewrite");
    assert_eq!(outcome.snapshots.len(), 12);
    for done in &outcome.snapshots {
        assert!(repository.node_at(&done.tree, "data/days").expect("readable").is_none());
        assert!(repository.node_at(&done.tree, "data/count.json").expect("readable").is_some());
    }
}

/// A rewrite cut off at every write and deletion: each snapshot is there, old or new, and doing it again ends the work.
#[test]
fn cut_off_at_every_write() {
    let base = Arc::new(MemoryStore::new());
    let snapshots = filled(&init(base.clone()));
    let (mut cuts, mut ended) = (0, false);
    while !ended {
        let copy = Arc::new(base.copy());
        let broken: Arc<dyn Store> = Arc::new(Faulty::new(copy.clone(), Fault::CutAfter(cuts)));
        let repository = Repository::open(broken, &Password::new(PASSWORD.into()), ambient()).expect("reading still works");
        let repository = repository.with_patience(std::time::Duration::ZERO);
        repository.load_index().expect("index");
        ended = repository.rewrite(&snapshots, &mut WithoutLine(17), &Silent).is_ok();
        drop(repository);
        for lock in copy.list("locks").expect("list") {
            copy.delete(&lock.name).expect("delete");
        }
        let repository = open(copy.clone());
        let there = repository.snapshots().expect("snapshots").0;
        for old in &snapshots {
            assert!(there.iter().any(|(id, s)| id == old || s.original == Some(*old)), "cut {cuts}: {} is in neither form", old.short());
        }
        let all: Vec<Id> = there.iter().map(|(id, _)| *id).collect();
        let outcome = repository.rewrite(&all, &mut WithoutLine(17), &Silent).expect("again");
        prune(&repository);
        assert_eq!(repository.find_content(&outcome.gone, &Silent).expect("look"), Vec::<String>::new(), "cut {cuts}");
        let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent).expect("check");
        assert!(report.damage.is_empty(), "cut {cuts}: {:?}", report.damage);
        assert!(report.orphans.is_empty(), "cut {cuts}");
        let mut told = |place: &str, bytes: &[u8]| {
            assert!(!String::from_utf8_lossy(bytes).contains("line 17 of"), "cut {cuts}: {place} tells it");
        };
        repository.each_plaintext(&mut told).expect("everything opens");
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts} cuts");
}
