//! One generation of a repository: made, filled, given up, removed. In which order is known by `reencryption`.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{
    CheckOptions, CopyOutcome, Id, KdfCost, Monitor, Password, Protected, PruneOptions, Repository, RepositoryError, remove_everything,
};
use keepsake_storage::{ObjectName, Prefixed, Store};
use keepsake_vault::{Outcome, Remade, RepositoryRow};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking, free_place, place_of},
};

/// How far the work has come. Kept as a fact of the vault, so that it can be ended after an interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub phase: Phase,
    pub generation: u64,
    pub prefix: String,
    pub repository: String,
    /// The new password, sealed with the instance key.
    pub password: Vec<u8>,
    /// What is replaced.
    pub old_generation: u64,
    pub old_prefix: String,
    pub old_repository: String,
    /// Its password, sealed: what came to it last must be read once more.
    pub old_password: Vec<u8>,
    /// Its snapshots when the new one was complete, with those that stand for them: they need not be looked at again.
    pub copied: BTreeMap<Id, Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// The old generation is used, and the new one grows.
    Copying,
    /// The new one holds everything.
    Switching,
    /// The new one is used.
    Removing,
}

pub(crate) fn fact(owner: Option<OwnerId>) -> String {
    format!("re-encrypting {}", owner.map_or_else(|| "system".to_owned(), |id| id.to_string()))
}

impl Custody {
    pub(crate) async fn make_generation(&self, owner: Option<OwnerId>) -> CustodyResult<Progress> {
        let copy = self.existing_copy(owner).await?;
        if let Some(owner) = owner {
            self.refuse_while_rewriting(owner).await?;
        }
        let Copy { row, .. } = self.refuse_if_snapshots_miss(owner, copy).await?;
        let next = row.generation + 1;
        let (store, place) = (self.places(owner).await?.store.clone(), place_of(owner));
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
            copied: BTreeMap::new(),
        };
        self.note(owner, &progress, "key.re-encrypt.begin").await?;
        Ok(progress)
    }

    pub(crate) fn new_row(&self, owner: Option<OwnerId>, progress: &Progress) -> RepositoryRow {
        RepositoryRow {
            owner,
            repository: progress.repository.clone(),
            generation: progress.generation,
            prefix: progress.prefix.clone(),
            password: progress.password.clone(),
        }
    }

    /// Copies what the new generation does not have. `whole`: nobody writes to the old one meanwhile, and what is not (any
    /// more) in the old one leaves the new one, too. `None`: the new one is gone, or something of it is damaged.
    pub(crate) async fn copy_generation(
        &self,
        owner: Option<OwnerId>,
        progress: &Progress,
        whole: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Option<CopyOutcome>> {
        let Copy { repository: old, .. } = self.existing_copy(owner).await?;
        let new = match self.open_copy(&self.new_row(owner, progress)).await {
            // The old one is there: this one alone is gone.
            Err(error) if is_gone(&error) => return Ok(None),
            other => other?.repository,
        };
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
                let pruned = new
                    .plan_prune(PruneOptions { max_unused_percent: 0 }, &Protected::default(), &*monitor)
                    .and_then(|plan| new.prune(&plan, &Protected::default(), &*monitor));
                match pruned {
                    Err(RepositoryError::Damaged { .. }) => return Ok(None),
                    other => drop(other?),
                }
                if !new.check(&CheckOptions::default(), &*monitor)?.damage.is_empty() {
                    return Ok(None);
                }
            }
            Ok(Some(outcome))
        })
        .await
    }

    /// Gives up a generation that is not used yet, and of which something is gone or damaged.
    pub(crate) async fn abandon(&self, owner: Option<OwnerId>, progress: &Progress) -> CustodyResult<()> {
        let store = self.places(owner).await?.store.clone();
        let recovery = ObjectName::new(format!("{}/recovery-{}.age", place_of(owner), progress.generation))?;
        let place = Prefixed::new(store.clone(), ObjectName::new(&progress.prefix)?);
        blocking(move || {
            // First, so that the recovery kit opens the one that is used.
            store.delete(&recovery)?;
            Ok(remove_everything(&place)?)
        })
        .await?;
        let entry = self.entry(owner, "key.re-encrypt.abandoned", &progress.repository, Outcome::Failed, json!({}));
        Ok(self.vault.set_fact(&fact(owner), "", &entry).await?)
    }

    /// Removes the generation that was replaced, alone with it, having copied what others wrote to it last: its recovery file
    /// and keys first, so that nothing opens the rest.
    pub(crate) async fn remove_generation(
        &self,
        owner: Option<OwnerId>,
        progress: &Progress,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<u64> {
        let store = self.places(owner).await?.store.clone();
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
        let (there, config, kit) = (store.clone(), ObjectName::new(format!("{}/config", progress.old_prefix))?, recovery.clone());
        let (has_config, has_recovery) = blocking(move || Ok((there.head(&config)?.is_some(), there.head(&kit)?.is_some()))).await?;
        // An earlier run may have come as far as its keys: the recovery file goes before them, the config after.
        let old = match (has_config, self.open_copy(&row).await) {
            (false, _) => None,
            (true, Err(CustodyError::WrongKey(_))) if !has_recovery => None,
            (true, opened) => Some(opened?.repository),
        };
        let (vault, runtime, entry) =
            (self.vault.clone(), tokio::runtime::Handle::current(), self.entry(owner, "snapshot.remade", "", Outcome::Complete, json!({})));
        let copied = progress.copied.keys().copied().collect();
        let removed = blocking(move || {
            let record = |copied: &CopyOutcome| {
                let remade = renamed(copied.snapshots.iter().map(|(old, new)| (old, new)));
                let recorded = runtime.block_on(vault.replace_snapshots(owner, &remade, &entry));
                recorded
                    .map_err(|e| RepositoryError::Outside { path: "the vault".into(), source: std::io::Error::other(e.to_string()) })?;
                Ok(store.delete(&recovery)?)
            };
            let removed = match old {
                Some(old) => {
                    used.repository.load_index()?;
                    old.retire_into(&used.repository, &copied, record, &*monitor)?
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

/// Whether an error says that a repository is not there any more.
pub(crate) fn is_gone(error: &CustodyError) -> bool {
    matches!(error, CustodyError::WrongKey(_) | CustodyError::Repository(RepositoryError::NoRepository { .. }))
}

pub(crate) fn renamed<'a>(copied: impl Iterator<Item = (&'a Id, &'a Id)>) -> Vec<Remade> {
    copied.map(|(old, new)| Remade { old: old.to_string(), new: new.to_string(), tree: None, data_tree: None }).collect()
}
