//! How fast a repository grows, and when a disk or a budget is full. Pure functions of a series.

use jiff::{ToSpan, civil::Date};
use serde::Serialize;

/// Growth is taken from so many days before the newest …
const DAYS: i64 = 90;
/// … if at least so many days lie between the oldest and the newest.
const LEAST_DAYS: i64 = 7;
/// What is full later than in so many days is not foretold.
const FORESEEN_DAYS: f64 = 100.0 * 365.0;

/// What is to be expected.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// Bytes that come each day.
    pub bytes_per_day: f64,
    /// The day on which the disk is full, `YYYY-MM-DD`.
    pub disk_full: Option<String>,
    /// The day on which a month costs more than the budget, `YYYY-MM-DD`.
    pub budget_full: Option<String>,
}

/// Bytes a day: the median of the slopes between all pairs of days (Theil and Sen), which a few days of an import, or of a prune, do not move.
pub(crate) fn growth(series: &[(Date, u64)]) -> Option<f64> {
    let newest = series.last()?.0;
    let days = |from: Date, to: Date| i64::from(from.until(to).map_or(0, |span| span.get_days()));
    let recent: Vec<(f64, f64)> = series
        .iter()
        .map(|(day, bytes)| (days(*day, newest), *bytes))
        .filter(|(ago, _)| *ago <= DAYS)
        .map(|(ago, bytes)| (-ago as f64, bytes as f64))
        .collect();
    if -recent.first()?.0 < LEAST_DAYS as f64 {
        return None;
    }
    let pairs = recent.iter().enumerate().flat_map(|(at, a)| recent[at + 1..].iter().map(move |b| (b.1 - a.1) / (b.0 - a.0)));
    let mut slopes: Vec<f64> = pairs.filter(|slope| slope.is_finite()).collect();
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    match slopes.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(slopes[middle]),
        _ => Some(f64::midpoint(slopes[middle - 1], slopes[middle])),
    }
}

/// The day on which so many bytes are reached, at so many bytes a day; `None`: not in sight.
pub(crate) fn reached(today: Date, now: u64, limit: u64, bytes_per_day: f64) -> Option<Date> {
    if now >= limit {
        return Some(today);
    }
    let days = ((limit - now) as f64 / bytes_per_day).ceil();
    let foreseen = bytes_per_day > 0.0 && days <= FORESEEN_DAYS;
    foreseen.then(|| today.checked_add((days as i64).days()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn series(days: i64, bytes: impl Fn(i64) -> u64) -> Vec<(Date, u64)> {
        (0..days).map(|day| (date(2026, 1, 1).checked_add(day.days()).expect("in range"), bytes(day))).collect()
    }

    #[test]
    fn steady_growth_is_found_and_its_end_foretold() {
        let series = series(60, |day| 1_000_000 + 500 * day as u64);
        let growth = growth(&series).expect("60 days are enough");
        assert!((growth - 500.0).abs() < 1e-6);
        let (today, now) = *series.last().expect("60 days");
        assert_eq!(today, date(2026, 3, 1));
        assert_eq!(reached(today, now, now + 15_000, growth), Some(date(2026, 3, 31)));
        assert_eq!(reached(today, now, now, growth), Some(today));
    }

    #[test]
    fn one_import_and_one_prune_do_not_move_it() {
        let jumps =
            series(80, |day| 10_000_000 + 100 * day as u64 + if day >= 30 { 5_000_000 } else { 0 } - if day >= 70 { 1_000_000 } else { 0 });
        let found = growth(&jumps).expect("80 days");
        assert!((90.0..=200.0).contains(&found), "{found}");
    }

    #[test]
    fn days_that_are_missing_do_not_matter() {
        let all = series(60, |day| 700 * day as u64);
        let some: Vec<_> = all.iter().enumerate().filter(|(at, _)| at % 7 < 2 || *at == 59).map(|(_, point)| *point).collect();
        assert!((growth(&some).expect("enough") - 700.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_is_foretold_from_nothing() {
        assert_eq!(growth(&[]), None);
        assert_eq!(growth(&series(6, |day| day as u64)), None, "too few days");
        let flat = growth(&series(30, |_| 5)).expect("30 days");
        assert_eq!(reached(date(2026, 1, 30), 5, 100, flat), None);
        let shrinking = growth(&series(30, |day| 1_000 - day as u64)).expect("30 days");
        assert!(shrinking < 0.0 && reached(date(2026, 1, 30), 5, 100, shrinking).is_none());
        assert_eq!(reached(date(2026, 1, 30), 0, u64::MAX, 1.0), None, "not in sight");
    }

    /// Older days do not count: a library that was imported long ago says nothing of next month.
    #[test]
    fn only_the_last_days_count() {
        let series = series(200, |day| if day < 100 { 1_000_000 * day as u64 } else { 100_000_000 + 10 * day as u64 });
        assert!((growth(&series).expect("200 days") - 10.0).abs() < 1e-6);
    }
}
