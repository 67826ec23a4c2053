//! How a destination's bucket is set up: read, changed, and what it keeps although it was deleted.

use keepsake_record::OwnerId;
use keepsake_storage::{BucketState, Findings, Ledger, ObjectName, StoreError, Version};
use keepsake_vault::DestinationRow;
use serde::Serialize;

use super::locking::is_lockable;
use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::{blocking, place_of},
};

/// A bucket and what it keeps.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BucketReport {
    /// The destination's name.
    pub name: String,
    /// How the bucket is set up.
    pub state: BucketState,
    /// Objects that were deleted and stay until their locks end, or until nobody can bring them back.
    pub kept: Vec<KeptObject>,
}

/// An object that was deleted and stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptObject {
    /// Its name.
    pub name: String,
    /// Until when, in microseconds; the largest number there is: until a legal hold ends.
    pub until: i64,
}

/// What is to be changed; `None`: stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct BucketChange {
    /// Keep what is replaced or deleted as old versions.
    pub versioning: Option<bool>,
    /// Let the bucket itself remove old versions and unfinished uploads after so many days.
    pub clean_days: Option<u32>,
}

impl Custody {
    /// Reads how a destination's bucket is set up, after changing it if something is to be changed.
    ///
    /// # Errors
    /// There is no such destination, it has no bucket that can be set up, or it refuses.
    pub async fn bucket(&self, name: &str, change: BucketChange) -> CustodyResult<BucketReport> {
        let result = async {
            let mut row = self.destination_row(name).await?;
            let control = self.destination_control(&row)?.ok_or_else(|| no_bucket(&row))?;
            let place = row.url.clone();
            let state = blocking(move || {
                let changes = change.versioning.is_some() || change.clean_days.is_some();
                let versions = control.versions();
                if changes && versions.is_none() {
                    return Err(StoreError::Refused { place, problem: "it has no old versions".into() }.into());
                }
                if let (Some(on), Some(versions)) = (change.versioning, versions) {
                    versions.set_versioning(on)?;
                }
                if let (Some(days), Some(versions)) = (change.clean_days, versions) {
                    versions.set_cleaning(days)?;
                }
                Ok(control.state()?)
            })
            .await?;
            // The next backup goes by what was found.
            let mut found: Findings = serde_json::from_str(&row.found).unwrap_or_default();
            found.bucket = Some(state.clone());
            row.found = serde_json::to_string(&found).map_err(|e| CustodyError::Damaged(e.to_string()))?;
            self.vault.add_destination(&row, &self.instance_entry("destination.bucket", name)).await?;
            Ok(BucketReport { name: name.to_owned(), state, kept: self.kept_objects(name).await? })
        };
        let result = result.await;
        self.audited_failure(None, "destination.bucket", name, result).await
    }

    async fn kept_objects(&self, destination: &str) -> CustodyResult<Vec<KeptObject>> {
        let mut kept = Vec::new();
        for owner in self.with_repositories().await? {
            let ledger = self.ledger(owner, "looking").await?;
            let is_gone = |name: &str| ObjectName::new(name).is_ok_and(|name| ledger.is_condemned(&name));
            let locks = self.vault.locks(owner).await?.into_iter().filter(|l| l.destination == destination && is_gone(&l.name));
            kept.extend(locks.map(|lock| KeptObject { name: lock.name, until: lock.until }));
        }
        kept.sort_by_key(|one| one.until);
        Ok(kept)
    }

    /// Puts a legal hold on everything that a destination has of an owner, or ends it. Answers on how many objects.
    ///
    /// # Errors
    /// There is no such destination, it has no such holds, or it refuses.
    pub async fn hold_objects(
        &self,
        owner: OwnerId,
        destination: &str,
        on: bool,
        monitor: std::sync::Arc<dyn Monitor>,
    ) -> CustodyResult<u64> {
        let result = async {
            let row = self.destination_row(destination).await?;
            let control = self.destination_control(&row)?.filter(|control| control.locks().is_some()).ok_or_else(|| no_bucket(&row))?;
            let ledger = self.ledger(Some(owner), "holding").await?;
            let count = blocking(move || {
                let (Some(locks), Some(versions)) = (control.locks(), control.versions()) else { return Ok(0) };
                let mut all = versions.all(&place_of(Some(owner)))?;
                // A hold begins for what is there; it ends also for what was deleted meanwhile.
                let is_there = |version: &Version| version.is_latest && !ledger.is_condemned(&version.name);
                all.retain(|version| !version.is_marker && is_lockable(&version.name) && (!on || is_there(version)));
                monitor.stage("holding", Some(all.len() as u64), None);
                for version in &all {
                    if monitor.cancelled() {
                        return Err(keepsake_repository::RepositoryError::Cancelled.into());
                    }
                    locks.hold(&version.name, Some(&version.id), on)?;
                    monitor.advance(1, 0);
                }
                Ok(all.len() as u64)
            })
            .await?;
            if !on {
                self.sweep_old_versions(Some(owner)).await?;
            }
            Ok(count)
        };
        let result = result.await;
        let verb = if on { "destination.hold" } else { "destination.release" };
        self.audited(Some(owner), verb, destination, result).await
    }
}

fn no_bucket(row: &DestinationRow) -> CustodyError {
    CustodyError::Usage(format!("destination `{}` ({}) has nothing of this kind: the clouds have (s3, gs, az)", row.name, row.url))
}
