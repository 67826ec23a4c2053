//! Destinations: added, tried, listed, made equal, taken away.

mod adding;
mod bucket;
pub(crate) mod control;
pub(crate) mod costs;
mod forecast;
pub(crate) mod locking;
pub(crate) mod old_versions;
pub(crate) mod thawing;
pub(crate) mod tiering;
mod usage;

pub use self::{
    bucket::{BucketChange, BucketReport, KeptObject},
    costs::{Bill, PriceTable},
    forecast::Forecast,
    locking::KeptByLocks,
    thawing::{Thaw, ThawPlan},
    tiering::{Move, TierPlan},
    usage::Usage,
};

use std::{collections::BTreeMap, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::ORDER;
use keepsake_storage::{Findings, LocalStore, Maintained, ObjectName, Place, PlaceSettings, Settled, Store, StoreError};
use keepsake_vault::{CopyRow, DestinationRow, Standing, backup_lease};
use serde::{Deserialize, Serialize};

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::blocking,
    disks::{self, Disk},
};

/// What belongs to a destination beside its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DestinationSettings {
    /// How it is reached.
    #[serde(flatten)]
    pub place: PlaceSettings,
    /// How a disk is known again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What stands in the mark of a place that is no folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether it is somewhere else than the live memories, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off_site: Option<bool>,
    /// Under whose law it stands, such as `EU`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
}

/// A destination to be.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What belongs to it.
    pub settings: DestinationSettings,
    /// Make the bucket or container if it is not there.
    pub make: bool,
}

/// What is known of a destination.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationView {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What sort of thing keeps the bytes.
    pub media: &'static str,
    /// Whether it is somewhere else than the live memories, if that is known.
    pub off_site: Option<bool>,
    /// The region of its bucket.
    pub region: Option<String>,
    /// Under whose law it stands.
    pub jurisdiction: Option<String>,
    /// Repositories of which it has everything, and of how many.
    pub complete: (usize, usize),
    /// Why it lacks something, and since when (microseconds).
    pub behind: Option<(String, i64)>,
    /// When the newest snapshot was made that is surely there, in microseconds.
    pub newest: Option<i64>,
    /// What its last test found.
    pub found: Option<Findings>,
}

/// How a test of a destination went, or adding one.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationReport {
    /// Its name.
    pub name: String,
    /// What the place does.
    pub found: Findings,
}

impl DestinationSettings {
    pub(crate) fn of(row: &DestinationRow) -> CustodyResult<Self> {
        if row.settings.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(&row.settings).map_err(|e| CustodyError::Damaged(format!("what belongs to destination `{}`: {e}", row.name)))
    }
}

impl Custody {
    /// Opens a destination.
    pub(crate) fn destination_store(&self, row: &DestinationRow) -> CustodyResult<Arc<dyn Store>> {
        let settings = DestinationSettings::of(row)?;
        let place = Place::new(&row.url, settings.place)?;
        let store: Arc<dyn Store> = match (row.url.strip_prefix("file:"), &settings.disk) {
            (Some(folder), None) => Arc::new(LocalStore::open(self.home.join(folder))?),
            (Some(folder), Some(disk)) => match disks::find(&self.home.join(folder), disk) {
                Some(found) => Arc::new(LocalStore::open(found)?),
                None => {
                    let problem = "the disk is not connected, or is mounted where its folder is not found: connect it, and run `keepsake destination sync`";
                    return Err(StoreError::Refused { place: row.url.clone(), problem: problem.into() }.into());
                }
            },
            (None, _) => self.remote_store(&row.name, &place)?,
        };
        Ok(self.faults.as_ref().map_or_else(|| store.clone(), |faults| faults(&row.name, store.clone())))
    }

    /// Where a destination is, as others would be told; a folder as it is found now.
    pub(crate) fn place_of_destination(&self, row: &DestinationRow) -> CustodyResult<Place> {
        let settings = DestinationSettings::of(row)?;
        let url = match (row.url.strip_prefix("file:"), &settings.disk) {
            (Some(folder), Some(disk)) => {
                let folder = self.home.join(folder);
                format!("file:{}", disks::find(&folder, disk).unwrap_or(folder).display())
            }
            (Some(folder), None) => format!("file:{}", self.home.join(folder).display()),
            (None, _) => row.url.clone(),
        };
        Ok(Place::new(&url, settings.place)?)
    }

    /// Opens a destination, and makes sure that it is the one that was added.
    pub(crate) async fn ready_store(&self, row: &DestinationRow) -> CustodyResult<Arc<dyn Store>> {
        let store = self.destination_store(row)?;
        let Some(mark) = DestinationSettings::of(row)?.mark else { return Ok(store) };
        let (place, url) = (store.clone(), row.url.clone());
        blocking(move || match place.get(&ObjectName::new(disks::MARKER)?) {
            Ok(text) if disks::id_in(&text).as_deref() == Some(&mark) => Ok(store),
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => {
                let problem = format!("this is not the place that was added, or it was emptied: its mark ({}) is not there", disks::MARKER);
                Err(StoreError::Refused { place: url, problem }.into())
            }
        })
        .await
    }

    fn remote_store(&self, name: &str, place: &Place) -> CustodyResult<Arc<dyn Store>> {
        let config = self.config.destinations();
        let pace = config.pace(name).map(Arc::new);
        let write = place.open(&config.access(name), pace.clone(), self.traffic_of(name))?;
        Ok(match config.maintain_access(name) {
            Some(access) => Arc::new(Maintained::new(write, place.open(&access, pace, self.traffic_of(name))?, ORDER)),
            None => write,
        })
    }

    pub(crate) async fn destination_row(&self, name: &str) -> CustodyResult<DestinationRow> {
        let rows = self.vault.destinations().await?;
        let names = rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>().join(", ");
        let found = rows.into_iter().find(|row| row.name == name);
        found.ok_or_else(|| CustodyError::Usage(format!("there is no destination `{name}`; there are {names}")))
    }

    /// All that have a repository: the owners, and the instance itself.
    async fn with_repositories(&self) -> CustodyResult<Vec<Option<OwnerId>>> {
        let mut with = Vec::new();
        for owner in [None].into_iter().chain(self.owners().await?.into_iter().map(|owner| Some(owner.id))) {
            if self.vault.repository(owner).await?.is_some() {
                with.push(owner);
            }
        }
        Ok(with)
    }

    /// Forgets a destination. What is there stays, and opens with the recovery kit as before.
    ///
    /// # Errors
    /// There is none of this name, it is the only one, or no other one is complete.
    pub async fn remove_destination(&self, name: &str) -> CustodyResult<DestinationRow> {
        let result = async {
            let row = self.destination_row(name).await?;
            let others: Vec<String> = self.vault.destinations().await?.into_iter().map(|d| d.name).filter(|other| other != name).collect();
            if others.is_empty() {
                return Err(CustodyError::Refused(format!("`{name}` is the only destination: add another one first")));
            }
            for owner in self.with_repositories().await? {
                let copies = self.vault.copies(owner).await?;
                if !self.cut_off_writes(owner).await?.is_empty()
                    || !copies.iter().any(|copy| others.contains(&copy.destination) && copy.standing == Standing::Settled)
                {
                    return Err(CustodyError::Refused(format!(
                        "no other destination has everything that `{name}` has: run `keepsake destination sync` first"
                    )));
                }
            }
            self.vault.remove_destination(name, &self.instance_entry("destination.remove", name)).await?;
            self.close_places().await?;
            Ok(row)
        };
        let result = result.await;
        self.audited_failure(None, "destination.remove", name, result).await
    }

    /// All destinations and how the copies there stand.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn destinations(&self) -> CustodyResult<Vec<DestinationView>> {
        let with = self.with_repositories().await?;
        let (mut copies, mut newest): (Vec<Vec<CopyRow>>, Vec<Option<i64>>) = (Vec::new(), Vec::new());
        for owner in &with {
            copies.push(self.vault.copies(*owner).await?);
            newest.push(self.vault.catalogue(*owner).await?.last().map(|row| row.at));
        }
        let rows = self.vault.destinations().await?;
        let alone = rows.len() == 1;
        rows.iter()
            .map(|row| {
                let settings = DestinationSettings::of(row)?;
                let of_it = |copies: &Vec<CopyRow>| copies.iter().find(|copy| copy.destination == row.name).cloned();
                let standings: Vec<Option<CopyRow>> = copies.iter().map(of_it).collect();
                let is_complete = |copy: &Option<CopyRow>| alone || copy.as_ref().is_some_and(|c| c.standing == Standing::Settled);
                let behind = standings.iter().flatten().filter(|c| c.standing != Standing::Settled && !alone).min_by_key(|c| c.since);
                let sure = standings.iter().zip(&newest).filter(|(copy, _)| is_complete(copy)).filter_map(|(_, at)| *at);
                let cloud = !row.url.starts_with("file:")
                    && settings.place.endpoint.is_none()
                    && !row.url.starts_with("sftp:")
                    && !row.url.starts_with("webdav");
                Ok(DestinationView {
                    name: row.name.clone(),
                    url: row.url.clone(),
                    media: match row.url.split(':').next() {
                        Some("file") => "disk",
                        Some("sftp" | "webdav" | "webdavs") => "server",
                        _ => "object storage",
                    },
                    off_site: settings.off_site.or(cloud.then_some(true)).or((row.url == "file:backups").then_some(false)),
                    region: settings.place.region,
                    jurisdiction: settings.jurisdiction,
                    complete: (standings.iter().filter(|copy| is_complete(copy)).count(), standings.len()),
                    behind: behind.map(|copy| (copy.reason.clone(), copy.since)),
                    newest: sure.max(),
                    found: serde_json::from_str(&row.found).ok(),
                })
            })
            .collect()
    }

    /// Makes all copies of every repository equal: what a destination lacks is copied to it, what is damaged is healed, what was
    /// deleted meanwhile goes. Answers by owner (`system` for the instance's own).
    ///
    /// # Errors
    /// A backup is running, the vault fails, or somebody asks to stop. Destinations that fail are in the report.
    pub async fn sync_destinations(&self, dry_run: bool, monitor: Arc<dyn Monitor>) -> CustodyResult<BTreeMap<String, Vec<Settled>>> {
        let mut all = BTreeMap::new();
        for owner in self.with_repositories().await? {
            let result = async {
                let name = owner.map_or_else(|| "backup system".to_owned(), backup_lease);
                let lease = self.lease(&name).await?;
                self.while_leased(lease, async |_| self.settle_copies(owner, dry_run, monitor.clone()).await).await
            };
            let settled = self.audited_failure(owner, "destination.sync", "", result.await).await?;
            all.insert(owner.map_or_else(|| "system".to_owned(), |id| id.to_string()), settled);
        }
        Ok(all)
    }
}
