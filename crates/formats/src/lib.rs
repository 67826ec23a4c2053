//! How memories look outside.
//!
//! [`import`] reads what other programs export: each item becomes a [`Draft`](import::Draft) with the files it names, and
//! whatever could not be read is named with its place and reason. [`bag`] writes and reads the containers that exports
//! come in. Nothing here knows of the vault, of SQL or of the network.

pub mod bag;
pub mod import;
