//! Making: memories are gathered into files, which are filled in or set, and get their names when all are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{
    book::Printed,
    markdown,
    template::{
        Kind, Manifest, Per, Problem, Sheet,
        view::{self, View, Viewer},
    },
};
use keepsake_record::{Memory, Sha256Digest};
use tokio::sync::mpsc;

use super::{
    export::{Task, TemplateFile, TemplateReport},
    files::{Beside, write_whole},
    giving_up::{GivenUp, Limits, bounded},
    unfit,
};
use crate::{
    CustodyError, CustodyResult,
    books::Message,
    export::{need_folder, refuse_filled},
};

/// Endings of files, which no folder should have.
const ENDINGS: [&str; 16] =
    ["html", "htm", "md", "markdown", "txt", "pdf", "zip", "tar", "gz", "tgz", "epub", "json", "xml", "csv", "docx", "age"];

/// Where what is made is to be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    out: PathBuf,
    /// Whether it is a folder that holds everything, or a file with others beside it.
    is_folder: bool,
    /// Where everything stands until it is whole.
    work: PathBuf,
    /// The folder of pictures and originals: none of its own in a folder.
    pub prefix: String,
    stem: String,
}

impl Place {
    /// Refuses what cannot be, before anything is read.
    pub fn new(out: &Path, manifest: &Manifest) -> CustodyResult<Self> {
        need_folder(out)?;
        refuse_filled(out)?;
        let ending = out.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let own = manifest.kind.ending();
        let is_file = ending == own && manifest.per == Per::Export;
        if !is_file && ENDINGS.contains(&ending.as_str()) {
            let name = &manifest.name;
            return Err(CustodyError::Usage(match manifest.per {
                Per::Export => format!("{name} makes .{own}: {} needs that ending, or none for a folder", out.display()),
                Per::Memory => {
                    format!("{name} makes a file of each memory: {} is to be a folder, whose name has no such ending", out.display())
                }
            }));
        }
        let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = if is_file { out.file_stem().unwrap_or_default().to_string_lossy().into_owned() } else { String::new() };
        let place = Self {
            is_folder: !is_file,
            work: out.with_file_name(format!("{name}.part")),
            prefix: if is_file { format!("{stem}-files") } else { String::new() },
            out: out.to_path_buf(),
            stem,
        };
        if is_file {
            for name in [place.prefix.clone(), place.manifest(), format!("{}-1.{own}", place.stem)] {
                refuse_filled(&out.with_file_name(name))?;
            }
        }
        if fs::symlink_metadata(&place.work).is_ok() {
            let work = place.work.display();
            return Err(CustodyError::Refused(format!(
                "{work} is there: another run is at it, or left it when it was cut off; then remove it"
            )));
        }
        Ok(place)
    }

    fn manifest(&self) -> String {
        if self.is_folder { "manifest.json".into() } else { format!("{}.manifest.json", self.stem) }
    }

    /// The name of a file that holds all memories, or some of them: `letter.pdf`, `letter-2.pdf`, `index.html`.
    fn name(&self, manifest: &Manifest, number: usize, of: usize) -> String {
        let stem = match (self.is_folder, manifest.kind) {
            (false, _) => self.stem.as_str(),
            (true, Kind::Html) => "index",
            (true, _) => manifest.name.as_str(),
        };
        let ending = manifest.kind.ending();
        if of == 1 && !self.is_folder {
            // As it was asked for, also where the ending is written otherwise.
            return self.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        }
        if of == 1 { format!("{stem}.{ending}") } else { format!("{stem}-{number}.{ending}") }
    }

    /// Lets everything stand where it was asked for.
    fn publish(&self) -> CustodyResult<()> {
        if self.is_folder {
            refuse_filled(&self.out)?;
            return fs::rename(&self.work, &self.out).map_err(CustodyError::io(&self.out));
        }
        let entries = fs::read_dir(&self.work).and_then(|all| all.map(|one| Ok(one?.file_name())).collect::<Result<Vec<_>, _>>());
        let mut names = entries.map_err(CustodyError::io(&self.work))?;
        names.sort();
        let targets: Vec<PathBuf> = names.iter().map(|name| self.out.with_file_name(name)).collect();
        targets.iter().try_for_each(|target| refuse_filled(target))?;
        for (at, (name, target)) in names.iter().zip(&targets).enumerate() {
            if let Err(error) = fs::rename(self.work.join(name), target) {
                // What has its name by now goes back, to be removed with the rest.
                names.iter().zip(&targets).take(at).for_each(|(name, target)| drop(fs::rename(target, self.work.join(name))));
                return Err(CustodyError::io(target)(error));
            }
        }
        fs::remove_dir(&self.work).map_err(CustodyError::io(&self.work))
    }
}

/// Makes what a template makes.
pub(super) struct Maker {
    task: Task,
    beside: Beside,
    report: TemplateReport,
    views: Vec<View>,
    /// What was left out before this file.
    told: usize,
    /// The name of the file, if each memory has one.
    name: Option<String>,
    number: u64,
}

impl Maker {
    pub fn new(task: Task, beside: Beside, report: TemplateReport) -> Self {
        Self { task, beside, report, views: Vec::new(), told: 0, name: None, number: 0 }
    }

    pub fn make(mut self, days: mpsc::Receiver<Message>) -> CustodyResult<TemplateReport> {
        let work = self.task.place.work.clone();
        self.task.monitor.stage("filling in the template", Some(self.task.plan.memories), None);
        fs::create_dir(&work).map_err(CustodyError::io(&work))?;
        let made = self.make_all(days).and_then(|()| self.publish());
        if made.is_err() {
            // What is half made is of no use; what cannot be removed is under a name that says so.
            drop(fs::remove_dir_all(&work));
        }
        made.map(|()| self.report)
    }

    fn make_all(&mut self, mut days: mpsc::Receiver<Message>) -> CustodyResult<()> {
        loop {
            let died = || Err(CustodyError::Damaged("reading the vault ended before its end: run this again".into()));
            let Some(day) = days.blocking_recv().unwrap_or_else(died)? else { break };
            for (id, reason) in day.damaged {
                self.beside.skipped.push((format!("memory {id}"), format!("its record cannot be read: {reason}")));
            }
            for memory in day.memories {
                if self.task.monitor.cancelled() {
                    return Err(keepsake_repository::RepositoryError::Cancelled.into());
                }
                self.take(&memory)?;
                self.task.monitor.advance(1, 0);
            }
        }
        // The last file is held open to here: what is left out after its last memory belongs into it, too.
        if !self.views.is_empty() || (self.report.files.is_empty() && self.task.set.manifest.per == Per::Export) {
            self.close()?;
        }
        Ok(())
    }

    fn take(&mut self, memory: &Memory) -> CustodyResult<()> {
        if let Some(reason) = self.task.plan.unset.get(&memory.id) {
            self.beside.skipped.push((format!("memory {}", memory.id), format!("{reason}: other templates and exports have it")));
            return Ok(());
        }
        let is_alone = self.task.set.manifest.per == Per::Memory;
        if is_alone {
            // What others lack is no business of this file; the manifest has it.
            self.told = self.beside.skipped.len();
        } else if self.is_full() {
            self.close()?;
        }
        let task = &self.task;
        let shown = self.beside.of(memory, &task.names, &task.place.work)?;
        self.number += 1;
        let alone = BTreeSet::from([memory.id]);
        let here = if is_alone { &alone } else { &task.plan.here };
        let viewer = Viewer { kind: task.set.manifest.kind, names: &task.names, here, language: &task.head.language };
        self.views.push(viewer.memory(memory, self.number, &shown));
        self.report.memories += 1;
        if is_alone {
            let path = markdown::path_of(memory);
            let stem = path.rsplit('/').next().unwrap_or(&path).trim_end_matches(".md");
            self.name = Some(format!("{stem}.{}", task.set.manifest.kind.ending()));
            self.close()?;
        }
        Ok(())
    }

    /// Whether the file has the memories that were counted for it.
    fn is_full(&self) -> bool {
        let border = self.task.plan.borders.get(self.report.files.len());
        !self.views.is_empty() && border.is_some_and(|border| self.views.len() as u64 >= *border)
    }

    /// Fills in the file that was gathered, and writes it where it waits for its name.
    fn close(&mut self) -> CustodyResult<()> {
        let views = std::mem::take(&mut self.views);
        let (memories, pictures) = (views.len() as u64, self.beside.next());
        let (task, place) = (&self.task, &self.task.place);
        let mut head = task.head.clone();
        head.number = self.report.files.len() + 1;
        let name = self.name.take().unwrap_or_else(|| place.name(&task.set.manifest, head.number, head.of));
        let left_out = self.beside.skipped[self.told..].to_vec();
        self.told = self.beside.skipped.len();
        let (set, engine, setter) = (Arc::clone(&task.set), task.engine.clone(), Arc::clone(&task.setter));
        let ident = format!("{} {}", task.ident, head.number);
        let work = move || -> Result<Printed, Vec<Problem>> {
            let alone = set.manifest.per == Per::Memory;
            if let Some(engine) = engine {
                let file = engine.fill(&head, &views, alone, &left_out).map_err(|problem| vec![problem])?;
                return Ok(Printed { file, pages: None, replaced: BTreeMap::new() });
            }
            let data = view::data(&head, &views, alone, &left_out);
            drop(views);
            setter.set(&Sheet { set, data, pictures, date: head.state.at, ident })
        };
        let made = bounded(Limits::SETTING, &*task.monitor, work);
        let Printed { file, pages, replaced } =
            made.map_err(|given_up| self.given_up(given_up))?.map_err(|problems| unfit(&task.head.template, &problems))?;
        write_whole(&place.work.join(&name), &file)?;
        for (character, count) in replaced {
            *self.report.replaced.entry(format!("U+{:04X}", u32::from(character))).or_default() += count;
        }
        let (bytes, sha256) = (file.len() as u64, Sha256Digest::of(&file));
        self.task.monitor.advance(0, bytes);
        self.report.files.push(TemplateFile { name, bytes, sha256, pages, memories: Some(memories) });
        Ok(())
    }

    fn given_up(&self, given_up: GivenUp) -> CustodyError {
        let one = |message: String| unfit(&self.task.head.template, &[Problem::new(message)]);
        match given_up {
            GivenUp::Cancelled => keepsake_repository::RepositoryError::Cancelled.into(),
            GivenUp::Died => one("it made what sets it fail; other templates and `--format` still work".into()),
            GivenUp::TooMuch(what) => one(format!("{what}, and was given up: choose less with --filter")),
        }
    }

    /// Writes the manifest, and gives everything its name.
    fn publish(&mut self) -> CustodyResult<()> {
        let place = &self.task.place;
        self.report.skipped = std::mem::take(&mut self.beside.skipped);
        self.report.beside = std::mem::take(&mut self.beside.files);
        self.report.named_only = self.beside.named_only;
        let mut json = serde_json::to_vec_pretty(&self.report).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        json.push(b'\n');
        write_whole(&place.work.join(place.manifest()), &json)?;
        place.publish()
    }
}
