//! `cargo xtask bench [MEMORIES]` and `cargo xtask bench engine [MIB]`: the public commands against their peers, in one run.
//!
//! Each prints a table of wall times, ratios and peak memory; docs/BENCHMARKS.md holds results with machine and date.

mod archive;
mod changes;
mod cloud;
mod engine;
mod export;
mod library;
mod measuring;
mod rewrite;
mod vault;

pub use self::{
    measuring::{Dice, Tools, text},
    vault::write_diary,
};

pub fn run(args: &[String]) -> Result<(), String> {
    match args.first().map(String::as_str) {
        Some("archive") => archive::run(&args[1..]),
        Some("cloud") => cloud::run(&args[1..]),
        Some("changes") => changes::run(&args[1..]),
        Some("rewrite") => rewrite::run(&args[1..]),
        Some("export") => export::run(&args[1..]),
        Some("engine") => engine::run(&args[1..]),
        _ => vault::run(args),
    }
}
