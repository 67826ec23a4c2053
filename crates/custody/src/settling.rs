//! Making the copies of a repository equal, and knowing afterwards which of them are complete.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, ORDER, RepositoryError};
use keepsake_storage::{Member, ObjectName, Scope, Settled, settle};
use keepsake_vault::{Outcome, Standing};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::{blocking, place_of},
};

/// What was known before copies were made equal.
struct Before {
    /// The destinations that had everything, but for what a run wrote that was cut off.
    settled: BTreeSet<String>,
    /// Runs that were cut off while they wrote.
    cut_off: Vec<String>,
}

impl Before {
    fn is_complete(&self, name: &str) -> bool {
        self.cut_off.is_empty() && self.settled.contains(name)
    }

    /// Whether what all those have that answered is all that there is: one answered that surely had everything; or, where none surely had, all
    /// that may have it.
    fn is_whole(&self, settled: &[Settled]) -> bool {
        let answered = |s: &&Settled| s.behind.is_none();
        if settled.iter().filter(answered).any(|s| self.is_complete(&s.member)) {
            return true;
        }
        let may_have = |s: &&Settled| self.settled.is_empty() || self.settled.contains(&s.member);
        !settled.iter().any(|s| self.is_complete(&s.member)) && settled.iter().filter(may_have).all(|s| s.behind.is_none())
    }
}

impl Custody {
    /// Makes the copies of an owner's repository equal, and notes how each stands.
    pub(crate) async fn settle_copies(
        &self,
        owner: Option<OwnerId>,
        dry_run: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<Settled>> {
        self.close_places().await?;
        let copies = self.vault.copies(owner).await?;
        let settled_before = copies.into_iter().filter(|copy| copy.standing == Standing::Settled).map(|copy| copy.destination);
        let before = Before { settled: settled_before.collect(), cut_off: self.cut_off_writes(owner).await? };
        let (mut members, mut settled) = (Vec::new(), Vec::new());
        for row in self.vault.destinations().await? {
            match self.ready_store(&row).await {
                Ok(store) => members.push(Member { complete: before.is_complete(&row.name), name: row.name, store }),
                Err(error) => settled.push(Settled { member: row.name, behind: Some(error.to_string()), ..Settled::default() }),
            }
        }
        let ledger = self.ledger(owner, "settling").await?;
        let (suspects, everybody) = (self.suspect_objects(owner).await?, settled.is_empty());
        let (prefix, copied, told, book) = (place_of(owner), members.clone(), monitor.clone(), ledger.clone());
        let made = blocking(move || {
            let closely = |member: &str, name: &ObjectName| suspects.suspects(member, name);
            let scope = Scope { prefix: &prefix, closely: &closely, everybody, dry_run };
            let mut each = |_: &ObjectName, bytes: u64| {
                told.advance(1, bytes);
                !told.cancelled()
            };
            Ok(settle(&copied, ORDER, &*book, scope, &mut each)?)
        })
        .await;
        settled.extend(match made {
            Err(_) if monitor.cancelled() => return Err(RepositoryError::Cancelled.into()),
            other => other?,
        });
        if !dry_run {
            // What nobody has any more is told once, and looked for no more, when every destination was asked.
            if settled.iter().all(|s| s.behind.is_none()) {
                let gone: BTreeSet<&str> = settled.iter().flat_map(|s| &s.gone).map(String::as_str).collect();
                self.vault.forget_objects(owner, &gone.into_iter().collect::<Vec<_>>()).await?;
            }
            ledger.flush().await?;
            self.sweep_old_versions(owner).await?;
            self.sweep_uploads(owner).await?;
            self.note_settled(owner, &members, &before, &mut settled).await?;
            // What was written again has no lock any more, whatever the one before had.
            for one in &settled {
                self.vault.forget_locks(owner, &one.member, &one.given).await?;
            }
            self.extend_locks(owner).await?;
        }
        Ok(settled)
    }

    async fn note_settled(
        &self,
        owner: Option<OwnerId>,
        members: &[Member],
        before: &Before,
        settled: &mut [Settled],
    ) -> CustodyResult<()> {
        if settled.iter().any(|s| s.differing.iter().any(|name| name.contains("/recovery-"))) {
            self.renew_recovery_files(owner, members, settled).await?;
        }
        for one in settled.iter_mut().filter(|s| s.behind.is_none() && !s.differing.is_empty()) {
            one.behind =
                Some(format!("its {} is another one than elsewhere: `keepsake verify` tells which is right", one.differing.join(", ")));
        }
        let whole = before.is_whole(settled);
        if !whole {
            for one in settled.iter_mut().filter(|s| s.behind.is_none() && !before.settled.contains(&s.member)) {
                one.behind = Some("no destination that surely has everything could be reached".into());
            }
        }
        // One that had everything and did not answer still has it, as long as nobody else has.
        let known = |s: &&Settled| whole || !before.settled.contains(&s.member);
        let rows: Vec<_> = settled
            .iter()
            .filter(known)
            .map(|s| match &s.behind {
                None => (s.member.clone(), Standing::Settled, String::new()),
                Some(reason) => (s.member.clone(), Standing::Behind, reason.clone()),
            })
            .collect();
        self.vault.set_copies(owner, &rows, if whole { &before.cut_off } else { &[] }).await?;
        self.forget_suspect_objects(owner, settled).await?;
        // What nobody has any more, the next backup adds again if the vault still has it.
        let lost: BTreeSet<&String> = settled.iter().flat_map(|s| s.lost.iter().chain(&s.gone)).collect();
        let packs: Vec<Id> =
            lost.iter().filter(|name| name.contains("/data/")).filter_map(|name| name.rsplit('/').next()?.parse().ok()).collect();
        if !packs.is_empty() {
            self.remember_damage(owner, &packs).await?;
        }
        self.misses(settled.iter().filter_map(|s| Some((s.member.clone(), s.behind.clone()?))));
        if !lost.is_empty() {
            let told = "objects are damaged or gone at every destination: `keepsake verify` tells what that reaches".to_owned();
            self.misses(settled.iter().map(|s| (s.member.clone(), told.clone())));
        }
        let complete = settled.iter().all(|s| s.behind.is_none() && s.lost.is_empty() && s.gone.is_empty());
        let outcome = if complete { Outcome::Complete } else { Outcome::Skipped };
        let detail = json!({ "copies": settled });
        Ok(self.vault.audit(&self.entry(owner, "destination.sync", "", outcome, detail)).await?)
    }

    /// Which of two recovery files is right, nobody can tell by looking; what belongs in it, the vault knows.
    async fn renew_recovery_files(&self, owner: Option<OwnerId>, members: &[Member], settled: &mut [Settled]) -> CustodyResult<()> {
        let Some(row) = self.vault.repository(owner).await? else { return Ok(()) };
        let password = self.password(&row)?;
        for member in members {
            let Some(one) = settled.iter_mut().find(|s| s.member == member.name && s.behind.is_none()) else { continue };
            match self.write_recovery_file(&*member.store, &place_of(owner), &row, &password).await {
                Ok(()) => one.differing.retain(|name| !name.ends_with(&format!("/recovery-{}.age", row.generation))),
                Err(error) => one.behind = Some(error.to_string()),
            }
        }
        Ok(())
    }

    /// Settles what is owed before new work, if anything is. Destinations that fail are left out of it, and told.
    pub(crate) async fn pay_copies(&self, owner: Option<OwnerId>, monitor: Arc<dyn Monitor>) -> CustodyResult<()> {
        if self.owes_copies(owner).await? {
            monitor.stage("destinations", None, None);
            self.settle_copies(owner, false, monitor).await?;
        }
        Ok(())
    }

    /// As [`Custody::pay_copies`], for verbs that remove: what a run wrote that was cut off must be known before anything is taken for unused.
    pub(crate) async fn pay_copies_first(&self, owner: Option<OwnerId>, monitor: Arc<dyn Monitor>) -> CustodyResult<()> {
        self.pay_copies(owner, monitor).await?;
        if self.vault.destinations().await?.len() > 1 && !self.cut_off_writes(owner).await?.is_empty() {
            return Err(CustodyError::Refused(
                "a run that wrote to several destinations was cut off, and one that may have what it wrote cannot be reached: connect it and run `keepsake destination sync`"
                    .into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(names: &[(&str, bool)]) -> Vec<Settled> {
        let one = |(name, answers): &(&str, bool)| Settled {
            member: (*name).into(),
            behind: (!answers).then(|| "away".into()),
            ..Settled::default()
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn nobody_is_complete_unless_a_complete_one_answered() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let sure = Before { settled: names(&["a", "b"]), cut_off: vec![] };
        assert!(sure.is_whole(&answered(&[("a", false), ("b", true), ("c", true)])));
        assert!(!sure.is_whole(&answered(&[("a", false), ("b", false), ("c", true)])));
        let unsure = Before { settled: names(&["a", "b"]), cut_off: vec!["run".into()] };
        assert!(!unsure.is_whole(&answered(&[("a", false), ("b", true), ("c", true)])), "the run may have reached `a` alone");
        assert!(unsure.is_whole(&answered(&[("a", true), ("b", true), ("c", false)])));
        let none = Before { settled: names(&[]), cut_off: vec![] };
        assert!(!none.is_whole(&answered(&[("a", true), ("b", false)])));
        assert!(none.is_whole(&answered(&[("a", true), ("b", true)])));
    }
}
