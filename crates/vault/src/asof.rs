//! A state of an owner's data that has passed, made again from the rows of today and from what the journal keeps of every version that a later
//! change replaced.
//!
//! Each page is read in a transaction of its own, together with what changed since the page before: nobody waits for a slow reader, and all
//! pages belong to one state. What was erased since is in none of them.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{
    Entity, Memory, MemoryId, Op, Owner, OwnerId,
    layout::{self, DayPath},
};
use serde::{Deserialize, Serialize};

use crate::{
    Head, Vault, VaultError, VaultResult,
    db::{Arg, Row, Tx},
    owners::{HEAD, head, read_owner},
    write::{shard_column, shard_key},
};

/// A page ends after so many bytes of records, but for a single longer one.
const PAGE_BYTES: u64 = 4 << 20;
/// Or after so many memories.
const PAGE_ROWS: i64 = 4096;
/// So many changes are read at once.
const CHANGES: u64 = 1000;

/// A point in an owner's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The vault's line of history.
    pub lineage: String,
    /// The last change that belongs to it; 0: before the first.
    pub seq: u64,
    /// That change's mark.
    pub mark: String,
    /// When it was, in microseconds.
    pub at: i64,
    /// Memories that are not in the trash.
    pub memories: u64,
}

impl Head {
    /// The point at which it stands.
    pub fn moment(&self) -> Moment {
        Moment { lineage: self.lineage.clone(), seq: self.seq, mark: self.mark.clone(), at: self.last_at, memories: self.memories }
    }
}

/// Where a memory stands in the order of days: the undated after all others, the memories of a day by their place in the trie of shards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    undated: bool,
    day: String,
    shard: u64,
}

impl Spot {
    /// The first of those with a day, or without one.
    fn first(undated: bool) -> Self {
        // Sorts after the name of the undated, which is empty, and before all days.
        Self { undated, day: if undated { "" } else { "!" }.into(), shard: 0 }
    }

    /// After the last of them.
    fn end(undated: bool) -> Self {
        Self { undated, day: "~".into(), shard: 0 }
    }

    /// The next one.
    fn next(&self) -> Self {
        match self.shard.checked_add(1) {
            Some(shard) => Self { shard, ..self.clone() },
            // After all of this day, before any of the next.
            None => Self { day: format!("{} ", self.day), shard: 0, ..*self },
        }
    }
}

/// A memory as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRow {
    /// Its day.
    pub day: DayPath,
    /// Its place in the trie of shards.
    pub shard: u64,
    /// Its id as text.
    pub id: String,
    /// Its canonical line, without newline.
    pub record: String,
}

/// Reads a state that has passed.
pub struct AsOf {
    vault: Vault,
    owner: String,
    moment: Moment,
    /// Up to which change it is known what was different.
    seen: u64,
    /// Memories that changed since: by id, where their version of then stands below, if they were there.
    changed: BTreeMap<String, Option<Spot>>,
    /// The versions of then.
    past: BTreeMap<(Spot, String), String>,
    /// Other things that changed since, by kind and id: their record of then, if they were there.
    things: BTreeMap<(&'static str, String), Option<String>>,
    erased: BTreeSet<MemoryId>,
    /// What comes next; nothing does after the end.
    next: Option<Spot>,
}

impl Vault {
    /// Begins to read an owner's data as it was.
    pub fn as_of(&self, owner: OwnerId, moment: Moment) -> AsOf {
        AsOf {
            vault: self.clone(),
            owner: owner.to_string(),
            seen: moment.seq,
            moment,
            changed: BTreeMap::new(),
            past: BTreeMap::new(),
            things: BTreeMap::new(),
            erased: BTreeSet::new(),
            next: Some(Spot::first(false)),
        }
    }
}

/// Whether the vault still has the history that a moment belongs to; answers where it stands now.
pub(crate) async fn reach(tx: &mut Tx, owner: &str, moment: &Moment) -> VaultResult<Head> {
    let Some(row) = tx.fetch_one(HEAD, &[Arg::Text(owner)]).await? else { return Err(VaultError::not_found("owner", owner)) };
    let now = head(row)?;
    let passed = |why: &str| Err(VaultError::Passed { seq: moment.seq, why: why.to_owned() });
    if now.lineage != moment.lineage || now.seq < moment.seq {
        return passed("the vault was restored since, and goes on with another history");
    }
    if moment.seq > 0 {
        let args = [Arg::Text(owner), Arg::Int(moment.seq as i64)];
        let mark = tx.fetch_one("SELECT mark FROM journal WHERE owner = $1 AND seq = $2", &args).await?;
        match mark.map(|mut row| row.text(0)).transpose()? {
            Some(mark) if mark == moment.mark => {}
            Some(_) => return passed("the vault's history since then is another one"),
            None => return passed("the journal does not reach back so far any more"),
        }
    }
    Ok(now)
}

impl AsOf {
    /// The owner's record as it was.
    ///
    /// # Errors
    /// The state cannot be made again ([`VaultError::Passed`]), or the database fails.
    pub async fn owner(&mut self) -> VaultResult<Owner> {
        let mut tx = self.begin().await?;
        if let Some(Some(record)) = self.things.get(&(Entity::Owner.as_str(), self.owner.clone())) {
            return read_owner(record);
        }
        let row = tx.fetch_one("SELECT record FROM owners WHERE owner = $1", &[Arg::Text(&self.owner)]).await?;
        row.map_or_else(|| Err(VaultError::not_found("owner", &self.owner)), |mut row| read_owner(&row.text(0)?))
    }

    /// All things of a kind as they were, by id: their records.
    ///
    /// # Errors
    /// As [`AsOf::owner`].
    pub async fn things(&mut self, entity: Entity) -> VaultResult<BTreeMap<String, String>> {
        let mut tx = self.begin().await?;
        let args = [Arg::Text(&self.owner), Arg::Text(entity.as_str())];
        let rows = tx.fetch("SELECT id, record FROM entities WHERE owner = $1 AND entity = $2", &args).await?;
        let mut things: BTreeMap<String, String> =
            rows.into_iter().map(|mut row| Ok((row.text(0)?, row.text(1)?))).collect::<VaultResult<_>>()?;
        for ((_, id), record) in self.things.iter().filter(|((kind, _), _)| *kind == entity.as_str()) {
            match record {
                Some(record) => drop(things.insert(id.clone(), record.clone())),
                None => drop(things.remove(id)),
            }
        }
        Ok(things)
    }

    /// Goes on with a day.
    pub fn seek(&mut self, day: DayPath) {
        let day = day.day().map(|day| day.to_string());
        self.next = Some(Spot { undated: day.is_none(), day: day.unwrap_or_default(), shard: 0 });
    }

    /// The next memories in the order of days and, within a day, of shards; none: that was all.
    ///
    /// # Errors
    /// As [`AsOf::owner`].
    pub async fn memories(&mut self) -> VaultResult<Vec<PastRow>> {
        while let Some(from) = self.next.clone() {
            let page = self.page(&from).await?;
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Vec::new())
    }

    /// The memories that were erased since, as far as was read.
    pub fn erased(&self) -> &BTreeSet<MemoryId> {
        &self.erased
    }

    /// Up to which change was read.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Reads what changed up to now.
    ///
    /// # Errors
    /// As [`AsOf::owner`].
    pub async fn catch_up(&mut self) -> VaultResult<()> {
        self.begin().await.map(drop)
    }

    async fn page(&mut self, from: &Spot) -> VaultResult<Vec<PastRow>> {
        let mut tx = self.begin().await?;
        let last = self.last_of_page(&mut tx, from).await?;
        let mut rows = match &last {
            Some(last) => self.rows(&mut tx, from, last).await?,
            None => Vec::new(),
        };
        rows.retain(|row| !self.changed.contains_key(&row.id));
        let end = last.as_ref().map_or_else(|| Spot::end(from.undated), Spot::next);
        for ((spot, id), record) in self.past.range((from.clone(), String::new())..(end.clone(), String::new())) {
            rows.push(past_row(&spot.day, spot.shard, id.clone(), record.clone())?);
        }
        rows.sort_unstable_by(|a, b| (a.day.day(), a.shard, &a.id).cmp(&(b.day.day(), b.shard, &b.id)));
        self.next = match last {
            Some(_) => Some(end),
            None => (!from.undated).then(|| Spot::first(true)),
        };
        Ok(rows)
    }

    /// The last spot of the page that begins at a spot; `None`: there is nothing from there on.
    async fn last_of_page(&self, tx: &mut Tx, from: &Spot) -> VaultResult<Option<Spot>> {
        let args = [Arg::Text(&self.owner), Arg::Text(&from.day), Arg::Int(shard_column(from.shard)), Arg::Int(PAGE_ROWS)];
        // Nothing stands beside the pair: SQLite would look for that instead, and go through all days from the first.
        let sql = if from.undated {
            "SELECT day, shard, bytes FROM memories WHERE owner = $1 AND day = '' AND day = $2 AND shard >= $3 AND trashed_at IS NULL ORDER BY day, shard LIMIT $4"
        } else {
            "SELECT day, shard, bytes FROM memories WHERE owner = $1 AND (day, shard) >= ($2, $3) AND trashed_at IS NULL ORDER BY day, shard LIMIT $4"
        };
        let (mut last, mut bytes) = (None, 0);
        for mut row in tx.fetch(sql, &args).await? {
            bytes += row.int(2)? as u64;
            if bytes > PAGE_BYTES && last.is_some() {
                break;
            }
            last = Some(Spot { undated: from.undated, day: row.text(0)?, shard: shard_key(row.int(1)?) });
        }
        Ok(last)
    }

    async fn rows(&self, tx: &mut Tx, from: &Spot, last: &Spot) -> VaultResult<Vec<PastRow>> {
        let [low, high] = [from, last].map(|spot| Arg::Int(shard_column(spot.shard)));
        let args = [Arg::Text(&self.owner), Arg::Text(&from.day), low, Arg::Text(&last.day), high];
        let sql = if from.undated {
            "SELECT day, shard, id, record FROM memories WHERE owner = $1 AND day = $2 AND shard >= $3 AND day = $4 AND shard <= $5 AND trashed_at IS NULL"
        } else {
            "SELECT day, shard, id, record FROM memories WHERE owner = $1 AND (day, shard) >= ($2, $3) AND (day, shard) <= ($4, $5) AND trashed_at IS NULL"
        };
        let read = |mut row: Row| past_row(&row.text(0)?, shard_key(row.int(1)?), row.text(2)?, row.text(3)?);
        tx.fetch(sql, &args).await?.into_iter().map(read).collect()
    }

    /// Begins a page: reads what changed since the one before.
    async fn begin(&mut self) -> VaultResult<Tx> {
        let mut tx = self.vault.db.read().await?;
        let now = reach(&mut tx, &self.owner, &self.moment).await?;
        while self.seen < now.seq {
            let to = (self.seen + CHANGES).min(now.seq);
            let args = [Arg::Text(&self.owner), Arg::Int(self.seen as i64), Arg::Int(to as i64)];
            let sql = "SELECT entity, id, op, before FROM journal WHERE owner = $1 AND seq > $2 AND seq <= $3 ORDER BY seq";
            for row in tx.fetch(sql, &args).await? {
                self.undo(row)?;
            }
            self.seen = to;
        }
        Ok(tx)
    }

    /// Takes note of what was there before a change; of several, the first since the state tells.
    fn undo(&mut self, mut row: Row) -> VaultResult<()> {
        let (entity, id, op, before) = (row.text(0)?, row.text(1)?, row.text(2)?, row.opt_text(3)?);
        let damaged = |what: &str| VaultError::Damaged(format!("an entry of the journal: {what}"));
        let entity = Entity::from_word(&entity).ok_or_else(|| damaged("it is about nothing that is known"))?;
        let op = Op::from_word(&op).ok_or_else(|| damaged("it does nothing that is known"))?;
        if entity == Entity::Memory {
            return self.undo_memory(id, op, before);
        }
        let key = (entity.as_str(), id);
        // An erased entry tells nothing of what was there before, and takes nothing from what is known already.
        self.things.entry(key).or_insert(before);
        Ok(())
    }

    fn undo_memory(&mut self, id: String, op: Op, before: Option<String>) -> VaultResult<()> {
        if op == Op::Erased {
            if let Some(Some(spot)) = self.changed.insert(id.clone(), None) {
                self.past.remove(&(spot, id.clone()));
            }
            self.erased.insert(id.parse()?);
            return Ok(());
        }
        if self.changed.contains_key(&id) {
            return Ok(());
        }
        // Whatever left the trash, for good or not, was in it before.
        let was_live = matches!(op, Op::Edited | Op::Trashed);
        let spot = match before.filter(|_| was_live) {
            Some(record) => {
                let memory = Memory::from_line(record.as_bytes()).map_err(|e| VaultError::Damaged(e.to_string()))?;
                let day = memory.when.day.map(|day| day.to_string()).unwrap_or_default();
                let spot = Spot { undated: day.is_empty(), day, shard: layout::shard_key(&memory.id) };
                self.past.insert((spot.clone(), id.clone()), record);
                Some(spot)
            }
            None => None,
        };
        self.changed.insert(id, spot);
        Ok(())
    }
}

fn past_row(day: &str, shard: u64, id: String, record: String) -> VaultResult<PastRow> {
    let day = DayPath::new(if day.is_empty() { None } else { Some(day.parse()?) });
    Ok(PastRow { day, shard, id, record })
}
