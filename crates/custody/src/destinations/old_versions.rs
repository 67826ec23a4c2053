//! What buckets still hold of objects that are gone: removed as soon as nothing keeps it.

use std::{collections::BTreeMap, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::ORDER;
use keepsake_storage::{Ledger, ObjectName, Swept, sweep_uploads, sweep_versions};
use keepsake_vault::{DestinationRow, Outcome};
use serde_json::json;

use super::control::keeps_versions;
use crate::{
    Custody, CustodyResult,
    copies::{blocking, place_of},
    places::VaultLedger,
};

/// An upload that was begun so long ago is not going on any more: a day, in microseconds.
const STALE_MICROS: i64 = 86_400_000_000;

impl Custody {
    /// Removes old versions of what was deleted or written anew, at every destination that keeps any. Those that fail are told as lacking it.
    pub(crate) async fn sweep_old_versions(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        for row in self.vault.destinations().await?.into_iter().filter(keeps_versions) {
            let swept = match self.swept(owner, &row).await {
                Ok(swept) => swept,
                Err(error) => {
                    self.misses([(row.name.clone(), format!("what was deleted is still there in old versions: {error}"))].into_iter());
                    continue;
                }
            };
            // What is locked is remembered with its date, so that a plan can tell it without asking again.
            let locks: BTreeMap<String, i64> = swept.kept.iter().filter_map(|kept| Some((kept.name.clone(), kept.until?))).collect();
            self.vault.note_locks(owner, &row.name, &locks).await?;
            if swept != Swept::default() {
                let detail = json!({ "destination": row.name, "swept": swept });
                self.vault.audit(&self.entry(owner, "destination.sweep", &row.name, Outcome::Complete, detail)).await?;
            }
        }
        Ok(())
    }

    async fn swept(&self, owner: Option<OwnerId>, row: &DestinationRow) -> CustodyResult<Swept> {
        let Some(control) = self.destination_control(row)? else { return Ok(Swept::default()) };
        let (ledger, prefix): (Arc<VaultLedger>, String) = (self.ledger(owner, "sweeping").await?, place_of(owner));
        let stale = self.now().micros() - STALE_MICROS;
        blocking(move || {
            let Some(versions) = control.versions() else { return Ok(Swept::default()) };
            // What is named by its bytes is never written twice by us.
            let live = |name: &ObjectName| (ORDER.hashed)(name) && !ledger.is_condemned(name);
            let mut swept = sweep_versions(versions, control.locks(), &prefix, &live)?;
            swept.uploads = sweep_uploads(versions, &prefix, stale)?;
            Ok(swept)
        })
        .await
    }
}
