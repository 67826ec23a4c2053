//! Lines of history: a vault that was put back to an older copy, or cloned, goes on under a new name, so that its backups
//! and those of the other one are never taken for each other's.

use std::collections::HashSet;

use keepsake_record::OwnerId;
use keepsake_repository::{Id, RepositoryError, Snapshot};
use keepsake_vault::{CatalogueRow, Head};

use crate::{Custody, CustodyResult, copies::blocking, trust::Trusted};

/// Where a snapshot of this vault's line of history says that it stands.
struct Position {
    seq: u64,
    mark: String,
}

fn position(snapshot: &Snapshot) -> Option<Position> {
    Some(Position { seq: snapshot.tag("seq")?.parse().ok()?, mark: snapshot.tag("mark")?.to_owned() })
}

impl Custody {
    /// Compares the vault with what the repository and the catalogue hold of its line of history. If they went on from here
    /// in another way, the vault gets a new line; answers why.
    pub(crate) async fn leave_foreign_lineage(
        &self,
        owner: OwnerId,
        trusted: Trusted,
        known: &[CatalogueRow],
    ) -> CustodyResult<(Trusted, Option<String>)> {
        let head = self.vault.head(owner).await?;
        let (trusted, mut positions) = self.strangers(trusted, known, &head).await?;
        // The newest recorded one is enough: it stands on all before it.
        let newest = known.iter().filter(|row| row.lineage == head.lineage).max_by_key(|row| row.seq);
        positions.extend(newest.map(|row| Position { seq: row.seq, mark: row.mark.clone() }));
        let mut snapshot = self.vault.snapshot(owner).await?;
        let mut foreign = false;
        for Position { seq, mark } in positions {
            let here = snapshot.mark_at(seq).await?;
            foreign |= seq > snapshot.head.seq || here.is_some_and(|here| here != mark);
        }
        drop(snapshot);
        if !foreign {
            return Ok((trusted, None));
        }
        self.vault.new_lineage(owner, &self.done(owner, "history.fork", &head.lineage)).await?;
        Ok((trusted, Some("the vault is an older or another copy than the one that was backed up last".into())))
    }

    /// The positions of snapshots that the catalogue does not know and that say they belong to this line of history. Which
    /// others there are is remembered, so that each is read once.
    async fn strangers(&self, trusted: Trusted, known: &[CatalogueRow], head: &Head) -> CustodyResult<(Trusted, Vec<Position>)> {
        // Adopted ones say nothing of the vault's own history in the catalogue: what they say themselves counts.
        let own = known.iter().filter(|row| !row.lineage.is_empty());
        let known: HashSet<Id> = own.filter_map(|row| row.snapshot.parse().ok()).collect();
        // They are strangers to this line alone: a vault that is put back may be of an earlier one again.
        let file = self.cache_file(&trusted.copy, &format!("strangers-{}", head.lineage));
        let lineage = head.lineage.clone();
        blocking(move || {
            let seen: HashSet<Id> = crate::trust::read_ids(&file)?.into_iter().collect();
            let (mut others, mut positions) = (Vec::new(), Vec::new());
            for id in trusted.copy.repository.snapshot_ids()? {
                if known.contains(&id) || seen.contains(&id) {
                    continue;
                }
                match trusted.copy.repository.snapshot(&id) {
                    Ok(snapshot) if snapshot.tag("lineage") == Some(lineage.as_str()) => positions.extend(position(&snapshot)),
                    // Verifying names what is damaged; here it says nothing about history.
                    Ok(_) | Err(RepositoryError::Damaged { .. }) => others.push(id),
                    Err(RepositoryError::NoSnapshot { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if !others.is_empty() {
                others.extend(seen);
                crate::trust::write_ids(&file, &others)?;
            }
            Ok((trusted, positions))
        })
        .await
    }
}
