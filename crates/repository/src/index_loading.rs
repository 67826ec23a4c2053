//! What of the index is in memory: read from the store or the local cache, asked for packs, told what not to trust.

use crate::{
    Id, Repository, RepositoryError, RepositoryResult,
    index::{BlobKind, Index},
    index_cache, index_file,
    repository::FILES_AT_ONCE,
};

impl Repository {
    /// Reads all index files that are neither in memory nor in the local cache. Damaged ones are answered, not fatal: what
    /// they list is missing.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn load_index(&self) -> RepositoryResult<Vec<RepositoryError>> {
        let listed: Vec<Id> = self.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        let mut index = self.index.write().expect("no holder panics");
        if index.files.is_empty()
            && let Some(cached) = self.index_cache.as_ref().and_then(|path| index_cache::read(path, &self.key))
            // One that a prune took away would leave blobs that are there no more.
            && cached.files.iter().all(|id| listed.binary_search(id).is_ok())
        {
            index.replace_files(cached);
        }
        drop(index);
        let damaged = self.read_index_files(&listed)?;
        self.save_index_cache();
        Ok(damaged)
    }

    /// As [`Repository::load_index`], from the store alone: for those who check it, and those who waited for long.
    ///
    /// # Errors
    /// The store cannot list or read.
    pub fn reload_index(&self) -> RepositoryResult<Vec<RepositoryError>> {
        let listed: Vec<Id> = self.list_ids("index")?.into_iter().map(|(id, _)| id).collect();
        self.index.write().expect("no holder panics").replace_files(Index::default());
        self.read_index_files(&listed)
    }

    /// Knows nothing any more: whoever goes on loads the index first.
    pub(crate) fn forget_index(&self) {
        self.index.write().expect("no holder panics").replace_files(Index::default());
    }

    fn read_index_files(&self, listed: &[Id]) -> RepositoryResult<Vec<RepositoryError>> {
        let mut damaged = Vec::new();
        let mut missing = listed.to_vec();
        missing.retain(|id| !self.index.read().expect("no holder panics").files.contains(id));
        // They are long: no more at once than what saves time.
        let at_once = if self.store.is_far() { FILES_AT_ONCE } else { 1 };
        for some in missing.chunks(at_once) {
            for (id, json) in some.iter().zip(self.read_files("index", some)) {
                match json.and_then(|json| index_file::decode(*id, &json)) {
                    Ok(packs) => self.index.write().expect("no holder panics").add_file(*id, &packs),
                    Err(error @ RepositoryError::Damaged { .. }) => damaged.push(error),
                    Err(RepositoryError::Store(error)) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(damaged)
    }

    /// Writes the local cache once enough has come since.
    pub(crate) fn save_index_cache(&self) {
        let Some(path) = &self.index_cache else { return };
        let mut index = self.index.write().expect("no holder panics");
        if index.cache_is_due() {
            index_cache::write(path, &self.key, &*self.ambient, &mut index);
            index.mark_cached();
        }
    }

    /// The packs that the loaded index names.
    pub fn pack_ids(&self) -> Vec<Id> {
        let mut ids: Vec<_> = self.index.read().expect("no holder panics").packs().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// Treats what stands only in this pack as missing: the next backup adds it again.
    pub fn distrust(&self, pack: Id) {
        self.index.write().expect("no holder panics").distrust(pack);
    }

    /// Packs that the index names and the store does not have, or has in another length. Lists all packs, unless none is named.
    ///
    /// # Errors
    /// The store cannot list.
    pub fn missing_packs(&self) -> RepositoryResult<Vec<Id>> {
        if self.pack_ids().is_empty() {
            return Ok(Vec::new());
        }
        let there: std::collections::HashMap<Id, u64> = self.list_ids("data")?.into_iter().collect();
        Ok(self
            .index
            .read()
            .expect("no holder panics")
            .packs()
            .filter(|(id, bytes)| there.get(id) != Some(bytes))
            .map(|(id, _)| id)
            .collect())
    }

    /// Whether the loaded index names a tree.
    pub fn has_tree(&self, tree: &Id) -> bool {
        self.index.read().expect("no holder panics").contains(BlobKind::Tree, tree)
    }

    /// How many blobs the loaded index knows.
    pub fn blob_count(&self) -> usize {
        self.index.read().expect("no holder panics").blob_count()
    }
}
