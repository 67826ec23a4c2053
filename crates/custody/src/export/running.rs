//! An export as it goes on: what is not there yet is written, part by part, and what was erased meanwhile is written again.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_formats::{bag::BagInfo, names::Names};
use keepsake_record::{OwnerId, Timestamp};
use keepsake_vault::{Lease, VaultError};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    BagFormat, ExportOptions, ExportPart, ExportPlan, ExportReport, ExportState,
    depot::Away,
    job::{Job, fingerprint, remove},
    plan,
    reading::{Piece, Reading, Spot},
    refuse_filled,
    selection::{Selected, Selection},
    sharing::Sharing,
    together::Seat,
    writing::{self, Task, Wrote},
};
use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::blocking,
    filter::{Chosen, Named},
    names::names_of,
    render::{MediaReader, RenderedStream},
};

/// So often parts are written again because something in them was erased meanwhile.
pub(crate) const REMADE_MAX: usize = 5;

/// Whose export of what it is, under which lease.
pub(super) struct Run<'a> {
    pub owner: OwnerId,
    pub options: &'a ExportOptions,
    pub lease: &'a Lease,
    pub monitor: Arc<dyn Monitor>,
    /// Its seat where several exports are made of one read.
    pub seat: Option<&'a Seat>,
}

impl Custody {
    /// Writes what is not there yet of an export. One that ends in an error stays noted as long as a part of it is whole.
    pub(super) async fn go_on(&self, run: &Run<'_>, mut job: Job, is_resumed: bool) -> CustodyResult<ExportReport> {
        let Run { owner, options, lease, .. } = *run;
        let result = self.write_parts(run, &mut job).await;
        let (kept, remade) = match result {
            Ok(counts) => counts,
            Err(error) => {
                if job.parts.iter().all(Option::is_none) && !matches!(&error, CustodyError::Vault(VaultError::Passed { .. })) {
                    job.waiting.as_deref().map_or(Ok(()), remove)?;
                    self.vault.forget_export(owner, &job.id, &self.done(owner, "export.forget", &job.id)).await?;
                }
                return Err(error);
            }
        };
        let is_skipped = job.parts.iter().flatten().any(|part| !part.skipped.is_empty());
        job.state = if is_skipped { ExportState::Skipped } else { ExportState::Complete };
        self.note_job(owner, &job, lease).await?;
        job.waiting.as_deref().map_or(Ok(()), remove)?;
        Ok(ExportReport { resumed: is_resumed.then(|| job.began.to_string()), kept, remade, ..report(job, options) })
    }

    /// Answers how many parts were there already, and how many were written again.
    async fn write_parts(&self, run: &Run<'_>, job: &mut Job) -> CustodyResult<(usize, usize)> {
        let Run { owner, options, lease, monitor, .. } = run;
        let is_new = job.plan.is_none();
        let depot = self.depot_of(job).await?;
        let depot = depot.as_ref();
        if let (Some(depot), Some(bytes)) = (depot, options.part_bytes) {
            depot.refuse_long(bytes)?;
        }
        let (plan, mut selected) = if options.filter.is_some() || options.part_bytes.is_some() && is_new {
            match run.seat {
                // What all of them take is counted once.
                Some(seat) if is_new => seat.planned(async || self.planned(*owner, options, job, true, monitor.clone()).await).await?,
                _ => self.planned(*owner, options, job, is_new, monitor.clone()).await?,
            }
        } else {
            (ExportPlan::of_all(job.moment.memories), None)
        };
        // The borders of the run before stay, even if something was erased since.
        let plan = job.plan.get_or_insert(plan).clone();
        let of = plan.parts();
        job.parts.resize(of, None);
        let mut kept = 0;
        for number in 0..of {
            if tokio::task::block_in_place(|| job.take_up(number, depot))? {
                kept += 1;
            } else {
                let path = job.part_path(number, of);
                match depot {
                    Some(depot) => tokio::task::block_in_place(|| depot.refuse_filled(&path))?,
                    None => refuse_filled(&path)?,
                }
            }
        }
        if let Some(seal) = &options.seal {
            tokio::task::block_in_place(|| seal.refuse_others(job, depot))?;
        }
        self.note_job(*owner, job, lease).await?;
        monitor.stage("exporting", None, Some(plan.bytes).filter(|bytes| *bytes > 0));
        for number in 0..of {
            if job.parts[number].is_none() {
                self.write_part(run, job, number, selected.clone()).await?;
            }
            self.send_part(*owner, job, number, depot, lease, monitor).await?;
        }
        let (mut remade, mut known) = (0, BTreeSet::new());
        for _ in 0..=REMADE_MAX {
            let mut state = self.vault.as_of(*owner, job.moment.clone());
            state.catch_up().await?;
            if *state.erased() == known {
                job.clean = Some(state.seen());
                return Ok((kept, remade));
            }
            known.clone_from(state.erased());
            // What is counted and named without it is less, too.
            let now = self.planned(*owner, options, job, false, monitor.clone()).await?;
            selected = now.1;
            job.plan.get_or_insert_default().memories = now.0.memories;
            for number in 0..of {
                let reading = self.reading(*owner, options, job, selected.clone(), plan.parts[number].clone()).await?;
                let (pieces, until) = (send(reading), plan.parts.get(number + 1).cloned());
                let shape = blocking(move || plan::shape(pieces, until.as_ref())).await?;
                if job.parts[number].as_ref().is_none_or(|part| part.shape != shape) {
                    tokio::task::block_in_place(|| job.drop_part(number, depot))?;
                    self.note_job(*owner, job, lease).await?;
                    self.write_part(run, job, number, selected.clone()).await?;
                    self.send_part(*owner, job, number, depot, lease, monitor).await?;
                    remade += 1;
                }
            }
        }
        Err(CustodyError::Refused("memories are erased all the time: run this again when that has ended".into()))
    }

    /// How much an export takes and where its parts begin, and what the memories that are selected name. A new one is refused if its filter takes
    /// nothing; of one that was begun, everything may have been erased.
    pub(super) async fn planned(
        &self,
        owner: OwnerId,
        options: &ExportOptions,
        job: &Job,
        is_new: bool,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<(ExportPlan, Option<Selected>)> {
        let reading = self.reading(owner, options, job, None, Spot::default()).await?;
        let selection = reading.selection.clone();
        let (pieces, part_bytes, is_selected) = (send(reading), options.part_bytes, options.filter.is_some());
        monitor.stage("counting", None, None);
        let planned = blocking(move || plan::plan(pieces, part_bytes, is_selected, &*monitor)).await?;
        if let (Some(chosen), true) = (&selection.0, is_new) {
            chosen.refuse_unknown_tags()?;
            if planned.0.memories == 0 {
                return Err(CustodyError::Usage("the filter takes no memory: `keepsake memory list` shows which there are".into()));
            }
        }
        Ok(planned)
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
                Some(Arc::new(Chosen::new(filter, Named::of(&mut state).await?)?))
            }
            None => None,
        };
        let (vault, moment, limits) = (self.vault.clone(), job.moment.clone(), self.limits);
        let memories = job.plan.as_ref().map_or(moment.memories, |plan| plan.memories);
        let for_sharing = options.for_sharing;
        Ok(Reading { vault, owner, moment, limits, selection: Selection(chosen), memories, selected, for_sharing, from })
    }

    async fn write_part(&self, run: &Run<'_>, job: &mut Job, number: usize, selected: Option<Selected>) -> CustodyResult<()> {
        let Run { owner, options, lease, .. } = *run;
        let monitor = run.monitor.clone();
        let plan = job.plan.clone().unwrap_or_default();
        let of = plan.parts();
        let reading = self.reading(owner, options, job, selected, plan.parts[number].clone()).await?;
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        let mut info = BagInfo { date: job.day()?, ..BagInfo::default() };
        info.group = (of > 1).then(|| (job.group.clone(), number + 1, of));
        info.tags.push(("keepsake-export.json".into(), self.about(job, number, of)?));
        let for_sharing = options.for_sharing;
        let path = job.part_path(number, of);
        let (target, format, until) = (job.here(&path), options.format, plan.parts.get(number + 1).cloned());
        if let Some(waiting) = &job.waiting {
            std::fs::create_dir_all(waiting).map_err(CustodyError::io(waiting))?;
        }
        let seal = options.seal.clone();
        let names = if format == BagFormat::Markdown { names_of(&mut reading.state()).await? } else { Names::default() };
        let pieces = match run.seat {
            Some(seat) if of == 1 => seat.pieces(reading),
            _ => send(reading),
        };
        let (at, programs) = (Timestamp::from_micros(job.moment.at)?, self.programs_until(&monitor));
        let space = self.workspace(writing::folder_of(&target), seal.is_some());
        let (part, closed) = blocking(move || {
            let sharing = for_sharing.then(|| Sharing::new(&media));
            let sharing = sharing.as_ref();
            let task = Task {
                sharing,
                target,
                format,
                info,
                at,
                until,
                names,
                seal: seal.as_ref(),
                media: &media,
                programs: &programs,
                space: &space,
                monitor: &*monitor,
            };
            let Wrote { bagged, closed, skipped, shape } = writing::write(&task, pieces)?;
            let (sha256, length) = match std::fs::metadata(closed.path()) {
                Ok(archive) if archive.is_file() => (fingerprint(closed.path())?, archive.len()),
                _ => (bagged.digest, 0),
            };
            Ok((ExportPart { path, length, sent: false, files: bagged.files, bytes: bagged.bytes, sha256, shape, skipped }, closed))
        })
        .await?;
        // Noted before it has its name: whoever is killed between the two finds it.
        let path = part.path.clone();
        job.parts[number] = Some(part);
        self.note_job(owner, job, lease).await?;
        if let Err(error) = closed.publish() {
            job.parts[number] = None;
            self.note_job(owner, job, lease).await?;
            return Err(CustodyError::io(&path)(error));
        }
        Ok(())
    }

    /// What a bag says of how it was made.
    fn about(&self, job: &Job, number: usize, of: usize) -> CustodyResult<Vec<u8>> {
        let at = Timestamp::from_micros(job.moment.at)?;
        let text = json!({
            "program": concat!("keepsake ", env!("CARGO_PKG_VERSION")),
            "format": job.asked.format,
            // Whoever gets it would read there what was left out.
            "filter": job.asked.filter.as_ref().filter(|_| !job.asked.for_sharing),
            "forSharing": job.asked.for_sharing,
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

/// What is told of an export that has ended.
pub(super) fn report(job: Job, options: &ExportOptions) -> ExportReport {
    let parts: Vec<ExportPart> = job.parts.into_iter().flatten().collect();
    ExportReport {
        id: job.id,
        out: job.asked.away.as_ref().map_or_else(|| options.out.display().to_string(), Away::url),
        seq: job.moment.seq,
        memories: job.plan.map_or(0, |plan| plan.memories),
        files: parts.iter().map(|part| part.files).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        skipped: parts.iter().flat_map(|part| part.skipped.iter().cloned()).collect(),
        parts,
        resumed: None,
        kept: 0,
        remade: 0,
        began_anew: None,
    }
}

pub(super) fn send(reading: Reading) -> RenderedStream<Piece> {
    let (out, pieces) = mpsc::channel(32);
    tokio::spawn(reading.send(out));
    RenderedStream::new(pieces)
}
