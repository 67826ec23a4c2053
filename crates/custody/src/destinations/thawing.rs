//! Archived packs are asked for before a restore reads them, and waited for.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, Repository, RepositoryError, Silent};
use keepsake_storage::{Classed, Control, Reach, StoreResult};
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

/// What is going to be read.
pub(crate) struct Wanted {
    pub repository: Repository,
    pub tree: Id,
    /// Only what is at or below these paths; empty: everything.
    pub paths: Vec<String>,
}

/// Where archived packs are asked for.
pub(crate) struct Archive {
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
        let archives = self.archives(owner, from).await?;
        if archives.is_empty() {
            return Ok(None);
        }
        let (repository, _, found) = self.found(owner, from, snapshot).await?;
        let (_, packs) = packs_to_read(Wanted { repository, tree: found.tree, paths: paths.to_vec() }).await?;
        let archive = archive_of(archives, packs).await?;
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
            let archives = self.archives(owner, from).await?;
            let (repository, _, found) = self.found(owner, from, snapshot).await?;
            let wanted = Wanted { repository, tree: found.tree, paths: paths.to_vec() };
            self.thaw_from(archives, owner, wanted, thaw, monitor).await.map(drop)
        };
        let result = result.await;
        self.audited_failure(Some(owner), "restore.thaw", snapshot, result).await
    }

    /// As [`Custody::thaw`], for a repository that is open; gives it back.
    pub(crate) async fn thaw_from(
        &self,
        archives: Vec<Archive>,
        owner: OwnerId,
        wanted: Wanted,
        thaw: Thaw,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Repository> {
        let has_rules = |row: &DestinationRow| self.config.destinations().tier_rules(&row.name).is_some();
        // Which packs are read matters only to archives and rules; to find out, all trees must be read.
        if archives.is_empty() && !self.vault.destinations().await?.iter().any(has_rules) {
            return Ok(wanted.repository);
        }
        let (repository, packs) = packs_to_read(wanted).await?;
        self.note_reading(owner, &packs).await?;
        let Some(archive) = archive_of(archives, packs).await? else { return Ok(repository) };
        let plan = archive.plan();
        let told = monitor.clone();
        blocking(move || fetch(&archive, thaw, &*told)).await?;
        if thaw.wait {
            // Hours later, somebody may have moved what is to be read.
            return blocking(move || repository.reload_index().map(|_| repository).map_err(Into::into)).await;
        }
        Err(CustodyError::Refused(format!(
            "{} archived packs ({} bytes) were asked for at destination `{}`: it takes hours until they can be read; then run this again",
            plan.packs, plan.bytes, plan.destination
        )))
    }

    /// A destination whose settings are not in order is no source; whoever reads from it says why.
    fn control_with_classes(&self, row: &DestinationRow) -> Option<Arc<dyn Control>> {
        self.destination_control(row).ok().flatten().filter(|control| control.tiers().is_some())
    }

    /// The complete destinations at which something of an owner is archived; none if everything is at hand at one of them, or nobody could have
    /// archived it.
    pub(crate) async fn archives(&self, owner: OwnerId, from: &Source) -> CustodyResult<Vec<Archive>> {
        if matches!(from, Source::Home) { self.archives_of(Some(owner)).await } else { Ok(Vec::new()) }
    }

    async fn archives_of(&self, owner: Option<OwnerId>) -> CustodyResult<Vec<Archive>> {
        let (prefix, mut found) = (place_of(owner), Vec::new());
        for row in self.complete_destinations(owner).await? {
            let Some(control) = self.control_with_classes(&row) else {
                // A place without classes has everything at hand, if it is connected.
                match self.ready_store(&row).await {
                    Ok(_) => return Ok(Vec::new()),
                    Err(_) => continue,
                }
            };
            let (prefix, asked) = (prefix.clone(), control.clone());
            let listed = blocking(move || {
                let mut all = asked.tiers().map_or_else(|| Ok(Vec::new()), |tiers| tiers.all(&prefix))?;
                all.retain(|object| object.reach != Reach::Online);
                Ok(all)
            });
            // One that does not answer is no source; the restore itself says why if there is no other.
            match listed.await {
                Ok(packs) if packs.is_empty() => return Ok(Vec::new()),
                Ok(packs) => found.push(Archive { destination: row.name, control, packs }),
                Err(_) => {}
            }
        }
        Ok(found)
    }

    /// Those of some packs that no destination can give now.
    pub(crate) async fn archived_among(&self, owner: Option<OwnerId>, packs: &BTreeSet<Id>) -> CustodyResult<BTreeSet<Id>> {
        if packs.is_empty() {
            return Ok(BTreeSet::new());
        }
        let archive = archive_of(self.archives_of(owner).await?, packs.clone()).await?;
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

async fn packs_to_read(wanted: Wanted) -> CustodyResult<(Repository, BTreeSet<Id>)> {
    blocking(move || {
        let packs = wanted.repository.packs_of(&[wanted.tree], &wanted.paths, &Silent)?;
        Ok((wanted.repository, packs))
    })
    .await
}

/// Where the fewest of some packs have to be asked for; `None`: one has all of them at hand.
async fn archive_of(archives: Vec<Archive>, packs: BTreeSet<Id>) -> CustodyResult<Option<Archive>> {
    blocking(move || {
        let wanted: BTreeSet<String> = packs.iter().map(Id::to_string).collect();
        let mut best: Option<Archive> = None;
        for mut archive in archives {
            archive.packs.retain(|pack| wanted.contains(pack.name.file_name()));
            // A listing may not know what was asked for; one that does not answer is no source.
            let Ok(packs) = still_archived(&archive) else { continue };
            if packs.is_empty() {
                return Ok(None);
            }
            archive.packs = packs;
            if best.as_ref().is_none_or(|best| archive.packs.len() < best.packs.len()) {
                best = Some(archive);
            }
        }
        Ok(best)
    })
    .await
}

fn still_archived(archive: &Archive) -> StoreResult<Vec<Classed>> {
    let Some(tiers) = archive.control.tiers() else { return Ok(Vec::new()) };
    let now = archive.packs.iter().map(|pack| tiers.of(&pack.name)).collect::<StoreResult<Vec<_>>>()?;
    Ok(now.into_iter().flatten().filter(|pack| pack.reach != Reach::Online).collect())
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
