//! Export: the bundle's `data/`, or tables of it, as a BagIt bag in a folder, a ZIP or a TAR.GZ archive, or in parts that each are one.
//!
//! An export shows one moment of the owner's history, whatever is written while it goes on. It is noted in the vault: killed and started again it
//! stays with that moment, keeps the parts that are whole, and ends with the bytes that it would have had.

mod job;
mod leaves;
mod plan;
mod reading;
mod selection;
mod shelf;
mod writing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{bag::BagInfo, names::Names, tables::Dialect};
use keepsake_record::{MemoryId, OwnerId};
use keepsake_vault::{Lease, Outcome, VaultError};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use self::{
    job::{Asked, Job, fingerprint},
    reading::{Piece, Reading, Spot},
    selection::{Selected, Selection},
    writing::{Omission, Task, folder_of},
};
pub use self::{
    job::{ExportPart, ExportState},
    plan::ExportPlan,
    shelf::ExportSummary,
};
use crate::{
    Custody, CustodyError, CustodyResult, Filter, Monitor,
    copies::blocking,
    filter::{Chosen, Named},
    names::names_of,
    render::{MediaReader, RenderedStream},
};

/// So often parts are written again because something in them was erased meanwhile.
const REMADE_MAX: usize = 5;
/// The least that a part may be told to hold.
pub const PART_BYTES_MIN: u64 = 1 << 20;

/// Where to, as what, and what of it.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The folder or archive to make; its ending decides which.
    pub out: PathBuf,
    /// What is in it beside the originals.
    pub format: BagFormat,
    /// Which memories; all unless told.
    pub filter: Option<Filter>,
    /// In parts of about so many bytes, before anything is compressed.
    pub part_bytes: Option<u64>,
    /// Begin again, even where an export of this kind was begun.
    pub anew: bool,
}

/// How records stand in a bag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BagFormat {
    /// As the bundle's lines of JSON: everything, and the way back.
    #[default]
    Json,
    /// As tables.
    Csv(Dialect),
    /// As XML, with its schema.
    Xml,
    /// As Markdown, a file a memory.
    Markdown,
}

/// How an export went.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// What it is known by.
    pub id: String,
    /// What was made.
    pub out: String,
    /// The state that it shows: the number of the last change.
    pub seq: u64,
    /// Memories in it.
    pub memories: u64,
    /// Files of the payload.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// The files or folders that it is.
    pub parts: Vec<ExportPart>,
    /// When the run was that this one went on with.
    pub resumed: Option<String>,
    /// Parts that were there already, and whole.
    pub kept: usize,
    /// Parts that were written again, because something in them was erased meanwhile.
    pub remade: usize,
    /// Why what was begun earlier was not gone on with.
    pub began_anew: Option<String>,
    /// What could not be read, each with the reason.
    pub skipped: Vec<Omission>,
}

impl Custody {
    /// Exports an owner's data with the originals, as a bag or several.
    ///
    /// # Errors
    /// Something is at the target, or it cannot be written. Parts that are whole stay. What cannot be read is in the report.
    pub async fn export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportReport> {
        let result = self.run_export(owner, options, monitor).await;
        self.audited_export(owner, &options.out, result, |report| report.skipped.len()).await
    }

    /// What an export would hold.
    ///
    /// # Errors
    /// The filter names what is not there, or the vault cannot be read.
    pub async fn plan_export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportPlan> {
        let result = async {
            check(options)?;
            let moment = self.vault.head(owner).await?.moment();
            let job = Job::new(owner, Asked::of(options)?, moment, self.now());
            Ok(self.planned(owner, options, &job, monitor).await?.0)
        };
        let result = result.await;
        self.audited(Some(owner), "export.plan", &options.out.display().to_string(), result).await
    }

    /// Notes how an export went: one that left something out is not complete.
    pub(crate) async fn audited_export<T>(
        &self,
        owner: OwnerId,
        out: &Path,
        result: CustodyResult<T>,
        skipped: impl Fn(&T) -> usize,
    ) -> CustodyResult<T> {
        let subject = out.display().to_string();
        if let Ok(report) = &result
            && skipped(report) > 0
        {
            let entry = self.entry(Some(owner), "export", &subject, Outcome::Skipped, json!({ "skipped": skipped(report) }));
            self.vault.audit(&entry).await?;
            return result;
        }
        self.audited(Some(owner), "export", &subject, result).await
    }

    async fn run_export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportReport> {
        check(options)?;
        let asked = Asked::of(options)?;
        let lease = self.lease(&format!("export {}", asked.out.display())).await?;
        let work = async |_: &Lease| {
            let found = self.jobs(owner).await?.into_iter().rev().find(|job| job.state == ExportState::Begun && job.asked == asked);
            let mut began_anew = None;
            if let Some(job) = found {
                if options.anew {
                    self.discard(owner, job).await?;
                } else {
                    match self.go_on(owner, options, job.clone(), true, monitor.clone()).await {
                        Err(CustodyError::Vault(error @ VaultError::Passed { .. })) => {
                            self.discard(owner, job).await?;
                            began_anew = Some(error.to_string());
                        }
                        other => return other,
                    }
                }
            }
            let moment = self.vault.head(owner).await?.moment();
            let job = Job::new(owner, asked.clone(), moment, self.now());
            Ok(ExportReport { began_anew, ..self.go_on(owner, options, job, false, monitor.clone()).await? })
        };
        self.while_leased(lease, work).await
    }

    /// Writes what is not there yet of an export. One that ends in an error stays noted as long as a part of it is whole.
    async fn go_on(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        mut job: Job,
        is_resumed: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ExportReport> {
        let result = self.write_parts(owner, options, &mut job, monitor).await;
        let (kept, remade) = match result {
            Ok(counts) => counts,
            Err(error) => {
                if job.parts.iter().all(Option::is_none) && !matches!(&error, CustodyError::Vault(VaultError::Passed { .. })) {
                    self.vault.forget_export(owner, &job.id, &self.done(owner, "export.forget", &job.id)).await?;
                }
                return Err(error);
            }
        };
        let parts: Vec<ExportPart> = job.parts.iter().flatten().cloned().collect();
        let skipped: Vec<Omission> = parts.iter().flat_map(|part| part.skipped.iter().cloned()).collect();
        job.state = if skipped.is_empty() { ExportState::Complete } else { ExportState::Skipped };
        self.note_job(owner, &job).await?;
        Ok(ExportReport {
            id: job.id,
            out: options.out.display().to_string(),
            seq: job.moment.seq,
            memories: job.plan.map_or(0, |plan| plan.memories),
            files: parts.iter().map(|part| part.files).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts,
            resumed: is_resumed.then(|| job.began.to_string()),
            kept,
            remade,
            began_anew: None,
            skipped,
        })
    }

    /// Answers how many parts were there already, and how many were written again.
    async fn write_parts(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        job: &mut Job,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(usize, usize)> {
        let (plan, selected) = if options.filter.is_some() || options.part_bytes.is_some() && job.plan.is_none() {
            self.planned(owner, options, job, monitor.clone()).await?
        } else {
            (ExportPlan::of_all(job.moment.memories), None)
        };
        // The borders of the run before stay, even if something was erased since.
        let plan = job.plan.get_or_insert(plan).clone();
        let of = plan.parts();
        job.parts.resize(of, None);
        let mut kept = 0;
        for number in 0..of {
            if job.is_whole(number) {
                kept += 1;
            } else {
                job.drop_part(number)?;
                refuse_filled(&job.part_path(number, of))?;
            }
        }
        self.note_job(owner, job).await?;
        monitor.stage("exporting", None, Some(plan.bytes).filter(|bytes| *bytes > 0));
        for number in 0..of {
            if job.parts[number].is_none() {
                self.write_part(owner, options, job, number, selected.clone(), monitor.clone()).await?;
            }
        }
        let mut remade = 0;
        for _ in 0..REMADE_MAX {
            let mut state = self.vault.as_of(owner, job.moment.clone());
            state.catch_up().await?;
            let erased: Vec<MemoryId> = state.erased().iter().copied().collect();
            let with = if erased.is_empty() { Vec::new() } else { tokio::task::block_in_place(|| job.parts_with(&erased))? };
            if with.is_empty() {
                return Ok((kept, remade));
            }
            for number in with {
                job.drop_part(number)?;
                self.note_job(owner, job).await?;
                self.write_part(owner, options, job, number, selected.clone(), monitor.clone()).await?;
                remade += 1;
            }
        }
        Err(CustodyError::Refused("memories are erased all the time: run this again when that has ended".into()))
    }

    /// How much an export takes and where its parts begin, and what the memories that are selected name.
    async fn planned(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        job: &Job,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(ExportPlan, Option<Selected>)> {
        let reading = self.reading(owner, options, job, None, Spot::default()).await?;
        let (pieces, part_bytes, is_selected) = (send(reading), options.part_bytes, options.filter.is_some());
        monitor.stage("counting", None, None);
        blocking(move || plan::plan(pieces, part_bytes, is_selected, &*monitor)).await
    }

    async fn reading(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        job: &Job,
        selected: Option<Selected>,
        from: Spot,
    ) -> CustodyResult<Reading> {
        let chosen = match &options.filter {
            Some(filter) => {
                let mut state = self.vault.as_of(owner, job.moment.clone());
                Some(Chosen::new(filter, Named::of(&mut state).await?)?)
            }
            None => None,
        };
        let (vault, moment, limits) = (self.vault.clone(), job.moment.clone(), self.limits);
        Ok(Reading { vault, owner, moment, limits, selection: Selection(chosen), selected, from })
    }

    async fn write_part(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        job: &mut Job,
        number: usize,
        selected: Option<Selected>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<()> {
        let plan = job.plan.clone().unwrap_or_default();
        let of = plan.parts();
        let reading = self.reading(owner, options, job, selected, plan.parts[number].clone()).await?;
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        let mut info = BagInfo { date: job.day()?, ..BagInfo::default() };
        info.group = (of > 1).then(|| (job.group(owner), number + 1, of));
        info.tags.push(("keepsake-export.json".into(), self.about(job, number, of)?));
        let (target, format, until) = (job.part_path(number, of), options.format, plan.parts.get(number + 1).cloned());
        let names = if format == BagFormat::Markdown { names_of(&mut reading.state()).await? } else { Names::default() };
        let pieces = send(reading);
        let part = blocking(move || {
            let task = Task { target, format, info, until, names, media: &media, monitor: &*monitor };
            let (bagged, skipped) = writing::write(&task, pieces)?;
            let sha256 = if task.target.is_dir() { bagged.digest } else { fingerprint(&task.target)? };
            Ok(ExportPart { files: bagged.files, bytes: bagged.bytes, sha256, skipped, path: task.target })
        })
        .await?;
        job.parts[number] = Some(part);
        self.note_job(owner, job).await
    }

    /// What a bag says of how it was made.
    fn about(&self, job: &Job, number: usize, of: usize) -> CustodyResult<Vec<u8>> {
        let at = keepsake_record::Timestamp::from_micros(job.moment.at)?;
        let text = json!({
            "program": concat!("keepsake ", env!("CARGO_PKG_VERSION")),
            "format": job.asked.format,
            "filter": job.asked.filter,
            "seq": job.moment.seq,
            "mark": job.moment.mark,
            "at": at,
            "part": number + 1,
            "parts": of,
        });
        let mut bytes = serde_json::to_vec_pretty(&text).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn send(reading: Reading) -> RenderedStream<Piece> {
    let (out, pieces) = mpsc::channel(64);
    tokio::spawn(reading.send(out));
    RenderedStream::new(pieces)
}

/// Refuses what cannot be written, before anything is read.
fn check(options: &ExportOptions) -> CustodyResult<()> {
    need_folder(&options.out)?;
    match options.part_bytes {
        Some(_) if matches!(options.format, BagFormat::Csv(_)) => {
            Err(CustodyError::Usage("tables belong together: parts go with the other formats".into()))
        }
        Some(..PART_BYTES_MIN) => Err(CustodyError::Usage("a part needs at least 1 MiB".into())),
        _ => Ok(()),
    }
}

/// That what is to be made has a name, and a folder to stand in.
pub(crate) fn need_folder(target: &Path) -> CustodyResult<()> {
    let folder = folder_of(target);
    if target.file_name().is_none() {
        return Err(CustodyError::Usage(format!("{} has no name: say what to make, such as memories.zip", target.display())));
    }
    if folder.is_dir() {
        return Ok(());
    }
    Err(CustodyError::Usage(format!("there is no folder {}: make it first, or choose another one", folder.display())))
}

/// That nothing stands where something is to be made.
pub(crate) fn refuse_filled(target: &Path) -> CustodyResult<()> {
    if std::fs::symlink_metadata(target).is_ok() {
        return Err(CustodyError::Refused(format!("{} is there already: choose another name", target.display())));
    }
    Ok(())
}
