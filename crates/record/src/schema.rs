//! The JSON Schema of the bundle, for readers in other languages.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

use crate::{Change, Collection, Consent, Insight, Memory, Owner, Person, Place, Tag, bundle};

/// What each file of the bundle holds: one JSON document, or (`.ndjson`) one a line.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape for the schema; never built")]
struct Bundle {
    /// `data/keepsake.json`
    header: bundle::Header,
    /// `data/owner.json`
    owner: Owner,
    /// a line of `data/memories/**.ndjson`
    memory: Memory,
    /// a line of `data/collections.ndjson`
    collection: Collection,
    /// a line of `data/people.ndjson`
    person: Person,
    /// a line of `data/places.ndjson`
    place: Place,
    /// a line of `data/tags.ndjson`
    tag: Tag,
    /// a line of `data/consents.ndjson`
    consent: Consent,
    /// a line of `data/insights/*.ndjson`
    insight: Insight,
    /// `history/history.json`
    history: bundle::History,
    /// a line of `history/journal/**.ndjson`
    change: Change,
}

/// The schema (JSON Schema 2020-12) of every file of the bundle, under `$defs` by type name.
pub fn bundle_schema() -> serde_json::Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    generator.into_root_schema_for::<Bundle>().to_value()
}
