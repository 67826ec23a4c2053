//! restic's locks: taken and honoured, so that a stock prune never deletes what is being written.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use bytes::Bytes;
use keepsake_storage::{ObjectName, PutMode, Store, both};
use serde::{Deserialize, Serialize};

use crate::{
    Ambient, Id, MasterKey, RepositoryError, RepositoryResult,
    crypto::{fresh_iv, open, seal},
    frame,
};

/// Whether others may work beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Others may read and add, nobody may delete.
    Shared,
    /// Nobody else may do anything.
    Exclusive,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// When it was taken or last refreshed, RFC 3339.
    pub time: String,
    /// Whether nobody else may do anything.
    pub exclusive: bool,
    /// The machine.
    #[serde(default)]
    pub hostname: String,
    /// The user.
    #[serde(default)]
    pub username: String,
    /// The process.
    #[serde(default)]
    pub pid: u32,
    /// User number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Group number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

const OUR_USER: &str = "keepsake";
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// restic calls a lock stale after this; one of ours that is older belongs to a process that is gone.
const STALE_SECONDS: i64 = 30 * 60;

/// A holder must stop when it could not refresh for so long: 22.5 minutes, as in restic.
const HELD_SECONDS: i64 = 22 * 60 + 30;

impl LockInfo {
    fn describe(&self) -> String {
        format!(
            "process {} on {} ({}{}) since {}",
            self.pid,
            self.hostname,
            self.username,
            if self.exclusive { ", exclusively" } else { "" },
            self.time
        )
    }

    /// A lock that a Keepsake process left behind: its process is gone from this machine, or it was not refreshed.
    fn is_our_leftover(&self, ambient: &dyn Ambient) -> bool {
        if self.username != OUR_USER {
            return false;
        }
        let taken: Option<jiff::Timestamp> = self.time.parse().ok();
        let expired = taken.is_some_and(|t| ambient.now().as_second() - t.as_second() > STALE_SECONDS);
        let dead = self.hostname == ambient.hostname() && self.pid != ambient.pid() && !process_lives(self.pid);
        expired || dead
    }
}

/// Whether a process of this machine is there.
pub fn process_lives(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// What is needed to write and read lock files.
#[derive(Clone)]
pub(crate) struct Locker {
    pub store: Arc<dyn Store>,
    pub key: MasterKey,
    pub ambient: Arc<dyn Ambient>,
    /// Whether files are framed, as they are since version 2 of the format.
    pub framed: bool,
}

/// Holds a lock until it is dropped; a thread refreshes it meanwhile.
pub(crate) struct LockGuard {
    state: Arc<(Mutex<State>, Condvar)>,
    locker: Locker,
    refresher: Option<std::thread::JoinHandle<()>>,
}

struct State {
    name: ObjectName,
    refreshed: jiff::Timestamp,
    done: bool,
    lost: bool,
}

impl Locker {
    /// Takes a lock, and asks something else once it is written. The lock is written before the others are read, so of two that come at
    /// once one sees the other.
    pub fn acquire<T>(&self, kind: LockKind, meanwhile: impl FnOnce() -> T) -> RepositoryResult<(T, LockGuard)> {
        // Whoever wants to be alone asks again and again, and would keep others from beginning by writing first.
        if kind == LockKind::Exclusive {
            self.refuse_conflicts(kind, None)?;
        }
        let name = self.write(kind)?;
        // Where one goes after the other, the others come first: what is asked is then known under the lock.
        let (conflicts, answer) = both(&*self.store, || self.refuse_conflicts(kind, Some(&name)), meanwhile);
        if let Err(error) = conflicts {
            // One that stays expires, or is removed when it is seen that its process is gone.
            drop(self.store.delete(&name));
            return Err(error);
        }
        let state = Arc::new((Mutex::new(State { name, refreshed: self.ambient.now(), done: false, lost: false }), Condvar::new()));
        let (locker, shared) = (self.clone(), state.clone());
        let refresher = std::thread::spawn(move || refresh(&locker, kind, &shared));
        Ok((answer, LockGuard { state, locker: self.clone(), refresher: Some(refresher) }))
    }

    fn write(&self, kind: LockKind) -> RepositoryResult<ObjectName> {
        let info = LockInfo {
            time: self.ambient.now().to_string(),
            exclusive: kind == LockKind::Exclusive,
            hostname: self.ambient.hostname(),
            username: OUR_USER.into(),
            pid: self.ambient.pid(),
            uid: 0,
            gid: 0,
        };
        let mut sealed = Vec::new();
        let json = serde_json::to_vec(&info).expect("plain strings");
        let plain = if self.framed { frame::wrap(&json) } else { json };
        seal(&self.key, fresh_iv(&*self.ambient), &plain, &mut sealed);
        let name = ObjectName::new(format!("locks/{}", Id::of(&sealed)))?;
        self.store.put(&name, Bytes::from(sealed), PutMode::Create)?;
        Ok(name)
    }

    fn refuse_conflicts(&self, kind: LockKind, mine: Option<&ObjectName>) -> RepositoryResult<()> {
        for object in self.store.list("locks")? {
            if Some(&object.name) == mine || object.bytes == 0 {
                continue;
            }
            let Some(info) = self.read(&object.name)? else { continue };
            if !(info.exclusive || kind == LockKind::Exclusive) {
                continue;
            }
            if info.is_our_leftover(&*self.ambient) {
                self.store.delete(&object.name)?;
                continue;
            }
            return Err(RepositoryError::Locked { place: self.store.describe(), holder: info.describe() });
        }
        Ok(())
    }

    /// Reads a lock; one that vanished meanwhile is none.
    fn read(&self, name: &ObjectName) -> RepositoryResult<Option<LockInfo>> {
        let sealed = match self.store.get(name) {
            Ok(sealed) => sealed,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let object = format!("lock {}", name.file_name().get(..8).unwrap_or_default());
        let framed =
            open(&self.key, &sealed).ok_or_else(|| RepositoryError::damaged(&object, "it does not open with the repository's key"))?;
        let json = frame::unwrap(&object, framed)?;
        serde_json::from_slice(&json).map(Some).map_err(|e| RepositoryError::damaged(object, e))
    }
}

fn refresh(locker: &Locker, kind: LockKind, shared: &(Mutex<State>, Condvar)) {
    let (state, wake) = shared;
    let mut guard = state.lock().expect("no holder panics");
    while !guard.done {
        let (next, timeout) = wake.wait_timeout(guard, REFRESH).expect("no holder panics");
        guard = next;
        if guard.done || !timeout.timed_out() {
            continue;
        }
        // A lock that lapsed (the machine slept, say) or that somebody removed is lost for good: others may have deleted what
        // this process relies on, and a new one would hide that.
        let age = locker.ambient.now().as_second() - guard.refreshed.as_second();
        if age > HELD_SECONDS || matches!(locker.store.head(&guard.name), Ok(None)) {
            guard.lost = true;
            return;
        }
        // The old lock stays if the new one cannot be written: it is honoured for another half hour.
        if let Ok(name) = locker.write(kind) {
            let old = std::mem::replace(&mut guard.name, name);
            guard.refreshed = locker.ambient.now();
            drop(locker.store.delete(&old));
        }
    }
}

impl LockGuard {
    /// That others still see this lock: it was refreshed lately (by the wall clock, which goes on while a machine sleeps)
    /// and nobody removed it. Called before anything is published that relies on it.
    pub fn assert_held(&self) -> RepositoryResult<()> {
        let (name, refreshed, lost) = {
            let guard = self.state.0.lock().expect("no holder panics");
            (guard.name.clone(), guard.refreshed, guard.lost)
        };
        let age = self.locker.ambient.now().as_second() - refreshed.as_second();
        if !lost && age <= HELD_SECONDS && self.locker.store.head(&name)?.is_some() {
            return Ok(());
        }
        Err(RepositoryError::ChangedMeanwhile { place: self.locker.store.describe() })
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let (state, wake) = &*self.state;
        let name = {
            let mut guard = state.lock().expect("no holder panics");
            guard.done = true;
            guard.name.clone()
        };
        wake.notify_all();
        if let Some(refresher) = self.refresher.take() {
            drop(refresher.join());
        }
        // A lock that cannot be removed now expires, or is removed when it is seen that its process is gone.
        drop(self.locker.store.delete(&name));
    }
}
