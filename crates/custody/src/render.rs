//! From rows to the files of the bundle: the whole tree, or only what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_record::{
    Entity, Owner, OwnerId, Sha256Digest, bundle, canonical_line,
    layout::{self, DayPath, SEGMENT_CHANGES, ShardLimits, ShardPrefix, TAIL_PATH},
};
use keepsake_vault::{DayFileRow, Snapshot, Touched};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::{CustodyError, CustodyResult};

/// What a path of the bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Bytes, cut where the format says.
    Spans(Vec<Vec<u8>>),
    /// An original.
    Medium(Sha256Digest),
    /// Nothing any more.
    Gone,
}

/// One path of the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub path: String,
    pub body: Body,
}

impl Rendered {
    fn spans(path: String, spans: Vec<Vec<u8>>) -> Self {
        let body = if spans.is_empty() { Body::Gone } else { Body::Spans(spans) };
        Self { path, body }
    }

    fn whole(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), body: Body::Spans(vec![bytes]) }
    }
}

/// The time that a node of the tree shows: a function of its path, because what it holds is not when it was made.
pub(crate) fn node_time(path: &str) -> String {
    let mut parts = path.split('/').skip(2);
    let date = match (parts.next(), parts.next(), parts.next()) {
        (Some(year), Some(month), name) if year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) && month.len() == 2 => {
            let day = name.and_then(|n| n.get(8..10)).filter(|_| path.starts_with("data/memories/")).unwrap_or("01");
            format!("{year}-{month}-{day}")
        }
        _ => "2000-01-01".into(),
    };
    format!("{date}T00:00:00Z")
}

/// Joins lines into spans, cut where the format says.
fn cut<'a>(lines: impl Iterator<Item = (u64, &'a [u8])>) -> Vec<Vec<u8>> {
    let mut spans = Vec::new();
    let mut span = Vec::new();
    for (key, line) in lines {
        span.extend_from_slice(line);
        span.push(b'\n');
        if layout::cuts_after(key, span.len()) {
            spans.push(std::mem::take(&mut span));
        }
    }
    if !span.is_empty() {
        spans.push(span);
    }
    spans
}

fn day_spans(rows: &[DayFileRow]) -> Vec<Vec<u8>> {
    cut(rows.iter().map(|row| (row.shard, row.record.as_bytes())))
}

fn entity_key(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

const SMALL_FILES: [(Entity, &str); 5] = [
    (Entity::Collection, "collections.ndjson"),
    (Entity::Consent, "consents.ndjson"),
    (Entity::Person, "people.ndjson"),
    (Entity::Place, "places.ndjson"),
    (Entity::Tag, "tags.ndjson"),
];

/// What a renderer sends: a path, or `None` once the whole bundle was sent.
pub(crate) type Message = CustodyResult<Option<Rendered>>;

/// Receives what a renderer sends. A renderer that ends without saying so has died: that is an error, not the end.
pub(crate) struct RenderedStream {
    messages: mpsc::Receiver<Message>,
    ended: bool,
}

impl RenderedStream {
    pub fn new(messages: mpsc::Receiver<Message>) -> Self {
        Self { messages, ended: false }
    }

    pub async fn next(&mut self) -> Option<CustodyResult<Rendered>> {
        if self.ended {
            return None;
        }
        let message = self.messages.recv().await;
        self.take(message)
    }

    /// As [`RenderedStream::next`], on a thread that may block.
    pub fn blocking_next(&mut self) -> Option<CustodyResult<Rendered>> {
        if self.ended {
            return None;
        }
        let message = self.messages.blocking_recv();
        self.take(message)
    }

    fn take(&mut self, message: Option<Message>) -> Option<CustodyResult<Rendered>> {
        let next = match message {
            Some(message) => message.transpose(),
            None => Some(Err(CustodyError::Damaged("reading the vault ended before its end".into()))),
        };
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Renders one state of an owner's data.
pub(crate) struct Renderer {
    pub snapshot: Snapshot,
    pub owner: Owner,
    pub limits: ShardLimits,
}

impl Renderer {
    pub async fn new(mut snapshot: Snapshot, limits: ShardLimits) -> CustodyResult<Self> {
        let owner = snapshot.owner().await?;
        Ok(Self { snapshot, owner, limits })
    }

    async fn header(&mut self) -> CustodyResult<Rendered> {
        let counts = self.snapshot.counts().await?;
        Ok(Rendered::whole("data/keepsake.json", canonical_line(&bundle::Header::new(self.owner.id, counts))))
    }

    fn owner_file(&self) -> Rendered {
        Rendered::whole("data/owner.json", canonical_line(&self.owner))
    }

    async fn entity_file(&mut self, entity: Entity, name: Option<&str>, path: &str) -> CustodyResult<Rendered> {
        let lines = self.snapshot.entity_lines(entity, name).await?;
        let spans = cut(lines.iter().map(|(id, record)| (entity_key(id), record.as_bytes())));
        Ok(Rendered::spans(format!("data/{path}"), spans))
    }

    /// The whole bundle, in the order that trees need.
    pub async fn whole(mut self, with_history: bool, out: mpsc::Sender<Message>) {
        let last = self.send_whole(with_history, &out).await.map(|()| None);
        // The reader has gone when this fails: then nobody waits for the end either.
        drop(out.send(last).await);
    }

    async fn send_whole(&mut self, with_history: bool, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
        let send = async |rendered: Rendered| -> CustodyResult<()> {
            if rendered.body != Body::Gone {
                drop(out.send(Ok(Some(rendered))).await);
            }
            Ok(())
        };
        let (before, after) = SMALL_FILES.split_at(2);
        for (entity, path) in before {
            send(self.entity_file(*entity, None, path).await?).await?;
        }
        let mut names = self.snapshot.insight_names().await?;
        // As files they sort with their ending: `a-b.ndjson` before `a.ndjson`.
        names.sort_by_key(|name| format!("{name}.ndjson"));
        for name in names {
            send(self.entity_file(Entity::Insight, Some(&name), &format!("insights/{name}.ndjson")).await?).await?;
        }
        send(self.header().await?).await?;
        let mut last = String::new();
        loop {
            let page = self.snapshot.media_after(&last, 1000).await?;
            let Some((path, _)) = page.last() else { break };
            last.clone_from(path);
            for (path, digest) in page {
                send(Rendered { path: format!("data/{path}"), body: Body::Medium(digest) }).await?;
            }
        }
        let mut day = String::new();
        loop {
            let page = self.snapshot.days_after(&day, 400).await?;
            let Some(last) = page.last().and_then(DayPath::day) else { break };
            day = last.to_string();
            for path in page {
                for rendered in self.whole_day(path).await? {
                    send(rendered).await?;
                }
            }
        }
        for rendered in self.whole_day(DayPath::new(None)).await? {
            send(rendered).await?;
        }
        send(self.owner_file()).await?;
        for (entity, path) in after {
            send(self.entity_file(*entity, None, path).await?).await?;
        }
        if with_history {
            self.send_history(out).await?;
        }
        Ok(())
    }

    async fn send_history(&mut self, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
        let seq = self.snapshot.head.seq;
        drop(out.send(Ok(Some(self.history_head().await?))).await);
        // Segment folders sort as text: 1/f before 2/10, all before the tail.
        for segment in 0..seq / SEGMENT_CHANGES {
            drop(out.send(Ok(Some(self.segment(segment).await?))).await);
        }
        let tail = self.tail().await?;
        if tail.body != Body::Gone {
            drop(out.send(Ok(Some(tail))).await);
        }
        let mut last = String::new();
        loop {
            let page = self.snapshot.history_media_after(&last, 1000).await?;
            let Some(digest) = page.last() else { return Ok(()) };
            last = digest.to_string();
            for digest in page {
                let path = format!("history/{}", layout::history_media_path(&digest));
                drop(out.send(Ok(Some(Rendered { path, body: Body::Medium(digest) }))).await);
            }
        }
    }

    /// All files of one day, in order.
    async fn whole_day(&mut self, day: DayPath) -> CustodyResult<Vec<Rendered>> {
        let (count, bytes) = self.snapshot.measure(day, ShardPrefix::ROOT, self.limits.memories_max + 1).await?;
        let mut out = Vec::new();
        if count == 0 {
            return Ok(out);
        }
        if layout::is_leaf(count, bytes, 0, self.limits) {
            let rows = self.snapshot.day_rows(day, ShardPrefix::ROOT).await?;
            out.push(Rendered::spans(format!("data/{}", day.file(&ShardPrefix::ROOT)), day_spans(&rows)));
            return Ok(out);
        }
        let mut nodes = vec![ShardPrefix::ROOT.child(true), ShardPrefix::ROOT.child(false)];
        while let Some(node) = nodes.pop() {
            let (count, bytes) = self.snapshot.measure(day, node, self.limits.memories_max + 1).await?;
            if count == 0 {
                continue;
            }
            if layout::is_leaf(count, bytes, node.depth(), self.limits) {
                let rows = self.snapshot.day_rows(day, node).await?;
                out.push(Rendered::spans(format!("data/{}", day.file(&node)), day_spans(&rows)));
            } else {
                nodes.extend([node.child(true), node.child(false)]);
            }
        }
        Ok(out)
    }

    async fn history_head(&mut self) -> CustodyResult<Rendered> {
        let oldest = self.snapshot.oldest().await?.map(|(_, at)| keepsake_record::Timestamp::from_micros(at)).transpose()?;
        let head = &self.snapshot.head;
        let history = bundle::History { lineage: head.lineage.clone(), mark: head.mark.clone(), oldest, seq: head.seq };
        Ok(Rendered::whole("history/history.json", canonical_line(&history)))
    }

    async fn changes(&mut self, path: String, after: u64, to: u64) -> CustodyResult<Rendered> {
        let changes = self.snapshot.changes(after, to).await?;
        let lines: Vec<(u64, Vec<u8>)> =
            changes.iter().map(|change| (if change.seq % 64 == 0 { 0 } else { 1 }, canonical_line(change))).collect();
        Ok(Rendered::spans(format!("history/{path}"), cut(lines.iter().map(|(key, line)| (*key, line.as_slice())))))
    }

    async fn segment(&mut self, segment: u64) -> CustodyResult<Rendered> {
        self.changes(layout::segment_path(segment), segment * SEGMENT_CHANGES, (segment + 1) * SEGMENT_CHANGES).await
    }

    async fn tail(&mut self) -> CustodyResult<Rendered> {
        let seq = self.snapshot.head.seq;
        self.changes(TAIL_PATH.into(), seq / SEGMENT_CHANGES * SEGMENT_CHANGES, seq).await
    }

    /// What the changes after `seq` make of the bundle. `parent` tells which files a day had; `debts` are paths to write
    /// again whatever the changes say.
    pub async fn changed(&mut self, seq: u64, parent: &dyn ParentDays, debts: &BTreeSet<String>) -> CustodyResult<Vec<Rendered>> {
        let mut touched = self.snapshot.touched_since(seq).await?;
        let mut out: BTreeMap<String, Rendered> = BTreeMap::new();
        let mut add = |rendered: Rendered| drop(out.insert(rendered.path.clone(), rendered));
        self.debts(debts, &mut touched);
        add(self.header().await?);
        if touched.files.contains("owner.json") {
            add(self.owner_file());
        }
        for (entity, path) in SMALL_FILES {
            if touched.files.contains(path) {
                add(self.entity_file(entity, None, path).await?);
            }
        }
        for path in touched.files.iter().filter(|p| p.starts_with("insights/")) {
            let name = path.strip_prefix("insights/").and_then(|p| p.strip_suffix(".ndjson")).unwrap_or_default();
            add(self.entity_file(Entity::Insight, Some(name), path).await?);
        }
        for (day, keys) in &touched.days {
            for rendered in self.changed_day(*day, keys, parent).await? {
                add(rendered);
            }
        }
        let mut history_media = touched.history_media;
        for path in &touched.media {
            let digest = self.snapshot.medium_at(path).await?;
            history_media.extend(digest);
            add(Rendered { path: format!("data/{path}"), body: digest.map_or(Body::Gone, Body::Medium) });
        }
        for digest in history_media {
            let body = if self.snapshot.only_in_history(&digest).await? { Body::Medium(digest) } else { Body::Gone };
            add(Rendered { path: format!("history/{}", layout::history_media_path(&digest)), body });
        }
        add(self.history_head().await?);
        let sealed = self.snapshot.head.seq / SEGMENT_CHANGES;
        for segment in seq / SEGMENT_CHANGES..sealed {
            add(self.segment(segment).await?);
        }
        add(self.tail().await?);
        Ok(out.into_values().collect())
    }

    fn debts(&self, debts: &BTreeSet<String>, touched: &mut Touched) {
        for path in debts {
            if let Some(digest) = path.strip_prefix("history/media/").and_then(|d| d.parse().ok()) {
                touched.history_media.insert(digest);
            } else if let Some(path) = path.strip_prefix("data/media/") {
                touched.media.insert(format!("media/{path}"));
            }
        }
    }

    /// The files of a day that hold touched memories, and the ones that go because the day was cut anew.
    async fn changed_day(&mut self, day: DayPath, keys: &BTreeSet<u64>, parent: &dyn ParentDays) -> CustodyResult<Vec<Rendered>> {
        let before = parent.leaves(&day)?;
        let mut out = Vec::new();
        let mut nodes = vec![ShardPrefix::ROOT];
        while let Some(node) = nodes.pop() {
            let (low, high) = node.range();
            let covered = before.iter().any(|leaf| leaf.depth() < node.depth() && leaf.contains(low));
            if !covered && !node.is_root() && keys.range(low..=high).next().is_none() {
                // Nothing below was touched and its files are files of its own: they are as they were.
                continue;
            }
            let (count, bytes) = self.snapshot.measure(day, node, self.limits.memories_max + 1).await?;
            if count > 0 && !layout::is_leaf(count, bytes, node.depth(), self.limits) {
                if before.contains(&node) {
                    out.push(Rendered { path: format!("data/{}", day.file(&node)), body: Body::Gone });
                }
                nodes.extend([node.child(true), node.child(false)]);
                continue;
            }
            let rows = if count > 0 { self.snapshot.day_rows(day, node).await? } else { Vec::new() };
            out.push(Rendered::spans(format!("data/{}", day.file(&node)), day_spans(&rows)));
            let below = before.iter().filter(|leaf| leaf.depth() > node.depth() && node.contains(leaf.range().0));
            out.extend(below.map(|leaf| Rendered { path: format!("data/{}", day.file(leaf)), body: Body::Gone }));
        }
        Ok(out)
    }
}

/// Which files a day has in the parent snapshot.
pub(crate) trait ParentDays: Send + Sync {
    /// The prefixes of the day's files; the root alone when it is one file.
    fn leaves(&self, day: &DayPath) -> CustodyResult<Vec<ShardPrefix>>;
}

/// The data ID of a state: SHA-256 over the lines `SHA-256, two spaces, path` of all files below `data/`, sorted by path.
/// It does not depend on how a repository cuts or seals, and anybody can compute it from an export's manifest.
pub(crate) async fn data_id(renderer: Renderer) -> CustodyResult<Sha256Digest> {
    let (out, rendered) = mpsc::channel(64);
    tokio::spawn(renderer.whole(false, out));
    let mut rendered = RenderedStream::new(rendered);
    let mut lines: BTreeMap<String, Sha256Digest> = BTreeMap::new();
    while let Some(next) = rendered.next().await {
        let Rendered { path, body } = next?;
        let digest = match body {
            Body::Medium(digest) => digest,
            Body::Spans(spans) => {
                let mut hasher = Sha256::new();
                spans.iter().for_each(|span| hasher.update(span));
                Sha256Digest::from_bytes(hasher.finalize().into())
            }
            Body::Gone => continue,
        };
        lines.insert(path, digest);
    }
    let mut hasher = Sha256::new();
    for (path, digest) in lines {
        hasher.update(format!("{digest}  {path}\n"));
    }
    Ok(Sha256Digest::from_bytes(hasher.finalize().into()))
}

/// Opens originals for the engine and for exports.
#[derive(Clone)]
pub(crate) struct MediaReader {
    pub vault: Arc<keepsake_vault::Vault>,
    pub owner: OwnerId,
}

impl MediaReader {
    pub fn open(&self, digest: &Sha256Digest) -> std::io::Result<Box<dyn std::io::Read>> {
        Ok(Box::new(self.vault.open_medium(self.owner, digest).map_err(std::io::Error::other)?))
    }
}
