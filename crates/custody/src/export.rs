//! Export: the bundle's `data/`, or tables of it, as a BagIt bag in a folder, a ZIP or a TAR.GZ archive, or in parts that each are one.
//!
//! An export shows one moment of the owner's history, whatever is written while it goes on. It is noted in the vault: killed and started again it
//! stays with that moment, keeps the parts that are whole, and ends with the bytes that it would have had.

mod beginning;
mod depot;
mod job;
mod leaves;
mod plan;
mod reading;
mod running;
mod sealing;
mod selection;
mod shares;
mod sharing;
mod shelf;
mod stock;
mod together;
mod unsealing;
mod writing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{media::MediaOptions, tables::Dialect};
use keepsake_record::OwnerId;
use keepsake_vault::{Lease, Moment, Outcome};
use serde::Serialize;
use serde_json::json;

pub(crate) use self::{
    beginning::Begin,
    depot::{Away, Depot},
    job::{Asked, Job, fingerprint, lease_name, remove},
    running::REMADE_MAX,
};
pub use self::{
    job::{ExportPart, ExportState},
    plan::ExportPlan,
    sealing::{SealTo, Unlock},
    shares::{
        Expiry, Fetched, MadeShare, OpenShare, ShareDenied, ShareOptions, ShareReader, ShareState, ShareToken, ShareView, SharedFile,
    },
    shelf::{ExportSince, ExportSummary},
    together::{BatchItem, BatchMade},
    unsealing::Unsealed,
};
use self::{
    running::Run,
    together::Seat,
    writing::{Omission, folder_of},
};
use crate::{Custody, CustodyError, CustodyResult, Filter, Monitor};

/// The least that a part may be told to hold.
pub const PART_BYTES_MIN: u64 = 1 << 20;

/// Where to, as what, and what of it.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The folder or archive to make; its ending decides which. Or the URL of an archive that is to be elsewhere.
    pub out: PathBuf,
    /// The destination below whose `exports/` it is to be.
    pub destination: Option<String>,
    /// Who alone can open it.
    pub seal: Option<SealTo>,
    /// What is in it beside the originals.
    pub format: BagFormat,
    /// Which memories; all unless told.
    pub filter: Option<Filter>,
    /// In parts of about so many bytes, before anything is compressed.
    pub part_bytes: Option<u64>,
    /// For others: without positions, cameras and what else tells more than was meant, and without what is sensitive.
    pub for_sharing: bool,
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
    /// As pages for people, to be opened from their folder.
    Html,
    /// Not at all, but in the files or beside each: the files themselves, for photo programs.
    Media(MediaOptions),
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
        self.export_at_moment(owner, options, None, None, monitor).await
    }

    /// Exports as one of several: at a moment that they share, from a seat where they are read together.
    async fn export_at_moment(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        moment: Option<Moment>,
        seat: Option<&Seat>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ExportReport> {
        let result = match options.settled() {
            Ok(options) => self.run_export(owner, &options, moment, seat, monitor).await,
            Err(error) => Err(error),
        };
        self.audited_export(owner, &options.out, result, |report| report.skipped.len()).await
    }

    /// What an export would hold.
    ///
    /// # Errors
    /// The filter names what is not there, or the vault cannot be read.
    pub async fn plan_export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportPlan> {
        let result = async {
            let options = options.settled()?;
            let away = self.away(&options.out, options.destination.as_deref()).await?;
            check(&options, away.as_ref())?;
            let moment = self.vault.head(owner).await?.moment();
            let job = self.waiting_for(Job::new(owner, Asked::of(&options, away)?, moment, self.now()));
            match self.depot_of(&job).await? {
                Some(depot) => {
                    depot.refuse_long(options.part_bytes.unwrap_or_default())?;
                    tokio::task::block_in_place(|| depot.refuse_filled(&job.asked.out))?;
                }
                None => refuse_filled(&options.out)?,
            }
            Ok(self.planned(owner, &options, &job, true, monitor).await?.0)
        };
        let result = result.await;
        self.audited(Some(owner), "export.plan", &shown_place(&options.out), result).await
    }

    /// Notes how an export went: one that left something out is not complete.
    pub(crate) async fn audited_export<T>(
        &self,
        owner: OwnerId,
        out: &Path,
        result: CustodyResult<T>,
        skipped: impl Fn(&T) -> usize,
    ) -> CustodyResult<T> {
        let subject = shown_place(out);
        if let Ok(report) = &result
            && skipped(report) > 0
        {
            let entry = self.entry(Some(owner), "export", &subject, Outcome::Skipped, json!({ "skipped": skipped(report) }));
            self.vault.audit(&entry).await?;
            return result;
        }
        self.audited(Some(owner), "export", &subject, result).await
    }

    async fn run_export(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        moment: Option<Moment>,
        seat: Option<&Seat>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<ExportReport> {
        let away = self.away(&options.out, options.destination.as_deref()).await?;
        check(options, away.as_ref())?;
        let asked = Asked::of(options, away)?;
        let work = async |job, is_resumed, lease: &Lease| {
            if let (Some(seat), true) = (seat, is_resumed) {
                // It may read nothing at all, and sends for hours: nobody waits for that.
                seat.leave();
            }
            self.go_on(&Run { owner, options, lease, monitor: monitor.clone(), seat }, job, is_resumed).await
        };
        let begin = Begin { anew: options.anew, moment };
        let (report, began_anew) = self.begun_or_new(owner, asked, begin, work).await?;
        Ok(ExportReport { began_anew, ..report })
    }
}

impl ExportOptions {
    /// With the filter that goes with what it is for.
    fn settled(&self) -> CustodyResult<Self> {
        let mut options = self.clone();
        if self.for_sharing {
            options.filter = Some(sharing::filter(self.filter.as_ref())?);
        }
        Ok(options)
    }
}

/// Where an export goes, as it may stand in a log: whoever wrote a password into a URL finds it in no file of ours.
pub fn shown_place(out: &Path) -> String {
    let text = out.display().to_string();
    if text.contains("://") { keepsake_storage::without_password(&text) } else { text }
}

/// Refuses what cannot be written, before anything is read.
fn check(options: &ExportOptions, away: Option<&Away>) -> CustodyResult<()> {
    match away {
        Some(away) => away.check()?,
        None => need_folder(&options.out)?,
    }
    sealing::check(&options.out, options.seal.as_ref())?;
    match options.part_bytes {
        Some(_) if matches!(options.format, BagFormat::Csv(_) | BagFormat::Markdown | BagFormat::Html) => Err(CustodyError::Usage(
            "tables belong together, and so do notes and pages with what they show: parts go with --format json and xml".into(),
        )),
        Some(_) if matches!(options.format, BagFormat::Media(_)) => {
            Err(CustodyError::Usage("names are given once for all files: leave --part-size out, or choose less with --filter".into()))
        }
        Some(_) if options.for_sharing => Err(CustodyError::Usage(
            "how large copies for others become is known only when they are made: leave --part-size out, or choose less with --filter"
                .into(),
        )),
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
