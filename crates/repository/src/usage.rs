//! Which blobs a set of trees needs.

use std::collections::HashSet;

use crate::{BlobKind, Id, Monitor, NodeKind, Repository, RepositoryError, RepositoryResult};

/// Blobs by kind and id.
pub type Blobs = HashSet<(BlobKind, Id)>;

impl Repository {
    /// Adds every blob that these trees need. Trees that are in the set already are not read again.
    ///
    /// # Errors
    /// A tree cannot be read, or a blob is in no index: what needs it is damaged, and nothing may be deleted on its word.
    /// What can be found of the rest is in the set all the same.
    pub(crate) fn add_needed(
        &self,
        roots: impl IntoIterator<Item = Id>,
        needed: &mut Blobs,
        monitor: &dyn Monitor,
    ) -> RepositoryResult<()> {
        let mut waiting: Vec<Id> = roots.into_iter().collect();
        let mut damage = None;
        while let Some(id) = waiting.pop() {
            if !needed.insert((BlobKind::Tree, id)) {
                continue;
            }
            if monitor.cancelled() {
                return Err(RepositoryError::Cancelled);
            }
            // A tree that is remembered and that no index names any more is as lost as one that cannot be read.
            let tree = match self.tree_from_pack(&id) {
                Ok(tree) => tree,
                Err(error @ RepositoryError::Damaged { .. }) => {
                    damage.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let index = self.index.read().expect("no holder panics");
            for node in &tree.nodes {
                waiting.extend(node.subtree.filter(|_| node.kind == NodeKind::Dir));
                for blob in node.content.iter().flatten().filter(|_| node.kind == NodeKind::File) {
                    if needed.insert((BlobKind::Data, *blob)) && index.places(BlobKind::Data, blob).next().is_none() {
                        let problem = format!("`{}` needs it and no index knows it", node.display_name());
                        damage.get_or_insert_with(|| RepositoryError::damaged(format!("blob {}", blob.short()), problem));
                    }
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }
}
