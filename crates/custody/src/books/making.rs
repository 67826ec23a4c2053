//! A book as it goes on: its volumes are taken one after the other as they are finished, noted, named, and sent if it goes elsewhere; the manifest
//! comes last.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use keepsake_formats::book::{Book, Typesetter};
use keepsake_record::{OwnerId, Timestamp};
use keepsake_vault::{Lease, Moment, VaultError};
use tokio::sync::mpsc;

use super::{
    BookNote, BookOptions, BookReport, MadeBook,
    binder::{Binder, Finished, Task, write},
    days::read_days,
    leaves::Leaves,
    manifest_path, naming, volume_path,
};
use crate::{
    Custody, CustodyError, CustodyResult, Filter, Monitor,
    copies::blocking,
    export::{Asked, Begin, Depot, ExportPart, ExportState, Job, REMADE_MAX, need_folder, refuse_filled, remove},
    filter::{Chosen, Named},
    names::names_of,
    render::MediaReader,
};

/// Who makes a book, of what, and with what.
struct Making<'a> {
    owner: OwnerId,
    options: &'a BookOptions,
    typesetter: Arc<dyn Typesetter>,
    lease: &'a Lease,
    monitor: Arc<dyn Monitor>,
    is_resumed: bool,
}

impl Custody {
    /// Exports an owner's memories as a book.
    ///
    /// # Errors
    /// Something is at the target, or it cannot be written or set. Volumes that are whole stay, and the next call goes on with them. Pictures that
    /// cannot be shown are in the report.
    pub async fn export_book(
        &self,
        owner: OwnerId,
        options: &BookOptions,
        typesetter: Arc<dyn Typesetter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<MadeBook> {
        self.export_book_at_moment(owner, options, None, typesetter, monitor).await
    }

    /// Exports a book that shows a moment which is given.
    pub(crate) async fn export_book_at_moment(
        &self,
        owner: OwnerId,
        options: &BookOptions,
        moment: Option<Moment>,
        typesetter: Arc<dyn Typesetter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<MadeBook> {
        let result = self.run_book(owner, options, moment, typesetter, monitor).await;
        self.audited_export(owner, &options.out, result, |made| made.report.skipped.len()).await
    }

    async fn run_book(
        &self,
        owner: OwnerId,
        options: &BookOptions,
        moment: Option<Moment>,
        typesetter: Arc<dyn Typesetter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<MadeBook> {
        let asked = self.asked_book(options, &*typesetter).await?;
        let work = async |job, is_resumed, lease: &Lease| {
            let (typesetter, monitor) = (typesetter.clone(), monitor.clone());
            self.go_on_with_book(&Making { owner, options, typesetter, lease, monitor, is_resumed }, job).await
        };
        let (made, began_anew) = self.begun_or_new(owner, asked, Begin { anew: options.anew, moment }, work).await?;
        Ok(MadeBook { began_anew, ..made })
    }

    /// What is asked for, if it can be.
    pub(crate) async fn asked_book(&self, options: &BookOptions, typesetter: &dyn Typesetter) -> CustodyResult<Asked> {
        let away = self.away(&options.out, options.destination.as_deref()).await?;
        naming::check(&options.out, typesetter.ending(), options.seal.is_some())?;
        match &away {
            Some(away) => away.check_file()?,
            None => need_folder(&options.out)?,
        }
        Asked::of_book(options, typesetter, away)
    }

    /// What is told of a book that has ended.
    pub(crate) async fn made_book(&self, owner: OwnerId, options: &BookOptions, job: Job) -> CustodyResult<MadeBook> {
        let report = self.report(owner, options, &job).await?;
        Ok(MadeBook { id: job.id, report, resumed: None, kept: 0, remade: 0, began_anew: None })
    }

    /// Makes what is not there yet of a book. One that ends in an error stays noted as long as a volume of it is whole.
    async fn go_on_with_book(&self, making: &Making<'_>, mut job: Job) -> CustodyResult<MadeBook> {
        let owner = making.owner;
        let (kept, remade) = match self.make_volumes(making, &mut job).await {
            Ok(made) => made,
            Err(error) => {
                // Whoever has taken it over meanwhile is at the same files.
                if !self.vault.renew(making.lease).await? {
                    return Err(error);
                }
                if job.book.is_some() {
                    job.remove_unfinished()?;
                }
                if job.parts.iter().all(Option::is_none) && !matches!(&error, CustodyError::Vault(VaultError::Passed { .. })) {
                    job.waiting.as_deref().map_or(Ok(()), remove)?;
                    self.vault.forget_export(owner, &job.id, &self.done(owner, "export.forget", &job.id)).await?;
                }
                return Err(error);
            }
        };
        let is_skipped = job.book.iter().flat_map(|book| &book.volumes).any(|volume| !volume.skipped.is_empty());
        job.state = if is_skipped { ExportState::Skipped } else { ExportState::Complete };
        self.note_job(owner, &job, making.lease).await?;
        job.waiting.as_deref().map_or(Ok(()), remove)?;
        let resumed = making.is_resumed.then(|| job.began.to_string());
        Ok(MadeBook { resumed, kept, remade, ..self.made_book(owner, making.options, job).await? })
    }

    /// Answers how many volumes were there already, and how many were made again.
    async fn make_volumes(&self, making: &Making<'_>, job: &mut Job) -> CustodyResult<(usize, usize)> {
        let depot = self.depot_of(job).await?;
        let depot = depot.as_ref();
        tokio::task::block_in_place(|| take_up(job, depot))?;
        if making.is_resumed {
            tokio::task::block_in_place(|| job.remove_unfinished())?;
        }
        let mut kept = job.book.as_ref().map_or(0, |book| book.volumes.len());
        if let Some(seal) = &making.options.seal {
            tokio::task::block_in_place(|| seal.refuse_others(job, depot))?;
        }
        if !making.is_resumed {
            let out = &job.asked.out;
            let targets = [out.clone(), volume_path(out, Some(1)), manifest_path(out)];
            tokio::task::block_in_place(|| targets.iter().try_for_each(|target| refuse_target(job, target, depot)))?;
            job.refuse_unfinished()?;
        }
        job.book.get_or_insert_default();
        if let Some(waiting) = &job.waiting {
            std::fs::create_dir_all(waiting).map_err(CustodyError::io(waiting))?;
        }
        self.note_job(making.owner, job, making.lease).await?;
        // Of a run that was cut off while it sent one, or before it noted that.
        for number in 0..job.parts.len() {
            self.send_part(making.owner, job, number, depot, making.lease, &making.monitor).await?;
        }
        let mut remade = 0;
        for _ in 0..=REMADE_MAX {
            let mut state = self.vault.as_of(making.owner, job.moment.clone());
            state.catch_up().await?;
            let erased = state.erased().len() as u64;
            let book = job.book.get_or_insert_default();
            if book.erased != erased {
                // Nobody knows which volume it was in, and all borders after it would be others.
                (kept, remade) = (0, remade + book.volumes.len());
                *book = BookNote { erased, ..BookNote::default() };
                tokio::task::block_in_place(|| drop_parts(job, 0, depot))?;
                self.note_job(making.owner, job, making.lease).await?;
            } else if book.is_whole && job.parts.len() > book.volumes.len() {
                job.clean = Some(state.seen());
                return Ok((kept, remade));
            }
            if !job.book.as_ref().is_some_and(|book| book.is_whole) {
                self.bind(making, job, depot).await?;
            }
            let report = self.report(making.owner, making.options, job).await?;
            let mut json = serde_json::to_vec_pretty(&report).map_err(|e| CustodyError::Damaged(e.to_string()))?;
            json.push(b'\n');
            let path = manifest_path(&job.asked.out);
            let (sha256, length) = tokio::task::block_in_place(|| write(&job.here(&path), &json, making.options.seal.as_ref()))?;
            let part = ExportPart { path, length, sent: false, files: 1, bytes: length, sha256, shape: sha256, skipped: Vec::new() };
            self.take_part(making, job, part, depot).await?;
        }
        Err(CustodyError::Refused("memories are erased all the time: run this again when that has ended".into()))
    }

    /// Gathers and sets what is not there yet, and takes each volume as it is finished.
    async fn bind(&self, making: &Making<'_>, job: &mut Job, depot: Option<&Depot>) -> CustodyResult<()> {
        let Making { owner, options, typesetter, monitor, .. } = making;
        let state = || self.vault.as_of(*owner, job.moment.clone());
        let chosen = match &options.filter {
            Some(filter) => Some(Chosen::new(filter, Named::of(&mut state()).await?)?),
            None => None,
        };
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner: *owner };
        // Beside the volumes, where there is room, and where the pictures of memories belong.
        let beside = job.here(&manifest_path(&job.asked.out));
        let space = self.workspace(beside.parent().unwrap_or(Path::new("")), options.seal.is_some());
        let side_max = typesetter.side_max(options.paper);
        let leaves = Leaves::new(names_of(&mut state()).await?, media, self.programs_until(monitor), space, side_max);
        let book = self.book(*owner, options, job).await?;
        // Where the file is to be does not belong to what it is.
        let filter = options.filter.as_ref().map(Filter::as_str);
        let (lineage, mark) = (&job.moment.lineage, &job.moment.mark);
        let (title, language, paper, with_data) = (&book.title, &book.language, book.paper, options.with_data);
        let ident = format!("{owner} {lineage} {mark} {title:?} {language:?} {paper:?} {with_data} {filter:?} {}", typesetter.ending());
        let task = Task {
            book,
            ident,
            with_data,
            job: job.clone(),
            seal: options.seal.clone(),
            typesetter: typesetter.clone(),
            monitor: monitor.clone(),
            needs_memories: options.filter.is_some() && !making.is_resumed,
        };
        monitor.stage("setting the book", options.filter.is_none().then_some(job.moment.memories), None);
        let (sender, days) = mpsc::channel(4);
        tokio::spawn(read_days(state(), chosen, sender));
        let (sender, mut finished) = mpsc::channel(1);
        let binder = Binder::new(task, job.book.as_ref().unwrap_or(&BookNote::default()), sender);
        let binding = blocking(move || binder.bind(days, &leaves));
        let taking = async move {
            while let Some(Finished { part, note, is_last }) = finished.recv().await {
                let book = job.book.get_or_insert_default();
                book.volumes.push(note);
                book.is_whole = is_last;
                self.take_part(making, job, part, depot).await?;
            }
            CustodyResult::Ok(())
        };
        let (bound, taken) = tokio::join!(binding, taking);
        // Whoever binds fails, too, once nobody takes what is bound: the reason stands here.
        taken.and(bound)
    }

    /// Takes a file that is whole as the next part: noted before it has its name, so that whoever is killed between the two finds it.
    async fn take_part(&self, making: &Making<'_>, job: &mut Job, part: ExportPart, depot: Option<&Depot>) -> CustodyResult<()> {
        let path = part.path.clone();
        let here = job.here(&path);
        let result = async {
            tokio::task::block_in_place(|| refuse_target(job, &path, depot))?;
            job.parts.push(Some(part));
            self.note_job(making.owner, job, making.lease).await?;
            keepsake_formats::bag::publish(&here).map_err(CustodyError::io(&path))
        };
        if let Err(error) = result.await {
            if !self.vault.renew(making.lease).await? {
                return Err(error);
            }
            remove(&keepsake_formats::bag::unfinished(&here))?;
            job.parts.retain(|part| part.as_ref().is_some_and(|part| part.path != path));
            let whole = job.parts.len();
            if let Some(book) = &mut job.book {
                book.keep(whole);
            }
            self.note_job(making.owner, job, making.lease).await?;
            return Err(error);
        }
        self.send_part(making.owner, job, job.parts.len() - 1, depot, making.lease, &making.monitor).await
    }

    /// What the book is called, and how it looks.
    async fn book(&self, owner: OwnerId, options: &BookOptions, job: &Job) -> CustodyResult<Book> {
        let person = self.vault.as_of(owner, job.moment.clone()).owner().await?;
        Ok(Book {
            title: options.title.clone().filter(|title| !title.trim().is_empty()).unwrap_or_else(|| person.name.clone()),
            author: person.name.clone(),
            language: options.language.clone().or(person.settings.language).unwrap_or_else(|| "en".into()),
            paper: options.paper,
            date: Timestamp::from_micros(job.moment.at)?,
        })
    }

    /// What the book is, by what is noted of its volumes.
    async fn report(&self, owner: OwnerId, options: &BookOptions, job: &Job) -> CustodyResult<BookReport> {
        let Book { title, date: at, .. } = self.book(owner, options, job).await?;
        let mut report = BookReport {
            format: "keepsake-book",
            program: concat!("keepsake ", env!("CARGO_PKG_VERSION")).into(),
            title,
            seq: job.moment.seq,
            at,
            memories: 0,
            volumes: Vec::new(),
            skipped: Vec::new(),
            named_only: 0,
            replaced: BTreeMap::new(),
        };
        for volume in job.book.iter().flat_map(|book| &book.volumes) {
            report.memories += volume.file.memories as u64;
            report.volumes.push(volume.file.clone());
            report.skipped.extend(volume.skipped.iter().cloned());
            report.named_only += volume.named_only;
            volume.replaced.iter().for_each(|(character, count)| *report.replaced.entry(character.clone()).or_default() += count);
        }
        Ok(report)
    }
}

fn refuse_target(job: &Job, path: &Path, depot: Option<&Depot>) -> CustodyResult<()> {
    match depot {
        Some(depot) => depot.refuse_filled(path),
        None => refuse_filled(&job.here(path)),
    }
}

/// Finds the volumes of a run before; from the first that is not there any more all are made again.
fn take_up(job: &mut Job, depot: Option<&Depot>) -> CustodyResult<()> {
    let mut whole = 0;
    for number in 0..job.parts.len() {
        if !job.take_up(number, depot)? {
            break;
        }
        whole += 1;
    }
    drop_parts(job, whole, depot)?;
    if let Some(book) = &mut job.book {
        book.keep(whole);
    }
    Ok(())
}

/// Removes the parts from one on, as far as they are still ours.
fn drop_parts(job: &mut Job, from: usize, depot: Option<&Depot>) -> CustodyResult<()> {
    for number in from..job.parts.len() {
        if job.parts[number].is_some() && job.take_up(number, depot)? {
            job.drop_part(number, depot)?;
        }
    }
    job.parts.truncate(from);
    Ok(())
}
