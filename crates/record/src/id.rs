//! Ids: UUIDs in types of their own, so that a memory's id never stands where an owner's belongs.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Invalid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        ///
        /// Printed and stored as 36 lower-case characters; new ones are version 7, so they sort by time of making.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a version 7 id from Unix milliseconds and 80 bits of randomness (6 of them are dropped).
            pub fn from_parts(unix_millis: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
            }

            /// Takes 16 bytes as they are.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Uuid::try_parse(text).map(Self).map_err(|_| Invalid::new($field, format!("`{text}` is not a UUID")))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

id!(/** Names a memory. */ MemoryId, "memory id");
id!(/** Names an owner: whose memories. */ OwnerId, "owner id");
id!(/** Names a collection. */ CollectionId, "collection id");
id!(/** Names a person who appears in memories. */ PersonId, "person id");
id!(/** Names a place. */ PlaceId, "place id");
id!(/** Names an insight. */ InsightId, "insight id");
id!(/** Names a consent. */ ConsentId, "consent id");
id!(/** Names one installation of Keepsake. */ InstanceId, "instance id");
id!(/** Names a repository: all its copies and generations. */ RepositoryId, "repository id");
