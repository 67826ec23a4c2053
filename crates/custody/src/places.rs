//! The destinations of an owner's repository, opened: one of them as it is, several as one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, RwLock},
};

use keepsake_record::OwnerId;
use keepsake_repository::ORDER;
use keepsake_storage::{Fan, Ledger, Member, ObjectName, Scope, Settled, Store, StoreError, StoreResult, settle};
use keepsake_vault::{CopyRow, DestinationRow, Outcome, Standing, Vault};
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::{blocking, place_of},
};

/// Why a destination lacks something that was written, by its name; it grows as verbs end.
pub type MissedCopies = Arc<Mutex<BTreeMap<String, String>>>;

/// What is open in this process.
#[derive(Default)]
pub(crate) struct OpenPlaces {
    places: tokio::sync::Mutex<BTreeMap<Option<OwnerId>, Arc<Places>>>,
    missed: MissedCopies,
}

/// Where an owner's repository is read and written.
pub(crate) struct Places {
    pub store: Arc<dyn Store>,
    fan: Option<Arc<Fan>>,
    /// Destinations that nothing is written to before they have been settled, each with why.
    left_out: Vec<(String, String)>,
}

/// What the vault knows of an owner's objects.
#[derive(Debug)]
struct VaultLedger {
    vault: Vault,
    runtime: tokio::runtime::Handle,
    owner: Option<OwnerId>,
    members: Vec<String>,
    condemned: RwLock<BTreeSet<String>>,
}

impl VaultLedger {
    fn note<T>(&self, work: impl Future<Output = keepsake_vault::VaultResult<T>>) -> StoreResult<T> {
        self.runtime.block_on(work).map_err(|e| StoreError::Refused { place: "the vault".into(), problem: e.to_string() })
    }
}

impl Ledger for VaultLedger {
    fn begin(&self) -> StoreResult<()> {
        let open: Vec<_> = self.members.iter().map(|name| (name.clone(), Standing::Open, "writes began".to_owned())).collect();
        self.note(self.vault.set_copies(self.owner, &open))
    }

    fn condemn(&self, name: &ObjectName) -> StoreResult<()> {
        self.note(self.vault.condemn(self.owner, name.as_str()))?;
        self.condemned.write().expect("no holder panics").insert(name.to_string());
        Ok(())
    }

    fn pardon(&self, name: &ObjectName) -> StoreResult<()> {
        self.note(self.vault.pardon(self.owner, name.as_str()))?;
        self.condemned.write().expect("no holder panics").remove(name.as_str());
        Ok(())
    }

    fn is_condemned(&self, name: &ObjectName) -> bool {
        self.condemned.read().expect("no holder panics").contains(name.as_str())
    }
}

impl Custody {
    async fn ledger(&self, owner: Option<OwnerId>, members: &[Member]) -> CustodyResult<Arc<VaultLedger>> {
        Ok(Arc::new(VaultLedger {
            vault: self.vault.clone(),
            runtime: tokio::runtime::Handle::current(),
            owner,
            members: members.iter().map(|m| m.name.clone()).collect(),
            condemned: RwLock::new(self.vault.condemned(owner).await?.into_iter().collect()),
        }))
    }

    /// Where an owner's repository is.
    pub(crate) async fn places(&self, owner: Option<OwnerId>) -> CustodyResult<Arc<Places>> {
        let mut open = self.open_places.places.lock().await;
        if let Some(places) = open.get(&owner) {
            return Ok(places.clone());
        }
        let places = Arc::new(self.open_all(owner).await?);
        open.insert(owner, places.clone());
        Ok(places)
    }

    async fn open_all(&self, owner: Option<OwnerId>) -> CustodyResult<Places> {
        let rows = self.vault.destinations().await?;
        if let [only] = rows.as_slice() {
            return Ok(Places { store: self.destination_store(only)?, fan: None, left_out: Vec::new() });
        }
        let copies = self.vault.copies(owner).await?;
        let (mut members, mut left_out) = (Vec::new(), Vec::new());
        for row in &rows {
            match self.why_left_out(row, &rows, &copies) {
                Some(reason) => left_out.push((row.name.clone(), reason)),
                None => match self.destination_store(row) {
                    Ok(store) => members.push(Member { name: row.name.clone(), store }),
                    Err(error) => left_out.push((row.name.clone(), error.to_string())),
                },
            }
        }
        if members.is_empty() {
            let reasons: Vec<String> = left_out.into_iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
            return Err(CustodyError::Refused(format!(
                "no destination can be used ({}): `keepsake destination list` tells more",
                reasons.join("; ")
            )));
        }
        let ledger = self.ledger(owner, &members).await?;
        let fan = Arc::new(Fan::new(members, ORDER, self.config.copies_min(), ledger));
        Ok(Places { store: fan.clone(), fan: Some(fan), left_out })
    }

    /// A copy that lacks something is neither read nor written while another one is complete. After a crash none is known to be: then
    /// what any of them has counts. A repository that is not there yet is made everywhere.
    fn why_left_out(&self, row: &DestinationRow, rows: &[DestinationRow], copies: &[CopyRow]) -> Option<String> {
        let stands = |standing: Standing| {
            let named = |copy: &&CopyRow| rows.iter().any(|row| row.name == copy.destination);
            copies.iter().filter(named).any(|copy| copy.standing == standing)
        };
        let used = [Standing::Settled, Standing::Open].into_iter().find(|standing| stands(*standing))?;
        match copies.iter().find(|copy| copy.destination == row.name) {
            Some(copy) if copy.standing == used => None,
            Some(copy) => Some(copy.reason.clone()),
            None => Some("nothing was copied to it yet".into()),
        }
    }

    /// Notes how every copy came out of what was written, and lets go of what is open.
    pub(crate) async fn close_places(&self) -> CustodyResult<()> {
        let open = std::mem::take(&mut *self.open_places.places.lock().await);
        for (owner, places) in open {
            let Some(fan) = places.fan.clone().filter(|fan| fan.has_written()) else { continue };
            let standing = blocking(move || Ok(fan.standing())).await?;
            let rows: Vec<_> = standing
                .into_iter()
                .map(|s| match s.behind {
                    None => (s.member, Standing::Settled, String::new()),
                    Some(reason) => (s.member, Standing::Behind, reason),
                })
                .collect();
            self.vault.set_copies(owner, &rows).await?;
            let behind = rows.into_iter().filter(|(_, standing, _)| *standing == Standing::Behind).map(|(name, _, reason)| (name, reason));
            self.open_places.missed.lock().expect("no holder panics").extend(behind.chain(places.left_out.iter().cloned()));
        }
        Ok(())
    }

    /// The destinations that lack something of what this process wrote, each with why.
    pub fn missed_copies(&self) -> MissedCopies {
        self.open_places.missed.clone()
    }

    /// Whether a copy of an owner's repository lacks something, as far as is known.
    pub(crate) async fn owes_copies(&self, owner: Option<OwnerId>) -> CustodyResult<bool> {
        let rows = self.vault.destinations().await?;
        if rows.len() < 2 || self.vault.repository(owner).await?.is_none() {
            return Ok(false);
        }
        let copies = self.vault.copies(owner).await?;
        let settled = |row: &DestinationRow| copies.iter().any(|c| c.destination == row.name && c.standing == Standing::Settled);
        Ok(!rows.iter().all(settled))
    }

    /// Makes the copies of an owner's repository equal, and notes how each stands.
    pub(crate) async fn settle_copies(
        &self,
        owner: Option<OwnerId>,
        dry_run: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<Settled>> {
        self.close_places().await?;
        let (mut members, mut settled) = (Vec::new(), Vec::new());
        for row in self.vault.destinations().await? {
            match self.destination_store(&row) {
                Ok(store) => members.push(Member { name: row.name, store }),
                Err(error) => settled.push(Settled { member: row.name, behind: Some(error.to_string()), ..Settled::default() }),
            }
        }
        let ledger = self.ledger(owner, &members).await?;
        let suspects = self.suspect_objects(owner).await?;
        let prefix = place_of(owner);
        let made = blocking(move || {
            let closely = |member: &str, name: &ObjectName| suspects.suspects(member, name);
            let scope = Scope { prefix: &prefix, closely: &closely, dry_run };
            let mut each = |_: &ObjectName, bytes: u64| {
                monitor.advance(1, bytes);
                !monitor.cancelled()
            };
            Ok(settle(&members, ORDER, &*ledger, scope, &mut each)?)
        })
        .await?;
        settled.extend(made);
        if !dry_run {
            self.note_settled(owner, &settled).await?;
        }
        Ok(settled)
    }

    async fn note_settled(&self, owner: Option<OwnerId>, settled: &[Settled]) -> CustodyResult<()> {
        let rows: Vec<_> = settled
            .iter()
            .map(|s| match &s.behind {
                None => (s.member.clone(), Standing::Settled, String::new()),
                Some(reason) => (s.member.clone(), Standing::Behind, reason.clone()),
            })
            .collect();
        self.vault.set_copies(owner, &rows).await?;
        self.forget_suspect_objects(owner, settled).await?;
        let complete = settled.iter().all(|s| s.behind.is_none() && s.lost.is_empty());
        let outcome = if complete { Outcome::Complete } else { Outcome::Skipped };
        let detail = json!({ "copies": settled });
        Ok(self.vault.audit(&self.entry(owner, "destination.sync", "", outcome, detail)).await?)
    }
}
