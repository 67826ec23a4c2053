//! How an export is begun, gone on with and noted in the vault: one process at a time, and whoever comes later finds what was begun.

use keepsake_record::OwnerId;
use keepsake_vault::{ExportRow, Lease, Moment, VaultError};

use super::{Asked, ExportState, Job, job::lease_name, shown_place};
use crate::{Custody, CustodyError, CustodyResult};

/// How one is begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begin {
    /// Even where one of this kind was begun.
    pub anew: bool,
    /// The state that it shows; the one of now unless told.
    pub moment: Option<Moment>,
}

impl Custody {
    pub(super) async fn jobs(&self, owner: OwnerId) -> CustodyResult<Vec<Job>> {
        let rows = self.vault.exports(owner).await?;
        // One that a newer program noted is none of ours.
        let jobs = rows.iter().filter_map(|row| serde_json::from_str(&row.record).ok());
        Ok(jobs.map(|job| self.waiting_for(job)).collect())
    }

    /// Goes on with what was begun of this kind, or begins; answers why what was begun was not gone on with, too. One process at a time does so.
    ///
    /// # Errors
    /// Another process is at it, the work fails, or what was begun can be neither gone on with nor removed.
    pub(crate) async fn begun_or_new<T>(
        &self,
        owner: OwnerId,
        asked: Asked,
        begin: Begin,
        go_on: impl AsyncFn(Job, bool, &Lease) -> CustodyResult<T>,
    ) -> CustodyResult<(T, Option<String>)> {
        let lease = self.lease(&lease_name(&asked.out)).await?;
        let work = async |lease: &Lease| {
            let begun = |job: &Job| job.state == ExportState::Begun && job.asked.out == asked.out;
            let begun: Vec<Job> = self.jobs(owner).await?.into_iter().rev().filter(begun).collect();
            let found = begun.iter().find(|job| job.asked == asked).cloned();
            if let (None, Some(other)) = (&found, begun.into_iter().find(|job| job.parts.iter().any(Option::is_some))) {
                if !begin.anew {
                    return Err(CustodyError::Refused(format!(
                        "{} was begun with other words: run it as it was, begin again with --anew, or remove it with `keepsake export delete {}`",
                        shown_place(&asked.out),
                        other.id
                    )));
                }
                self.discard(owner, other).await?;
            }
            let mut began_anew = None;
            if let Some(job) = found {
                if begin.anew {
                    self.discard(owner, job).await?;
                } else {
                    match go_on(job.clone(), true, lease).await {
                        Err(CustodyError::Vault(error @ VaultError::Passed { .. })) => {
                            if job.parts.iter().any(Option::is_some) {
                                // They may hold what the vault does not any more.
                                return Err(CustodyError::Refused(format!(
                                    "{error}; the parts of it that are there stay: `keepsake export --anew` removes them and begins again, another --out leaves them"
                                )));
                            }
                            self.discard(owner, job).await?;
                            began_anew = Some(error.to_string());
                        }
                        Ok(done) => return Ok((done, None)),
                        Err(error) => return Err(error),
                    }
                }
            }
            let moment = match begin.moment {
                Some(moment) => moment,
                None => self.vault.head(owner).await?.moment(),
            };
            let job = self.waiting_for(Job::new(owner, asked.clone(), moment, self.now()));
            Ok((go_on(job, false, lease).await?, began_anew))
        };
        self.while_leased(lease, work).await
    }

    /// With the folder of the home where its parts wait, if it goes elsewhere.
    pub(super) fn waiting_for(&self, mut job: Job) -> Job {
        job.waiting = job.asked.away.is_some().then(|| self.home.join("outgoing").join(&job.id));
        job
    }

    /// Notes where an export stands, as long as nobody else has taken it over.
    pub(crate) async fn note_job(&self, owner: OwnerId, job: &Job, lease: &Lease) -> CustodyResult<()> {
        if !self.vault.renew(lease).await? {
            return Err(CustodyError::Refused("another process has taken this export over".into()));
        }
        let record = serde_json::to_string(job).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        Ok(self.vault.put_export(owner, &ExportRow { id: job.id.clone(), began: job.began.micros(), record }).await?)
    }
}
