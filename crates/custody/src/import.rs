//! Imports: drafts become memories, once. The same input twice changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Receiver, mpsc::sync_channel},
};

use keepsake_formats::import::{self, Draft, FieldMap, Format, Input, ReadError, ReadOptions};
use keepsake_record::{Memory, MemoryId, OwnerId, Sha256Digest, Zone};
use keepsake_vault::{Outcome, SourceState};
use serde::Serialize;
use serde_json::json;

use crate::{
    Bundle, Custody, CustodyError, CustodyResult, Monitor, RestoreChoice, RestoreMode,
    bundle::parts,
    drafts::{ChannelSink, Job, Known, Message, Prepared, keep_what_is_here},
};

/// Whether to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Only tell what would happen.
    Plan,
    /// Do it.
    Apply,
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The format; found out if absent.
    pub format: Option<Format>,
    /// Which fields mean what, for NDJSON and CSV.
    pub map: FieldMap,
    /// The zone of times that name none.
    pub zone: Option<Zone>,
    /// Which account or folder it is, when several are imported with the same ids.
    pub account: String,
    /// Leave memories whose item changed as they are.
    pub keep_existing: bool,
    /// Take the source's version even of memories that were edited here since.
    pub replace_edited: bool,
    /// Bring back what its owner deleted here.
    pub bring_back: bool,
    /// What the log calls the input, where its paths are only those of a copy in the clear.
    pub named: Option<String>,
}

/// How an import went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The format that was read.
    pub format: String,
    /// Items read.
    pub items: u64,
    /// Memories made.
    pub new: u64,
    /// Memories whose item had changed, and that have a new version now.
    pub changed: u64,
    /// Memories whose item had changed and that were left, as asked.
    pub kept: u64,
    /// Items that are here already, the same.
    pub same: u64,
    /// Items that their owner deleted here; they stay deleted.
    pub deleted: u64,
    /// Originals stored.
    pub media: u64,
    /// What was left out or is not as it should be, with place and reason.
    pub problems: Vec<(String, String)>,
    /// Files that are no memory and belong to none, counted by what they are.
    pub passed_over: BTreeMap<String, Vec<String>>,
}

impl ImportReport {
    /// Whether nothing was written, nor would be.
    pub fn nothing_new(&self) -> bool {
        self.new == 0 && self.changed == 0
    }
}

/// Drafts taken together into one transaction.
const BATCH: usize = 1000;
/// … or so many bytes of text: a thousand logs are no thousand notes.
const BATCH_BYTES: usize = 64 << 20;
/// Drafts that wait for a batch to be taken.
const WAITING: usize = 16;

impl Custody {
    /// Imports a path, or tells what an import would do.
    ///
    /// # Errors
    /// The path cannot be read as a whole, or the vault fails. What is wrong with single items is in the report.
    pub async fn import(
        &self,
        owner: OwnerId,
        path: &Path,
        options: &ImportOptions,
        mode: ImportMode,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ImportReport> {
        self.import_all(owner, &[path.to_path_buf()], options, mode, monitor).await
    }

    /// As [`Custody::import`], of several paths as one tree: the archives of one export.
    ///
    /// # Errors
    /// As there; or their format is none that comes in several archives.
    pub async fn import_all(
        &self,
        owner: OwnerId,
        paths: &[PathBuf],
        options: &ImportOptions,
        mode: ImportMode,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ImportReport> {
        let result = self.leased_import(owner, paths, options, mode, monitor).await;
        let named =
            options.named.clone().unwrap_or_else(|| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "));
        self.audited(Some(owner), if mode == ImportMode::Plan { "import.plan" } else { "import" }, &named, result).await
    }

    /// One import of an owner at a time: two would each take the same items for new.
    async fn leased_import(
        &self,
        owner: OwnerId,
        paths: &[PathBuf],
        options: &ImportOptions,
        mode: ImportMode,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ImportReport> {
        if mode == ImportMode::Plan {
            return self.run_import(owner, paths, options, mode, monitor).await;
        }
        let lease = self.lease(&format!("import {owner}")).await?;
        self.while_leased(lease, async |_| self.run_import(owner, paths, options, mode, monitor).await).await
    }

    /// Whether a memory was edited here since it was imported.
    async fn is_edited(&self, owner: OwnerId, id: &MemoryId) -> CustodyResult<bool> {
        let row = self.vault.memory(owner, id).await?;
        Ok(row.is_some_and(|row| row.memory.source.is_some_and(|source| source.edited)))
    }

    async fn run_import(
        &self,
        owner: OwnerId,
        paths: &[PathBuf],
        options: &ImportOptions,
        mode: ImportMode,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ImportReport> {
        let input = tokio::task::block_in_place(|| Input::open_all(paths))?;
        let is_several = matches!(input, Input::Several(_));
        let path = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let may_be_bundle = !is_several && options.format.is_none_or(|format| format == Format::Bundle);
        let parts = if may_be_bundle { tokio::task::block_in_place(|| parts::parts_at(path, &input))? } else { None };
        let format = if parts.is_some() { Format::Bundle } else { options.format.map_or_else(|| import::detect(&input), Ok)? };
        if is_several && !format.is_of_several() {
            let advice = "import one after the other; of an export of Keepsake in parts, name one part, or the folder that all lie in";
            return Err(CustodyError::Usage(format!("several inputs are one only if they are the archives of a Google Takeout: {advice}")));
        }
        if format == Format::Bundle {
            let inputs = parts.unwrap_or_else(|| vec![input]);
            let bundle = tokio::task::block_in_place(|| Bundle::of_inputs(path, inputs))?;
            return self.import_bundle(owner, &bundle, path, options, mode, &*monitor).await;
        }
        monitor.stage("importing", None, None);
        let read = ReadOptions {
            now: self.now(),
            zone: options.zone.clone(),
            map: options.map.clone(),
            account: account(format, &input, options),
        };
        let (send, receive) = sync_channel(WAITING);
        let reader_input = input.clone();
        let reader = tokio::task::spawn_blocking(move || {
            let mut sink = ChannelSink(send);
            let ended = import::read(format, &reader_input, &read, &mut sink);
            drop(sink.0.send(Message::Ended(ended)));
        });
        let mut job = Job {
            owner,
            input,
            options,
            mode,
            monitor,
            report: ImportReport { format: format.name().into(), ..ImportReport::default() },
            known: Known::default(),
            seen: HashMap::new(),
        };
        let taken = self.take_all(&mut job, receive).await;
        drop(reader.await);
        taken?;
        if mode == ImportMode::Apply {
            self.vault.index_all(owner).await?;
        }
        Ok(job.report)
    }

    async fn take_all(&self, job: &mut Job<'_>, receive: Receiver<Message>) -> CustodyResult<()> {
        self.learn(job).await?;
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        loop {
            let message = tokio::task::block_in_place(|| receive.recv());
            if job.monitor.cancelled() {
                return Err(ReadError::Stopped.into());
            }
            match message {
                Ok(Message::Draft(draft)) => {
                    bytes += draft.memory.text.len();
                    waiting.push(*draft);
                }
                Ok(Message::About(detail)) => job.known.describe(detail),
                Ok(Message::Problem(problem)) => job.problem(problem.origin, problem.reason),
                Ok(Message::PassedOver(path, what)) => job.report.passed_over.entry(what).or_default().push(path),
                Ok(Message::Ended(ended)) => {
                    self.take(job, std::mem::take(&mut waiting)).await?;
                    return Ok(ended?);
                }
                Err(_) => return Err(CustodyError::Damaged("the reader of the import ended without a word".into())),
            }
            if waiting.len() >= BATCH || bytes >= BATCH_BYTES {
                bytes = 0;
                self.take(job, std::mem::take(&mut waiting)).await?;
            }
        }
    }

    /// Takes one batch of drafts.
    async fn take(&self, job: &mut Job<'_>, drafts: Vec<Draft>) -> CustodyResult<()> {
        if drafts.is_empty() {
            return Ok(());
        }
        job.report.items += drafts.len() as u64;
        let mut prepared = Vec::new();
        for draft in drafts {
            prepared.extend(tokio::task::block_in_place(|| job.prepare(draft)));
        }
        let keys: Vec<Sha256Digest> = prepared.iter().map(|p| p.key).collect();
        let states = self.vault.source_states(job.owner, &keys).await?;
        let mut wanted = Vec::new();
        for mut item in prepared {
            if let Some(first) = job.seen.insert(item.key, item.draft.origin.clone()) {
                let reason =
                    format!("has the same id as {first} and was left out; give the field that tells them apart with --map id=FIELD");
                job.problem(item.draft.origin, reason);
                continue;
            }
            let digest = item.draft.memory.source.as_ref().and_then(|s| s.digest);
            match states.get(&item.key) {
                Some(SourceState::Here(_, known)) if *known == digest => {
                    job.report.same += 1;
                    continue;
                }
                Some(SourceState::Here(..)) if job.options.keep_existing => {
                    job.report.kept += 1;
                    continue;
                }
                Some(SourceState::Here(id, _)) if !job.options.replace_edited && self.is_edited(job.owner, id).await? => {
                    job.report.kept += 1;
                    let reason =
                        "changed at its source, and was edited here too; it is left as it is here (--replace-edited takes the source's)";
                    job.problem(item.draft.origin, reason.into());
                    continue;
                }
                Some(SourceState::Trashed(_) | SourceState::Gone(_)) if !job.options.bring_back => {
                    job.report.deleted += 1;
                    continue;
                }
                Some(SourceState::Here(id, _) | SourceState::Trashed(id)) => {
                    item.draft.memory.id = *id;
                    item.replaces = true;
                    job.report.changed += 1;
                }
                Some(SourceState::Gone(_)) | None => {
                    item.draft.memory.id = self.new_id(MemoryId::from_parts);
                    job.report.new += 1;
                }
            }
            wanted.push(item);
        }
        job.monitor.advance(keys.len() as u64, 0);
        if job.mode == ImportMode::Plan || wanted.is_empty() {
            return Ok(());
        }
        self.store(job, wanted).await
    }

    async fn store(&self, job: &mut Job<'_>, mut wanted: Vec<Prepared>) -> CustodyResult<()> {
        let announced: Vec<(Sha256Digest, u64)> = wanted.iter().flat_map(|p| p.files.iter().map(|f| (f.sha256, f.bytes))).collect();
        let mut live: BTreeMap<Sha256Digest, u64> = BTreeMap::new();
        if !announced.is_empty() {
            self.vault.media_pending(job.owner, &announced).await?;
            for item in &mut wanted {
                tokio::task::block_in_place(|| self.store_files(job, item, &mut live))?;
            }
        }
        let mut write = self.vault.write(job.owner, &self.actor).await?;
        job.report.media += live.len() as u64;
        write.media_live(&live.into_iter().collect::<Vec<_>>()).await?;
        let mut fresh: Vec<Memory> = Vec::new();
        for mut item in wanted {
            self.resolve(&mut write, &mut job.known, &mut item.draft).await?;
            let mut memory = item.draft.memory;
            memory.settle();
            if let Err(error) = memory.validate() {
                job.problem(item.draft.origin, format!("{error}; it was left out"));
                if item.replaces {
                    job.report.changed -= 1
                } else {
                    job.report.new -= 1
                }
                continue;
            }
            if !item.replaces {
                fresh.push(memory);
            } else {
                if let Some(old) = write.memory(&memory.id).await? {
                    keep_what_is_here(&mut memory, old);
                }
                write.put_memory(&memory).await?;
            }
        }
        write.create_memories(&fresh).await?;
        let named = job.options.named.clone().unwrap_or_else(|| job.input.describe());
        let entry = self.entry(Some(job.owner), "import.batch", &named, Outcome::Complete, json!({ "memories": fresh.len() }));
        write.commit(&entry).await?;
        Ok(())
    }

    /// Stores the files of an item; one that cannot be stored is named and left to a later import.
    fn store_files(&self, job: &mut Job<'_>, item: &mut Prepared, live: &mut BTreeMap<Sha256Digest, u64>) -> CustodyResult<()> {
        for file in std::mem::take(&mut item.files) {
            let stored = job
                .input
                .open_file(&file.path)
                .map_err(CustodyError::from)
                .and_then(|mut reader| Ok(self.vault.store_reader(job.owner, &file.sha256, &mut reader)?));
            match stored {
                Ok(_) => drop(live.insert(file.sha256, file.bytes)),
                // A store that is full or gone ends the import; a source file that changed under us does not.
                Err(
                    error @ CustodyError::Vault(keepsake_vault::VaultError::Store(
                        keepsake_storage::StoreError::Full { .. } | keepsake_storage::StoreError::Denied { .. },
                    )),
                ) => return Err(error),
                Err(error) => {
                    let key = file.key;
                    if let Some(attachment) = item.draft.memory.attachments.iter_mut().find(|a| a.key == key) {
                        attachment.medium = None;
                        attachment.problem = Some(error.to_string());
                    }
                    if let Some(source) = &mut item.draft.memory.source {
                        source.digest = None;
                    }
                    job.problem(file.path, format!("{error}; import again to add it"));
                }
            }
        }
        Ok(())
    }

    async fn import_bundle(
        &self,
        owner: OwnerId,
        bundle: &Bundle,
        path: &Path,
        options: &ImportOptions,
        mode: ImportMode,
        monitor: &dyn Monitor,
    ) -> CustodyResult<ImportReport> {
        tokio::task::block_in_place(|| bundle.header())?;
        let from = options.named.clone().unwrap_or_else(|| path.display().to_string());
        let plan = self.plan_restore(owner, bundle, &from).await?;
        let restore = if options.keep_existing { RestoreMode::KeepLive } else { RestoreMode::Replace };
        let choice = RestoreChoice { mode: restore, bring_back: options.bring_back };
        let mut report = ImportReport {
            format: Format::Bundle.name().into(),
            items: plan.new + plan.same + plan.conflicting + plan.deleted,
            new: plan.new,
            same: plan.same,
            deleted: plan.deleted,
            ..ImportReport::default()
        };
        *(if options.keep_existing { &mut report.kept } else { &mut report.changed }) = plan.conflicting;
        report.problems = plan.unreadable;
        let altered = tokio::task::block_in_place(|| bundle.altered_files())?;
        report.problems.extend(
            altered.into_iter().map(|path| (path, "is not what the manifest of the bag says: it was changed after the export".to_owned())),
        );
        if mode == ImportMode::Apply {
            let done = self.restore_into(owner, bundle, &from, choice, monitor).await?;
            report.media = done.media;
            for problem in done.plan.unreadable.into_iter().chain(done.media_missing) {
                if !report.problems.contains(&problem) {
                    report.problems.push(problem);
                }
            }
            if options.bring_back {
                report.changed += std::mem::take(&mut report.deleted);
            }
        }
        Ok(report)
    }
}

/// Items of formats without ids of their own are told apart by the name of the folder or file they came from.
fn account(format: Format, input: &Input, options: &ImportOptions) -> String {
    let named = !options.account.is_empty() || format.has_ids();
    if named { options.account.clone() } else { input.stem() }
}
