//! The small verbs on memories: add, edit, show, list, search, history, delete, undelete.

use std::path::PathBuf;

use keepsake_formats::import::media_type;
use keepsake_record::{Attachment, Change, Entity, Medium, Memory, MemoryId, OwnerId, TagName, When, Zone};
use keepsake_vault::{ListFilter, MemoryRow, Page, SearchState, again};

use crate::{Custody, CustodyError, CustodyResult, copies::blocking};

/// What to make a memory of.
#[derive(Debug, Clone, Default)]
pub struct MemoryDraft {
    /// Its words.
    pub text: String,
    /// Its title.
    pub title: Option<String>,
    /// When it happened: a day, an instant, a local time, or EDTF; today if absent.
    pub date: Option<String>,
    /// The zone of the date.
    pub zone: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Files to attach.
    pub attach: Vec<PathBuf>,
    /// The collection to put it into.
    pub collection: Option<String>,
}

/// What to change of a memory; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct MemoryEdit {
    /// Its words.
    pub text: Option<String>,
    /// Its title; empty removes it.
    pub title: Option<String>,
    /// When it happened.
    pub date: Option<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
    /// Files to attach.
    pub attach: Vec<PathBuf>,
}

/// What was found, newest first.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The memories.
    pub rows: Vec<MemoryRow>,
    /// How far the index had come.
    pub state: SearchState,
}

/// The most that a search brings.
const SEARCH_MAX: u32 = 1000;

fn tags(words: &[String]) -> CustodyResult<Vec<TagName>> {
    Ok(words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?)
}

impl Custody {
    fn when(&self, date: Option<&str>, zone: Option<&str>) -> CustodyResult<When> {
        let zone = zone.map(str::parse::<Zone>).transpose()?;
        if let Some(unknown) = zone.as_ref().filter(|z| z.to_jiff().is_none()) {
            return Err(CustodyError::Usage(format!(
                "there is no zone `{}`; zones are named like Europe/Lisbon or +02:00",
                unknown.as_str()
            )));
        }
        match date {
            // Whoever names a zone means it, whatever the date is written in.
            Some(date) => Ok(match (When::parse(date, zone.as_ref())?, zone) {
                (When { instant: Some(instant), .. }, Some(zone)) => When::instant(instant, zone),
                (when, _) => when,
            }),
            None => Ok(When::instant(self.now(), zone.unwrap_or_else(Zone::utc))),
        }
    }

    /// Stores files and makes attachments of them, with keys that are free in the memory.
    async fn attach(
        &self,
        owner: OwnerId,
        files: &[PathBuf],
        memory: &mut Memory,
    ) -> CustodyResult<Vec<(keepsake_record::Sha256Digest, u64)>> {
        let mut live = Vec::new();
        for path in files {
            let name = path.file_name().map(|n| n.to_string_lossy().replace(['\\', '\0'], "-")).unwrap_or_default();
            let (sha256, bytes) = self.store_file(owner, path.clone()).await?;
            let number = (1..).find(|n| !memory.attachments.iter().any(|a| a.key == format!("file-{n}"))).unwrap_or(1);
            let mut attachment = Attachment::new(format!("file-{number}"), name.clone(), media_type(&name));
            attachment.medium = Some(Medium { bytes, sha256 });
            memory.attachments.push(attachment);
            live.push((sha256, bytes));
        }
        Ok(live)
    }

    /// Hashes a file, announces it, stores it.
    pub(crate) async fn store_file(&self, owner: OwnerId, path: PathBuf) -> CustodyResult<(keepsake_record::Sha256Digest, u64)> {
        let file = path.clone();
        let (digest, bytes) = blocking(move || hash_file(&file)).await?;
        self.vault.media_pending(owner, &[(digest, bytes)]).await?;
        let vault = self.vault.clone();
        blocking(move || {
            let mut reader = std::fs::File::open(&path).map_err(CustodyError::io(&path))?;
            vault.store_reader(owner, &digest, &mut reader)?;
            Ok(())
        })
        .await?;
        Ok((digest, bytes))
    }

    /// Writes a new memory.
    ///
    /// # Errors
    /// A value breaks a rule, or a file cannot be read.
    pub async fn add_memory(&self, owner: OwnerId, draft: &MemoryDraft) -> CustodyResult<Memory> {
        let work = async || {
            let mut memory = Memory::new(self.new_id(MemoryId::from_parts), self.now());
            memory.text.clone_from(&draft.text);
            memory.title.clone_from(&draft.title);
            memory.when = self.when(draft.date.as_deref(), draft.zone.as_deref())?;
            memory.tags = tags(&draft.tags)?.into_iter().collect();
            if let Some(name) = &draft.collection {
                let collection = self.collection(owner, name).await?;
                memory.collections.push(keepsake_record::Membership { collection: collection.id, position: String::new() });
            }
            memory.settle();
            memory.validate()?;
            let live = self.attach(owner, &draft.attach, &mut memory).await?;
            let mut write = self.vault.write(owner, &self.actor).await?;
            write.media_live(&live).await?;
            write.create_memories(std::slice::from_ref(&memory)).await?;
            write.commit(&self.done(owner, "memory.add", memory.id)).await?;
            self.vault.index_step(owner).await?;
            Ok(memory)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "memory.add", "", result).await
    }

    /// Changes a memory; the old version stays in its history.
    ///
    /// # Errors
    /// It is not there, or a value breaks a rule.
    pub async fn edit_memory(&self, owner: OwnerId, id: &str, edit: &MemoryEdit) -> CustodyResult<Memory> {
        let work = async || {
            let row = self.memory(owner, id).await?;
            if row.trashed {
                return Err(CustodyError::Usage(format!("memory `{id}` is in the trash: `keepsake memory undelete {id}` takes it out")));
            }
            let before = row.memory;
            let mut memory = before.clone();
            if let Some(text) = &edit.text {
                memory.text.clone_from(text);
            }
            if let Some(title) = &edit.title {
                memory.title = Some(title.clone()).filter(|t| !t.is_empty());
            }
            if edit.date.is_some() {
                memory.when = self.when(edit.date.as_deref(), None)?;
            }
            memory.tags.extend(tags(&edit.add_tags)?);
            for tag in tags(&edit.remove_tags)? {
                memory.tags.remove(&tag);
            }
            let live = self.attach(owner, &edit.attach, &mut memory).await?;
            memory.settle();
            if memory == before {
                return Err(CustodyError::Usage("there is nothing to change: it is so already".into()));
            }
            if memory.text.trim().is_empty() && memory.title.is_none() && memory.attachments.is_empty() {
                return Err(CustodyError::Usage("that would leave nothing of it; `keepsake memory delete` removes a memory".into()));
            }
            memory.modified = self.now();
            if let Some(source) = &mut memory.source {
                source.edited = true;
            }
            let mut write = self.vault.write(owner, &self.actor).await?;
            write.media_live(&live).await?;
            write.put_memory(&memory).await?;
            write.commit(&self.done(owner, "memory.edit", memory.id)).await?;
            self.vault.index_step(owner).await?;
            Ok(memory)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "memory.edit", id, result).await
    }

    /// A memory by its id or the beginning of one.
    pub(crate) async fn memory(&self, owner: OwnerId, id: &str) -> CustodyResult<MemoryRow> {
        let ids = self.vault.memories_by_prefix(owner, &id.to_lowercase(), 2).await?;
        let found = match ids.as_slice() {
            [only] if id.len() >= 4 => self.vault.memory(owner, only).await?,
            [_, _, ..] => return Err(CustodyError::Usage(format!("several memories begin with `{id}`: give more of the id"))),
            _ => None,
        };
        found.ok_or_else(|| CustodyError::Usage(format!("there is no memory `{id}`: `keepsake memory list` shows them")))
    }

    /// Shows one memory.
    ///
    /// # Errors
    /// It is not there.
    pub async fn show_memory(&self, owner: OwnerId, id: &str) -> CustodyResult<MemoryRow> {
        let result = self.memory(owner, id).await;
        self.audited(Some(owner), "memory.show", id, result).await
    }

    /// A page of memories, oldest first. One audit entry a call.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn list_memories(
        &self,
        owner: OwnerId,
        filter: &ListFilter,
        after: Option<Page>,
        limit: u32,
    ) -> CustodyResult<Vec<MemoryRow>> {
        let result = self.vault.list(owner, filter, after, limit).await.map_err(CustodyError::from);
        self.audited(Some(owner), "memory.list", "", result).await
    }

    /// The memories that have all words of a query, newest first. The query itself is not audited.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn search_memories(&self, owner: OwnerId, query: &str, limit: u32) -> CustodyResult<SearchPage> {
        let result = async {
            let answer = self.vault.search(owner, query, SEARCH_MAX).await?;
            let mut rows = Vec::new();
            for id in &answer.ids {
                rows.extend(self.vault.memory(owner, id).await?.filter(|row| !row.trashed));
            }
            rows.sort_by_key(|row| std::cmp::Reverse((row.sort_at, row.memory.id)));
            rows.truncate(limit as usize);
            Ok(SearchPage { rows, state: answer.state })
        };
        let result = result.await;
        self.audited(Some(owner), "memory.search", "", result).await
    }

    /// What happened to a memory after its creation, newest first, and the memory as it is.
    ///
    /// # Errors
    /// It never was here.
    pub async fn memory_history(&self, owner: OwnerId, id: &str) -> CustodyResult<(MemoryRow, Vec<Change>)> {
        let result = async {
            let row = self.memory(owner, id).await?;
            let changes = self.vault.history(owner, Entity::Memory, &row.memory.id.to_string()).await?;
            Ok((row, changes))
        };
        let result = result.await;
        self.audited(Some(owner), "memory.history", id, result).await
    }

    /// Makes a memory again what it was before one of its changes; what it is now stays in its history.
    ///
    /// # Errors
    /// It is not there, or its history has no such change.
    pub async fn revert_memory(&self, owner: OwnerId, id: &str, change: u64) -> CustodyResult<bool> {
        let work = async || {
            let id = self.memory(owner, id).await?.memory.id;
            let before = self.vault.version_before(owner, Entity::Memory, &id.to_string(), change).await?.ok_or_else(|| {
                CustodyError::Usage(format!(
                    "change {change} replaced no version of this memory: `keepsake memory history {id}` shows them"
                ))
            })?;
            let memory: Memory =
                serde_json::from_str(&before).map_err(|e| CustodyError::Damaged(format!("the version before change {change}: {e}")))?;
            let mut write = self.vault.write(owner, &self.actor).await?;
            let changed = write.put_memory(&memory).await?;
            write.commit(&self.done(owner, "memory.revert", memory.id)).await?;
            self.vault.index_step(owner).await?;
            Ok(changed)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "memory.revert", id, result).await
    }

    /// Puts a memory into the trash.
    ///
    /// # Errors
    /// It is not there, or in the trash already.
    pub async fn delete_memory(&self, owner: OwnerId, id: &str) -> CustodyResult<MemoryId> {
        let work = async || {
            let row = self.memory(owner, id).await?;
            let mut write = self.vault.write(owner, &self.actor).await?;
            write.trash_memory(&row.memory.id).await?;
            write.commit(&self.done(owner, "memory.delete", row.memory.id)).await?;
            self.vault.index_step(owner).await?;
            Ok(row.memory.id)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "memory.delete", id, result).await
    }

    /// How long deleted memories wait in the trash, in days.
    pub fn trash_days(&self) -> u32 {
        self.config.get("trash.days").parse().unwrap_or(30)
    }

    /// Lets memories whose time in the trash is over leave for good. Answers how many left.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn empty_trash(&self, owner: OwnerId) -> CustodyResult<u64> {
        let before = self.now().micros() - i64::from(self.trash_days()) * 86_400_000_000;
        let mut left = 0;
        loop {
            let due = self.vault.trashed_before(owner, before, 500).await?;
            if due.is_empty() {
                return Ok(left);
            }
            let mut write = self.vault.write(owner, &self.actor).await?;
            for id in &due {
                write.delete_memory(id).await?;
            }
            write
                .commit(&self.entry(
                    Some(owner),
                    "trash.empty",
                    "",
                    keepsake_vault::Outcome::Complete,
                    serde_json::json!({ "memories": due.len() }),
                ))
                .await?;
            left += due.len() as u64;
        }
    }

    /// Takes a memory out of the trash.
    ///
    /// # Errors
    /// It is not in the trash.
    pub async fn undelete_memory(&self, owner: OwnerId, id: &str) -> CustodyResult<MemoryId> {
        let work = async || {
            let row = self.memory(owner, id).await?;
            let mut write = self.vault.write(owner, &self.actor).await?;
            write.untrash_memory(&row.memory.id).await?;
            write.commit(&self.done(owner, "memory.undelete", row.memory.id)).await?;
            self.vault.index_step(owner).await?;
            Ok(row.memory.id)
        };
        let result = again(work, CustodyError::is_contended).await;
        self.audited_failure(Some(owner), "memory.undelete", id, result).await
    }
}

/// The digest and length of a file.
pub(crate) fn hash_file(path: &std::path::Path) -> CustodyResult<(keepsake_record::Sha256Digest, u64)> {
    if !std::fs::metadata(path).map_err(CustodyError::io(path))?.is_file() {
        return Err(CustodyError::Usage(format!("{} is no file", path.display())));
    }
    let mut file = std::fs::File::open(path).map_err(CustodyError::io(path))?;
    hash_reader(&mut file).map_err(CustodyError::io(path))
}

pub(crate) fn hash_reader(reader: &mut dyn std::io::Read) -> std::io::Result<(keepsake_record::Sha256Digest, u64)> {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((keepsake_record::Sha256Digest::from_bytes(hasher.finalize().into()), length)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
