//! Re-encrypting a repository: a new generation of it, under a new master key and password, in a place of its own.
//!
//! The order is such that at every moment the home opens the generation that it writes to, and the recovery kit one that
//! holds every snapshot: copying, while backups go on in the old generation; then, while none runs, what came since, the
//! mark that the new one is complete, its recovery file, and the switch in the vault; then the old one goes, keys first.
//! Cut off anywhere, doing it again ends the work; a switch that was begun is ended by the next backup, too.

use std::sync::Arc;

use keepsake_record::OwnerId;
use keepsake_repository::{
    CheckOptions, CopyOutcome, Id, KdfCost, Monitor, Password, Protected, PruneOptions, Repository, RepositoryError, Silent,
    remove_everything,
};
use keepsake_storage::{ObjectName, Prefixed, PutMode, Store};
use keepsake_vault::{Lease, Outcome, Remade, RepositoryRow, backup_lease};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking, free_place, place_of},
};

/// Says inside a generation's place that it holds everything.
const COMPLETE: &str = "complete";

/// How far the work has come. Kept as a fact of the vault, so that it can be ended after an interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    phase: Phase,
    generation: u64,
    prefix: String,
    repository: String,
    /// The new password, sealed with the instance key.
    password: Vec<u8>,
    /// What is replaced.
    old_generation: u64,
    old_prefix: String,
    old_repository: String,
    /// Its password, sealed: what came to it last must be read once more.
    old_password: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// The old generation is used, and the new one grows.
    Copying,
    /// The new one holds everything.
    Switching,
    /// The new one is used.
    Removing,
}

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

fn fact(owner: Option<OwnerId>) -> String {
    format!("re-encrypting {}", owner.map_or_else(|| "system".to_owned(), |id| id.to_string()))
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
        let mut progress = match self.reencrypting(owner).await? {
            Some(progress) => progress,
            None => self.begin_generation(owner).await?,
        };
        let mut report = ReencryptReport { generation: progress.generation, repository: progress.repository.clone(), ..Default::default() };
        if progress.phase == Phase::Copying {
            let copied = self.copy_generation(owner, &progress, false, monitor.clone()).await?;
            (report.blobs, report.bytes) = (copied.blobs, copied.bytes);
            self.still_ours(lease).await?;
            progress = self.alone(owner, async |alone| self.complete_and_switch(owner, progress, alone, monitor.clone()).await).await?;
        } else if progress.phase == Phase::Switching {
            progress = self.alone(owner, async |alone| self.switch(owner, progress, alone, monitor.clone()).await).await?;
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

    /// Does what must not meet a backup.
    async fn alone<T>(&self, owner: Option<OwnerId>, work: impl AsyncFnOnce(&Lease) -> CustodyResult<T>) -> CustodyResult<T> {
        let name = owner.map_or_else(|| "backup system".to_owned(), backup_lease);
        let lease = self.lease(&name).await?;
        self.while_leased(lease, work).await
    }

    async fn reencrypting(&self, owner: Option<OwnerId>) -> CustodyResult<Option<Progress>> {
        let Some(text) = self.vault.fact(&fact(owner)).await?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| CustodyError::Damaged(format!("how far a re-encryption has come: {e}")))
    }

    /// For verbs that take things out of one generation and would not reach another.
    pub(crate) async fn refuse_while_reencrypting(&self, owner: OwnerId) -> CustodyResult<()> {
        match self.reencrypting(Some(owner)).await? {
            None => Ok(()),
            Some(_) => {
                Err(CustodyError::Refused("a re-encryption was begun and has not ended: run `keepsake key re-encrypt` first".into()))
            }
        }
    }

    /// Makes the place of the next generation.
    async fn begin_generation(&self, owner: Option<OwnerId>) -> CustodyResult<Progress> {
        self.alone(owner, async |_| self.make_generation(owner).await).await
    }

    async fn make_generation(&self, owner: Option<OwnerId>) -> CustodyResult<Progress> {
        let copy = self.existing_copy(owner).await?;
        if let Some(owner) = owner {
            self.refuse_while_rewriting(owner).await?;
        }
        let Copy { row, .. } = self.refuse_if_snapshots_miss(owner, copy).await?;
        let next = row.generation + 1;
        let destination = self.default_destination().await?;
        let (store, place) = (self.destination_store(&destination)?, place_of(owner));
        let password = Password::random(&*self.engine);
        let (engine, secret) = (self.engine.clone(), password.clone());
        let (repository, generation, prefix) = blocking(move || {
            let (inner, generation, prefix) = free_place(&store, &place, next)?;
            Ok((Repository::init(inner, &secret, KdfCost::MACHINE, engine)?.id().to_string(), generation, prefix))
        })
        .await?;
        let progress = Progress {
            phase: Phase::Copying,
            generation,
            prefix,
            repository,
            password: self.keys.seal(password.reveal().as_bytes())?,
            old_generation: row.generation,
            old_prefix: row.prefix,
            old_repository: row.repository,
            old_password: row.password,
        };
        self.note(owner, &progress, "key.re-encrypt.begin").await?;
        Ok(progress)
    }

    async fn note(&self, owner: Option<OwnerId>, progress: &Progress, verb: &'static str) -> CustodyResult<()> {
        let detail = json!({ "generation": progress.generation, "phase": progress.phase });
        let entry = self.entry(owner, verb, &progress.repository, Outcome::Complete, detail);
        Ok(self.vault.set_fact(&fact(owner), &encoded(progress)?, &entry).await?)
    }

    fn new_row(&self, owner: Option<OwnerId>, destination: &str, progress: &Progress) -> RepositoryRow {
        RepositoryRow {
            owner,
            destination: destination.to_owned(),
            repository: progress.repository.clone(),
            generation: progress.generation,
            prefix: progress.prefix.clone(),
            password: progress.password.clone(),
        }
    }

    /// Copies what the new generation does not have. `whole`: nobody writes to the old one meanwhile, and what is not (any
    /// more) in the old one leaves the new one, too.
    async fn copy_generation(
        &self,
        owner: Option<OwnerId>,
        progress: &Progress,
        whole: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<CopyOutcome> {
        let Copy { repository: old, row } = self.existing_copy(owner).await?;
        let new = self.open_copy(&self.new_row(owner, &row.destination, progress)).await?.repository;
        blocking(move || {
            new.load_index()?;
            // Of a run that was cut off; what they stood for is copied again.
            let torn = new.damaged_snapshots()?;
            if !torn.is_empty() {
                new.forget(&torn, &*monitor)?;
            }
            let outcome = old.copy_to(&new, &*monitor)?;
            if whole {
                if !outcome.others.is_empty() {
                    new.forget(&outcome.others, &*monitor)?;
                }
                let plan = new.plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &*monitor)?;
                new.prune(&plan, &Protected::default(), &*monitor)?;
                if let Some(damage) = new.check(&CheckOptions::default(), &*monitor)?.damage.into_iter().next() {
                    return Err(CustodyError::Damaged(format!("the new generation is not whole: {}", damage.message)));
                }
            }
            Ok(outcome)
        })
        .await
    }

    /// While no backup runs.
    async fn complete_and_switch(
        &self,
        owner: Option<OwnerId>,
        progress: Progress,
        alone: &Lease,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Progress> {
        self.copy_generation(owner, &progress, true, monitor.clone()).await?;
        self.still_ours(alone).await?;
        let progress = Progress { phase: Phase::Switching, ..progress };
        self.note(owner, &progress, "key.re-encrypt.complete").await?;
        self.switch(owner, progress, alone, monitor).await
    }

    /// Ends a switch that another run began, before anything is written to the old generation. For whoever holds the lease
    /// for backing up.
    pub(crate) async fn end_switch(&self, owner: Option<OwnerId>, alone: &Lease, monitor: Arc<dyn Monitor>) -> CustodyResult<()> {
        match self.reencrypting(owner).await? {
            Some(progress) if progress.phase == Phase::Switching => self.switch(owner, progress, alone, monitor).await.map(drop),
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

    async fn switch(
        &self,
        owner: Option<OwnerId>,
        progress: Progress,
        alone: &Lease,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Progress> {
        let destination = self.default_destination().await?;
        let row = self.new_row(owner, &destination.name, &progress);
        // Nothing is left to copy but what came without a lease; this says which snapshot stands for which.
        let copied = self.copy_generation(owner, &progress, true, monitor).await?;
        let password = self.password(&row)?;
        let place: Arc<dyn Store> = Arc::new(Prefixed::new(self.destination_store(&destination)?, ObjectName::new(&progress.prefix)?));
        let (engine, secret) = (self.engine.clone(), password.clone());
        let told = json!({ "generation": progress.generation, "snapshots": copied.snapshots.len() }).to_string();
        blocking(move || {
            place.put(&ObjectName::new(COMPLETE)?, told.into(), PutMode::Replace)?;
            Ok(Repository::open(place, &secret, engine).map(drop)?)
        })
        .await?;
        self.renew_recovery_file(owner, &row, &password).await?;
        let remade = renamed(&copied);
        self.still_ours(alone).await?;
        let progress = Progress { phase: Phase::Removing, ..progress };
        let detail = json!({ "generation": progress.generation, "snapshots": remade.len() });
        let entry = self.entry(owner, "key.re-encrypt", &progress.repository, Outcome::Complete, detail);
        let fact = fact(owner);
        if !self.vault.switch_repository(&progress.old_repository, &row, &remade, (&fact, &encoded(&progress)?), &entry).await? {
            return Err(CustodyError::Refused("another process took this over; its repository counts".into()));
        }
        // What the new index names is no loss against the old one's packs.
        let trusted = self.trusted(self.existing_copy(owner).await?, false).await?;
        self.remember(&trusted, false)?;
        Ok(progress)
    }

    /// Removes the generation that was replaced, alone with it, having copied what others wrote to it last: its recovery file
    /// and keys first, so that nothing opens the rest.
    async fn remove_generation(&self, owner: Option<OwnerId>, progress: &Progress, monitor: Arc<dyn Monitor>) -> CustodyResult<u64> {
        let destination = self.default_destination().await?;
        let store = self.destination_store(&destination)?;
        let used = self.existing_copy(owner).await?;
        if used.row.prefix == progress.old_prefix {
            return Err(CustodyError::Damaged("the generation to remove is the one that is used".into()));
        }
        let recovery = ObjectName::new(format!("{}/recovery-{}.age", place_of(owner), progress.old_generation))?;
        let place = Prefixed::new(store.clone(), ObjectName::new(&progress.old_prefix)?);
        let row = RepositoryRow {
            repository: progress.old_repository.clone(),
            generation: progress.old_generation,
            prefix: progress.old_prefix.clone(),
            password: progress.old_password.clone(),
            ..used.row.clone()
        };
        let old = match self.open_copy(&row).await {
            Ok(old) => Some(old.repository),
            // An earlier run came as far as its keys.
            Err(CustodyError::WrongKey(_) | CustodyError::Repository(RepositoryError::NoRepository { .. })) => None,
            Err(error) => return Err(error),
        };
        let (vault, runtime, entry) =
            (self.vault.clone(), tokio::runtime::Handle::current(), self.entry(owner, "snapshot.remade", "", Outcome::Complete, json!({})));
        let removed = blocking(move || {
            let record = |copied: &CopyOutcome| {
                let remade = renamed(copied);
                let recorded = runtime.block_on(vault.replace_snapshots(owner, &row.destination, &remade, &entry));
                recorded
                    .map_err(|e| RepositoryError::Outside { path: "the vault".into(), source: std::io::Error::other(e.to_string()) })?;
                Ok(store.delete(&recovery)?)
            };
            let removed = match old {
                Some(old) => {
                    used.repository.load_index()?;
                    old.retire_into(&used.repository, record, &*monitor)?
                }
                None => remove_everything(&place)?,
            };
            match place.list("")?.first() {
                None => Ok(removed),
                Some(left) => Err(CustodyError::Damaged(format!("{} of the old generation is still there: run this again", left.name))),
            }
        })
        .await?;
        self.forget_cache(&progress.old_repository)?;
        let entry = self.entry(owner, "key.re-encrypt.removed", &progress.old_repository, Outcome::Complete, json!({ "objects": removed }));
        self.vault.set_fact(&fact(owner), "", &entry).await?;
        Ok(removed)
    }

    /// Removes what is kept here about a repository that is no more.
    fn forget_cache(&self, repository: &str) -> CustodyResult<()> {
        let cache = self.home.join("cache");
        let Ok(entries) = std::fs::read_dir(&cache) else { return Ok(()) };
        let of_it = |path: &std::path::PathBuf| path.file_stem().is_some_and(|stem| stem == repository);
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(of_it) {
            std::fs::remove_file(&path).map_err(CustodyError::io(&path))?;
        }
        Ok(())
    }
}

fn renamed(copied: &CopyOutcome) -> Vec<Remade> {
    let one = |(old, new): &(Id, Id)| Remade { old: old.to_string(), new: new.to_string(), tree: None, data_tree: None };
    copied.snapshots.iter().map(one).collect()
}

fn encoded(progress: &Progress) -> CustodyResult<String> {
    serde_json::to_string(progress).map_err(|e| CustodyError::Damaged(e.to_string()))
}
