//! Reading memories: one by id, many by time, and what an import needs to know of a source.

use std::collections::HashMap;

use keepsake_record::{Change, Entity, LocalDay, Memory, MemoryId, Op, OwnerId, Sha256Digest};

use crate::{
    Vault, VaultError, VaultResult,
    db::{Arg, Row},
    owners::time,
};

/// A memory as the vault has it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryRow {
    /// The memory.
    pub memory: Memory,
    /// Whether it is in the trash.
    pub trashed: bool,
    /// What the time axis sorts it by.
    pub sort_at: i64,
}

/// Which memories to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those in the trash, instead of those that are not.
    pub trashed: bool,
    /// Only from this day on.
    pub from: Option<LocalDay>,
    /// Only to this day, included.
    pub to: Option<LocalDay>,
}

/// A page of a list: the last row's position, from which the next page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The last row's place on the time axis.
    pub sort_at: i64,
    /// The last row's id.
    pub id: MemoryId,
}

/// What the vault knows of an item of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// It is here, under this id, imported from an item with this digest.
    Here(MemoryId, Option<Sha256Digest>),
    /// Its owner put it into the trash.
    Trashed(MemoryId),
    /// It was deleted or erased for good.
    Gone(String),
}

/// What the vault knows of a memory's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdState {
    /// It is here, with this line.
    Here(String),
    /// It is in the trash, with this line.
    Trashed(String),
    /// It was deleted or erased for good.
    Gone,
}

fn memory_row(mut row: Row) -> VaultResult<MemoryRow> {
    let memory = Memory::from_line(row.text(0)?.as_bytes()).map_err(|e| VaultError::Damaged(e.to_string()))?;
    Ok(MemoryRow { memory, trashed: row.opt_int(1)?.is_some(), sort_at: row.int(2)? })
}

impl Vault {
    /// One memory, if it is here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn memory(&self, owner: OwnerId, id: &MemoryId) -> VaultResult<Option<MemoryRow>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(&id.to_string())];
        tx.fetch_one("SELECT record, trashed_at, sort_at FROM memories WHERE owner = $1 AND id = $2", &args)
            .await?
            .map(memory_row)
            .transpose()
    }

    /// The memories whose id begins with a text, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn memories_by_prefix(&self, owner: OwnerId, prefix: &str, limit: u32) -> VaultResult<Vec<MemoryId>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Text(prefix), Arg::Text(&format!("{prefix}~")), Arg::Int(limit.into())];
        let rows = tx.fetch("SELECT id FROM memories WHERE owner = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4", &args).await?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?.parse()?)).collect()
    }

    /// A page of memories, oldest first; `after` is where the last page ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, owner: OwnerId, filter: &ListFilter, after: Option<Page>, limit: u32) -> VaultResult<Vec<MemoryRow>> {
        let mut tx = self.db.read().await?;
        // The trash is small and has an index of its own, which the sign keeps the engine from passing over.
        let (trash, order) = if filter.trashed { ("IS NOT NULL", "+sort_at") } else { ("IS NULL", "sort_at") };
        let sql = format!(
            "SELECT record, trashed_at, sort_at FROM memories WHERE owner = $1 AND trashed_at {trash} AND (sort_at > $2 OR (sort_at = $2 AND id > $3)) AND day >= $4 AND day <= $5 AND {order} >= $7 AND {order} <= $8 ORDER BY {order}, id LIMIT $6"
        );
        // Days are local and the order is by instants: no clock on Earth is further than this from UTC.
        let bound = |day: LocalDay, days: i64| day.sort_micros() + days * 86_400_000_000;
        let (first, last) = (filter.from.map_or(i64::MIN, |d| bound(d, -1)), filter.to.map_or(i64::MAX, |d| bound(d, 2)));
        let (sort_at, id) = after.map_or((i64::MIN, String::new()), |page| (page.sort_at, page.id.to_string()));
        let from = filter.from.map(|d| d.to_string()).unwrap_or_default();
        let to = filter.to.map_or_else(|| "9999-12-31".to_owned(), |d| d.to_string());
        let owner = owner.to_string();
        let args = [
            Arg::Text(&owner),
            Arg::Int(sort_at),
            Arg::Text(&id),
            Arg::Text(&from),
            Arg::Text(&to),
            Arg::Int(limit.into()),
            Arg::Int(first),
            Arg::Int(last),
        ];
        tx.fetch_built(sql, &args).await?.into_iter().map(memory_row).collect()
    }

    /// Memories that were put into the trash before an instant (microseconds), at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn trashed_before(&self, owner: OwnerId, before: i64, limit: u32) -> VaultResult<Vec<MemoryId>> {
        let mut tx = self.db.read().await?;
        let args = [Arg::Text(&owner.to_string()), Arg::Int(before), Arg::Int(limit.into())];
        let rows = tx
            .fetch(
                "SELECT id FROM memories WHERE owner = $1 AND trashed_at IS NOT NULL AND trashed_at < $2 ORDER BY trashed_at, id LIMIT $3",
                &args,
            )
            .await?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?.parse()?)).collect()
    }

    /// What the vault knows of items of a source, by source key; unknown ones are absent.
    ///
    /// # Errors
    /// The database fails.
    pub async fn source_states(&self, owner: OwnerId, keys: &[Sha256Digest]) -> VaultResult<HashMap<Sha256Digest, SourceState>> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        let mut states = HashMap::new();
        for chunk in keys.chunks(500) {
            let names: Vec<String> = chunk.iter().map(Sha256Digest::to_string).collect();
            let mut args = vec![Arg::Text(&owner)];
            args.extend(names.iter().map(|name| Arg::Text(name)));
            let places = (2..=args.len()).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ");
            let gone = tx.fetch_built(format!("SELECT name, why FROM gone WHERE owner = $1 AND name IN ({places})"), &args).await?;
            for mut row in gone {
                states.insert(row.text(0)?.parse()?, SourceState::Gone(row.text(1)?));
            }
            let here = format!("SELECT source_key, id, trashed_at, record FROM memories WHERE owner = $1 AND source_key IN ({places})");
            for mut row in tx.fetch_built(here, &args).await? {
                let (key, id) = (row.text(0)?.parse()?, row.text(1)?.parse()?);
                let state = if row.opt_int(2)?.is_some() {
                    SourceState::Trashed(id)
                } else {
                    let memory = Memory::from_line(row.text(3)?.as_bytes()).map_err(|e| VaultError::Damaged(e.to_string()))?;
                    SourceState::Here(id, memory.source.and_then(|s| s.digest))
                };
                states.insert(key, state);
            }
        }
        Ok(states)
    }

    /// Which of these memories are here: their lines and whether they are in the trash; and which left for good.
    ///
    /// # Errors
    /// The database fails.
    pub async fn id_states(&self, owner: OwnerId, ids: &[MemoryId]) -> VaultResult<HashMap<MemoryId, IdState>> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        let mut states = HashMap::new();
        for chunk in ids.chunks(500) {
            let places = (2..=chunk.len() + 1).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ");
            let names: Vec<String> = chunk.iter().map(|id| format!("id:{id}")).collect();
            let mut gone_args = vec![Arg::Text(&owner)];
            gone_args.extend(names.iter().map(|n| Arg::Text(n)));
            for mut row in tx.fetch_built(format!("SELECT name FROM gone WHERE owner = $1 AND name IN ({places})"), &gone_args).await? {
                states.insert(row.text(0)?.trim_start_matches("id:").parse()?, IdState::Gone);
            }
            let mut live_args = vec![Arg::Text(&owner)];
            live_args.extend(names.iter().map(|n| Arg::Text(n.trim_start_matches("id:"))));
            let sql = format!("SELECT id, record, trashed_at FROM memories WHERE owner = $1 AND id IN ({places})");
            for mut row in tx.fetch_built(sql, &live_args).await? {
                let (id, record) = (row.text(0)?.parse()?, row.text(1)?);
                let state = if row.opt_int(2)?.is_some() { IdState::Trashed(record) } else { IdState::Here(record) };
                states.insert(id, state);
            }
        }
        Ok(states)
    }

    /// The version of a thing that one change replaced, as canonical JSON.
    ///
    /// # Errors
    /// The database fails.
    pub async fn version_before(&self, owner: OwnerId, entity: Entity, id: &str, seq: u64) -> VaultResult<Option<String>> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        let args = [Arg::Text(&owner), Arg::Int(i64::try_from(seq).unwrap_or(i64::MAX)), Arg::Text(entity.as_str()), Arg::Text(id)];
        let row = tx.fetch_one("SELECT before FROM journal WHERE owner = $1 AND seq = $2 AND entity = $3 AND id = $4", &args).await?;
        row.map_or(Ok(None), |mut row| row.opt_text(0))
    }

    /// The journal's last entries about one thing after its creation, newest first, at most 1,000.
    ///
    /// # Errors
    /// The database fails.
    pub async fn history(&self, owner: OwnerId, entity: Entity, id: &str) -> VaultResult<Vec<Change>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT seq, mark, at, actor, entity, id, op, paths, before FROM journal WHERE owner = $1 AND entity = $2 AND id = $3 AND op <> 'created' ORDER BY seq DESC LIMIT 1000";
        let owner = owner.to_string();
        let rows = tx.fetch(sql, &[Arg::Text(&owner), Arg::Text(entity.as_str()), Arg::Text(id)]).await?;
        rows.into_iter().map(change).collect()
    }
}

pub(crate) const CHANGE: &str =
    "SELECT seq, mark, at, actor, entity, id, op, paths, before FROM journal WHERE owner = $1 AND seq > $2 AND seq <= $3 ORDER BY seq";

pub(crate) fn change(mut row: Row) -> VaultResult<Change> {
    let damaged = |what: &str| VaultError::Damaged(format!("a journal entry has an unknown {what}"));
    let paths = row.text(7)?;
    let before = row.opt_text(8)?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Change {
        seq: row.int(0)? as u64,
        mark: row.text(1)?,
        at: time(row.int(2)?)?,
        actor: row.text(3)?,
        entity: Entity::from_word(&row.text(4)?).ok_or_else(|| damaged("entity"))?,
        id: row.text(5)?,
        op: Op::from_word(&row.text(6)?).ok_or_else(|| damaged("operation"))?,
        paths: paths.lines().map(str::to_owned).collect(),
        before: before.map_err(|_| damaged("version"))?,
    })
}
