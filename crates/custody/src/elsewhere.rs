//! Repositories that are opened with their password alone: on a new machine there may be no home yet.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_repository::{Monitor, Password, Repository, RepositoryError, RestoreOptions, RestoreOutcome, SystemAmbient};
use keepsake_storage::LocalStore;

use crate::{
    CustodyResult, SnapshotRow,
    copies::blocking,
    snapshots::{find, row},
    unpacking::unpack,
};

/// Opens a repository in a folder.
pub(crate) fn open(location: &Path, password: &Password, ambient: Arc<dyn keepsake_repository::Ambient>) -> CustodyResult<Repository> {
    if !location.is_dir() {
        return Err(RepositoryError::NoRepository { place: location.display().to_string() }.into());
    }
    Ok(Repository::open(Arc::new(LocalStore::open(location)?), password, ambient)?)
}

/// An open repository without a home around it: nothing is audited, because there is nothing to write it to.
pub struct Elsewhere(Repository);

impl Elsewhere {
    /// Opens a repository in a folder.
    ///
    /// # Errors
    /// There is none, or the password is another one.
    pub async fn open(location: PathBuf, password: Password) -> CustodyResult<Self> {
        blocking(move || open(&location, &password, Arc::new(SystemAmbient)).map(Self)).await
    }

    /// Its snapshots, oldest first, and the damaged ones as sentences.
    ///
    /// # Errors
    /// It cannot be listed.
    pub async fn snapshots(self) -> CustodyResult<(Vec<SnapshotRow>, Vec<String>)> {
        blocking(move || {
            let (good, damaged) = self.0.snapshots()?;
            Ok((good.iter().map(|(id, s)| row(id, s)).collect(), damaged.iter().map(ToString::to_string).collect()))
        })
        .await
    }

    /// Restores a snapshot, or paths of it, into a folder.
    ///
    /// # Errors
    /// There is no such snapshot, or the folder cannot be written. What is wrong with single files is in the outcome.
    pub async fn restore_to(
        self,
        snapshot: &str,
        target: &Path,
        options: RestoreOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(SnapshotRow, RestoreOutcome)> {
        let (name, target) = (snapshot.to_owned(), target.to_path_buf());
        blocking(move || {
            self.0.load_index()?;
            let (id, snapshot) = find(&self.0, &name, None)?;
            Ok((row(&id, &snapshot), unpack(&self.0, &snapshot.tree, &target, &options, &*monitor)?))
        })
        .await
    }
}
