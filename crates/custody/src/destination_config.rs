//! What the configuration says of destinations: their secrets, and how fast they may be used.

use std::{collections::BTreeMap, path::Path};

use keepsake_storage::{Access, LockMode, Pace, Secret, Window};

use crate::{
    CustodyError, CustodyResult, Origin, Setting,
    destinations::{locking::LockPolicy, tiering::TierRules},
};

/// Every key of a destination, and whether it is a secret.
const KEYS: [(&str, bool); 13] = [
    ("id", false),
    ("secret", true),
    ("token", true),
    ("maintain_id", false),
    ("maintain_secret", true),
    ("maintain_token", true),
    ("limit", false),
    ("limit_hours", false),
    ("lock", false),
    ("lock_mode", false),
    ("tiers", false),
    ("prices", false),
    ("budget", false),
];

/// The keys of all destinations that have some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DestinationConfig(BTreeMap<(String, &'static str), Value>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: Secret,
    /// How it is shown.
    shown: String,
    origin: Origin,
}

/// Variables of the environment have no `-` in their names.
fn plain(destination: &str) -> String {
    destination.replace('-', "_")
}

impl DestinationConfig {
    /// Takes a table `[destinations.NAME]` of the file.
    pub fn take_table(&mut self, destination: &str, table: &toml::Value) -> CustodyResult<()> {
        let Some(keys) = table.as_table() else {
            return Err(CustodyError::Usage(format!(
                "keepsake.toml: `destinations.{destination}` needs to be a table [destinations.{destination}]"
            )));
        };
        for (key, value) in keys {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (key, text) = match key.strip_suffix("_file") {
                Some(key) => (key, std::fs::read_to_string(&text).map_err(CustodyError::io(Path::new(&text)))?.trim_end().to_owned()),
                None => (key.as_str(), text),
            };
            self.set(&destination.to_lowercase(), key, text, Origin::File)?;
        }
        Ok(())
    }

    pub fn set(&mut self, destination: &str, key: &str, text: String, origin: Origin) -> CustodyResult<()> {
        let Some((key, secret)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let known = KEYS.map(|(name, _)| name).join(", ");
            return Err(CustodyError::Usage(format!(
                "{origin} sets `{key}` of destination `{destination}`, which is no setting; there are {known} (and the same with `_file` for the path of a file)"
            )));
        };
        let wrong =
            |problem: String| CustodyError::Usage(format!("{origin} sets `{key}` of destination `{destination}` to `{text}`; {problem}"));
        match *key {
            "limit" => drop(rate(&text).map_err(wrong)?),
            "limit_hours" => drop(windows(&text).map_err(wrong)?),
            "lock" => drop(LockPolicy::parse(&text).map_err(wrong)?),
            "lock_mode" => drop(lock_mode(&text).map_err(wrong)?),
            "tiers" => drop(TierRules::parse(&text).map_err(wrong)?),
            "budget" => drop(amount(&text).map_err(wrong)?),
            _ => {}
        }
        let shown = if *secret { "(set)".to_owned() } else { text.clone() };
        self.0.insert((plain(destination), key), Value { text: Secret::new(text), shown, origin });
        Ok(())
    }

    fn secret(&self, destination: &str, key: &'static str) -> Option<Secret> {
        Some(self.0.get(&(plain(destination), key))?.text.clone())
    }

    fn text(&self, destination: &str, key: &'static str) -> Option<String> {
        Some(self.0.get(&(plain(destination), key))?.shown.clone())
    }

    /// What proves who we are, to write.
    pub fn access(&self, destination: &str) -> Access {
        Access { id: self.text(destination, "id"), secret: self.secret(destination, "secret"), token: self.secret(destination, "token") }
    }

    /// What proves who we are, to delete; `None`: the same.
    pub fn maintain_access(&self, destination: &str) -> Option<Access> {
        let access = Access {
            id: self.text(destination, "maintain_id"),
            secret: self.secret(destination, "maintain_secret"),
            token: self.secret(destination, "maintain_token"),
        };
        (access.secret.is_some() || access.token.is_some()).then_some(access)
    }

    /// How fast a destination may be used; `None`: as fast as it goes.
    pub fn pace(&self, destination: &str) -> Option<Pace> {
        let always = self.text(destination, "limit").and_then(|text| rate(&text).ok().flatten());
        let windows = self.text(destination, "limit_hours").and_then(|text| windows(&text).ok()).unwrap_or_default();
        (always.is_some() || !windows.is_empty()).then(|| Pace::new(always, windows))
    }

    /// For how long the objects of a destination are locked; `None`: they are not.
    pub fn lock_policy(&self, destination: &str) -> Option<LockPolicy> {
        let policy = LockPolicy::parse(&self.text(destination, "lock")?).ok()?;
        let mode = self.text(destination, "lock_mode").and_then(|text| lock_mode(&text).ok()).unwrap_or_default();
        Some(LockPolicy { mode, ..policy })
    }

    /// When the packs of a destination move to another class of storage; `None`: never.
    pub fn tier_rules(&self, destination: &str) -> Option<TierRules> {
        TierRules::parse(&self.text(destination, "tiers")?).ok()
    }

    /// The name of the price table of a destination.
    pub fn prices(&self, destination: &str) -> Option<String> {
        self.text(destination, "prices")
    }

    /// What a destination may cost in a month, in the currency of its prices.
    pub fn budget(&self, destination: &str) -> Option<f64> {
        amount(&self.text(destination, "budget")?).ok()
    }

    /// All values with their origins; secrets are hidden.
    pub fn shown(&self) -> impl Iterator<Item = Setting> + '_ {
        self.0.iter().map(|((destination, key), value)| Setting {
            name: format!("destinations.{destination}.{key}"),
            value: value.shown.clone(),
            origin: value.origin.clone(),
        })
    }
}

fn lock_mode(text: &str) -> Result<LockMode, String> {
    match text {
        "governance" => Ok(LockMode::Governance),
        "compliance" => Ok(LockMode::Compliance),
        _ => Err("it needs `governance` (who has a right of its own for it may end a lock early) or `compliance` (nobody may)".into()),
    }
}

fn amount(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount > 0.0);
    number.ok_or_else(|| "it needs a number above 0, in the currency of the prices".to_owned())
}

/// `2 MB/s`, `500 KiB/s`, `8 Mbit/s`, `none`: bytes a second.
fn rate(text: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let wrong = || "it needs a rate such as `2 MB/s`, `500 KiB/s` or `8 Mbit/s`, or `none`".to_owned();
    let bare = text.strip_suffix("/s").ok_or_else(wrong)?;
    let split = bare.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let number: f64 = bare[..split].parse().map_err(|_| wrong())?;
    let factor = match bare[split..].trim() {
        "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "kbit" | "Kbit" => 125.0,
        "Mbit" => 125_000.0,
        "Gbit" => 125_000_000.0,
        _ => return Err(wrong()),
    };
    let bytes = (number * factor) as u64;
    if bytes == 0 { Err(wrong()) } else { Ok(Some(bytes)) }
}

/// `08:00-18:00 500 KB/s, 22:00-06:00 none`.
fn windows(text: &str) -> Result<Vec<Window>, String> {
    let wrong = || "it needs hours with a rate each, such as `08:00-18:00 500 KB/s, 22:00-06:00 none`".to_owned();
    let minute = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 24 && minutes < 60 && hours * 60 + minutes <= 1440).then_some(hours * 60 + minutes)
    };
    let window = |part: &str| {
        let (hours, limit) = part.trim().split_once(' ').ok_or_else(wrong)?;
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        Ok(Window { from: minute(from).ok_or_else(wrong)?, to: minute(to).ok_or_else(wrong)?, bytes_per_second: rate(limit)? })
    };
    text.split(',').map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_hours() {
        assert_eq!(rate("2 MB/s"), Ok(Some(2_000_000)));
        assert_eq!(rate("1.5 MiB/s"), Ok(Some(1_572_864)));
        assert_eq!(rate("8 Mbit/s"), Ok(Some(1_000_000)));
        assert_eq!(rate("none"), Ok(None));
        for bad in ["2", "2 MB", "fast", "0 B/s", "-1 MB/s", "2 XB/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        let day = Window { from: 480, to: 1080, bytes_per_second: Some(500_000) };
        let night = Window { from: 1320, to: 360, bytes_per_second: None };
        assert_eq!(windows("08:00-18:00 500 KB/s, 22:00-06:00 none"), Ok(vec![day, night]));
        for bad in ["", "08:00 1 MB/s", "25:00-26:00 none", "08:60-09:00 none", "08:00-09:00"] {
            assert!(windows(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let mut config = DestinationConfig::default();
        config.set("off-site", "secret", "hunter2".into(), Origin::Environment("X".into())).expect("a setting");
        config.set("off_site", "id", "me".into(), Origin::File).expect("a setting");
        let shown = format!("{config:?} {:?}", config.shown().collect::<Vec<_>>());
        assert!(!shown.contains("hunter2") && shown.contains("(set)"), "{shown}");
        assert_eq!(config.access("off-site").id.as_deref(), Some("me"));
        assert!(config.set("x", "sekret", "1".into(), Origin::File).is_err());
    }
}
