//! The door for people at a terminal and for scripts: parse, ask custody, show.

mod args;
mod commands;
mod exit;
mod output;
mod progress;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
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
