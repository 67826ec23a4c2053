//! The engine: how bytes become small, secret, findable and provable.
//!
//! It writes and reads restic repository format v2 (`doc/design.rst` of restic; our notes in docs/FORMAT.md), byte-exact
//! and canonical, so that the stock tool opens, checks, restores and prunes what is written here. A source hands the
//! engine a sorted stream of [`Edit`]s over a parent tree (none: a whole tree); unchanged subtrees are reused unread.
//!
//! What the bytes mean is not known here: no memories, no SQL, no HTTP. Nothing prints; a [`Monitor`] is told.

mod ambient;
mod backup;
mod check;
mod config;
mod copying;
mod crypto;
mod cut;
mod edit;
mod error;
mod folder;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod go_json;
mod id;
mod index;
mod index_cache;
mod index_file;
mod index_loading;
mod key_file;
mod keys;
mod lock;
mod monitor;
mod needed;
mod order;
mod pack;
mod pool;
mod prune;
mod reading;
mod repair;
mod repository;
mod restore;
mod rewrite;
mod rotation;
mod snapshot;
mod tree;
mod tree_cache;
mod uploads;
mod usage;
mod writer;

pub use ambient::{Ambient, SystemAmbient};
pub use backup::{BackupOutcome, BackupRequest, EditStream, Replay, SkippedPath, Totals};
pub use check::{CheckOptions, Damage, DamageKind, Report, Share};
pub use copying::{CopyOutcome, remove_everything};
pub use crypto::{MasterKey, open as open_sealed, seal};
pub use cut::{Cutter, GearTable};
pub use edit::{Content, ContentError, Edit, EditKind, FileMeta, Piece};
pub use error::{RepositoryError, RepositoryResult};
pub use folder::FolderSource;
pub use id::Id;
pub use index::{BlobKind, Location};
pub use key_file::{KdfCost, KeyInfo, OWN_NAME, Password};
pub use keys::NamedKey;
pub use lock::{LockInfo, LockKind, process_lives};
pub use monitor::{Monitor, Silent};
pub use order::ORDER;
pub use prune::{Protected, PruneOptions, PrunePlan, PruneReport, Pruning};
pub use repair::RepairReport;
pub use repository::Repository;
pub use restore::{RestoreOptions, RestoreOutcome};
pub use rewrite::{RewriteOutcome, Rewriter, Rewritten, WithoutPaths};
pub use rotation::{Candidate, Count, Policy, Verdict, decide};
pub use snapshot::Snapshot;
pub use tree::{Node, NodeKind, Tree};
pub use usage::Blobs;
