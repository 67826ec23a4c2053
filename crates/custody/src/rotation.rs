//! Rotation: which snapshots are kept, which go, and which instants go with them. Plan first.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{OwnerId, bundle::History};
use keepsake_repository::{Candidate, Id, Monitor, Policy, Repository, RepositoryError, Snapshot, decide};
use keepsake_storage::StoreError;
use keepsake_vault::{Outcome, Pin};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult, Source,
    copies::{Copy, blocking},
    snapshots::{is_bundle, row},
};

/// A snapshot in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its id.
    pub snapshot: String,
    /// When it was begun.
    pub time: String,
    /// What it is of.
    pub what: String,
    /// Why it stays; empty for those that go.
    pub reasons: Vec<String>,
}

/// What a rotation would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetPlan {
    /// The policy that was asked.
    pub policy: Policy,
    /// The snapshots that stay.
    pub keep: Vec<Planned>,
    /// The snapshots that go.
    pub forget: Vec<Planned>,
    /// Spans of time of which no state can be brought back any more, from and to, RFC 3339.
    pub lost: Vec<(String, String)>,
}

/// The span of instants that one snapshot brings back: from its journal's oldest change to when it was made.
type Window = (jiff::Timestamp, jiff::Timestamp);

impl Custody {
    /// The rotation in the settings.
    pub fn rotation(&self) -> Policy {
        self.config.rotation()
    }

    /// Works out what a rotation would do to the snapshots of an owner's repository.
    ///
    /// # Errors
    /// There is no repository, or a snapshot in it is damaged: verify comes first.
    pub async fn plan_forget(&self, owner: OwnerId, policy: &Policy) -> CustodyResult<ForgetPlan> {
        let result = async {
            let copy = self.existing_copy(Some(owner)).await?;
            Ok(self.forget_plan(owner, copy, policy).await?.1)
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.forget.plan", "", result).await
    }

    async fn forget_plan(&self, owner: OwnerId, copy: Copy, policy: &Policy) -> CustodyResult<(Copy, ForgetPlan)> {
        let pins: BTreeMap<String, String> = self.vault.pins(owner).await?.into_iter().map(|pin| (pin.snapshot, pin.reason)).collect();
        let half_forgotten = self.half_forgotten(owner).await?;
        let policy = policy.clone();
        blocking(move || {
            copy.repository.load_index()?;
            let (snapshots, damaged) = copy.repository.snapshots()?;
            if let Some(error) = damaged.into_iter().next() {
                return Err(error.into());
            }
            let candidates: Vec<Candidate> = snapshots.iter().map(|(id, snapshot)| candidate(id, snapshot, &pins)).collect();
            let mut verdicts = decide(&policy, &candidates);
            // A clock may have been wrong; what the vault's history calls newest is what `latest` means.
            for at in newest_by_history(&snapshots) {
                if verdicts[at].reasons.is_empty() {
                    verdicts[at].reasons.push("newest by history".into());
                }
            }
            // What an earlier rotation was letting go of when it was cut off goes: it is recorded no more.
            for (verdict, (id, _)) in verdicts.iter_mut().zip(&snapshots) {
                if half_forgotten.contains(&id.to_string()) {
                    verdict.reasons.clear();
                }
            }
            let mut plan = ForgetPlan { policy, keep: Vec::new(), forget: Vec::new(), lost: Vec::new() };
            let (mut kept, mut all) = (Vec::new(), Vec::new());
            for ((id, snapshot), verdict) in snapshots.iter().zip(verdicts) {
                let stays = !verdict.reasons.is_empty();
                let window = if is_bundle(snapshot) { window(&copy.repository, snapshot)? } else { None };
                all.extend(window);
                kept.extend(window.filter(|_| stays));
                let shown = row(id, snapshot);
                let planned = Planned { snapshot: shown.id, time: shown.time, what: shown.paths.join(", "), reasons: verdict.reasons };
                if stays { &mut plan.keep } else { &mut plan.forget }.push(planned);
            }
            plan.lost = without(joined(all), &joined(kept)).into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
            Ok((copy, plan))
        })
        .await
    }

    /// Forgets what a plan says. What only those snapshots needed stays until a prune.
    ///
    /// # Errors
    /// Snapshots came or went since the plan, others work on the repository, or the store fails.
    pub async fn forget(&self, owner: OwnerId, plan: &ForgetPlan, monitor: std::sync::Arc<dyn Monitor>) -> CustodyResult<()> {
        let result = async {
            self.pay_copies_first(Some(owner), monitor.clone()).await?;
            let copy = self.existing_copy(Some(owner)).await?;
            let (copy, now) = self.forget_plan(owner, copy, &plan.policy).await?;
            if now.forget != plan.forget {
                return Err(CustodyError::Refused("snapshots came or went since this was planned: look at the new plan".into()));
            }
            let names: Vec<String> = plan.forget.iter().map(|planned| planned.snapshot.clone()).collect();
            let ids: Vec<Id> = names.iter().filter_map(|name| name.parse().ok()).collect();
            // The catalogue first: a snapshot that is recorded and not there would look like a loss.
            let detail = json!({ "snapshots": names, "lost": plan.lost });
            let begun = self.entry(Some(owner), "snapshot.forget.begin", "", Outcome::Complete, detail.clone());
            let going = serde_json::to_string(&names).map_err(|e| CustodyError::Damaged(e.to_string()))?;
            self.vault.set_fact(&forgetting(owner), &going, &begun).await?;
            self.vault.strike_snapshots(Some(owner), &names, &self.done(owner, "snapshot.strike", "")).await?;
            blocking(move || Ok(copy.repository.forget(&ids, &*monitor)?)).await?;
            let ended = self.entry(Some(owner), "snapshot.forget", "", Outcome::Complete, detail);
            Ok(self.vault.set_fact(&forgetting(owner), "", &ended).await?)
        };
        let result = result.await;
        self.audited_failure(Some(owner), "snapshot.forget", "", result).await
    }

    /// Snapshots that were struck out of the catalogue by a rotation that has not ended: no other program made them.
    pub(crate) async fn half_forgotten(&self, owner: OwnerId) -> CustodyResult<Vec<String>> {
        let Some(text) = self.vault.fact(&forgetting(owner)).await?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|e| CustodyError::Damaged(format!("what a rotation was to let go of: {e}")))
    }

    /// Pins a snapshot: no rotation forgets it.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn pin_snapshot(&self, owner: OwnerId, name: &str, reason: &str) -> CustodyResult<String> {
        let result = async {
            let (_, id, _) = self.found(owner, &Source::Home, name).await?;
            let pin = Pin { snapshot: id.to_string(), reason: reason.into(), at: self.now().micros() };
            self.vault.pin(owner, &pin, &self.done(owner, "snapshot.pin", &pin.snapshot)).await?;
            Ok(pin.snapshot)
        };
        let result = result.await;
        self.audited_failure(Some(owner), "snapshot.pin", name, result).await
    }

    /// Takes a pin off.
    ///
    /// # Errors
    /// No snapshot of this name is pinned.
    pub async fn unpin_snapshot(&self, owner: OwnerId, name: &str) -> CustodyResult<String> {
        let result = async {
            let pins = self.vault.pins(owner).await?;
            let mut hits = pins.into_iter().filter(|pin| name.len() >= 4 && pin.snapshot.starts_with(name));
            let (Some(pin), None) = (hits.next(), hits.next()) else {
                return Err(CustodyError::Usage(format!("no pinned snapshot is called `{name}`: `keepsake snapshot list` marks them")));
            };
            self.vault.unpin(owner, &pin.snapshot, &self.done(owner, "snapshot.unpin", &pin.snapshot)).await?;
            Ok(pin.snapshot)
        };
        let result = result.await;
        self.audited_failure(Some(owner), "snapshot.unpin", name, result).await
    }

    /// The pinned snapshots with the reasons.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn pins(&self, owner: OwnerId) -> CustodyResult<BTreeMap<String, String>> {
        Ok(self.vault.pins(owner).await?.into_iter().map(|pin| (pin.snapshot, pin.reason)).collect())
    }
}

/// The fact that a rotation was begun: what it lets go of.
fn forgetting(owner: OwnerId) -> String {
    format!("forgetting {owner}")
}

pub(crate) fn candidate(id: &Id, snapshot: &Snapshot, pins: &BTreeMap<String, String>) -> Candidate {
    let group = if is_bundle(snapshot) {
        format!("vault {}", snapshot.tag("lineage").unwrap_or_default())
    } else {
        format!("{} {}", snapshot.hostname, snapshot.paths.join("\n"))
    };
    // A time that cannot be read is taken for the oldest, and what cannot be dated is not forgotten.
    let time: Option<jiff::Timestamp> = snapshot.time.parse().ok();
    let undated = time.is_none().then(|| "its time cannot be read".to_owned());
    Candidate {
        id: *id,
        time: time.unwrap_or(jiff::Timestamp::MIN),
        tags: snapshot.tags.clone(),
        group,
        pinned: pins.get(&id.to_string()).cloned().or(undated),
    }
}

/// The snapshot with the last change of each line of history.
fn newest_by_history(snapshots: &[(Id, Snapshot)]) -> BTreeSet<usize> {
    let mut newest: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for (at, (_, snapshot)) in snapshots.iter().enumerate().filter(|(_, (_, snapshot))| is_bundle(snapshot)) {
        let seq = snapshot.tag("seq").and_then(|seq| seq.parse().ok()).unwrap_or(0);
        let best = newest.entry(snapshot.tag("lineage").unwrap_or_default()).or_insert((seq, at));
        *best = (*best).max((seq, at));
    }
    newest.into_values().map(|(_, at)| at).collect()
}

fn window(repository: &Repository, snapshot: &Snapshot) -> CustodyResult<Option<Window>> {
    let Ok(made) = snapshot.time.parse::<jiff::Timestamp>() else { return Ok(None) };
    let Some(node) = repository.node_at(&snapshot.tree, "history/history.json")? else { return Ok(None) };
    let bytes = match repository.file_bytes(&node) {
        // Which instants it covers is known only when somebody has asked for it.
        Err(RepositoryError::Store(StoreError::Archived { .. })) => return Ok(None),
        other => other?,
    };
    let history: History = serde_json::from_slice(&bytes).map_err(|e| CustodyError::Damaged(format!("history.json of a snapshot: {e}")))?;
    Ok(Some((history.oldest.map_or(made, |oldest| oldest.to_jiff()), made)))
}

/// Windows that meet, joined; in order.
fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable();
    let mut out: Vec<Window> = Vec::new();
    for (from, to) in windows {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// What of joined windows other joined windows do not cover.
fn without(windows: Vec<Window>, covered: &[Window]) -> Vec<Window> {
    let cut = |(from, to): Window, points: &BTreeSet<jiff::Timestamp>| {
        let inner: Vec<_> = points.iter().copied().filter(|p| *p > from && *p < to).collect();
        let edges: Vec<_> = [from].into_iter().chain(inner).chain([to]).collect();
        edges.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
    };
    let points: BTreeSet<jiff::Timestamp> = covered.iter().flat_map(|(from, to)| [*from, *to]).collect();
    let pieces = windows.into_iter().flat_map(|window| cut(window, &points));
    joined(pieces.filter(|(from, to)| !covered.iter().any(|(a, b)| a <= from && to <= b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_what_no_kept_window_covers() {
        let at = |second: i64| jiff::Timestamp::from_second(second).expect("in range");
        let windows = |pairs: &[(i64, i64)]| pairs.iter().map(|(a, b)| (at(*a), at(*b))).collect::<Vec<_>>();
        assert_eq!(joined(windows(&[(5, 9), (1, 3), (2, 4)])), windows(&[(1, 4), (5, 9)]));
        let lost = |all: &[(i64, i64)], kept: &[(i64, i64)]| without(joined(windows(all)), &joined(windows(kept)));
        assert_eq!(lost(&[(0, 10), (0, 20)], &[(0, 20)]), [], "the newest covers all, as long as nothing is trimmed");
        assert_eq!(lost(&[(0, 10), (5, 20)], &[(5, 20)]), windows(&[(0, 5)]), "the journal was trimmed at 5");
        assert_eq!(lost(&[(0, 10), (5, 20)], &[(0, 10)]), windows(&[(10, 20)]));
        assert_eq!(lost(&[(0, 30)], &[(0, 5), (10, 12), (20, 30)]), windows(&[(5, 10), (12, 20)]));
    }
}
