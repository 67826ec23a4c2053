//! Classes of storage: which packs move where, what moving early costs, and the moving.
//!
//! Only packs of pieces of files ever move. Indexes, snapshots, keys and packs of trees are read by everything that looks at a repository.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::OwnerId;
use keepsake_storage::{Classed, Reach};
use serde::Serialize;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::{blocking, place_of},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// The classes of each cloud from warm to cold, each with the days that are paid for even if an object leaves earlier (Azure: "Access tiers for blob
/// data"; S3: "Understanding and managing Amazon S3 storage classes"; Google: "Storage classes"; read in November 2026).
const CLASSES: [&[(&str, i64)]; 3] = [
    &[("Hot", 0), ("Cool", 30), ("Cold", 90), ("Archive", 180)],
    &[("STANDARD", 0), ("STANDARD_IA", 30), ("GLACIER_IR", 90), ("GLACIER", 90), ("DEEP_ARCHIVE", 180)],
    &[("STANDARD", 0), ("NEARLINE", 30), ("COLDLINE", 90), ("ARCHIVE", 365)],
];

fn is_class(name: &str) -> bool {
    CLASSES.iter().any(|cloud| cloud.iter().any(|(class, _)| *class == name))
}

/// How cold `to` is in the cloud that has both, and the days that are paid for `from` in any case; `None`: it is no colder than that.
fn step(from: &str, to: &str) -> Option<(usize, i64)> {
    CLASSES.iter().find_map(|cloud| {
        let at = |name: &str| cloud.iter().position(|(class, _)| *class == name);
        let (warm, cold) = (at(from)?, at(to)?);
        (cold > warm).then(|| (cold, cloud[warm].1))
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TierRule {
    class: String,
    days: i64,
    /// The days count from the last time that somebody read it, too.
    unread: bool,
}

/// When packs move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TierRules(Vec<TierRule>);

impl TierRules {
    /// Reads `Cool after 30 days, Archive after 180 days unread`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = CLASSES.map(|cloud| cloud.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")).join("; ");
        let wrong = || {
            format!("it needs rules such as `Cool after 30 days, Archive after 180 days unread`, with one of {names} (Azure, S3, Google)")
        };
        let rule = |part: &str| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (class, days, unread) = match words.as_slice() {
                [class, "after", days, "day" | "days"] => (class, days, false),
                [class, "after", days, "day" | "days", "unread"] => (class, days, true),
                _ => return Err(wrong()),
            };
            let days = days.parse().ok().filter(|days| (0..=36_500).contains(days)).ok_or_else(wrong)?;
            if !is_class(class) {
                return Err(wrong());
            }
            Ok(TierRule { class: (*class).to_owned(), days, unread })
        };
        text.split(',').map(rule).collect::<Result<_, _>>().map(Self)
    }
}

/// A pack that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The object.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The class it is in.
    pub from: String,
    /// The class it moves to.
    pub to: String,
    /// Days of the class it leaves that are paid for all the same.
    pub paid_days: i64,
}

/// What a destination's rules say of what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TierPlan {
    /// The destination.
    pub destination: String,
    /// The packs that move.
    pub moves: Vec<Move>,
    /// By class: how many packs there are, and their bytes.
    pub now: BTreeMap<String, (u64, u64)>,
}

/// Decides what moves: each pack to the coldest class that a rule gives it, never to a warmer one. Days count from when a pack came to its class.
/// `reads`: when packs were last read, in microseconds, as `now` is.
pub(crate) fn plan(rules: &TierRules, packs: &[Classed], reads: &BTreeMap<String, i64>, now: i64) -> TierPlan {
    let mut plan = TierPlan::default();
    for pack in packs {
        let count = plan.now.entry(pack.class.clone()).or_default();
        *count = (count.0 + 1, count.1 + pack.bytes);
        // What cannot be dated is left where it is.
        let movable = pack.reach == Reach::Online && pack.since > 0;
        if !movable {
            continue;
        }
        let quiet = reads.get(pack.name.as_str()).map_or(pack.since, |read| pack.since.max(*read));
        let days = |since: i64| (now - since).max(0) / DAY_MICROS;
        let applies = |rule: &&TierRule| days(if rule.unread { quiet } else { pack.since }) >= rule.days;
        let colder = rules.0.iter().filter(applies).filter_map(|rule| step(&pack.class, &rule.class).map(|step| (step, rule)));
        let Some(((_, least), rule)) = colder.max_by_key(|((cold, _), _)| *cold) else { continue };
        plan.moves.push(Move {
            name: pack.name.to_string(),
            bytes: pack.bytes,
            from: pack.class.clone(),
            to: rule.class.clone(),
            paid_days: (least - days(pack.since)).max(0),
        });
    }
    plan
}

impl Custody {
    /// Works out which packs of an owner move to another class at a destination.
    ///
    /// # Errors
    /// There are no rules, the destination has no classes, or it does not answer.
    pub async fn plan_tiers(&self, owner: Option<OwnerId>, destination: &str) -> CustodyResult<TierPlan> {
        let result = self.tier_plan(owner, destination).await;
        self.audited(owner, "destination.tier.plan", destination, result).await
    }

    async fn tier_plan(&self, owner: Option<OwnerId>, destination: &str) -> CustodyResult<TierPlan> {
        let row = self.destination_row(destination).await?;
        let Some(rules) = self.config.destinations().tier_rules(destination) else {
            let hint = format!(
                "destination `{destination}` has no rules: give them as `tiers` in [destinations.{destination}] of keepsake.toml, such as \"Cool after 30 days, Archive after 180 days unread\""
            );
            return Err(CustodyError::Usage(hint));
        };
        let control = self.destination_control(&row)?.filter(|control| control.tiers().is_some());
        let Some(control) = control else {
            return Err(CustodyError::Usage(format!(
                "destination `{destination}` has no classes of storage: take `tiers` out of keepsake.toml"
            )));
        };
        let copies = control.tiers().is_some_and(|tiers| tiers.moves_by_copying());
        if copies && self.config.destinations().lock_policy(destination).is_some() {
            let hint = format!(
                "packs at destination `{destination}` are locked, and moving one there would make a copy without a lock beside it: let a lifecycle rule of the bucket move them, which keeps locks"
            );
            return Err(CustodyError::Usage(hint));
        }
        let (copy, prefix, reads) = (self.existing_copy(owner).await?, place_of(owner), self.vault.last_reads(owner).await?);
        let (now, name) = (self.now().micros(), destination.to_owned());
        blocking(move || {
            copy.repository.load_index()?;
            let of_files: BTreeSet<String> = copy.repository.packs_of_files().iter().map(ToString::to_string).collect();
            let mut packs = control.tiers().expect("it was there just now").all(&prefix)?;
            packs.retain(|pack| of_files.contains(pack.name.file_name()));
            Ok(TierPlan { destination: name, ..plan(&rules, &packs, &reads, now) })
        })
        .await
    }

    /// Moves packs as planned. Answers those that could not be moved, each with why.
    ///
    /// # Errors
    /// The destination does not answer, or somebody asks to stop.
    pub async fn move_tiers(
        &self,
        owner: Option<OwnerId>,
        plan: &TierPlan,
        monitor: std::sync::Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<(String, String)>> {
        let result = async {
            let row = self.destination_row(&plan.destination).await?;
            let Some(control) = self.destination_control(&row)? else { return Ok(Vec::new()) };
            let moves = plan.moves.clone();
            blocking(move || {
                monitor.stage("moving packs", Some(moves.len() as u64), None);
                let Some(tiers) = control.tiers() else { return Ok(Vec::new()) };
                let mut failed = Vec::new();
                for one in moves {
                    if monitor.cancelled() {
                        return Err(keepsake_repository::RepositoryError::Cancelled.into());
                    }
                    let moved = keepsake_storage::ObjectName::new(one.name.as_str()).and_then(|name| tiers.set(&name, &one.to));
                    failed.extend(moved.err().map(|error| (one.name, error.to_string())));
                    monitor.advance(1, one.bytes);
                }
                Ok(failed)
            })
            .await
        };
        let result = result.await;
        self.audited(owner, "destination.tier", &plan.destination, result).await
    }
}

#[cfg(test)]
mod tests {
    use keepsake_storage::ObjectName;

    use super::*;

    const NOW: i64 = 1_000 * DAY_MICROS;

    fn pack(name: &str, class: &str, days: i64) -> Classed {
        let name = ObjectName::new(format!("data/{name}")).expect("a name");
        let reach = if class == "Archive" { Reach::Archived } else { Reach::Online };
        Classed { name, bytes: 100, class: class.into(), since: NOW - days * DAY_MICROS, reach }
    }

    #[test]
    fn rules_are_read() {
        assert!(TierRules::parse("Cool after 30 days, Archive after 180 days unread").is_ok());
        for bad in
            ["", "Cool", "Cool after days", "Cool after -1 days", "Freezing after 3 days", "Cool after 3 weeks", "Cool after 3 days, "]
        {
            assert!(TierRules::parse(bad).is_err(), "{bad}");
        }
    }

    /// A log of reads, and what follows from it.
    #[test]
    fn what_was_read_lately_stays() {
        let rules = TierRules::parse("Cool after 30 days, Archive after 180 days unread").expect("rules");
        let packs = [
            pack("young", "Hot", 29),
            pack("grown", "Hot", 30),
            pack("old-read", "Hot", 400),
            pack("old-unread", "Hot", 400),
            pack("cool-young", "Cool", 10),
            pack("cool-old", "Cool", 180),
            pack("cool-read", "Cool", 180),
            pack("cold-early", "Cold", 0),
            pack("gone-cold", "Archive", 400),
            // What is archived cannot be moved on before it was asked for.
            Classed { reach: Reach::Archived, ..pack("frozen", "GLACIER", 400) },
            pack("strange", "Quantum", 400),
        ];
        let reads = [("data/old-read", 20), ("data/old-unread", 200), ("data/cool-read", 179)];
        let reads: BTreeMap<String, i64> = reads.iter().map(|(name, days)| ((*name).to_owned(), NOW - days * DAY_MICROS)).collect();
        let plan = plan(&rules, &packs, &reads, NOW);
        let moves: Vec<_> = plan.moves.iter().map(|m| (m.name.as_str(), m.to.as_str(), m.paid_days)).collect();
        assert_eq!(
            moves,
            [("data/grown", "Cool", 0), ("data/old-read", "Cool", 0), ("data/old-unread", "Archive", 0), ("data/cool-old", "Archive", 0)]
        );
        assert_eq!(plan.now["Hot"], (4, 400));
        assert_eq!(plan.now.values().map(|(packs, _)| packs).sum::<u64>(), 11);
    }

    #[test]
    fn classes_of_another_cloud_are_none() {
        let rules = TierRules::parse("GLACIER after 10 days").expect("rules");
        assert_eq!(plan(&rules, &[pack("azure", "Hot", 100)], &BTreeMap::new(), NOW).moves, []);
        // What the clouds call by the same name is not the same.
        let rules = TierRules::parse("STANDARD_IA after 10 days, ARCHIVE after 20 days").expect("rules");
        let moved = |class: &str| plan(&rules, &[pack("one", class, 100)], &BTreeMap::new(), NOW).moves.pop().map(|m| m.to);
        assert_eq!(moved("NEARLINE").as_deref(), Some("ARCHIVE"));
        assert_eq!(moved("STANDARD_IA"), None);
    }

    #[test]
    fn moving_early_is_told() {
        let rules = TierRules::parse("Archive after 10 days").expect("rules");
        let plan = plan(&rules, &[pack("cool", "Cool", 12), pack("cold", "Cold", 100)], &BTreeMap::new(), NOW);
        assert_eq!(plan.moves.iter().map(|m| m.paid_days).collect::<Vec<_>>(), [18, 0]);
    }
}
