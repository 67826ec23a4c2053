//! What belongs to a destination's bucket rather than to its objects, and what it was asked for.

use std::sync::Arc;

use keepsake_record::OwnerId;
use keepsake_storage::{Control, Findings, Place, Traffic};
use keepsake_vault::{DestinationRow, TrafficRow};

use super::DestinationSettings;
use crate::{Custody, CustodyResult, copies::blocking};

impl Custody {
    /// Opens what belongs to a destination's bucket, with the credentials to maintain if there are such; `None`: it has none.
    pub(crate) fn destination_control(&self, row: &DestinationRow) -> CustodyResult<Option<Arc<dyn Control>>> {
        let place = Place::new(&row.url, DestinationSettings::of(row)?.place)?;
        let config = self.config.destinations();
        let access = config.maintain_access(&row.name).unwrap_or_else(|| config.access(&row.name));
        Ok(place.control(&access, self.traffic_of(&row.name))?)
    }

    /// Where a destination's requests are counted.
    pub(crate) fn traffic_of(&self, destination: &str) -> Arc<Traffic> {
        self.open_places.traffic.lock().expect("no holder panics").entry(destination.to_owned()).or_default().clone()
    }

    /// Adds what was asked of destinations since the last time to what is kept by month.
    pub(crate) async fn note_traffic(&self) -> CustodyResult<()> {
        let counters: Vec<_> = {
            let traffic = self.open_places.traffic.lock().expect("no holder panics");
            traffic.iter().map(|(name, traffic)| (name.clone(), traffic.take())).collect()
        };
        for (destination, used) in counters.into_iter().filter(|(_, used)| *used != keepsake_storage::Used::default()) {
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let row = TrafficRow {
                destination,
                month: String::new(),
                writes: number(used.writes),
                reads: number(used.reads),
                lists: number(used.lists),
                deletes: number(used.deletes),
                sent: number(used.sent),
                received: number(used.received),
                retried: number(used.retried),
            };
            self.vault.add_traffic(&row).await?;
        }
        Ok(())
    }

    /// Adds to what a test found out what the bucket says of itself.
    pub(crate) async fn probe_control(&self, row: &DestinationRow, found: &mut Findings) -> CustodyResult<()> {
        let ahead = self.traffic_of(&row.name).clock_ahead();
        found.clock_ahead = (!row.url.starts_with("file:")).then_some(ahead);
        let Some(control) = self.destination_control(row)? else { return Ok(()) };
        found.tiers = control.tiers().is_some();
        match blocking(move || Ok(control.state()?)).await {
            Ok(state) => found.bucket = Some(state),
            Err(error) => {
                found.problems.push(format!("reading how the bucket is set up: {error}"));
                // What was known of it is still the best guess.
                let before: Option<Findings> = serde_json::from_str(&row.found).ok();
                found.bucket = before.and_then(|before| before.bucket);
            }
        }
        Ok(())
    }

    /// The destinations that have everything of an owner's repository, the nearest first.
    pub(crate) async fn complete_destinations(&self, owner: Option<OwnerId>) -> CustodyResult<Vec<DestinationRow>> {
        let (rows, copies) = (self.vault.destinations().await?, self.vault.copies(owner).await?);
        let is_complete = |row: &DestinationRow| {
            rows.len() == 1 || copies.iter().any(|c| c.destination == row.name && c.standing == keepsake_vault::Standing::Settled)
        };
        Ok(rows.iter().filter(|row| is_complete(row)).cloned().collect())
    }
}

/// Whether a destination is of a kind that can keep what is replaced or deleted, now or some day.
pub(crate) fn may_keep_versions(row: &DestinationRow) -> bool {
    ["s3:", "gs:", "az:"].iter().any(|scheme| row.url.starts_with(scheme))
}

/// Whether a destination keeps what is replaced or deleted, as far as its last test found out.
pub(crate) fn keeps_versions(row: &DestinationRow) -> bool {
    let found: Option<Findings> = serde_json::from_str(&row.found).ok();
    let keeps = |bucket: keepsake_storage::BucketState| {
        // Azure does not say that there are none.
        let unknown = bucket.versioning.is_none() && row.url.starts_with("az:");
        bucket.versioning == Some(true) || bucket.undelete_days.is_some() || unknown
    };
    found.and_then(|found| found.bucket).is_some_and(keeps)
}
