//! Verifying a repository, and telling which memories damage reaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_record::OwnerId;
use keepsake_repository::{CheckOptions, Id, Monitor, Repository};
use keepsake_vault::{CatalogueRow, Outcome, Standing};
use serde::Serialize;
use serde_json::json;

use crate::{Custody, CustodyError, CustodyResult, Source, copies::blocking};

/// What a verification found at one destination.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// The destination's name; empty for a repository elsewhere.
    pub destination: String,
    /// Why it was not looked at: it cannot be reached, or is known to lack something.
    pub passed_over: Option<String>,
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
    /// Packs that were to be read and are archived: nobody knows how they are.
    pub archived: u64,
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
    /// Verifies an owner's repository at each destination alone (or at the one that is named), and that every recorded snapshot is there.
    /// A destination that turns out to be damaged is healed by the next settling, where another one is not.
    ///
    /// # Errors
    /// There is no repository, it is locked, or it cannot be listed. Damage is in the reports.
    pub async fn verify(
        &self,
        owner: OwnerId,
        from: &Source,
        destination: Option<&str>,
        options: CheckOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<VerifyReport>> {
        let result = match from {
            Source::Home => self.verify_each(owner, destination, options, monitor).await,
            Source::Elsewhere { .. } => {
                async {
                    let repository = self.source(owner, from).await?;
                    Ok(vec![check(repository, None, Vec::new(), options, monitor).await?.0])
                }
                .await
            }
        };
        for report in result.iter().flatten().filter(|report| !report.is_sound()) {
            let detail = json!({ "destination": report.destination, "damage": report.damage.len(), "missing_snapshots": report.missing_snapshots, "foreign_snapshots": report.foreign_snapshots });
            self.vault.audit(&self.entry(Some(owner), "verify", "", Outcome::Failed, detail)).await?;
        }
        match result {
            Ok(reports) if !reports.iter().all(VerifyReport::is_sound) => Ok(reports),
            other => self.audited(Some(owner), "verify", "", other).await,
        }
    }

    async fn verify_each(
        &self,
        owner: OwnerId,
        only: Option<&str>,
        options: CheckOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<VerifyReport>> {
        let row = self.existing_copy(Some(owner)).await?.row;
        let rows = self.vault.destinations().await?;
        if let Some(only) = only.filter(|only| !rows.iter().any(|row| row.name == *only)) {
            let names = rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(CustodyError::Usage(format!("there is no destination `{only}`; there are {names}")));
        }
        let (several, copies) = (rows.len() > 1, self.vault.copies(Some(owner)).await?);
        let suspects = self.suspect_objects(Some(owner)).await?;
        let mut reports = Vec::new();
        for place in rows.into_iter().filter(|place| only.is_none_or(|only| only == place.name)) {
            let stands = copies.iter().find(|copy| copy.destination == place.name).filter(|copy| copy.standing == Standing::Behind);
            let owes = stands.filter(|_| several && !suspects.has(&place.name)).map(|copy| copy.reason.clone());
            let passed_over =
                |reason: String| VerifyReport { destination: place.name.clone(), passed_over: Some(reason), ..VerifyReport::default() };
            let opened = match (owes, self.ready_store(&place).await) {
                (Some(reason), _) => {
                    reports.push(passed_over(reason));
                    continue;
                }
                (None, Ok(store)) => self.open_copy_in(store, &row).await,
                (None, Err(error)) => Err(error),
            };
            let repository = match opened {
                Err(error) if several && only.is_none() && error.is_of_the_place() => {
                    reports.push(passed_over(error.to_string()));
                    continue;
                }
                other => other?.repository,
            };
            let recorded = Some(self.vault.catalogue(Some(owner)).await?);
            let half = self.half_forgotten(owner).await?;
            let (mut report, packs, others) = check(repository, recorded, half, options, monitor.clone()).await?;
            report.destination.clone_from(&place.name);
            if several && !(report.damage.is_empty() && report.missing_snapshots.is_empty()) {
                self.suspect(Some(owner), &place.name, packs.iter().map(Id::to_string), others).await?;
            } else if !packs.is_empty() {
                self.remember_damage(Some(owner), &packs).await?;
            }
            reports.push(report);
        }
        Ok(reports)
    }
}

/// Checks one copy: what was found, which packs are damaged, and whether something else is. Of a repository elsewhere nothing is recorded, so that
/// nothing can be missing from it.
async fn check(
    repository: Repository,
    recorded: Option<Vec<CatalogueRow>>,
    half_forgotten: Vec<String>,
    options: CheckOptions,
    monitor: Arc<dyn Monitor>,
) -> CustodyResult<(VerifyReport, Vec<Id>, bool)> {
    blocking(move || {
        let report = repository.check(&options, &*monitor)?;
        let compared = match recorded {
            Some(rows) => Compared::new(&rows, &repository.snapshot_ids()?),
            None => Compared::default(),
        };
        let (leaving, foreign) = compared.foreign.into_iter().partition(|id| half_forgotten.contains(id));
        let packs: Vec<Id> = report.damage.iter().filter_map(|d| d.pack).collect();
        let others = packs.len() < report.damage.len();
        let verified = VerifyReport {
            destination: String::new(),
            passed_over: None,
            damage: report.damage.into_iter().map(|d| d.message).collect(),
            affected: report.affected.into_iter().map(|(path, ids)| (path, ids.iter().map(Id::to_string).collect())).collect(),
            missing_snapshots: compared.missing,
            rolled_back_to: compared.rolled_back_to,
            foreign_snapshots: foreign,
            half_forgotten: leaving,
            archived: report.archived.len() as u64,
            orphans: report.orphans.len() as u64,
            snapshots: report.snapshots,
            packs: report.packs,
            packs_read: report.packs_read,
            bytes_read: report.bytes_read,
        };
        Ok((verified, packs, others))
    })
    .await
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
    fn new(rows: &[CatalogueRow], there: &[Id]) -> Self {
        let there: BTreeSet<String> = there.iter().map(Id::to_string).collect();
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
