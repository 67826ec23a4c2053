//! Which packs hold what trees need.

use std::collections::{BTreeSet, HashSet};

use crate::{BlobKind, Id, Monitor, NodeKind, Repository, RepositoryError, RepositoryResult};

impl Repository {
    /// The packs that reading trees takes, whole or what is at and below some paths (none: everything). The index must be loaded. Of a blob that stands in several packs, the first
    /// counts.
    ///
    /// # Errors
    /// A tree cannot be read, or somebody asks to stop.
    pub fn packs_of(&self, trees: &[Id], paths: &[String], monitor: &dyn Monitor) -> RepositoryResult<BTreeSet<Id>> {
        let mut packs = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut waiting: Vec<(Id, String)> = trees.iter().map(|tree| (*tree, String::new())).collect();
        while let Some((id, prefix)) = waiting.pop() {
            // Below different paths a tree may be wanted in different parts.
            if paths.is_empty() && !seen.insert(id) {
                continue;
            }
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            packs.extend(self.locate(BlobKind::Tree, &id).map(|place| place.pack));
            for node in &self.tree_from_pack(&id)?.nodes {
                let path = if prefix.is_empty() { node.display_name() } else { format!("{prefix}/{}", node.display_name()) };
                if !is_wanted(paths, &path) {
                    continue;
                }
                match (node.kind, node.subtree) {
                    (NodeKind::Dir, Some(subtree)) => waiting.push((subtree, path)),
                    (NodeKind::File, _) => {
                        let pieces = node.content.iter().flatten();
                        packs.extend(pieces.filter_map(|piece| self.locate(BlobKind::Data, piece)).map(|place| place.pack));
                    }
                    _ => {}
                }
            }
        }
        Ok(packs)
    }

    /// The packs that hold nothing but pieces of files: no tree is read from them. The index must be loaded.
    pub fn packs_of_files(&self) -> BTreeSet<Id> {
        let index = self.index.read().expect("no holder panics");
        let of_trees: HashSet<usize> = index.all().filter(|entry| entry.kind() == BlobKind::Tree).map(|entry| entry.pack()).collect();
        let packs = index.packs().enumerate();
        packs.filter(|(number, _)| !of_trees.contains(number)).map(|(_, (id, _))| id).collect()
    }
}

/// Whether a path is at or below one of some paths, or leads to one; none: everything is.
pub(crate) fn is_wanted(paths: &[String], path: &str) -> bool {
    let below = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    paths.is_empty() || paths.iter().any(|wanted| below(path, wanted) || below(wanted, path))
}
