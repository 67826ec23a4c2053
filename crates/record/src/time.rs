//! When something was: an instant, the zone it was lived in, its local day, or only part of a date.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Edtf, Invalid};

/// An instant, in microseconds of UTC since 1970. Stored as RFC 3339 text ending in `Z`.
///
/// - Years 1 to 9999, so that every program that reads dates reads ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

const EARLIEST_MICROS: i64 = -62_135_596_800_000_000;
const LATEST_MICROS: i64 = 253_402_207_199_999_999;

impl Timestamp {
    /// Takes microseconds since 1970.
    ///
    /// # Errors
    /// Outside the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        if (EARLIEST_MICROS..=LATEST_MICROS).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(Invalid::new("timestamp", "outside the years 1 to 9999"))
        }
    }

    /// Takes a library instant, dropping what is finer than a microsecond.
    ///
    /// # Errors
    /// Outside the years 1 to 9999.
    pub fn from_jiff(instant: jiff::Timestamp) -> Result<Self, Invalid> {
        Self::from_micros(instant.as_microsecond())
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, never negative: the time part of a new id.
    pub fn id_millis(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }

    /// The same instant as the library's type.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).expect("years 1 to 9999 are in range")
    }

    /// The calendar day of this instant in a zone.
    pub fn day_in(self, zone: &Zone) -> Option<LocalDay> {
        let date = self.to_jiff().to_zoned(zone.to_jiff()?).date();
        LocalDay::from_jiff(date).ok()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let instant: jiff::Timestamp =
            text.parse().map_err(|_| Invalid::new("timestamp", format!("`{text}` is not an RFC 3339 instant")))?;
        Self::from_jiff(instant)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> Self {
        at.to_string()
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A calendar day as it was lived, without a zone. Years 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalDay(jiff::civil::Date);

impl LocalDay {
    /// Takes year, month and day.
    ///
    /// # Errors
    /// There is no such day, or the year is not 1 to 9999.
    pub fn new(year: i16, month: i8, day: i8) -> Result<Self, Invalid> {
        let date = jiff::civil::Date::new(year, month, day)
            .map_err(|_| Invalid::new("day", format!("there is no day {year:04}-{month:02}-{day:02}")))?;
        Self::from_jiff(date)
    }

    /// Takes the library's date.
    ///
    /// # Errors
    /// The year is not 1 to 9999.
    pub fn from_jiff(date: jiff::civil::Date) -> Result<Self, Invalid> {
        if date.year() < 1 { Err(Invalid::new("day", "years before 1 have no day file")) } else { Ok(Self(date)) }
    }

    /// The library's date.
    pub fn to_jiff(self) -> jiff::civil::Date {
        self.0
    }

    /// The year, 1 to 9999.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// The month, 1 to 12.
    pub fn month(self) -> i8 {
        self.0.month()
    }

    /// Midnight of this day as if it were UTC: only for sorting beside instants.
    pub fn sort_micros(self) -> i64 {
        let epoch = jiff::civil::date(1970, 1, 1);
        i64::from(self.0.duration_since(epoch).as_hours() as i32 / 24) * 86_400_000_000
    }
}

impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalDay {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new("day", format!("`{text}` is not a day like 2024-03-17"));
        let mut parts = text.splitn(3, '-');
        let mut part = |len: usize| parts.next().filter(|p| p.len() == len && p.bytes().all(|b| b.is_ascii_digit())).ok_or_else(bad);
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        Self::new(year.parse().map_err(|_| bad())?, month.parse().map_err(|_| bad())?, day.parse().map_err(|_| bad())?)
    }
}

impl TryFrom<String> for LocalDay {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<LocalDay> for String {
    fn from(day: LocalDay) -> Self {
        day.to_string()
    }
}

impl JsonSchema for LocalDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalDay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

/// The zone a moment was lived in: an IANA name (`Europe/Lisbon`) or an offset (`+02:00`).
///
/// - At most 64 characters of `A-Z a-z 0-9 _ + - / :`, so that a name newer than our zone tables is still kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self("UTC".into())
    }

    /// An offset from UTC in seconds; rounds to minutes.
    pub fn offset(seconds: i32) -> Self {
        let minutes = seconds.abs() / 60;
        Self(format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60))
    }

    /// The name or offset as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rules of this zone, if our tables know it.
    pub fn to_jiff(&self) -> Option<jiff::tz::TimeZone> {
        if let Some((hours, minutes)) = self.0.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':')) {
            let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
            let signed = if self.0.starts_with('-') { -seconds } else { seconds };
            return jiff::tz::Offset::from_seconds(signed).ok().map(jiff::tz::TimeZone::fixed);
        }
        jiff::tz::TimeZone::get(&self.0).ok()
    }
}

impl FromStr for Zone {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+-/:".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(Invalid::new("zone", format!("`{}` is no zone name or offset", text.escape_debug())));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Zone {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Zone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_+/:-]{1,64}$" })
    }
}

/// When a memory happened: as much as is known, nothing made up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct When {
    /// The local day, which decides the day file; absent when it is not known to the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<LocalDay>,
    /// A partial, approximate or ranged date in EDTF, where that says more than a day does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edtf: Option<Edtf>,
    /// The exact instant, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<Timestamp>,
    /// The zone it was lived in, as the source named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

impl When {
    /// A day known to the day only.
    pub fn day(day: LocalDay) -> Self {
        Self { day: Some(day), ..Self::default() }
    }

    /// An instant lived in a zone; the day is computed from both (in UTC if the zone is unknown to us).
    pub fn instant(instant: Timestamp, zone: Zone) -> Self {
        let day = instant.day_in(&zone).or_else(|| instant.day_in(&Zone::utc()));
        Self { day, instant: Some(instant), zone: Some(zone), edtf: None }
    }

    /// Parses what people and programs write: an RFC 3339 instant, a day, `2024-03-17T10:00` in a zone, or EDTF. The zone is that of times that
    /// name none, or name UTC.
    ///
    /// # Errors
    /// None of these forms fits.
    pub fn parse(text: &str, zone: Option<&Zone>) -> Result<Self, Invalid> {
        let text = text.trim();
        if let Ok(day) = text.parse::<LocalDay>() {
            return Ok(Self { zone: zone.cloned(), ..Self::day(day) });
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            // What names an offset was lived there; the zone tells more of it if it was there, too.
            let own = offset_of(text).filter(|own| own.as_str() != "+00:00");
            let offset = |zone: &Zone| zone.to_jiff().map(|zone| zone.to_offset(instant.to_jiff()));
            let elsewhere = own.filter(|own| zone.is_none_or(|zone| offset(zone) != offset(own)));
            return Ok(Self::instant(instant, elsewhere.or_else(|| zone.cloned()).unwrap_or_else(Zone::utc)));
        }
        if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            let day = LocalDay::from_jiff(civil.date())?;
            let known = zone.and_then(Zone::to_jiff).and_then(|tz| civil.to_zoned(tz).ok());
            let instant = known.and_then(|z| Timestamp::from_jiff(z.timestamp()).ok());
            let edtf = if instant.is_none() { civil_edtf(civil) } else { None };
            return Ok(Self { day: Some(day), edtf, instant, zone: zone.cloned() });
        }
        let edtf: Edtf = text.parse()?;
        Ok(Self { edtf: Some(edtf), zone: zone.cloned(), ..Self::default() })
    }

    /// What the time axis sorts by: microseconds, or the earliest number when nothing is known.
    pub fn sort_micros(&self) -> i64 {
        self.instant
            .map(Timestamp::micros)
            .or_else(|| self.day.map(LocalDay::sort_micros))
            .or_else(|| self.edtf.as_ref().and_then(Edtf::earliest).map(LocalDay::sort_micros))
            .unwrap_or(i64::MIN)
    }
}

fn offset_of(text: &str) -> Option<Zone> {
    let at = text.rfind(['+', '-']).filter(|at| *at > 10)?;
    let offset = &text[at..];
    (offset.len() == 6).then(|| offset.parse().ok()).flatten()
}

/// A clock time whose zone nobody knows is EDTF level 0 without offset.
fn civil_edtf(civil: jiff::civil::DateTime) -> Option<Edtf> {
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", civil.year(), civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second())
        .parse()
        .ok()
}
