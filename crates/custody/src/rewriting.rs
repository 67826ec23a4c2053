//! Taking things out of snapshots that exist already: memories out of the vault's, paths out of those of folders. Every
//! snapshot is made again without them, what only the old ones needed leaves the repository, and its absence is proved.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_record::{MemoryId, OwnerId};
use keepsake_repository::{Blobs, Id, Monitor, Protected, PruneOptions, RepositoryResult, Rewriter, Rewritten, Snapshot, WithoutPaths};
use keepsake_vault::{CatalogueRow, Lease, Outcome, Remade, backup_lease};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking},
    snapshots::is_bundle,
    without::WithoutMemories,
};

/// What is taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Without {
    /// Memories, out of all snapshots of the vault, with their old versions, media and insights.
    Memories(BTreeSet<MemoryId>),
    /// Paths, with everything below them, out of all snapshots of folders.
    Paths(Vec<String>),
}

/// What a rewrite would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RewritePlan {
    /// What is taken out.
    pub without: Without,
    /// The snapshots that would be made again, oldest first.
    pub snapshots: Vec<String>,
    /// How many there are of the kind that is looked through.
    pub looked_through: usize,
    /// How many of the memories were found, old versions included.
    pub memories: usize,
}

/// What a rewrite did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RewriteReport {
    /// The snapshots that were made again: old and new id.
    pub snapshots: Vec<(String, String)>,
    /// Pieces of content and folders that are gone, each looked for in every pack's header and by trying to read it.
    pub proved_gone: usize,
    /// Bytes that the repository holds less.
    pub freed_bytes: u64,
    /// Packs that are gone.
    pub packs_removed: u64,
    /// Packs that were written.
    pub packs_written: u64,
}

/// One look through all snapshots.
struct Pass {
    made: Vec<(String, String)>,
    gone: Blobs,
    /// The snapshots that were looked through or made.
    known: BTreeSet<Id>,
}

/// The fact that memories are being taken out: backups do not build on snapshots that may still hold them.
fn pending_fact(owner: OwnerId) -> String {
    format!("rewriting {owner}")
}

fn of_kind(without: &Without, snapshot: &Snapshot) -> bool {
    is_bundle(snapshot) == matches!(without, Without::Memories(_))
}

impl Custody {
    /// Looks through all snapshots for what is to be taken out.
    ///
    /// # Errors
    /// There is no repository, a snapshot is damaged, or a memory is still in the vault.
    pub async fn plan_rewrite(&self, owner: OwnerId, without: &Without, monitor: Arc<dyn Monitor>) -> CustodyResult<RewritePlan> {
        let result = async {
            self.refuse_living(owner, without).await?;
            let copy = self.existing_copy(Some(owner)).await?;
            let (without, limits) = (without.clone(), self.limits);
            blocking(move || {
                copy.repository.load_index()?;
                let snapshots = sound_snapshots(&copy, &without)?;
                monitor.stage("looking through snapshots", Some(snapshots.len() as u64), None);
                let (mut rewriter, memories) = rewriter(&without, limits, &copy, &snapshots)?;
                let mut concerned = Vec::new();
                for (id, snapshot) in &snapshots {
                    if !rewriter.edits(&copy.repository, &snapshot.tree)?.is_empty() {
                        concerned.push(id.to_string());
                    }
                    monitor.advance(1, 0);
                }
                Ok(RewritePlan { without, snapshots: concerned, looked_through: snapshots.len(), memories })
            })
            .await
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.rewrite.plan", "", result).await
    }

    /// Takes things out of all snapshots. What was told of a memory in the live journal goes first, so that no later backup
    /// brings it back; then the snapshots are made again, what nobody needs any more is pruned, and its absence is proved.
    /// Cut off anywhere, doing it again ends the work; until then backups are full ones.
    ///
    /// # Errors
    /// A memory is still in the vault, a backup runs, others work on the repository, something is damaged, or the proof
    /// finds what should be gone.
    pub async fn rewrite_snapshots(&self, owner: OwnerId, without: &Without, monitor: Arc<dyn Monitor>) -> CustodyResult<RewriteReport> {
        let result = async {
            // What an earlier run was cut off from goes with this one.
            let without = &self.with_pending(owner, without).await?;
            self.refuse_living(owner, without).await?;
            let lease = self.lease(&backup_lease(owner)).await?;
            self.while_leased(lease, async |lease| self.run_rewrite(owner, without, monitor, lease).await).await
        };
        let result = result.await;
        self.audited_failure(Some(owner), "snapshot.rewrite", "", result).await
    }

    /// What a rewrite that was begun and has not ended takes out.
    async fn pending(&self, owner: OwnerId) -> CustodyResult<Option<Without>> {
        let Some(text) = self.vault.fact(&pending_fact(owner)).await?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| CustodyError::Damaged(format!("what is being taken out of the snapshots: {e}")))
    }

    async fn with_pending(&self, owner: OwnerId, without: &Without) -> CustodyResult<Without> {
        Ok(match (self.pending(owner).await?, without) {
            (None, without) => without.clone(),
            (Some(Without::Memories(pending)), Without::Memories(ids)) => Without::Memories(pending.union(ids).copied().collect()),
            (Some(Without::Paths(pending)), Without::Paths(paths)) => Without::Paths(pending.iter().chain(paths).cloned().collect()),
            (Some(pending), _) => return Err(CustodyError::Refused(unfinished(&pending))),
        })
    }

    /// For verbs that would bring back what is being taken out, or not reach it.
    pub(crate) async fn refuse_while_rewriting(&self, owner: OwnerId) -> CustodyResult<()> {
        self.pending(owner).await?.map_or(Ok(()), |pending| Err(CustodyError::Refused(unfinished(&pending))))
    }

    /// Why no backup may build on the snapshots there are, if a rewrite was begun and has not ended.
    pub(crate) async fn unfinished_rewrite(&self, owner: OwnerId) -> CustodyResult<Option<String>> {
        let memories = self.pending(owner).await?.filter(|pending| matches!(pending, Without::Memories(_)));
        Ok(memories.map(|pending| unfinished(&pending)))
    }

    /// Every recorded snapshot must be there: what is made of a repository would lack it for good.
    pub(crate) async fn refuse_if_snapshots_miss(&self, owner: Option<OwnerId>, copy: Copy) -> CustodyResult<Copy> {
        let rows = self.vault.catalogue(owner).await?;
        blocking(move || {
            let there: BTreeSet<String> = copy.repository.snapshot_ids()?.iter().map(Id::to_string).collect();
            let recorded = rows.iter();
            match recorded.map(|row| &row.snapshot).find(|id| !there.contains(*id)) {
                None => Ok(copy),
                Some(id) => Err(CustodyError::Damaged(format!("snapshot {} is missing: `keepsake repair` comes first", &id[..8]))),
            }
        })
        .await
    }

    /// A memory that still lives would come back with the next backup.
    async fn refuse_living(&self, owner: OwnerId, without: &Without) -> CustodyResult<()> {
        let Without::Memories(ids) = without else { return Ok(()) };
        for id in ids {
            if self.vault.memory(owner, id).await?.is_some_and(|row| !row.trashed) {
                let next = "`keepsake memory delete` puts it into the trash, from which this takes it for good";
                return Err(CustodyError::Refused(format!("memory {id} is in the vault and would come back with the next backup: {next}")));
            }
        }
        Ok(())
    }

    async fn run_rewrite(
        &self,
        owner: OwnerId,
        without: &Without,
        monitor: Arc<dyn Monitor>,
        lease: &Lease,
    ) -> CustodyResult<RewriteReport> {
        self.refuse_while_reencrypting(Some(owner)).await?;
        self.pay_copies_first(Some(owner), monitor.clone()).await?;
        let copy = self.existing_copy(Some(owner)).await?;
        let copy = self.match_remade(owner, copy).await?;
        let mut copy = self.refuse_if_snapshots_miss(Some(owner), copy).await?;
        let begun = self.entry(Some(owner), "snapshot.rewrite.begin", "", Outcome::Complete, json!({ "without": without }));
        let pending = serde_json::to_string(without).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        self.vault.set_fact(&pending_fact(owner), &pending, &begun).await?;
        if let Without::Memories(ids) = without {
            let mut write = self.vault.write(owner, &self.actor).await?;
            let mut told = false;
            for id in ids {
                told |= write.redact_memory(id).await?;
            }
            if told {
                write.commit(&self.done(owner, "journal.redact", "")).await?;
            } else {
                drop(write);
            }
            // The words that are searched for, too.
            self.vault.index_all(owner).await?;
        }
        let mut report = RewriteReport::default();
        loop {
            let pass;
            (copy, pass) = self.rewrite_once(owner, without, copy, monitor.clone()).await?;
            report.snapshots.extend(pass.made);
            copy = self.prune_and_prove(copy, pass.gone, &mut report, monitor.clone()).await?;
            // A process that slept through all this may have left a snapshot that nobody has looked through.
            if copy.repository.snapshot_ids()?.iter().all(|id| pass.known.contains(id)) {
                break;
            }
        }
        if !self.vault.renew(lease).await? {
            return Err(CustodyError::Refused("another process took this over while this one slept: run it again".into()));
        }
        let detail = json!({ "without": without, "report": report });
        let entry = self.entry(Some(owner), "snapshot.rewrite", "", Outcome::Complete, detail);
        self.vault.set_fact(&pending_fact(owner), "", &entry).await?;
        self.owe_system_backup()?;
        self.pay_system_backup().await?;
        Ok(report)
    }

    async fn rewrite_once(&self, owner: OwnerId, without: &Without, copy: Copy, monitor: Arc<dyn Monitor>) -> CustodyResult<(Copy, Pass)> {
        let (what, limits) = (without.clone(), self.limits);
        let (copy, outcome, remade, known) = blocking(move || {
            copy.repository.load_index()?;
            let mut known: BTreeSet<Id> = copy.repository.snapshot_ids()?.into_iter().collect();
            let snapshots = sound_snapshots(&copy, &what)?;
            let (mut rewriter, _) = rewriter(&what, limits, &copy, &snapshots)?;
            let ids: Vec<Id> = snapshots.iter().map(|(id, _)| *id).collect();
            let outcome = copy.repository.rewrite(&ids, &mut *rewriter, &*monitor)?;
            let remade = outcome.snapshots.iter().map(|done| remade(&copy, done)).collect::<RepositoryResult<Vec<_>>>()?;
            known.extend(outcome.snapshots.iter().map(|done| done.new));
            Ok((copy, outcome, remade, known))
        })
        .await?;
        if !remade.is_empty() {
            let entry = self.done(owner, "snapshot.remade", "");
            self.vault.replace_snapshots(Some(owner), &remade, &entry).await?;
        }
        let made = remade.into_iter().map(|remade| (remade.old, remade.new)).collect();
        Ok((copy, Pass { made, gone: outcome.gone, known }))
    }

    async fn prune_and_prove(&self, copy: Copy, gone: Blobs, report: &mut RewriteReport, monitor: Arc<dyn Monitor>) -> CustodyResult<Copy> {
        // Nothing is held but by a snapshot that was looked through.
        let protected = Protected::default();
        let nothing_unused = PruneOptions { max_unused_percent: 0 };
        let trusted = self.trusted(copy, false).await?;
        let (trusted, pruned, proved) = blocking(move || {
            let repository = &trusted.copy.repository;
            let plan = repository.plan_prune(nothing_unused, &protected, &*monitor)?;
            let pruned = repository.prune(&plan, &protected, &*monitor)?;
            let left = repository.plan_prune(nothing_unused, &protected, &*monitor)?;
            let mut found = repository.find_content(&gone, &*monitor)?;
            found.extend(
                gone.iter().filter(|(kind, id)| repository.blob(*kind, id).is_ok()).map(|(_, id)| format!("blob {id} can be read")),
            );
            if left.unused_bytes > 0 || !left.orphans.is_empty() {
                found.push(format!("{} bytes and {} packs that no snapshot needs", left.unused_bytes, left.orphans.len()));
            }
            if let Some(first) = found.first() {
                let more = found.len() - 1;
                let next = "run it again; `keepsake verify` tells what is wrong";
                return Err(CustodyError::Damaged(format!("what was taken out is not all gone: {first}, and {more} more: {next}")));
            }
            Ok((trusted, pruned, gone.len()))
        })
        .await?;
        self.remember(&trusted, false)?;
        report.proved_gone += proved;
        report.freed_bytes += pruned.freed_bytes;
        report.packs_removed += pruned.packs_removed;
        report.packs_written += pruned.packs_written;
        Ok(trusted.copy)
    }

    /// A run that ended between making snapshots and recording it left recorded ones that are gone, and unrecorded ones that
    /// stand for them.
    pub(crate) async fn match_remade(&self, owner: OwnerId, copy: Copy) -> CustodyResult<Copy> {
        let rows = self.vault.catalogue(Some(owner)).await?;
        let (copy, pairs) = blocking(move || {
            copy.repository.load_index()?;
            let pairs = remade_before(&copy, rows)?;
            Ok((copy, pairs))
        })
        .await?;
        if !pairs.is_empty() {
            let entry = self.done(owner, "snapshot.remade", "");
            self.vault.replace_snapshots(Some(owner), &pairs, &entry).await?;
        }
        Ok(copy)
    }
}

/// Recorded snapshots that are gone, with those that stand in the same places of the history and that nobody recorded.
fn remade_before(copy: &Copy, rows: Vec<CatalogueRow>) -> CustodyResult<Vec<Remade>> {
    let (all, _) = copy.repository.snapshots()?;
    let there: BTreeSet<String> = all.iter().map(|(id, _)| id.to_string()).collect();
    let recorded: BTreeSet<&str> = rows.iter().map(|row| row.snapshot.as_str()).collect();
    let mut unrecorded: Vec<&(Id, Snapshot)> =
        all.iter().filter(|(id, s)| s.original.is_some() && !recorded.contains(id.to_string().as_str())).collect();
    let mut pairs = Vec::new();
    // By what they were made from first; of those that were made again more than once, by their place in the history.
    for by_place in [false, true] {
        for row in rows.iter().filter(|row| !there.contains(&row.snapshot)) {
            let old: Id = row.snapshot.parse().map_err(|_| CustodyError::Damaged("the catalogue names a snapshot by no id".into()))?;
            let is_it = |(_, snapshot): &&(Id, Snapshot)| match by_place {
                false => snapshot.original == Some(old),
                true => !row.lineage.is_empty() && is_bundle(snapshot) && place(snapshot) == place_of_row(row),
            };
            let known = |pairs: &[Remade]| pairs.iter().any(|pair: &Remade| pair.old == row.snapshot);
            let Some(at) = unrecorded.iter().position(is_it).filter(|_| !known(&pairs)) else { continue };
            let (id, snapshot) = unrecorded.remove(at);
            pairs.push(remade(copy, &Rewritten { old, new: *id, tree: snapshot.tree })?);
        }
    }
    Ok(pairs)
}

fn place(snapshot: &Snapshot) -> [String; 4] {
    ["lineage", "seq", "mark", "kind"].map(|name| snapshot.tag(name).unwrap_or_default().to_owned())
}

fn place_of_row(row: &CatalogueRow) -> [String; 4] {
    [row.lineage.clone(), row.seq.to_string(), row.mark.clone(), row.kind.clone()]
}

fn unfinished(pending: &Without) -> String {
    let again = match pending {
        Without::Memories(ids) => ids.iter().map(|id| format!(" --without-memory {id}")).collect::<String>(),
        Without::Paths(paths) => paths.iter().map(|path| format!(" --without-path {path}")).collect(),
    };
    format!("taking something out of the snapshots was begun and has not ended: run `keepsake snapshot rewrite{again}`")
}

/// The snapshots to look through, oldest first. A damaged one may hold what is looked for.
fn sound_snapshots(copy: &Copy, without: &Without) -> CustodyResult<Vec<(Id, Snapshot)>> {
    let (snapshots, damaged) = copy.repository.snapshots()?;
    match damaged.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(snapshots.into_iter().filter(|(_, snapshot)| of_kind(without, snapshot)).collect()),
    }
}

fn rewriter(
    without: &Without,
    limits: keepsake_record::layout::ShardLimits,
    copy: &Copy,
    snapshots: &[(Id, Snapshot)],
) -> CustodyResult<(Box<dyn Rewriter>, usize)> {
    match without {
        Without::Paths(paths) => Ok((Box::new(WithoutPaths(paths.clone())), 0)),
        Without::Memories(ids) => {
            let trees: Vec<Id> = snapshots.iter().map(|(_, snapshot)| snapshot.tree).collect();
            let without = WithoutMemories::new(ids.clone(), limits, &copy.repository, &trees)?;
            let found = without.found();
            Ok((Box::new(without), found))
        }
    }
}

fn remade(copy: &Copy, done: &Rewritten) -> RepositoryResult<Remade> {
    let data = copy.repository.node_at(&done.tree, "data")?.and_then(|node| node.subtree);
    Ok(Remade {
        old: done.old.to_string(),
        new: done.new.to_string(),
        tree: Some(done.tree.to_string()),
        data_tree: data.map(|id| id.to_string()),
    })
}
