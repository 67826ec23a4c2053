//! The program as people and scripts run it: real data, exit codes, whole screens.

#![expect(clippy::print_stdout, reason = "tests tell what they did not run")]

mod bad_input;
mod batch;
mod clouds;
mod imports;
mod leaving;
mod restic;
mod shares;
mod support;
mod verbs;
