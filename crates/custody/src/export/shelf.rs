//! The exports that were made: which there are, and how to be rid of one.

use keepsake_formats::bag;
use keepsake_record::{OwnerId, Timestamp};
use serde::Serialize;

use super::{
    ExportPart, ExportPlan, ExportState,
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
}

fn summary(job: Job, is_checked: bool) -> ExportSummary {
    let there = |number: usize, part: &ExportPart| if is_checked { job.is_whole(number) } else { part.path.exists() };
    let written = job.parts.iter().enumerate().filter_map(|(number, part)| Some((number, part.as_ref()?)));
    let altered = written.filter(|(number, part)| !there(*number, part)).map(|(_, part)| part.path.display().to_string()).collect();
    ExportSummary {
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
    }
}

impl Custody {
    /// An owner's exports, the oldest first. Whether their parts are as they were is not looked at, but whether they are there.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn exports(&self, owner: OwnerId) -> CustodyResult<Vec<ExportSummary>> {
        let result = self.jobs(owner).await.map(|jobs| jobs.into_iter().map(|job| summary(job, false)).collect());
        self.audited(Some(owner), "export.list", "", result).await
    }

    /// One export, its parts looked at byte by byte.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn export_at(&self, owner: OwnerId, id: &str) -> CustodyResult<ExportSummary> {
        let result = self.job(owner, id).await.map(|job| tokio::task::block_in_place(|| summary(job, true)));
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

    async fn job(&self, owner: OwnerId, id: &str) -> CustodyResult<Job> {
        let mut found: Vec<Job> = self.jobs(owner).await?.into_iter().filter(|job| !id.is_empty() && job.id.starts_with(id)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(job), true) => Ok(job),
            (Some(_), false) => Err(CustodyError::Usage(format!("several exports begin with `{id}`: write more of it"))),
            (None, _) => Err(CustodyError::Usage(format!("there is no export `{id}`: `keepsake export list` tells which there are"))),
        }
    }

    pub(super) async fn discard(&self, owner: OwnerId, mut job: Job) -> CustodyResult<Vec<String>> {
        let stayed = tokio::task::block_in_place(|| -> CustodyResult<Vec<String>> {
            let mut stayed = Vec::new();
            for number in 0..job.parts.len() {
                let Some(path) = job.parts[number].as_ref().map(|part| part.path.clone()) else { continue };
                if !path.exists() {
                    continue;
                }
                if job.is_whole(number) { job.drop_part(number)? } else { stayed.push(path.display().to_string()) }
            }
            for number in 0..job.parts.len() {
                // What a run that was killed left of a part that it was writing.
                remove(&bag::unfinished(&job.part_path(number, job.parts.len())))?;
            }
            Ok(stayed)
        })?;
        self.vault.forget_export(owner, &job.id, &self.done(owner, "export.delete", &job.id)).await?;
        Ok(stayed)
    }
}
