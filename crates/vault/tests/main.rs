//! One conformance suite, run whole on SQLite and on PostgreSQL.

mod asof;
mod contention;
mod engines;
mod history;
mod leases;
mod media;
mod memories;
mod model;
mod search;
mod shares;
