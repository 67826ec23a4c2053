//! A place is tried and marked before it is a destination.

use std::sync::Arc;

use keepsake_storage::{Findings, ObjectName, Place, PutMode, StoreError, probe};
use keepsake_vault::{DestinationRow, Standing};

use super::{DestinationReport, NewDestination};
use crate::{Custody, CustodyError, CustodyResult, copies::blocking, disks};

impl Custody {
    /// Adds a destination, after trying what it does. Nothing is copied yet.
    ///
    /// # Errors
    /// The name or URL is none, the place does not answer, or it is not fit for backups.
    pub async fn add_destination(&self, new: NewDestination) -> CustodyResult<DestinationReport> {
        let name = new.name.clone();
        let result = self.try_adding(new).await;
        self.audited_failure(None, "destination.add", &name, result).await
    }

    async fn try_adding(&self, new: NewDestination) -> CustodyResult<DestinationReport> {
        let NewDestination { name, url, mut settings, make } = new;
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 32 || !name.chars().all(ok) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(CustodyError::Usage(format!("`{name}` is no name for a destination: it needs 1 to 32 of a-z, 0-9, - and _")));
        }
        let rows = self.vault.destinations().await?;
        if rows.iter().any(|row| row.name == name) {
            return Err(CustodyError::Usage(format!(
                "there is a destination `{name}` already: choose another name, or remove that one first"
            )));
        }
        let mut random = [0; 16];
        self.ambient.fill(&mut random);
        let id = data_encoding::HEXLOWER.encode(&random);
        let mut place = Place::new(&url, settings.place.clone())?;
        if let Some(folder) = place.url().strip_prefix("file:") {
            let folder = std::path::absolute(folder).map_err(CustodyError::io(std::path::Path::new(folder)))?;
            self.refuse_same_folder(&folder, &rows)?;
            settings.disk = Some(disks::mark(&folder, &id)?);
            place = Place::new(&format!("file:{}", folder.display()), settings.place.clone())?;
        }
        if rows.iter().any(|row| row.url == place.url()) {
            return Err(CustodyError::Usage(format!("{} is a destination already", place.url())));
        }
        let text = serde_json::to_string(&settings).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        let position = rows.iter().map(|row| row.position).max().unwrap_or(0) + 1;
        let mut row = DestinationRow { name: name.clone(), url: place.url().into(), position, settings: text, found: String::new() };
        if make {
            let (config, locks) = (self.config.destinations(), self.config.destinations().lock_policy(&name).is_some());
            let access = config.maintain_access(&name).unwrap_or_else(|| config.access(&name));
            let Some(control) = place.control(&access, Arc::default())? else {
                let hint = format!(
                    "{} cannot be made from here: make it with the cloud's or server's own tools, and leave --make out",
                    place.url()
                );
                return Err(CustodyError::Usage(hint));
            };
            blocking(move || Ok(control.make_place(locks)?)).await?;
        }
        let found = self.probed(&row).await?;
        if !found.faults().is_empty() {
            let faults = found.faults().join("; ");
            return Err(CustodyError::Refused(format!("{} is not fit for backups: {faults}", row.url)));
        }
        if self.config.destinations().lock_policy(&name).is_some() && !found.bucket.as_ref().is_some_and(|bucket| bucket.locks) {
            return Err(CustodyError::Refused(format!(
                "keepsake.toml asks for locks at `{name}`, and {} has none: make a new bucket with locks (--make does), or take `lock` out",
                row.url
            )));
        }
        row.found = serde_json::to_string(&found).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        if settings.disk.is_none() {
            settings.mark = Some(self.mark_remote(&row, id).await?);
            row.settings = serde_json::to_string(&settings).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        }
        self.note_first_copies(&rows, &name).await?;
        self.vault.add_destination(&row, &self.instance_entry("destination.add", &name)).await?;
        self.close_places().await?;
        Ok(DestinationReport { name, found })
    }

    /// With a second destination, it begins to matter which of them is complete.
    async fn note_first_copies(&self, rows: &[DestinationRow], name: &str) -> CustodyResult<()> {
        for owner in self.with_repositories().await? {
            let mut standings =
                vec![(name.to_owned(), Standing::Behind, "nothing was copied to it yet: `keepsake destination sync` does".to_owned())];
            if self.vault.copies(owner).await?.is_empty() {
                standings.extend(rows.iter().map(|row| (row.name.clone(), Standing::Settled, String::new())));
            }
            self.vault.set_copies(owner, &standings, &[]).await?;
        }
        Ok(())
    }

    async fn probed(&self, row: &DestinationRow) -> CustodyResult<Findings> {
        let store = self.destination_store(row)?;
        let mut random = [0; 8];
        self.ambient.fill(&mut random);
        let folder = format!("keepsake-test-{}", data_encoding::HEXLOWER.encode(&random));
        let mut found = blocking(move || Ok(probe(&*store, &folder)?)).await?;
        self.probe_control(row, &mut found).await?;
        Ok(found)
    }

    /// Tries what a destination does, and keeps what was found.
    ///
    /// # Errors
    /// There is none of this name, or it does not answer.
    pub async fn test_destination(&self, name: &str) -> CustodyResult<DestinationReport> {
        let result = async {
            let mut row = self.destination_row(name).await?;
            let found = self.probed(&row).await?;
            row.found = serde_json::to_string(&found).map_err(|e| CustodyError::Damaged(e.to_string()))?;
            self.vault.add_destination(&row, &self.instance_entry("destination.test", name)).await?;
            Ok(DestinationReport { name: name.to_owned(), found })
        };
        let result = result.await;
        self.audited_failure(None, "destination.test", name, result).await
    }

    /// Marks a place, unless it is marked already; answers its mark.
    async fn mark_remote(&self, row: &DestinationRow, fresh: String) -> CustodyResult<String> {
        let store = self.destination_store(row)?;
        blocking(move || {
            let name = ObjectName::new(disks::MARKER)?;
            match store.get(&name) {
                Ok(text) => {
                    let problem = format!("{} there is none of ours: choose another folder or prefix", disks::MARKER);
                    disks::id_in(&text).ok_or_else(|| StoreError::Refused { place: store.describe(), problem }.into())
                }
                Err(error) if error.is_not_found() => {
                    store.put(&name, disks::mark_text(&fresh).into(), PutMode::Create)?;
                    Ok(fresh)
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Whether a folder is the place of another destination, or lies in one, or holds one.
    fn refuse_same_folder(&self, folder: &std::path::Path, rows: &[DestinationRow]) -> CustodyResult<()> {
        let real = |path: &std::path::Path| {
            let there = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?.to_owned())));
            there.map_or_else(|| path.to_owned(), |(above, rest)| above.join(rest))
        };
        let folder = real(folder);
        for row in rows {
            let Some(other) = row.url.strip_prefix("file:") else { continue };
            let other = real(&self.home.join(other));
            if folder.starts_with(&other) || other.starts_with(&folder) {
                return Err(CustodyError::Usage(format!(
                    "{} and the folder of destination `{}` are in each other: two copies need two places",
                    folder.display(),
                    row.name
                )));
            }
        }
        if folder.starts_with(real(&self.home)) {
            return Err(CustodyError::Usage("a folder in the home is lost with the home: choose another disk, or another machine".into()));
        }
        Ok(())
    }
}
