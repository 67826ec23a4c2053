//! The bundle without some memories: what a rewrite makes of every snapshot that holds them.
//!
//! Every line of every file of memories, insights and the journal is looked at once, whatever the vault believes: a memory
//! may stand in snapshots of other histories, on days that it left long ago. What is left is, file by file, what a vault
//! without the memories would have been backed up as.

mod days;
mod finding;
mod journal;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use keepsake_record::{
    Change, Entity, Insight, Memory, MemoryId, Sha256Digest, bundle, canonical_line,
    layout::{self, DayPath, ShardLimits, ShardPrefix},
};
use keepsake_repository::{Content, Edit, EditKind, FileMeta, Id, Node, Piece, Repository, RepositoryError, RepositoryResult, Rewriter};
use serde::de::DeserializeOwned;

use self::{
    days::Shard,
    finding::{Finder, Found},
    journal::{Redactor, is_about},
};
use crate::render::{entity_spans, node_time};

/// A span of a file in its new form.
struct Span {
    id: Id,
    length: u64,
    /// Its bytes, if the repository need not have it.
    bytes: Option<Rc<[u8]>>,
}

impl Span {
    fn new(bytes: &[u8]) -> Self {
        Self { id: Id::of(bytes), length: bytes.len() as u64, bytes: Some(bytes.into()) }
    }
}

/// New content of a file, cut.
struct Replaced(Vec<Span>);

impl Replaced {
    fn new(spans: Vec<Vec<u8>>) -> Option<Self> {
        (!spans.is_empty()).then(|| Self(spans.iter().map(|span| Span::new(span)).collect()))
    }

    /// As an edit brings it: what earlier edits brought is known.
    fn content(&self, sent: &mut HashSet<Id>) -> Content {
        let piece = |span: &Span| match &span.bytes {
            Some(bytes) if sent.insert(span.id) => Piece::New(bytes.to_vec()),
            _ => Piece::Known(span.id, span.length),
        };
        Content::Pieces(self.0.iter().map(piece).collect())
    }
}

/// Files that change: their new content, or nothing for those that go.
type Files = Vec<(String, Option<Replaced>)>;

/// What becomes of one part of a bundle: a day, a series of insights, a file of the journal.
#[derive(Default)]
struct Part {
    files: Files,
    /// Memories that went with it, in each of their versions.
    gone: Vec<Memory>,
    insights: u64,
}

/// What becomes of one bundle.
#[derive(Default)]
struct Bundle {
    memories: Option<Id>,
    journal: Option<Id>,
    days: Vec<Rc<Part>>,
    others: Vec<Rc<Part>>,
}

impl Bundle {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.days.iter().chain(&self.others).map(Rc::as_ref)
    }
}

/// The media that remaining memories and versions name, by file.
type Named = Rc<[(String, Sha256Digest)]>;

/// Takes memories out of bundles. Made for the trees that it will be asked for.
pub(crate) struct WithoutMemories {
    ids: BTreeSet<MemoryId>,
    limits: ShardLimits,
    by_id: Finder,
    /// Media of the memories that go; other memories may have them, too.
    media: BTreeSet<Sha256Digest>,
    by_medium: Finder,
    parts: HashMap<(String, Vec<Id>), Rc<Part>>,
    named: HashMap<Vec<Id>, Named>,
    /// Contents that an earlier edit brought into the repository.
    sent: HashSet<Id>,
    segments: Redactor,
    /// Memories that went, in all bundles together.
    found: BTreeSet<MemoryId>,
}

fn unusable(path: &str, problem: String) -> RepositoryError {
    RepositoryError::Damaged { object: format!("`{path}` of a snapshot"), problem }
}

/// The lines of a file, as what they are and as they stand there.
fn lines<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> RepositoryResult<Vec<(T, Vec<u8>)>> {
    let read = |text: &[u8]| match serde_json::from_slice(text) {
        Ok(line) => Ok((line, text.to_vec())),
        Err(error) => Err(unusable(path, error.to_string())),
    };
    bytes.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).map(read).collect()
}

impl WithoutMemories {
    /// Looks through the trees for what is to go.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn new(ids: BTreeSet<MemoryId>, limits: ShardLimits, repository: &Repository, trees: &[Id]) -> RepositoryResult<Self> {
        let by_id = Finder::new(ids.iter().map(MemoryId::to_string));
        let mut without = Self {
            ids,
            limits,
            by_id,
            media: BTreeSet::new(),
            by_medium: Finder::default(),
            parts: HashMap::new(),
            named: HashMap::new(),
            sent: HashSet::new(),
            segments: Redactor::default(),
            found: BTreeSet::new(),
        };
        for tree in trees {
            let bundle = without.bundle(repository, tree)?;
            for memory in bundle.parts().flat_map(|part| &part.gone) {
                without.found.insert(memory.id);
                without.media.extend(memory.attachments.iter().filter_map(|a| a.medium.as_ref().map(|medium| medium.sha256)));
            }
        }
        without.by_medium = Finder::new(without.media.iter().map(Sha256Digest::to_string));
        Ok(without)
    }

    /// The memories that were found in the trees, their old versions in the journal included.
    pub fn found(&self) -> usize {
        self.found.len()
    }

    fn bundle(&mut self, repository: &Repository, tree: &Id) -> RepositoryResult<Bundle> {
        let folder = |path: &str| Ok::<_, RepositoryError>(repository.node_at(tree, path)?.and_then(|node| node.subtree));
        let mut bundle = Bundle { memories: folder("data/memories")?, journal: folder("history/journal")?, ..Bundle::default() };
        if let Some(memories) = bundle.memories {
            let mut days: BTreeMap<DayPath, Vec<(ShardPrefix, Found)>> = BTreeMap::new();
            for found in self.by_id.below(repository, &memories)?.iter() {
                let path = format!("memories/{}", found.path);
                let (day, shard) = layout::day_file(&path).ok_or_else(|| unusable(&path, "it is not of the bundle's layout".into()))?;
                days.entry(day).or_default().push((shard, found.clone()));
            }
            for (day, hits) in days {
                bundle.days.push(self.day(repository, tree, day, &hits)?);
            }
        }
        if let Some(insights) = folder("data/insights")? {
            for found in self.by_id.below(repository, &insights)?.iter() {
                bundle.others.push(self.insights(&format!("data/insights/{}", found.path), &found.node, repository)?);
            }
        }
        if let Some(journal) = bundle.journal {
            for found in self.by_id.below(repository, &journal)?.iter() {
                bundle.others.push(self.journal(&format!("history/journal/{}", found.path), &found.node, repository)?);
            }
        }
        Ok(bundle)
    }

    /// What becomes of a file, worked out once for each content.
    fn once(&mut self, path: &str, node: &Node, work: impl FnOnce(&mut Self) -> RepositoryResult<Part>) -> RepositoryResult<Rc<Part>> {
        let key = (path.to_owned(), node.content.clone().unwrap_or_default());
        if let Some(known) = self.parts.get(&key) {
            return Ok(known.clone());
        }
        let part = Rc::new(work(self)?);
        self.parts.insert(key, part.clone());
        Ok(part)
    }

    fn day(&mut self, repository: &Repository, tree: &Id, day: DayPath, hits: &[(ShardPrefix, Found)]) -> RepositoryResult<Rc<Part>> {
        let whole = hits.iter().find(|(shard, _)| shard.is_root());
        let folder = match whole {
            Some(_) => None,
            None => repository.node_at(tree, &format!("data/{}", day.folder()))?.and_then(|node| node.subtree),
        };
        let state = match (whole, folder) {
            (Some((_, found)), _) => found.node.content.clone().unwrap_or_default(),
            (None, folder) => folder.into_iter().collect(),
        };
        let key = (day.to_string(), state);
        if let Some(known) = self.parts.get(&key) {
            return Ok(known.clone());
        }
        let shards: BTreeMap<ShardPrefix, Shard<Node>> = match (whole, folder) {
            (None, Some(folder)) => {
                let prefix = |node: &Node| ShardPrefix::parse(std::str::from_utf8(&node.name).ok()?.strip_suffix(".ndjson")?);
                let nodes = &repository.tree(&folder)?.nodes;
                nodes.iter().filter_map(|node| Some((prefix(node)?, Shard::new(node.clone(), node.size)))).collect()
            }
            _ => hits.iter().map(|(shard, found)| (*shard, Shard::new(found.node.clone(), found.node.size))).collect(),
        };
        let touched: Vec<ShardPrefix> = hits.iter().map(|(shard, _)| *shard).collect();
        let read = |node: &Node| repository.file_bytes(node);
        let done = days::without(shards, &touched, &self.ids, self.limits, &read, &|problem| unusable(&day.to_string(), problem))?;
        let file =
            |(prefix, spans): (ShardPrefix, Option<Vec<Vec<u8>>>)| (format!("data/{}", day.file(&prefix)), spans.and_then(Replaced::new));
        let part = Rc::new(Part { files: done.files.into_iter().map(file).collect(), gone: done.gone, insights: 0 });
        self.parts.insert(key, part.clone());
        Ok(part)
    }

    /// A series of insights without those that were derived from what goes.
    fn insights(&mut self, path: &str, node: &Node, repository: &Repository) -> RepositoryResult<Rc<Part>> {
        self.once(path, node, |without| {
            let all: Vec<(Insight, Vec<u8>)> = lines(path, &repository.file_bytes(node)?)?;
            let count = all.len();
            let derived = |insight: &Insight| insight.derived_from.iter().any(|id| without.ids.contains(id));
            let kept = all.into_iter().filter(|(insight, _)| !derived(insight));
            let kept: Vec<(String, Vec<u8>)> = kept.map(|(insight, line)| (insight.id.to_string(), line)).collect();
            if kept.len() == count {
                return Ok(Part::default());
            }
            let spans = entity_spans(kept.iter().map(|(id, line)| (id.as_str(), line.as_slice())));
            Ok(Part { files: vec![(path.to_owned(), Replaced::new(spans))], insights: (count - kept.len()) as u64, ..Part::default() })
        })
    }

    /// A file of the journal in which nothing is told of what goes.
    fn journal(&mut self, path: &str, node: &Node, repository: &Repository) -> RepositoryResult<Rc<Part>> {
        self.once(path, node, |without| {
            let WithoutMemories { ids, by_id, segments, .. } = without;
            let redacted = segments.file(repository, path, node, ids, by_id)?;
            let files = redacted.spans.map(|spans| (path.to_owned(), Some(Replaced(spans))));
            Ok(Part { files: files.into_iter().collect(), gone: redacted.gone, insights: 0 })
        })
    }

    /// What remaining memories of a bundle name of the media, by path.
    fn live(&mut self, repository: &Repository, memories: Option<Id>) -> RepositoryResult<BTreeSet<(String, Sha256Digest)>> {
        self.naming(repository, memories, |without, path, bytes| {
            let all: Vec<(Memory, Vec<u8>)> = lines(path, bytes)?;
            Ok(all
                .into_iter()
                .filter(|(memory, _)| !without.ids.contains(&memory.id))
                .flat_map(|(memory, _)| memory.media_paths())
                .collect())
        })
    }

    /// What remaining versions in the journal of a bundle name of the media.
    fn kept(&mut self, repository: &Repository, journal: Option<Id>) -> RepositoryResult<BTreeSet<(String, Sha256Digest)>> {
        self.naming(repository, journal, |without, path, bytes| {
            let all: Vec<(Change, Vec<u8>)> = lines(path, bytes)?;
            let others = all.into_iter().filter(|(change, _)| change.entity == Entity::Memory && !is_about(change, &without.ids));
            let mut named = Vec::new();
            for before in others.filter_map(|(change, _)| change.before) {
                let version: Memory = serde_json::from_value(before).map_err(|e| unusable(path, e.to_string()))?;
                named.extend(version.media_paths());
            }
            Ok(named.into())
        })
    }

    fn naming(
        &mut self,
        repository: &Repository,
        folder: Option<Id>,
        read: fn(&Self, &str, &[u8]) -> RepositoryResult<Named>,
    ) -> RepositoryResult<BTreeSet<(String, Sha256Digest)>> {
        let Some(folder) = folder else { return Ok(BTreeSet::new()) };
        let mut all = BTreeSet::new();
        for found in self.by_medium.below(repository, &folder)?.iter() {
            let key = found.node.content.clone().unwrap_or_default();
            let named = match self.named.get(&key) {
                Some(named) => named.clone(),
                None => {
                    let named = read(self, &found.path, &repository.file_bytes(&found.node)?)?;
                    self.named.insert(key, named.clone());
                    named
                }
            };
            all.extend(named.iter().filter(|(_, digest)| self.media.contains(digest)).cloned());
        }
        Ok(all)
    }

    /// The originals that go, and those that only other memories' old versions still name.
    fn media(&mut self, repository: &Repository, tree: &Id, bundle: &Bundle, edits: &mut Vec<Edit>) -> RepositoryResult<()> {
        if self.media.is_empty() {
            return Ok(());
        }
        let live = self.live(repository, bundle.memories)?;
        let kept = self.kept(repository, bundle.journal)?;
        let mut nodes: BTreeMap<Sha256Digest, Node> = BTreeMap::new();
        let gone: BTreeSet<(String, Sha256Digest)> =
            bundle.days.iter().flat_map(|part| &part.gone).flat_map(|memory| memory.media_paths()).collect();
        for (path, digest) in gone {
            let path = format!("data/{path}");
            let Some(node) = repository.node_at(tree, &path)? else { continue };
            nodes.insert(digest, node);
            if !live.iter().any(|(other, _)| path.strip_prefix("data/") == Some(other)) {
                edits.push(Edit::remove(&path));
            }
        }
        for digest in self.media.clone() {
            let path = format!("history/{}", layout::history_media_path(&digest));
            let there = repository.node_at(tree, &path)?;
            let wanted = kept.iter().any(|(_, d)| *d == digest) && !live.iter().any(|(_, d)| *d == digest);
            match (there, nodes.remove(&digest)) {
                (Some(_), _) if !wanted => edits.push(Edit::remove(&path)),
                (None, Some(node)) if wanted => {
                    let name = digest.to_string().into_bytes();
                    let time = node_time(&path);
                    let node = Node { name, mtime: time.clone(), atime: time.clone(), ctime: time, ..node };
                    edits.push(Edit { path: path.into_bytes(), kind: EditKind::Keep(node) });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The head of the bundle, which counts what is in it.
    fn header(&self, repository: &Repository, tree: &Id, bundle: &Bundle) -> RepositoryResult<Option<Edit>> {
        let memories = bundle.days.iter().map(|part| part.gone.len() as u64).sum::<u64>();
        let insights = bundle.others.iter().map(|part| part.insights).sum::<u64>();
        let path = "data/keepsake.json";
        let Some(node) = repository.node_at(tree, path)?.filter(|_| memories + insights > 0) else { return Ok(None) };
        let bytes = repository.file_bytes(&node)?;
        let mut header = bundle::Header::read(&bytes).map_err(|e| unusable(path, e.to_string()))?;
        for (name, gone) in [("memories", memories), ("insights", insights)] {
            if let Some(count) = header.counts.get_mut(name) {
                *count = count.saturating_sub(gone);
            }
        }
        header.counts.retain(|name, count| *count > 0 || name == "memories");
        let meta = FileMeta { time: node_time(path) };
        Ok(Some(Edit::file(path, &meta, Content::Spans(vec![canonical_line(&header)]))))
    }
}

impl Rewriter for WithoutMemories {
    fn edits(&mut self, repository: &Repository, tree: &Id) -> RepositoryResult<Vec<Edit>> {
        let bundle = self.bundle(repository, tree)?;
        let mut edits = Vec::new();
        for (path, replaced) in bundle.parts().flat_map(|part| &part.files) {
            edits.push(match replaced {
                Some(replaced) => Edit::file(path, &FileMeta { time: node_time(path) }, replaced.content(&mut self.sent)),
                None => Edit::remove(path),
            });
        }
        edits.extend(self.header(repository, tree, &bundle)?);
        self.media(repository, tree, &bundle, &mut edits)?;
        edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
        Ok(edits)
    }
}
