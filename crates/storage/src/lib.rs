//! Objects by name, wherever they are kept.
//!
//! [`Store`] is the one contract: small, blocking, and the same for a folder, memory and (later) every cloud. What the
//! objects mean is none of this crate's business. [`Recording`] counts calls, [`Faulty`] fails them on purpose,
//! [`Prefixed`] shows a part of a store as a store; each is a [`Store`] itself.

mod error;
mod faulty;
mod local;
mod memory;
mod name;
mod prefixed;
mod recording;
mod store;

pub use error::{StoreError, StoreResult};
pub use faulty::{Fault, Faulty};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use name::ObjectName;
pub use prefixed::Prefixed;
pub use recording::{Call, Recording};
pub use store::{Caches, ObjectInfo, ObjectReader, PutMode, Store};
