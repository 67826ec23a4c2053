//! What is at each destination, what it was asked for, what that costs, and when a disk or a budget is full.

use std::collections::BTreeMap;

use jiff::civil::Date;
use keepsake_repository::ORDER;
use keepsake_storage::{Classed, ObjectName, Reach, Used, room_in};
use keepsake_vault::{DestinationRow, TrafficRow};
use serde::Serialize;

use super::{
    costs::{Bill, PriceTable, bytes_at_budget, estimate},
    forecast::{Forecast, growth, reached},
};
use crate::{Custody, CustodyError, CustodyResult, copies::blocking, disks};

/// What is at a destination.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Usage {
    /// The destination's name.
    pub destination: String,
    /// By owner (`system` for the instance's own) and by kind of object: how many, and bytes.
    pub owners: BTreeMap<String, BTreeMap<String, (u64, u64)>>,
    /// By class of storage, where there are such: how many objects, and bytes.
    pub classes: BTreeMap<String, (u64, u64)>,
    /// Objects in all.
    pub objects: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// Objects and bytes that should be there by what was noted while they came and went; `None`: it is known to lack something.
    pub noted: Option<(u64, u64)>,
    /// What it was asked for this month.
    pub asked: Used,
    /// What a month costs: all that is there, and what it was asked for this month; `None`: no prices are given.
    pub bill: Option<Bill>,
    /// Bytes that are free on its disk, where it is one.
    pub free: Option<u64>,
    /// What is to be expected; `None`: too little is known yet.
    pub forecast: Option<Forecast>,
    /// Why nothing could be listed.
    pub problem: Option<String>,
}

impl Custody {
    /// Counts what is at each destination, and works out what it costs.
    ///
    /// # Errors
    /// The vault fails. A destination that cannot be listed says so in its place.
    pub async fn usage(&self) -> CustodyResult<Vec<Usage>> {
        let result = self.usage_of_all().await;
        self.audited(None, "destination.usage", "", result).await
    }

    async fn usage_of_all(&self) -> CustodyResult<Vec<Usage>> {
        let (noted, history) = (self.noted().await?, self.history_of_sizes().await?);
        let mut all = Vec::new();
        for row in self.vault.destinations().await? {
            let mut usage = Usage { destination: row.name.clone(), ..Usage::default() };
            match self.listed_by_class(&row).await {
                Ok(objects) => objects.iter().for_each(|object| usage.count(object)),
                Err(error) => usage.problem = Some(error.to_string()),
            }
            usage.noted = self.is_complete_for_all(&row).await?.then_some(noted);
            self.note_traffic().await?;
            usage.asked = self.asked_this_month(&row.name).await?;
            if usage.problem.is_none() {
                self.add_costs(&row, &mut usage, &history)?;
            }
            all.push(usage);
        }
        Ok(all)
    }

    async fn listed_by_class(&self, row: &DestinationRow) -> CustodyResult<Vec<Classed>> {
        let (store, control) = (self.destination_store(row)?, self.destination_control(row)?);
        let mut objects = blocking(move || {
            if let Some(tiers) = control.as_ref().and_then(|control| control.tiers()) {
                return Ok(tiers.all("")?);
            }
            let of = |object: keepsake_storage::ObjectInfo| Classed {
                name: object.name,
                bytes: object.bytes,
                class: String::new(),
                since: 0,
                reach: Reach::Online,
            };
            Ok(store.list("")?.into_iter().map(of).collect::<Vec<_>>())
        })
        .await?;
        objects.retain(|object| object.name.as_str() != disks::MARKER);
        Ok(objects)
    }

    /// Objects and bytes of all repositories, as they were noted.
    async fn noted(&self) -> CustodyResult<(u64, u64)> {
        let mut sum = (0, 0);
        for owner in self.with_repositories().await? {
            let objects = self.vault.objects(owner).await?;
            sum = (sum.0 + objects.len() as u64, sum.1 + objects.values().sum::<u64>());
        }
        Ok(sum)
    }

    async fn is_complete_for_all(&self, row: &DestinationRow) -> CustodyResult<bool> {
        for owner in self.with_repositories().await? {
            if !self.complete_destinations(owner).await?.iter().any(|complete| complete.name == row.name) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn asked_this_month(&self, destination: &str) -> CustodyResult<Used> {
        let month = self.now().to_jiff().to_string()[..7].to_owned();
        let rows = self.vault.traffic().await?;
        let row = rows.into_iter().find(|row| row.destination == destination && row.month == month);
        Ok(row.map(|row| asked(&row)).unwrap_or_default())
    }

    /// What all repositories amounted to, day by day.
    async fn history_of_sizes(&self) -> CustodyResult<Vec<(Date, u64)>> {
        let mut by_owner = Vec::new();
        for owner in self.with_repositories().await? {
            let rows = self.vault.sizes(owner).await?;
            by_owner.push(rows.into_iter().filter_map(|row| Some((row.day.parse().ok()?, row.bytes.max(0) as u64))).collect());
        }
        Ok(summed(&by_owner))
    }

    fn add_costs(&self, row: &DestinationRow, usage: &mut Usage, history: &[(Date, u64)]) -> CustodyResult<()> {
        let config = self.config.destinations();
        let prices = config.prices(&row.name).map(|name| self.prices(&row.name, &name)).transpose()?;
        if let Some(prices) = &prices {
            let kept = match usage.classes.is_empty() {
                true => BTreeMap::from([(prices.default_class.clone(), usage.bytes)]),
                false => usage.classes.iter().map(|(class, (_, bytes))| (class.clone(), *bytes)).collect(),
            };
            usage.bill = Some(estimate(prices, &kept, &usage.asked, config.budget(&row.name)));
        }
        if let Some(folder) = self.place_of_destination(row)?.url().strip_prefix("file:") {
            usage.free = room_in(std::path::Path::new(folder));
        }
        let today = self.now().to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date();
        usage.forecast = growth(history).map(|bytes_per_day| {
            let full = |limit: u64| reached(today, usage.bytes, limit, bytes_per_day).map(|day| day.to_string());
            let at_budget = match (&prices, &usage.bill) {
                (Some(_), Some(bill)) if bill.is_over() => Some(usage.bytes),
                (Some(prices), Some(bill)) => bytes_at_budget(prices, bill, usage.bytes),
                _ => None,
            };
            Forecast {
                bytes_per_day,
                disk_full: usage.free.and_then(|free| full(usage.bytes + free)),
                budget_full: at_budget.and_then(full),
            }
        });
        Ok(())
    }

    fn prices(&self, destination: &str, name: &str) -> CustodyResult<PriceTable> {
        self.config.price_table(name).ok_or_else(|| {
            let known = self.config.price_tables().join(", ");
            CustodyError::Usage(format!(
                "destination `{destination}` names the prices `{name}`, and there is no section [prices.{name}] in keepsake.toml; there are {known}"
            ))
        })
    }
}

fn asked(row: &TrafficRow) -> Used {
    let number = |count: i64| count.max(0) as u64;
    Used {
        writes: number(row.writes),
        reads: number(row.reads),
        lists: number(row.lists),
        deletes: number(row.deletes),
        sent: number(row.sent),
        received: number(row.received),
        retried: number(row.retried),
    }
}

/// The sum of several series: what was last noted counts until something else is.
fn summed(series: &[Vec<(Date, u64)>]) -> Vec<(Date, u64)> {
    let mut days: Vec<Date> = series.iter().flatten().map(|(day, _)| *day).collect();
    days.sort_unstable();
    days.dedup();
    let at = |one: &Vec<(Date, u64)>, day: Date| one.iter().rev().find(|(noted, _)| *noted <= day).map_or(0, |(_, bytes)| *bytes);
    days.into_iter().map(|day| (day, series.iter().map(|one| at(one, day)).sum())).collect()
}

impl Usage {
    fn count(&mut self, object: &Classed) {
        self.objects += 1;
        self.bytes += object.bytes;
        let (owner, kind) = owner_and_kind(&object.name);
        let add = |sum: &mut (u64, u64)| *sum = (sum.0 + 1, sum.1 + object.bytes);
        add(self.owners.entry(owner).or_default().entry(kind).or_default());
        if !object.class.is_empty() {
            add(self.classes.entry(object.class.clone()).or_default());
        }
    }
}

/// `owners/ID/gN/KIND/…` or `system/gN/KIND/…`.
fn owner_and_kind(name: &ObjectName) -> (String, String) {
    let mut parts = name.as_str().split('/');
    let owner = match parts.next() {
        Some("owners") => parts.next().unwrap_or_default(),
        Some("system") => "system",
        _ => return ("other".into(), "other".into()),
    };
    let kind = match (ORDER.rank)(name) {
        0 => "data",
        2 => "index",
        3 => "snapshots",
        _ => "keys and marks",
    };
    (owner.to_owned(), kind.to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn series_of_several_are_added_up() {
        let (first, second) = (date(2026, 1, 1), date(2026, 1, 3));
        let a = vec![(first, 10), (second, 30)];
        let b = vec![(date(2026, 1, 2), 5)];
        assert_eq!(summed(&[a, b]), [(first, 10), (date(2026, 1, 2), 15), (second, 35)]);
        assert_eq!(summed(&[]), []);
    }
}
