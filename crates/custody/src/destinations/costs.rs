//! What a destination costs in a month, from a table of prices. Pure: what is there and what was asked for comes from elsewhere.

use std::collections::BTreeMap;

use keepsake_storage::Used;
use serde::{Deserialize, Serialize};

/// Prices of a cloud, as its price list gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// The currency of all amounts, such as `USD`.
    pub currency: String,
    /// From when the prices are, such as `2024-06`.
    pub as_of: String,
    /// Bytes in what the cloud calls a gigabyte.
    #[serde(default = "binary_gigabyte")]
    pub gigabyte: f64,
    /// The class of what is just written.
    pub default_class: String,
    /// Sending a gigabyte out of the cloud.
    #[serde(default)]
    pub egress: f64,
    /// Each class by its name.
    pub classes: BTreeMap<String, ClassPrices>,
}

/// Prices of a class of storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassPrices {
    /// A gigabyte for a month.
    pub storage: f64,
    /// 1,000 requests that write, or list.
    pub writes: f64,
    /// 1,000 requests that read.
    pub reads: f64,
    /// Reading a gigabyte, beside the request.
    pub retrieval: f64,
}

fn binary_gigabyte() -> f64 {
    1_073_741_824.0
}

/// What a month costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// The currency.
    pub currency: String,
    /// From when the prices are.
    pub as_of: String,
    /// What is paid for, with its amount.
    pub lines: Vec<(String, f64)>,
    /// Their sum.
    pub total: f64,
    /// What it may cost.
    pub budget: Option<f64>,
}

impl Bill {
    /// Whether it costs more than it may.
    pub fn is_over(&self) -> bool {
        self.budget.is_some_and(|budget| self.total > budget)
    }
}

const EXAMPLES: &str = include_str!("costs/examples.toml");

/// Tables of prices by name, marked as examples: to be copied and corrected, because prices change and differ by region.
pub(crate) fn examples() -> BTreeMap<String, PriceTable> {
    toml::from_str(EXAMPLES).expect("the examples are tables of prices")
}

/// The first of the month's costs: everything that is there for a whole month, and what was asked for. `kept`: bytes by class. Requests are paid
/// at the prices of the class of what is just written; deleting costs nothing at any of the three clouds.
pub(crate) fn estimate(prices: &PriceTable, kept: &BTreeMap<String, u64>, asked: &Used, budget: Option<f64>) -> Bill {
    let usual = prices.classes.get(&prices.default_class).copied().unwrap_or_default();
    let gigabytes = |bytes: u64| bytes as f64 / prices.gigabyte;
    let thousands = |requests: u64| requests as f64 / 1_000.0;
    let mut lines: Vec<(String, f64)> = kept
        .iter()
        .map(|(class, bytes)| {
            let known = prices.classes.get(class);
            let name = match known {
                Some(_) => format!("storage in {class}"),
                None => format!("storage in {class} (no price is given; that of {} is taken)", prices.default_class),
            };
            (name, gigabytes(*bytes) * known.unwrap_or(&usual).storage)
        })
        .collect();
    lines.push(("requests that write or list".into(), thousands(asked.writes + asked.lists) * usual.writes));
    lines.push(("requests that read".into(), thousands(asked.reads) * usual.reads));
    lines.push(("reading".into(), gigabytes(asked.received) * (prices.egress + usual.retrieval)));
    let total = lines.iter().map(|(_, amount)| amount).sum();
    Bill { currency: prices.currency.clone(), as_of: prices.as_of.clone(), lines, total, budget }
}

/// At how many bytes the budget is used up, if what comes is kept in the class of what is just written; `None`: never, or it is already.
pub(crate) fn bytes_at_budget(prices: &PriceTable, bill: &Bill, now: u64) -> Option<u64> {
    let storage = prices.classes.get(&prices.default_class)?.storage;
    let left = bill.budget? - bill.total;
    (storage > 0.0 && left > 0.0).then(|| now + (left / storage * prices.gigabyte) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PriceTable {
        toml::from_str(
            "currency = \"EUR\"\nas_of = \"2024-06\"\ngigabyte = 1e9\ndefault_class = \"Hot\"\negress = 0.08\n\
             [classes.Hot]\nstorage = 0.02\nwrites = 0.05\nreads = 0.004\n[classes.Archive]\nstorage = 0.001\nwrites = 0.1\nreads = 5\nretrieval = 0.02\n",
        )
        .expect("a table")
    }

    /// Worked out by hand: 250 GB × 0.02 = 5.00; 1,000 GB × 0.001 = 1.00; (40,000 + 2,000) ÷ 1,000 × 0.05 = 2.10;
    /// 10,000 ÷ 1,000 × 0.004 = 0.04; 3 GB × 0.08 = 0.24; together 8.38.
    #[test]
    fn a_bill_is_what_it_is_by_hand() {
        let kept = BTreeMap::from([("Archive".to_owned(), 1_000_000_000_000), ("Hot".to_owned(), 250_000_000_000)]);
        let asked = Used { writes: 40_000, lists: 2_000, reads: 10_000, deletes: 99, received: 3_000_000_000, ..Used::default() };
        let bill = estimate(&table(), &kept, &asked, Some(8.0));
        let cents: Vec<i64> = bill.lines.iter().map(|(_, amount)| (amount * 10_000.0).round() as i64).collect();
        assert_eq!(cents, [10_000, 50_000, 21_000, 400, 2_400]);
        assert!((bill.total - 8.38).abs() < 1e-9 && bill.is_over(), "{bill:?}");
        assert_eq!(bytes_at_budget(&table(), &bill, 0), None, "it is used up already");
        let bill = Bill { budget: Some(10.38), ..bill };
        assert!(!bill.is_over());
        let full = bytes_at_budget(&table(), &bill, 250_000_000_000).expect("some day");
        assert!(full.abs_diff(350_000_000_000) < 1_000, "2.00 pay for 100 GB more: {full}");
    }

    #[test]
    fn a_class_without_a_price_is_told_and_not_free() {
        let bill = estimate(&table(), &BTreeMap::from([("Cold".to_owned(), 1_000_000_000)]), &Used::default(), None);
        assert!(bill.lines[0].0.contains("no price is given"), "{bill:?}");
        assert!((bill.total - 0.02).abs() < 1e-12 && !bill.is_over());
    }

    #[test]
    fn the_examples_can_be_read_and_say_what_they_are() {
        let examples = examples();
        assert_eq!(examples.len(), 3);
        for (name, table) in examples {
            assert!(name.starts_with("example-") && !table.as_of.is_empty(), "{name}");
            assert!(table.classes[&table.default_class].storage > 0.0, "{name}");
        }
    }
}
