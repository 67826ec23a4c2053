//! Backing up an owner's vault.

use std::sync::Arc;

use keepsake_record::OwnerId;
use keepsake_repository::{BackupOutcome, Monitor, RepositoryError, SkippedPath, Totals, process_lives};
use keepsake_vault::{CatalogueRow, Debt, Head, Lease, Outcome, VaultError, backup_lease};
use serde::Serialize;
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::Copy,
    parents::Parent,
    render::Renderer,
    vault_source::{Base, Request, VaultSource},
};

/// The version of the bundle's layout in the repository: an incremental never builds on another.
pub const LAYOUT_VERSION: u32 = 1;

/// Which backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// Everything is read and hashed again.
    Full,
    /// What changed since the last snapshot.
    #[default]
    Incremental,
    /// What changed since the last full snapshot.
    Differential,
}

impl BackupKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Differential => "differential",
        }
    }
}

/// How a backup went.
#[derive(Debug, Clone, Serialize)]
pub struct BackupReport {
    /// What was asked for, or the full backup that was needed instead.
    pub kind: BackupKind,
    /// Why it is another kind than was asked for.
    pub reason: Option<String>,
    /// The snapshot; absent when nothing had changed.
    pub snapshot: Option<String>,
    /// The tree of `data/`.
    pub data_tree: Option<String>,
    /// The last change it holds.
    pub seq: u64,
    /// Memories in it.
    pub memories: u64,
    /// Paths that could not be read, each with the reason and whether the last copy was kept.
    pub skipped: Vec<Skipped>,
    /// Rows that the vault's database gave for what is in it.
    pub rows_read: u64,
    /// Files whose bytes were read.
    pub files_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes added to the repository.
    pub bytes_stored: u64,
    /// Packs written.
    pub packs: u64,
}

/// A path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The path in the bundle or folder.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Whether the last snapshot's copy was kept.
    pub carried: bool,
}

pub(crate) fn skipped(paths: &[SkippedPath]) -> Vec<Skipped> {
    paths.iter().map(|s| Skipped { path: s.path.clone(), reason: s.reason.clone(), carried: s.carried }).collect()
}

impl Custody {
    /// Backs up an owner's vault.
    ///
    /// # Errors
    /// Somebody else backs it up now, the store fails, or somebody asks to stop. What could not be read is in the report.
    pub async fn backup(&self, owner: OwnerId, kind: BackupKind, monitor: Arc<dyn Monitor>) -> CustodyResult<BackupReport> {
        let result = self.leased_backup(owner, kind, monitor).await;
        self.audited_failure(Some(owner), "backup", kind.as_str(), result).await
    }

    async fn leased_backup(&self, owner: OwnerId, kind: BackupKind, monitor: Arc<dyn Monitor>) -> CustodyResult<BackupReport> {
        let lease = self.lease(&backup_lease(owner)).await?;
        let work = async |lease: &Lease| {
            self.pay_copies(Some(owner), monitor.clone()).await?;
            self.end_switch(Some(owner), lease, monitor.clone()).await?;
            self.run_or_heal(owner, kind, monitor, lease).await
        };
        let report = self.while_leased(lease, work).await?;
        self.close_places().await?;
        self.tend_locks(Some(owner)).await?;
        self.tend_locks(None).await?;
        // What could not be written last time is owed, also when nothing else has changed.
        if report.snapshot.is_some() {
            self.owe_system_backup()?;
        }
        self.pay_system_backup().await?;
        Ok(report)
    }

    /// How this process is named in leases.
    pub(crate) fn holder(&self) -> String {
        format!("process {} on {}", self.engine.pid(), self.engine.hostname())
    }

    /// Takes a lease, at once also from a process of this machine that is gone.
    pub(crate) async fn lease(&self, name: &str) -> CustodyResult<Lease> {
        match self.vault.lease(name, &self.holder()).await {
            Err(VaultError::Held { holder, .. }) if self.is_gone(&holder) => {
                self.vault.end_lease_of(name, &holder).await?;
                Ok(self.vault.lease(name, &self.holder()).await?)
            }
            other => Ok(other?),
        }
    }

    pub(crate) fn is_gone(&self, holder: &str) -> bool {
        let process = holder.strip_prefix("process ").and_then(|rest| rest.strip_suffix(&format!(" on {}", self.engine.hostname())));
        process.and_then(|pid| pid.parse().ok()).is_some_and(|pid: u32| pid != self.engine.pid() && !process_lives(pid))
    }

    /// Does what only one process may do at a time; the lease is renewed meanwhile and given back at the end.
    pub(crate) async fn while_leased<T>(&self, lease: Lease, work: impl AsyncFnOnce(&Lease) -> CustodyResult<T>) -> CustodyResult<T> {
        let renewal = self.keep_renewing(lease.clone());
        let result = work(&lease).await;
        renewal.abort();
        self.vault.release(&lease).await?;
        result
    }

    /// Renews a lease until it is aborted.
    fn keep_renewing(&self, lease: Lease) -> tokio::task::JoinHandle<()> {
        let vault = self.vault.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(15)).await;
                // A lease that is lost is noticed before the snapshot is recorded; a database that is busy is asked again.
                if matches!(vault.renew(&lease).await, Ok(false)) {
                    return;
                }
            }
        })
    }

    /// An incremental that meets damage in its parent's trees becomes a full backup, which does not need them.
    async fn run_or_heal(&self, owner: OwnerId, kind: BackupKind, monitor: Arc<dyn Monitor>, lease: &Lease) -> CustodyResult<BackupReport> {
        let result = self.run_backup(owner, kind, monitor.clone(), lease).await;
        match result {
            Err(CustodyError::Repository(error @ RepositoryError::Damaged { .. })) if kind != BackupKind::Full => {
                monitor.problem("the last snapshot", &error.to_string());
                self.run_backup(owner, BackupKind::Full, monitor, lease).await
            }
            other => other,
        }
    }

    async fn run_backup(&self, owner: OwnerId, asked: BackupKind, monitor: Arc<dyn Monitor>, lease: &Lease) -> CustodyResult<BackupReport> {
        self.empty_trash(owner).await?;
        let copy = self.make_copy(Some(owner)).await?;
        let known = self.vault.catalogue(Some(owner)).await?;
        let trusted = self.trusted(copy, !known.is_empty()).await?;
        let (mut trusted, foreign) = self.leave_foreign_lineage(owner, trusted, &known).await?;
        trusted.reason = foreign.or(trusted.reason).or(self.unfinished_rewrite(owner).await?);
        let debts: std::collections::BTreeSet<String> = self.vault.debts(owner).await?.into_iter().map(|d| d.path).collect();
        // Held from here on; nothing else of the vault is asked for while it is.
        let mut snapshot = self.vault.snapshot(owner).await?;
        let head = snapshot.head.clone();
        let (parent, reason) = match (asked, trusted.reason.take()) {
            (BackupKind::Full, _) => (None, None),
            (_, Some(loss)) => (None, Some(loss)),
            _ => self.find_parent(&trusted.copy, &mut snapshot, &head, &known, asked).await?,
        };
        if parent.is_none() {
            trusted = self.distrust_missing(trusted).await?;
        }
        let kind = if parent.is_some() { asked } else { BackupKind::Full };
        if let Some(parent) = &parent
            && parent.row.seq == head.seq
            && debts.is_empty()
            && parent.row.skipped.is_empty()
            && asked == BackupKind::Incremental
        {
            return Ok(unchanged(asked, &head));
        }
        let carry = match &parent {
            Some(parent) => Some(parent.tree),
            None => known.iter().rev().filter(|row| !row.lineage.is_empty()).find_map(|row| row.tree.parse().ok()),
        };
        // What the parent lacks, and what the last backup owed, is written again whatever the journal says.
        let owed = parent.iter().flat_map(|p| p.row.skipped.iter().cloned()).chain(debts).collect();
        let renderer = match parent {
            Some(_) => Renderer::new(snapshot, self.limits).await?,
            None => Renderer::in_pages(snapshot, self.limits, self.vault.clone()).await?,
        };
        let base = parent.as_ref().map(|p| Base { tree: p.tree, seq: p.row.seq, snapshot: p.row.snapshot.parse().ok() });
        let request = Request { kind, base, carry, debts: owed, time: self.now().to_string() };
        let source = VaultSource { owner, vault: self.vault.clone(), limits: self.limits, runtime: tokio::runtime::Handle::current() };
        let (trusted, head, outcome, rows_read) = match source.back_up(trusted, renderer, request, monitor).await? {
            Ok(done) => done,
            Err((error, suspects)) => {
                self.remember_damage(Some(owner), &suspects).await?;
                return Err(error);
            }
        };
        if !self.vault.renew(lease).await? {
            return Err(CustodyError::Refused("another process took this backup over; its snapshot counts".into()));
        }
        let report = self.record(owner, &trusted.copy, kind, reason, &head, parent.as_ref(), &outcome).await?;
        self.remember(&trusted, kind == BackupKind::Full)?;
        Ok(BackupReport { rows_read, ..report })
    }

    async fn record(
        &self,
        owner: OwnerId,
        copy: &Copy,
        kind: BackupKind,
        reason: Option<String>,
        head: &Head,
        parent: Option<&Parent>,
        outcome: &BackupOutcome,
    ) -> CustodyResult<BackupReport> {
        let data_tree = copy.repository.node_at(&outcome.tree, "data")?.and_then(|n| n.subtree).map(|id| id.to_string());
        let now = self.now().micros();
        let row = CatalogueRow {
            snapshot: outcome.snapshot.to_string(),
            tree: outcome.tree.to_string(),
            data_tree: data_tree.clone().unwrap_or_default(),
            kind: kind.as_str().into(),
            parent: parent.map(|p| p.row.snapshot.clone()),
            lineage: head.lineage.clone(),
            seq: head.seq,
            mark: head.mark.clone(),
            layout: LAYOUT_VERSION,
            at: now,
            skipped: outcome.skipped.iter().map(|s| s.path.clone()).collect(),
        };
        let debts: Vec<Debt> =
            outcome.skipped.iter().map(|s| Debt { path: s.path.clone(), reason: s.reason.clone(), since: now }).collect();
        let Totals { files_read, bytes_read, bytes_stored, packs, .. } = outcome.totals;
        let ended = if debts.is_empty() { Outcome::Complete } else { Outcome::Skipped };
        let detail = json!({ "kind": kind.as_str(), "seq": head.seq, "bytes_stored": bytes_stored, "skipped": debts.len() });
        self.vault.record_snapshot(Some(owner), &row, &debts, &self.entry(Some(owner), "backup", &row.snapshot, ended, detail)).await?;
        Ok(BackupReport {
            kind,
            reason,
            snapshot: Some(row.snapshot),
            data_tree,
            seq: head.seq,
            memories: head.memories,
            skipped: skipped(&outcome.skipped),
            rows_read: 0,
            files_read,
            bytes_read,
            bytes_stored,
            packs,
        })
    }
}

fn unchanged(kind: BackupKind, head: &Head) -> BackupReport {
    BackupReport {
        kind,
        reason: None,
        snapshot: None,
        data_tree: None,
        seq: head.seq,
        memories: head.memories,
        skipped: Vec::new(),
        rows_read: 0,
        files_read: 0,
        bytes_read: 0,
        bytes_stored: 0,
        packs: 0,
    }
}
