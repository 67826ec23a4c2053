//! Copies: where each repository is, how it is made and opened, and how its password is kept.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use keepsake_record::OwnerId;
use keepsake_repository::{KdfCost, Password, Repository, RepositoryError};
use keepsake_storage::{ObjectName, Prefixed, PutMode, Store, both};
use keepsake_vault::RepositoryRow;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{Custody, CustodyError, CustodyResult, RecoveryKit, home::KIT_RECIPIENT, keys::seal_to};

/// What a person may know of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryView {
    /// Whose; `system` for the instance's own.
    pub owner: String,
    /// What to give to stock restic as `-r` at each destination.
    pub destinations: BTreeMap<String, String>,
    /// The repository's id.
    pub repository: String,
    /// Which master key.
    pub generation: u64,
    /// What to give to stock restic as `-r` at the nearest.
    pub restic_location: String,
}

/// What the age file beside a repository holds, sealed to the recovery kit.
#[derive(Serialize, Deserialize)]
struct RecoveryFile {
    format: u32,
    repository: String,
    generation: u64,
    prefix: String,
    password: String,
}

/// An open repository and what the vault knows of it.
pub(crate) struct Copy {
    pub repository: Repository,
    pub row: RepositoryRow,
}

impl Custody {
    /// The repository of an owner (or of the instance), if there is one.
    pub(crate) async fn copy(&self, owner: Option<OwnerId>) -> CustodyResult<Option<Copy>> {
        match self.vault.repository(owner).await? {
            Some(row) => self.open_copy(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Opens a repository, at all destinations at once.
    pub(crate) async fn open_copy(&self, row: &RepositoryRow) -> CustodyResult<Copy> {
        let store = self.places(row.owner).await?.store.clone();
        self.open_copy_in(store, row).await
    }

    /// Opens the copy of a repository in a store.
    pub(crate) async fn open_copy_in(&self, store: Arc<dyn Store>, row: &RepositoryRow) -> CustodyResult<Copy> {
        let password = self.password(row)?;
        let store = Prefixed::new(store, ObjectName::new(&row.prefix)?);
        let engine = self.engine.clone();
        let (cache, faulty) = (self.home.join("cache"), self.faults.is_some());
        let repository = blocking(move || {
            let opened = Repository::open(Arc::new(store), &password, engine).map_err(|error| match error {
                RepositoryError::WrongPassword { place } => CustodyError::WrongKey(format!(
                    "the password that this home keeps opens no key of the repository at {place}: perhaps the vault was put back to a copy from before a `key rewrap`; `keepsake key kit --open {place}` finds the password that does"
                )),
                other => other.into(),
            })?;
            let opened = opened.with_index_cache(&cache);
            // Whoever puts faults between does not want to wait for locks that they left.
            Ok(if faulty { opened.with_patience(std::time::Duration::ZERO) } else { opened })
        })
        .await?;
        Ok(Copy { repository, row: row.clone() })
    }

    /// As [`Custody::copy`], for verbs that need one.
    pub(crate) async fn existing_copy(&self, owner: Option<OwnerId>) -> CustodyResult<Copy> {
        match self.copy(owner).await? {
            Some(copy) => Ok(copy),
            None => Err(RepositoryError::NoRepository {
                place: format!("{} yet: run `keepsake backup` first", self.places(owner).await?.store.describe()),
            }
            .into()),
        }
    }

    /// The repository of an owner (or of the instance), made if there is none.
    pub(crate) async fn make_copy(&self, owner: Option<OwnerId>) -> CustodyResult<Copy> {
        if let Some(copy) = self.copy(owner).await? {
            return Ok(copy);
        }
        // Two that make it at once would each remove the other's key.
        let name = owner.map_or_else(|| "system".to_owned(), |id| id.to_string());
        let lease = self.lease(&format!("create repository {name}")).await?;
        let made = match self.copy(owner).await {
            Ok(Some(copy)) => Ok(copy),
            Ok(None) => self.create_copy(owner).await,
            Err(error) => Err(error),
        };
        self.vault.release(&lease).await?;
        made
    }

    async fn create_copy(&self, owner: Option<OwnerId>) -> CustodyResult<Copy> {
        let place = place_of(owner);
        let store = self.places(owner).await?.store.clone();
        let password = Password::random(&*self.engine);
        let (engine, secret) = (self.engine.clone(), password.clone());
        let (outer, folder) = (store.clone(), place.clone());
        let (repository, generation, prefix) = blocking(move || {
            let (inner, generation, prefix) = free_place(&outer, &folder, 1)?;
            Ok((Repository::init(inner, &secret, KdfCost::MACHINE, engine)?, generation, prefix))
        })
        .await?;
        let row = RepositoryRow {
            owner,
            repository: repository.id().to_string(),
            generation,
            prefix,
            password: self.keys.seal(password.reveal().as_bytes())?,
        };
        self.write_recovery_file(&*store, &place, &row, &password).await?;
        let entry =
            self.entry(owner, "repository.create", &row.repository, keepsake_vault::Outcome::Complete, json!({ "generation": generation }));
        self.vault.add_repository(&row, &entry).await?;
        Ok(Copy { repository, row })
    }

    pub(crate) async fn write_recovery_file(
        &self,
        store: &dyn Store,
        place: &str,
        row: &RepositoryRow,
        password: &Password,
    ) -> CustodyResult<()> {
        let Some(recipient) = self.vault.fact(KIT_RECIPIENT).await? else {
            return Err(CustodyError::Damaged("this home has no recovery kit".into()));
        };
        let recipient = recipient.parse().map_err(|e: &str| CustodyError::Damaged(format!("the recovery kit's public key: {e}")))?;
        let file = RecoveryFile {
            format: 1,
            repository: row.repository.clone(),
            generation: row.generation,
            prefix: row.prefix.clone(),
            password: password.reveal().to_owned(),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&file).map_err(|e| CustodyError::Damaged(e.to_string()))?);
        let sealed = Bytes::from(seal_to(&recipient, &plain)?);
        let name = ObjectName::new(format!("{place}/recovery-{}.age", row.generation))?;
        let back = tokio::task::block_in_place(|| store.put(&name, sealed.clone(), PutMode::Replace).and_then(|()| store.get(&name)))?;
        if back == sealed { Ok(()) } else { Err(CustodyError::Damaged(format!("{name} does not read back as it was written"))) }
    }

    /// Writes the recovery file of a repository anew, after its password changed.
    pub(crate) async fn renew_recovery_file(&self, owner: Option<OwnerId>, row: &RepositoryRow, password: &Password) -> CustodyResult<()> {
        let store = self.places(owner).await?.store.clone();
        self.write_recovery_file(&*store, &place_of(owner), row, password).await
    }

    pub(crate) fn password(&self, row: &RepositoryRow) -> CustodyResult<Password> {
        let plain = self.keys.open(&row.password)?;
        let text = String::from_utf8(plain.to_vec()).map_err(|_| CustodyError::Damaged("a repository's password is no text".into()))?;
        Ok(Password::new(text))
    }

    /// What a person may know of an owner's repository, or of the instance's own.
    ///
    /// # Errors
    /// There is none yet.
    pub async fn repository_view(&self, owner: Option<OwnerId>) -> CustodyResult<RepositoryView> {
        let result = self.view(owner).await;
        self.audited(owner, "repository.show", "", result).await
    }

    async fn view(&self, owner: Option<OwnerId>) -> CustodyResult<RepositoryView> {
        let Copy { row, repository } = self.existing_copy(owner).await?;
        let mut locations = BTreeMap::new();
        for destination in self.vault.destinations().await? {
            let place = self.place_of_destination(&destination)?;
            locations.insert(destination.name, place.restic_location(&row.prefix));
        }
        Ok(RepositoryView {
            owner: owner.map_or_else(|| "system".to_owned(), |id| id.to_string()),
            destinations: locations,
            repository: row.repository,
            generation: row.generation,
            restic_location: repository.place(),
        })
    }

    /// The password of an owner's repository, for use with stock restic. Always audited.
    ///
    /// # Errors
    /// There is no repository yet, or the instance key is another.
    pub async fn reveal_password(&self, owner: Option<OwnerId>) -> CustodyResult<Zeroizing<String>> {
        let result = async {
            let Copy { row, .. } = self.existing_copy(owner).await?;
            Ok(Zeroizing::new(self.password(&row)?.reveal().to_owned()))
        };
        let result = result.await;
        self.audited(owner, "key.reveal", "", result).await
    }

    /// Opens the recovery file at a place with a kit: the password of the repository there. Needs no home.
    ///
    /// # Errors
    /// There is no such file, or the kit belongs to another installation.
    pub fn open_recovery_file(path: &std::path::Path, kit: &RecoveryKit) -> CustodyResult<(PathBuf, Zeroizing<String>)> {
        let newest = |folder: &std::path::Path| {
            let entries = std::fs::read_dir(folder).map_err(CustodyError::io(folder))?;
            let mut names: Vec<PathBuf> =
                entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.extension().is_some_and(|e| e == "age")).collect();
            let generation = |path: &PathBuf| -> Option<u64> { path.file_stem()?.to_str()?.strip_prefix("recovery-")?.parse().ok() };
            names.sort_by_key(generation);
            names.pop().ok_or_else(|| {
                CustodyError::Usage(format!(
                    "{} holds no recovery file (recovery-1.age): name the folder of a repository, such as backups/owners/ID for an owner's memories, or backups/system",
                    folder.display()
                ))
            })
        };
        let parent = path.parent().filter(|p| path.is_dir() && newest(path).is_err() && newest(p).is_ok());
        let file = if path.is_dir() { newest(parent.unwrap_or(path))? } else { path.to_path_buf() };
        let opened = kit.open(&std::fs::read(&file).map_err(CustodyError::io(&file))?)?;
        let content: RecoveryFile =
            serde_json::from_slice(&opened).map_err(|e| CustodyError::Damaged(format!("{}: {e}", file.display())))?;
        let folder = file.parent().unwrap_or(path).join(format!("g{}", content.generation));
        Ok((folder, Zeroizing::new(content.password)))
    }
}

/// The folder of a repository's generations at a destination.
pub(crate) fn place_of(owner: Option<OwnerId>) -> String {
    owner.map_or_else(|| "system".to_owned(), |id| format!("owners/{id}"))
}

/// The first generation from a number on whose place is free; numbers are never used again for another key. A run that ended between making a repository and recording its password left
/// one without snapshots, which nobody can open: it goes. One with snapshots that this vault does not know (the vault was put
/// back to a copy from before) stays as it is; the recovery kit opens it.
pub(crate) fn free_place(store: &Arc<dyn Store>, folder: &str, from: u64) -> CustodyResult<(Arc<dyn Store>, u64, String)> {
    for generation in from.. {
        let prefix = format!("{folder}/g{generation}");
        let inner: Arc<dyn Store> = Arc::new(Prefixed::new(store.clone(), ObjectName::new(&prefix)?));
        let (snapshots, all) = both(&*inner, || inner.list("snapshots"), || inner.list(""));
        if snapshots?.is_empty() {
            for object in all? {
                inner.delete(&object.name)?;
            }
            return Ok((inner, generation, prefix));
        }
    }
    unreachable!("numbers do not end")
}

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> CustodyResult<T> + Send + 'static) -> CustodyResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(RepositoryError::Cancelled.into()),
    }
}
