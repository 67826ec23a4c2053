//! What buckets still hold of objects that are gone: removed as soon as nothing keeps it.

use std::collections::BTreeMap;

use keepsake_record::OwnerId;
use keepsake_repository::{Id, ORDER};
use keepsake_storage::{Ledger, ObjectName, Swept, sweep_uploads, sweep_versions};
use keepsake_vault::{DestinationRow, Outcome};
use serde_json::json;

use super::{control::keeps_versions, locking::is_lockable};
use crate::{
    Custody, CustodyResult,
    copies::{blocking, place_of},
};

/// The end of a lock that has none, because there is a legal hold.
pub(crate) const HELD: i64 = i64::MAX;

/// An upload that was begun so long ago is not going on any more: a day, in microseconds.
const STALE_MICROS: i64 = 86_400_000_000;

impl Custody {
    /// Gives up uploads that nobody finished, wherever there are such.
    pub(crate) async fn sweep_uploads(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        let (prefix, before) = (place_of(owner), self.now().micros() - STALE_MICROS);
        for row in self.vault.destinations().await? {
            let Ok(Some(control)) = self.destination_control(&row) else { continue };
            let prefix = prefix.clone();
            let swept = blocking(move || Ok(control.versions().map_or(Ok(0), |versions| sweep_uploads(versions, &prefix, before))?)).await;
            // They do no harm but cost something: what cannot be listed or given up now is next time.
            if let Ok(uploads @ 1..) = swept {
                let detail = json!({ "uploads": uploads });
                self.vault.audit(&self.entry(owner, "destination.sweep", &row.name, Outcome::Complete, detail)).await?;
            }
        }
        Ok(())
    }

    /// Removes old versions of what was deleted or written anew, at every destination that keeps any. Those that fail are told as lacking it.
    pub(crate) async fn sweep_old_versions(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        for row in self.vault.destinations().await?.into_iter().filter(keeps_versions) {
            match self.swept(owner, &row).await {
                Ok(swept) => self.note_swept(owner, &row, swept).await?,
                Err(error) => {
                    self.misses([(row.name.clone(), format!("what was deleted is still there in old versions: {error}"))].into_iter());
                }
            }
        }
        Ok(())
    }

    async fn note_swept(&self, owner: Option<OwnerId>, row: &DestinationRow, swept: Swept) -> CustodyResult<()> {
        // What is kept is remembered with its date, so that a plan can tell it without asking again; what is not kept is forgotten.
        let mut kept: BTreeMap<String, i64> = BTreeMap::new();
        for one in &swept.kept {
            // Of several versions of one name, the one that stays longest decides.
            let until = kept.entry(one.name.clone()).or_insert(i64::MIN);
            *until = (*until).max(one.until.unwrap_or(HELD));
        }
        let ledger = self.ledger(owner, "sweeping").await?;
        let is_gone = |name: &str| !kept.contains_key(name) && ObjectName::new(name).is_ok_and(|name| ledger.is_condemned(&name));
        let locks = self.vault.locks(owner).await?.into_iter().filter(|lock| lock.destination == row.name && is_gone(&lock.name));
        self.vault.forget_locks(owner, &row.name, &locks.map(|lock| lock.name).collect::<Vec<_>>()).await?;
        self.vault.note_locks(owner, &row.name, &kept).await?;
        if let Some(first) = swept.foreign.first() {
            let count = swept.foreign.len();
            let told = format!(
                "somebody else replaced or deleted {count} objects there, such as {first}; their old versions are still in the bucket: `keepsake verify` tells what is damaged, and the bucket's own tools bring old versions back"
            );
            self.misses([(row.name.clone(), told)].into_iter());
        }
        if swept.removed == 0 && swept.foreign.is_empty() {
            return Ok(());
        }
        let detail = json!({ "removed": swept.removed, "bytes": swept.bytes, "kept": swept.kept.len(), "foreign": swept.foreign.len() });
        Ok(self.vault.audit(&self.entry(owner, "destination.sweep", &row.name, Outcome::Complete, detail)).await?)
    }

    async fn swept(&self, owner: Option<OwnerId>, row: &DestinationRow) -> CustodyResult<Swept> {
        let Some(control) = self.destination_control(row)? else { return Ok(Swept::default()) };
        let (ledger, prefix, store) = (self.ledger(owner, "sweeping").await?, place_of(owner), self.destination_store(row)?);
        blocking(move || {
            let Some(versions) = control.versions() else { return Ok(Swept::default()) };
            // Of what is named by its bytes, the right ones are worth more than any other.
            let is_right = |name: &ObjectName| {
                (ORDER.hashed)(name) && store.get(name).is_ok_and(|bytes| Id::of(&bytes).to_string() == name.file_name())
            };
            let keeps = |name: &ObjectName| {
                let ours = ledger.is_condemned(name) || (ORDER.passing)(name) || (ORDER.rewritten)(name);
                !ours && !is_right(name)
            };
            let mut swept = sweep_versions(versions, control.locks(), &prefix, &keeps)?;
            // Of what can be brought back, what passes and what is replaced does not matter.
            let matters = |name: &str| ObjectName::new(name).is_ok_and(|name| ledger.is_condemned(&name) && is_lockable(&name));
            swept.kept.extend(versions.deleted(&prefix)?.into_iter().filter(|kept| matters(&kept.name)));
            Ok(swept)
        })
        .await
    }
}
