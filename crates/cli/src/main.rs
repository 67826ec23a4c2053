//! The door for people at a terminal and for scripts: parse, ask custody, show.

mod args;
mod commands;
mod exit;
mod output;
mod progress;
mod words;

use std::process::ExitCode;

use clap::Parser;

/// Chunks and packs come and go by the megabyte on many threads; this one keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Words that are no command: said as everything else is, for people or for programs. Help is no error.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !std::env::args_os().any(|word| word == "--json") {
        error.exit();
    }
    let message = error.render().to_string();
    output::Output::new(true, false).error(exit::name(exit::USAGE), message.trim().trim_start_matches("error: "), Some(exit::USAGE));
    ExitCode::from(exit::USAGE)
}

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misused(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::Output::new(args.global.json, args.global.quiet).error("failed", &format!("no threads can be started: {error}"), None);
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(commands::run(args));
    // What still blocks (a slow disk, say) must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ExitCode::from(code)
}
