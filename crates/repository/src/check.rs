//! Verifying: what restic's `check` verifies, and what it misses (declared lengths, order, names).

mod packs;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Id, LockKind, Monitor, NodeKind, Repository, RepositoryError, RepositoryResult, Snapshot, Tree, index::BlobKind};

/// Which packs to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Every pack.
    All,
    /// Part `number` of `of`, by the first byte of the pack's id: 1/12 to 12/12 are all packs.
    Part {
        /// From 1.
        number: u32,
        /// At most 256.
        of: u32,
    },
    /// About this share of the packs, chosen by their ids and the seed.
    Percent {
        /// 1 to 100.
        percent: u32,
        /// Another seed chooses others.
        seed: u64,
    },
}

impl Share {
    fn takes(&self, id: &Id) -> bool {
        match self {
            Self::All => true,
            Self::Part { number, of } => u32::from(id.as_bytes()[0]) % of == number - 1,
            Self::Percent { .. } => true,
        }
    }
}

/// How thorough to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Which packs to read; `None`: only that they are there and as long as they should be.
    pub read_data: Option<Share>,
}

/// What sort of object is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each name says it")]
pub enum DamageKind {
    Snapshot,
    Index,
    Pack,
    Tree,
    Blob,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What sort of object.
    pub kind: DamageKind,
    /// The object and what is wrong with it, in one sentence.
    pub message: String,
    /// The pack, where it is about one.
    pub pack: Option<Id>,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// Which paths of which snapshots cannot be brought back whole.
    pub affected: BTreeMap<String, Vec<Id>>,
    /// Packs that are archived, and were to be read: nobody knows how they are.
    pub archived: Vec<Id>,
    /// Packs that no index names: left by an interrupted run, removed by prune.
    pub orphans: Vec<Id>,
    /// Snapshots checked.
    pub snapshots: u64,
    /// Trees read.
    pub trees: u64,
    /// Packs present.
    pub packs: u64,
    /// Packs read.
    pub packs_read: u64,
    /// Bytes read from packs.
    pub bytes_read: u64,
}

impl Report {
    fn add(&mut self, kind: DamageKind, message: impl ToString, pack: Option<Id>, monitor: &dyn Monitor) {
        let message = message.to_string();
        monitor.problem("verify", &message);
        self.damage.push(Damage { kind, message, pack });
    }
}

struct Check<'a> {
    repository: &'a Repository,
    monitor: &'a dyn Monitor,
    report: Report,
    bad_places: HashMap<(BlobKind, Id), HashSet<Option<Id>>>,
    trees: HashMap<Id, Option<Vec<(String, NodeFacts)>>>,
}

/// What the second walk needs of a node.
#[derive(Clone)]
enum NodeFacts {
    File(Vec<Id>),
    Dir(Id),
}

impl Repository {
    /// Checks everything, and the bytes of as many packs as the options say.
    ///
    /// # Errors
    /// The store cannot list, the repository is locked, or somebody asks to stop. Damage is in the report.
    pub fn check(&self, options: &CheckOptions, monitor: &dyn Monitor) -> RepositoryResult<Report> {
        let _lock = self.lock(LockKind::Shared)?;
        // Snapshots first: one that appears later may rest on an index that is not read.
        let (snapshots, bad_snapshots) = self.snapshots()?;
        let bad_indexes = self.reload_index()?;
        let mut check = Check { repository: self, monitor, report: Report::default(), bad_places: HashMap::new(), trees: HashMap::new() };
        for error in bad_snapshots {
            check.report.add(DamageKind::Snapshot, error, None, monitor);
        }
        for error in bad_indexes {
            check.report.add(DamageKind::Index, error, None, monitor);
        }
        check.packs_present()?;
        check.packs_read(options)?;
        check.walk(&snapshots)?;
        check.affected(&snapshots);
        Ok(check.report)
    }
}

impl Check<'_> {
    fn stop_if_asked(&self) -> RepositoryResult<()> {
        if self.monitor.cancelled() { Err(RepositoryError::Cancelled) } else { Ok(()) }
    }

    fn packs_present(&mut self) -> RepositoryResult<()> {
        let listed: HashMap<Id, u64> = self.repository.list_ids("data")?.into_iter().collect();
        self.report.packs = listed.len() as u64;
        let expected: HashMap<Id, u64> = self.repository.index.read().expect("no holder panics").packs().collect();
        let mut bad = Vec::new();
        for (id, bytes) in &expected {
            match listed.get(id) {
                None => bad.push((*id, format!("pack {} is missing", id.short()))),
                Some(found) if found != bytes => bad.push((*id, format!("pack {} has {found} bytes instead of {bytes}", id.short()))),
                Some(_) => {}
            }
        }
        self.report.orphans = listed.keys().filter(|id| !expected.contains_key(id)).copied().collect();
        self.report.orphans.sort_unstable();
        bad.sort();
        for (id, message) in bad {
            self.report.add(DamageKind::Pack, message, Some(id), self.monitor);
            self.mark_pack(&id);
        }
        Ok(())
    }

    fn mark_pack(&mut self, pack: &Id) {
        let blobs = self.repository.index.read().expect("no holder panics").blobs_in(pack);
        for (kind, id) in blobs {
            self.bad_places.entry((kind, id)).or_default().insert(Some(*pack));
        }
    }

    /// Whether no good place of a blob is known. `None` among its bad places: it cannot be read at all.
    fn is_lost(&self, kind: BlobKind, id: &Id) -> bool {
        let Some(bad) = self.bad_places.get(&(kind, *id)) else { return false };
        bad.contains(&None)
            || self.repository.index.read().expect("no holder panics").places(kind, id).all(|place| bad.contains(&Some(place.pack)))
    }

    fn walk(&mut self, snapshots: &[(Id, Snapshot)]) -> RepositoryResult<()> {
        self.monitor.stage("checking snapshots", Some(snapshots.len() as u64), None);
        for (_, snapshot) in snapshots {
            self.report.snapshots += 1;
            self.tree(&snapshot.tree)?;
            self.monitor.advance(1, 0);
        }
        Ok(())
    }

    fn tree(&mut self, root: &Id) -> RepositoryResult<()> {
        let mut waiting = vec![*root];
        while let Some(id) = waiting.pop() {
            if self.trees.contains_key(&id) {
                continue;
            }
            self.stop_if_asked()?;
            self.report.trees += 1;
            let tree = self.repository.blob_from_pack(BlobKind::Tree, &id).and_then(|bytes| Tree::decode(id, &bytes));
            let facts = match tree {
                Ok(tree) => Some(self.nodes(id, &tree)),
                Err(error) => {
                    self.bad_places.entry((BlobKind::Tree, id)).or_default().insert(None);
                    let pack =
                        self.repository.index.read().expect("no holder panics").places(BlobKind::Tree, &id).next().map(|place| place.pack);
                    self.report.add(DamageKind::Tree, format!("tree {}: {error}", id.short()), pack, self.monitor);
                    None
                }
            };
            waiting.extend(facts.iter().flatten().filter_map(|(_, fact)| match fact {
                NodeFacts::Dir(id) => Some(*id),
                NodeFacts::File(_) => None,
            }));
            self.trees.insert(id, facts);
        }
        Ok(())
    }

    fn nodes(&mut self, id: Id, tree: &Tree) -> Vec<(String, NodeFacts)> {
        if tree.nodes.windows(2).any(|pair| pair[0].name >= pair[1].name) {
            self.report.add(DamageKind::Tree, format!("tree {}: its names are not in order", id.short()), None, self.monitor);
        }
        let mut facts = Vec::with_capacity(tree.nodes.len());
        for node in &tree.nodes {
            if let Some(subtree) = node.subtree.filter(|_| node.kind == NodeKind::Dir) {
                facts.push((node.display_name(), NodeFacts::Dir(subtree)));
            }
            let Some(content) = node.content.as_ref().filter(|_| node.kind == NodeKind::File) else { continue };
            let mut length = 0;
            for blob in content {
                match self.repository.locate(BlobKind::Data, blob) {
                    Some(location) => length += location.plain_length(),
                    None => {
                        if self.bad_places.entry((BlobKind::Data, *blob)).or_default().insert(None) {
                            let message = format!("blob {} of `{}` is in no index", blob.short(), node.display_name());
                            self.report.add(DamageKind::Blob, message, None, self.monitor);
                        }
                        length = node.size;
                        break;
                    }
                }
            }
            if length != node.size {
                let message =
                    format!("tree {}: `{}` says it has {} bytes, its blobs have {length}", id.short(), node.display_name(), node.size);
                self.report.add(DamageKind::Tree, message, None, self.monitor);
            }
            facts.push((node.display_name(), NodeFacts::File(content.clone())));
        }
        facts
    }

    /// Names every path that damage reaches, with the snapshots that hold it.
    fn affected(&mut self, snapshots: &[(Id, Snapshot)]) {
        if self.bad_places.is_empty() {
            return;
        }
        let mut found: BTreeMap<String, Vec<Id>> = BTreeMap::new();
        for (id, snapshot) in snapshots {
            let mut waiting = vec![(String::new(), snapshot.tree)];
            while let Some((path, tree)) = waiting.pop() {
                let Some(Some(facts)) = self.trees.get(&tree) else {
                    found.entry(if path.is_empty() { "/".into() } else { path }).or_default().push(*id);
                    continue;
                };
                for (name, fact) in facts {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    match fact {
                        NodeFacts::Dir(subtree) => waiting.push((path, *subtree)),
                        NodeFacts::File(blobs) if blobs.iter().any(|b| self.is_lost(BlobKind::Data, b)) => {
                            found.entry(path).or_default().push(*id);
                        }
                        NodeFacts::File(_) => {}
                    }
                }
            }
        }
        self.report.affected = found;
    }
}
