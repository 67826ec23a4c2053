//! Re-encrypting a repository: a new generation of it, under a new master key and password, in a place of its own.
//!
//! The order is such that at every moment the home opens the generation that it writes to, and the recovery kit one that
//! holds every snapshot: copying, while backups go on in the old generation; then, while none runs, what came since, the
//! mark that the new one is complete, its recovery file, and the switch in the vault; then the old one goes, keys first.
//! Cut off anywhere, doing it again ends the work; a switch that was begun is ended by the next backup, too.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, Monitor, Repository, RepositoryError, Silent};
use keepsake_storage::{ObjectName, Prefixed, PutMode, Store};
use keepsake_vault::{Lease, Outcome, backup_lease};
use serde::Serialize;
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking},
    generations::{Phase, Progress, fact, renamed},
};

/// Says inside a generation's place that it holds everything.
const COMPLETE: &str = "complete";

/// What a re-encryption did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReencryptReport {
    /// The generation that is used now.
    pub generation: u64,
    /// The id of its repository.
    pub repository: String,
    /// Snapshots that it holds.
    pub snapshots: usize,
    /// Blobs that were sealed anew in this run, and their bytes as they are stored.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of the old generation that are gone.
    pub removed: u64,
}

impl Custody {
    /// Seals a repository anew, under another master key and password. Backups may go on meanwhile.
    ///
    /// # Errors
    /// Somebody else does the same, something that a snapshot needs is damaged, or a store or the vault fails.
    pub async fn reencrypt(&self, owner: Option<OwnerId>, monitor: Arc<dyn Monitor>) -> CustodyResult<ReencryptReport> {
        let result = async {
            // Whoever rewraps changes the same password.
            let name = owner.map_or_else(|| "system".to_owned(), |id| id.to_string());
            let lease = self.lease(&format!("rewrap {name}")).await?;
            self.while_leased(lease, async |lease| self.run_reencrypt(owner, lease, monitor).await).await
        };
        let result = result.await;
        self.audited_failure(owner, "key.re-encrypt", "", result).await
    }

    async fn run_reencrypt(&self, owner: Option<OwnerId>, lease: &Lease, monitor: Arc<dyn Monitor>) -> CustodyResult<ReencryptReport> {
        self.pay_copies_first(owner, monitor.clone()).await?;
        let mut progress = match self.reencrypting(owner).await? {
            Some(progress) => progress,
            None => self.begin_generation(owner).await?,
        };
        let mut report = ReencryptReport { generation: progress.generation, repository: progress.repository.clone(), ..Default::default() };
        if progress.phase == Phase::Copying {
            let copied = self.copy_generation(owner, &progress, false, monitor.clone()).await?;
            let Some(copied) = copied else { return self.given_up(owner, &progress).await };
            (report.blobs, report.bytes) = (copied.blobs, copied.bytes);
            self.still_ours(lease).await?;
            let begun = progress.clone();
            let switched = self.alone(owner, async |alone| self.complete_and_switch(owner, progress, alone, monitor.clone()).await).await?;
            let Some(switched) = switched else { return self.given_up(owner, &begun).await };
            progress = switched;
        } else if progress.phase == Phase::Switching {
            let begun = progress.clone();
            let switched = self.alone(owner, async |alone| self.switch(owner, progress, alone, monitor.clone()).await).await?;
            let Some(switched) = switched else { return self.given_up(owner, &begun).await };
            progress = switched;
        }
        let Copy { repository, .. } = self.existing_copy(owner).await?;
        report.snapshots = blocking(move || Ok(repository.snapshot_ids()?.len())).await?;
        self.still_ours(lease).await?;
        report.removed = self.remove_generation(owner, &progress, monitor).await?;
        // The system bundle says where everybody's repository is.
        self.owe_system_backup()?;
        self.pay_system_backup().await?;
        Ok(report)
    }

    async fn given_up<T>(&self, owner: Option<OwnerId>, progress: &Progress) -> CustodyResult<T> {
        self.abandon(owner, progress).await?;
        Err(CustodyError::Damaged("the new generation was damaged, and is given up: run `keepsake key re-encrypt` again".into()))
    }

    /// Does what must not meet a backup.
    async fn alone<T>(&self, owner: Option<OwnerId>, work: impl AsyncFnOnce(&Lease) -> CustodyResult<T>) -> CustodyResult<T> {
        let name = owner.map_or_else(|| "backup system".to_owned(), backup_lease);
        let lease = self.lease(&name).await?;
        self.while_leased(lease, work).await
    }

    /// For verbs that change what the work goes by, or that take things out of one generation and would not reach another.
    pub(crate) async fn refuse_while_reencrypting(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        match self.reencrypting(owner).await? {
            None => Ok(()),
            Some(_) => {
                Err(CustodyError::Refused("a re-encryption was begun and has not ended: run `keepsake key re-encrypt` first".into()))
            }
        }
    }

    async fn reencrypting(&self, owner: Option<OwnerId>) -> CustodyResult<Option<Progress>> {
        let Some(text) = self.vault.fact(&fact(owner)).await?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| CustodyError::Damaged(format!("how far a re-encryption has come: {e}")))
    }

    /// Makes the place of the next generation.
    async fn begin_generation(&self, owner: Option<OwnerId>) -> CustodyResult<Progress> {
        self.alone(owner, async |_| self.make_generation(owner).await).await
    }

    pub(crate) async fn note(&self, owner: Option<OwnerId>, progress: &Progress, verb: &'static str) -> CustodyResult<()> {
        let detail = json!({ "generation": progress.generation, "phase": progress.phase });
        let entry = self.entry(owner, verb, &progress.repository, Outcome::Complete, detail);
        Ok(self.vault.set_fact(&fact(owner), &encoded(progress)?, &entry).await?)
    }

    /// While no backup runs. `None`: the new generation is gone or damaged.
    async fn complete_and_switch(
        &self,
        owner: Option<OwnerId>,
        progress: Progress,
        alone: &Lease,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Option<Progress>> {
        let copied = self.copy_generation(owner, &progress, true, monitor.clone()).await?;
        let Some(copied) = copied else { return Ok(None) };
        self.still_ours(alone).await?;
        let progress = Progress { phase: Phase::Switching, copied: copied.snapshots.into_iter().collect(), ..progress };
        self.note(owner, &progress, "key.re-encrypt.complete").await?;
        self.switch(owner, progress, alone, monitor).await
    }

    /// Ends a switch that another run began, before anything is written to the old generation. For whoever holds the lease
    /// for backing up.
    pub(crate) async fn end_switch(&self, owner: Option<OwnerId>, alone: &Lease, monitor: Arc<dyn Monitor>) -> CustodyResult<()> {
        match self.reencrypting(owner).await? {
            Some(progress) if progress.phase == Phase::Switching => {
                match self.switch(owner, progress.clone(), alone, monitor).await? {
                    Some(_) => Ok(()),
                    // Backups must go on: then with the old one.
                    None => self.abandon(owner, &progress).await,
                }
            }
            _ => Ok(()),
        }
    }

    /// As [`Custody::end_switch`], for those who hold no lease.
    pub(crate) async fn end_switch_alone(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        match self.reencrypting(owner).await? {
            Some(progress) if progress.phase == Phase::Switching => {
                self.alone(owner, async |alone| self.end_switch(owner, alone, Arc::new(Silent)).await).await
            }
            _ => Ok(()),
        }
    }

    /// Which snapshot of the new generation stands for which of the old one, those that came without a lease included.
    async fn came_since(
        &self,
        owner: Option<OwnerId>,
        progress: &Progress,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Option<BTreeMap<Id, Id>>> {
        let old = self.existing_copy(owner).await?.repository;
        let there = blocking(move || Ok(old.snapshot_ids()?)).await?;
        if there.iter().all(|id| progress.copied.contains_key(id)) && there.len() == progress.copied.len() {
            return Ok(Some(progress.copied.clone()));
        }
        let copied = self.copy_generation(owner, progress, true, monitor).await?;
        Ok(copied.map(|copied| copied.snapshots.into_iter().collect()))
    }

    /// `None`: the new generation is gone or damaged.
    async fn switch(
        &self,
        owner: Option<OwnerId>,
        progress: Progress,
        alone: &Lease,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Option<Progress>> {
        let row = self.new_row(owner, &progress);
        let Some(copied) = self.came_since(owner, &progress, monitor).await? else { return Ok(None) };
        let password = self.password(&row)?;
        let place: Arc<dyn Store> = Arc::new(Prefixed::new(self.places(owner).await?.store.clone(), ObjectName::new(&progress.prefix)?));
        let (engine, secret) = (self.engine.clone(), password.clone());
        let told = json!({ "generation": progress.generation, "snapshots": copied.len() }).to_string();
        let opened = blocking(move || {
            let opened = Repository::open(place.clone(), &secret, engine).map(drop);
            if opened.is_ok() {
                place.put(&ObjectName::new(COMPLETE)?, told.into(), PutMode::Replace)?;
            }
            Ok(opened)
        });
        match opened.await? {
            Err(RepositoryError::NoRepository { .. } | RepositoryError::WrongPassword { .. }) => return Ok(None),
            other => other?,
        }
        self.renew_recovery_file(owner, &row, &password).await?;
        let remade = renamed(copied.iter());
        self.still_ours(alone).await?;
        let progress = Progress { phase: Phase::Removing, copied, ..progress };
        let detail = json!({ "generation": progress.generation, "snapshots": remade.len() });
        let entry = self.entry(owner, "key.re-encrypt", &progress.repository, Outcome::Complete, detail);
        let fact = fact(owner);
        if !self.vault.switch_repository(&progress.old_repository, &row, &remade, (&fact, &encoded(&progress)?), &entry).await? {
            return Err(CustodyError::Refused("another process took this over; its repository counts".into()));
        }
        // What the new index names is no loss against the old one's packs.
        let trusted = self.trusted(self.existing_copy(owner).await?, false).await?;
        self.remember(&trusted, false)?;
        Ok(Some(progress))
    }
}

fn encoded(progress: &Progress) -> CustodyResult<String> {
    serde_json::to_string(progress).map_err(|e| CustodyError::Damaged(e.to_string()))
}
