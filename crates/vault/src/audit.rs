//! Audit entries: who did what to what, and how it went.

use keepsake_record::{OwnerId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Vault, VaultResult,
    db::{Arg, Tx},
};

/// How something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Outcome {
    Complete,
    Skipped,
    Failed,
    Denied,
    Cancelled,
}

impl Outcome {
    /// The word used in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Skipped => "complete with skipped items",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is written beside every change, and for every verb that only reads, fails or is denied.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Whose data it is about; `None`: the instance.
    pub owner: Option<OwnerId>,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `memory.edit`.
    pub verb: &'static str,
    /// To what; never a memory's content.
    pub subject: String,
    /// How it went.
    pub outcome: Outcome,
    /// Counts and reasons; never a memory's content.
    pub detail: Value,
}

/// An entry as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "as in AuditEntry")]
pub struct AuditRow {
    pub id: String,
    pub at: Timestamp,
    pub owner: String,
    pub actor: String,
    pub verb: String,
    pub subject: String,
    pub outcome: String,
    pub detail: String,
}

impl Vault {
    /// Writes an entry for something that changed nothing.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit(&self, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    pub(crate) async fn write_audit(&self, tx: &mut Tx, entry: &AuditEntry) -> VaultResult<()> {
        let now = self.ambient.now();
        let mut random = [0; 10];
        self.ambient.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(now.id_millis(), &random).into_uuid();
        let owner = entry.owner.map(|o| o.to_string()).unwrap_or_default();
        let detail = entry.detail.to_string();
        let id = Uuid::to_string(&id);
        let args = [
            Arg::Text(&id),
            Arg::Int(now.micros()),
            Arg::Text(&owner),
            Arg::Text(&entry.actor),
            Arg::Text(entry.verb),
            Arg::Text(&entry.subject),
            Arg::Text(entry.outcome.as_str()),
            Arg::Text(&detail),
        ];
        tx.execute(
            "INSERT INTO audit (id, at, owner, actor, verb, subject, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &args,
        )
        .await?;
        Ok(())
    }

    /// Entries after an id, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_after(&self, after: &str, limit: u32) -> VaultResult<Vec<AuditRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT id, at, owner, actor, verb, subject, outcome, detail FROM audit WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = tx.fetch(sql, &[Arg::Text(after), Arg::Int(limit.into())]).await?;
        let read = |mut row: crate::db::Row| {
            Ok(AuditRow {
                id: row.text(0)?,
                at: Timestamp::from_micros(row.int(1)?)?,
                owner: row.text(2)?,
                actor: row.text(3)?,
                verb: row.text(4)?,
                subject: row.text(5)?,
                outcome: row.text(6)?,
                detail: row.text(7)?,
            })
        };
        rows.into_iter().map(read).collect()
    }
}
