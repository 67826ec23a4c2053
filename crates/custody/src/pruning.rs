//! Giving space back: what no snapshot needs leaves the repository. Plan first.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, Monitor, Protected, PruneOptions, PrunePlan, PruneReport};
use keepsake_vault::Outcome;
use serde_json::json;

use crate::{Custody, CustodyResult, copies::blocking, trust::Trusted};

impl Custody {
    /// Works out what a prune would do to an owner's repository, or to the instance's own.
    ///
    /// # Errors
    /// There is no repository, or something that a snapshot needs is damaged: verify comes first.
    pub async fn plan_prune(&self, owner: Option<OwnerId>, options: PruneOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<PrunePlan> {
        let result = async {
            self.pay_copies_first(owner, monitor.clone()).await?;
            let (trusted, protected) = self.to_prune(owner).await?;
            let told = monitor.clone();
            let mut plan = blocking(move || Ok(trusted.copy.repository.plan_prune(options, &protected, &*monitor)?)).await?;
            // What cannot be read now cannot be copied now: it stays as it is.
            let archived = self.archived_among(owner, &plan.repack).await?;
            for pack in &archived {
                told.problem("prune", &format!("pack {} is archived, and stays as it is until it can be read", &pack.to_string()[..8]));
            }
            plan.repack.retain(|pack| !archived.contains(pack));
            Ok(plan)
        };
        let result = result.await;
        self.audited(owner, "prune.plan", "", result).await
    }

    /// Prunes as planned. Backups may go on beside the long first half.
    ///
    /// # Errors
    /// Somebody else pruned since the plan, others do not end, or the store fails. Whatever was needed is still there.
    pub async fn prune(&self, owner: Option<OwnerId>, plan: PrunePlan, monitor: Arc<dyn Monitor>) -> CustodyResult<PruneReport> {
        let result = async {
            self.pay_copies_first(owner, monitor.clone()).await?;
            let (trusted, protected) = self.to_prune(owner).await?;
            // Before anything goes, so that a run that is cut off is on record.
            let detail = json!({ "remove": plan.remove.len(), "repack": plan.repack.len(), "orphans": plan.orphans.len() });
            self.vault.audit(&self.entry(owner, "prune.begin", "", Outcome::Complete, detail)).await?;
            let (trusted, report) = blocking(move || {
                let report = trusted.copy.repository.prune(&plan, &protected, &*monitor)?;
                Ok((trusted, report))
            })
            .await?;
            // The packs that left are no loss: the next backup must not take them for one.
            self.remember(&trusted, false)?;
            Ok(report)
        };
        let result = result.await;
        if let Ok(report) = &result {
            let detail = json!({ "packs_removed": report.packs_removed, "freed_bytes": report.freed_bytes });
            self.vault.audit(&self.entry(owner, "prune", "", Outcome::Complete, detail)).await?;
        }
        self.audited_failure(owner, "prune", "", result).await
    }

    /// The repository with what is known of damage in it, and what must stay recoverable whatever happened to its snapshots'
    /// files: everything that was recorded and not forgotten.
    async fn to_prune(&self, owner: Option<OwnerId>) -> CustodyResult<(Trusted, Protected)> {
        let copy = self.existing_copy(owner).await?;
        let rows = self.vault.catalogue(owner).await?.into_iter();
        let recorded: BTreeMap<Id, Id> = rows.filter_map(|row| Some((row.snapshot.parse().ok()?, row.tree.parse().ok()?))).collect();
        Ok((self.trusted(copy, false).await?, Protected(recorded)))
    }
}
