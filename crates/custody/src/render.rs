//! From rows to the files of the bundle: the whole tree, or only what changed.

mod changed;
mod data_id;
mod spans;
mod stream;
mod whole;

use std::sync::{Arc, atomic::AtomicU64};

use keepsake_record::{
    Entity, Owner, Sha256Digest, bundle, canonical_line,
    layout::{self, SEGMENT_CHANGES, ShardLimits, TAIL_PATH},
};
use keepsake_vault::{Head, Snapshot, Vault};

pub(crate) use self::{
    changed::ParentDays,
    data_id::data_id,
    spans::{change_key, change_spans, day_spans, entity_spans, memory_spans, node_time},
    stream::{MediaReader, Message, RenderedStream},
};
use crate::CustodyResult;

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

    /// Its bytes in memory.
    fn length(&self) -> usize {
        match &self.body {
            Body::Spans(spans) => spans.iter().map(Vec::len).sum(),
            Body::Medium(_) | Body::Gone => 0,
        }
    }

    fn whole(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), body: Body::Spans(vec![bytes]) }
    }
}

const SMALL_FILES: [(Entity, &str); 5] = [
    (Entity::Collection, "collections.ndjson"),
    (Entity::Consent, "consents.ndjson"),
    (Entity::Person, "people.ndjson"),
    (Entity::Place, "places.ndjson"),
    (Entity::Tag, "tags.ndjson"),
];

/// Renders an owner's data: one state of it, or, for readers that write what changed meanwhile once more, page by page
/// whatever is there.
pub(crate) struct Renderer {
    pub owner: Owner,
    pub limits: ShardLimits,
    /// Where the history stood when rendering began.
    pub head: Head,
    /// How many rows were read.
    rows: Arc<AtomicU64>,
    state: Option<Snapshot>,
    pages: Option<Vault>,
    page: Vec<Rendered>,
    page_bytes: usize,
    /// Nobody receives any more what is sent.
    unheard: bool,
}

impl Renderer {
    /// Renders one state, in the transaction that holds it.
    pub async fn new(snapshot: Snapshot, limits: ShardLimits) -> CustodyResult<Self> {
        let rows = Arc::<AtomicU64>::default();
        let mut snapshot = snapshot.counting_in(rows.clone());
        let owner = snapshot.owner().await?;
        Ok(Self {
            owner,
            limits,
            head: snapshot.head.clone(),
            rows,
            state: Some(snapshot),
            pages: None,
            page: Vec::new(),
            page_bytes: 0,
            unheard: false,
        })
    }

    /// As [`Renderer::new`], letting go of the state after each page.
    pub async fn in_pages(snapshot: Snapshot, limits: ShardLimits, vault: Vault) -> CustodyResult<Self> {
        let mut renderer = Self::new(snapshot, limits).await?;
        renderer.state = None;
        renderer.pages = Some(vault);
        Ok(renderer)
    }

    /// The count of rows that were read, here and wherever it is shared with.
    pub fn rows(&self) -> Arc<AtomicU64> {
        self.rows.clone()
    }

    /// What is read now.
    async fn state(&mut self) -> CustodyResult<&mut Snapshot> {
        if let (None, Some(vault)) = (&self.state, &self.pages) {
            self.state = Some(vault.snapshot(self.owner.id).await?.counting_in(self.rows.clone()));
        }
        self.state.as_mut().ok_or_else(|| crate::CustodyError::Damaged("the state that is rendered was let go".into()))
    }

    async fn header(&mut self) -> CustodyResult<Rendered> {
        let counts = self.state().await?.counts().await?;
        Ok(Rendered::whole("data/keepsake.json", canonical_line(&bundle::Header::new(self.owner.id, counts))))
    }

    fn owner_file(&self) -> Rendered {
        Rendered::whole("data/owner.json", canonical_line(&self.owner))
    }

    async fn entity_file(&mut self, entity: Entity, name: Option<&str>, path: &str) -> CustodyResult<Rendered> {
        let lines = self.state().await?.entity_lines(entity, name).await?;
        let spans = entity_spans(lines.iter().map(|(id, record)| (id.as_str(), record.as_bytes())));
        Ok(Rendered::spans(format!("data/{path}"), spans))
    }

    async fn history_head(&mut self) -> CustodyResult<Rendered> {
        let oldest = self.state().await?.oldest().await?.map(|(_, at)| keepsake_record::Timestamp::from_micros(at)).transpose()?;
        let head = &self.head;
        let history = bundle::History { lineage: head.lineage.clone(), mark: head.mark.clone(), oldest, seq: head.seq };
        Ok(Rendered::whole("history/history.json", canonical_line(&history)))
    }

    async fn changes(&mut self, path: String, after: u64, to: u64) -> CustodyResult<Rendered> {
        let changes = self.state().await?.changes(after, to).await?;
        let lines: Vec<(u64, Vec<u8>)> = changes.iter().map(|change| (change.seq, canonical_line(change))).collect();
        Ok(Rendered::spans(format!("history/{path}"), change_spans(lines.iter().map(|(seq, line)| (*seq, line.as_slice())))))
    }

    async fn segment(&mut self, segment: u64) -> CustodyResult<Rendered> {
        self.changes(layout::segment_path(segment), segment * SEGMENT_CHANGES, (segment + 1) * SEGMENT_CHANGES).await
    }

    async fn tail(&mut self) -> CustodyResult<Rendered> {
        let seq = self.head.seq;
        self.changes(TAIL_PATH.into(), seq / SEGMENT_CHANGES * SEGMENT_CHANGES, seq).await
    }
}
