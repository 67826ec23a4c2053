//! What the things are called that memories name.

use keepsake_formats::names::Names;
use keepsake_record::Entity;
use keepsake_vault::AsOf;

use crate::{CustodyError, CustodyResult};

/// The names of a state.
pub(crate) async fn names_of(state: &mut AsOf) -> CustodyResult<Names> {
    let mut names = Names::default();
    for (entity, into) in
        [(Entity::Person, &mut names.people), (Entity::Place, &mut names.places), (Entity::Collection, &mut names.collections)]
    {
        for (id, line) in state.things(entity).await? {
            let value: serde_json::Value = serde_json::from_str(&line).map_err(|e| CustodyError::Damaged(format!("{id}: {e}")))?;
            let parts = ["name", "locality", "country"].iter().filter_map(|field| value.get(field)?.as_str());
            let mut parts: Vec<&str> = parts.collect();
            parts.dedup();
            into.insert(id, parts.join(", "));
        }
    }
    Ok(names)
}
