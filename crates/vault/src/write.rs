//! Writing to one owner's data: buffered, journalled, and committed only with an audit entry.

mod redact;

use std::collections::BTreeSet;

use keepsake_record::{Entity, Insight, Memory, MemoryId, Op, Owner, OwnerId, Sha256Digest, canonical_line, layout};
use serde::Serialize;

use crate::{
    AuditEntry, Vault, VaultError, VaultResult,
    db::{Arg, Tx},
    owners::{HEAD, Head, head},
};

/// One transaction on one owner's data. Dropping it without [`Write::commit`] undoes everything.
pub struct Write<'v> {
    vault: &'v Vault,
    tx: Tx,
    owner: String,
    actor: String,
    head: Head,
    at: i64,
    journal: Vec<JournalRow>,
    created: Vec<MemoryColumns>,
    attached: Vec<(String, String, String)>,
    memories: i64,
}

struct JournalRow {
    seq: i64,
    mark: String,
    entity: Entity,
    id: String,
    op: Op,
    paths: String,
    before: Option<String>,
    media_before: BTreeSet<String>,
}

struct MemoryColumns {
    id: String,
    day: String,
    shard: i64,
    sort_at: i64,
    source_key: Option<String>,
    bytes: i64,
    record: String,
}

/// Shard keys are unsigned, SQL's numbers are signed: shifted, their order is the same.
pub(crate) fn shard_column(key: u64) -> i64 {
    (key ^ (1 << 63)) as i64
}

pub(crate) fn shard_key(column: i64) -> u64 {
    column as u64 ^ (1 << 63)
}

impl MemoryColumns {
    fn of(memory: &Memory) -> Self {
        let record = String::from_utf8(memory.to_line()).expect("JSON is UTF-8");
        Self {
            id: memory.id.to_string(),
            day: memory.when.day.map(|d| d.to_string()).unwrap_or_default(),
            shard: shard_column(layout::shard_key(&memory.id)),
            sort_at: memory.when.sort_micros(),
            source_key: memory.source.as_ref().map(|s| s.key().to_string()),
            bytes: record.len() as i64 + 1,
            record,
        }
    }
}

/// The bundle paths that a memory stands at: its day, and its media.
fn paths_of(memory: &Memory) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = memory.media_paths().into_iter().map(|(path, _)| path).collect();
    paths.insert(memory.day_path().to_string());
    paths
}

fn digests_of(memory: &Memory) -> BTreeSet<String> {
    memory.attachments.iter().filter_map(|a| a.medium.as_ref()).map(|m| m.sha256.to_string()).collect()
}

fn parse(record: &str) -> VaultResult<Memory> {
    Memory::from_line(record.as_bytes()).map_err(|e| VaultError::Damaged(e.to_string()))
}

/// The file of the bundle that holds a thing.
pub(crate) fn entity_path(entity: Entity, name: &str) -> String {
    match entity {
        Entity::Owner => "owner.json".into(),
        Entity::Collection => "collections.ndjson".into(),
        Entity::Person => "people.ndjson".into(),
        Entity::Place => "places.ndjson".into(),
        Entity::Tag => "tags.ndjson".into(),
        Entity::Consent => "consents.ndjson".into(),
        Entity::Insight => format!("insights/{name}.ndjson"),
        Entity::Memory => "memories".into(),
    }
}

impl Vault {
    /// Begins to write to an owner's data.
    ///
    /// # Errors
    /// There is no such owner.
    pub async fn write(&self, owner: OwnerId, actor: &str) -> VaultResult<Write<'_>> {
        let mut tx = self.db.write().await?;
        let owner = owner.to_string();
        // The counter row is taken first: writers of one owner go one after the other, others do not wait.
        tx.execute("UPDATE owners SET seq = seq WHERE owner = $1", &[Arg::Text(&owner)]).await?;
        let Some(row) = tx.fetch_one(HEAD, &[Arg::Text(&owner)]).await? else { return Err(VaultError::not_found("owner", owner)) };
        let head = head(row)?;
        let at = self.ambient.now().micros().max(head.last_at);
        Ok(Write {
            vault: self,
            tx,
            owner,
            actor: actor.into(),
            head,
            at,
            journal: Vec::new(),
            created: Vec::new(),
            attached: Vec::new(),
            memories: 0,
        })
    }
}

impl Write<'_> {
    /// Writes memories that are not in the vault yet. Their ids must be new.
    ///
    /// # Errors
    /// One breaks a rule of its type.
    pub async fn create_memories(&mut self, memories: &[Memory]) -> VaultResult<()> {
        for memory in memories {
            memory.validate()?;
            self.change(Entity::Memory, memory.id.to_string(), Op::Created, paths_of(memory), None);
            self.attach(memory);
            self.created.push(MemoryColumns::of(memory));
            self.memories += 1;
        }
        if self.created.len() >= 1000 { self.flush().await } else { Ok(()) }
    }

    /// Writes a memory: creates it, or replaces the version that is there. Answers whether anything changed.
    ///
    /// # Errors
    /// It breaks a rule of its type.
    pub async fn put_memory(&mut self, memory: &Memory) -> VaultResult<bool> {
        memory.validate()?;
        let Some((old_record, trashed)) = self.record_of(&memory.id).await? else {
            self.create_memories(std::slice::from_ref(memory)).await?;
            return Ok(true);
        };
        let columns = MemoryColumns::of(memory);
        if columns.record == old_record && !trashed {
            return Ok(false);
        }
        let old = parse(&old_record)?;
        let mut paths = paths_of(memory);
        paths.extend(paths_of(&old));
        let op = if trashed { Op::Untrashed } else { Op::Edited };
        self.change(Entity::Memory, memory.id.to_string(), op, paths, Some((old_record, digests_of(&old))));
        self.detach(&memory.id).await?;
        self.attach(memory);
        self.memories += i64::from(trashed);
        let args = [
            Arg::Text(&self.owner),
            Arg::Text(&columns.id),
            Arg::Text(&columns.day),
            Arg::Int(columns.sort_at),
            Arg::OptText(columns.source_key.as_deref()),
            Arg::Int(columns.bytes),
            Arg::Text(&columns.record),
        ];
        let sql = "UPDATE memories SET day = $3, sort_at = $4, source_key = $5, bytes = $6, record = $7, trashed_at = NULL WHERE owner = $1 AND id = $2";
        self.tx.execute(sql, &args).await?;
        Ok(true)
    }

    /// Puts a memory into the trash.
    ///
    /// # Errors
    /// It is not there, or in the trash already.
    pub async fn trash_memory(&mut self, id: &MemoryId) -> VaultResult<()> {
        let Some((record, false)) = self.record_of(id).await? else { return Err(VaultError::not_found("memory", id)) };
        let old = parse(&record)?;
        self.change(Entity::Memory, id.to_string(), Op::Trashed, paths_of(&old), Some((record, digests_of(&old))));
        self.detach(id).await?;
        self.memories -= 1;
        let args = [Arg::Text(&self.owner), Arg::Text(&id.to_string()), Arg::Int(self.at)];
        self.tx.execute("UPDATE memories SET trashed_at = $3 WHERE owner = $1 AND id = $2", &args).await?;
        Ok(())
    }

    /// Takes a memory out of the trash, as it was.
    ///
    /// # Errors
    /// It is not in the trash.
    pub async fn untrash_memory(&mut self, id: &MemoryId) -> VaultResult<()> {
        let Some((record, true)) = self.record_of(id).await? else { return Err(VaultError::not_found("memory in the trash", id)) };
        let memory = parse(&record)?;
        self.change(Entity::Memory, id.to_string(), Op::Untrashed, paths_of(&memory), None);
        self.attach(&memory);
        self.memories += 1;
        self.tx
            .execute(
                "UPDATE memories SET trashed_at = NULL WHERE owner = $1 AND id = $2",
                &[Arg::Text(&self.owner), Arg::Text(&id.to_string())],
            )
            .await?;
        Ok(())
    }

    /// Removes a memory from the trash for good; a later import will ask before it brings it back.
    ///
    /// # Errors
    /// It is not in the trash.
    pub async fn delete_memory(&mut self, id: &MemoryId) -> VaultResult<()> {
        let Some((record, true)) = self.record_of(id).await? else { return Err(VaultError::not_found("memory in the trash", id)) };
        let old = parse(&record)?;
        self.change(Entity::Memory, id.to_string(), Op::Deleted, BTreeSet::new(), Some((record, digests_of(&old))));
        let id = id.to_string();
        self.tx.execute("DELETE FROM memories WHERE owner = $1 AND id = $2", &[Arg::Text(&self.owner), Arg::Text(&id)]).await?;
        let source = old.source.as_ref().map(|source| source.key().to_string());
        for name in source.into_iter().chain([format!("id:{id}")]) {
            let sql = "INSERT INTO gone (owner, name, why, at) VALUES ($1, $2, 'deleted', $3) ON CONFLICT (owner, name) DO NOTHING";
            self.tx.execute(sql, &[Arg::Text(&self.owner), Arg::Text(&name), Arg::Int(self.at)]).await?;
        }
        Ok(())
    }

    /// Writes a collection, person, place, tag, consent or insight. Answers whether anything changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_entity<T: Serialize>(&mut self, entity: Entity, id: &str, name: &str, value: &T) -> VaultResult<bool> {
        let record = String::from_utf8(canonical_line(value)).expect("JSON is UTF-8");
        let key = [Arg::Text(&self.owner), Arg::Text(entity.as_str()), Arg::Text(id)];
        let old = self.tx.fetch_one("SELECT record, name FROM entities WHERE owner = $1 AND entity = $2 AND id = $3", &key).await?;
        let mut paths = BTreeSet::from([entity_path(entity, name)]);
        let (op, before) = match old {
            None => (Op::Created, None),
            Some(mut row) => {
                let old = row.text(0)?;
                if old == record {
                    return Ok(false);
                }
                paths.insert(entity_path(entity, &row.text(1)?));
                (Op::Edited, Some((old, BTreeSet::new())))
            }
        };
        self.change(entity, id.to_owned(), op, paths, before);
        let args = [Arg::Text(&self.owner), Arg::Text(entity.as_str()), Arg::Text(id), Arg::Text(name), Arg::Text(&record)];
        let sql = "INSERT INTO entities (owner, entity, id, name, record) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (owner, entity, id) DO UPDATE SET name = excluded.name, record = excluded.record";
        self.tx.execute(sql, &args).await?;
        Ok(true)
    }

    /// Whether a collection, person, place, tag, consent or insight is there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn has_entity(&mut self, entity: Entity, id: &str) -> VaultResult<bool> {
        let key = [Arg::Text(&self.owner), Arg::Text(entity.as_str()), Arg::Text(id)];
        Ok(self.tx.fetch_one("SELECT id FROM entities WHERE owner = $1 AND entity = $2 AND id = $3", &key).await?.is_some())
    }

    /// Writes an insight.
    ///
    /// # Errors
    /// Its name breaks a rule.
    pub async fn put_insight(&mut self, insight: &Insight) -> VaultResult<bool> {
        insight.validate()?;
        self.put_entity(Entity::Insight, &insight.id.to_string(), &insight.name, insight).await
    }

    /// Removes a collection, person, place, tag, consent or insight.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete_entity(&mut self, entity: Entity, id: &str) -> VaultResult<()> {
        let key = [Arg::Text(&self.owner), Arg::Text(entity.as_str()), Arg::Text(id)];
        let row =
            self.tx.fetch_one("DELETE FROM entities WHERE owner = $1 AND entity = $2 AND id = $3 RETURNING record, name", &key).await?;
        let Some(mut row) = row else { return Err(VaultError::not_found(entity.as_str(), id)) };
        let (record, name) = (row.text(0)?, row.text(1)?);
        self.change(entity, id.to_owned(), Op::Deleted, BTreeSet::from([entity_path(entity, &name)]), Some((record, BTreeSet::new())));
        Ok(())
    }

    /// Changes what is known of the owner.
    ///
    /// # Errors
    /// The name is taken or breaks a rule.
    pub async fn put_owner(&mut self, owner: &Owner) -> VaultResult<bool> {
        owner.validate()?;
        let record = String::from_utf8(canonical_line(owner)).expect("JSON is UTF-8");
        let Some(mut row) = self.tx.fetch_one("SELECT record FROM owners WHERE owner = $1", &[Arg::Text(&self.owner)]).await? else {
            return Err(VaultError::not_found("owner", &self.owner));
        };
        let old = row.text(0)?;
        if old == record {
            return Ok(false);
        }
        self.change(
            Entity::Owner,
            owner.id.to_string(),
            Op::Edited,
            BTreeSet::from([entity_path(Entity::Owner, "")]),
            Some((old, BTreeSet::new())),
        );
        let args = [Arg::Text(&self.owner), Arg::Text(&owner.name), Arg::Text(&record)];
        self.tx.execute("UPDATE owners SET name = $2, record = $3 WHERE owner = $1", &args).await?;
        Ok(true)
    }

    /// Marks media as here: their bytes are in the store and checked.
    ///
    /// # Errors
    /// The database fails.
    pub async fn media_live(&mut self, media: &[(Sha256Digest, u64)]) -> VaultResult<()> {
        let names: Vec<String> = media.iter().map(|(digest, _)| digest.to_string()).collect();
        let rows = media.iter().zip(&names).flat_map(|((_, bytes), name)| {
            [Arg::Text(&self.owner), Arg::Text(name), Arg::Int(*bytes as i64), Arg::Text("live"), Arg::Int(self.at)]
        });
        let args: Vec<Arg<'_>> = rows.collect();
        let then = " ON CONFLICT (owner, sha256) DO UPDATE SET state = 'live', since = excluded.since WHERE media.state <> 'live'";
        self.tx.insert_many("media (owner, sha256, bytes, state, since)", 5, &args, then).await
    }

    /// Commits everything together with the audit entry.
    ///
    /// # Errors
    /// The database fails; then nothing is changed.
    pub async fn commit(mut self, entry: &AuditEntry) -> VaultResult<Head> {
        self.flush().await?;
        let args = [
            Arg::Text(&self.owner),
            Arg::Int(self.head.seq as i64),
            Arg::Text(&self.head.mark),
            Arg::Int(self.at),
            Arg::Int(self.memories),
        ];
        self.tx.execute("UPDATE owners SET seq = $2, mark = $3, last_at = $4, memories = memories + $5 WHERE owner = $1", &args).await?;
        self.vault.write_audit(&mut self.tx, entry).await?;
        self.tx.commit().await?;
        self.head.memories = (self.head.memories as i64 + self.memories) as u64;
        Ok(self.head)
    }

    /// A memory as this transaction sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn memory(&mut self, id: &MemoryId) -> VaultResult<Option<Memory>> {
        self.record_of(id).await?.map(|(record, _)| parse(&record)).transpose()
    }

    async fn record_of(&mut self, id: &MemoryId) -> VaultResult<Option<(String, bool)>> {
        self.flush().await?;
        let args = [Arg::Text(&self.owner), Arg::Text(&id.to_string())];
        let row = self.tx.fetch_one("SELECT record, trashed_at FROM memories WHERE owner = $1 AND id = $2", &args).await?;
        row.map(|mut row| Ok((row.text(0)?, row.opt_int(1)?.is_some()))).transpose()
    }

    fn change(&mut self, entity: Entity, id: String, op: Op, paths: BTreeSet<String>, before: Option<(String, BTreeSet<String>)>) {
        self.head.seq += 1;
        self.head.mark = self.vault.random_hex(8);
        let paths = paths.into_iter().collect::<Vec<_>>().join("\n");
        let (before, media_before) = before.map_or((None, BTreeSet::new()), |(record, media)| (Some(record), media));
        self.journal.push(JournalRow {
            seq: self.head.seq as i64,
            mark: self.head.mark.clone(),
            entity,
            id,
            op,
            paths,
            before,
            media_before,
        });
    }

    fn attach(&mut self, memory: &Memory) {
        let id = memory.id.to_string();
        let paths: BTreeSet<(String, Sha256Digest)> = memory.media_paths().into_iter().collect();
        self.attached.extend(paths.into_iter().map(|(path, digest)| (path, id.clone(), digest.to_string())));
    }

    async fn detach(&mut self, id: &MemoryId) -> VaultResult<()> {
        self.tx
            .execute("DELETE FROM attachments WHERE owner = $1 AND memory = $2", &[Arg::Text(&self.owner), Arg::Text(&id.to_string())])
            .await?;
        Ok(())
    }

    /// Sends the buffered rows to the database.
    async fn flush(&mut self) -> VaultResult<()> {
        let owner = Arg::Text(&self.owner);
        if !self.created.is_empty() {
            let args: Vec<Arg<'_>> = self
                .created
                .iter()
                .flat_map(|m| {
                    [
                        owner,
                        Arg::Text(&m.id),
                        Arg::Text(&m.day),
                        Arg::Int(m.shard),
                        Arg::Int(m.sort_at),
                        Arg::OptText(m.source_key.as_deref()),
                        Arg::OptInt(None),
                        Arg::Int(m.bytes),
                        Arg::Text(&m.record),
                    ]
                })
                .collect();
            self.tx.insert_many("memories (owner, id, day, shard, sort_at, source_key, trashed_at, bytes, record)", 9, &args, "").await?;
        }
        if !self.attached.is_empty() {
            let args: Vec<Arg<'_>> = self
                .attached
                .iter()
                .flat_map(|(path, memory, digest)| [owner, Arg::Text(path), Arg::Text(memory), Arg::Text(digest)])
                .collect();
            self.tx.insert_many("attachments (owner, path, memory, sha256)", 4, &args, " ON CONFLICT DO NOTHING").await?;
        }
        if !self.journal.is_empty() {
            let (at, actor) = (Arg::Int(self.at), Arg::Text(&self.actor));
            let args: Vec<Arg<'_>> = self
                .journal
                .iter()
                .flat_map(|j| {
                    [
                        owner,
                        Arg::Int(j.seq),
                        Arg::Text(&j.mark),
                        at,
                        actor,
                        Arg::Text(j.entity.as_str()),
                        Arg::Text(&j.id),
                        Arg::Text(j.op.as_str()),
                        Arg::Text(&j.paths),
                        Arg::OptText(j.before.as_deref()),
                    ]
                })
                .collect();
            self.tx.insert_many("journal (owner, seq, mark, at, actor, entity, id, op, paths, before)", 10, &args, "").await?;
            let media = self.journal.iter().flat_map(|j| j.media_before.iter().map(|digest| (digest, j.seq)));
            let args: Vec<Arg<'_>> = media.flat_map(|(digest, seq)| [owner, Arg::Text(digest), Arg::Int(seq)]).collect();
            self.tx.insert_many("journal_media (owner, sha256, seq)", 3, &args, " ON CONFLICT DO NOTHING").await?;
        }
        self.created.clear();
        self.attached.clear();
        self.journal.clear();
        Ok(())
    }
}
