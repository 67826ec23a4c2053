//! Recovery: a snapshot into a folder, a snapshot or bundle into a vault. Plan first.

use std::{
    collections::{BTreeMap, HashSet},
    io::BufRead,
    sync::Arc,
};

use keepsake_record::{Collection, Consent, Entity, Insight, Memory, MemoryId, Owner, OwnerId, Person, Place, Sha256Digest, Tag};
use keepsake_repository::{Id, Monitor};
use keepsake_vault::{IdState, Outcome, Write};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{Bundle, Custody, CustodyResult, Source, copies::blocking};

/// What to do with memories that are in the vault in another version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreMode {
    /// Keep the vault's version.
    #[default]
    KeepLive,
    /// Take the version that is restored; the vault's stays in the history.
    Replace,
}

/// How to bring a bundle into a vault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreChoice {
    /// What to do with other versions.
    pub mode: RestoreMode,
    /// Bring back what its owner deleted here.
    pub bring_back: bool,
}

/// What a restore into a vault would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// Where it comes from.
    pub from: String,
    /// Memories that are not in the vault.
    pub new: u64,
    /// Memories that are there, the same.
    pub same: u64,
    /// Memories that are there in another version.
    pub conflicting: u64,
    /// Memories that their owner deleted; they stay deleted.
    pub deleted: u64,
    /// Lines that cannot be read, each with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// How a restore into a vault went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VaultRestoreReport {
    /// What was planned and done.
    pub plan: RestorePlan,
    /// Memories written.
    pub memories: u64,
    /// Collections, people, places, tags, consents and insights written.
    pub entities: u64,
    /// Originals written.
    pub media: u64,
    /// Originals that could not be read, each with the reason.
    pub media_missing: Vec<(String, String)>,
    /// Whose data it is now.
    pub owner: String,
}

/// Memories written in one transaction.
const BATCH: usize = 500;

impl Custody {
    /// Opens the bundle of a snapshot.
    ///
    /// # Errors
    /// There is no such snapshot, or it holds no vault.
    pub async fn snapshot_bundle(&self, owner: OwnerId, from: &Source, snapshot: &str) -> CustodyResult<(Bundle, Id)> {
        let (repository, id, snapshot) = self.found(owner, from, snapshot).await?;
        let bundle = blocking(move || Bundle::of_snapshot(Arc::new(repository), &snapshot.tree)).await?;
        Ok((bundle, id))
    }

    /// The owner whom a bundle goes to: its own, if the vault has them; else the home's only owner, if nothing was ever
    /// written for them (they take on the bundle's identity); else a new one.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn bundle_owner(&self, bundle: &Bundle, named: Option<&str>) -> CustodyResult<Owner> {
        if named.is_some() {
            return self.owner(named).await;
        }
        tokio::task::block_in_place(|| bundle.header())?;
        let theirs = tokio::task::block_in_place(|| bundle.owner())?;
        let owners = self.owners().await?;
        if let Some(owner) = owners.iter().find(|o| o.id == theirs.id) {
            return Ok(owner.clone());
        }
        if let [only] = owners.as_slice()
            && self.vault.head(only.id).await?.seq == 0
            && self.vault.repository(Some(only.id)).await?.is_none()
        {
            let entry =
                self.entry(Some(theirs.id), "owner.adopt", &theirs.name, Outcome::Complete, json!({ "instead_of": only.id.to_string() }));
            self.vault.adopt_owner(only.id, &theirs, &entry).await?;
            return Ok(theirs);
        }
        let mut owner = theirs;
        if owners.iter().any(|o| o.name == owner.name) {
            owner.name = format!("{} ({})", owner.name, &owner.id.to_string()[..8]);
        }
        self.vault.create_owner(&owner, &self.done(owner.id, "owner.create", &owner.name)).await?;
        Ok(owner)
    }

    /// What a restore of a bundle would do.
    ///
    /// # Errors
    /// The bundle or the vault cannot be read.
    pub async fn plan_restore(&self, owner: OwnerId, bundle: &Bundle, from: &str) -> CustodyResult<RestorePlan> {
        let mut plan = RestorePlan { from: from.to_owned(), ..RestorePlan::default() };
        let mut seen = HashSet::new();
        let files: Vec<String> = bundle.files_below("memories/").map(str::to_owned).collect();
        for path in files {
            let (memories, bad) = tokio::task::block_in_place(|| memories(bundle, &path, &mut seen));
            plan.unreadable.extend(bad);
            self.classify(owner, &memories, &mut plan).await?;
        }
        plan.unreadable.extend(tokio::task::block_in_place(|| count_missing(bundle, seen.len())));
        Ok(plan)
    }

    async fn classify(&self, owner: OwnerId, memories: &[Memory], plan: &mut RestorePlan) -> CustodyResult<Vec<Decision>> {
        let ids: Vec<MemoryId> = memories.iter().map(|m| m.id).collect();
        let states = self.vault.id_states(owner, &ids).await?;
        let decide = |memory: &Memory| match states.get(&memory.id) {
            None => {
                plan.new += 1;
                Decision::Create
            }
            Some(IdState::Here(line)) if line.as_bytes() == memory.to_line() => {
                plan.same += 1;
                Decision::Same
            }
            Some(IdState::Here(_)) => {
                plan.conflicting += 1;
                Decision::Conflict
            }
            Some(IdState::Trashed(_) | IdState::Gone) => {
                plan.deleted += 1;
                Decision::Deleted
            }
        };
        Ok(memories.iter().map(decide).collect())
    }

    /// Brings a bundle into a vault.
    ///
    /// # Errors
    /// The bundle or the vault cannot be read or written. What is wrong with single things is in the report.
    pub async fn restore_into(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        from: &str,
        choice: RestoreChoice,
        monitor: &dyn Monitor,
    ) -> CustodyResult<VaultRestoreReport> {
        let result = self.run_restore_into(owner, bundle, from, choice, monitor).await;
        self.audited_failure(Some(owner), "restore.vault", from, result).await
    }

    async fn run_restore_into(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        from: &str,
        choice: RestoreChoice,
        monitor: &dyn Monitor,
    ) -> CustodyResult<VaultRestoreReport> {
        let mut report = VaultRestoreReport { owner: owner.to_string(), ..VaultRestoreReport::default() };
        report.plan.from = from.to_owned();
        self.restore_entities(owner, bundle, choice.mode, &mut report).await?;
        let files: Vec<String> = bundle.files_below("memories/").map(str::to_owned).collect();
        monitor.stage("restoring memories", Some(files.len() as u64), None);
        let mut waiting: Vec<(Memory, Decision)> = Vec::new();
        let mut seen = HashSet::new();
        for path in files {
            if monitor.cancelled() {
                return Err(keepsake_repository::RepositoryError::Cancelled.into());
            }
            let (memories, bad) = tokio::task::block_in_place(|| memories(bundle, &path, &mut seen));
            bad.iter().for_each(|(origin, reason)| monitor.problem(origin, reason));
            report.plan.unreadable.extend(bad);
            let decisions = self.classify(owner, &memories, &mut report.plan).await?;
            waiting.extend(memories.into_iter().zip(decisions));
            if waiting.len() >= BATCH {
                self.restore_batch(owner, bundle, choice, std::mem::take(&mut waiting), &mut report, monitor).await?;
            }
            monitor.advance(1, 0);
        }
        self.restore_batch(owner, bundle, choice, waiting, &mut report, monitor).await?;
        report.plan.unreadable.extend(tokio::task::block_in_place(|| count_missing(bundle, seen.len())));
        self.vault.index_all(owner).await?;
        Ok(report)
    }

    async fn restore_entities(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        mode: RestoreMode,
        report: &mut VaultRestoreReport,
    ) -> CustodyResult<()> {
        let mut write = self.vault.write(owner, &self.actor).await?;
        put_all::<Collection>(&mut write, bundle, "collections.ndjson", Entity::Collection, mode, report, |c| {
            (c.id.to_string(), c.name.clone())
        })
        .await?;
        put_all::<Person>(&mut write, bundle, "people.ndjson", Entity::Person, mode, report, |p| (p.id.to_string(), p.name.clone()))
            .await?;
        put_all::<Place>(&mut write, bundle, "places.ndjson", Entity::Place, mode, report, |p| (p.id.to_string(), p.name.clone())).await?;
        put_all::<Tag>(&mut write, bundle, "tags.ndjson", Entity::Tag, mode, report, |t| (t.name.to_string(), t.name.to_string())).await?;
        put_all::<Consent>(&mut write, bundle, "consents.ndjson", Entity::Consent, mode, report, |c| (c.id.to_string(), c.purpose.clone()))
            .await?;
        for path in bundle.files_below("insights/").map(str::to_owned).collect::<Vec<_>>() {
            put_all::<Insight>(&mut write, bundle, &path, Entity::Insight, mode, report, |i| (i.id.to_string(), i.name.clone())).await?;
        }
        if report.entities == 0 {
            return Ok(());
        }
        let entry = self.entry(Some(owner), "restore.vault", &report.plan.from, Outcome::Complete, json!({ "entities": report.entities }));
        write.commit(&entry).await?;
        Ok(())
    }

    async fn restore_batch(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        choice: RestoreChoice,
        batch: Vec<(Memory, Decision)>,
        report: &mut VaultRestoreReport,
        monitor: &dyn Monitor,
    ) -> CustodyResult<()> {
        let wanted = |decision: &Decision| match decision {
            Decision::Create => true,
            Decision::Conflict => choice.mode == RestoreMode::Replace,
            Decision::Deleted => choice.bring_back,
            Decision::Same => false,
        };
        self.heal_media(
            owner,
            bundle,
            batch
                .iter()
                .filter(|(_, d)| *d == Decision::Same || (*d == Decision::Conflict && choice.mode == RestoreMode::KeepLive))
                .map(|(m, _)| m),
            report,
            monitor,
        )
        .await?;
        let batch: Vec<(Memory, Decision)> = batch.into_iter().filter(|(_, d)| wanted(d)).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let mut media: BTreeMap<Sha256Digest, (String, u64)> = BTreeMap::new();
        for (memory, _) in &batch {
            let lengths: BTreeMap<Sha256Digest, u64> =
                memory.attachments.iter().filter_map(|a| a.medium.as_ref()).map(|m| (m.sha256, m.bytes)).collect();
            for (path, digest) in memory.media_paths() {
                media.insert(digest, (path, lengths[&digest]));
            }
        }
        let live = self.store_media(owner, bundle, media, report, monitor).await?;
        let mut write = self.vault.write(owner, &self.actor).await?;
        write.media_live(&live).await?;
        for (memory, decision) in &batch {
            match decision {
                Decision::Create => write.create_memories(std::slice::from_ref(memory)).await?,
                Decision::Same | Decision::Conflict | Decision::Deleted => drop(write.put_memory(memory).await?),
            }
        }
        let entry = self.entry(
            Some(owner),
            "restore.vault",
            &report.plan.from,
            Outcome::Complete,
            json!({ "memories": batch.len(), "media": live.len() }),
        );
        write.commit(&entry).await?;
        report.memories += batch.len() as u64;
        report.media += live.len() as u64;
        Ok(())
    }
}

/// The memories of a file that keep the rules, once each; the others are named.
fn memories(bundle: &Bundle, path: &str, seen: &mut HashSet<MemoryId>) -> (Vec<Memory>, Vec<(String, String)>) {
    let (read, mut bad) = lines::<Memory>(bundle, path);
    let mut good = Vec::with_capacity(read.len());
    for memory in read {
        match memory.validate() {
            Err(error) => bad.push((format!("{path}: memory {}", memory.id), error.to_string())),
            Ok(()) if !seen.insert(memory.id) => bad.push((format!("{path}: memory {}", memory.id), "stands twice in the bundle".into())),
            Ok(()) => good.push(memory),
        }
    }
    (good, bad)
}

/// What a bundle says it holds and what was found.
fn count_missing(bundle: &Bundle, found: usize) -> Option<(String, String)> {
    let said = bundle.header().ok()?.counts.get("memories").copied()?;
    (said > found as u64).then(|| ("keepsake.json".to_owned(), format!("the bundle says that it holds {said} memories; {found} are there")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Create,
    Same,
    Conflict,
    Deleted,
}

/// The things of a file, and the lines that are none. A file that is not there has none.
fn lines<T: DeserializeOwned>(bundle: &Bundle, path: &str) -> (Vec<T>, Vec<(String, String)>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let bytes = match bundle.whole(path) {
        Ok(bytes) => bytes,
        Err(error) => return (good, vec![(path.to_owned(), error.to_string())]),
    };
    for (number, line) in bytes.lines().enumerate() {
        match line.map_err(|e| e.to_string()).and_then(|line| serde_json::from_str(&line).map_err(|e| e.to_string())) {
            Ok(value) => good.push(value),
            Err(reason) => bad.push((format!("{path}:{}", number + 1), reason)),
        }
    }
    (good, bad)
}

async fn put_all<T: DeserializeOwned + Serialize>(
    write: &mut Write<'_>,
    bundle: &Bundle,
    path: &str,
    entity: Entity,
    mode: RestoreMode,
    report: &mut VaultRestoreReport,
    key: impl Fn(&T) -> (String, String),
) -> CustodyResult<()> {
    if !bundle.has(path) {
        return Ok(());
    }
    let (values, bad) = tokio::task::block_in_place(|| lines::<T>(bundle, path));
    report.plan.unreadable.extend(bad);
    for value in &values {
        let (id, name) = key(value);
        // The name of an insight becomes a file's name.
        if entity == Entity::Insight && !is_series(&name) {
            report.plan.unreadable.push((path.to_owned(), format!("`{}` is no name of a series of insights", name.escape_debug())));
            continue;
        }
        if (mode == RestoreMode::Replace || !write.has_entity(entity, &id).await?) && write.put_entity(entity, &id, &name, value).await? {
            report.entities += 1;
        }
    }
    Ok(())
}

fn is_series(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
