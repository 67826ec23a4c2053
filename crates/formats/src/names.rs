//! What things are called: records name them by id, people by name.

use std::collections::BTreeMap;

/// Names by id as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of people.
    pub people: BTreeMap<String, String>,
    /// Of places, with where they are.
    pub places: BTreeMap<String, String>,
    /// Of collections.
    pub collections: BTreeMap<String, String>,
}
