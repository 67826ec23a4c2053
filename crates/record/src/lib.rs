//! What a memory is.
//!
//! A [`Memory`] is what a person wants kept: words, a moment, a place, the people in it, and the original files
//! ([`Attachment`]) that belong to it. This crate holds the validated types, the ids, the canonical JSON and the
//! [`layout`] of the bundle: the one tree that backup, export and recovery share. It does no input or output.
//!
//! ```
//! use keepsake_record::{Memory, MemoryId, When, LocalDay};
//! let mut memory = Memory::new(MemoryId::from_bytes([7; 16]), "2024-03-17T10:00:00Z".parse()?);
//! memory.text = "First swallow of the year.".into();
//! memory.when = When::day(LocalDay::new(2024, 3, 17)?);
//! memory.settle();
//! memory.validate()?;
//! assert_eq!(memory.day_path().to_string(), "memories/2024/03/2024-03-17");
//! # Ok::<(), keepsake_record::Invalid>(())
//! ```

mod attachment;
pub mod bundle;
mod canonical;
mod change;
mod collection;
mod consent;
mod digest;
mod edtf;
mod fields;
mod id;
mod insight;
mod invalid;
pub mod layout;
mod links;
mod memory;
mod owner;
mod person;
mod place;
mod schema;
mod settle;
mod source;
mod tag;
mod terms;
mod time;

pub use attachment::{Attachment, AttachmentRole, Expected, Medium};
pub use canonical::{canonical_line, canonical_value};
pub use change::{Change, Entity, Op};
pub use collection::{Collection, Membership};
pub use consent::{Consent, ConsentState};
pub use digest::Sha256Digest;
pub use edtf::Edtf;
pub use fields::field_dictionary;
pub use id::{CollectionId, ConsentId, InsightId, InstanceId, MemoryId, OwnerId, PersonId, PlaceId, RepositoryId};
pub use insight::Insight;
pub use invalid::Invalid;
pub use links::{Link, links, rewrite_links};
pub use memory::{ATTACHMENTS_MAX, Kind, Memory, Provenance, Sensitivity, TITLE_MAX_CHARS, Visibility};
pub use owner::{Owner, OwnerSettings};
pub use person::Person;
pub use place::{Place, Position};
pub use schema::bundle_schema;
pub use settle::{settle_text, settle_value};
pub use source::Source;
pub use tag::{Tag, TagName};
pub use terms::terms;
pub use time::{LocalDay, Timestamp, When, Zone};
