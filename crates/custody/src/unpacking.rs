//! Restoring a snapshot, or paths of it, into a folder.

use std::{path::Path, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{Monitor, RestoreOptions, RestoreOutcome};

use crate::{Custody, CustodyError, CustodyResult, Source, copies::blocking};

impl Custody {
    /// Restores a snapshot, or paths of it, into a folder.
    ///
    /// # Errors
    /// There is no such snapshot, or the folder cannot be written. What is wrong with single files is in the outcome.
    pub async fn restore_to(
        &self,
        owner: OwnerId,
        from: &Source,
        snapshot: &str,
        target: &Path,
        options: RestoreOptions,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<RestoreOutcome> {
        let subject = format!("{snapshot} to {}", target.display());
        let result = async {
            if !options.overwrite && std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(CustodyError::Refused(format!("{} is not empty: choose another folder, or --overwrite", target.display())));
            }
            let (repository, _, snapshot) = self.found(owner, from, snapshot).await?;
            let target = target.to_path_buf();
            blocking(move || {
                monitor.stage("restoring", None, None);
                Ok(repository.restore(&snapshot.tree, &target, &options, &*monitor)?)
            })
            .await
        };
        let result = result.await;
        self.audited(Some(owner), "restore.folder", &subject, result).await
    }
}
