//! Repairing a repository: everything is read, what can be saved is saved, lost snapshots are written anew from what was
//! recorded of them, and the next backup adds again what the vault has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_record::{OwnerId, Timestamp};
use keepsake_repository::{CheckOptions, Id, Monitor, RepairReport, RepositoryError, Share, Silent, Snapshot};
use keepsake_vault::{CatalogueRow, Outcome, Remade};
use serde::Serialize;
use serde_json::json;

use crate::{
    Custody, CustodyResult,
    copies::{Copy, blocking},
    system::SYSTEM_PATH,
};

/// What a repair would look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepairPlan {
    /// What is damaged, one sentence each.
    pub damage: Vec<String>,
    /// The packs that are read again, blob by blob.
    pub packs: BTreeSet<Id>,
    /// Snapshots whose files are damaged, or missing though they were recorded.
    pub snapshots: BTreeSet<Id>,
    /// Packs that are archived and were not read.
    pub archived: u64,
}

/// What became of snapshots whose files were lost or damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SnapshotsRepaired {
    /// Those that were written anew: old and new id.
    pub remade: Vec<(String, String)>,
    /// Those of which nothing is known, or too little is left. Their damaged files are gone.
    pub lost: Vec<String>,
}

impl Custody {
    /// Reads a whole repository for what is damaged.
    ///
    /// # Errors
    /// There is no repository, it is locked, or it cannot be listed.
    pub async fn plan_repair(&self, owner: Option<OwnerId>, monitor: Arc<dyn Monitor>) -> CustodyResult<RepairPlan> {
        let result = async {
            let copy = self.copy_to_repair(owner).await?;
            let recorded: BTreeSet<Id> = self.recorded(owner).await?.into_keys().collect();
            let (copy, plan, archived) = blocking(move || {
                let report = copy.repository.check(&CheckOptions { read_data: Some(Share::All) }, &*monitor)?;
                let packs = report.damage.iter().filter_map(|damage| damage.pack).collect();
                let archived = report.archived;
                let mut damage: Vec<String> = report.damage.into_iter().map(|damage| damage.message).collect();
                let there: BTreeSet<Id> = copy.repository.snapshot_ids()?.into_iter().collect();
                let mut snapshots: BTreeSet<Id> = recorded.difference(&there).copied().collect();
                damage.extend(snapshots.iter().map(|id| format!("snapshot {} was recorded and is not there", &id.to_string()[..8])));
                snapshots.extend(copy.repository.damaged_snapshots()?);
                Ok((copy, RepairPlan { damage, packs, snapshots, archived: archived.len() as u64 }, archived))
            })
            .await?;
            // What was not read is trusted as much as before.
            self.trust_again(&copy, &plan.packs.iter().chain(&archived).copied().collect())?;
            Ok(plan)
        };
        let result = result.await;
        self.audited(owner, "repair.plan", "", result).await
    }

    /// Saves what can be read of damaged packs, writes lost snapshots anew, and makes the index say what is there. The next backup is a full one: it
    /// notices that packs are gone, and adds again what the vault still has.
    ///
    /// # Errors
    /// Others work on the repository, or the store fails. Whatever could be read before can be read after.
    pub async fn repair(
        &self,
        owner: Option<OwnerId>,
        plan: &RepairPlan,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(RepairReport, SnapshotsRepaired)> {
        let packs = plan.packs.clone();
        let result = async {
            let copy = self.copy_to_repair(owner).await?;
            let detail = json!({ "packs": packs, "snapshots": plan.snapshots });
            self.vault.audit(&self.entry(owner, "repair.begin", "", Outcome::Complete, detail)).await?;
            let working = monitor.clone();
            let (copy, report) = blocking(move || {
                let report = copy.repository.repair(&packs, &*working)?;
                Ok((copy, report))
            })
            .await?;
            Ok((report, self.repair_snapshots(owner, copy, plan.snapshots.clone(), monitor).await?))
        };
        let result = result.await;
        if let Ok((report, snapshots)) = &result {
            let outcome = if report.blobs_lost == 0 && snapshots.lost.is_empty() { Outcome::Complete } else { Outcome::Skipped };
            self.vault.audit(&self.entry(owner, "repair", "", outcome, json!({ "report": report, "snapshots": snapshots }))).await?;
        }
        self.audited_failure(owner, "repair", "", result).await
    }

    /// A repository whose snapshots are recorded under the ids that they have, also after a rewrite that was cut off.
    async fn copy_to_repair(&self, owner: Option<OwnerId>) -> CustodyResult<Copy> {
        self.pay_copies_first(owner, Arc::new(Silent)).await?;
        let copy = self.existing_copy(owner).await?;
        match owner {
            Some(owner) => self.match_remade(owner, copy).await,
            None => Ok(copy),
        }
    }

    /// The catalogue's rows of a repository, by snapshot.
    async fn recorded(&self, owner: Option<OwnerId>) -> CustodyResult<BTreeMap<Id, CatalogueRow>> {
        let rows = self.vault.catalogue(owner).await?.into_iter();
        Ok(rows.filter_map(|row| Some((row.snapshot.parse().ok()?, row))).collect())
    }

    /// Writes snapshots anew whose trees are still whole. Of a folder's snapshot all but its path was recorded.
    async fn repair_snapshots(
        &self,
        owner: Option<OwnerId>,
        copy: Copy,
        lost: BTreeSet<Id>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<SnapshotsRepaired> {
        let mut rows = self.recorded(owner).await?;
        let wanted: Vec<(Id, Option<Snapshot>)> =
            lost.into_iter().map(|id| (id, rows.remove(&id).and_then(|row| self.again(owner, &row)))).collect();
        let (report, remade) = blocking(move || {
            let (mut report, mut remade) = (SnapshotsRepaired::default(), Vec::new());
            copy.repository.load_index()?;
            for (id, snapshot) in &wanted {
                let written = snapshot.as_ref().map(|snapshot| copy.repository.rewrite_lost_snapshot(snapshot, &*monitor));
                match written {
                    Some(Ok(new)) => {
                        report.remade.push((id.to_string(), new.to_string()));
                        remade.push(Remade { old: id.to_string(), new: new.to_string(), tree: None, data_tree: None });
                    }
                    Some(Err(RepositoryError::Damaged { .. })) | None => report.lost.push(id.to_string()),
                    Some(Err(error)) => return Err(error.into()),
                }
            }
            let damaged = copy.repository.damaged_snapshots()?;
            if !damaged.is_empty() {
                copy.repository.forget(&damaged, &*monitor)?;
            }
            Ok((report, remade))
        })
        .await?;
        if !remade.is_empty() {
            let entry = self.entry(owner, "snapshot.remade", "", Outcome::Complete, json!({}));
            self.vault.replace_snapshots(owner, &remade, &entry).await?;
        }
        if !report.lost.is_empty() {
            let entry = self.entry(owner, "snapshot.lost", "", Outcome::Complete, json!({ "snapshots": report.lost }));
            self.vault.strike_snapshots(owner, &report.lost, &entry).await?;
        }
        Ok(report)
    }

    /// A recorded snapshot as it was written, but for the second in which it was begun.
    fn again(&self, owner: Option<OwnerId>, row: &CatalogueRow) -> Option<Snapshot> {
        let time = Timestamp::from_micros(row.at).ok()?.to_string();
        let program = concat!("keepsake ", env!("CARGO_PKG_VERSION"));
        let (path, tags) = match owner {
            None => (SYSTEM_PATH, self.system_tags()),
            Some(owner) if !row.lineage.is_empty() => {
                ("/keepsake", crate::vault_source::tags(owner, &row.kind, &row.lineage, row.seq, &row.mark))
            }
            Some(_) => ("/a folder whose path was lost", vec![row.kind.clone()]),
        };
        let (tree, original) = (row.tree.parse().ok()?, row.snapshot.parse().ok());
        Some(Snapshot { tree, original, tags, ..Snapshot::new(time, path, program) })
    }
}
