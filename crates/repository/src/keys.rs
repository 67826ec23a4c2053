//! The key files of a repository: several passwords open the same master key.

use keepsake_storage::PutMode;

use crate::{
    Id, KdfCost, LockKind, Password, Repository, RepositoryError, RepositoryResult, Silent,
    key_file::{self, KeyInfo},
    repository::{KEYS_MAX, object},
};

/// A key file's id, and what it says of itself; `None` where it cannot be read.
pub type NamedKey = (Id, Option<KeyInfo>);

impl Repository {
    /// All key files.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn keys(&self) -> RepositoryResult<Vec<NamedKey>> {
        let mut keys = Vec::new();
        for (id, _) in self.list_ids("keys")? {
            match self.store.get(&object("keys", &id)) {
                Ok(bytes) => keys.push((id, key_file::info(&bytes).filter(|_| Id::of(&bytes) == id))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(keys)
    }

    /// Makes another password open this repository. The key file is read back and opened before this returns.
    ///
    /// # Errors
    /// The repository is locked or has as many keys as readers try, or the store fails.
    pub fn add_password(&self, password: &Password, cost: KdfCost, name: &str) -> RepositoryResult<Id> {
        let _lock = self.lock(LockKind::Shared)?;
        // Readers try so many and no more; the last place is for a new key of this program's own.
        let room = if name == key_file::OWN_NAME { KEYS_MAX } else { KEYS_MAX - 1 };
        if self.list_ids("keys")?.len() >= room {
            return Err(RepositoryError::TooManyKeys { place: self.place(), most: KEYS_MAX - 1 });
        }
        let file = key_file::write(&self.key, password, cost, name, &*self.ambient);
        let id = Id::of(&file);
        self.store.put(&object("keys", &id), file.into(), PutMode::Create)?;
        let back = self.store.get(&object("keys", &id))?;
        let opened = key_file::read(&back, password)?.is_some_and(|key| key.parts() == self.key.parts());
        if opened { Ok(id) } else { Err(RepositoryError::damaged(format!("key {}", id.short()), "it does not open as it was written")) }
    }

    /// That a password opens this repository, as anybody would who has nothing else.
    ///
    /// # Errors
    /// It does not, or the store fails.
    pub fn opens_with(&self, password: &Password) -> RepositoryResult<()> {
        Self::open(self.store.clone(), password, self.ambient.clone()).map(drop)
    }

    /// Makes a password useless here. The last key file that can be read stays.
    ///
    /// # Errors
    /// There is no such key, it is the last one, others work on the repository, or the store fails.
    pub fn remove_key(&self, id: &Id) -> RepositoryResult<()> {
        // Alone: two who each remove another one could leave none.
        let _lock = self.lock_exclusively(&Silent)?;
        let keys = self.keys()?;
        if !keys.iter().any(|(known, _)| known == id) {
            return Err(RepositoryError::NoKey { name: id.to_string() });
        }
        if !keys.iter().any(|(known, info)| known != id && info.is_some()) {
            return Err(RepositoryError::LastKey { place: self.place() });
        }
        Ok(self.store.delete(&object("keys", id))?)
    }
}
