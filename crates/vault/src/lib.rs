//! Where memories live. All SQL of the product's own, the same on SQLite and PostgreSQL.
//!
//! All writes to an owner's data go through a [`Write`], which appends to the owner's journal and ends in
//! [`Write::commit`] with an [`AuditEntry`]: no change without one, by signature. Reads that must agree with each other
//! (a backup, an export) go through a [`Snapshot`], which sees one state while writers go on.
//!
//! How memories are backed up is not known here; the tables for it (catalogue, debts, repositories, leases) are.

mod ambient;
mod asof;
mod audit;
mod db;
mod destinations;
mod error;
mod exports;
mod leases;
mod ledger;
mod media;
mod memories;
mod migrations;
mod objects;
mod owners;
mod pins;
mod read;
mod search;
mod shares;
mod snapshot;
mod traffic;
mod vault;
mod write;

pub use ambient::Ambient;
pub use asof::{AsOf, Moment, PastRow};
pub use audit::{AuditEntry, AuditRow, Outcome};
pub use destinations::{CopyRow, DestinationRow, Standing};
pub use error::{VaultError, VaultResult, again};
pub use exports::ExportRow;
pub use leases::{Lease, backup_lease};
pub use ledger::{CatalogueRow, Debt, RepositoryRow};
pub use media::{MediaState, MediumRow};
pub use memories::{IdState, ListFilter, MemoryRow, Page, SourceState};
pub use objects::{LockRow, SizeRow};
pub use owners::Head;
pub use pins::{Pin, Remade};
pub use search::{SearchAnswer, SearchState};
pub use shares::{ShareRow, Since};
pub use snapshot::{DayFileRow, Snapshot, Touched};
pub use traffic::TrafficRow;
pub use vault::{Vault, VaultUrl};
pub use write::Write;
