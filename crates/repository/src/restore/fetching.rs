//! Reading the pieces of long files from behind a network: neighbours with one request, several requests at once.
//!
//! Whoever writes a file asks for its pieces some way ahead, and takes them in order. How much is on its way or waits is bounded for all
//! files together: each request holds a permit until its bytes are written. A file asks in order, so that whoever holds permits holds that
//! for what it writes next, and goes on.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use keepsake_storage::Caches;

use crate::{BlobKind, Id, Location, Repository, RepositoryResult, reading::Scratch, repository::object};

/// No request asks for more, but for a single piece that is longer.
const RUN_BYTES: u32 = 8 << 20;
/// So much that nobody wants is read for the sake of one request less.
const GAP_BYTES: u32 = 64 << 10;
/// Requests on their way, or answered and not yet written, for all files together.
const PERMITS: usize = 16;
/// And for one file.
const AHEAD: usize = 6;

/// Pieces that follow each other in a file and lie next to each other in a pack.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// Which of the file's.
    pieces: Range<usize>,
    pack: Id,
    start: u32,
    end: u32,
}

/// The pieces of a file as runs. `locate` says where a piece is; one that is nowhere ends a run, and is in none.
fn runs(pieces: &[Id], locate: impl Fn(&Id) -> Option<Location>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, id) in pieces.iter().enumerate() {
        let Some(place) = locate(id) else { continue };
        let end = place.offset + place.length;
        match runs.last_mut() {
            Some(run)
                if run.pieces.end == at
                    && run.pack == place.pack
                    && place.offset >= run.end
                    && place.offset - run.end <= GAP_BYTES
                    && end - run.start <= RUN_BYTES =>
            {
                run.pieces.end = at + 1;
                run.end = end;
            }
            _ => runs.push(Run { pieces: at..at + 1, pack: place.pack, start: place.offset, end }),
        }
    }
    runs
}

/// Where the bytes of a run come in.
type Answer = Receiver<RepositoryResult<Vec<u8>>>;

struct Request {
    pack: Id,
    range: Range<u64>,
    reply: SyncSender<RepositoryResult<Vec<u8>>>,
}

/// Threads that read, and how many requests there may be.
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
        for _ in 0..PERMITS {
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

    fn ask(&self, run: &Run) -> Answer {
        let (reply, answer) = sync_channel(1);
        let request = Request { pack: run.pack, range: run.start.into()..run.end.into(), reply };
        // The threads live as long as this does.
        drop(self.requests.lock().expect("no holder panics").send(request));
        answer
    }

    /// Gives the pieces of a file to `each`, in order. A piece that cannot be had this way is asked for alone, wherever else it stands.
    pub fn each<E: From<crate::RepositoryError>>(
        &self,
        repository: &Repository,
        pieces: &[Id],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut runs = runs(pieces, |id| repository.locate(BlobKind::Data, id)).into_iter().peekable();
        let mut ahead: VecDeque<(Run, Answer, Permit<'_>)> = VecDeque::new();
        let mut next = 0;
        loop {
            while ahead.len() < AHEAD && runs.peek().is_some() {
                let Some(permit) = self.permit(ahead.is_empty()) else { break };
                let run = runs.next().expect("it was there just now");
                let answer = self.ask(&run);
                ahead.push_back((run, answer, permit));
            }
            let taken = ahead.pop_front();
            // What no index knows is asked for alone, and says so.
            let until = taken.as_ref().map_or(pieces.len(), |(run, ..)| run.pieces.start);
            for id in &pieces[next..until] {
                each(repository.piece(id, scratch)?)?;
            }
            let Some((run, answer, _permit)) = taken else { return Ok(()) };
            let bytes = answer.recv().ok().and_then(Result::ok).unwrap_or_default();
            for id in &pieces[run.pieces.clone()] {
                let opened = repository.locate(BlobKind::Data, id).is_some_and(|place| {
                    let sealed =
                        place.offset.checked_sub(run.start).and_then(|from| bytes.get(from as usize..)?.get(..place.length as usize));
                    place.pack == run.pack && sealed.is_some_and(|sealed| repository.open_blob(id, &place, sealed, scratch).is_ok())
                });
                each(if opened { scratch.plain() } else { repository.piece(id, scratch)? })?;
            }
            next = run.pieces.end;
        }
    }
}

/// Answers requests until nobody can make any.
fn fetch(repository: &Repository, requests: &Mutex<Receiver<Request>>) {
    loop {
        let request = requests.lock().expect("no holder panics").recv();
        let Ok(Request { pack, range, reply }) = request else { return };
        let mut bytes = Vec::new();
        let read = repository.store.read_into(&object("data", &pack), Some(range), Caches::Use, &mut bytes);
        // Nobody waits any more where a file was given up.
        drop(reply.send(read.map(|()| bytes).map_err(Into::into)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_a_run() {
        let id = |number: u32| Id::of(&number.to_le_bytes());
        let place = |pack: u32, offset: u32, length: u32| Some(Location { pack: id(1000 + pack), offset, length, uncompressed: 0 });
        let places = [
            place(1, 0, 100),
            place(1, 100, 100),
            // A little that nobody wants lies between.
            place(1, 200 + GAP_BYTES, 100),
            // Too much does.
            place(1, 301 + 2 * GAP_BYTES, 100),
            // Before what came before.
            place(1, 50, 10),
            place(2, 60, 10),
            None,
            place(2, 70, 10),
            place(3, 0, RUN_BYTES - 10),
            place(3, RUN_BYTES - 10, 10),
            place(3, RUN_BYTES, 1),
        ];
        let pieces: Vec<Id> = (0..places.len() as u32).map(id).collect();
        let found = runs(&pieces, |piece| pieces.iter().position(|id| id == piece).and_then(|at| places[at]));
        let found: Vec<_> = found.into_iter().map(|run| (run.pieces, run.start, run.end)).collect();
        let apart = 301 + 2 * GAP_BYTES;
        let expected = [
            (0..3, 0, 300 + GAP_BYTES),
            (3..4, apart, apart + 100),
            (4..5, 50, 60),
            (5..6, 60, 70),
            (7..8, 70, 80),
            (8..10, 0, RUN_BYTES),
            (10..11, RUN_BYTES, RUN_BYTES + 1),
        ];
        assert_eq!(found, expected);
    }
}
