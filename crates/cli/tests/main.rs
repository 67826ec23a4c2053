//! The program as people and scripts run it: real data, exit codes, whole screens.

mod bad_input;
mod imports;
mod restic;
mod support;
mod verbs;
