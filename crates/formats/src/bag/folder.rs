//! A bag that is a folder. A million small files take the kernel as long as making what is in them takes us: a thread of its own writes them.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::SystemTime,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::retry_on_intr,
};

/// Longer files are written by who adds them.
const SMALL_BYTES: u64 = 64 << 10;
/// Small ones go to who writes them so many together, or so many bytes: a change of threads takes as long as a file.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 256 << 10;
/// So many such groups wait at most for each writer: a month of a busy diary.
const WAITING: usize = 48;
/// Threads that write, each in folders of its own: the kernel lets one at a time into a folder.
const WRITERS: usize = 2;

struct Small {
    path: PathBuf,
    at: Option<SystemTime>,
    bytes: Vec<u8>,
}

/// Writes files below a folder.
pub(super) struct Folder {
    root: PathBuf,
    opened: fs::File,
    last: Last,
    open: Group,
    writers: Vec<Writer>,
    /// Whose turn it is.
    turn: usize,
}

/// Files of one folder.
#[derive(Default)]
struct Group {
    folder: PathBuf,
    files: Vec<Small>,
    bytes: usize,
}

struct Writer {
    queue: SyncSender<Vec<Small>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writer {
    fn start() -> io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("bag".into()).spawn(move || write_all(&waiting))?;
        Ok(Self { queue, thread })
    }

    /// Waits until it wrote what it was given.
    fn end(self) -> thread::Result<io::Result<()>> {
        drop(self.queue);
        self.thread.join()
    }
}

impl Folder {
    /// Makes the folder, which may be there.
    pub fn create(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let opened = fs::File::open(&root)?;
        let writers = (0..WRITERS).map(|_| Writer::start()).collect::<io::Result<_>>()?;
        Ok(Self { root, opened, last: Last::default(), open: Group::default(), writers, turn: 0 })
    }

    /// Writes a file, now or soon; what fails later is told by a later call, or at the end.
    pub fn write(&mut self, path: &str, at: Option<SystemTime>, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        let path = self.root.join(path);
        if length > SMALL_BYTES {
            return put(&path, at, &mut self.last, |file| io::copy(reader, file).map(drop));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        // Whether there is more than was announced, the caller asks.
        reader.take(length).read_to_end(&mut bytes)?;
        let folder = path.parent().unwrap_or(&self.root);
        if self.open.folder != folder {
            let folder = folder.to_owned();
            self.send()?;
            self.open.folder = folder;
            self.turn = (self.turn + 1) % self.writers.len().max(1);
        }
        self.open.bytes += bytes.len();
        self.open.files.push(Small { path, at, bytes });
        if self.open.files.len() < TOGETHER && self.open.bytes < TOGETHER_BYTES { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> io::Result<()> {
        self.open.bytes = 0;
        let files = std::mem::take(&mut self.open.files);
        if files.is_empty() || self.writers.get(self.turn).is_some_and(|writer| writer.queue.send(files).is_ok()) {
            return Ok(());
        }
        self.join().and_then(|()| Err(io::Error::other("the folder was ended before")))
    }

    /// The first error of those who write; all of them have ended then.
    fn join(&mut self) -> io::Result<()> {
        let mut all = Ok(());
        for writer in self.writers.drain(..) {
            match writer.end() {
                Ok(written) => all = all.and(written),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    }

    /// Waits until everything is on disk, and not only on its way there.
    pub fn end(mut self) -> io::Result<()> {
        self.send()?;
        self.join()?;
        // One request for all files, instead of one each.
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&self.opened)?;
        #[cfg(not(target_os = "linux"))]
        self.opened.sync_all()?;
        Ok(())
    }
}

impl Drop for Folder {
    /// Nobody writes into a folder any more that is to be removed.
    fn drop(&mut self) {
        for writer in self.writers.drain(..) {
            // Whoever lets go of it has another error to tell.
            drop(writer.end());
        }
    }
}

fn write_all(waiting: &Receiver<Vec<Small>>) -> io::Result<()> {
    let mut last = Last::default();
    for Small { path, at, bytes } in waiting.iter().flatten() {
        put(&path, at, &mut last, |file| file.write_all(&bytes))?;
    }
    Ok(())
}

/// The folder that was made last: files come folder by folder, and are looked up from it, which is shorter than from the root.
#[derive(Default)]
struct Last {
    path: PathBuf,
    opened: Option<fs::File>,
}

impl Last {
    fn create(&mut self, path: &Path) -> io::Result<fs::File> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return fs::File::create(path) };
        let folder = match &self.opened {
            Some(folder) if self.path == parent => folder,
            _ => {
                fs::create_dir_all(parent)?;
                let opened = fs::File::open(parent)?;
                self.path = parent.to_owned();
                self.opened.insert(opened)
            }
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| openat(&*folder, name, flags, Mode::from_raw_mode(0o666)))?.into())
    }
}

fn put(path: &Path, at: Option<SystemTime>, last: &mut Last, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let mut file = last.create(path)?;
    write(&mut file)?;
    if let Some(at) = at {
        file.set_modified(at)?;
    }
    // Elsewhere nothing flushes all files at once.
    if cfg!(target_os = "linux") { Ok(()) } else { file.sync_data() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_files_stand_there() {
        let space = tempfile::tempdir().expect("a folder");
        let root = space.path().join("bag");
        let mut folder = Folder::create(root.clone()).expect("made");
        let lengths = [0, 1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 3 * SMALL_BYTES];
        for length in lengths {
            for number in 0..40_u8 {
                let bytes = vec![number; length as usize];
                folder.write(&format!("{length}/{number}"), None, length, &mut bytes.as_slice()).expect("written");
            }
        }
        folder.end().expect("on disk");
        for length in lengths {
            for number in 0..40_u8 {
                assert!(
                    fs::read(root.join(format!("{length}/{number}"))).expect("read") == vec![number; length as usize],
                    "{length} {number}"
                );
            }
        }
    }

    #[test]
    fn what_fails_later_is_told() {
        let space = tempfile::tempdir().expect("a folder");
        let root = space.path().join("bag");
        let mut folder = Folder::create(root.clone()).expect("made");
        fs::write(root.join("one"), "no folder").expect("written");
        let mut add = |name: &str| folder.write(name, None, 1, &mut &b"x"[..]);
        let told = (0..2 * TOGETHER * WAITING).find_map(|_| add("one/below").err());
        let told = told.unwrap_or_else(|| folder.end().expect_err("it cannot be written"));
        assert!(!told.to_string().contains("ended before"), "{told}");
        assert!(!root.join("one/below").exists());
    }
}
