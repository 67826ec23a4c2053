//! Where an import reads from: one file, a folder, an archive, or several of these as one. Paths in it are relative, with `/`.

mod embedded;
mod packed;

pub(crate) use embedded::{Decoder, Embedded};

mod database;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use flate2::read::MultiGzDecoder;
use keepsake_record::Sha256Digest;
use sha2::{Digest, Sha256};

use self::packed::Archives;
use super::{Joined, ReadError};
pub use database::DatabaseInput;

/// The most entries of an archive, and the longest entry: beyond is an attack or an accident.
const ENTRIES_MAX: usize = 2_000_000;
/// Entries of archives up to this length are read into memory.
const IN_MEMORY_MAX_BYTES: u64 = 32 << 20;
/// An archive is unpacked to so many bytes, and to so many times its own length beyond: more is an attack or an accident.
const UNPACKED_BYTES: u64 = 1 << 30;
const UNPACKED_TIMES: u64 = 100;
/// The most that is read of one file into memory.
const WHOLE_MAX_BYTES: u64 = 1 << 30;

/// A file of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputFile {
    /// Its relative path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

impl InputFile {
    /// The lower-case ending, without the dot.
    pub fn ending(&self) -> String {
        self.name().rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default()
    }

    /// The name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// How many folders it is in.
    pub fn depth(&self) -> usize {
        self.path.matches('/').count()
    }
}

/// An input.
#[derive(Clone)]
pub enum Input {
    /// One file that is no archive.
    File(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// A ZIP archive, or the parts of an export that are ZIP archives.
    Zip(PathBuf, Arc<Mutex<Archives>>),
    /// A TAR or TAR.GZ archive, unpacked into a temporary folder that goes with this value.
    Unpacked(Arc<tempfile::TempDir>, PathBuf),
    /// Several of these as one tree.
    Several(Arc<Joined>),
    /// A database, with what belongs to it.
    Database(Arc<DatabaseInput>),
}

/// What can be read from any place on.
pub(crate) trait ReadSeek: Read + io::Seek + Send {}
impl<T: Read + io::Seek + Send> ReadSeek for T {}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Input {
    /// Opens a path.
    ///
    /// # Errors
    /// It is not there, or a ZIP archive that cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let io = |source| ReadError::Io { path: path.display().to_string(), source };
        let meta = fs::metadata(path).map_err(io)?;
        if meta.is_dir() {
            if let Some(database) = DatabaseInput::of_folder(path).map_err(io)? {
                return Ok(Self::Database(Arc::new(database)));
            }
            let parts = Archives::of_folder(path)?;
            return Ok(parts.map_or_else(|| Self::Folder(path.into()), |parts| Self::Zip(path.into(), Arc::new(Mutex::new(parts)))));
        }
        let mut head = Vec::new();
        fs::File::open(path).map_err(io)?.take(512).read_to_end(&mut head).map_err(io)?;
        if head.starts_with(&[0x1f, 0x8b]) {
            return Self::unpack(path, |file| Box::new(MultiGzDecoder::new(file)));
        }
        if let Some(database) = DatabaseInput::of_file(path).map_err(io)? {
            return Ok(Self::Database(Arc::new(database)));
        }
        if head.get(257..262) == Some(b"ustar")
            || (head.len() == 512 && path.extension().is_some_and(|ending| ending == "tar" || ending == "jex"))
        {
            return Self::unpack(path, |file| Box::new(file));
        }
        if !head.starts_with(b"PK\x03\x04") && !head.starts_with(b"PK\x05\x06") {
            return Ok(Self::File(path.into()));
        }
        Ok(Self::Zip(path.into(), Arc::new(Mutex::new(Archives::open(path)?))))
    }

    /// Unpacks a TAR archive; entries that would leave the folder, and links, are left out by the unpacker or here.
    fn unpack(path: &Path, unpacker: fn(io::BufReader<fs::File>) -> Box<dyn Read>) -> Result<Self, ReadError> {
        let io = |source| ReadError::Io { path: path.display().to_string(), source };
        let folder = tempfile::tempdir().map_err(io)?;
        let most = most_unpacked(fs::metadata(path).map_err(io)?.len());
        let mut unpacked: u64 = 0;
        let packed = io::BufReader::new(fs::File::open(path).map_err(io)?);
        // Also what the archive's own heads take, which are read before anybody can ask how long they are.
        let mut archive = tar::Archive::new(unpacker(packed).take(most));
        let bad = |e: io::Error| ReadError::malformed(path.display().to_string(), format!("the archive cannot be read: {e}"));
        for (number, entry) in archive.entries().map_err(bad)?.enumerate() {
            let mut entry = entry.map_err(bad)?;
            if number >= ENTRIES_MAX {
                return Err(ReadError::malformed(path.display().to_string(), "the archive has more than two million entries"));
            }
            unpacked = unpacked.saturating_add(entry.size());
            if unpacked > most {
                let problem = "the archive would unpack to more than a hundred times its length: unpack it by hand if that is meant to be";
                return Err(ReadError::malformed(path.display().to_string(), problem));
            }
            if entry.header().entry_type().is_file() {
                entry.unpack_in(folder.path()).map_err(bad)?;
            }
        }
        Ok(Self::Unpacked(Arc::new(folder), path.into()))
    }

    fn root(&self) -> PathBuf {
        match self {
            Self::Unpacked(folder, _) => folder.path().to_path_buf(),
            Self::Database(database) => database.root.clone(),
            Self::File(path) | Self::Folder(path) | Self::Zip(path, _) => path.clone(),
            Self::Several(joined) => joined.first().root(),
        }
    }

    /// Where it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Several(joined) => joined.describe(),
            _ => self.given().display().to_string(),
        }
    }

    /// What was named.
    fn given(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) | Self::Zip(path, _) | Self::Unpacked(_, path) => path,
            Self::Database(database) => &database.given,
            Self::Several(joined) => joined.first().given(),
        }
    }

    /// Whether it is one file, not a set of files.
    pub fn is_single_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// All files, in the order of their paths.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn files(&self) -> Result<Vec<InputFile>, ReadError> {
        let mut files = match self {
            Self::File(path) => {
                let meta = fs::metadata(path).map_err(|source| self.io("", source))?;
                vec![InputFile { path: file_name(path), bytes: meta.len() }]
            }
            Self::Folder(_) | Self::Unpacked(..) => {
                let root = self.root();
                let mut files = Vec::new();
                self.walk(&root, "", &mut files)?;
                files
            }
            Self::Database(database) => database.files(self)?,
            Self::Zip(_, archives) => archives.lock().expect("no holder panics").files()?,
            Self::Several(joined) => joined.files(),
        };
        files.sort();
        Ok(files)
    }

    /// What is in the input and is never read: links, and names that would lead out of it.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn left_out(&self) -> Result<Vec<(String, &'static str)>, ReadError> {
        match self {
            Self::File(_) => Ok(Vec::new()),
            Self::Folder(_) | Self::Unpacked(..) => {
                let root = self.root();
                let mut links = Vec::new();
                self.links(&root, "", &mut links)?;
                Ok(links)
            }
            Self::Database(database) => database.links(self),
            Self::Zip(_, archives) => Ok(archives.lock().expect("no holder panics").left_out()),
            Self::Several(joined) => joined.left_out(),
        }
    }

    fn links(&self, folder: &Path, prefix: &str, found: &mut Vec<(String, &'static str)>) -> Result<(), ReadError> {
        let io = |source| ReadError::Io { path: folder.display().to_string(), source };
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() {
                self.links(&entry.path(), &format!("{path}/"), found)?;
            } else if !kind.is_file() {
                found.push((path, "a link or a device, which is not followed"));
            }
        }
        Ok(())
    }

    fn walk(&self, folder: &Path, prefix: &str, files: &mut Vec<InputFile>) -> Result<(), ReadError> {
        let io = |source| ReadError::Io { path: folder.display().to_string(), source };
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            // Links could lead anywhere, in circles too; what they point at is imported from where it is.
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() {
                self.walk(&entry.path(), &path, files)?;
            } else if kind.is_file() {
                files.push(InputFile { path, bytes: entry.metadata().map_err(io)?.len() });
            }
        }
        Ok(())
    }

    /// Opens a file of the input.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    pub fn open_file(&self, path: &str) -> Result<Box<dyn Read + Send>, ReadError> {
        match Embedded::of(path) {
            Some(embedded) => embedded.open(self),
            None => Ok(Box::new(self.open_seekable(path)?)),
        }
    }

    /// As [`Input::open_file`], and any place of it can be gone to.
    pub(crate) fn open_seekable(&self, path: &str) -> Result<Box<dyn ReadSeek>, ReadError> {
        match self {
            Self::File(file) => Ok(Box::new(fs::File::open(file).map_err(|source| self.io("", source))?)),
            Self::Folder(_) | Self::Unpacked(..) => {
                Ok(Box::new(fs::File::open(self.root().join(path)).map_err(|source| self.io(path, source))?))
            }
            Self::Database(database) => Ok(Box::new(fs::File::open(database.at(path)).map_err(|source| self.io(path, source))?)),
            Self::Zip(_, archives) => {
                let mut archives = archives.lock().expect("no holder panics");
                let bytes = archives.entry(path)?.size();
                if bytes <= IN_MEMORY_MAX_BYTES {
                    drop(archives);
                    return Ok(Box::new(io::Cursor::new(self.whole(path)?)));
                }
                // A film is not held in memory: it goes by way of a file that has no name.
                let mut file = archives.unnamed(path)?;
                io::Seek::rewind(&mut file).map_err(|source| self.io(path, source))?;
                Ok(Box::new(file))
            }
            Self::Several(joined) => joined.at(path).and_then(|(input, path)| input.open_seekable(path)),
        }
    }

    /// Reads a file of the input whole.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is longer than 1 GiB.
    pub fn whole(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        // A stretch of a file has no place of its own among the files of several.
        if let Self::Several(joined) = self
            && Embedded::of(path).is_none()
        {
            return joined.at(path).and_then(|(input, path)| input.whole(path));
        }
        let mut bytes = Vec::new();
        let read = match self {
            Self::Zip(_, archives) if Embedded::of(path).is_none() => {
                let mut archives = archives.lock().expect("no holder panics");
                let entry = archives.entry(path)?;
                entry.take(WHOLE_MAX_BYTES + 1).read_to_end(&mut bytes)
            }
            _ => self.open_file(path)?.take(WHOLE_MAX_BYTES + 1).read_to_end(&mut bytes),
        };
        read.map_err(|source| self.io(path, source))?;
        if bytes.len() as u64 > WHOLE_MAX_BYTES { Err(ReadError::malformed(path, "is longer than 1 GiB")) } else { Ok(bytes) }
    }

    /// The SHA-256 of a file of the input.
    pub(crate) fn digest(&self, path: &str) -> Result<Sha256Digest, ReadError> {
        let mut reader = self.open_file(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer).map_err(|source| self.io(path, source))? {
                0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    /// The name of the file without its ending, or of the folder: tells apart sources whose items have the same names.
    pub fn stem(&self) -> String {
        let path = fs::canonicalize(self.given()).unwrap_or_else(|_| self.given().into());
        // What stands behind a dot is no ending of a folder: `2024.03` and `2024.04` are two.
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        name.map(|n| n.to_string_lossy().chars().filter(|c| !c.is_control()).take(200).collect()).unwrap_or_default()
    }

    /// The file on disk, where it is one.
    pub fn on_disk(&self, path: &str) -> Option<PathBuf> {
        match self {
            _ if Embedded::of(path).is_some() => None,
            Self::File(file) => Some(file.clone()),
            Self::Folder(_) | Self::Unpacked(..) => Some(self.root().join(path)),
            Self::Database(database) => Some(database.at(path)),
            Self::Zip(..) => None,
            Self::Several(joined) => joined.at(path).ok().and_then(|(input, path)| input.on_disk(path)),
        }
    }

    /// Where on disk a file is that is read from its middle: one of an archive is unpacked for that, and goes with this value.
    pub(crate) fn place(&self, path: &str) -> Result<PathBuf, ReadError> {
        match self {
            Self::Zip(_, archives) => archives.lock().expect("no holder panics").unpacked(path),
            Self::Several(joined) => joined.at(path).and_then(|(input, path)| input.place(path)),
            _ => Ok(self.on_disk(path).unwrap_or_default()),
        }
    }

    /// Whether a file of the top folder with one of the endings has a text near its beginning.
    pub(crate) fn peek_has(&self, text: &str, endings: &[&str]) -> Result<bool, ReadError> {
        for file in self.files()?.iter().filter(|f| f.depth() == 0 && endings.contains(&f.ending().as_str())) {
            let mut head = Vec::new();
            self.open_file(&file.path)?.take(4096).read_to_end(&mut head).map_err(|source| self.io(&file.path, source))?;
            if String::from_utf8_lossy(&head).contains(text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn io(&self, path: &str, source: io::Error) -> ReadError {
        let path = if path.is_empty() { self.describe() } else { format!("{}/{path}", self.describe()) };
        ReadError::Io { path, source }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// How many bytes an archive may unpack to.
fn most_unpacked(length: u64) -> u64 {
    length.saturating_mul(UNPACKED_TIMES).saturating_add(UNPACKED_BYTES)
}

/// A path that stays in its folder.
fn safe(path: &str) -> bool {
    !path.starts_with('/') && !path.contains(['\\', '\0']) && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}
