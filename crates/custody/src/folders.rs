//! Backing up any folder of the machine into an owner's repository.

use std::{fs, path::Path, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{BackupRequest, FolderSource, Monitor, Snapshot, Totals};
use serde::Serialize;

use crate::{
    Custody, CustodyError, CustodyResult,
    backup::{Skipped, skipped},
    copies::{Copy, blocking},
    trust::Trusted,
};

/// How a folder's backup went.
#[derive(Debug, Clone, Serialize)]
pub struct FolderReport {
    /// The snapshot.
    pub snapshot: String,
    /// Files whose bytes were read.
    pub files_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes added to the repository.
    pub bytes_stored: u64,
    /// Paths that could not be read.
    pub skipped: Vec<Skipped>,
}

impl Custody {
    /// Backs up any folder into an owner's repository.
    ///
    /// # Errors
    /// The folder is not there, the store fails, or somebody asks to stop.
    pub async fn backup_folder(&self, owner: OwnerId, folder: &Path, monitor: Arc<dyn Monitor>) -> CustodyResult<FolderReport> {
        let result = self.run_folder(owner, folder, monitor).await;
        self.audited_failure(Some(owner), "backup.folder", &folder.display().to_string(), result).await
    }

    async fn run_folder(&self, owner: OwnerId, folder: &Path, monitor: Arc<dyn Monitor>) -> CustodyResult<FolderReport> {
        let folder = fs::canonicalize(folder).map_err(CustodyError::io(folder))?;
        self.pay_copies(Some(owner), monitor.clone()).await?;
        self.end_switch_alone(Some(owner)).await?;
        let trusted = self.trusted(self.make_copy(Some(owner)).await?, false).await?;
        let Trusted { copy: Copy { repository, .. }, .. } = self.distrust_missing(trusted).await?;
        let (now, hostname, actor) = (self.now().to_string(), self.engine.hostname(), self.actor.clone());
        let (id, snapshot, report) = blocking(move || {
            let path = folder.to_string_lossy().into_owned();
            let last = repository.snapshots()?.0.into_iter().rev().find(|(_, s)| s.hostname == hostname && s.paths == [path.clone()]);
            let (parent, parent_tree) = last.map_or((None, None), |(id, s)| (Some(id), Some(s.tree)));
            let edits = Box::new(FolderSource::new(&repository, &folder, parent_tree)?);
            let program = concat!("keepsake ", env!("CARGO_PKG_VERSION"));
            let tags = vec!["folder".into()];
            let snapshot = Snapshot { parent, hostname, username: actor, tags, ..Snapshot::new(now, &path, program) };
            let request = BackupRequest { parent_tree: None, carry_tree: parent_tree, edits, replay: None, snapshot };
            let outcome = repository.backup(request, &*monitor)?;
            let Totals { files_read, bytes_read, bytes_stored, .. } = outcome.totals;
            let report = FolderReport {
                snapshot: outcome.snapshot.to_string(),
                files_read,
                bytes_read,
                bytes_stored,
                skipped: skipped(&outcome.skipped),
            };
            Ok((outcome.snapshot, outcome.written, report))
        })
        .await?;
        self.catalogue_other(owner, &id, &snapshot, "backup.folder").await?;
        Ok(report)
    }
}
