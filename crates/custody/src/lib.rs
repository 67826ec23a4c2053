//! Every operation, once, for both doors.
//!
//! [`Custody`] is an open home: its vault, its keys, its destinations. Its methods are the verbs of the product: import,
//! backup, verify, restore, export, and the small ones on memories and collections. Each ends in an audit entry, also
//! when it only reads or fails; long ones tell a [`Monitor`]. Nothing here prints or knows HTTP.

mod adoption;
mod ambient;
mod audit;
mod backup;
mod books;
mod bundle;
mod collections;
mod config;
mod copies;
mod destination_config;
mod destinations;
mod disks;
mod drafts;
mod elsewhere;
mod error;
mod export;
mod filter;
mod folders;
mod generations;
mod healing;
mod home;
mod import;
mod keys;
mod kit;
mod lineages;
mod memories;
mod names;
mod parents;
mod passwords;
mod places;
mod pruning;
mod recover;
mod reencryption;
mod render;
mod repairing;
mod rewriting;
mod rotation;
mod sample;
mod settling;
mod snapshots;
mod suspects;
mod system;
mod templates;
mod trust;
mod unpacking;
mod vault_source;
mod verify;
mod without;

pub use ambient::SystemClock;
pub use backup::{BackupKind, BackupReport, LAYOUT_VERSION, Skipped};
pub use books::{BookOptions, BookReport, MadeBook, VolumeFile};
pub use bundle::Bundle;
pub use collections::CollectionSummary;
pub use config::{Config, Origin, Setting};
pub use copies::RepositoryView;
pub use elsewhere::Elsewhere;
pub use error::{CustodyError, CustodyResult, ErrorKind};
pub use export::{
    BagFormat, BatchItem, BatchMade, ExportOptions, ExportPart, ExportPlan, ExportReport, ExportSince, ExportState, ExportSummary,
};
pub use export::{
    Expiry, Fetched, MadeShare, OpenShare, ShareDenied, ShareOptions, ShareReader, ShareState, ShareToken, ShareView, SharedFile,
};
pub use export::{SealTo, Unlock, Unsealed, shown_place};
pub use filter::Filter;
pub use folders::FolderReport;
pub use home::{Custody, InitReport};
pub use import::{ImportMode, ImportOptions, ImportReport};
pub use keys::{FileKeyProvider, KeyProvider};
pub use kit::RecoveryKit;
pub use memories::{MemoryDraft, MemoryEdit, SearchPage};
pub use passwords::{KeyRow, RewrapReport};
pub use places::MissedCopies;
pub use recover::{RestoreChoice, RestoreMode, RestorePlan, VaultRestoreReport};
pub use reencryption::ReencryptReport;
pub use repairing::{RepairPlan, SnapshotsRepaired};
pub use rewriting::{RewritePlan, RewriteReport, Without};
pub use rotation::{ForgetPlan, Planned};
pub use sample::{SampleSpec, drawn_photo, sample_memories};
pub use snapshots::{Entry, SnapshotRow, Source, TreeChange};
pub use templates::{TemplateCheck, TemplateExport, TemplateFile, TemplatePlan, TemplateReport, TemplateSummary, TemplateView};
pub use verify::VerifyReport;

pub use destinations::{
    Bill, BucketChange, BucketReport, DestinationReport, DestinationSettings, DestinationView, Forecast, KeptByLocks, KeptObject, Move,
    NewDestination, PriceTable, Thaw, ThawPlan, TierPlan, Usage,
};
pub use keepsake_formats::{
    book::{Paper, Typesetter},
    epub::Epub,
    import::{FieldMap, Format},
    media::{Layout, MediaOptions, PictureFormat},
    tables::Dialect,
    template::{Kind as TemplateKind, Media as TemplateMedia, Per as TemplatePer, Problem as TemplateProblem, Setter},
};
pub use keepsake_repository::{
    CheckOptions, Monitor, Password, Policy, PruneOptions, PrunePlan, PruneReport, RepairReport, RestoreOptions, RestoreOutcome, Share,
    Silent,
};
pub use keepsake_storage::{BucketState, Findings, PlaceSettings, Settled};
pub use keepsake_vault::{AuditRow, DestinationRow, ListFilter, Page, SearchState};
