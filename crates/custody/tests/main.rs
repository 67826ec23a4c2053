//! The operations as a door sees them, on real files and real repositories.

#![expect(clippy::print_stdout, reason = "tests tell what they did not run, and wait by the real clock")]

mod accidents;
mod archives;
mod audit;
mod books;
mod books_cut_off;
mod buckets;
mod costs;
mod cut_off;
mod exports;
mod format_page;
mod histories;
mod lost_media;
mod media;
mod moving;
mod other_formats;
mod outgoing;
mod pages;
mod parents;
mod programs;
mod recorded;
mod rewriting;
mod several;
mod shares;
mod sharing;
mod support;
mod tables;
mod templates;
mod unfinished;
mod validators;
