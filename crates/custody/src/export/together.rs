//! Several exports of an owner at once: all show the same moment, and those that take the same memories are made of one read.
//!
//! Each is an export of its own, with its lease, its note in the vault and its end. They only sit at one table: once everybody has either
//! taken a seat or left, the vault is read, and every piece handed to all who sit. Who goes on with an earlier run, or is made in parts, reads alone.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use futures::future::join_all;
use keepsake_formats::book::Typesetter;
use keepsake_record::OwnerId;
use keepsake_vault::{Moment, VaultError};
use serde::Serialize;
use tokio::sync::{OnceCell, mpsc};

use super::{
    Asked, ExportOptions, ExportPlan, ExportReport, ExportState, Job, check,
    reading::{Piece, Reading},
    running::{report, send},
    selection::Selected,
    shown_place,
};
use crate::{
    BookOptions, Custody, CustodyError, CustodyResult, ErrorKind, MadeBook, Monitor,
    render::{Message, RenderedStream},
};

/// So many pieces wait for each.
const PIECES: usize = 32;

/// What each of several exports is to be.
pub enum BatchItem {
    /// A bag.
    Bag(ExportOptions),
    /// A book, and who sets it.
    Book(BookOptions, Arc<dyn Typesetter>),
}

/// What each of several exports became.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum BatchMade {
    /// A bag.
    Bag(ExportReport),
    /// A book.
    Book(MadeBook),
}

/// Where exports sit that are made of one read.
struct Table {
    state: Mutex<State>,
    plan: OnceCell<(ExportPlan, Option<Selected>)>,
}

struct State {
    /// Who has neither taken a seat nor left.
    awaited: usize,
    /// What is to be read, once somebody has said so.
    reading: Option<Reading>,
    guests: Vec<mpsc::Sender<Message<Piece>>>,
}

/// The place of one of them.
pub(super) struct Seat {
    table: Arc<Table>,
    moment: Moment,
    is_open: AtomicBool,
}

impl Table {
    fn new(guests: usize) -> Arc<Self> {
        let state = State { awaited: guests, reading: None, guests: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), plan: OnceCell::new() })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().expect("no holder panics");
        change(&mut state);
        state.awaited -= 1;
        if state.awaited == 0
            && let Some(reading) = state.reading.take()
        {
            let guests = std::mem::take(&mut state.guests);
            tokio::spawn(serve(send(reading), guests));
        }
    }
}

impl Seat {
    /// Counts what all take, once.
    pub async fn planned(
        &self,
        count: impl AsyncFnOnce() -> CustodyResult<(ExportPlan, Option<Selected>)>,
    ) -> CustodyResult<(ExportPlan, Option<Selected>)> {
        Ok(self.table.plan.get_or_try_init(|| count()).await?.clone())
    }

    /// The pieces of a reading: with the others where it is the same as theirs, and the first that is asked for here.
    pub fn pieces(&self, reading: Reading) -> RenderedStream<Piece> {
        if reading.moment != self.moment {
            self.leave();
        }
        if !self.is_open.swap(false, Ordering::Relaxed) {
            return send(reading);
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        self.table.change(|state| {
            state.reading = Some(reading);
            state.guests.push(sender);
        });
        RenderedStream::new(pieces)
    }

    /// Lets the others begin.
    pub fn leave(&self) {
        if self.is_open.swap(false, Ordering::Relaxed) {
            self.table.change(|_| {});
        }
    }
}

/// Hands every piece to all who still take some.
async fn serve(mut pieces: RenderedStream<Piece>, mut guests: Vec<mpsc::Sender<Message<Piece>>>) {
    loop {
        let next = pieces.next().await;
        let is_end = !matches!(next, Some(Ok(_)));
        let mut staying = Vec::with_capacity(guests.len());
        for guest in guests {
            let message = match &next {
                Some(Ok(piece)) => Ok(Some(piece.clone())),
                Some(Err(error)) => Err(same(error)),
                None => Ok(None),
            };
            if guest.send(message).await.is_ok() {
                staying.push(guest);
            }
        }
        if is_end || staying.is_empty() {
            return;
        }
        guests = staying;
    }
}

/// An error once more: what decides what is done about it stays.
fn same(error: &CustodyError) -> CustodyError {
    match error {
        CustodyError::Vault(VaultError::Passed { seq, why }) => VaultError::Passed { seq: *seq, why: why.clone() }.into(),
        CustodyError::Usage(text) => CustodyError::Usage(text.clone()),
        other if other.kind() == ErrorKind::Damaged => CustodyError::Damaged(other.to_string()),
        other if other.kind() == ErrorKind::Refused => CustodyError::Refused(other.to_string()),
        other if other.kind() == ErrorKind::Cancelled => keepsake_repository::RepositoryError::Cancelled.into(),
        other => CustodyError::Io { path: "reading the vault".into(), source: std::io::Error::other(other.to_string()) },
    }
}

/// Lets one of several tell how it goes, and the others only what is wrong.
struct Beside(Arc<dyn Monitor>);

impl Monitor for Beside {
    fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, what: &str, reason: &str) {
        self.0.problem(what, reason);
    }
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

impl Custody {
    async fn checked(&self, item: &BatchItem) -> CustodyResult<Asked> {
        match item {
            BatchItem::Bag(options) => {
                let options = options.settled()?;
                let away = self.away(&options.out, options.destination.as_deref()).await?;
                check(&options, away.as_ref())?;
                Asked::of(&options, away)
            }
            BatchItem::Book(options, typesetter) => self.asked_book(options, &**typesetter).await,
        }
    }

    /// The moment of those that were begun, if it can still be read.
    async fn begun_moment(&self, owner: OwnerId, asked: &[Asked]) -> CustodyResult<Option<Moment>> {
        let jobs = self.jobs(owner).await?;
        let begun = jobs.into_iter().rev().find(|job| job.state == ExportState::Begun && asked.contains(&job.asked));
        let Some(job) = begun else { return Ok(None) };
        match self.vault.as_of(owner, job.moment.clone()).catch_up().await {
            Ok(()) => Ok(Some(job.moment)),
            Err(VaultError::Passed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of an item before the others were cut off: it shows their moment, is as it was made, and nothing of it was erased since.
    async fn ended(&self, owner: OwnerId, item: &BatchItem, asked: &Asked, moment: &Moment) -> CustodyResult<Option<BatchMade>> {
        let of = |job: &Job| job.state != ExportState::Begun && job.asked == *asked && job.moment == *moment;
        let Some(job) = self.jobs(owner).await?.into_iter().rev().find(of) else { return Ok(None) };
        let depot = self.depot_of(&job).await?;
        let is_whole = || (0..job.parts.len()).try_fold(true, |whole, number| Ok(whole && job.is_whole(number, depot.as_ref())?));
        let is_whole: CustodyResult<bool> = tokio::task::block_in_place(is_whole);
        if !is_whole? || self.since(owner, &job).await?.is_none_or(|since| since.erased > 0) {
            return Ok(None);
        }
        let (resumed, kept) = (Some(job.began.to_string()), job.parts.len());
        Ok(Some(match item {
            BatchItem::Bag(options) => BatchMade::Bag(ExportReport { resumed, kept, ..report(job, options) }),
            BatchItem::Book(options, _) => {
                let made = self.made_book(owner, options, job).await?;
                BatchMade::Book(MadeBook { resumed, kept: made.report.volumes.len(), ..made })
            }
        }))
    }

    /// Makes several exports of an owner that show the same moment, bags of one read. Answers how each went, in their order: one that fails does not
    /// keep the others from being made.
    ///
    /// One that was cut off goes on at the moment that it had; what had ended stays as it is.
    ///
    /// # Errors
    /// One cannot be asked for, two are to be the same file, or the owner's state is not known.
    pub async fn export_batch(
        &self,
        owner: OwnerId,
        items: &[BatchItem],
        monitor: Arc<dyn Monitor>,
    ) -> CustodyResult<Vec<CustodyResult<BatchMade>>> {
        // What cannot be asked for is said before hours go into the others.
        let mut asked: Vec<Asked> = Vec::new();
        for item in items {
            let one = self.checked(item).await?;
            if asked.iter().any(|other| other.out == one.out) {
                let out = shown_place(&one.out);
                return Err(CustodyError::Usage(format!("two exports are to be {out}: give each a name of its own")));
            }
            asked.push(one);
        }
        let is_anew = items.iter().any(|item| match item {
            BatchItem::Bag(options) => options.anew,
            BatchItem::Book(options, _) => options.anew,
        });
        let begun = if is_anew { None } else { self.begun_moment(owner, &asked).await? };
        let mut ended: Vec<Option<BatchMade>> = Vec::new();
        for (item, asked) in items.iter().zip(&asked) {
            ended.push(match &begun {
                Some(moment) => self.ended(owner, item, asked, moment).await?,
                None => None,
            });
        }
        let moment = match begun {
            Some(moment) => moment,
            None => self.vault.head(owner).await?.moment(),
        };
        let bags = items.iter().zip(&ended).filter(|(item, ended)| matches!(item, BatchItem::Bag(_)) && ended.is_none()).count();
        let table = Table::new(bags);
        let first = items.iter().find_map(|item| if let BatchItem::Bag(options) = item { Some(options) } else { None });
        let taken = |options: &ExportOptions| (options.filter.as_ref().map(|filter| filter.as_str().to_owned()), options.for_sharing);
        let mut is_first = true;
        let bags = items.iter().zip(&ended).map(|(item, ended)| {
            let (BatchItem::Bag(options), None) = (item, ended) else { return None };
            let told: Arc<dyn Monitor> = if std::mem::take(&mut is_first) { monitor.clone() } else { Arc::new(Beside(monitor.clone())) };
            let seat = Seat { table: table.clone(), moment: moment.clone(), is_open: AtomicBool::new(true) };
            let is_alone = options.part_bytes.is_some() || first.is_some_and(|first| taken(first) != taken(options));
            Some(async move {
                if is_alone {
                    seat.leave();
                }
                let moment = Some(seat.moment.clone());
                let made = self.export_at_moment(owner, options, moment, Some(&seat).filter(|_| !is_alone), told).await;
                seat.leave();
                made.map(BatchMade::Bag)
            })
        });
        let bags: Vec<_> = bags.collect();
        let mut made = join_all(bags.into_iter().flatten()).await.into_iter();
        let mut all = Vec::with_capacity(items.len());
        for (item, ended) in items.iter().zip(ended) {
            all.push(match item {
                _ if ended.is_some() => Ok(ended.expect("it is")),
                BatchItem::Bag(_) => made.next().expect("each was made"),
                // One after the other: a volume takes memory enough.
                BatchItem::Book(options, typesetter) => self
                    .export_book_at_moment(owner, options, Some(moment.clone()), typesetter.clone(), monitor.clone())
                    .await
                    .map(BatchMade::Book),
            });
        }
        Ok(all)
    }
}
