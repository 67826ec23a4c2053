//! Moments as XMP has them: as much of ISO 8601 as is known, and the offset where there is one.

use jiff::{Zoned, civil::DateTime, tz::TimeZone};
use keepsake_record::{When, Zone};

/// When something was, as far as a date of XMP can say it.
pub(crate) fn date(when: &When) -> Option<String> {
    if let Some(instant) = when.instant {
        return Some(match when.zone.as_ref().and_then(Zone::to_jiff) {
            // Offsets with seconds, as they were before there was standard time, have no form that others read.
            Some(zone) if zone.to_offset(instant.to_jiff()).seconds() % 60 == 0 => {
                instant.to_jiff().to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
            }
            _ => instant.to_string(),
        });
    }
    let edtf = when.edtf.as_ref().map(|edtf| edtf.as_str());
    let part = edtf.filter(|text| [4, 7].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    let clock = clock(when).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    clock.or_else(|| when.day.map(|day| day.to_string())).or_else(|| part.map(str::to_owned))
}

/// What clocks showed, where it is known and their zone is not.
fn clock(when: &When) -> Option<DateTime> {
    when.edtf.as_ref().map(|edtf| edtf.as_str()).filter(|text| text.contains('T')).and_then(|text| text.parse().ok())
}

/// When a file is of, in the zone in which it was lived; noon, if only the day is known.
pub(crate) fn zoned(when: &When) -> Option<Zoned> {
    let zone = when.zone.as_ref().and_then(Zone::to_jiff).unwrap_or(TimeZone::UTC);
    match when.instant {
        Some(instant) => Some(instant.to_jiff().to_zoned(zone)),
        None => clock(when).or_else(|| Some(when.day?.to_jiff().at(12, 0, 0, 0)))?.to_zoned(zone).ok(),
    }
}

/// All that is known of when something was, as the record says it; nothing, if that is nothing.
pub(super) fn exactly(when: &When) -> Option<String> {
    let text = serde_json::to_string(when).ok()?;
    (text != "{}").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_known() {
        let of = |text: &str, zone: Option<&str>| {
            date(&When::parse(text, zone.map(|zone| zone.parse().expect("a zone")).as_ref()).expect("a date"))
        };
        assert_eq!(of("2024-07-17T10:00:00.25", Some("Europe/Lisbon")).as_deref(), Some("2024-07-17T10:00:00.25+01:00"));
        assert_eq!(of("1880-07-17T10:00:00", Some("Europe/Lisbon")).as_deref(), Some("1880-07-17T10:36:45Z"));
        assert_eq!(of("2024-07-17T10:00:00", None).as_deref(), Some("2024-07-17T10:00:00"));
        assert_eq!((of("2024-07-17", None).as_deref(), of("1978-06", None).as_deref()), (Some("2024-07-17"), Some("1978-06")));
        assert_eq!((of("1978-06~", None), date(&When::default())), (None, None), "about June is not June");
        assert_eq!(exactly(&When::default()), None);
        let hour = |text: &str| zoned(&When::parse(text, None).expect("a date")).map(|at| at.hour());
        assert_eq!((hour("2024-07-17T10:00:00"), hour("2024-07-17"), hour("1978-06")), (Some(10), Some(12), None));
    }
}
