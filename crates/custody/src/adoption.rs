//! Snapshots that are not of the vault, in the catalogue: of folders, and those of others that somebody here vouches for.

use keepsake_record::OwnerId;
use keepsake_repository::{Id, Snapshot};
use keepsake_vault::CatalogueRow;

use crate::{Custody, CustodyResult, Source, snapshots::row};

impl Custody {
    /// Takes a snapshot that this home did not make for one of its own, so that verifying no longer names it as foreign.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn adopt_snapshot(&self, owner: OwnerId, name: &str) -> CustodyResult<String> {
        let result = async {
            let (_, id, snapshot) = self.found(owner, &Source::Home, name).await?;
            self.catalogue_other(owner, &id, &snapshot, "snapshot.adopt").await?;
            Ok(id.to_string())
        };
        let result = result.await;
        self.audited_failure(Some(owner), "snapshot.adopt", name, result).await
    }

    /// The catalogue's row of a snapshot that stands nowhere in the vault's history.
    pub(crate) fn row_of_no_history(&self, id: &Id, tree: &Id, kind: String) -> CatalogueRow {
        CatalogueRow {
            snapshot: id.to_string(),
            tree: tree.to_string(),
            data_tree: String::new(),
            kind,
            parent: None,
            lineage: String::new(),
            seq: 0,
            mark: String::new(),
            layout: crate::LAYOUT_VERSION,
            at: self.now().micros(),
            skipped: Vec::new(),
        }
    }

    /// Records a snapshot that no incremental may build on.
    pub(crate) async fn catalogue_other(&self, owner: OwnerId, id: &Id, snapshot: &Snapshot, verb: &'static str) -> CustodyResult<()> {
        let kind = row(id, snapshot).kind;
        let kind = if kind.is_empty() { "foreign".into() } else { kind };
        let parent = snapshot.parent.map(|id| id.to_string());
        let made = CatalogueRow { parent, ..self.row_of_no_history(id, &snapshot.tree, kind) };
        Ok(self.vault.adopt_snapshot(owner, &made, &self.done(owner, verb, &made.snapshot)).await?)
    }
}
