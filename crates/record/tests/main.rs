//! What the types promise, seen from outside.

mod bundle_layout;
mod canonical;
mod schema;
mod when;
