//! Several places that hold the same objects, as one store.
//!
//! A write goes to all of them; it has happened when enough have it. A place that fails, or that is too slow to wait for, is left out from
//! then on, and what it lacks is made up for later ([`crate::settle`]). Nothing is ever in a place before what it builds on: each
//! has an ordered [`Outbox`]. Reads come from the nearest place that can answer.

mod outbox;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use self::outbox::{Outbox, Write};
use crate::{Caches, ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult};

/// What must be remembered beyond one run.
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Writes are about to begin: until somebody says otherwise, no place can be taken to be complete.
    ///
    /// # Errors
    /// It cannot be written down.
    fn begin(&self) -> StoreResult<()>;

    /// An object is to be gone everywhere. Written down before it is removed anywhere, so that no place that was away brings it back.
    ///
    /// # Errors
    /// It cannot be written down.
    fn condemn(&self, name: &ObjectName) -> StoreResult<()>;

    /// An object that was condemned is written again.
    ///
    /// # Errors
    /// It cannot be written down.
    fn pardon(&self, name: &ObjectName) -> StoreResult<()>;

    /// An object of so many bytes was written, to as many places as there must be. What was written by a run that is cut off may be missing here.
    fn written(&self, name: &ObjectName, bytes: u64);

    /// An object goes from the only place there is. Written down before it is removed.
    ///
    /// # Errors
    /// It cannot be written down.
    fn erase(&self, name: &ObjectName) -> StoreResult<()>;

    /// The objects that were written and not condemned. Lists may lag behind; this does not.
    ///
    /// # Errors
    /// It cannot be read.
    fn live(&self) -> StoreResult<Vec<ObjectName>>;

    /// Whether an object was condemned, as far as this run knows.
    fn is_condemned(&self, name: &ObjectName) -> bool;

    /// The objects that were condemned so lately that a list may not show them although they are there.
    ///
    /// # Errors
    /// It cannot be read.
    fn condemned_lately(&self) -> StoreResult<Vec<ObjectName>>;

    /// Whether an object is condemned by now: others may be at work.
    ///
    /// # Errors
    /// It cannot be read.
    fn is_condemned_by_now(&self, name: &ObjectName) -> StoreResult<bool> {
        Ok(self.is_condemned(name))
    }
}

/// What the objects of a place are to each other.
#[derive(Clone, Copy)]
pub struct Order {
    /// What must be there first has the smaller rank; objects of rank 0 need nothing, and nobody waits for one of them alone.
    pub rank: fn(&ObjectName) -> u8,
    /// Whether an object is named by the SHA-256 of its bytes.
    pub hashed: fn(&ObjectName) -> bool,
    /// Whether an object that is not named by its bytes is written anew now and then; all others stay as they are for ever.
    pub rewritten: fn(&ObjectName) -> bool,
    /// Whether an object belongs to one place alone and to the moment, as locks do.
    pub passing: fn(&ObjectName) -> bool,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order")
    }
}

/// One of the places.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, for people.
    pub name: String,
    /// Where its objects are.
    pub store: Arc<dyn Store>,
    /// Whether it is known to have had everything.
    pub complete: bool,
}

/// How a place came out of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The place's name.
    pub member: String,
    /// Why it lacks something; `None`: it has everything that was written.
    pub behind: Option<String>,
}

/// Several places as one.
#[derive(Debug)]
pub struct Fan {
    /// The nearest first.
    outboxes: Vec<Outbox>,
    order: Order,
    ledger: Arc<dyn Ledger>,
    copies_min: usize,
    begun: AtomicBool,
    /// What a place gave that was not what it should be.
    doubted: Mutex<BTreeSet<(usize, ObjectName)>>,
}

impl Fan {
    /// Joins places, the nearest first. A write that fewer than `copies_min` have fails.
    pub fn new(members: Vec<Member>, order: Order, copies_min: usize, ledger: Arc<dyn Ledger>) -> Self {
        let outboxes = members.into_iter().map(|member| Outbox::start(member, order.rank)).collect();
        Self { outboxes, order, ledger, copies_min: copies_min.max(1), begun: AtomicBool::new(false), doubted: Mutex::default() }
    }

    /// Waits until every place has what was written, or has failed, and says how each of them stands; what is written later begins anew.
    pub fn standing(&self) -> Vec<Standing> {
        let standing = self.outboxes.iter().map(Outbox::standing).collect();
        self.begun.store(false, Ordering::Release);
        standing
    }

    fn begin(&self) -> StoreResult<()> {
        if !self.begun.load(Ordering::Acquire) {
            self.ledger.begin()?;
            self.begun.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether anything was written.
    pub fn has_written(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Gives a write to every place. Objects of rank 0 have arrived when enough have them; for all others, every place that is not left out is waited for.
    fn write(&self, name: &ObjectName, write: &Write) -> StoreResult<()> {
        // Locks belong to the moment: they make no place incomplete, and one of them is enough to be seen.
        let passing = (self.order.passing)(name);
        if !passing {
            self.begin()?;
        }
        let least = if passing { 1 } else { self.copies_min };
        let ahead = matches!(write, Write::Put(..)) && (self.order.rank)(name) == 0;
        let needed = if ahead { self.copies_min } else { self.outboxes.len() };
        let arrival = outbox::Arrival::expecting(self.outboxes.len());
        for (at, outbox) in self.outboxes.iter().enumerate() {
            outbox.send(name, write, (at, &arrival));
        }
        let arrived = loop {
            match arrival.wait(needed) {
                Some(answers) => break answers,
                None => self.outboxes.iter().for_each(Outbox::leave_out_if_stuck),
            }
        };
        if let Some(exists) = arrived.exists {
            return Err(exists);
        }
        if arrived.done >= least {
            return Ok(());
        }
        let Some(error) = arrived.failed else {
            let (place, name) = (self.describe(), name.to_string());
            return Err(StoreError::Unavailable { place, action: "write", name, source: "no place is left to write to".into() });
        };
        if arrived.done == 0 {
            return Err(error);
        }
        let problem = format!("only {} of the {least} copies that there must be could be written: {error}", arrived.done);
        Err(StoreError::Refused { place: self.describe(), problem })
    }

    /// The places that may have an object, the nearest first; those that are left out come last.
    fn sources(&self, name: &ObjectName) -> Vec<&Outbox> {
        let doubted = self.doubted.lock().expect("no holder panics");
        let trusted = self.outboxes.iter().enumerate().filter(|(at, _)| !doubted.contains(&(*at, name.clone()))).map(|(_, outbox)| outbox);
        let (mut first, last): (Vec<_>, Vec<_>) = trusted.partition(|outbox| !outbox.is_behind());
        first.extend(last);
        first
    }

    /// Asks one place after the other. That an object is not there is believed only when none of them says otherwise.
    fn ask<T>(&self, name: &ObjectName, mut call: impl FnMut(&dyn Store) -> StoreResult<T>) -> StoreResult<T> {
        let mut worst = None;
        for outbox in self.sources(name) {
            match call(outbox.store()) {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_not_found() && worst.is_some() => {}
                Err(error) => worst = Some(error),
            }
        }
        Err(worst.unwrap_or_else(|| StoreError::NotFound { name: name.clone() }))
    }
}

/// Whether an object's name is the SHA-256 of its bytes.
pub(crate) fn is_named_by(name: &ObjectName, bytes: &[u8]) -> bool {
    name.file_name() == data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

impl Store for Fan {
    fn is_far(&self) -> bool {
        self.outboxes.first().is_some_and(|outbox| outbox.store().is_far())
    }

    fn describe(&self) -> String {
        self.outboxes.first().map(|outbox| outbox.store().describe()).unwrap_or_default()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        if self.ledger.is_condemned(name) {
            self.ledger.pardon(name)?;
        }
        let length = bytes.len() as u64;
        self.write(name, &Write::Put(bytes, mode))?;
        if !(self.order.passing)(name) {
            self.ledger.written(name, length);
        }
        Ok(())
    }

    /// What was written by name is checked by name, but for the objects of rank 0: whoever reads these checks them, and doubts.
    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.ask(name, |store| {
            let bytes = store.get(name)?;
            let checked = (self.order.rank)(name) != 0 && (self.order.hashed)(name);
            match checked && !is_named_by(name, &bytes) && self.outboxes.len() > 1 {
                true => Err(StoreError::Unavailable {
                    place: store.describe(),
                    action: "read",
                    name: name.to_string(),
                    source: "it holds other bytes than were written".into(),
                }),
                false => Ok(bytes),
            }
        })
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        self.ask(name, |store| store.get_range(name, range.clone()))
    }

    fn read_into(&self, name: &ObjectName, range: Option<Range<u64>>, caches: Caches, buffer: &mut Vec<u8>) -> StoreResult<()> {
        self.ask(name, |store| store.read_into(name, range.clone(), caches, buffer))
    }

    fn doubt(&self, name: &ObjectName) -> bool {
        let Some(source) = self.sources(name).first().map(|outbox| outbox.name().to_owned()) else { return false };
        let at = self.outboxes.iter().position(|outbox| outbox.name() == source);
        self.doubted.lock().expect("no holder panics").extend(at.map(|at| (at, name.clone())));
        !self.sources(name).is_empty()
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        let found = self.ask(name, |store| store.head(name)?.ok_or_else(|| StoreError::NotFound { name: name.clone() }));
        match found {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What any place has, but for what was condemned. A place that cannot be listed is left out from then on.
    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let lists: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> =
                self.outboxes.iter().filter(|o| !o.is_behind()).map(|o| (o, scope.spawn(|| o.store().list(prefix)))).collect();
            asked.into_iter().map(|(outbox, list)| (outbox, list.join().expect("no store panics"))).collect()
        });
        let (mut found, mut failed, mut listed) = (BTreeMap::new(), None, 0);
        for (outbox, list) in lists {
            match list {
                Ok(list) => {
                    listed += 1;
                    for info in list {
                        found.entry(info.name).or_insert(info.bytes);
                    }
                }
                Err(error) => {
                    outbox.leave_out(&error);
                    failed = Some(error);
                }
            }
        }
        match failed {
            None if listed == 0 => {
                let (place, name) = (self.describe(), prefix.to_owned());
                Err(StoreError::Unavailable { place, action: "list", name, source: "no place is left that answers".into() })
            }
            Some(error) if listed < self.copies_min.min(self.outboxes.len()) => Err(error),
            _ => {
                let kept = found.into_iter().filter(|(name, _)| !self.ledger.is_condemned(name));
                Ok(kept.map(|(name, bytes)| ObjectInfo { name, bytes }).collect())
            }
        }
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        if !(self.order.passing)(name) {
            self.begin()?;
            self.ledger.condemn(name)?;
        }
        self.write(name, &Write::Delete)
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        self.outboxes.iter().filter(|outbox| !outbox.is_behind()).map(|outbox| outbox.store().sweep(prefix)).sum()
    }
}
