//! Objects by name, wherever they are kept.
//!
//! [`Store`] is the one contract: small, blocking, and the same for a folder, memory and every cloud. What the objects mean is none
//! of this crate's business. A [`Place`] is a URL with what belongs to it, and opens as a store. [`Fan`] shows several stores as one, and
//! [`settle`] makes them equal again. [`Recording`] counts calls, [`Faulty`] fails them on purpose, [`Retry`] makes them again,
//! [`Prefixed`] shows a part of a store as a store; each is a [`Store`] itself.

mod cloud;
mod control;
mod error;
mod fan;
mod faulty;
mod local;
mod maintained;
mod memory;
mod metered;
mod name;
mod net;
mod place;
mod prefixed;
mod probe;
mod recording;
mod retry;
mod settle;
mod sftp;
mod store;
mod sweep;
mod webdav;

pub use control::{BucketState, Classed, Control, LockMode, Locks, ObjectLock, Reach, Tiers, Upload, Version, Versions};
pub use error::{StoreError, StoreResult};
pub use fan::{Fan, Ledger, Member, Order, Standing};
pub use faulty::{Fault, Faulty};
pub use local::{LocalStore, room_in};
pub use maintained::Maintained;
pub use memory::MemoryStore;
pub use metered::Metered;
pub use name::ObjectName;
pub use net::{Pace, Traffic, Used, Window};
pub use place::{Access, Place, PlaceSettings, Scheme, Secret, without_password};
pub use prefixed::Prefixed;
pub use probe::{Findings, probe};
pub use recording::{Call, Recording};
pub use retry::Retry;
pub use settle::{Scope, Settled, settle};
pub use store::{Caches, ObjectInfo, ObjectReader, PutMode, Store, both};
pub use sweep::{Kept, Swept, sweep_uploads, sweep_versions};
