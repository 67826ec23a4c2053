//! Locks on objects: for so long nobody deletes a backup, not even with our own credentials.
//!
//! Locked are packs, indexes and snapshots, for a period from now on, and anew before half of it is over. Keys, recovery files and the locks of
//! running programs never are: they must go at once when somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::OwnerId;
use keepsake_repository::{Id, ORDER, PrunePlan, Silent, decide};
use keepsake_storage::{Ledger, LockMode, Locks, ObjectLock, ObjectName, StoreError, StoreResult};
use keepsake_vault::{DestinationRow, LockRow};
use serde::Serialize;

use crate::{
    Custody, CustodyResult,
    copies::{blocking, place_of},
    rotation::candidate,
};

const DAY_MICROS: i64 = 86_400_000_000;
/// Locks that are set at once.
const AT_ONCE: usize = 8;

/// For how long the objects of a destination are locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockPolicy {
    /// Everything, in days.
    pub all: i64,
    /// What snapshots need that rotation keeps for a reason that begins with this word (`daily`, `monthly`, `pinned`, …), in days.
    pub classes: BTreeMap<String, i64>,
    pub mode: LockMode,
}

const CLASSES: [&str; 8] = ["last", "hourly", "daily", "weekly", "monthly", "yearly", "pinned", "tag"];

impl LockPolicy {
    /// Reads `30 days`, or `30 days, monthly 90 days, yearly 400 days`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("it needs a period such as `30 days`, and may add longer ones such as `monthly 90 days` for {}", CLASSES.join(", "));
        let mut policy = Self::default();
        for part in text.split(',') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let days = |number: &str| number.parse::<i64>().ok().filter(|days| (1..=36_500).contains(days)).ok_or_else(wrong);
            match words.as_slice() {
                [number, "day" | "days"] if policy.all == 0 => policy.all = days(number)?,
                [class, number, "day" | "days"] if CLASSES.contains(class) => {
                    policy.classes.insert((*class).to_owned(), days(number)?);
                }
                _ => return Err(wrong()),
            }
        }
        if policy.all == 0 { Err(wrong()) } else { Ok(policy) }
    }

    /// For how many days what such a snapshot needs is locked.
    fn days_for(&self, reasons: &[String]) -> i64 {
        let of = |reason: &String| self.classes.iter().find(|(class, _)| reason.starts_with(*class)).map(|(_, days)| *days);
        reasons.iter().filter_map(of).fold(self.all, i64::max)
    }
}

/// Packs, indexes and snapshots.
pub(crate) fn is_lockable(name: &ObjectName) -> bool {
    matches!((ORDER.rank)(name), 0 | 2 | 3)
}

/// Which objects get which lock: those that have less than half of their period before them. Times in microseconds.
fn due(wanted: &BTreeMap<String, i64>, locked: &BTreeMap<String, i64>, now: i64) -> BTreeMap<String, i64> {
    let is_due = |(name, days): &(&String, &i64)| locked.get(*name).is_none_or(|until| *until < now + **days * DAY_MICROS / 2);
    wanted.iter().filter(is_due).map(|(name, days)| (name.clone(), now + days * DAY_MICROS)).collect()
}

/// Objects that a plan would delete and a destination keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeptByLocks {
    /// The destination.
    pub destination: String,
    /// How many.
    pub objects: u64,
    /// When the first lock ends, in microseconds.
    pub first: i64,
    /// When the last lock ends, in microseconds.
    pub last: i64,
}

impl Custody {
    /// Locks what a destination's policy wants locked, and keeps locked what was before. What fails is told as a lack of the destination.
    pub(crate) async fn extend_locks(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        for row in self.complete_destinations(owner).await? {
            if let Some(policy) = self.config.destinations().lock_policy(&row.name) {
                let result = self.extend_locks_at(owner, &row, &policy, None).await;
                self.tell_unlocked(&row, result);
            }
        }
        Ok(())
    }

    /// Locks what was written just now; longer periods come with the next settling, or before half of this one is over.
    pub(crate) async fn lock_written(&self, owner: Option<OwnerId>, written: &BTreeSet<String>) -> CustodyResult<()> {
        for row in self.complete_destinations(owner).await? {
            if let Some(policy) = self.config.destinations().lock_policy(&row.name) {
                let wants = |name: &&String| ObjectName::new(name.as_str()).is_ok_and(|name| is_lockable(&name));
                let wanted = written.iter().filter(wants).map(|name| (name.clone(), policy.all)).collect();
                let result = self.extend_locks_at(owner, &row, &policy, Some(wanted)).await;
                self.tell_unlocked(&row, result);
            }
        }
        Ok(())
    }

    fn tell_unlocked(&self, row: &DestinationRow, result: CustodyResult<()>) {
        if let Err(error) = result {
            self.misses([(row.name.clone(), format!("not everything there is locked: {error}"))].into_iter());
        }
    }

    /// Looks at locks at the end of a backup, also of one that had nothing to write: they are renewed before half of their period is over, and what was
    /// kept by locks that have ended is removed.
    pub(crate) async fn tend_locks(&self, owner: Option<OwnerId>) -> CustodyResult<()> {
        let (mut sweep, mut extend, now) = (false, false, self.now().micros());
        for row in self.vault.destinations().await? {
            let (live, gone) = self.vault.first_locks_to_end(owner, &row.name).await?;
            sweep |= gone.is_some_and(|until| until <= now);
            let policy = self.config.destinations().lock_policy(&row.name);
            extend |= policy.is_some_and(|policy| live.is_some_and(|until| until < now + policy.all * DAY_MICROS / 2));
        }
        if sweep {
            self.sweep_old_versions(owner).await?;
        }
        if extend {
            self.extend_locks(owner).await?;
        }
        Ok(())
    }

    /// `wanted`: which objects, for how many days each; `None`: all that are there.
    async fn extend_locks_at(
        &self,
        owner: Option<OwnerId>,
        row: &DestinationRow,
        policy: &LockPolicy,
        wanted: Option<BTreeMap<String, i64>>,
    ) -> CustodyResult<()> {
        let place = row.url.clone();
        let Some(control) = self.destination_control(row)?.filter(|control| control.locks().is_some()) else {
            let problem = "it has no locks for objects: take `lock` of this destination out of keepsake.toml".into();
            return Err(StoreError::Refused { place, problem }.into());
        };
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => self.wanted_locks(owner, row, policy).await?,
        };
        let locked = self.vault.locks(owner).await?.into_iter().filter(|lock| lock.destination == row.name);
        let due = due(&wanted, &locked.map(|lock| (lock.name, lock.until)).collect(), self.now().micros());
        let mode = policy.mode;
        let (set, error) = blocking(move || {
            let locks = control.locks().expect("it was there just now");
            Ok(lock_all(locks, mode, due))
        })
        .await?;
        self.vault.note_locks(owner, &row.name, &set).await?;
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// What is to be locked at a destination, for how many days each: what is there, as long as nobody condemned it.
    async fn wanted_locks(
        &self,
        owner: Option<OwnerId>,
        row: &DestinationRow,
        policy: &LockPolicy,
    ) -> CustodyResult<BTreeMap<String, i64>> {
        let (store, ledger, prefix) = (self.ready_store(row).await?, self.ledger(owner, "locking").await?, place_of(owner));
        let longest = self.longer_locks(owner, policy).await?;
        let listed = blocking(move || Ok(store.list(&prefix)?)).await?;
        let wants = |name: &ObjectName| is_lockable(name) && !ledger.is_condemned(name);
        let days = |name: &ObjectName| match (ORDER.rank)(name) {
            // Every snapshot needs the indexes.
            2 => longest.values().copied().fold(policy.all, i64::max),
            _ => longest.get(name.file_name()).copied().unwrap_or(policy.all),
        };
        Ok(listed.into_iter().filter(|o| wants(&o.name)).map(|o| (o.name.to_string(), days(&o.name))).collect())
    }

    /// The snapshots and packs that are locked for longer than all else, by their ids, in days.
    async fn longer_locks(&self, owner: Option<OwnerId>, policy: &LockPolicy) -> CustodyResult<BTreeMap<String, i64>> {
        let Some(user) = owner.filter(|_| !policy.classes.is_empty()) else { return Ok(BTreeMap::new()) };
        let copy = self.existing_copy(owner).await?;
        let pins: BTreeMap<String, String> = self.vault.pins(user).await?.into_iter().map(|pin| (pin.snapshot, pin.reason)).collect();
        let (rotation, policy) = (self.config.rotation(), policy.clone());
        blocking(move || {
            copy.repository.load_index()?;
            let (snapshots, _) = copy.repository.snapshots()?;
            let candidates: Vec<_> = snapshots.iter().map(|(id, snapshot)| candidate(id, snapshot, &pins)).collect();
            let (mut days, mut trees): (BTreeMap<String, i64>, BTreeMap<i64, BTreeSet<Id>>) = (BTreeMap::new(), BTreeMap::new());
            for ((id, snapshot), verdict) in snapshots.iter().zip(decide(&rotation, &candidates)) {
                let needs = policy.days_for(&verdict.reasons);
                if needs > policy.all {
                    days.insert(id.to_string(), needs);
                    trees.entry(needs).or_default().insert(snapshot.tree);
                }
            }
            // In order, so that the longest period wins.
            for (period, roots) in trees {
                for pack in copy.repository.packs_of(&roots.into_iter().collect::<Vec<_>>(), &[], &Silent)? {
                    days.insert(pack.to_string(), period);
                }
            }
            Ok(days)
        })
        .await
    }

    /// What of a prune's plan destinations keep until locks end, by destination.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn kept_by_locks(&self, owner: Option<OwnerId>, plan: &PrunePlan) -> CustodyResult<Vec<KeptByLocks>> {
        let going: BTreeSet<String> = plan.remove.iter().chain(&plan.repack).chain(&plan.orphans).map(Id::to_string).collect();
        let of_it = |lock: &LockRow| lock.name.rsplit('/').next().is_some_and(|id| going.contains(id));
        Ok(by_destination(self.vault.locks(owner).await?.into_iter().filter(of_it), self.now().micros()))
    }

    /// What was deleted from an owner's repository, now or before, and destinations keep until locks end.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn deleted_and_kept(&self, owner: Option<OwnerId>) -> CustodyResult<Vec<KeptByLocks>> {
        let ledger = self.ledger(owner, "looking").await?;
        let is_gone = |lock: &LockRow| ObjectName::new(lock.name.as_str()).is_ok_and(|name| ledger.is_condemned(&name));
        Ok(by_destination(self.vault.locks(owner).await?.into_iter().filter(is_gone), self.now().micros()))
    }
}

/// Locks that have not ended, summed up.
fn by_destination(locks: impl Iterator<Item = LockRow>, now: i64) -> Vec<KeptByLocks> {
    let mut kept: BTreeMap<String, KeptByLocks> = BTreeMap::new();
    for lock in locks.filter(|lock| lock.until > now) {
        let one = kept.entry(lock.destination.clone()).or_insert_with(|| KeptByLocks {
            destination: lock.destination.clone(),
            first: lock.until,
            ..KeptByLocks::default()
        });
        one.objects += 1;
        (one.first, one.last) = (one.first.min(lock.until), one.last.max(lock.until));
    }
    kept.into_values().collect()
}

/// Sets locks, several at once; answers those that are set, and why one is not.
fn lock_all(locks: &dyn Locks, mode: LockMode, due: BTreeMap<String, i64>) -> (BTreeMap<String, i64>, Option<StoreError>) {
    let due: Vec<(String, i64)> = due.into_iter().collect();
    let set = |(name, until): &(String, i64)| -> StoreResult<(String, i64)> {
        // The clouds keep whole seconds: rounded up, so that nothing ends early.
        let until = (until / 1_000_000 + 1) * 1_000_000;
        locks.lock(&ObjectName::new(name.as_str())?, ObjectLock { mode, until })?;
        Ok((name.clone(), until))
    };
    // A place that refuses one lock refuses all: each lane stops at its first.
    let work = |lane: &[(String, i64)]| {
        let mut answers = Vec::new();
        for one in lane {
            let answer = set(one);
            let stop = answer.as_ref().is_err_and(|error| !error.is_not_found());
            answers.push(answer);
            if stop {
                break;
            }
        }
        answers
    };
    let answers: Vec<StoreResult<(String, i64)>> = std::thread::scope(|scope| {
        let lanes = due.chunks(due.len().div_ceil(AT_ONCE).max(1));
        let lanes: Vec<_> = lanes.map(|lane| scope.spawn(move || work(lane))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("no lane panics")).collect()
    });
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    // One that went away meanwhile needs no lock.
    let error = bad.into_iter().filter_map(Result::err).find(|error| !error.is_not_found());
    (good.into_iter().flatten().collect(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read() {
        let policy = LockPolicy::parse("30 days, monthly 90 days,yearly 400 days").expect("a policy");
        let reasons = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(policy.days_for(&reasons(&["daily 2026-11-23"])), 30);
        assert_eq!(policy.days_for(&reasons(&["monthly 2026-11", "yearly 2026", "daily 2026-11-23"])), 400);
        for bad in ["", "30", "days", "0 days", "monthly 30 days", "30 days, sometimes 40 days", "30 days, 40 days", "99999 days"] {
            assert!(LockPolicy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lock_is_renewed_before_half_of_it_is_over() {
        let now = 1_000 * DAY_MICROS;
        let of = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect::<BTreeMap<_, _>>();
        let wanted = of(&[("new", 30), ("fresh", 30), ("half", 30), ("old", 90)]);
        let locked = of(&[("fresh", now + 16 * DAY_MICROS), ("half", now + 14 * DAY_MICROS), ("old", now + 40 * DAY_MICROS)]);
        let expected = of(&[("new", now + 30 * DAY_MICROS), ("half", now + 30 * DAY_MICROS), ("old", now + 90 * DAY_MICROS)]);
        assert_eq!(due(&wanted, &locked, now), expected);
    }
}
