//! Making several places equal again.
//!
//! What was condemned goes first, so that nothing comes back that was deleted while a place was away. Then every place gets what
//! another one has, in the order in which it may be there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::{Ledger, Member, ObjectName, Order, PutMode, StoreError, StoreResult, fan::is_named_by};

/// What was done for one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// The place's name.
    pub member: String,
    /// Objects that it had and that should be gone.
    pub removed: u64,
    /// Objects that it lacked.
    pub copied: u64,
    /// Objects that it had, and not as they should be.
    pub healed: Vec<String>,
    /// What was written to it, or would be.
    #[serde(skip)]
    pub given: Vec<String>,
    /// Bytes written to it.
    pub bytes: u64,
    /// Objects that nobody has as they should be.
    pub lost: Vec<String>,
    /// Objects that were written and that nobody has any more, though nothing of ours took them away.
    pub gone: Vec<String>,
    /// Objects that it has otherwise than another place, where nobody can tell which is right.
    pub differing: Vec<String>,
    /// Why it is not complete; `None`: it is, but for what is lost.
    pub behind: Option<String>,
}

/// What to compare, and how closely.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Only what is below this prefix.
    pub prefix: &'a str,
    /// Whether an object of a place (by name) may be damaged though its length is right: then it is read.
    pub closely: &'a (dyn Fn(&str, &ObjectName) -> bool + Sync),
    /// Whether there is no other place that could be asked.
    pub everybody: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What each place has.
struct Listed {
    of: Vec<BTreeMap<ObjectName, u64>>,
}

/// Makes places equal. Those that cannot be listed, or fail, are left as they are and said to be behind; the nearest comes first.
/// `each` is told of every object that is about to be copied, with its length, and answers whether to go on.
///
/// # Errors
/// No place can be listed at all, or somebody wants to stop.
pub fn settle(
    members: &[Member],
    order: Order,
    ledger: &dyn Ledger,
    scope: Scope<'_>,
    each: &mut dyn FnMut(&ObjectName, u64) -> bool,
) -> StoreResult<Vec<Settled>> {
    let mut settled: Vec<Settled> = members.iter().map(|m| Settled { member: m.name.clone(), ..Settled::default() }).collect();
    let listed = list(members, scope.prefix, &mut settled)?;
    remove_condemned(members, order, ledger, scope, &listed, &mut settled)?;
    // What was written is looked for by name where no list shows it: a list may lag behind.
    let written = ledger.live()?;
    let written: BTreeSet<&ObjectName> = written.iter().filter(|name| name.as_str().starts_with(scope.prefix)).collect();
    let all: BTreeSet<&ObjectName> = listed.of.iter().flat_map(BTreeMap::keys).chain(written.iter().copied()).collect();
    let mut wanted: Vec<&ObjectName> = all.into_iter().filter(|name| !(order.passing)(name) && !ledger.is_condemned(name)).collect();
    wanted.sort_by_key(|name| ((order.rank)(name), *name));
    for name in wanted {
        let task = Task { members, order, ledger, scope, listed: &listed, name, written: written.contains(name) };
        if !task.run(&mut settled, each)? {
            return Err(StoreError::Refused {
                place: "copying".into(),
                problem: "stopped as asked; the next `destination sync` goes on".into(),
            });
        }
    }
    Ok(settled)
}

fn list(members: &[Member], prefix: &str, settled: &mut [Settled]) -> StoreResult<Listed> {
    let lists: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = members.iter().map(|member| scope.spawn(|| member.store.list(prefix))).collect();
        asked.into_iter().map(|list| list.join().expect("no store panics")).collect()
    });
    let (mut of, mut last) = (Vec::new(), None);
    for (list, settled) in lists.into_iter().zip(settled) {
        match list {
            Ok(list) => of.push(list.into_iter().map(|info| (info.name, info.bytes)).collect()),
            Err(error) => {
                settled.behind = Some(error.to_string());
                of.push(BTreeMap::new());
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if of.iter().all(BTreeMap::is_empty) => Err(error),
        _ => Ok(Listed { of }),
    }
}

/// What nothing builds on goes first.
fn remove_condemned(
    members: &[Member],
    order: Order,
    ledger: &dyn Ledger,
    scope: Scope<'_>,
    listed: &Listed,
    settled: &mut [Settled],
) -> StoreResult<()> {
    let all = ledger.condemned_lately()?;
    for ((member, list), settled) in members.iter().zip(&listed.of).zip(settled) {
        let least = list.keys().filter(|name| ledger.is_condemned(name)).map(|name| (order.rank)(name)).min();
        let Some(least) = least else { continue };
        // A list may not show yet what builds on an object that goes: that goes by name, seen or not.
        let unseen =
            |name: &&ObjectName| name.as_str().starts_with(scope.prefix) && (order.rank)(name) > least && !list.contains_key(*name);
        let mut condemned: Vec<&ObjectName> =
            list.keys().filter(|name| ledger.is_condemned(name)).chain(all.iter().filter(unseen)).collect();
        condemned.sort_by_key(|name| std::cmp::Reverse(((order.rank)(name), *name)));
        for name in condemned {
            if settled.behind.is_some() {
                break;
            }
            match if scope.dry_run { Ok(()) } else { member.store.delete(name) } {
                Ok(()) => settled.removed += u64::from(list.contains_key(name)),
                // It is gone when its lock has ended; that is known, and stops nothing.
                Err(StoreError::Locked { .. }) => {}
                Err(error) => settled.behind = Some(error.to_string()),
            }
        }
    }
    Ok(())
}

/// One object that every place should have.
struct Task<'a> {
    members: &'a [Member],
    order: Order,
    ledger: &'a dyn Ledger,
    scope: Scope<'a>,
    listed: &'a Listed,
    name: &'a ObjectName,
    /// Whether it is known to have been written, whatever lists show.
    written: bool,
}

/// An object as it should be, if somebody has it so.
enum Found {
    /// The bytes, and whether the place that has them is known to be complete and sound.
    Good(Bytes, bool),
    /// A place that has it could not be asked.
    Unreadable(String),
    /// Every place that has it has something else.
    Lost,
    /// It was written, every place answered, and none has it.
    Gone,
}

impl Task<'_> {
    fn is_suspect(&self, at: usize) -> bool {
        (self.scope.closely)(&self.members[at].name, self.name)
    }

    fn note_written(&self, length: Option<u64>) {
        if let Some(length) = length.filter(|_| !self.scope.dry_run && !self.written) {
            self.ledger.written(self.name, length);
        }
    }

    /// Answers whether to go on with other objects.
    fn run(&self, settled: &mut [Settled], each: &mut dyn FnMut(&ObjectName, u64) -> bool) -> StoreResult<bool> {
        let there: Vec<Option<u64>> = self.listed.of.iter().map(|list| list.get(self.name).copied()).collect();
        let lengths: BTreeSet<u64> = there.iter().flatten().copied().collect();
        let suspected = (0..there.len()).any(|at| self.is_suspect(at));
        // Names that are no hashes may stand for other bytes than before: these few are compared.
        let hashed = (self.order.hashed)(self.name);
        let lacking = (0..there.len()).filter(|at| settled[*at].behind.is_none() && there[*at].is_none()).count();
        if lacking == 0 && lengths.len() == 1 && !suspected && hashed {
            self.note_written(there.iter().flatten().next().copied());
            return Ok(true);
        }
        let (good, sure) = match self.find(&there, settled) {
            Found::Good(bytes, sure) => (bytes, sure),
            Found::Unreadable(reason) => {
                // A place that may have something else is as little complete as one that has nothing.
                for (at, settled) in settled.iter_mut().enumerate() {
                    if settled.behind.is_some() || there[at].is_some() && !self.is_suspect(at) && lengths.len() == 1 {
                        continue;
                    }
                    settled.behind = Some(format!("{} could not be read where it is: {reason}", self.name));
                }
                return Ok(true);
            }
            Found::Gone => {
                settled.iter_mut().for_each(|settled| settled.gone.push(self.name.to_string()));
                return Ok(true);
            }
            Found::Lost => {
                settled.iter_mut().for_each(|settled| settled.lost.push(self.name.to_string()));
                return Ok(true);
            }
        };
        self.note_written(Some(good.len() as u64));
        for at in 0..self.members.len() {
            if settled[at].behind.is_some() || self.is_as(at, there[at], &good) {
                continue;
            }
            let may_replace = hashed || self.is_suspect(at) || !self.members[at].complete && (self.order.rewritten)(self.name);
            if there[at].is_some() && !(may_replace && (hashed || sure)) {
                settled[at].differing.push(self.name.to_string());
                continue;
            }
            if !each(self.name, good.len() as u64) {
                return Ok(false);
            }
            match if self.scope.dry_run { Ok(true) } else { self.give(at, &good) } {
                Ok(false) => {}
                Ok(true) => {
                    settled[at].given.push(self.name.to_string());
                    settled[at].bytes += good.len() as u64;
                    settled[at].copied += u64::from(there[at].is_none());
                    settled[at].healed.extend(there[at].map(|_| self.name.to_string()));
                }
                Err(error) => settled[at].behind = Some(error.to_string()),
            }
        }
        Ok(true)
    }

    /// Writes the object to a place, unless somebody condemned it meanwhile. Answers whether it did.
    fn give(&self, at: usize, bytes: &Bytes) -> StoreResult<bool> {
        if self.ledger.is_condemned_by_now(self.name)? {
            return Ok(false);
        }
        self.members[at].store.put(self.name, bytes.clone(), PutMode::Replace)?;
        if self.ledger.is_condemned_by_now(self.name)? {
            self.members[at].store.delete(self.name)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// The bytes as they should be. What is not named by its bytes cannot be told right from wrong: there, places that are known to be complete
    /// are believed first, and a suspect is not believed at all.
    fn find(&self, there: &[Option<u64>], settled: &[Settled]) -> Found {
        let hashed = (self.order.hashed)(self.name);
        let may_have = |at: &usize| there[*at].is_some() || self.written && settled[*at].behind.is_none();
        let mut holders: Vec<usize> = (0..there.len()).filter(|at| may_have(at) && (hashed || !self.is_suspect(*at))).collect();
        holders.sort_by_key(|at| (there[*at].is_none(), self.is_suspect(*at), !hashed && !self.members[*at].complete, *at));
        let away = self.written && (!self.scope.everybody || settled.iter().any(|s| s.behind.is_some()));
        let mut unreadable = away.then(|| "no destination that answers has it".to_owned());
        for at in holders {
            match self.members[at].store.get(self.name) {
                Ok(bytes) if !hashed || is_named_by(self.name, &bytes) => return Found::Good(bytes, self.members[at].complete),
                Ok(_) => {}
                Err(error) if error.is_not_found() || error.is_short() => {}
                Err(error) => unreadable = Some(error.to_string()),
            }
        }
        match unreadable {
            Some(reason) => Found::Unreadable(reason),
            None if there.iter().all(Option::is_none) => Found::Gone,
            None => Found::Lost,
        }
    }

    fn is_as(&self, at: usize, there: Option<u64>, good: &Bytes) -> bool {
        if there != Some(good.len() as u64) {
            return false;
        }
        let closely = self.is_suspect(at) || !(self.order.hashed)(self.name);
        !closely || self.members[at].store.get(self.name).is_ok_and(|bytes| bytes == *good)
    }
}
