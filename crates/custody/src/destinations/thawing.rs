//! Archived packs are asked for before a restore reads them, and waited for.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, RepositoryError, Silent};
use keepsake_storage::{Classed, Control, Reach};
use keepsake_vault::DestinationRow;
use serde::Serialize;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor, Source,
    copies::{blocking, place_of},
};

/// How archived packs are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Thaw {
    /// Wait until they can be read; otherwise they are only asked for.
    pub wait: bool,
    /// Sooner, for more money.
    pub urgent: bool,
    /// How long to wait before looking again for the first time; each later pause is longer, up to a minute.
    pub first_look: Duration,
}

impl Default for Thaw {
    fn default() -> Self {
        Self { wait: true, urgent: false, first_look: Duration::from_secs(2) }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a restore has to wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ThawPlan {
    /// The destination that the packs are asked of.
    pub destination: String,
    /// Packs that are archived.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Where archived packs are asked for.
struct Archive {
    destination: String,
    control: Arc<dyn Control>,
    packs: Vec<Classed>,
}

impl Archive {
    fn plan(&self) -> ThawPlan {
        let bytes = self.packs.iter().map(|pack| pack.bytes).sum();
        ThawPlan { destination: self.destination.clone(), packs: self.packs.len() as u64, bytes }
    }
}

impl Custody {
    /// What restoring a snapshot, or paths of it, has to wait for; `None`: nothing.
    ///
    /// # Errors
    /// There is no such snapshot, or its trees cannot be read.
    pub async fn plan_thaw(&self, owner: OwnerId, from: &Source, snapshot: &str, paths: &[String]) -> CustodyResult<Option<ThawPlan>> {
        let packs = self.packs_to_read(owner, from, snapshot, paths).await?;
        let archive = self.archive_of(Some(owner), &packs).await?;
        Ok(archive.map(|archive| archive.plan()))
    }

    /// Makes what a restore of a snapshot, or of paths of it, will read readable, if it is archived at every destination that is complete. Notes what is going to be read.
    ///
    /// # Errors
    /// There is no such snapshot, its trees cannot be read, the destination does not answer, somebody asks to stop; or nobody is to wait: then what
    /// was asked for is readable later.
    pub async fn thaw(
        &self,
        owner: OwnerId,
        from: &Source,
        snapshot: &str,
        paths: &[String],
        thaw: Thaw,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<()> {
        let result = async {
            let packs = self.packs_to_read(owner, from, snapshot, paths).await?;
            self.note_reading(owner, &packs).await?;
            let Some(archive) = self.archive_of(Some(owner), &packs).await? else { return Ok(()) };
            let plan = archive.plan();
            let told = monitor.clone();
            blocking(move || fetch(&archive, thaw, &*told)).await?;
            if thaw.wait {
                return Ok(());
            }
            Err(CustodyError::Refused(format!(
                "{} archived packs ({} bytes) were asked for at destination `{}`: it takes hours until they can be read; then run this again",
                plan.packs, plan.bytes, plan.destination
            )))
        };
        let result = result.await;
        self.audited_failure(Some(owner), "restore.thaw", snapshot, result).await
    }

    /// The packs that a restore reads; none where nobody could have archived them.
    async fn packs_to_read(&self, owner: OwnerId, from: &Source, snapshot: &str, paths: &[String]) -> CustodyResult<BTreeSet<Id>> {
        if !matches!(from, Source::Home) || !self.has_classes().await? {
            return Ok(BTreeSet::new());
        }
        let (repository, _, found) = self.found(owner, from, snapshot).await?;
        let paths = paths.to_vec();
        blocking(move || Ok(repository.packs_of(&[found.tree], &paths, &Silent)?)).await
    }

    /// Whether a destination has classes of storage.
    async fn has_classes(&self) -> CustodyResult<bool> {
        Ok(self.vault.destinations().await?.iter().any(|row| self.control_with_classes(row).is_some()))
    }

    /// A destination whose settings are not in order is no source; whoever reads from it says why.
    fn control_with_classes(&self, row: &DestinationRow) -> Option<Arc<dyn Control>> {
        self.destination_control(row).ok().flatten().filter(|control| control.tiers().is_some())
    }

    async fn archive_of(&self, owner: Option<OwnerId>, packs: &BTreeSet<Id>) -> CustodyResult<Option<Archive>> {
        if packs.is_empty() {
            return Ok(None);
        }
        let prefix = place_of(owner);
        let mut best: Option<Archive> = None;
        for row in self.complete_destinations(owner).await? {
            let Some(control) = self.control_with_classes(&row) else {
                // A place without classes has everything at hand, if it is connected.
                match self.ready_store(&row).await {
                    Ok(_) => return Ok(None),
                    Err(_) => continue,
                }
            };
            let (wanted, prefix, asked) = (packs.clone(), prefix.clone(), control.clone());
            let listed = blocking(move || Ok(archived(&*asked, &prefix, &wanted)?)).await;
            // One that does not answer is no source; the restore itself says why if there is no other.
            let Ok(found) = listed else { continue };
            if found.is_empty() {
                return Ok(None);
            }
            if best.as_ref().is_none_or(|best| found.len() < best.packs.len()) {
                best = Some(Archive { destination: row.name, control, packs: found });
            }
        }
        Ok(best)
    }

    /// Those of some packs that no destination can give now.
    pub(crate) async fn archived_among(&self, owner: Option<OwnerId>, packs: &BTreeSet<Id>) -> CustodyResult<BTreeSet<Id>> {
        if packs.is_empty() || !self.has_classes().await? {
            return Ok(BTreeSet::new());
        }
        let archive = self.archive_of(owner, packs).await?;
        let names = archive.iter().flat_map(|archive| &archive.packs).filter_map(|pack| pack.name.file_name().parse().ok());
        Ok(names.collect())
    }

    /// Notes that packs are read now: those stay where reading is cheap.
    async fn note_reading(&self, owner: OwnerId, packs: &BTreeSet<Id>) -> CustodyResult<()> {
        let Some(row) = self.vault.repository(Some(owner)).await?.filter(|_| !packs.is_empty()) else { return Ok(()) };
        let names: Vec<String> = packs.iter().map(|id| format!("{}/data/{}/{id}", row.prefix, &id.to_string()[..2])).collect();
        Ok(self.vault.note_reads(Some(owner), &names).await?)
    }
}

/// Those of some packs that cannot be read now.
fn archived(control: &dyn Control, prefix: &str, packs: &BTreeSet<Id>) -> keepsake_storage::StoreResult<Vec<Classed>> {
    let Some(tiers) = control.tiers() else { return Ok(Vec::new()) };
    let wanted: BTreeSet<String> = packs.iter().map(Id::to_string).collect();
    let mut all = tiers.all(prefix)?;
    all.retain(|object| object.reach != Reach::Online && wanted.contains(object.name.file_name()));
    let now = all.iter().map(|object| tiers.of(&object.name)).collect::<keepsake_storage::StoreResult<Vec<_>>>()?;
    Ok(now.into_iter().flatten().filter(|object| object.reach != Reach::Online).collect())
}

/// Asks for packs, and waits until all can be read.
fn fetch(archive: &Archive, thaw: Thaw, monitor: &dyn Monitor) -> CustodyResult<()> {
    let Some(tiers) = archive.control.tiers() else { return Ok(()) };
    let plan = archive.plan();
    monitor.stage("asking for archived packs", Some(plan.packs), None);
    for pack in archive.packs.iter().filter(|pack| pack.reach == Reach::Archived) {
        if monitor.cancelled() {
            return Err(RepositoryError::Cancelled.into());
        }
        tiers.thaw(&pack.name, thaw.urgent)?;
        monitor.advance(1, 0);
    }
    if !thaw.wait {
        return Ok(());
    }
    monitor.stage("waiting for archived packs (this may take hours; stopping is safe)", Some(plan.packs), None);
    let (mut waiting, mut pause) = (archive.packs.clone(), thaw.first_look);
    loop {
        // The first that is not ready tells that there is more to wait for: no use in asking for the others.
        while let Some(pack) = waiting.last() {
            match tiers.of(&pack.name)? {
                Some(now) if now.reach != Reach::Online => break,
                _ => {
                    waiting.pop();
                    monitor.advance(1, 0);
                }
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let mut left = pause;
        while !left.is_zero() {
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled.into());
            }
            let step = left.min(Duration::from_millis(200));
            std::thread::sleep(step);
            left -= step;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
