//! What a sidecar says of a photo, as fields of a memory. Its 0.0 degrees and its 0 seconds mean that it knows none.

use keepsake_record::{LocalDay, Position, Provenance, Timestamp, When, Zone, settle_value};
use serde_json::{Map, Value};

use super::names;
use crate::import::{Draft, ReadOptions, front_matter::custom};

/// A count that grows while nothing of the photo changes.
pub(super) const COUNT: &str = "imageViews";
/// Files say seconds, and Google drops what is finer.
const TOLERANCE_MICROS: i64 = 2_000_000;
/// Zones are whole quarters of an hour, between these.
const QUARTER_MICROS: i64 = 900_000_000;
const ZONES_QUARTERS: std::ops::RangeInclusive<i64> = -48..=56;

/// Takes what the sidecars of copies say beside the first one's: whatever is the same is said once, and what differs is kept with its place.
pub(super) fn merge(mut first: Map<String, Value>, others: Vec<(String, Map<String, Value>)>) -> Map<String, Value> {
    let mut copies = Vec::new();
    for (path, other) in others {
        let mut differs = Map::new();
        for (field, value) in other {
            let known = first.get(&field);
            if known.is_some_and(|known| field == COUNT || *known == value || is_empty(&value)) {
                continue;
            }
            if known.is_none_or(is_empty) {
                first.insert(field, value);
            } else if let ("people", Some(Value::Array(known)), Value::Array(people)) = (field.as_str(), first.get_mut(&field), &value) {
                let new: Vec<Value> = people.iter().filter(|person| !known.contains(person)).cloned().collect();
                known.extend(new);
            } else {
                differs.insert(field, value);
            }
        }
        if !differs.is_empty() {
            differs.insert("path".into(), Value::String(path));
            copies.push(Value::Object(differs));
        }
    }
    if !copies.is_empty() {
        first.insert("copies".into(), Value::Array(copies));
    }
    first
}

/// Whether a value says nothing: what nobody chose, and places at 0.0.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() || fields.contains_key("latitude") && fields.values().all(is_zero),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

/// Moves what a sidecar says into a draft whose first attachment is the file; answers what is not as it should be.
pub(super) fn apply(mut fields: Map<String, Value>, options: &ReadOptions, draft: &mut Draft) -> Vec<String> {
    let mut problems = Vec::new();
    title(&mut fields, draft);
    if let Some(Value::String(text)) = fields.get("description") {
        draft.memory.text.clone_from(text);
        fields.remove("description");
    }
    if fields.get("favorited") == Some(&Value::Bool(true)) {
        draft.memory.starred = true;
        fields.remove("favorited");
    }
    people(&mut fields, draft);
    times(&mut fields, options, draft, &mut problems);
    place(&mut fields, draft, &mut problems);
    for (field, value) in fields.into_iter().filter(|(_, value)| !is_empty(value)) {
        custom(draft, field, value);
    }
    problems
}

/// The title is the name that the file had before a folder numbered or cut it, or replaced some of its characters.
fn title(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let Some(Value::String(title)) = fields.get("title") else { return };
    let Some(attachment) = draft.memory.attachments.first_mut() else { return };
    let is_name = title.len() <= 1024 && !title.contains(['/', '\\', '\0']);
    let said = names::comparable(title);
    let is_its = |name: &str| names::is_title(&names::comparable(name), &said);
    if is_name && (is_its(&attachment.name) || is_its(&names::plain(&attachment.name).0)) {
        attachment.name.clone_from(title);
        fields.remove("title");
    }
}

fn people(fields: &mut Map<String, Value>, draft: &mut Draft) {
    let Some(Value::Array(people)) = fields.remove("people") else { return };
    let mut others = Vec::new();
    for person in people {
        let name = person.get("name").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty() && name.len() <= 1000);
        match name {
            Some(name) => {
                draft.people.push(name.replace('\0', "\u{FFFD}"));
                // Who says more of somebody than the name is kept whole.
                if person.as_object().is_some_and(|fields| fields.len() > 1) {
                    others.push(person);
                }
            }
            None => others.push(person),
        }
    }
    if !others.is_empty() {
        fields.insert("people".into(), Value::Array(others));
    }
}

/// Seconds since 1970, as text or number; whatever says more than them and how they look stays.
fn time(fields: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let said = fields.get(name)?.get("timestamp")?;
    let seconds = said.as_i64().or_else(|| said.as_str()?.trim().parse().ok())?;
    Timestamp::from_micros(seconds.checked_mul(1_000_000)?).ok().filter(|at| at.micros() != 0)
}

fn take_time(fields: &mut Map<String, Value>, name: &str) -> Option<Timestamp> {
    let at = time(fields, name)?;
    let says_more = fields.get(name)?.as_object()?.keys().any(|key| key != "timestamp" && key != "formatted");
    if !says_more {
        fields.remove(name);
    }
    Some(at)
}

fn times(fields: &mut Map<String, Value>, options: &ReadOptions, draft: &mut Draft, problems: &mut Vec<String>) {
    let taken = take_time(fields, "photoTakenTime");
    let captured = draft.memory.attachments.first().and_then(|attachment| attachment.captured.clone());
    let (when, is_observed) = when(taken, captured, options.zone.as_ref());
    let created = take_time(fields, "creationTime").or(when.instant);
    if let Some(created) = created {
        draft.memory.created = created;
        draft.memory.modified = created;
    }
    for changed in ["modificationTime", "photoLastModifiedTime"] {
        // One that is older than the memory here is no change of it; it is kept as it is.
        if time(fields, changed).is_some_and(|at| created.is_some_and(|created| at >= created)) {
            draft.memory.modified = take_time(fields, changed).unwrap_or(draft.memory.modified);
            break;
        }
    }
    if when == When::default() {
        problems.push("has no readable `photoTakenTime`, nor does its file say when it was taken; it is kept without a date".into());
    } else if is_observed {
        draft.memory.provenance.insert("when".into(), Provenance::Observed);
    }
    draft.memory.when = when;
}

/// When a photo was taken: the sidecar knows the instant, and its file, as far as both agree, the clock and the zone. Answers whether the
/// file says so, too.
fn when(taken: Option<Timestamp>, captured: Option<When>, zone: Option<&Zone>) -> (When, bool) {
    let Some(taken) = taken else { return captured.map_or_else(|| (When::default(), false), |when| (when, true)) };
    let alone = || When::instant(taken, zone.cloned().unwrap_or_else(Zone::utc));
    let Some(captured) = captured else { return (alone(), false) };
    let is_near = |micros: i64| micros.abs() <= TOLERANCE_MICROS;
    if captured.instant.is_some_and(|instant| is_near(instant.micros() - taken.micros())) {
        return (captured, true);
    }
    let Some((day, clock)) = local(&captured) else { return (alone(), false) };
    let quarters = (clock - taken.micros() + QUARTER_MICROS / 2).div_euclid(QUARTER_MICROS);
    if !is_near(clock - taken.micros() - quarters * QUARTER_MICROS) || !ZONES_QUARTERS.contains(&quarters) {
        return (alone(), false);
    }
    // The clock was taken for UTC, because nobody told Google a zone: whoever knows it knows better.
    if quarters == 0 && captured.instant.is_some() {
        return (captured, true);
    }
    let zone = if quarters == 0 { Zone::utc() } else { Zone::offset(i32::try_from(quarters * 900).unwrap_or(0)) };
    (When { day: Some(day), edtf: None, instant: Some(taken), zone: Some(zone) }, true)
}

/// The day and the clock of a file where it was taken, in microseconds as if that were UTC.
fn local(captured: &When) -> Option<(LocalDay, i64)> {
    let civil = match (captured.instant, &captured.zone) {
        (Some(instant), Some(zone)) => instant.to_jiff().to_zoned(zone.to_jiff()?).datetime(),
        _ => captured.edtf.as_ref()?.as_str().parse().ok()?,
    };
    let micros = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond();
    Some((captured.day?, micros))
}

/// The place that its owner sees, else the one that the file says.
fn place(fields: &mut Map<String, Value>, draft: &mut Draft, problems: &mut Vec<String>) {
    let (shown, of_file) = (position(fields, "geoData", problems), position(fields, "geoDataExif", problems));
    let read = draft.memory.attachments.first().and_then(|attachment| attachment.position);
    let is_observed = match (shown, of_file.or(read)) {
        (Some(shown), Some(observed)) => is_same(&shown, &observed),
        (shown, _) => shown.is_none(),
    };
    let Some(position) = shown.or(of_file).or(read) else { return };
    if is_observed {
        draft.memory.provenance.insert("position".into(), Provenance::Observed);
    }
    let height = read.filter(|read| is_same(read, &position)).and_then(|read| read.altitude);
    draft.memory.position = Some(Position { altitude: position.altitude.or(height), ..position });
    for (name, known) in [("geoData", shown), ("geoDataExif", of_file)] {
        let says_more = fields.get(name).and_then(Value::as_object).is_some_and(|all| {
            let is_said = |key: &str| ["latitude", "longitude", "altitude"].contains(&key);
            all.iter().any(|(key, value)| !is_said(key) && !is_empty(value) && !is_zero(value))
        });
        if known == Some(position) && !says_more {
            fields.remove(name);
        }
    }
}

fn is_same(a: &Position, b: &Position) -> bool {
    (a.latitude - b.latitude).abs() < 1e-4 && (a.longitude - b.longitude).abs() < 1e-4
}

fn position(fields: &Map<String, Value>, name: &str, problems: &mut Vec<String>) -> Option<Position> {
    let number = |key: &str| fields.get(name)?.get(key)?.as_f64();
    let (latitude, longitude) = (number("latitude")?, number("longitude")?);
    if latitude == 0.0 && longitude == 0.0 {
        return None;
    }
    match Position::new(latitude, longitude) {
        Ok(position) => Some(Position { altitude: number("altitude").filter(|metres| *metres != 0.0), ..position }),
        Err(error) => {
            problems.push(format!("`{name}`: {error}; it is kept as it is"));
            None
        }
    }
}

/// What a sidecar or an album says, settled: the same in every run.
pub(super) fn settled(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut settled = Value::Object(fields.clone());
    settle_value(&mut settled);
    settled.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("an instant"))
    }

    fn file(text: &str, zone: Option<&str>) -> Option<When> {
        Some(When::parse(text, zone.map(|zone| zone.parse().expect("a zone")).as_ref()).expect("a time"))
    }

    fn shown(found: &(When, bool)) -> String {
        let (When { day, edtf, instant, zone }, observed) = found;
        assert_eq!(*edtf, None);
        let or_none = |text: Option<String>| text.unwrap_or_default();
        let zone = or_none(zone.as_ref().map(|zone| zone.as_str().to_owned()));
        format!("{} {} {zone} {observed}", or_none(day.map(|d| d.to_string())), or_none(instant.map(|i| i.to_string())))
    }

    #[test]
    fn the_file_knows_the_zone_and_the_sidecar_the_instant() {
        let (evening, night) = (file("2021-04-08T16:04:55", None), file("2021-04-09T01:04:55", Some("+02:00")));
        for (taken, captured, zone, wanted) in [
            // Los Angeles by its difference; nothing but the sidecar; the file alone.
            ("2021-04-08T23:04:55Z", evening.clone(), None, "2021-04-08 2021-04-08T23:04:55Z -07:00 true"),
            ("2021-04-08T23:04:55Z", None, None, "2021-04-08 2021-04-08T23:04:55Z UTC false"),
            ("2021-04-08T23:04:55Z", None, Some("Europe/Lisbon"), "2021-04-09 2021-04-08T23:04:55Z Europe/Lisbon false"),
            // A file that names its zone, and means the same instant.
            ("2021-04-08T23:04:55Z", night.clone(), None, "2021-04-09 2021-04-08T23:04:55Z +02:00 true"),
            // Its clock was taken for UTC.
            ("2021-04-09T01:04:55Z", night.clone(), None, "2021-04-09 2021-04-08T23:04:55Z +02:00 true"),
            ("2021-04-08T16:04:55Z", evening.clone(), None, "2021-04-08 2021-04-08T16:04:55Z UTC true"),
            // Its clock went wrong, or its owner set another time.
            ("2021-04-08T23:11:12Z", evening, None, "2021-04-08 2021-04-08T23:11:12Z UTC false"),
            ("2016-01-01T00:00:00Z", night, None, "2016-01-01 2016-01-01T00:00:00Z UTC false"),
        ] {
            let zone: Option<Zone> = zone.map(|zone: &str| zone.parse().expect("a zone"));
            assert_eq!(shown(&when(at(taken), captured, zone.as_ref())), wanted);
        }
        assert_eq!(when(None, None, None), (When::default(), false));
        let alone = file("2021-04-08T16:04:55", None);
        assert_eq!(when(None, alone.clone(), None), (alone.expect("a time"), true));
    }

    #[test]
    fn copies_say_what_is_the_same_once() {
        let map = |text: &str| serde_json::from_str::<Map<String, Value>>(text).expect("an object");
        let merged = merge(
            map(r#"{"title":"a.jpg","description":"","imageViews":"2","people":[{"name":"A"}],"url":"x"}"#),
            vec![
                (
                    "b/a.jpg.json".into(),
                    map(r#"{"title":"a.jpg","description":"words","imageViews":"5","people":[{"name":"B"},{"name":"A"}],"url":"y"}"#),
                ),
                ("c/a.jpg.json".into(), map(r#"{"title":"a.jpg","description":"","favorited":true,"url":"x"}"#)),
            ],
        );
        let wanted = r#"{"title":"a.jpg","description":"words","imageViews":"2","people":[{"name":"A"},{"name":"B"}],"url":"x","favorited":true,"copies":[{"url":"y","path":"b/a.jpg.json"}]}"#;
        assert_eq!(merged, map(wanted));
    }
}
