//! One state of an owner's data, read piece by piece while writers go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use keepsake_record::{
    Change, Entity, Owner, OwnerId, Sha256Digest,
    layout::{DayPath, ShardPrefix},
};

use crate::{
    Head, Vault, VaultError, VaultResult,
    db::{Arg, Row, Tx},
    memories::{CHANGE, change},
    owners::{HEAD, counts, head, read_owner},
    write::{shard_column, shard_key},
};

/// A reading transaction: all it answers belongs to one state.
pub struct Snapshot {
    tx: Counted,
    owner: String,
    /// Where the history stands in this state.
    pub head: Head,
}

/// A transaction whose rows are counted.
struct Counted {
    inner: Tx,
    rows: Arc<AtomicU64>,
}

impl Counted {
    async fn fetch(&mut self, sql: &'static str, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        let rows = self.inner.fetch(sql, args).await?;
        self.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok(rows)
    }

    async fn fetch_one(&mut self, sql: &'static str, args: &[Arg<'_>]) -> VaultResult<Option<Row>> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }
}

/// A memory as it stands in a day file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFileRow {
    /// Its place in the trie of shards.
    pub shard: u64,
    /// Its id as text; sorts the lines of a file.
    pub id: String,
    /// Its canonical line, without newline.
    pub record: String,
}

/// What a range of changes touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Days, each with the shard keys of the memories that were touched on it.
    pub days: BTreeMap<DayPath, BTreeSet<u64>>,
    /// Bundle paths of media.
    pub media: BTreeSet<String>,
    /// Files of small things, and `owner.json`.
    pub files: BTreeSet<String>,
    /// Media that superseded versions name.
    pub history_media: BTreeSet<Sha256Digest>,
}

impl Vault {
    /// Begins to read one state.
    ///
    /// # Errors
    /// There is no such owner.
    pub async fn snapshot(&self, owner: OwnerId) -> VaultResult<Snapshot> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        let Some(row) = tx.fetch_one(HEAD, &[Arg::Text(&owner)]).await? else { return Err(VaultError::not_found("owner", owner)) };
        Ok(Snapshot { head: head(row)?, tx: Counted { inner: tx, rows: Arc::default() }, owner })
    }
}

impl Snapshot {
    /// Adds the rows that it reads from now on to a count.
    #[must_use]
    pub fn counting_in(mut self, rows: Arc<AtomicU64>) -> Self {
        self.tx.rows = rows;
        self
    }

    /// The owner.
    ///
    /// # Errors
    /// The database fails.
    pub async fn owner(&mut self) -> VaultResult<Owner> {
        let row = self.tx.fetch_one("SELECT record FROM owners WHERE owner = $1", &[Arg::Text(&self.owner)]).await?;
        row.map_or_else(|| Err(VaultError::not_found("owner", &self.owner)), |mut row| read_owner(&row.text(0)?))
    }

    /// How many of each thing there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn counts(&mut self) -> VaultResult<BTreeMap<String, u64>> {
        // One row for each kind of thing: not worth counting.
        counts(&mut self.tx.inner, &self.owner, self.head.memories).await
    }

    /// The mark of a change, if the journal still has it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn mark_at(&mut self, seq: u64) -> VaultResult<Option<String>> {
        let row = self
            .tx
            .fetch_one("SELECT mark FROM journal WHERE owner = $1 AND seq = $2", &[Arg::Text(&self.owner), Arg::Int(seq as i64)])
            .await?;
        row.map(|mut row| row.text(0)).transpose()
    }

    /// The oldest change that is kept.
    ///
    /// # Errors
    /// The database fails.
    pub async fn oldest(&mut self) -> VaultResult<Option<(u64, i64)>> {
        let row = self.tx.fetch_one("SELECT seq, at FROM journal WHERE owner = $1 ORDER BY seq LIMIT 1", &[Arg::Text(&self.owner)]).await?;
        row.map(|row| Ok((row.int(0)? as u64, row.int(1)?))).transpose()
    }

    /// What the changes after `seq` touch.
    ///
    /// # Errors
    /// The database fails.
    pub async fn touched_since(&mut self, seq: u64) -> VaultResult<Touched> {
        let mut touched = Touched::default();
        let mut from = seq;
        while from < self.head.seq {
            let to = (from + 5000).min(self.head.seq);
            let args = [Arg::Text(&self.owner), Arg::Int(from as i64), Arg::Int(to as i64)];
            let rows = self.tx.fetch("SELECT entity, id, paths FROM journal WHERE owner = $1 AND seq > $2 AND seq <= $3", &args).await?;
            for mut row in rows {
                let (entity, id, paths) = (row.text(0)?, row.text(1)?, row.text(2)?);
                for path in paths.lines() {
                    if let Ok(day) = path.parse::<DayPath>() {
                        let key = keepsake_record::layout::shard_key(&id.parse()?);
                        touched.days.entry(day).or_default().insert(key);
                    } else if entity == Entity::Memory.as_str() {
                        touched.media.insert(path.to_owned());
                    } else {
                        touched.files.insert(path.to_owned());
                    }
                }
            }
            let media = self.tx.fetch("SELECT sha256 FROM journal_media WHERE owner = $1 AND seq > $2 AND seq <= $3", &args).await?;
            for mut row in media {
                touched.history_media.insert(row.text(0)?.parse()?);
            }
            from = to;
        }
        Ok(touched)
    }

    /// All changes of a range of numbers, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn changes(&mut self, after: u64, to: u64) -> VaultResult<Vec<Change>> {
        let args = [Arg::Text(&self.owner), Arg::Int(after as i64), Arg::Int(to as i64)];
        self.tx.fetch(CHANGE, &args).await?.into_iter().map(change).collect()
    }

    /// How many memories, up to `limit`, and how many bytes they have, below a node of a day's trie.
    ///
    /// # Errors
    /// The database fails.
    pub async fn measure(&mut self, day: DayPath, node: ShardPrefix, limit: usize) -> VaultResult<(usize, u64)> {
        let (low, high) = node.range();
        let name = day.day().map(|d| d.to_string()).unwrap_or_default();
        let args =
            [Arg::Text(&self.owner), Arg::Text(&name), Arg::Int(shard_column(low)), Arg::Int(shard_column(high)), Arg::Int(limit as i64)];
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM (SELECT bytes FROM memories WHERE owner = $1 AND day = $2 AND shard >= $3 AND shard <= $4 AND trashed_at IS NULL LIMIT $5) AS some";
        let row = self.tx.fetch_one(sql, &args).await?;
        row.map_or(Ok((0, 0)), |row| Ok((row.int(0)? as usize, row.int(1)? as u64)))
    }

    /// The memories below a node of a day's trie, sorted by id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn day_rows(&mut self, day: DayPath, node: ShardPrefix) -> VaultResult<Vec<DayFileRow>> {
        let (low, high) = node.range();
        let name = day.day().map(|d| d.to_string()).unwrap_or_default();
        let args = [Arg::Text(&self.owner), Arg::Text(&name), Arg::Int(shard_column(low)), Arg::Int(shard_column(high))];
        let sql =
            "SELECT shard, id, record FROM memories WHERE owner = $1 AND day = $2 AND shard >= $3 AND shard <= $4 AND trashed_at IS NULL";
        let read = |mut row: Row| Ok(DayFileRow { shard: shard_key(row.int(0)?), id: row.text(1)?, record: row.text(2)? });
        let mut rows: Vec<DayFileRow> = self.tx.fetch(sql, &args).await?.into_iter().map(read).collect::<VaultResult<_>>()?;
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(rows)
    }

    /// The days after a day that have memories, in order, at most `limit`. Begin with the empty text; that is also the
    /// name of the undated.
    ///
    /// # Errors
    /// The database fails.
    pub async fn days_after(&mut self, after: &str, limit: u32) -> VaultResult<Vec<DayPath>> {
        let args = [Arg::Text(&self.owner), Arg::Text(after), Arg::Int(limit.into())];
        let sql = "SELECT DISTINCT day FROM memories WHERE owner = $1 AND day > $2 AND trashed_at IS NULL ORDER BY day LIMIT $3";
        let rows = self.tx.fetch(sql, &args).await?;
        rows.into_iter().map(|mut row| Ok(DayPath::new(Some(row.text(0)?.parse()?)))).collect()
    }

    /// The lines of one file of small things, in order, without newlines.
    ///
    /// # Errors
    /// The database fails.
    pub async fn entity_lines(&mut self, entity: Entity, name: Option<&str>) -> VaultResult<Vec<(String, String)>> {
        let args = [Arg::Text(&self.owner), Arg::Text(entity.as_str()), Arg::OptText(name)];
        let sql =
            "SELECT id, record FROM entities WHERE owner = $1 AND entity = $2 AND (CAST($3 AS TEXT) IS NULL OR name = $3) ORDER BY id";
        self.tx.fetch(sql, &args).await?.into_iter().map(|mut row| Ok((row.text(0)?, row.text(1)?))).collect()
    }

    /// The names of the series of insights.
    ///
    /// # Errors
    /// The database fails.
    pub async fn insight_names(&mut self) -> VaultResult<Vec<String>> {
        let sql = "SELECT DISTINCT name FROM entities WHERE owner = $1 AND entity = 'insight' ORDER BY name";
        self.tx.fetch(sql, &[Arg::Text(&self.owner)]).await?.into_iter().map(|mut row| row.text(0)).collect()
    }

    /// Media paths after a path, with digests, in order, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn media_after(&mut self, after: &str, limit: u32) -> VaultResult<Vec<(String, Sha256Digest)>> {
        let args = [Arg::Text(&self.owner), Arg::Text(after), Arg::Int(limit.into())];
        let sql = "SELECT path, MIN(sha256) FROM attachments WHERE owner = $1 AND path > $2 GROUP BY path ORDER BY path LIMIT $3";
        self.tx.fetch(sql, &args).await?.into_iter().map(|mut row| Ok((row.text(0)?, row.text(1)?.parse()?))).collect()
    }

    /// The digest at a media path, if a memory still stands there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn medium_at(&mut self, path: &str) -> VaultResult<Option<Sha256Digest>> {
        let row = self
            .tx
            .fetch_one("SELECT sha256 FROM attachments WHERE owner = $1 AND path = $2 LIMIT 1", &[Arg::Text(&self.owner), Arg::Text(path)])
            .await?;
        row.map(|mut row| Ok(row.text(0)?.parse()?)).transpose()
    }

    /// Whether a medium is named by the journal alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn only_in_history(&mut self, digest: &Sha256Digest) -> VaultResult<bool> {
        let digest = digest.to_string();
        let args = [Arg::Text(&self.owner), Arg::Text(&digest)];
        let live = self.tx.fetch_one("SELECT sha256 FROM attachments WHERE owner = $1 AND sha256 = $2 LIMIT 1", &args).await?;
        let kept = self.tx.fetch_one("SELECT sha256 FROM journal_media WHERE owner = $1 AND sha256 = $2 LIMIT 1", &args).await?;
        Ok(live.is_none() && kept.is_some())
    }

    /// The digests of media paths (for those that a change touched and that may have moved to the history).
    ///
    /// # Errors
    /// The database fails.
    pub async fn history_media_after(&mut self, after: &str, limit: u32) -> VaultResult<Vec<Sha256Digest>> {
        let args = [Arg::Text(&self.owner), Arg::Text(after), Arg::Int(limit.into())];
        let sql = "SELECT DISTINCT j.sha256 FROM journal_media j WHERE j.owner = $1 AND j.sha256 > $2 AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.owner = j.owner AND a.sha256 = j.sha256) ORDER BY j.sha256 LIMIT $3";
        self.tx.fetch(sql, &args).await?.into_iter().map(|mut row| Ok(row.text(0)?.parse()?)).collect()
    }
}
