//! Audit entries for every verb, however it ends.

use keepsake_record::OwnerId;
use keepsake_vault::{AuditEntry, AuditRow, Outcome};
use serde_json::{Value, json};

use crate::{Custody, CustodyError, CustodyResult, ErrorKind};

impl Custody {
    pub(crate) fn entry(
        &self,
        owner: Option<OwnerId>,
        verb: &'static str,
        subject: impl ToString,
        outcome: Outcome,
        detail: Value,
    ) -> AuditEntry {
        AuditEntry { owner, actor: self.actor.clone(), verb, subject: subject.to_string(), outcome, detail }
    }

    pub(crate) fn done(&self, owner: OwnerId, verb: &'static str, subject: impl ToString) -> AuditEntry {
        self.entry(Some(owner), verb, subject, Outcome::Complete, json!({}))
    }

    /// Writes the entry of a verb that ended in an error, or that only read; passes the result on.
    pub(crate) async fn audited<T>(
        &self,
        owner: Option<OwnerId>,
        verb: &'static str,
        subject: &str,
        result: CustodyResult<T>,
    ) -> CustodyResult<T> {
        let result = self.closed(result).await;
        let entry = match &result {
            Ok(_) => self.entry(owner, verb, subject, Outcome::Complete, json!({})),
            Err(error) => self.failure(owner, verb, subject, error),
        };
        match (self.vault.audit(&entry).await, result) {
            (Ok(()), result) => result,
            // The first error is the one to tell.
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(_)) => Err(error.into()),
        }
    }

    /// As [`Custody::audited`], for verbs whose success wrote its entry with the change.
    pub(crate) async fn audited_failure<T>(
        &self,
        owner: Option<OwnerId>,
        verb: &'static str,
        subject: &str,
        result: CustodyResult<T>,
    ) -> CustodyResult<T> {
        let result = self.closed(result).await;
        if let Err(error) = &result {
            // The error itself is what the caller must hear of, whatever becomes of the entry.
            drop(self.vault.audit(&self.failure(owner, verb, subject, error)).await);
        }
        result
    }

    /// At the end of every verb, it is noted how the copies stand.
    async fn closed<T>(&self, result: CustodyResult<T>) -> CustodyResult<T> {
        match (self.close_places().await, result) {
            (Err(error), Ok(_)) => Err(error),
            (_, result) => result,
        }
    }

    pub(crate) fn failure(&self, owner: Option<OwnerId>, verb: &'static str, subject: &str, error: &CustodyError) -> AuditEntry {
        let outcome = match error.kind() {
            ErrorKind::Refused | ErrorKind::WrongKey | ErrorKind::Locked => Outcome::Denied,
            ErrorKind::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        self.entry(owner, verb, subject, outcome, json!({ "reason": error.to_string() }))
    }

    /// The audit entries after an id, oldest first.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn audit_after(&self, after: &str, limit: u32) -> CustodyResult<Vec<AuditRow>> {
        Ok(self.vault.audit_after(after, limit).await?)
    }
}
