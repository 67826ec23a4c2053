//! Objects that a verification found damaged at one destination, until they have been healed from another.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::OwnerId;
use keepsake_repository::ORDER;
use keepsake_storage::{ObjectName, Settled};
use keepsake_vault::{Outcome, Standing};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Custody, CustodyError, CustodyResult, copies::place_of};

/// What is not to be trusted, by destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspects(BTreeMap<String, Suspected>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Suspected {
    /// Ids of packs.
    packs: BTreeSet<String>,
    /// Something else was damaged, too: all that is small is read.
    others: bool,
}

impl Suspects {
    pub fn suspects(&self, destination: &str, name: &ObjectName) -> bool {
        self.0.get(destination).is_some_and(|s| match (ORDER.rank)(name) {
            0 => s.packs.contains(name.file_name()),
            _ => s.others,
        })
    }
}

impl Suspects {
    /// Whether anything at a destination was found damaged.
    pub fn has(&self, destination: &str) -> bool {
        self.0.contains_key(destination)
    }
}

fn fact(owner: Option<OwnerId>) -> String {
    format!("suspects {}", place_of(owner))
}

impl Custody {
    pub(crate) async fn suspect_objects(&self, owner: Option<OwnerId>) -> CustodyResult<Suspects> {
        let Some(text) = self.vault.fact(&fact(owner)).await?.filter(|text| !text.is_empty()) else { return Ok(Suspects::default()) };
        serde_json::from_str(&text).map_err(|e| CustodyError::Damaged(format!("the list of damaged objects: {e}")))
    }

    async fn set_suspects(&self, owner: Option<OwnerId>, suspects: &Suspects, verb: &'static str) -> CustodyResult<()> {
        let text = serde_json::to_string(suspects).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        let entry = self.entry(owner, verb, "", Outcome::Complete, json!({ "damaged": suspects }));
        Ok(self.vault.set_fact(&fact(owner), &text, &entry).await?)
    }

    /// Takes note of damage at a destination, which lacks something from then on.
    pub(crate) async fn suspect(
        &self,
        owner: Option<OwnerId>,
        destination: &str,
        packs: impl Iterator<Item = String>,
        others: bool,
    ) -> CustodyResult<()> {
        let mut suspects = self.suspect_objects(owner).await?;
        let of_it = suspects.0.entry(destination.to_owned()).or_default();
        of_it.packs.extend(packs);
        of_it.others |= others;
        self.set_suspects(owner, &suspects, "damage.found").await?;
        let reason = "a verification found damage: `keepsake destination sync` heals it from another copy";
        Ok(self.vault.set_copies(owner, &[(destination.to_owned(), Standing::Behind, reason.to_owned())], &[]).await?)
    }

    /// What was healed is trusted again.
    pub(crate) async fn forget_suspect_objects(&self, owner: Option<OwnerId>, settled: &[Settled]) -> CustodyResult<()> {
        let mut suspects = self.suspect_objects(owner).await?;
        let before = suspects.clone();
        for settled in settled.iter().filter(|s| s.behind.is_none() && s.lost.is_empty()) {
            suspects.0.remove(&settled.member);
        }
        if suspects == before { Ok(()) } else { self.set_suspects(owner, &suspects, "damage.healed").await }
    }
}
