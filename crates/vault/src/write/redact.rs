//! Taking what a memory said out of the journal.

use std::collections::BTreeSet;

use keepsake_record::{Entity, MemoryId, Op};

use super::Write;
use crate::{VaultError, VaultResult, db::Arg};

/// Entries of the journal keep that something happened, and lose what, where and what was there before.
const REDACT_MEMORY: &str = "UPDATE journal SET op = 'erased', paths = '', before = NULL WHERE owner = $1 AND entity = 'memory' AND id = $2 AND (op <> 'erased' OR before IS NOT NULL OR paths <> '')";
const REDACT_INSIGHTS: &str =
    "UPDATE journal SET op = 'erased', paths = '', before = NULL WHERE owner = $1 AND entity = 'insight' AND before LIKE $2";
const FORGET_MEDIA: &str =
    "DELETE FROM journal_media WHERE owner = $1 AND seq IN (SELECT seq FROM journal WHERE owner = $1 AND entity = 'memory' AND id = $2)";

impl Write<'_> {
    /// Takes out of the journal what it tells of a memory that was deleted, and removes the insights that were derived from
    /// it; out of the trash the memory goes for good. The entries stay, so that the numbers have no gaps. Answers whether
    /// there was anything to take out.
    ///
    /// # Errors
    /// The memory is not deleted.
    pub async fn redact_memory(&mut self, id: &MemoryId) -> VaultResult<bool> {
        match self.record_of(id).await? {
            Some((_, true)) => self.delete_memory(id).await?,
            Some((_, false)) => return Err(VaultError::Exists { what: "memory", name: id.to_string() }),
            None => {}
        }
        let (owner, id, named) = (self.owner.clone(), id.to_string(), format!("%\"{id}\"%"));
        let insights = "SELECT id FROM entities WHERE owner = $1 AND entity = 'insight' AND record LIKE $2";
        for mut row in self.tx.fetch(insights, &[Arg::Text(&owner), Arg::Text(&named)]).await? {
            let insight = row.text(0)?;
            self.delete_entity(Entity::Insight, &insight).await?;
        }
        self.flush().await?;
        let args = [Arg::Text(&owner), Arg::Text(&id)];
        self.tx.execute(FORGET_MEDIA, &args).await?;
        let told = self.tx.execute(REDACT_MEMORY, &args).await?;
        let derived = self.tx.execute(REDACT_INSIGHTS, &[Arg::Text(&owner), Arg::Text(&named)]).await?;
        if told + derived == 0 {
            return Ok(false);
        }
        self.change(Entity::Memory, id, Op::Erased, BTreeSet::new(), None);
        Ok(true)
    }
}
