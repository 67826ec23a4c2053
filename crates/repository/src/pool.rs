//! Workers that read files. Each file is cut by the worker that reads it, because every cut depends on the one before; the
//! chunks of a long file are hashed, compressed and sealed by whoever has nothing else to do.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::{BlobKind, Content, Cutter, Id, Monitor, Piece, Repository, RepositoryError, writer::Writer};

/// Files that wait for a worker.
const WAITING_FILES: usize = 32;

/// What a file's bytes became.
pub(crate) struct FileContent {
    pub ids: Vec<Id>,
    pub bytes: u64,
}

/// Why a file could not be read.
pub(crate) enum ReadError {
    /// Its source failed: the file is skipped.
    Source(String),
    /// The repository failed, or somebody asks to stop: the run ends.
    Fatal(RepositoryError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Source(error.to_string())
    }
}

type Answer = Result<FileContent, ReadError>;
/// Where the answer for a file arrives.
pub(crate) type Reply = Receiver<Answer>;

/// A file whose chunks may be in several hands.
struct InHand {
    state: Mutex<FileState>,
    reply: SyncSender<Answer>,
}

#[derive(Default)]
struct FileState {
    ids: Vec<Option<Id>>,
    /// Chunks that are in hand.
    open: usize,
    /// Its length, once it is cut to its end.
    bytes: Option<u64>,
    failed: Option<ReadError>,
}

impl InHand {
    fn state(&self) -> MutexGuard<'_, FileState> {
        self.state.lock().expect("no holder panics")
    }

    /// Makes room for the next chunk; answers its number.
    fn begin(&self) -> usize {
        let mut state = self.state();
        state.ids.push(None);
        state.open += 1;
        state.ids.len() - 1
    }

    fn end(&self, number: usize, id: Result<Id, RepositoryError>) {
        let mut state = self.state();
        state.open -= 1;
        match id {
            Ok(id) => state.ids[number] = Some(id),
            Err(error) => state.failed = Some(ReadError::Fatal(error)),
        }
        self.answer_if_done(state);
    }

    fn answer_if_done(&self, mut state: MutexGuard<'_, FileState>) {
        let Some(bytes) = state.bytes.filter(|_| state.open == 0) else { return };
        let answer = match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(FileContent { ids: std::mem::take(&mut state.ids).into_iter().flatten().collect(), bytes }),
        };
        // Nobody listens any more when the run has failed; then the answer is not needed.
        drop(self.reply.send(answer));
    }
}

struct Chunk {
    file: Arc<InHand>,
    number: usize,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Waiting {
    files: VecDeque<(Content, SyncSender<Answer>)>,
    chunks: VecDeque<Chunk>,
    /// Workers with nothing to do.
    idle: usize,
    /// Workers that cut a file, and may give chunks away.
    cutting: usize,
    ended: bool,
}

/// The workers and what waits for them.
pub(crate) struct Pool<'r> {
    repository: &'r Repository,
    writer: &'r Writer<'r>,
    monitor: &'r dyn Monitor,
    waiting: Mutex<Waiting>,
    work: Condvar,
    room: Condvar,
}

/// Gives files to the workers; dropping it lets them go when they are done.
pub(crate) struct Queue<'p>(&'p Pool<'p>);

impl Queue<'_> {
    /// Hands over a file's content, waiting while many wait already.
    pub fn read(&self, content: Content) -> Reply {
        let (reply, answer) = sync_channel(1);
        let full = |waiting: &mut Waiting| waiting.files.len() >= WAITING_FILES;
        let mut waiting = self.0.room.wait_while(self.0.waiting(), full).expect("no holder panics");
        waiting.files.push_back((content, reply));
        self.0.work.notify_one();
        answer
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.ended = true;
        // Whoever ends early does not want what still waits; who ends in good order has had every answer.
        waiting.files.clear();
        self.0.work.notify_all();
    }
}

/// A worker that cuts a file; also when it panics, the others do not wait for it.
struct Cutting<'p, 'r>(&'p Pool<'r>);

impl Drop for Cutting<'_, '_> {
    fn drop(&mut self) {
        // A poisoned lock means that another worker panicked: then nobody waits any more.
        if let Ok(mut waiting) = self.0.waiting.lock() {
            waiting.cutting -= 1;
        }
        self.0.work.notify_all();
    }
}

enum Task {
    File(Content, SyncSender<Answer>),
    Chunk(Chunk),
}

impl<'r> Pool<'r> {
    pub fn new(repository: &'r Repository, writer: &'r Writer<'r>, monitor: &'r dyn Monitor) -> Self {
        Self { repository, writer, monitor, waiting: Mutex::default(), work: Condvar::new(), room: Condvar::new() }
    }

    pub fn queue(&self) -> Queue<'_> {
        Queue(self)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder panics")
    }

    /// What a worker does until there is nothing left.
    pub fn work(&self, lane: usize) {
        let mut cutter = Cutter::new(&self.repository.gear);
        while let Some(task) = self.next() {
            match task {
                Task::Chunk(Chunk { file, number, bytes }) => file.end(number, self.writer.add_data(&bytes, lane)),
                Task::File(content, reply) => {
                    let _cutting = Cutting(self);
                    self.file(content, reply, &mut cutter, lane);
                }
            }
        }
    }

    /// The next task; chunks first, because a file that was begun waits for them.
    fn next(&self) -> Option<Task> {
        let mut waiting = self.waiting();
        loop {
            if let Some(chunk) = waiting.chunks.pop_front() {
                return Some(Task::Chunk(chunk));
            }
            if let Some((content, reply)) = waiting.files.pop_front() {
                waiting.cutting += 1;
                self.room.notify_one();
                return Some(Task::File(content, reply));
            }
            if waiting.ended && waiting.cutting == 0 {
                return None;
            }
            waiting.idle += 1;
            waiting = self.work.wait(waiting).expect("no holder panics");
            waiting.idle -= 1;
        }
    }

    fn file(&self, content: Content, reply: SyncSender<Answer>, cutter: &mut Cutter<'_>, lane: usize) {
        let file = Arc::new(InHand { state: Mutex::default(), reply });
        let mut length = 0;
        let mut add = |span: &[u8]| {
            if self.monitor.cancelled() {
                return Err(ReadError::Fatal(RepositoryError::Cancelled));
            }
            if file.state().failed.is_some() {
                // The first failure is the one that is told; reading on would only take time.
                return Err(ReadError::Fatal(RepositoryError::Cancelled));
            }
            length += span.len() as u64;
            self.monitor.advance(0, span.len() as u64);
            let number = file.begin();
            // The first chunk is often the only one.
            if number == 0 || !self.give_away(&file, number, span) {
                file.end(number, self.writer.add_data(span, lane));
            }
            Ok(())
        };
        let read = match content {
            Content::Spans(spans) => spans.iter().try_for_each(|span| add(span)),
            Content::Pieces(pieces) => {
                let known: u64 = pieces.iter().map(|piece| if let Piece::Known(_, bytes) = piece { *bytes } else { 0 }).sum();
                let each = pieces.into_iter().try_for_each(|piece| match piece {
                    Piece::New(bytes) => add(&bytes),
                    Piece::Known(id, _) if !self.writer.knows(BlobKind::Data, &id) => {
                        let problem = "a file that is made anew needs it, and no index knows it";
                        Err(ReadError::Fatal(RepositoryError::damaged(format!("blob {}", id.short()), problem)))
                    }
                    Piece::Known(id, _) => {
                        file.state().ids.push(Some(id));
                        Ok(())
                    }
                });
                length += known;
                each
            }
            Content::Stream(open) => open().map_err(ReadError::from).and_then(|mut reader| cutter.each(&mut reader, add)),
        };
        let mut state = file.state();
        state.bytes = Some(length);
        // What ends the run goes before what skips a file.
        if let (Err(error), None) = (read, &state.failed) {
            state.failed = Some(error);
        }
        file.answer_if_done(state);
    }

    /// Leaves a chunk to a worker that has nothing to do, if there is one. So there are never more copies than workers.
    fn give_away(&self, file: &Arc<InHand>, number: usize, span: &[u8]) -> bool {
        let mut waiting = self.waiting();
        if waiting.idle <= waiting.chunks.len() {
            return false;
        }
        waiting.chunks.push_back(Chunk { file: file.clone(), number, bytes: span.to_vec() });
        self.work.notify_one();
        true
    }
}
