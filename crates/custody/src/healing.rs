//! Originals: put back where they were lost, stored where a restore brings them.

use std::collections::{BTreeMap, HashSet};

use keepsake_record::{Memory, OwnerId, Sha256Digest};
use keepsake_repository::Monitor;
use keepsake_vault::Outcome;
use serde_json::json;

use crate::{Bundle, Custody, CustodyResult, VaultRestoreReport};

impl Custody {
    /// Puts back originals of memories that are here while their files are not, or not as long as they should be, or were
    /// found rotten by the last backup.
    pub(crate) async fn heal_media(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        memories: impl Iterator<Item = &Memory>,
        report: &mut VaultRestoreReport,
        monitor: &dyn Monitor,
    ) -> CustodyResult<()> {
        let owed: HashSet<String> = self.vault.debts(owner).await?.into_iter().map(|d| d.path).collect();
        let mut lost: BTreeMap<Sha256Digest, (String, u64)> = BTreeMap::new();
        for memory in memories {
            let lengths: BTreeMap<Sha256Digest, u64> =
                memory.attachments.iter().filter_map(|a| a.medium.as_ref()).map(|m| (m.sha256, m.bytes)).collect();
            for (path, digest) in memory.media_paths() {
                let bytes = lengths[&digest];
                let stored = tokio::task::block_in_place(|| self.vault.stored_length(owner, &digest))?;
                // Of a memory that was edited since, only what the vault still knows of is put back.
                if self.vault.medium(owner, &digest).await?.is_none() {
                    continue;
                }
                if stored != Some(bytes) || owed.contains(&format!("data/{path}")) {
                    lost.insert(digest, (path, bytes));
                }
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let live = self.store_media(owner, bundle, lost, report, monitor).await?;
        let mut write = self.vault.write(owner, &self.actor).await?;
        write.media_live(&live).await?;
        report.media += live.len() as u64;
        let entry = self.entry(Some(owner), "restore.media", &report.plan.from, Outcome::Complete, json!({ "media": live.len() }));
        write.commit(&entry).await?;
        Ok(())
    }

    /// Stores originals of a bundle; answers those that are here now, and names the others.
    pub(crate) async fn store_media(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        media: BTreeMap<Sha256Digest, (String, u64)>,
        report: &mut VaultRestoreReport,
        monitor: &dyn Monitor,
    ) -> CustodyResult<Vec<(Sha256Digest, u64)>> {
        let announced: Vec<(Sha256Digest, u64)> = media.iter().map(|(digest, (_, bytes))| (*digest, *bytes)).collect();
        self.vault.media_pending(owner, &announced).await?;
        let mut live = Vec::new();
        for (digest, (path, bytes)) in media {
            let stored = tokio::task::block_in_place(|| -> CustodyResult<u64> {
                Ok(self.vault.store_reader(owner, &digest, &mut bundle.open_file(&path)?)?)
            });
            match stored {
                Ok(_) => live.push((digest, bytes)),
                Err(error) => {
                    monitor.problem(&path, &error.to_string());
                    report.media_missing.push((path, error.to_string()));
                }
            }
        }
        Ok(live)
    }
}
