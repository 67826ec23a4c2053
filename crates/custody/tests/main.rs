//! The operations as a door sees them, on real files and real repositories.

mod audit;
mod format_page;
mod histories;
mod lost_media;
mod moving;
mod parents;
mod support;
