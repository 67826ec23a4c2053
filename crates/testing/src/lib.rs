//! What the tests and benches of several crates share. Nothing that is shipped knows this crate.

#![expect(clippy::print_stdout, reason = "tests tell their seed")]

mod bucket;
mod corpus;
mod dice;
mod scripted;

pub use bucket::{Bucket, Mishap};
pub use corpus::replay;
pub use dice::Dice;
pub use scripted::Scripted;

/// A number out of an environment variable, or the default: how people choose another seed or more steps.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
