//! Repairing a repository: everything is read, what can be saved is saved, and the next backup adds again what the vault has.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{CheckOptions, Id, Monitor, RepairReport, Share};
use keepsake_vault::Outcome;
use serde::Serialize;
use serde_json::json;

use crate::{Custody, CustodyResult, copies::blocking};

/// What a repair would look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepairPlan {
    /// What is damaged, one sentence each.
    pub damage: Vec<String>,
    /// The packs that are read again, blob by blob.
    pub packs: BTreeSet<Id>,
}

impl Custody {
    /// Reads a whole repository for what is damaged.
    ///
    /// # Errors
    /// There is no repository, it is locked, or it cannot be listed.
    pub async fn plan_repair(&self, owner: Option<OwnerId>, monitor: Arc<dyn Monitor>) -> CustodyResult<RepairPlan> {
        let result = async {
            let copy = self.existing_copy(owner).await?;
            blocking(move || {
                let report = copy.repository.check(&CheckOptions { read_data: Some(Share::All) }, &*monitor)?;
                let packs = report.damage.iter().filter_map(|damage| damage.pack).collect();
                Ok(RepairPlan { damage: report.damage.into_iter().map(|damage| damage.message).collect(), packs })
            })
            .await
        };
        let result = result.await;
        self.audited(owner, "repair.plan", "", result).await
    }

    /// Saves what can be read of damaged packs and makes the index say what is there. The next backup is a full one: it
    /// notices that packs are gone, and adds again what the vault still has.
    ///
    /// # Errors
    /// Others work on the repository, or the store fails. Whatever could be read before can be read after.
    pub async fn repair(&self, owner: Option<OwnerId>, plan: &RepairPlan, monitor: Arc<dyn Monitor>) -> CustodyResult<RepairReport> {
        let packs = plan.packs.clone();
        let result = async {
            let copy = self.existing_copy(owner).await?;
            self.vault.audit(&self.entry(owner, "repair.begin", "", Outcome::Complete, json!({ "packs": packs }))).await?;
            blocking(move || Ok(copy.repository.repair(&packs, &*monitor)?)).await
        };
        let result = result.await;
        if let Ok(report) = &result {
            let outcome = if report.blobs_lost == 0 { Outcome::Complete } else { Outcome::Skipped };
            self.vault.audit(&self.entry(owner, "repair", "", outcome, json!(report))).await?;
        }
        self.audited_failure(owner, "repair", "", result).await
    }
}
