//! `keepsake.toml`, the environment over it, and where each value comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use keepsake_repository::Policy;
use serde::{Deserialize, Serialize};

use crate::{CustodyError, CustodyResult, PriceTable, destination_config::DestinationConfig, destinations::costs};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file.
    File,
    /// This variable of the environment.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("keepsake.toml"),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One value with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `section.key`.
    pub name: String,
    /// The value; secrets are shown as `(set)`.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    settings: BTreeMap<String, Setting>,
    destinations: DestinationConfig,
    prices: BTreeMap<String, PriceTable>,
}

/// Every key with its default, whether it is a secret, and what it is for.
const KEYS: [(&str, &str, bool, &str); 12] = [
    ("vault.url", "vault.db", true, "a SQLite file (relative to the home) or a postgres:// URL"),
    ("media.path", "media", false, "the folder of original files (relative to the home)"),
    ("copies.min", "1", false, "a backup that fewer destinations than this have has failed"),
    ("share.url", "", false, "what links to shared exports begin with, such as https://example.org/keepsake"),
    ("trash.days", "30", false, "how long deleted memories wait in the trash"),
    ("rotation.within_hours", "48", false, "`snapshot forget` keeps all snapshots at most so much older than the newest"),
    ("rotation.last", "0", false, "and so many of the newest (here and below: a number, or \"all\")"),
    ("rotation.hourly", "0", false, "and the newest of so many hours"),
    ("rotation.daily", "30", false, "and the newest of so many days"),
    ("rotation.weekly", "12", false, "and the newest of so many weeks"),
    ("rotation.monthly", "24", false, "and the newest of so many months"),
    ("rotation.yearly", "all", false, "and the newest of so many years"),
];

#[derive(Deserialize)]
#[serde(transparent)]
struct File(BTreeMap<String, BTreeMap<String, toml::Value>>);

/// The section whose keys are those of destinations, by their names.
const DESTINATIONS: &str = "destinations";
/// The section whose keys are the names of tables of prices.
const PRICES: &str = "prices";

impl Config {
    /// Reads the file, if it is there, and the variables `KEEPSAKE__SECTION__KEY` (or `…_FILE` with a path) over it.
    ///
    /// # Errors
    /// A key is unknown, or a file cannot be read.
    pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> CustodyResult<Self> {
        let mut settings = BTreeMap::new();
        for (name, value, ..) in KEYS {
            settings.insert(name.to_owned(), Setting { name: name.to_owned(), value: value.to_owned(), origin: Origin::Default });
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(CustodyError::io(path)(error)),
        };
        let File(sections) = toml::from_str(&text).map_err(|e| CustodyError::Usage(format!("{}: {e}", path.display())))?;
        let (mut destinations, mut prices) = (DestinationConfig::default(), costs::examples());
        for (section, keys) in sections {
            for (key, value) in keys {
                if section == DESTINATIONS {
                    destinations.take_table(&key, &value)?;
                    continue;
                }
                if section == PRICES {
                    let wrong = |e: toml::de::Error| CustodyError::Usage(format!("{}: [prices.{key}]: {e}", path.display()));
                    let table = value.try_into().map_err(wrong)?;
                    prices.insert(key, table);
                    continue;
                }
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Self::set(&mut settings, &format!("{section}.{key}"), value, Origin::File)?;
            }
        }
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix("KEEPSAKE__") else { continue };
            let (name, value) = match name.strip_suffix("_FILE") {
                Some(name) => {
                    let path = Path::new(value);
                    (name, std::fs::read_to_string(path).map_err(CustodyError::io(path))?.trim_end().to_owned())
                }
                None => (name, value.clone()),
            };
            if let Some((destination, key)) = name.to_lowercase().strip_prefix("destinations__").and_then(|rest| rest.split_once("__")) {
                destinations.set(destination, key, value, Origin::Environment(variable.clone()))?;
                continue;
            }
            Self::set(&mut settings, &name.to_lowercase().replace("__", "."), value, Origin::Environment(variable.clone()))?;
        }
        Ok(Self { settings, destinations, prices })
    }

    fn set(settings: &mut BTreeMap<String, Setting>, name: &str, value: String, origin: Origin) -> CustodyResult<()> {
        let Some((name, ..)) = KEYS.iter().find(|(known, ..)| *known == name) else {
            let known = KEYS.map(|(name, ..)| name).join(", ");
            return Err(CustodyError::Usage(format!("{origin} sets `{name}`, which is no setting; there are {known}")));
        };
        if *name == "trash.days" && value.parse::<u16>().is_err() {
            return Err(CustodyError::Usage(format!("{origin} sets `{name}` to `{value}`; it needs a number of days, 0 to 65535")));
        }
        if name.starts_with("rotation.") && value.parse::<u32>().is_err() && (value != "all" || *name == "rotation.within_hours") {
            return Err(CustodyError::Usage(format!("{origin} sets `{name}` to `{value}`; it needs a number, or \"all\"")));
        }
        if *name == "copies.min" && value.parse::<u8>().ok().is_none_or(|count| count == 0) {
            return Err(CustodyError::Usage(format!("{origin} sets `{name}` to `{value}`; it needs a number of copies, 1 or more")));
        }
        settings.insert((*name).to_owned(), Setting { name: (*name).to_owned(), value, origin });
        Ok(())
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", |s| &s.value)
    }

    /// How many destinations must have a backup.
    pub(crate) fn copies_min(&self) -> usize {
        self.get("copies.min").parse().unwrap_or(1)
    }

    /// What is set for destinations.
    pub(crate) fn destinations(&self) -> &DestinationConfig {
        &self.destinations
    }

    /// A table of prices.
    pub(crate) fn price_table(&self, name: &str) -> Option<PriceTable> {
        self.prices.get(name).cloned()
    }

    /// The names of all tables of prices, the examples among them.
    pub fn price_tables(&self) -> Vec<String> {
        self.prices.keys().cloned().collect()
    }

    /// The rotation of snapshots.
    pub fn rotation(&self) -> Policy {
        let count = |name: &str| self.get(name).parse().ok();
        Policy {
            last: count("rotation.last"),
            hourly: count("rotation.hourly"),
            daily: count("rotation.daily"),
            weekly: count("rotation.weekly"),
            monthly: count("rotation.monthly"),
            yearly: count("rotation.yearly"),
            within_hours: count("rotation.within_hours").unwrap_or(0),
            tags: BTreeSet::new(),
        }
    }

    /// All values with their origins; what may hold a secret is hidden.
    pub fn shown(&self) -> Vec<Setting> {
        let secret = |name: &str, value: &str| KEYS.iter().any(|(known, _, secret, _)| *known == name && *secret) && value.contains("://");
        let hide = |s: &Setting| Setting { value: if secret(&s.name, &s.value) { "(set)".into() } else { s.value.clone() }, ..s.clone() };
        self.settings.values().map(hide).chain(self.destinations.shown()).collect()
    }

    /// The text of a new home's file: every key as a comment.
    pub fn template() -> String {
        let mut text = String::from("# Keepsake's settings. Remove the # to change one; `keepsake config show` tells what is in force.\n");
        let mut before = "";
        for (name, value, _, what) in KEYS {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            if section != before {
                text.push_str(&format!("\n#[{section}]\n"));
                before = section;
            }
            text.push_str(&format!("# {what}\n#{key} = \"{value}\"\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_each_value_comes_from_and_refuses_unknown_ones() {
        let folder = std::env::temp_dir().join(format!("keepsake-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("keepsake.toml");
        std::fs::write(&path, "[trash]\ndays = 7\n").expect("a file");
        let env = BTreeMap::from([("KEEPSAKE__VAULT__URL".to_owned(), "postgres://u:secret@h/d".to_owned())]);
        let config = Config::load(&path, &env).expect("valid");
        assert_eq!(config.get("trash.days"), "7");
        let shown: Vec<String> = config.shown().iter().map(|s| format!("{}={} ({})", s.name, s.value, s.origin)).collect();
        for line in ["media.path=media (default)", "trash.days=7 (keepsake.toml)", "vault.url=(set) (KEEPSAKE__VAULT__URL)"] {
            assert!(shown.iter().any(|s| s == line), "{shown:?}");
        }
        assert_eq!(config.rotation(), Policy::default(), "the settings say what the code means");
        let some = BTreeMap::from([("KEEPSAKE__ROTATION__YEARLY".to_owned(), "some".to_owned())]);
        assert!(Config::load(&path, &some).expect_err("no number").to_string().contains("a number, or \"all\""));
        let bad = BTreeMap::from([("KEEPSAKE__VALT__URL".to_owned(), "x".to_owned())]);
        assert!(Config::load(&path, &bad).expect_err("unknown").to_string().contains("`valt.url`, which is no setting"));
        let all: String = Config::template()
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|l| !l.starts_with(' '))
            .collect::<Vec<_>>()
            .join("\n");
        std::fs::write(&path, &all).expect("a file");
        let config = Config::load(&path, &BTreeMap::new()).expect("every line of the template is a setting");
        assert!(config.shown().iter().all(|s| s.origin == Origin::File), "{all}");
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
