//! Partial and approximate dates: EDTF (ISO 8601-2:2019, annex A), levels 0 and 1 and the level 2 year forms we meet.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, LocalDay};

/// A date in the Extended Date/Time Format: `1666`, `1978-06~`, `198X`, `2004-21`, `1964/2008`, `../1985-04-12`.
///
/// - At most 64 characters; every part is a date or season that can exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Edtf(String);

impl Edtf {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first day that this date can mean: for sorting and for date filters.
    pub fn earliest(&self) -> Option<LocalDay> {
        let first = self.0.split('/').find(|part| !part.is_empty() && *part != "..")?;
        let date = first.split('T').next()?.trim_end_matches(['~', '?', '%']);
        let mut parts = date.split('-');
        let year: i16 = parts.next()?.replace('X', "0").parse().ok()?;
        let month = parts.next().map_or(Some(1), |m| if m == "XX" { Some(1) } else { m.parse::<i8>().ok() })?;
        let month = match month {
            21 => 3,
            22 => 6,
            23 => 9,
            24 => 12,
            other => other,
        };
        let day = parts.next().map_or(Some(1), |d| if d == "XX" { Some(1) } else { d.parse::<i8>().ok() })?;
        LocalDay::new(year.max(1), month, day).ok()
    }
}

fn is_part(part: &str) -> bool {
    if part.is_empty() || part == ".." {
        return true;
    }
    let (date, clock) = part.split_once('T').map_or((part, None), |(d, c)| (d, Some(c)));
    let date = date.trim_end_matches(['~', '?', '%']);
    if part.len() - part.trim_end_matches(['~', '?', '%']).len() > 1 {
        return false;
    }
    let pieces: Vec<&str> = date.split('-').collect();
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || b == b'X');
    let number = |text: &str| text.parse::<u8>().ok();
    let year_ok = digits(pieces[0], 4) && !pieces[0].trim_end_matches('X').contains('X');
    let month_ok = |m: &str| digits(m, 2) && (m == "XX" || number(m).is_some_and(|n| (1..=12).contains(&n)));
    let season_ok = |m: &str| number(m).is_some_and(|n| (21..=24).contains(&n));
    let day_ok = |m: &str, d: &str| {
        digits(d, 2)
            && (d == "XX"
                || match (pieces[0].parse::<i16>(), m.parse::<i8>(), d.parse::<i8>()) {
                    (Ok(y), Ok(m), Ok(d)) => jiff::civil::Date::new(y, m, d).is_ok(),
                    (_, _, Ok(d)) => (1..=31).contains(&d),
                    _ => false,
                })
    };
    let date_ok = year_ok
        && match pieces[1..] {
            [] => true,
            [m] => month_ok(m) || season_ok(m),
            [m, d] => month_ok(m) && day_ok(m, d),
            _ => false,
        };
    date_ok && clock.is_none_or(|c| c.parse::<jiff::civil::Time>().is_ok())
}

impl FromStr for Edtf {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new("date", format!("`{}` is neither a day, an instant nor an EDTF date", text.escape_debug()));
        let parts: Vec<&str> = text.split('/').collect();
        let open = |part: &&str| part.is_empty() || *part == "..";
        if text.is_empty() || text.len() > 64 || parts.len() > 2 || parts.iter().all(open) || !parts.iter().all(|p| is_part(p)) {
            return Err(bad());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Edtf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Edtf {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Edtf> for String {
    fn from(edtf: Edtf) -> Self {
        edtf.0
    }
}

impl JsonSchema for Edtf {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Edtf".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 64, "description": "ISO 8601-2:2019 annex A (EDTF)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_standard_shows_and_refuses_impossible_dates() {
        for good in [
            "1666",
            "1978-06~",
            "198X",
            "2004-06-XX",
            "2004-21",
            "1964/2008",
            "../1985-04-12",
            "1985-04-12/",
            "2004-02-29",
            "1985?",
            "2004-06-11%",
            "1985-04-12T23:20:30",
        ] {
            assert!(good.parse::<Edtf>().is_ok(), "{good}");
        }
        for bad in ["", "..", "/", "66", "1X66", "2004-13", "2003-02-29", "yesterday", "2004-06-1", "1985~~", "1/2/3"] {
            assert!(bad.parse::<Edtf>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sorts_by_the_first_day_it_can_mean() {
        let day = |text: &str| text.parse::<Edtf>().expect("valid").earliest().map(|d| d.to_string());
        assert_eq!(day("1666").as_deref(), Some("1666-01-01"));
        assert_eq!(day("198X").as_deref(), Some("1980-01-01"));
        assert_eq!(day("2004-23").as_deref(), Some("2004-09-01"));
        assert_eq!(day("../1985-04").as_deref(), Some("1985-04-01"));
    }
}
