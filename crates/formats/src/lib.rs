//! How memories look outside.
//!
//! [`import`] reads what other programs export: each item becomes a [`Draft`](import::Draft) with the files it names, and
//! whatever could not be read is named with its place and reason. [`bag`] writes and reads the containers that exports
//! come in, [`tables`] makes CSV of memories, [`xml`] XML, [`markdown`] a file of each,
//! [`site`] pages for a browser, [`epub`] books for readers, [`media`] folders for photo programs with what [`xmp`] tells of each file. [`text`] reads the Markdown of memories for everybody who sets it in another way, [`pictures`] makes their photos fit to be
//! shown, with [`programs`] of others where it has to, and [`book`] is what a typesetter is given. Nothing here knows of the vault, of its SQL or of the network.

pub mod bag;
pub mod book;
pub mod copies;
pub mod epub;
pub mod import;
pub mod markdown;
pub mod markup;
pub mod matrix;
pub mod media;
pub mod names;
pub mod pictures;
pub mod programs;
pub mod site;
pub mod tables;
pub mod template;
pub mod text;
pub mod told;
pub mod xml;
pub mod xmp;
