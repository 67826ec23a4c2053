//! Parts: what a restore writes before it is whole. Their names are known, they are their owner's alone, and what a killed restore left of one
//! is removed by the next one that writes the same file.

use std::{
    collections::HashSet,
    fs::{self, File, FileType, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use data_encoding::HEXLOWER;

use super::staging::past_cache;
use crate::{Id, Node, RepositoryError, RepositoryResult};

/// Files of this length and more go past the page cache.
const DIRECT_FROM_BYTES: u64 = 1 << 20;

const PREFIX: &str = ".keepsake-part-";
/// So many bytes of a digest: enough that no two names share one, few enough for paths and file systems that have little room.
const DIGEST: usize = 16;

/// How parts of the files of one folder are called: by the names of their files, so that a later restore knows which are its own.
pub(super) struct PartNames {
    /// Names in the same folder that look like it: somebody backed up what a killed restore left.
    taken: HashSet<Vec<u8>>,
}

impl PartNames {
    /// For a folder that will hold these.
    pub fn beside(nodes: &[Node]) -> Self {
        let names = nodes.iter().map(|node| &node.name);
        Self { taken: names.filter(|name| name.starts_with(PREFIX.as_bytes())).cloned().collect() }
    }

    /// The name of a file's part, which no file of the folder has.
    pub fn part_of(&self, name: &[u8]) -> String {
        let mut id = Id::of(name);
        loop {
            let part = format!("{PREFIX}{}", HEXLOWER.encode(&id.as_bytes()[..DIGEST]));
            if !self.taken.contains(part.as_bytes()) {
                return part;
            }
            id = Id::of(id.as_bytes());
        }
    }
}

/// Keeps other restores out of a folder for as long as the file is held: a part that stands there is nobody's then. A file system that knows no such
/// locks does without.
pub(super) fn alone_in(folder: &Path) -> RepositoryResult<Option<File>> {
    let Ok(open) = File::open(folder) else { return Ok(None) };
    match open.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let told = "another restore writes into this folder: wait for it, or choose another one";
            Err(RepositoryError::outside(folder, io::Error::new(io::ErrorKind::ResourceBusy, told)))
        }
        _ => Ok(Some(open)),
    }
}

/// How a part gets onto the disk. Tests put steps here that fail, which real disks do too rarely.
#[derive(Clone, Copy)]
pub(super) struct Disk {
    /// Makes a part; it is new, and its owner's alone.
    pub make: fn(&Path) -> io::Result<File>,
    pub write: fn(&mut File, &[u8]) -> io::Result<()>,
    /// From this length on a file is asked to let its bytes go past the page cache.
    pub direct_from_bytes: u64,
    /// Lets a file's bytes go past the page cache from now on, or through it.
    pub past_cache: fn(&File, bool) -> io::Result<()>,
    pub close: fn(File) -> io::Result<()>,
}

/// A real one.
pub(super) const DISK: Disk = Disk {
    make,
    write: File::write_all,
    direct_from_bytes: DIRECT_FROM_BYTES,
    past_cache,
    close: |file| nix::unistd::close(file).map_err(io::Error::from),
};

fn make(part: &Path) -> io::Result<File> {
    let mut new = OpenOptions::new();
    // Never one that is there: it would keep its permissions, and a link would lead elsewhere.
    new.write(true).create_new(true).mode(0o600);
    made_anew(part, FileType::is_file, |part| new.open(part))
}

/// Makes a part with a step that refuses what is there. What a killed restore left is removed first, if it is such as it leaves.
pub(super) fn made_anew<T>(part: &Path, alike: impl Fn(&FileType) -> bool, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    match make(part) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !alike(&fs::symlink_metadata(part)?.file_type()) {
                return Err(io::Error::new(error.kind(), format!("{} is in the way: move it elsewhere", part.display())));
            }
            fs::remove_file(part)?;
            make(part)
        }
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Cursor,
        sync::{
            Arc, Mutex,
            atomic::{AtomicU64, Ordering},
        },
    };

    use keepsake_storage::MemoryStore;

    use super::*;
    use crate::{
        BackupRequest, Content, Edit, FileMeta, KdfCost, Monitor, NodeKind, Password, Repository, RepositoryError, RestoreOptions,
        RestoreOutcome, Silent, Snapshot, SystemAmbient,
    };

    const LONG: usize = (5 << 20) + 1;
    /// Rising, as the names of the files are made of them.
    const LENGTHS: [usize; 8] = [0, 1, 4095, 4096, 4097, 70_000, 3 << 20, LONG];

    fn bytes(length: usize) -> Vec<u8> {
        (0..length as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect()
    }

    fn name(length: usize) -> String {
        format!("{length:08}")
    }

    /// A repository that has a file of each length, and their tree.
    fn repository(lengths: &'static [usize]) -> (Repository, Id) {
        let (password, cost) = (Password::new("a password".into()), KdfCost { log_n: 4, r: 8, p: 1 });
        let repository = Repository::init(Arc::new(MemoryStore::new()), &password, cost, Arc::new(SystemAmbient)).expect("init");
        let edits = lengths.iter().copied().map(|length| {
            let content = Content::Stream(Box::new(move || Ok(Box::new(Cursor::new(bytes(length))))));
            Ok(Edit::file(&name(length), &FileMeta { time: "2024-01-01T00:00:00Z".into() }, content))
        });
        let snapshot = Snapshot::new("2024-03-17T00:00:00Z".into(), "/keepsake", "keepsake test");
        let request = BackupRequest { parent_tree: None, carry_tree: None, edits: Box::new(edits), replay: None, snapshot };
        let outcome = repository.backup(request, &Silent).expect("backup");
        assert_eq!(outcome.skipped, vec![]);
        (repository, outcome.tree)
    }

    /// Restores over files of old content; answers what became of each of them.
    fn restored_on(disk: Disk) -> (RestoreOutcome, Vec<Vec<u8>>) {
        let (repository, tree) = repository(&LENGTHS);
        let folder = tempfile::tempdir().expect("space");
        for length in LENGTHS {
            fs::write(folder.path().join(name(length)), "old").expect("written");
        }
        let options = RestoreOptions { overwrite: true, ..RestoreOptions::default() };
        let outcome = repository.restore_on(disk, &tree, folder.path(), &options, &Silent).expect("it runs to its end");
        let left = fs::read_dir(folder.path()).expect("listed").count();
        assert_eq!(left, LENGTHS.len(), "no part stays");
        let found = LENGTHS.iter().map(|length| fs::read(folder.path().join(name(*length))).expect("readable")).collect();
        (outcome, found)
    }

    #[test]
    fn every_length_comes_back() {
        let (outcome, found) = restored_on(DISK);
        assert_eq!((outcome.failed, outcome.files), (vec![], LENGTHS.len() as u64));
        for (length, found) in LENGTHS.into_iter().zip(found) {
            assert!(found == bytes(length), "{length}");
        }
    }

    /// Half of the last write arrives, then the disk is full, as a real one says it.
    #[cfg(target_os = "linux")]
    fn full_at_the_end(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if io::Seek::stream_position(file)? + (bytes.len() as u64) < LONG as u64 {
            return file.write_all(bytes);
        }
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        OpenOptions::new().write(true).open("/dev/full")?.write_all(rest)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_full_at_the_last_write() {
        let (outcome, found) = restored_on(Disk { write: full_at_the_end, ..DISK });
        let reason = io::Error::from(rustix::io::Errno::NOSPC).to_string();
        assert_eq!(outcome.failed, [(name(LONG), reason)]);
        assert_eq!((outcome.files, outcome.damaged), (LENGTHS.len() as u64 - 1, false), "the repository is not to blame");
        for (length, found) in LENGTHS.into_iter().zip(found) {
            let expected = if length == LONG { b"old".to_vec() } else { bytes(length) };
            assert!(found == expected, "{length}");
        }
    }

    fn told_at_the_end(file: File) -> io::Result<()> {
        drop(file);
        Err(rustix::io::Errno::IO.into())
    }

    #[test]
    fn what_is_told_only_at_the_end() {
        let (outcome, found) = restored_on(Disk { close: told_at_the_end, ..DISK });
        let reason = io::Error::from(rustix::io::Errno::IO).to_string();
        assert_eq!(outcome.failed, LENGTHS.map(|length| (name(length), reason.clone())));
        assert_eq!((outcome.files, outcome.bytes, outcome.damaged), (0, 0, false));
        assert!(found.iter().all(|found| found == b"old"), "nothing takes a name that may not be whole");
    }

    /// Somebody who asks to stop when so many bytes were written.
    struct StopsAfter {
        bytes: u64,
        written: AtomicU64,
        problems: Mutex<Vec<String>>,
    }

    impl Monitor for StopsAfter {
        fn stage(&self, _: &str, _: Option<u64>, _: Option<u64>) {}

        fn advance(&self, _: u64, bytes: u64) {
            self.written.fetch_add(bytes, Ordering::SeqCst);
        }

        fn problem(&self, subject: &str, reason: &str) {
            self.problems.lock().expect("no holder panics").push(format!("{subject}: {reason}"));
        }

        fn cancelled(&self) -> bool {
            self.written.load(Ordering::SeqCst) >= self.bytes
        }
    }

    #[test]
    fn stopped_in_the_middle_of_a_file() {
        /// No piece is so long.
        const FILM: usize = 24 << 20;
        let (repository, tree) = repository(&[FILM]);
        let stops = StopsAfter { bytes: 1, written: AtomicU64::new(0), problems: Mutex::new(Vec::new()) };
        let folder = tempfile::tempdir().expect("space");
        fs::write(folder.path().join(name(FILM)), "old").expect("written");
        let options = RestoreOptions { overwrite: true, ..RestoreOptions::default() };
        let ended = repository.restore_on(DISK, &tree, folder.path(), &options, &stops);
        assert!(matches!(ended, Err(RepositoryError::Cancelled)), "{ended:?}");
        assert_eq!(*stops.problems.lock().expect("no holder panics"), Vec::<String>::new(), "one who asks to stop knows why");
        assert!(stops.written.load(Ordering::SeqCst) < FILM as u64, "it did not go on to the end");
        assert_eq!(fs::read(folder.path().join(name(FILM))).expect("readable"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "no part stays");
    }

    #[test]
    fn no_part_has_the_name_of_a_file() {
        let node = |name: String| Node::bare(name.into_bytes(), NodeKind::File, "");
        let first = PartNames::beside(&[]).part_of(b"file");
        assert_eq!(first, format!("{PREFIX}{}", &Id::of(b"file").to_string()[..32]));
        let second = PartNames::beside(&[node("file".into()), node(first.clone())]).part_of(b"file");
        let third = PartNames::beside(&[node(first.clone()), node(second.clone())]).part_of(b"file");
        assert!(first != second && third != first && third != second, "{first} {second} {third}");
    }
}
