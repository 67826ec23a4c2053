//! Rotation: which snapshots are kept. A pure function of their times, names and the policy.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::Id;

/// How many snapshots of a kind are kept; `None` for all of them.
pub type Count = Option<u32>;

/// What is kept. A snapshot stays if any rule wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The newest ones.
    pub last: Count,
    /// The newest of each of so many hours that have one.
    pub hourly: Count,
    /// The newest of each of so many days that have one.
    pub daily: Count,
    /// The newest of each of so many weeks (Monday to Sunday, ISO 8601) that have one.
    pub weekly: Count,
    /// The newest of each of so many months that have one.
    pub monthly: Count,
    /// The newest of each of so many years that have one.
    pub yearly: Count,
    /// All that are at most so many hours older than the newest.
    pub within_hours: u32,
    /// All with one of these tags.
    pub tags: BTreeSet<String>,
}

impl Policy {
    /// Keeps nothing but the newest: the beginning of a policy that is put together.
    pub fn nothing() -> Self {
        let none = Some(0);
        Self { last: none, hourly: none, daily: none, weekly: none, monthly: none, yearly: none, within_hours: 0, tags: BTreeSet::new() }
    }
}

impl Default for Policy {
    /// All of the last 48 hours, then 30 days, 12 weeks, 24 months and every year.
    fn default() -> Self {
        let some = |count| Some(count);
        Self { daily: some(30), weekly: some(12), monthly: some(24), yearly: None, within_hours: 48, ..Self::nothing() }
    }
}

/// What rotation looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: Id,
    /// When it was begun.
    pub time: Timestamp,
    /// Its tags.
    pub tags: Vec<String>,
    /// Snapshots of one group are alternatives to each other: the vault, or one folder of one machine.
    pub group: String,
    /// It stays whatever the rules say, for this reason.
    pub pinned: Option<String>,
}

/// A snapshot and why it stays; without a reason it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The snapshot.
    pub id: Id,
    /// The rules that want it.
    pub reasons: Vec<String>,
}

/// Which period of a rule an instant belongs to.
type Period = fn(&Timestamp) -> String;

fn in_utc(time: &Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// Decides over snapshots in any order; answers in the order in which they came. The newest of each group always stays.
pub fn decide(policy: &Policy, candidates: &[Candidate]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = candidates.iter().map(|c| Verdict { id: c.id, reasons: Vec::new() }).collect();
    let groups: BTreeSet<&str> = candidates.iter().map(|c| c.group.as_str()).collect();
    for group in groups {
        let mut newest_first: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].group == group).collect();
        newest_first.sort_by_key(|at| std::cmp::Reverse((candidates[*at].time, candidates[*at].id)));
        decide_group(policy, candidates, &newest_first, &mut verdicts);
    }
    verdicts
}

fn decide_group(policy: &Policy, candidates: &[Candidate], newest_first: &[usize], verdicts: &mut [Verdict]) {
    let Some(newest) = newest_first.first().map(|at| candidates[*at].time) else { return };
    let mut keep = |at: usize, reason: String| verdicts[at].reasons.push(reason);
    keep(newest_first[0], "newest".into());
    // Longer than time itself: all of them.
    let hours = Span::new().try_hours(i64::from(policy.within_hours));
    let since = hours.and_then(|span| newest.checked_sub(span)).unwrap_or(Timestamp::MIN);
    for at in newest_first.iter().copied() {
        let candidate = &candidates[at];
        if let Some(reason) = &candidate.pinned {
            keep(at, format!("pinned: {reason}"));
        }
        if policy.within_hours > 0 && candidate.time >= since {
            keep(at, format!("within {} hours", policy.within_hours));
        }
        if let Some(tag) = candidate.tags.iter().find(|tag| policy.tags.contains(*tag)) {
            keep(at, format!("tag {tag}"));
        }
    }
    for at in newest_first.iter().copied().take(policy.last.map_or(usize::MAX, |count| count as usize)) {
        keep(at, "last".into());
    }
    let rules: [(&str, Count, Period); 5] = [
        ("hourly", policy.hourly, |time| in_utc(time, "%Y-%m-%dT%H")),
        ("daily", policy.daily, |time| in_utc(time, "%Y-%m-%d")),
        ("weekly", policy.weekly, |time| in_utc(time, "%G-W%V")),
        ("monthly", policy.monthly, |time| in_utc(time, "%Y-%m")),
        ("yearly", policy.yearly, |time| in_utc(time, "%Y")),
    ];
    for (name, count, period) in rules {
        let mut left = count.unwrap_or(u32::MAX);
        let mut last = None;
        for at in newest_first.iter().copied() {
            let now = period(&candidates[at].time);
            if left == 0 {
                break;
            }
            if last.as_ref() != Some(&now) {
                keep(at, name.into());
                left -= 1;
                last = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(times: &[&str]) -> Vec<Candidate> {
        let one = |(at, time): (usize, &&str)| Candidate {
            id: Id::of(&at.to_le_bytes()),
            time: time.parse().expect("a time"),
            tags: Vec::new(),
            group: "vault".into(),
            pinned: None,
        };
        times.iter().enumerate().map(one).collect()
    }

    fn kept(policy: &Policy, candidates: &[Candidate]) -> Vec<usize> {
        let verdicts = decide(policy, candidates);
        (0..candidates.len()).filter(|at| !verdicts[*at].reasons.is_empty()).collect()
    }

    #[test]
    fn the_newest_of_each_period_stays() {
        let snapshots = candidates(&[
            "2023-12-31T23:00:00Z",
            "2024-01-01T08:00:00Z",
            "2024-01-01T20:00:00Z",
            "2024-01-02T08:00:00Z",
            "2024-01-02T08:30:00Z",
            "2024-03-01T00:00:00Z",
        ]);
        let only = |change: fn(&mut Policy)| {
            let mut policy = Policy::nothing();
            change(&mut policy);
            kept(&policy, &snapshots)
        };
        assert_eq!(only(|_| ()), [5], "the newest always stays");
        assert_eq!(only(|p| p.last = Some(2)), [4, 5]);
        assert_eq!(only(|p| p.hourly = Some(3)), [2, 4, 5]);
        assert_eq!(only(|p| p.daily = Some(3)), [2, 4, 5]);
        assert_eq!(only(|p| p.weekly = None), [0, 4, 5], "the last day of 2023 was a Sunday");
        assert_eq!(only(|p| p.monthly = None), [0, 4, 5]);
        assert_eq!(only(|p| p.yearly = Some(1)), [5]);
        assert_eq!(only(|p| p.within_hours = 24 * 59), [3, 4, 5]);
        assert_eq!(only(|p| p.within_hours = u32::MAX).len(), 6, "longer than time itself");
        let mut pinned = snapshots.clone();
        pinned[1].pinned = Some("a promise".into());
        assert_eq!(kept(&Policy::nothing(), &pinned), [1, 5]);
        let mut tagged = snapshots;
        tagged[0].tags = vec!["wedding".into()];
        let policy = Policy { tags: BTreeSet::from(["wedding".into()]), ..Policy::nothing() };
        assert_eq!(kept(&policy, &tagged), [0, 5]);
    }

    proptest! {
        /// Keeping what was kept and asking again changes nothing, order does not matter, and a looser policy keeps more.
        #[test]
        fn deciding_twice_is_deciding_once(hours in prop::collection::vec(0_i64..60_000, 1..60), daily in 0_u32..5, monthly in 0_u32..5) {
            let start: Timestamp = "2020-02-28T00:00:00Z".parse().expect("a time");
            let at = |h: &i64| start.checked_add(Span::new().hours(*h)).expect("in range").to_string();
            let times: Vec<String> = hours.iter().map(at).collect();
            let all = candidates(&times.iter().map(String::as_str).collect::<Vec<_>>());
            let policy = Policy { daily: Some(daily), monthly: Some(monthly), within_hours: 24, ..Policy::nothing() };
            let first = kept(&policy, &all);
            let rest: Vec<Candidate> = first.iter().map(|at| all[*at].clone()).collect();
            prop_assert_eq!(kept(&policy, &rest).len(), rest.len());
            let ids = |from: &[Candidate], kept: Vec<usize>| kept.into_iter().map(|at| from[at].id).collect::<BTreeSet<_>>();
            let reversed: Vec<Candidate> = all.iter().rev().cloned().collect();
            prop_assert_eq!(ids(&all, first.clone()), ids(&reversed, kept(&policy, &reversed)));
            let looser = Policy { daily: Some(daily + 1), ..policy };
            prop_assert!(ids(&all, kept(&looser, &all)).is_superset(&ids(&all, first)));
        }
    }
}
