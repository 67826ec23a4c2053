//! Export as a book: memories in the order in which they happened, in volumes, each a PDF for archives or an EPUB for readers.
//!
//! A volume ends by what is in it alone, so that the same state gives the same volumes. One is gathered and set at a time: memory is bounded by a
//! volume and the memories of a day, or those without one.

mod binder;
mod leaves;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use keepsake_formats::book::{Book, Paper, Typesetter};
use keepsake_record::{
    Memory, OwnerId, Sha256Digest, Timestamp,
    layout::{DayPath, ShardPrefix},
};
use keepsake_vault::{DayFileRow, Snapshot};
use serde::Serialize;
use tokio::sync::mpsc;

pub(crate) use self::leaves::picture_of;
use self::{binder::Binder, leaves::Leaves};
use crate::{
    Custody, CustodyResult, Filter, Monitor,
    copies::blocking,
    filter::{Chosen, Named},
    names::names_of,
    render::MediaReader,
};

/// Days that are read at once.
const DAYS: u32 = 64;

/// How a book is to be.
#[derive(Debug, Clone)]
pub struct BookOptions {
    /// The file to make; with more than one volume, `NAME-1.pdf`, `NAME-2.pdf` …; its ending is the typesetter's.
    pub out: PathBuf,
    /// Which memories; all unless told.
    pub filter: Option<Filter>,
    /// Its title; the owner's name unless told.
    pub title: Option<String>,
    /// The language of memories that name none, BCP 47; the owner's unless told.
    pub language: Option<String>,
    /// What it is printed on.
    pub paper: Paper,
    /// Whether each volume holds its memories as data, too.
    pub with_data: bool,
}

/// A volume that was made.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeFile {
    /// The file's name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over it.
    pub sha256: Sha256Digest,
    /// Its pages, if it has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<usize>,
    /// The memories in it.
    pub memories: usize,
}

/// How making a book went. Beside the volumes it stands as a file, too: their manifest.
#[derive(Debug, Clone, Serialize)]
pub struct BookReport {
    /// What it is: `keepsake-book`.
    pub format: &'static str,
    /// The program that made it.
    pub program: String,
    /// The book's title.
    pub title: String,
    /// The state that it shows: the number of the last change, and its instant.
    pub seq: u64,
    /// When that was.
    pub at: Timestamp,
    /// Memories in it.
    pub memories: u64,
    /// Its volumes.
    pub volumes: Vec<VolumeFile>,
    /// What could not be shown and should have been, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What paper cannot hold and the book only names: recordings, films, documents.
    pub named_only: u64,
    /// Characters that cannot be shown, so often each: printed as `[U+XXXX]`, or as U+FFFD on screens.
    pub replaced: BTreeMap<String, u64>,
}

impl Custody {
    /// Exports an owner's memories as a book.
    ///
    /// # Errors
    /// Something is at the target, or it cannot be written or set. Pictures that cannot be shown are in the report.
    pub async fn export_book(
        &self,
        owner: OwnerId,
        options: &BookOptions,
        typesetter: Arc<dyn Typesetter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<BookReport> {
        let result = self.run_book(owner, options, typesetter, monitor).await;
        self.audited_export(owner, &options.out, result, |report| report.skipped.len()).await
    }

    async fn run_book(
        &self,
        owner: OwnerId,
        options: &BookOptions,
        typesetter: Arc<dyn Typesetter>,
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<BookReport> {
        let mut snapshot = self.vault.snapshot(owner).await?;
        let person = snapshot.owner().await?;
        let names = names_of(&mut self.vault.as_of(owner, snapshot.head.moment())).await?;
        let head = snapshot.head.clone();
        let book = Book {
            title: options.title.clone().filter(|title| !title.trim().is_empty()).unwrap_or_else(|| person.name.clone()),
            author: person.name.clone(),
            language: options.language.clone().or(person.settings.language).unwrap_or_else(|| "en".into()),
            paper: options.paper,
            date: Timestamp::from_micros(head.last_at)?,
        };
        // Where the file is to be does not belong to what it is.
        let filter = options.filter.as_ref().map(Filter::as_str);
        let ident = format!(
            "{owner} {} {} {:?} {:?} {:?} {} {filter:?} {}",
            head.lineage,
            head.mark,
            book.title,
            book.language,
            book.paper,
            options.with_data,
            typesetter.ending()
        );
        let chosen = match &options.filter {
            Some(filter) => Some(Chosen::new(filter, Named::of(&mut self.vault.as_of(owner, head.moment())).await?)?),
            None => None,
        };
        let (sender, days) = mpsc::channel(4);
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        let leaves = Leaves::new(names, media, typesetter.side_max(options.paper));
        tokio::spawn(read(snapshot, chosen, sender));
        let report = BookReport {
            format: "keepsake-book",
            program: concat!("keepsake ", env!("CARGO_PKG_VERSION")).into(),
            title: book.title.clone(),
            seq: head.seq,
            at: book.date,
            memories: 0,
            volumes: Vec::new(),
            skipped: Vec::new(),
            named_only: 0,
            replaced: BTreeMap::new(),
        };
        let binder = Binder::new(options.clone(), book, ident, report);
        let total = options.filter.is_none().then_some(head.memories);
        blocking(move || binder.bind(days, leaves, &*typesetter, &*monitor, total)).await
    }
}

/// The memories of a day.
#[derive(Default)]
pub(crate) struct Day {
    pub memories: Vec<Memory>,
    /// Records that are none, by id, each with the reason.
    pub damaged: Vec<(String, String)>,
}

/// What a reader sends: a day, or `None` once all were sent. One that ends without it has died.
pub(crate) type Message = CustodyResult<Option<Day>>;

/// Reads the memories of day after day, the undated last.
async fn read(mut snapshot: Snapshot, chosen: Option<Chosen>, out: mpsc::Sender<Message>) {
    let sent = send_days(&mut snapshot, chosen.as_ref(), &out).await;
    // If nobody receives any more, nobody waits for the end either.
    drop(out.send(sent.map(|()| None)).await);
}

/// Sends the memories of day after day; that it was the last one says who called.
pub(crate) async fn send_days(snapshot: &mut Snapshot, chosen: Option<&Chosen>, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
    let mut after = String::new();
    loop {
        let mut days = snapshot.days_after(&after, DAYS).await?;
        let last = days.last().and_then(|day| day.day());
        let is_end = last.is_none();
        if is_end {
            days.push(DayPath::new(None));
        }
        for day in days {
            let rows = snapshot.day_rows(day, ShardPrefix::ROOT).await?;
            let mut memories = memories_of(rows);
            memories.memories.retain(|memory| chosen.is_none_or(|chosen| chosen.takes(memory)));
            if out.send(Ok(Some(memories))).await.is_err() {
                return Ok(());
            }
        }
        match last {
            Some(day) => after = day.to_string(),
            None => return Ok(()),
        }
    }
}

/// The memories of rows in the order in which they happened.
fn memories_of(rows: Vec<DayFileRow>) -> Day {
    let mut day = Day::default();
    for row in rows {
        match Memory::from_line(row.record.as_bytes()) {
            Ok(memory) => day.memories.push(memory),
            Err(error) => day.damaged.push((row.id, error.to_string())),
        }
    }
    day.memories.sort_by_key(|memory| (memory.when.sort_micros(), memory.created, memory.id));
    day
}
