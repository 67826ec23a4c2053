//! Reading the pieces of files from behind a network: neighbours with one request, several requests at once.
//!
//! Whoever writes files says which pieces it will want, in order, and takes them in that order; they are asked for some way ahead, a window of a few
//! MiB at a time. How much is on its way or waits is bounded for all writers together: each window holds a permit until its bytes are written.
//! A writer asks in order, and waits for a permit only while it holds none, so that whoever holds permits goes on.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, Weak,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use keepsake_storage::Caches;

use crate::{BlobKind, Id, Location, Repository, RepositoryResult, reading::Scratch, repository::object};

/// So many bytes that are wanted make a window; a single piece may be longer.
const WINDOW_BYTES: u32 = 4 << 20;
/// So much that nobody wants is read for the sake of one request less,
const GAP_BYTES: u32 = 64 << 10;
/// and so much in a whole window.
const GAPS_BYTES: u32 = 1 << 20;
/// Windows on their way, or come and not yet written, for all writers together.
const PERMITS: usize = 32;
/// And for one writer.
const AHEAD: usize = 8;
/// Requests on their way at once.
const REQUESTS: usize = 24;

/// A part of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    pack: Id,
    start: u32,
    end: u32,
}

/// Pieces that are asked for together, and what is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// Which of the writer's.
    pieces: Range<usize>,
    spans: Vec<Span>,
}

/// What to ask for, by where the pieces are; one that is nowhere is in no span.
fn windows(places: &[Option<Location>]) -> VecDeque<Window> {
    let (mut all, mut first, mut bytes) = (VecDeque::new(), 0, 0_u32);
    for (at, place) in places.iter().enumerate() {
        bytes = bytes.saturating_add(place.map_or(0, |place| place.length));
        if bytes >= WINDOW_BYTES || at + 1 == places.len() {
            all.push_back(Window { pieces: first..at + 1, spans: spans(places[first..=at].iter().flatten().copied().collect()) });
            (first, bytes) = (at + 1, 0);
        }
    }
    all
}

fn spans(mut places: Vec<Location>) -> Vec<Span> {
    places.sort_by_key(|place| (place.pack, place.offset));
    let (mut spans, mut gaps): (Vec<Span>, u32) = (Vec::new(), GAPS_BYTES);
    for place in places {
        let end = place.offset + place.length;
        match spans.last_mut() {
            // Before its end: two files have the same piece.
            Some(span) if span.pack == place.pack && place.offset.saturating_sub(span.end) <= GAP_BYTES.min(gaps) => {
                gaps -= place.offset.saturating_sub(span.end);
                span.end = span.end.max(end);
            }
            _ => spans.push(Span { pack: place.pack, start: place.offset, end }),
        }
    }
    spans
}

/// Where the bytes of a span come in.
type Answer = Receiver<RepositoryResult<Vec<u8>>>;

struct Request {
    span: Span,
    /// Whether somebody still waits for it.
    wanted: Weak<()>,
    reply: SyncSender<RepositoryResult<Vec<u8>>>,
}

/// Threads that read, and how many windows there may be.
pub(super) struct Fetcher {
    requests: Mutex<Sender<Request>>,
    permits: Mutex<usize>,
    freed: Condvar,
}

/// One of the permits; it goes back when this is dropped.
struct Permit<'a>(&'a Fetcher);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.permits.lock().expect("no holder panics") += 1;
        self.0.freed.notify_one();
    }
}

impl Fetcher {
    /// Starts the threads; they end when this is dropped.
    pub fn start<'scope>(scope: &'scope std::thread::Scope<'scope, '_>, repository: &'scope Repository) -> Self {
        let (sender, requests) = channel::<Request>();
        let requests = Arc::new(Mutex::new(requests));
        for _ in 0..REQUESTS {
            let requests = requests.clone();
            scope.spawn(move || fetch(repository, &requests));
        }
        Self { requests: Mutex::new(sender), permits: Mutex::new(PERMITS), freed: Condvar::new() }
    }

    /// Takes a permit; `wait`: also if one has to be waited for.
    fn permit(&self, wait: bool) -> Option<Permit<'_>> {
        let mut permits = self.permits.lock().expect("no holder panics");
        while *permits == 0 {
            if !wait {
                return None;
            }
            permits = self.freed.wait(permits).expect("no holder panics");
        }
        *permits -= 1;
        Some(Permit(self))
    }

    fn ask(&self, span: &Span, wanted: &Arc<()>) -> Answer {
        let (reply, answer) = sync_channel(1);
        let request = Request { span: span.clone(), wanted: Arc::downgrade(wanted), reply };
        // The threads live as long as this does.
        drop(self.requests.lock().expect("no holder panics").send(request));
        answer
    }

    /// Begins to read pieces that a writer will want, in this order.
    pub fn ahead<'a>(&'a self, repository: &'a Repository, pieces: &[Id]) -> Ahead<'a> {
        let places: Vec<_> = pieces.iter().map(|id| repository.locate(BlobKind::Data, id)).collect();
        Ahead { fetcher: self, repository, windows: windows(&places), asked: VecDeque::new(), current: None, wanted: Arc::new(()) }
    }
}

struct Asked<'a> {
    window: Window,
    answers: Vec<Answer>,
    permit: Permit<'a>,
}

struct Held<'a> {
    window: Window,
    bytes: Vec<Vec<u8>>,
    _permit: Permit<'a>,
}

impl<'a> Asked<'a> {
    /// Waits for the bytes. What did not come is empty.
    fn hold(self) -> Held<'a> {
        let bytes = self.answers.into_iter().map(|answer| answer.recv().ok().and_then(Result::ok).unwrap_or_default()).collect();
        Held { window: self.window, bytes, _permit: self.permit }
    }
}

impl Held<'_> {
    fn sealed(&self, place: &Location) -> Option<&[u8]> {
        let is_in = |span: &Span| span.pack == place.pack && span.start <= place.offset && place.offset + place.length <= span.end;
        let at = self.window.spans.iter().position(is_in)?;
        let from = (place.offset - self.window.spans[at].start) as usize;
        self.bytes[at].get(from..from + place.length as usize)
    }
}

/// The pieces that one writer wants, on their way.
pub(super) struct Ahead<'a> {
    fetcher: &'a Fetcher,
    repository: &'a Repository,
    windows: VecDeque<Window>,
    asked: VecDeque<Asked<'a>>,
    current: Option<Held<'a>>,
    /// Goes with the writer: what it asked for and nobody has begun to read is not read then.
    wanted: Arc<()>,
}

impl Ahead<'_> {
    /// One of the pieces by its number; numbers only grow, and some may be left out. A piece that cannot be had this way is asked for alone,
    /// wherever else it stands.
    ///
    /// # Errors
    /// It is damaged or nowhere.
    pub fn piece<'s>(&mut self, number: usize, id: &Id, scratch: &'s mut Scratch) -> RepositoryResult<&'s [u8]> {
        self.advance(number);
        let place = self.repository.locate(BlobKind::Data, id);
        let opened = place.is_some_and(|place| {
            let sealed = self.current.as_ref().and_then(|held| held.sealed(&place));
            sealed.is_some_and(|sealed| self.repository.open_blob(id, &place, sealed, scratch).is_ok())
        });
        if opened { Ok(scratch.plain()) } else { self.repository.piece(id, scratch) }
    }

    /// As [`Ahead::piece`], but behind what is in a buffer, and not compared with its name. Answers whether it came this way.
    pub fn append_piece(&mut self, number: usize, id: &Id, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        self.advance(number);
        let Some(place) = self.repository.locate(BlobKind::Data, id) else { return false };
        let sealed = self.current.as_ref().and_then(|held| held.sealed(&place));
        sealed.is_some_and(|sealed| self.repository.append_unnamed(&place, sealed, scratch, out))
    }

    /// Makes the window of a piece the current one.
    fn advance(&mut self, number: usize) {
        loop {
            let is_past = |window: &Window| window.pieces.end <= number;
            if self.current.as_ref().is_some_and(|held| is_past(&held.window)) {
                self.current = None;
            }
            self.ask();
            if self.current.is_some() {
                return;
            }
            match self.asked.pop_front() {
                // What a writer leaves out is not waited for.
                Some(asked) if is_past(&asked.window) => {}
                Some(asked) => self.current = Some(asked.hold()),
                None => return,
            }
        }
    }

    fn ask(&mut self) {
        while self.asked.len() < AHEAD && !self.windows.is_empty() {
            let holds_none = self.asked.is_empty() && self.current.is_none();
            let Some(permit) = self.fetcher.permit(holds_none) else { return };
            let window = self.windows.pop_front().expect("it was there just now");
            let answers = window.spans.iter().map(|span| self.fetcher.ask(span, &self.wanted)).collect();
            self.asked.push_back(Asked { window, answers, permit });
        }
    }
}

/// Answers requests until nobody can make any.
fn fetch(repository: &Repository, requests: &Mutex<Receiver<Request>>) {
    loop {
        let request = requests.lock().expect("no holder panics").recv();
        let Ok(Request { span, wanted, reply }) = request else { return };
        if wanted.strong_count() == 0 {
            continue;
        }
        let mut bytes = Vec::new();
        let range = span.start.into()..span.end.into();
        let read = repository.store.read_into(&object("data", &span.pack), Some(range), Caches::Use, &mut bytes);
        // Nobody waits any more where a file was given up.
        drop(reply.send(read.map(|()| bytes).map_err(Into::into)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pack: u32, offset: u32, length: u32) -> Option<Location> {
        Some(Location { pack: Id::of(&pack.to_le_bytes()), offset, length, uncompressed: 0 })
    }

    /// The pieces of a window, and where each of its requests begins and ends.
    type Shape = (Range<usize>, Vec<(u32, u32)>);

    fn shape(places: &[Option<Location>]) -> Vec<Shape> {
        let pairs = |window: &Window| window.spans.iter().map(|span| (span.start, span.end)).collect();
        windows(places).iter().map(|window| (window.pieces.clone(), pairs(window))).collect()
    }

    #[test]
    fn neighbours_are_read_together_in_whatever_order_they_are_wanted() {
        let apart = 1_000 + GAP_BYTES;
        assert_eq!(shape(&[place(1, 100, 100), place(1, 0, 100), place(1, 200 + GAP_BYTES, 100)]), [(0..3, vec![(0, 300 + GAP_BYTES)])]);
        assert_eq!(shape(&[place(1, 0, 100), place(1, apart, 100), None]), [(0..3, vec![(0, 100), (apart, apart + 100)])]);
        // The same piece twice, and another pack between.
        assert_eq!(shape(&[place(1, 50, 10), place(2, 60, 10), place(1, 50, 10)])[0].1.len(), 2);
        assert_eq!(shape(&[]), []);
    }

    #[test]
    fn windows_are_bounded() {
        let half = WINDOW_BYTES / 2;
        let long = [place(1, 0, half), place(1, half, half), place(1, 2 * half, 3 * half), place(1, 5 * half, 1)];
        assert_eq!(shape(&long), [(0..2, vec![(0, 2 * half)]), (2..3, vec![(2 * half, 5 * half)]), (3..4, vec![(5 * half, 5 * half + 1)])]);
        // Small pieces far from each other: what lies between is not read for all of them.
        let scattered: Vec<_> = (0..1_000).map(|at| place(1, at * (GAP_BYTES + 10), 10)).collect();
        let spans = &shape(&scattered)[0].1;
        let read: u32 = spans.iter().map(|(start, end)| end - start).sum();
        assert!(read <= GAPS_BYTES + 10_000 && spans.len() > 900, "{read} bytes in {} requests", spans.len());
    }
}
