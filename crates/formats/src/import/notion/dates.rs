//! Dates as Notion shows them: in English or in figures, without a zone unless one was chosen. Days whose month cannot be told from their day
//! (`03/04/2024`) are no dates here.

use jiff::civil::{Date, DateTime};
use keepsake_record::{LocalDay, When, Zone};

const TIMES: [&str; 9] = [
    "%B %d, %Y %I:%M %p",
    "%B %d, %Y %H:%M",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y %H:%M",
    "%d %B %Y %H:%M",
    "%Y/%m/%d %I:%M %p",
    "%Y/%m/%d %H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
];
const DAYS: [&str; 5] = ["%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%Y/%m/%d", "%Y-%m-%d"];
/// Longer ones are text.
const CHARS_MAX: usize = 80;

/// A date, or the first and last day of several.
pub(super) fn read(text: &str, zone: Option<&Zone>) -> Option<When> {
    let text = text.trim().trim_start_matches('@').trim();
    if text.len() > CHARS_MAX || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let Some((first, last)) = text.split_once('→') else { return one(text, zone) };
    let (first, last) = (one(first, zone)?, one(last, zone));
    let days = first.day.zip(last.and_then(|last| last.day)).filter(|(first, last)| first.to_jiff() < last.to_jiff());
    let Some((from, to)) = days else { return Some(first) };
    Some(When { day: Some(from), edtf: format!("{from}/{to}").parse().ok(), instant: None, zone: first.zone })
}

fn one(text: &str, zone: Option<&Zone>) -> Option<When> {
    let text = text.trim().trim_start_matches('@').trim();
    let (text, own) = match text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        Some((text, zone)) => (text.trim(), Some(zone)),
        None => (text, None),
    };
    // A zone that has only letters stands for several offsets: then none is known.
    let own = own.map(offset);
    let zone = own.as_ref().map_or(zone, Option::as_ref);
    if let Some(at) = TIMES.iter().find_map(|form| DateTime::strptime(form, text).ok()) {
        return When::parse(&at.strftime("%Y-%m-%dT%H:%M:%S").to_string(), zone).ok();
    }
    let day = DAYS.iter().find_map(|form| Date::strptime(form, text).ok())?;
    Some(When { zone: zone.cloned(), ..When::day(LocalDay::from_jiff(day).ok()?) })
}

/// `GMT+2`, `UTC`.
fn offset(name: &str) -> Option<Zone> {
    let rest = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC"))?;
    if rest.is_empty() {
        return Some(Zone::utc());
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = rest.trim_start_matches(['+', '-']).split_once(':').unwrap_or((rest.trim_start_matches(['+', '-']), "0"));
    let (hours, minutes) =
        (hours.parse::<i32>().ok().filter(|hours| (0..=14).contains(hours))?, minutes.parse::<i32>().ok().filter(|m| (0..60).contains(m))?);
    Some(Zone::offset(sign * (hours * 3600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_notion_shows() {
        let zone: Zone = "Europe/Lisbon".parse().expect("a zone");
        let at = |text: &str| read(text, Some(&zone)).and_then(|when| when.instant).map(|at| at.to_string());
        assert_eq!(at("December 4, 2024 8:45 AM").as_deref(), Some("2024-12-04T08:45:00Z"));
        assert_eq!(at("@August 4, 2025 6:56 PM").as_deref(), Some("2025-08-04T17:56:00Z"));
        assert_eq!(at("2024/07/01 14:05 (GMT+2)").as_deref(), Some("2024-07-01T12:05:00Z"));
        assert_eq!(at("July 1, 2024 2:05 PM (PDT)"), None, "letters stand for several zones");
        let day = |text: &str| read(text, None).and_then(|when| when.day).map(|day| day.to_string());
        assert_eq!(day("@December 1, 2024").as_deref(), Some("2024-12-01"));
        assert_eq!(day("July 1, 2024 2:05 PM (PDT)").as_deref(), Some("2024-07-01"));
        let range = read("December 1, 2024 → December 5, 2024", None).expect("a range");
        assert_eq!(range.edtf.map(|edtf| edtf.as_str().to_owned()).as_deref(), Some("2024-12-01/2024-12-05"));
        for text in ["@Today", "03/04/2024", "", "Version 1, 2024 edition", "→", "7"] {
            assert!(read(text, None).is_none(), "{text}");
        }
    }
}
