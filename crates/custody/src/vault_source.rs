//! The vault as the engine's source: an incremental takes what changed, a full backup reads page by page and takes what
//! changed meanwhile once more. Neither holds a transaction while the engine works.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use keepsake_record::{OwnerId, layout::ShardLimits};
use keepsake_repository::{
    BackupOutcome, BackupRequest, Content, Edit, EditStream, FileMeta, Id, Monitor, Repository, RepositoryError, Snapshot,
};
use keepsake_vault::{Head, Vault};
use tokio::sync::mpsc;

use crate::{
    BackupKind, CustodyError, CustodyResult, LAYOUT_VERSION,
    copies::blocking,
    parents::RepositoryDays,
    render::{Body, MediaReader, Rendered, RenderedStream, Renderer, node_time},
    trust::Trusted,
};

/// The snapshot that an incremental or differential builds on.
pub(crate) struct Base {
    pub tree: Id,
    /// The last change it holds.
    pub seq: u64,
    pub snapshot: Option<Id>,
}

/// What one run is about.
pub(crate) struct Request {
    pub kind: BackupKind,
    pub base: Option<Base>,
    /// Where to look for what the media store can no longer give.
    pub carry: Option<Id>,
    /// Paths to write again whatever the journal says.
    pub debts: BTreeSet<String>,
    /// When it began, RFC 3339.
    pub time: String,
}

/// The repository, where the history stands in the snapshot, what the engine did and how many rows the vault gave; or why it failed, and
/// which packs it could not read.
pub(crate) type EngineResult = Result<(Trusted, Head, BackupOutcome, u64), (CustodyError, Vec<Id>)>;

/// An owner's vault.
pub(crate) struct VaultSource {
    pub owner: OwnerId,
    pub vault: Vault,
    pub limits: ShardLimits,
    pub runtime: tokio::runtime::Handle,
}

/// Where the history stands in the snapshot, what the engine did, and how many rows the vault gave for it.
type Backed = (Head, BackupOutcome, u64);

impl VaultSource {
    /// Runs the engine on a thread that may block.
    pub async fn back_up(
        self,
        trusted: Trusted,
        renderer: Renderer,
        request: Request,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<EngineResult> {
        blocking(move || {
            let repository = &trusted.copy.repository;
            monitor.stage(if request.kind == BackupKind::Full { "backing up everything" } else { "backing up changes" }, None, None);
            let result = match &request.base {
                Some(base) => self.incremental(repository, renderer, base, &request, &*monitor),
                None => self.full(repository, renderer, &request, &*monitor),
            };
            Ok(match result {
                Ok((head, outcome, rows)) => Ok((trusted, head, outcome, rows)),
                Err(error) => Err((error, trusted.copy.repository.suspects())),
            })
        })
        .await
    }

    /// What changed since the base, read in one short transaction.
    fn incremental(
        &self,
        repository: &Repository,
        renderer: Renderer,
        base: &Base,
        request: &Request,
        monitor: &dyn Monitor,
    ) -> CustodyResult<Backed> {
        let (head, rows) = (renderer.head.clone(), renderer.rows());
        let edits = self.changed(repository, base.tree, base.seq, renderer, &request.debts)?.into_iter().map(Ok);
        let snapshot = self.snapshot(request, &head);
        let request =
            BackupRequest { parent_tree: Some(base.tree), carry_tree: request.carry, edits: Box::new(edits), replay: None, snapshot };
        Ok((head, repository.backup(request, monitor)?, rows.load(Ordering::Relaxed)))
    }

    /// Everything, read in pages; then what changed since the first page once more, read in one short transaction.
    fn full(&self, repository: &Repository, renderer: Renderer, request: &Request, monitor: &dyn Monitor) -> CustodyResult<Backed> {
        let (began, rows) = (renderer.head.clone(), renderer.rows());
        let mut again = Arc::<AtomicU64>::default();
        let mut head = began.clone();
        let (out, rendered) = mpsc::channel(64);
        self.runtime.spawn(renderer.whole(true, out));
        let mut stream = RenderedStream::new(rendered);
        let edits = std::iter::from_fn(|| stream.blocking_next()).map(|next| next.map(|r| self.edit(r)).map_err(into_engine));
        let replay = |tree: &Id| {
            let (now, edits, read) = self.replay(repository, *tree, &began).map_err(into_engine)?;
            again = read;
            let snapshot = self.snapshot(request, &now);
            head = now;
            Ok((Box::new(edits.into_iter().map(Ok)) as EditStream<'_>, snapshot))
        };
        let snapshot = self.snapshot(request, &began);
        let carry_tree = request.carry;
        let request = BackupRequest { parent_tree: None, carry_tree, edits: Box::new(edits), replay: Some(Box::new(replay)), snapshot };
        let outcome = repository.backup(request, monitor)?;
        Ok((head, outcome, rows.load(Ordering::Relaxed) + again.load(Ordering::Relaxed)))
    }

    /// The snapshot to write; where the history stands is in its tags.
    fn snapshot(&self, request: &Request, head: &Head) -> Snapshot {
        Snapshot {
            parent: request.base.as_ref().and_then(|base| base.snapshot),
            tags: tags(self.owner, request.kind.as_str(), &head.lineage, head.seq, &head.mark),
            ..Snapshot::new(request.time.clone(), "/keepsake", concat!("keepsake ", env!("CARGO_PKG_VERSION")))
        }
    }

    fn replay(&self, repository: &Repository, tree: Id, began: &Head) -> CustodyResult<(Head, Vec<Edit>, Arc<AtomicU64>)> {
        let renderer = self.runtime.block_on(async {
            let mut snapshot = self.vault.snapshot(self.owner).await?;
            let same = began.seq == 0 || snapshot.mark_at(began.seq).await?.as_ref() == Some(&began.mark);
            if snapshot.head.lineage != began.lineage || snapshot.head.seq < began.seq || !same {
                return Err(CustodyError::Refused("the vault was replaced by another copy during the backup: run it again".into()));
            }
            Renderer::new(snapshot, self.limits).await
        })?;
        let (head, rows) = (renderer.head.clone(), renderer.rows());
        Ok((head, self.changed(repository, tree, began.seq, renderer, &BTreeSet::new())?, rows))
    }

    /// The edits that changes make over a tree, in its order.
    fn changed(
        &self,
        repository: &Repository,
        tree: Id,
        since: u64,
        mut renderer: Renderer,
        debts: &BTreeSet<String>,
    ) -> CustodyResult<Vec<Edit>> {
        let days = RepositoryDays { repository, tree };
        let changed = self.runtime.block_on(renderer.changed(since, &days, debts))?;
        drop(renderer);
        let mut edits: Vec<Edit> = Vec::with_capacity(changed.len());
        for rendered in changed {
            // An original is a function of its path: where the parent has it, it is as it was.
            let known = matches!(rendered.body, Body::Medium(_)) && !debts.contains(&rendered.path);
            if !known || repository.node_at(&tree, &rendered.path)?.is_none() {
                edits.push(self.edit(rendered));
            }
        }
        edits.sort_by(|a, b| Edit::order(&a.path, &b.path));
        Ok(edits)
    }

    fn edit(&self, rendered: Rendered) -> Edit {
        let meta = FileMeta { time: node_time(&rendered.path) };
        match rendered.body {
            Body::Gone => Edit::remove(&rendered.path),
            Body::Spans(spans) => Edit::file(&rendered.path, &meta, Content::Spans(spans)),
            Body::Medium(digest) => {
                let media = MediaReader { vault: Arc::new(self.vault.clone()), owner: self.owner };
                Edit::file(&rendered.path, &meta, Content::Stream(Box::new(move || media.open(&digest))))
            }
        }
    }
}

/// What a snapshot of a vault says of itself.
pub(crate) fn tags(owner: OwnerId, kind: &str, lineage: &str, seq: u64, mark: &str) -> Vec<String> {
    vec![
        "keepsake-bundle".into(),
        format!("layout={LAYOUT_VERSION}"),
        format!("owner={owner}"),
        format!("kind={kind}"),
        format!("lineage={lineage}"),
        format!("seq={seq}"),
        format!("mark={mark}"),
    ]
}

/// An error of the vault while the engine reads from it.
fn into_engine(error: CustodyError) -> RepositoryError {
    match error {
        CustodyError::Repository(error) => error,
        other => RepositoryError::Outside { path: "the vault".into(), source: std::io::Error::other(other.to_string()) },
    }
}
