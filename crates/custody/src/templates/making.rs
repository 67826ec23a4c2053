//! Making: memories are gathered into files, which are filled in or set, and get their names when all are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_formats::{
    book::Printed,
    markdown,
    names::Names,
    template::{
        Engine, Per, Problem, Set, Setter, Sheet,
        view::{self, Head, View, Viewer},
    },
};
use keepsake_record::{Memory, Sha256Digest};
use keepsake_vault::AsOf;
use tokio::sync::mpsc;

use super::{
    export::{TemplateFile, TemplatePlan, TemplateReport},
    files::{Beside, write_whole},
    giving_up::{GivenUp, Limits, bounded},
    leftovers::Listed,
    place::Place,
    unfit,
};
use crate::{CustodyError, CustodyResult, Monitor, books::Message};

/// All that making needs.
pub(super) struct Task {
    pub set: Arc<Set>,
    pub engine: Option<Arc<Engine>>,
    pub setter: Arc<dyn Setter>,
    pub head: Head,
    pub ident: String,
    pub names: Names,
    pub plan: TemplatePlan,
    pub place: Place,
    pub monitor: Arc<dyn Monitor>,
    /// That nothing was erased since it was begun: it may be in what was made.
    pub still: Still,
}

/// Asks something before everything gets its name, on a thread that may block.
pub(super) type Still = Box<dyn FnMut() -> CustodyResult<()> + Send>;

/// What finds out whether something was erased since now.
pub(super) async fn still(mut state: AsOf) -> CustodyResult<Still> {
    state.catch_up().await?;
    let (runtime, erased) = (tokio::runtime::Handle::current(), state.erased().len());
    Ok(Box::new(move || {
        runtime.block_on(state.catch_up())?;
        if state.erased().len() == erased {
            return Ok(());
        }
        Err(CustodyError::Refused(
            "something was erased while this was made, and may have been in it: nothing of it was kept, run it again".into(),
        ))
    }))
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
        self.task.monitor.stage("filling in the template", Some(self.task.plan.memories), None);
        self.task.place.begin()?;
        let made = self.make_all(days).and_then(|()| self.publish());
        if made.is_err() {
            self.task.place.give_up();
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
        // A picture that was given up for that is not left out of what stays.
        if task.monitor.cancelled() {
            return Err(keepsake_repository::RepositoryError::Cancelled.into());
        }
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
        (self.task.still)()?;
        let place = &self.task.place;
        self.report.skipped = std::mem::take(&mut self.beside.skipped);
        self.report.beside = std::mem::take(&mut self.beside.files);
        self.report.named_only = self.beside.named_only;
        let mut json = serde_json::to_vec_pretty(&self.report).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        json.push(b'\n');
        write_whole(&place.work.join(place.manifest()), &json)?;
        let manifest = Listed { name: place.manifest(), bytes: json.len() as u64, sha256: Sha256Digest::of(&json) };
        let made = self.report.files.iter().chain(&self.report.beside).map(Listed::of);
        place.publish(made.chain([manifest]).collect())
    }
}
