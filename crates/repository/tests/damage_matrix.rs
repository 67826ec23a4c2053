//! Every sort of object, damaged in every way, met by every operation: what is reported stands in the snapshots beside this
//! file. Whatever happens, nothing panics, and a file that comes back has the bytes it had.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use keepsake_repository::{
    Ambient, BackupOutcome, BackupRequest, CheckOptions, Content, Edit, FileMeta, Id, KdfCost, Password, Protected, PruneOptions,
    Repository, RepositoryResult, RestoreOptions, Share, Silent,
};
use keepsake_storage::{MemoryStore, ObjectName, Store};

use crate::support::{PASSWORD, ambient, snapshot};

const DAMAGES: [&str; 7] = ["missing", "empty", "truncated", "bit-flipped", "swapped", "wrong name", "wrong declared length"];

fn file(path: &str, text: &str) -> Edit {
    Edit::file(path, &FileMeta { time: "2024-01-01T00:00:00Z".into() }, Content::Spans(vec![text.repeat(40).into_bytes()]))
}

fn first() -> Vec<Edit> {
    // One content: the order of several in a pack would depend on threads.
    vec![file("data/a", "the same"), file("data/b", "the same"), file("data/deep/c", "the same")]
}

fn second() -> Vec<Edit> {
    vec![Edit::remove("data/b"), file("data/d", "since the second")]
}

/// Surroundings in which the same happens every time, as far as threads allow.
struct Fixed(AtomicU64);

impl Ambient for Fixed {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_700_000_000).expect("in range")
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let draw = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&Id::of(&draw).as_bytes()[..chunk.len()]);
        }
    }

    fn hostname(&self) -> String {
        "host".into()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}

fn back_up(repository: &Repository, parent: Option<Id>, edits: Vec<Edit>, seq: u64) -> RepositoryResult<BackupOutcome> {
    let edits = Box::new(edits.into_iter().map(Ok));
    repository.backup(BackupRequest { parent_tree: parent, carry_tree: parent, edits, replay: None, snapshot: snapshot(seq) }, &Silent)
}

/// A repository of two snapshots, one on top of the other, with words for its objects.
struct Base {
    store: MemoryStore,
    /// Root tree and content of each snapshot.
    snapshots: [(Id, BTreeMap<String, Vec<u8>>); 2],
    names: BTreeMap<String, ObjectName>,
}

impl Base {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let cost = KdfCost { log_n: 4, r: 8, p: 1 };
        let fixed = Arc::new(Fixed(AtomicU64::new(0)));
        let repository = Repository::init(store.clone(), &Password::new(PASSWORD.into()), cost, fixed).expect("init");
        let mut names = BTreeMap::from([("config".to_owned(), ObjectName::new("config").expect("a name"))]);
        names.insert("key".into(), store.list("keys").expect("list")[0].name.clone());
        let mut name_new = |round: u32| {
            for (folder, word) in [("index", "index"), ("snapshots", "snapshot"), ("data", "pack")] {
                for object in store.list(folder).expect("list") {
                    if names.values().any(|known| *known == object.name) {
                        continue;
                    }
                    let word = match word {
                        "pack" if holds_trees(&store, &object.name) => "tree pack",
                        "pack" => "data pack",
                        word => word,
                    };
                    assert!(names.insert(format!("{word} {round}"), object.name).is_none(), "one object of a kind each round");
                }
            }
        };
        let one = back_up(&repository, None, first(), 1).expect("first");
        name_new(1);
        let two = back_up(&repository, Some(one.tree), second(), 2).expect("second");
        name_new(2);
        let snapshots = [one.tree, two.tree].map(|tree| (tree, content(&repository, tree)));
        Self { store: store.copy(), snapshots, names }
    }

    /// A copy with one object damaged; `None`: this cannot happen to it.
    fn damaged(&self, object: &str, damage: &str) -> Option<Arc<MemoryStore>> {
        let store = Arc::new(self.store.copy());
        let name = &self.names[object];
        let bytes = store.get(name).expect("there");
        match damage {
            "missing" => store.delete(name).expect("delete"),
            "empty" => store.set(name.clone(), Bytes::new()),
            "truncated" => store.set(name.clone(), bytes.slice(..bytes.len() / 2)),
            "bit-flipped" => {
                let mut bytes = bytes.to_vec();
                let at = bytes.len() / 2;
                bytes[at] ^= 0x04;
                store.set(name.clone(), bytes.into());
            }
            "swapped" => {
                // With the other of its kind, or where there is none with another object.
                let other = match object.rsplit_once(' ') {
                    Some((kind, round)) => &self.names[&format!("{kind} {}", if round == "1" { "2" } else { "1" })],
                    None => &self.names["snapshot 1"],
                };
                let others = store.get(other).expect("there");
                store.set(other.clone(), bytes);
                store.set(name.clone(), others);
            }
            "wrong name" => {
                let (folder, id) = name.as_str().rsplit_once('/')?;
                let turned: String = id.chars().rev().collect();
                let folder = if folder.starts_with("data/") { format!("data/{}", &turned[..2]) } else { folder.to_owned() };
                store.set(ObjectName::new(format!("{folder}/{turned}")).expect("a name"), bytes);
                store.delete(name).expect("delete");
            }
            _ if object.starts_with("index") => {
                // Sealed as it should be and named by its hash: only what it says of one blob is not so.
                let repository = reopen(store.clone()).expect("still whole");
                let json = String::from_utf8(repository.open_for_tests(&bytes)).expect("JSON");
                let data = json.find("\"type\":\"data\"").expect("a blob of content");
                let at = data + json[data..].find("\"uncompressed_length\":").expect("it is compressed") + "\"uncompressed_length\":".len();
                let lying = format!("{}9{}", &json[..at], &json[at..]);
                let sealed = repository.seal_for_tests(lying.as_bytes());
                store.delete(name).expect("delete");
                store.set(ObjectName::new(format!("index/{}", Id::of(&sealed))).expect("a name"), sealed.into());
            }
            _ => return None,
        }
        Some(store)
    }

    /// Words instead of ids that are others every time.
    fn readable(&self, text: impl ToString) -> String {
        let mut text = text.to_string();
        for (word, name) in &self.names {
            let id = name.file_name();
            text = text.replace(id, &format!("<{word}>")).replace(&id[..8.min(id.len())], &format!("<{word}>"));
            let turned: String = id.chars().rev().collect();
            text = text.replace(&turned[..8.min(turned.len())], &format!("<{word}, turned>"));
        }
        text
    }
}

fn holds_trees(store: &Arc<MemoryStore>, pack: &ObjectName) -> bool {
    let mut trees = false;
    let only = Arc::new(store.copy());
    for other in only.list("data").expect("list").into_iter().filter(|other| other.name != *pack) {
        only.delete(&other.name).expect("delete");
    }
    let look = |_: &str, bytes: &[u8]| trees |= bytes.starts_with(b"{\"nodes\"");
    let mut look = look;
    reopen(only).expect("open").each_plaintext(&mut look).expect("everything opens");
    trees
}

fn reopen(store: Arc<MemoryStore>) -> RepositoryResult<Repository> {
    let repository = Repository::open(store, &Password::new(PASSWORD.into()), ambient())?.with_patience(Duration::ZERO);
    repository.load_index()?;
    Ok(repository)
}

/// Everything that can be read of a snapshot; what cannot is left out.
fn content(repository: &Repository, tree: Id) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![(String::new(), tree)]);
    while let Some((path, id)) = waiting.pop() {
        let Ok(tree) = repository.tree(&id) else { continue };
        for node in &tree.nodes {
            let path = format!("{path}/{}", node.display_name());
            match node.subtree {
                Some(subtree) => waiting.push((path, subtree)),
                None => drop(repository.file_bytes(node).map(|bytes| found.insert(path, bytes))),
            }
        }
    }
    found
}

/// What is left of both snapshots, having checked that nothing of it is wrong.
fn left(base: &Base, store: &Arc<MemoryStore>) -> [usize; 2] {
    let Ok(repository) = reopen(store.clone()) else { return [0, 0] };
    base.snapshots.clone().map(|(tree, wanted)| {
        let found = content(&repository, tree);
        assert!(found.iter().all(|(path, bytes)| wanted.get(path) == Some(bytes)), "wrong bytes");
        found.len()
    })
}

fn verified(base: &Base, repository: &Repository) -> String {
    match repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent) {
        Ok(report) if report.damage.is_empty() && report.affected.is_empty() => match report.orphans.len() {
            0 => "sound".into(),
            orphans => format!("sound, {orphans} packs that no index names"),
        },
        Ok(report) => {
            let mut damage: Vec<String> = report.damage.into_iter().map(|damage| base.readable(damage.message)).collect();
            damage.sort();
            let affected: Vec<String> = report.affected.into_keys().collect();
            format!("{}; reaches [{}]", damage.join("; "), affected.join(", "))
        }
        Err(error) => error.to_string(),
    }
}

fn restored(base: &Base, repository: &Repository, which: usize) -> String {
    let (tree, wanted) = &base.snapshots[which];
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = match repository.restore(tree, folder.path(), &RestoreOptions::default(), &Silent) {
        Ok(outcome) => outcome,
        Err(error) => return error.to_string(),
    };
    let mut good = 0;
    for (path, bytes) in wanted {
        match std::fs::read(folder.path().join(path.trim_start_matches('/'))) {
            Ok(back) => {
                assert_eq!(&back, bytes, "a file is right or not there");
                good += 1;
            }
            Err(_) => assert!(!outcome.failed.is_empty(), "what is not there is named"),
        }
    }
    let failed: Vec<String> = outcome.failed.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
    if failed.is_empty() { format!("all {good} files") } else { format!("{good} of {} files; {}", wanted.len(), failed.join("; ")) }
}

/// One line for each operation on a copy of its own.
fn report(base: &Base, object: &str, damage: &str) -> Option<String> {
    let damaged = base.damaged(object, damage)?;
    let mut out = format!("{damage}\n");
    let mut line = |verb: &str, told: String| writeln!(out, "  {verb:<9}{}", base.readable(told)).expect("a string");
    let before = left(base, &damaged);
    match reopen(damaged.clone()) {
        Err(error) => {
            line("open", error.to_string());
            return Some(out);
        }
        Ok(_) => line("open", "opens".into()),
    }
    let fresh = || Arc::new(damaged.copy());
    let open = |store: &Arc<MemoryStore>| reopen(store.clone()).expect("opened before");
    line("verify", verified(base, &open(&fresh())));
    for which in [0, 1] {
        line("restore", format!("snapshot {}: {}", which + 1, restored(base, &open(&fresh()), which)));
    }

    // A full backup that trusts nothing that is not there, as the next one after damage is.
    let store = fresh();
    let repository = open(&store);
    let missing = repository.missing_packs().expect("list");
    missing.iter().chain(&damaged_packs(&open(&fresh()))).for_each(|pack| repository.distrust(*pack));
    let told = match back_up(&repository, None, first(), 3) {
        Err(error) => error.to_string(),
        Ok(outcome) => {
            assert_eq!(outcome.tree, base.snapshots[0].0, "the same state is the same tree");
            let found = content(&open(&store), outcome.tree);
            assert!(found.iter().all(|(path, bytes)| base.snapshots[0].1.get(path) == Some(bytes)), "wrong bytes");
            format!("complete, {} of {} files can be read", found.len(), base.snapshots[0].1.len())
        }
    };
    line("backup", told);

    let store = fresh();
    let nothing_unused = PruneOptions { max_unused_percent: 0 };
    let repository = open(&store);
    // Whoever recorded the snapshots protects them, in case one of their files gets lost.
    let protected = Protected(base.snapshots.iter().map(|(tree, _)| (*tree, *tree)).collect());
    let plan = repository.plan_prune(nothing_unused, &protected, &Silent);
    let told = match plan.and_then(|plan| repository.prune(&plan, &protected, &Silent)) {
        Err(error) => error.to_string(),
        Ok(report) => format!("{} packs removed, {} written", report.packs_removed, report.packs_written),
    };
    // Where two indexes are damaged, it is chance which of them is met first.
    let told = base.readable(told).replace("<index 1>", "<an index>").replace("<index 2>", "<an index>");
    line("prune", told);
    assert!(left(base, &store).iter().zip(before).all(|(now, before)| *now >= before), "a prune loses nothing");

    let store = fresh();
    let repository = open(&store);
    let suspects = damaged_packs(&open(&fresh())).into_iter().collect();
    let told = match repository.repair(&suspects, &Silent) {
        Err(error) => error.to_string(),
        Ok(report) => {
            let after = verified(base, &open(&store));
            format!("{} found, {} salvaged, {} blobs lost; then {after}", report.packs_found, report.packs_salvaged, report.blobs_lost)
        }
    };
    line("repair", told);
    assert!(left(base, &store).iter().zip(before).all(|(now, before)| *now >= before), "a repair loses nothing");
    Some(out)
}

fn damaged_packs(repository: &Repository) -> Vec<Id> {
    let report = repository.check(&CheckOptions { read_data: Some(Share::All) }, &Silent);
    report.map(|report| report.damage.iter().filter_map(|damage| damage.pack).collect()).unwrap_or_default()
}

#[test]
fn every_object_damaged_in_every_way() {
    let base = Base::new();
    assert_eq!(left(&base, &Arc::new(base.store.copy())), [3, 3]);
    for object in ["config", "key", "index 1", "snapshot 1", "data pack 1", "tree pack 1", "tree pack 2"] {
        let told: String = DAMAGES.iter().filter_map(|damage| report(&base, object, damage)).collect();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("damaged-{}", object.replace(' ', "-")), told);
        });
    }
}
