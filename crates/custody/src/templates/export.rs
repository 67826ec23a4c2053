//! An export with a template: counted first, so that it is known where files begin; then made, a file at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use keepsake_formats::template::{
    Engine, Kind, Media, Per, Set, Setter,
    view::{Head, State},
};
use keepsake_record::{Memory, MemoryId, OwnerId, Sha256Digest, Timestamp};
use keepsake_vault::{AsOf, Moment};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    files::Beside,
    making::{Maker, Task, still},
    place::Place,
    ready, unfit,
};
use crate::{
    Custody, CustodyError, CustodyResult, Filter, Monitor,
    books::{Message, read_days, send_days},
    copies::blocking,
    filter::{Chosen, Named},
    names::names_of,
    render::MediaReader,
};

/// The records of one file of HTML, Markdown or text are no longer: what is made of them stands in memory, several times as long.
const TEXT_BYTES_MAX: u64 = 24 << 20;
/// A PDF ends with the memory with which it reaches this: characters, and what else takes as much time and memory as so many of them.
const SET_COST: u64 = 1_000_000;
/// No memory with more is set at all. Its pictures do not count: what is too much of them is left out one by one.
const MEMORY_COST_MAX: u64 = 2_000_000;
/// What a memory costs beside its text, an attachment, and a picture.
const MEMORY_COST: u64 = 400;
const ATTACHMENT_COST: u64 = 200;
const PICTURE_COST: u64 = 5_000;

/// What to make, of what.
#[derive(Debug, Clone, Default)]
pub struct TemplateExport {
    /// The template.
    pub template: String,
    /// A file with the ending of what the template makes, or a folder.
    pub out: PathBuf,
    /// Which memories; those of the template's own filter unless told, all if it names none.
    pub filter: Option<Filter>,
    /// Its title; the owner's name unless told.
    pub title: Option<String>,
    /// The language of memories that name none, BCP 47; the owner's unless told.
    pub language: Option<String>,
}

/// What would be made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TemplatePlan {
    /// Which memories, if not all.
    pub filter: Option<String>,
    /// So many.
    pub memories: u64,
    /// Files that are filled in or set.
    pub files: u64,
    /// Attachments of them all.
    pub attachments: u64,
    /// Bytes of originals that go with it.
    pub original_bytes: u64,
    /// Memories that are left out, because they are too long to be set.
    pub too_long: u64,
    /// Records that cannot be read: nobody knows whether the filter would take them.
    pub damaged: u64,
    /// Attachments whose files never arrived.
    pub missing: u64,
    /// How many memories each file has.
    #[serde(skip)]
    pub(super) borders: Vec<u64>,
    /// Those that are too long to be set, each with the reason.
    #[serde(skip)]
    pub(super) unset: BTreeMap<MemoryId, &'static str>,
    /// All of them.
    #[serde(skip)]
    pub(super) here: BTreeSet<MemoryId>,
}

/// A file that was made.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateFile {
    /// Its path, from the manifest on.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over it.
    pub sha256: Sha256Digest,
    /// Its pages, if it has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<usize>,
    /// The memories in it; of a picture or an original none are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memories: Option<u64>,
}

/// How it went. It stands beside what was made, too: as its manifest.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateReport {
    /// What it is: `keepsake-template`.
    pub format: &'static str,
    /// The program that made it.
    pub program: String,
    /// The template.
    pub template: String,
    /// SHA-256 over the template's files, each with its path.
    pub template_sha256: Sha256Digest,
    /// Its title.
    pub title: String,
    /// The state that it shows: the number of the last change, its mark, its instant.
    pub seq: u64,
    /// The mark.
    pub mark: String,
    /// The instant.
    pub at: Timestamp,
    /// Which memories, if not all.
    pub filter: Option<String>,
    /// Memories in it.
    pub memories: u64,
    /// What was filled in or set.
    pub files: Vec<TemplateFile>,
    /// Pictures and originals that go with it.
    pub beside: Vec<TemplateFile>,
    /// What could not be shown and should have been, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What is only named: recordings, films, documents.
    pub named_only: u64,
    /// Characters in the data that no font has, so often each: where one is shown, `[U+XXXX]` stands for it.
    pub replaced: BTreeMap<String, u64>,
}

impl Custody {
    /// Exports an owner's memories with a template.
    ///
    /// # Errors
    /// The template is not fit, something is at the target, or it does not fit into one file. What cannot be shown is in the report.
    pub async fn export_template(
        &self,
        owner: OwnerId,
        options: &TemplateExport,
        setter: Arc<dyn Setter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<TemplateReport> {
        let result = self.run_template(owner, options, setter, monitor).await;
        self.audited_export(owner, &options.out, result, |report| report.skipped.len()).await
    }

    /// What an export with a template would make.
    ///
    /// # Errors
    /// As the export itself, as far as that can be known before.
    pub async fn plan_template(&self, owner: OwnerId, options: &TemplateExport) -> CustodyResult<TemplatePlan> {
        let result = async {
            let (set, filter) = ready(&self.home, &options.template)?;
            let place = Place::new(&options.out, &set.manifest, owner)?;
            blocking(move || place.look()).await?;
            let moment = self.vault.head(owner).await?.moment();
            let filter = options.filter.clone().or(filter);
            let chosen = self.chosen(owner, &moment, filter.as_ref()).await?;
            planned(self.vault.as_of(owner, moment), chosen.as_ref(), &set, filter.as_ref()).await
        };
        let result = result.await;
        self.audited(Some(owner), "export.plan", &options.out.display().to_string(), result).await
    }

    async fn chosen(&self, owner: OwnerId, moment: &Moment, filter: Option<&Filter>) -> CustodyResult<Option<Chosen>> {
        let Some(filter) = filter else { return Ok(None) };
        let named = Named::of(&mut self.vault.as_of(owner, moment.clone())).await?;
        Ok(Some(Chosen::new(filter, named)?))
    }

    async fn run_template(
        &self,
        owner: OwnerId,
        options: &TemplateExport,
        setter: Arc<dyn Setter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<TemplateReport> {
        let (set, filter) = ready(&self.home, &options.template)?;
        let place = Place::new(&options.out, &set.manifest, owner)?;
        let watch = monitor.clone();
        let work = async |place: Place| self.fill_template(owner, options, (set, filter), place, setter, monitor).await;
        self.alone_at(place, watch, work).await
    }

    async fn fill_template(
        &self,
        owner: OwnerId,
        options: &TemplateExport,
        (set, filter): (Set, Option<Filter>),
        place: Place,
        setter: Arc<dyn Setter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<TemplateReport> {
        let filter = options.filter.clone().or(filter);
        let is_text = set.manifest.kind != Kind::Typst;
        let engine = is_text.then(|| Engine::new(&set)).transpose().map_err(|problems| unfit(&options.template, &problems))?;
        let moment = self.vault.head(owner).await?.moment();
        let state = || self.vault.as_of(owner, moment.clone());
        let unerased = still(state()).await?;
        let person = state().owner().await?;
        let names = names_of(&mut state()).await?;
        let chosen = self.chosen(owner, &moment, filter.as_ref()).await?;
        monitor.stage("counting the memories", None, None);
        let plan = planned(state(), chosen.as_ref(), &set, filter.as_ref()).await?;
        let at = Timestamp::from_micros(moment.at)?;
        let head = Head {
            program: concat!("keepsake ", env!("CARGO_PKG_VERSION")).into(),
            template: set.manifest.name.clone(),
            title: options.title.clone().filter(|title| !title.trim().is_empty()).unwrap_or_else(|| person.name.clone()),
            language: options.language.clone().or(person.settings.language).unwrap_or_else(|| "en".into()),
            owner: person.name,
            state: State { seq: moment.seq, mark: moment.mark.clone(), at },
            filter: plan.filter.clone(),
            count: plan.memories,
            number: 1,
            of: plan.borders.len(),
        };
        let digest = digest(&set);
        // Where it is to be does not belong to what it is.
        let ident =
            format!("{owner} {} {} {digest} {:?} {:?} {:?}", moment.lineage, head.state.mark, head.title, head.language, head.filter);
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        let report = report(&head, digest);
        let beside = Beside::new(media, self.programs_until(&monitor), &set.manifest, &place.prefix);
        let task =
            Task { set: Arc::new(set), engine: engine.map(Arc::new), setter, head, ident, names, plan, place, monitor, still: unerased };
        let (sender, days) = mpsc::channel(4);
        tokio::spawn(read_days(state(), chosen, sender));
        blocking(move || Maker::new(task, beside, report).make(days)).await
    }
}

fn report(head: &Head, template_sha256: Sha256Digest) -> TemplateReport {
    TemplateReport {
        format: "keepsake-template",
        program: head.program.clone(),
        template: head.template.clone(),
        template_sha256,
        title: head.title.clone(),
        seq: head.state.seq,
        mark: head.state.mark.clone(),
        at: head.state.at,
        filter: head.filter.clone(),
        memories: 0,
        files: Vec::new(),
        beside: Vec::new(),
        skipped: Vec::new(),
        named_only: 0,
        replaced: BTreeMap::new(),
    }
}

/// What a template is, in one number.
fn digest(set: &Set) -> Sha256Digest {
    let mut lines = format!("{}\n", set.manifest.to_toml());
    set.files.iter().for_each(|(path, bytes)| lines.push_str(&format!("{}  {path}\n", Sha256Digest::of(bytes))));
    Sha256Digest::of(lines.as_bytes())
}

/// Goes through all memories: how many there are, and with which each file ends.
async fn planned(mut state: AsOf, chosen: Option<&Chosen>, set: &Set, filter: Option<&Filter>) -> CustodyResult<TemplatePlan> {
    let (sender, mut days) = mpsc::channel::<Message>(4);
    let sending = async {
        let sent = send_days(&mut state, chosen, &sender).await;
        drop(sender);
        sent
    };
    let counting = async {
        let mut counted = Counted::default();
        while let Some(day) = days.recv().await {
            let Some(day) = day? else { continue };
            counted.plan.damaged += day.damaged.len() as u64;
            day.memories.iter().for_each(|memory| counted.add(memory, set));
        }
        CustodyResult::Ok(counted)
    };
    let (sent, counted) = tokio::join!(sending, counting);
    sent?;
    let mut plan = counted?.ended(set)?;
    plan.filter = filter.map(|filter| filter.as_str().to_owned());
    if plan.memories == 0 && plan.filter.is_some() {
        if let Some((id, reason)) = plan.unset.first_key_value() {
            return Err(CustodyError::Refused(format!(
                "nothing is left to be made: of memory {id}, {reason}; other templates and exports have it"
            )));
        }
        if plan.damaged > 0 {
            return Err(CustodyError::Refused(format!(
                "the filter takes none of the memories that can be read, and {} records are damaged: `keepsake verify` tells more",
                plan.damaged
            )));
        }
        return Err(CustodyError::Usage("the filter takes no memory: `keepsake memory list` shows which there are".into()));
    }
    Ok(plan)
}

#[derive(Default)]
struct Counted {
    plan: TemplatePlan,
    in_file: u64,
    cost: u64,
    text_bytes: u64,
}

impl Counted {
    fn add(&mut self, memory: &Memory, set: &Set) {
        let manifest = &set.manifest;
        if manifest.kind == Kind::Typst
            && let Some(reason) = reason_unset(memory)
        {
            self.plan.unset.insert(memory.id, reason);
            self.plan.too_long += 1;
            return;
        }
        self.plan.missing += memory.attachments.iter().filter(|one| one.medium.is_none()).count() as u64;
        self.plan.attachments += memory.attachments.len() as u64;
        if manifest.media.originals() {
            self.plan.original_bytes +=
                memory.attachments.iter().filter_map(|one| one.medium.as_ref()).map(|medium| medium.bytes).sum::<u64>();
        }
        self.plan.here.insert(memory.id);
        self.plan.memories += 1;
        self.in_file += 1;
        self.cost += cost(memory, manifest.media);
        self.text_bytes += memory.to_line().len() as u64;
        let is_full = manifest.kind == Kind::Typst && self.cost >= SET_COST;
        if manifest.per == Per::Memory || is_full {
            self.end_file();
        }
    }

    fn end_file(&mut self) {
        self.plan.borders.push(self.in_file);
        (self.in_file, self.cost) = (0, 0);
    }

    fn ended(mut self, set: &Set) -> CustodyResult<TemplatePlan> {
        let manifest = &set.manifest;
        // Without memories there is a file that says so.
        if self.in_file > 0 || (self.plan.borders.is_empty() && manifest.per == Per::Export) {
            self.end_file();
        }
        if manifest.kind != Kind::Typst && manifest.per == Per::Export && self.text_bytes > TEXT_BYTES_MAX {
            return Err(CustodyError::Refused(format!(
                "{} memories with {} MiB of text are more than the {} MiB that one file may be made of: choose less with --filter, such as `from:2024`, or a template with `per = \"memory\"`",
                self.plan.memories,
                self.text_bytes >> 20,
                TEXT_BYTES_MAX >> 20
            )));
        }
        self.plan.files = self.plan.borders.len() as u64;
        Ok(self.plan)
    }
}

/// Why a memory cannot be set at all.
fn reason_unset(memory: &Memory) -> Option<&'static str> {
    let words = words_cost(memory);
    if words > MEMORY_COST_MAX {
        return Some("its text is too long to be set");
    }
    (words + attachments_cost(memory) > MEMORY_COST_MAX).then_some("it has too many attachments to be set")
}

fn words_cost(memory: &Memory) -> u64 {
    let custom = memory.custom.values().chain(memory.extra.values()).map(|value| value.to_string().len() as u64).sum::<u64>();
    memory.text.chars().count() as u64 + custom + MEMORY_COST
}

fn attachments_cost(memory: &Memory) -> u64 {
    memory.attachments.len() as u64 * ATTACHMENT_COST
}

fn cost(memory: &Memory, media: Media) -> u64 {
    let pictures = memory.attachments.iter().filter(|one| media.pictures() && one.media_type.starts_with("image/")).count() as u64;
    words_cost(memory) + attachments_cost(memory) + pictures * PICTURE_COST
}
