//! Importers seen from outside: what is found, what is named, and that no bytes make them panic.

#![expect(clippy::print_stdout, reason = "tests tell what they did not run")]

mod containers;
mod copies;
mod evernote;
mod fuzzing;
mod joplin;
mod journey;
mod keep;
mod mastodon;
mod matrix;
mod memos;
mod notion;
mod plain;
mod readers;
mod roam;
mod tables;
mod taken;
mod takeout;
mod takeout_archives;
mod takeout_names;
mod templates;
mod textbundle;
mod words;
