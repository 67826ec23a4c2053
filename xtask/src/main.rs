//! House rules, benchmarks, long tests: `cargo xtask tidy`, `bench`, `soak`, `fuzz`.

mod bench;
mod fuzz;
mod soak;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("bench") => bench::run(&args[1..]),
        Some("fuzz") => fuzz::run(&args[1..]),
        Some("soak") => soak::run(&args[1..]),
        _ => Err(
            "usage: cargo xtask tidy | soak [KILLS] | fuzz [SECONDS] | bench [MEMORIES] | bench engine [MIB] [FILES] [FOLDER …] | bench rewrite [MEMORIES] [SNAPSHOTS] | bench changes [MEMORIES …] | bench cloud [MIB] | bench export [MEMORIES] [FOLDER] | bench archive [GIB] [FOLDER]"
                .into(),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&problem);
            ExitCode::FAILURE
        }
    }
}

/// The one place of this program that prints.
#[expect(clippy::print_stdout, reason = "a tool for developers talks on standard output")]
pub fn say(text: &str) {
    println!("{text}");
}
