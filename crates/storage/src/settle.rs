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
    /// Bytes written to it.
    pub bytes: u64,
    /// Objects that nobody has as they should be.
    pub lost: Vec<String>,
    /// Why it is not complete; `None`: it is.
    pub behind: Option<String>,
}

/// What to compare, and how closely.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Only what is below this prefix.
    pub prefix: &'a str,
    /// Whether an object of a place (by name) may be damaged though its length is right: then it is read.
    pub closely: &'a (dyn Fn(&str, &ObjectName) -> bool + Sync),
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
    remove_condemned(members, order, ledger, scope, &listed, &mut settled);
    let mut all: BTreeMap<&ObjectName, ()> = BTreeMap::new();
    for list in &listed.of {
        all.extend(list.keys().map(|name| (name, ())));
    }
    let mut wanted: Vec<&ObjectName> = all.into_keys().filter(|name| !(order.passing)(name) && !ledger.is_condemned(name)).collect();
    wanted.sort_by_key(|name| ((order.rank)(name), *name));
    for name in wanted {
        let task = Task { members, order, scope, listed: &listed, name };
        if !task.run(&mut settled, each) {
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
fn remove_condemned(members: &[Member], order: Order, ledger: &dyn Ledger, scope: Scope<'_>, listed: &Listed, settled: &mut [Settled]) {
    for ((member, list), settled) in members.iter().zip(&listed.of).zip(settled) {
        let mut condemned: Vec<&ObjectName> = list.keys().filter(|name| ledger.is_condemned(name)).collect();
        condemned.sort_by_key(|name| std::cmp::Reverse(((order.rank)(name), *name)));
        for name in condemned {
            if settled.behind.is_some() {
                break;
            }
            match if scope.dry_run { Ok(()) } else { member.store.delete(name) } {
                Ok(()) => settled.removed += 1,
                // It is gone when its lock has ended; that is known, and stops nothing.
                Err(StoreError::Locked { .. }) => {}
                Err(error) => settled.behind = Some(error.to_string()),
            }
        }
    }
}

/// One object that every place should have.
struct Task<'a> {
    members: &'a [Member],
    order: Order,
    scope: Scope<'a>,
    listed: &'a Listed,
    name: &'a ObjectName,
}

impl Task<'_> {
    fn is_suspect(&self, at: usize) -> bool {
        (self.scope.closely)(&self.members[at].name, self.name)
    }

    fn is_right(&self, bytes: &Bytes) -> bool {
        !(self.order.hashed)(self.name) || is_named_by(self.name, bytes)
    }

    /// Answers whether to go on with other objects.
    fn run(&self, settled: &mut [Settled], each: &mut dyn FnMut(&ObjectName, u64) -> bool) -> bool {
        let there: Vec<Option<u64>> = self.listed.of.iter().map(|list| list.get(self.name).copied()).collect();
        let lengths: BTreeSet<u64> = there.iter().flatten().copied().collect();
        let suspected = (0..there.len()).any(|at| self.is_suspect(at));
        // Names that are no hashes may stand for other bytes than before: these few are compared.
        let mutable = !(self.order.hashed)(self.name);
        let lacking = (0..there.len()).filter(|at| settled[*at].behind.is_none() && there[*at].is_none()).count();
        if lacking == 0 && lengths.len() == 1 && !suspected && !mutable {
            return true;
        }
        let Some(good) = self.good_copy(&there) else {
            for settled in settled.iter_mut() {
                settled.lost.push(self.name.to_string());
            }
            return true;
        };
        for (at, settled) in settled.iter_mut().enumerate() {
            if settled.behind.is_some() || self.is_as(at, there[at], &good) {
                continue;
            }
            if !each(self.name, good.len() as u64) {
                return false;
            }
            let written = if self.scope.dry_run { Ok(()) } else { self.members[at].store.put(self.name, good.clone(), PutMode::Replace) };
            match written {
                Ok(()) => {
                    settled.bytes += good.len() as u64;
                    settled.copied += u64::from(there[at].is_none());
                    settled.healed.extend(there[at].map(|_| self.name.to_string()));
                }
                Err(error) => settled.behind = Some(error.to_string()),
            }
        }
        true
    }

    /// The bytes as they should be: of the nearest place that has them so.
    fn good_copy(&self, there: &[Option<u64>]) -> Option<Bytes> {
        let holders = (0..there.len()).filter(|at| there[*at].is_some());
        let (suspects, others): (Vec<_>, Vec<_>) = holders.partition(|at| self.is_suspect(*at));
        others.into_iter().chain(suspects).find_map(|at| self.members[at].store.get(self.name).ok().filter(|bytes| self.is_right(bytes)))
    }

    fn is_as(&self, at: usize, there: Option<u64>, good: &Bytes) -> bool {
        if there != Some(good.len() as u64) {
            return false;
        }
        let closely = self.is_suspect(at) || !(self.order.hashed)(self.name);
        !closely || self.members[at].store.get(self.name).is_ok_and(|bytes| bytes == *good)
    }
}
