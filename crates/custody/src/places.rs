//! The destinations of an owner's repository, opened: one of them as it is, several as one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, RwLock},
};

use keepsake_record::OwnerId;
use keepsake_repository::ORDER;
use keepsake_storage::{Fan, Ledger, Member, Metered, ObjectName, Store, StoreError, StoreResult, Traffic};
use keepsake_vault::{CopyRow, DestinationRow, Standing, Vault};

use crate::{Custody, CustodyError, CustodyResult, copies::blocking, destinations::control::may_keep_versions};

/// Why a destination lacks something that was written, by its name; it grows as verbs end.
pub type MissedCopies = Arc<Mutex<BTreeMap<String, String>>>;

/// What is open in this process.
#[derive(Default)]
pub(crate) struct OpenPlaces {
    places: tokio::sync::Mutex<BTreeMap<Option<OwnerId>, Arc<Places>>>,
    missed: MissedCopies,
    /// What each destination is asked for.
    pub traffic: Mutex<BTreeMap<String, Arc<Traffic>>>,
}

/// Where an owner's repository is read and written.
pub(crate) struct Places {
    pub store: Arc<dyn Store>,
    fan: Option<Arc<Fan>>,
    ledger: Arc<VaultLedger>,
    /// Under which name this run is noted while it writes.
    run: String,
    /// Nobody has noted yet how any copy stands: the repository is being made.
    is_new: bool,
    /// Destinations that nothing is written to before they have been settled, each with why.
    left_out: Vec<(String, String)>,
}

/// What the vault knows of an owner's objects.
#[derive(Debug)]
pub(crate) struct VaultLedger {
    vault: Vault,
    runtime: tokio::runtime::Handle,
    owner: Option<OwnerId>,
    run: String,
    holder: String,
    condemned: RwLock<BTreeSet<String>>,
    changed: Mutex<Changed>,
}

/// What is not written down yet.
#[derive(Debug, Default)]
struct Changed {
    written: BTreeMap<String, u64>,
    /// Something is gone from the only place, which is written down already.
    erased: bool,
    /// Something was condemned, which is written down already.
    condemned: bool,
}

impl VaultLedger {
    fn ask<T>(&self, work: impl Future<Output = keepsake_vault::VaultResult<T>>) -> StoreResult<T> {
        self.runtime.block_on(work).map_err(|e| StoreError::Refused { place: "the vault".into(), problem: e.to_string() })
    }
}

impl Ledger for VaultLedger {
    fn begin(&self) -> StoreResult<()> {
        self.ask(self.vault.begin_writes(self.owner, &self.run, &self.holder))
    }

    fn condemn(&self, name: &ObjectName) -> StoreResult<()> {
        self.ask(self.vault.condemn(self.owner, name.as_str()))?;
        let mut changed = self.changed.lock().expect("no holder panics");
        changed.written.remove(name.as_str());
        changed.condemned = true;
        drop(changed);
        self.condemned.write().expect("no holder panics").insert(name.to_string());
        Ok(())
    }

    fn pardon(&self, name: &ObjectName) -> StoreResult<()> {
        self.ask(self.vault.pardon(self.owner, name.as_str()))?;
        self.condemned.write().expect("no holder panics").remove(name.as_str());
        Ok(())
    }

    fn written(&self, name: &ObjectName, bytes: u64) {
        let mut changed = self.changed.lock().expect("no holder panics");
        changed.written.insert(name.to_string(), bytes);
    }

    fn erase(&self, name: &ObjectName) -> StoreResult<()> {
        let mut changed = self.changed.lock().expect("no holder panics");
        changed.written.remove(name.as_str());
        changed.erased = true;
        drop(changed);
        self.ask(self.vault.forget_objects(self.owner, &[name.as_str()]))
    }

    fn live(&self) -> StoreResult<Vec<ObjectName>> {
        let names = self.ask(self.vault.objects(self.owner))?;
        Ok(names.into_keys().filter_map(|name| ObjectName::new(name).ok()).collect())
    }

    fn is_condemned(&self, name: &ObjectName) -> bool {
        self.condemned.read().expect("no holder panics").contains(name.as_str())
    }

    fn condemned_lately(&self) -> StoreResult<Vec<ObjectName>> {
        let names = self.ask(self.vault.condemned_lately(self.owner, LAG_MICROS))?;
        Ok(names.into_iter().filter_map(|name| ObjectName::new(name).ok()).collect())
    }

    fn is_condemned_by_now(&self, name: &ObjectName) -> StoreResult<bool> {
        self.ask(self.vault.is_condemned(self.owner, name.as_str()))
    }
}

/// What happened since something was last written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub written: BTreeSet<String>,
    pub condemned: bool,
}

impl VaultLedger {
    /// Writes down what was written and what is gone.
    pub async fn flush(&self) -> CustodyResult<Flushed> {
        let changed = std::mem::take(&mut *self.changed.lock().expect("no holder panics"));
        let flushed = Flushed { written: changed.written.keys().cloned().collect(), condemned: changed.condemned };
        if flushed == Flushed::default() && !changed.erased {
            return Ok(flushed);
        }
        self.vault.note_objects(self.owner, &changed.written).await?;
        Ok(flushed)
    }
}

impl Custody {
    pub(crate) async fn ledger(&self, owner: Option<OwnerId>, run: &str) -> CustodyResult<Arc<VaultLedger>> {
        Ok(Arc::new(VaultLedger {
            vault: self.vault.clone(),
            runtime: tokio::runtime::Handle::current(),
            owner,
            run: run.to_owned(),
            holder: self.holder(),
            condemned: RwLock::new(self.vault.condemned(owner).await?.into_iter().collect()),
            changed: Mutex::default(),
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
        if let [only] = rows.as_slice()
            && self.vault.condemned(owner).await?.is_empty()
            // Where old versions may stay, it must be known which of them are to be gone.
            && !may_keep_versions(only)
        {
            let ledger = self.ledger(owner, "").await?;
            let store = Arc::new(Metered::new(self.ready_store(only).await?, ORDER, ledger.clone()));
            return Ok(Places { store, fan: None, ledger, run: String::new(), is_new: false, left_out: Vec::new() });
        }
        let copies = self.vault.copies(owner).await?;
        let (mut members, mut left_out) = (Vec::new(), Vec::new());
        for row in &rows {
            match why_left_out(row, &rows, &copies) {
                Some(reason) => left_out.push((row.name.clone(), reason)),
                None => match self.ready_store(row).await {
                    Ok(store) => members.push(Member { name: row.name.clone(), store, complete: true }),
                    Err(error) => left_out.push((row.name.clone(), error.to_string())),
                },
            }
        }
        if members.is_empty() {
            let reasons: Vec<String> = left_out.into_iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
            let reasons = reasons.join("; ");
            return Err(CustodyError::Refused(format!("no destination can be used ({reasons}): `keepsake destination list` tells more")));
        }
        let mut random = [0; 16];
        self.ambient.fill(&mut random);
        let run = data_encoding::HEXLOWER.encode(&random);
        let ledger = self.ledger(owner, &run).await?;
        let fan = Arc::new(Fan::new(members, ORDER, self.config.copies_min(), ledger.clone()));
        Ok(Places { store: fan.clone(), fan: Some(fan), ledger, run, is_new: copies.is_empty(), left_out })
    }

    /// Notes which copies came out of what was written with less than all of it, and lets go of what is open.
    pub(crate) async fn close_places(&self) -> CustodyResult<()> {
        let open = std::mem::take(&mut *self.open_places.places.lock().await);
        for (owner, places) in open {
            let Some(fan) = places.fan.clone().filter(|fan| fan.has_written()) else {
                let flushed = places.ledger.flush().await?;
                self.after_writing(owner, flushed).await?;
                continue;
            };
            let standing = blocking(move || Ok(fan.standing())).await?;
            let flushed = places.ledger.flush().await?;
            let row = |s: &keepsake_storage::Standing| match &s.behind {
                Some(reason) => Some((s.member.clone(), Standing::Behind, reason.clone())),
                None => places.is_new.then(|| (s.member.clone(), Standing::Settled, String::new())),
            };
            let rows: Vec<_> = standing.iter().filter_map(row).collect();
            let behind = standing.into_iter().filter_map(|s| Some((s.member, s.behind?)));
            self.vault.set_copies(owner, &rows, std::slice::from_ref(&places.run)).await?;
            self.misses(behind.chain(places.left_out.iter().cloned()));
            self.after_writing(owner, flushed).await?;
        }
        self.note_traffic().await
    }

    /// Locks what was written, and removes what is left of what was deleted, where destinations have such a thing.
    async fn after_writing(&self, owner: Option<OwnerId>, flushed: Flushed) -> CustodyResult<()> {
        if !flushed.written.is_empty() {
            self.lock_written(owner, &flushed.written).await?;
        }
        if flushed.condemned {
            self.sweep_old_versions(owner).await?;
        }
        Ok(())
    }

    /// Takes note that destinations lack something, each with why.
    pub(crate) fn misses(&self, missed: impl Iterator<Item = (String, String)>) {
        self.open_places.missed.lock().expect("no holder panics").extend(missed);
    }

    /// The destinations that lack something of what this process wrote, each with why.
    pub fn missed_copies(&self) -> MissedCopies {
        self.open_places.missed.clone()
    }

    /// The runs that were writing to several destinations when their process ended.
    pub(crate) async fn cut_off_writes(&self, owner: Option<OwnerId>) -> CustodyResult<Vec<String>> {
        let long_ago = self.now().micros() - FORGOTTEN_MICROS;
        let open = self.vault.open_writes(owner).await?;
        Ok(open.into_iter().filter(|(_, holder, since)| self.is_gone(holder) || *since < long_ago).map(|(run, ..)| run).collect())
    }

    /// Whether a copy of an owner's repository lacks something, as far as is known.
    pub(crate) async fn owes_copies(&self, owner: Option<OwnerId>) -> CustodyResult<bool> {
        let rows = self.vault.destinations().await?;
        if self.vault.repository(owner).await?.is_none() {
            return Ok(false);
        }
        let copies = self.vault.copies(owner).await?;
        let settled = |row: &DestinationRow| copies.iter().any(|c| c.destination == row.name && c.standing == Standing::Settled);
        Ok(!copies.is_empty() && !rows.iter().all(settled) || !self.cut_off_writes(owner).await?.is_empty())
    }
}

/// No list lags behind for longer: seven days.
const LAG_MICROS: i64 = 7 * 86_400_000_000;

/// A run on another machine that has not ended after so long is taken for one that never will: a day.
const FORGOTTEN_MICROS: i64 = 86_400_000_000;

/// A copy that lacks something is neither read nor written while another one does not. Where all do, what any of them has counts. A
/// repository that is not there yet is made everywhere.
fn why_left_out(row: &DestinationRow, rows: &[DestinationRow], copies: &[CopyRow]) -> Option<String> {
    let named = |copy: &&CopyRow| rows.iter().any(|row| row.name == copy.destination);
    let one_is_settled = copies.iter().filter(named).any(|copy| copy.standing == Standing::Settled);
    match copies.iter().find(|copy| copy.destination == row.name) {
        Some(copy) if copy.standing == Standing::Settled || !one_is_settled => None,
        Some(copy) => Some(copy.reason.clone()),
        None if copies.is_empty() => None,
        None => Some("nothing was copied to it yet".into()),
    }
}
