//! The exports that were made: which there are, and how to be rid of one.

use keepsake_record::{OwnerId, Timestamp};
use keepsake_vault::VaultError;
use serde::Serialize;

use super::{
    ExportPart, ExportPlan, ExportState,
    depot::Depot,
    job::{Job, lease_name, remove},
};
use crate::{Custody, CustodyError, CustodyResult};

/// An export that was made or begun.
#[derive(Debug, Clone, Serialize)]
pub struct ExportSummary {
    /// What it is known by.
    pub id: String,
    /// How it stands.
    pub state: ExportState,
    /// When it was begun.
    pub began: Timestamp,
    /// Where it is.
    pub out: String,
    /// In which format.
    pub format: String,
    /// Which memories, if not all.
    pub filter: Option<String>,
    /// The state that it shows: the number of the last change.
    pub seq: u64,
    /// What it holds, once that is known.
    pub plan: Option<ExportPlan>,
    /// The parts that were written.
    pub parts: Vec<ExportPart>,
    /// The parts that are not where they were written, or not as they were.
    pub altered: Vec<String>,
    /// Whom it is encrypted to; nobody: it is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sealed_to: Vec<String>,
    /// What became of its memories since; `None`: it was not looked at, or nobody can know any more.
    pub since: Option<ExportSince>,
}

/// What became of the memories of an export since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExportSince {
    /// Of those that were there then, so many were deleted.
    pub deleted: u64,
    /// And so many were erased.
    pub erased: u64,
}

/// With `depot` or not, parts that are here are read; those that were sent away only with it.
fn summary(job: Job, is_checked: bool, depot: Option<&Depot>) -> CustodyResult<ExportSummary> {
    let mut altered = Vec::new();
    for (number, part) in job.parts.iter().enumerate().filter_map(|(number, part)| Some((number, part.as_ref()?))) {
        let is_there = if is_checked { job.is_whole(number, depot)? } else { part.sent || job.here(&part.path).exists() };
        if !is_there {
            altered.push(part.path.display().to_string());
        }
    }
    Ok(ExportSummary {
        altered,
        state: job.state,
        began: job.began,
        out: job.asked.out.display().to_string(),
        format: job.asked.format,
        filter: job.asked.filter,
        seq: job.moment.seq,
        plan: job.plan,
        parts: job.parts.into_iter().flatten().collect(),
        id: job.id,
        sealed_to: job.asked.sealed_to,
        since: None,
    })
}

impl Custody {
    /// An owner's exports, the oldest first. Whether their parts are as they were is not looked at, but whether they are there.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn exports(&self, owner: OwnerId) -> CustodyResult<Vec<ExportSummary>> {
        let jobs = self.jobs(owner).await;
        let result = jobs.and_then(|jobs| jobs.into_iter().map(|job| summary(job, false, None)).collect());
        self.audited(Some(owner), "export.list", "", result).await
    }

    /// One export, its parts looked at byte by byte.
    ///
    /// # Errors
    /// There is none of this id, or the place does not answer that it was sent to.
    pub async fn export_at(&self, owner: OwnerId, id: &str) -> CustodyResult<ExportSummary> {
        let result = async {
            let job = self.job(owner, id).await?;
            let (depot, since) = (self.depot_of(&job).await?, self.since(owner, &job).await?);
            let found = tokio::task::block_in_place(|| summary(job, true, depot.as_ref()))?;
            Ok(ExportSummary { since, ..found })
        };
        let result = result.await;
        self.audited(Some(owner), "export.show", id, result).await
    }

    /// Removes the files of an export, as far as they are still the ones that were written, and forgets it. Answers those that stay, because
    /// something else stands there by now.
    ///
    /// # Errors
    /// There is none of this id, or a file cannot be removed.
    pub async fn delete_export(&self, owner: OwnerId, id: &str) -> CustodyResult<Vec<String>> {
        let result = async {
            let out = self.job(owner, id).await?.asked.out;
            let lease = self.lease(&lease_name(&out)).await?;
            // Under the lease, for a run may have ended meanwhile.
            self.while_leased(lease, async |_| self.discard(owner, self.job(owner, id).await?).await).await
        };
        let result = result.await;
        self.audited_failure(Some(owner), "export.delete", id, result).await
    }

    /// What became since of the memories that an export may hold. `None`: the vault's history is another one by now, or does not reach back.
    pub(super) async fn since(&self, owner: OwnerId, job: &Job) -> CustodyResult<Option<ExportSince>> {
        match self.vault.since(owner, &job.moment, job.clean.unwrap_or_default()).await {
            Ok(since) => Ok(Some(ExportSince { deleted: since.deleted, erased: since.erased })),
            Err(VaultError::Passed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn job(&self, owner: OwnerId, id: &str) -> CustodyResult<Job> {
        let mut found: Vec<Job> = self.jobs(owner).await?.into_iter().filter(|job| !id.is_empty() && job.id.starts_with(id)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(job), true) => Ok(job),
            (Some(_), false) => Err(CustodyError::Usage(format!("several exports begin with `{id}`: write more of it"))),
            (None, _) => Err(CustodyError::Usage(format!("there is no export `{id}`: `keepsake export list` tells which there are"))),
        }
    }

    pub(super) async fn discard(&self, owner: OwnerId, mut job: Job) -> CustodyResult<Vec<String>> {
        // Of a destination that is none any more, nothing is removed.
        let depot = match self.depot_of(&job).await {
            Err(CustodyError::Usage(_)) => None,
            depot => depot?,
        };
        let depot = depot.as_ref();
        let stayed = tokio::task::block_in_place(|| -> CustodyResult<Vec<String>> {
            let mut stayed = Vec::new();
            for number in 0..job.parts.len() {
                let Some(part) = job.parts[number].as_ref() else { continue };
                if job.waiting.is_some() && !part.sent {
                    // A run that was killed may have sent it and not noted so. What waits here goes with its folder.
                    if let Some(depot) = depot.filter(|_| job.state == ExportState::Begun)
                        && depot.exists(&part.path)?
                    {
                        if depot.is_whole(part)? { depot.delete(&part.path)? } else { stayed.push(part.path.display().to_string()) }
                    }
                    continue;
                }
                let (path, is_ours) = match (part.sent, depot) {
                    (true, Some(depot)) if !depot.exists(&part.path)? => continue,
                    // Reading it all only to delete it would cost a day of somebody's network.
                    (true, Some(depot)) => (part.path.clone(), depot.is_there(part)?),
                    (true, None) => (part.path.clone(), false),
                    _ if !job.here(&part.path).exists() => continue,
                    _ => (part.path.clone(), job.is_whole(number, depot)?),
                };
                if is_ours { job.drop_part(number, depot)? } else { stayed.push(path.display().to_string()) }
            }
            match &job.waiting {
                Some(waiting) => remove(waiting)?,
                None if job.state == ExportState::Begun => job.remove_unfinished()?,
                None => {}
            }
            Ok(stayed)
        })?;
        self.vault.forget_export(owner, &job.id, &self.done(owner, "export.delete", &job.id)).await?;
        Ok(stayed)
    }
}
