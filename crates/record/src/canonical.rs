//! Canonical JSON (RFC 8785): the same value is the same bytes, whoever writes it.

use serde::Serialize;

/// One canonical JSON line, without the newline.
///
/// The value must be settled (see [`crate::settle_value`]); our own types are, by their constructors.
pub fn canonical_line<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("our types hold only finite numbers and string keys")
}

/// The canonical text of a free JSON value.
pub fn canonical_value(value: &serde_json::Value) -> String {
    String::from_utf8(canonical_line(value)).expect("canonical JSON is UTF-8")
}
