//! Verifying a repository, and telling which memories damage reaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_record::OwnerId;
use keepsake_repository::{CheckOptions, Id, Monitor};
use keepsake_vault::CatalogueRow;
use serde::Serialize;
use serde_json::json;

use crate::{Custody, CustodyResult, Source, copies::blocking};

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// What is damaged, one sentence each.
    pub damage: Vec<String>,
    /// Paths that cannot be brought back whole, each with the snapshots that hold it.
    pub affected: BTreeMap<String, Vec<String>>,
    /// Recorded snapshots that are no longer in the repository.
    pub missing_snapshots: Vec<String>,
    /// When the newest recorded snapshot was made that is still there, if every one since is missing: the place was put back
    /// to what it was then.
    pub rolled_back_to: Option<String>,
    /// Snapshots that nobody here recorded.
    pub foreign_snapshots: Vec<String>,
    /// Snapshots that a rotation was letting go of when it was cut off; the next one ends that.
    pub half_forgotten: Vec<String>,
    /// Packs that no index names; the next prune removes them.
    pub orphans: u64,
    /// Snapshots checked.
    pub snapshots: u64,
    /// Packs present.
    pub packs: u64,
    /// Packs read.
    pub packs_read: u64,
    /// Bytes read from packs.
    pub bytes_read: u64,
}

impl VerifyReport {
    /// Whether everything is as it should be.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.missing_snapshots.is_empty() && self.foreign_snapshots.is_empty()
    }
}

impl Custody {
    /// Verifies an owner's repository, and that every recorded snapshot is there.
    ///
    /// # Errors
    /// There is no repository, it is locked, or it cannot be listed. Damage is in the report.
    pub async fn verify(
        &self,
        owner: OwnerId,
        from: &Source,
        options: CheckOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<VerifyReport> {
        let result = self.run_verify(owner, from, options, monitor).await;
        let result = match result {
            Ok(report) if !report.is_sound() => {
                let detail = json!({ "damage": report.damage.len(), "missing_snapshots": report.missing_snapshots, "foreign_snapshots": report.foreign_snapshots });
                self.vault.audit(&self.entry(Some(owner), "verify", "", keepsake_vault::Outcome::Failed, detail)).await?;
                return Ok(report);
            }
            other => other,
        };
        self.audited(Some(owner), "verify", "", result).await
    }

    async fn run_verify(
        &self,
        owner: OwnerId,
        from: &Source,
        options: CheckOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<VerifyReport> {
        let repository = self.source(owner, from).await?;
        let destination = self.default_destination().await?.name;
        // Of a repository elsewhere nothing is recorded, so that nothing can be missing from it.
        let half_forgotten = match from {
            Source::Home => self.half_forgotten(owner).await?,
            Source::Elsewhere { .. } => Vec::new(),
        };
        let recorded = match from {
            Source::Home => Some(self.vault.catalogue(Some(owner)).await?),
            Source::Elsewhere { .. } => None,
        };
        let (report, packs) = blocking(move || {
            let report = repository.check(&options, &*monitor)?;
            let compared = match recorded {
                Some(rows) => Compared::new(&rows, &destination, &repository.snapshot_ids()?),
                None => Compared::default(),
            };
            let (leaving, foreign) = compared.foreign.into_iter().partition(|id| half_forgotten.contains(id));
            let packs: Vec<Id> = report.damage.iter().filter_map(|d| d.pack).collect();
            let verified = VerifyReport {
                damage: report.damage.into_iter().map(|d| d.message).collect(),
                affected: report.affected.into_iter().map(|(path, ids)| (path, ids.iter().map(Id::to_string).collect())).collect(),
                missing_snapshots: compared.missing,
                rolled_back_to: compared.rolled_back_to,
                foreign_snapshots: foreign,
                half_forgotten: leaving,
                orphans: report.orphans.len() as u64,
                snapshots: report.snapshots,
                packs: report.packs,
                packs_read: report.packs_read,
                bytes_read: report.bytes_read,
            };
            Ok((verified, packs))
        })
        .await?;
        if matches!(from, Source::Home) && !packs.is_empty() {
            self.remember_damage(Some(owner), &packs).await?;
        }
        Ok(report)
    }
}

/// A destination beside what was recorded of it.
#[derive(Default)]
struct Compared {
    missing: Vec<String>,
    foreign: Vec<String>,
    rolled_back_to: Option<String>,
}

impl Compared {
    /// `rows` are in the order in which the snapshots were made.
    fn new(rows: &[CatalogueRow], destination: &str, there: &[Id]) -> Self {
        let there: BTreeSet<String> = there.iter().map(Id::to_string).collect();
        let rows: Vec<&CatalogueRow> = rows.iter().filter(|row| row.destination == destination).collect();
        let recorded: BTreeSet<&str> = rows.iter().map(|row| row.snapshot.as_str()).collect();
        let missing: Vec<String> = rows.iter().map(|row| row.snapshot.clone()).filter(|id| !there.contains(id)).collect();
        let newest = rows.iter().rposition(|row| there.contains(&row.snapshot));
        let rolled_back = newest.filter(|at| !missing.is_empty() && rows.len() - at - 1 == missing.len());
        let time = |at: usize| keepsake_record::Timestamp::from_micros(rows[at].at).ok().map(|at| at.to_string());
        Self {
            missing,
            foreign: there.iter().filter(|id| !recorded.contains(id.as_str())).cloned().collect(),
            rolled_back_to: rolled_back.and_then(time),
        }
    }
}
