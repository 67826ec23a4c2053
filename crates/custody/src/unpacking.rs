//! Restoring a snapshot, or paths of it, into a folder.

use std::{path::Path, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, Monitor, Repository, RestoreOptions, RestoreOutcome};

use crate::{
    Custody, CustodyError, CustodyResult, SnapshotRow, Source, Thaw, copies::blocking, destinations::thawing::Wanted, snapshots::row,
};

impl Custody {
    /// Restores a snapshot, or paths of it, into a folder. What is archived is asked for before, and waited for if `thaw` says so.
    ///
    /// # Errors
    /// There is no such snapshot, what it needs is archived and nobody waits, or the folder cannot be written. What is wrong with single files is in
    /// the outcome.
    pub async fn restore_to(
        &self,
        owner: OwnerId,
        from: &Source,
        snapshot: &str,
        target: &Path,
        options: RestoreOptions,
        thaw: Thaw,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(SnapshotRow, RestoreOutcome)> {
        let subject = format!("{snapshot} to {}", target.display());
        let result = async {
            refuse_filled(target, &options)?;
            // Both ask what may be far away.
            let (archives, found) = tokio::join!(self.archives(owner, from), self.found(owner, from, snapshot));
            let (repository, id, snapshot) = found?;
            let repository = self
                .thaw_from(
                    archives?,
                    owner,
                    Wanted { repository, tree: snapshot.tree, paths: options.paths.clone() },
                    thaw,
                    monitor.clone(),
                )
                .await?;
            let (target, found) = (target.to_path_buf(), row(&id, &snapshot));
            let outcome = blocking(move || unpack(&repository, &snapshot.tree, &target, &options, &*monitor)).await?;
            Ok((found, outcome))
        };
        let result = result.await;
        self.audited(Some(owner), "restore.folder", &subject, result).await
    }
}

fn refuse_filled(target: &Path, options: &RestoreOptions) -> CustodyResult<()> {
    if !options.overwrite && std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        let told = "choose another folder, or --overwrite, also after a restore that was cut off: it writes everything again";
        return Err(CustodyError::Refused(format!("{} is not empty: {told}", target.display())));
    }
    Ok(())
}

/// Writes a tree into a folder that is empty or may be written over.
pub(crate) fn unpack(
    repository: &Repository,
    tree: &Id,
    target: &Path,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> CustodyResult<RestoreOutcome> {
    refuse_filled(target, options)?;
    monitor.stage("restoring", None, None);
    Ok(repository.restore(tree, target, options, monitor)?)
}
