//! The containers of an export: a folder, a ZIP archive or a TAR.GZ archive, each a BagIt bag (RFC 8493) whose payload is
//! the bundle's `data/`, or what a writer makes of it. Written front to back; the manifest waits in a file without a name.

mod folder;
mod sealed;

use std::{
    fs,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use jiff::Zoned;
use keepsake_record::Sha256Digest;
use sha2::{Digest, Sha256};
use zip::{
    CompressionMethod, ZipArchive, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use self::folder::Folder;
pub use self::sealed::{Seal, Sealed};

/// How the name of an archive ends that is under a seal.
pub const SEALED: &str = ".age";

/// Which container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A folder.
    Folder,
    /// A ZIP archive.
    Zip,
    /// A TAR archive, compressed with gzip.
    TarGz,
}

impl Container {
    /// The container that a file name asks for, under a seal or not.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        match name.strip_suffix(SEALED).unwrap_or(&name) {
            name if name.ends_with(".zip") => Self::Zip,
            name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Self::TarGz,
            _ => Self::Folder,
        }
    }
}

/// Whether a name is that of something under a seal.
pub fn is_sealed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().ends_with(SEALED))
}

/// Whether a file is a ZIP archive that holds a bag; nothing but its list of entries is read.
pub fn is_zipped(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let Ok(archive) = ZipArchive::new(io::BufReader::new(file)) else { return false };
    // At the top, or in the one folder there.
    let is_info = |name: &str| name.split_once('/').map_or(name, |(_, inner)| inner) == "bag-info.txt";
    archive.file_names().any(|name| name.is_ok_and(|name| is_info(&name)))
}

enum Out {
    Folder(Folder),
    Zip(Box<ZipWriter<fs::File>>, String),
    /// Lengths follow what they are of, for nothing can be written twice.
    SealedZip(Box<ZipWriter<StreamWriter<Box<dyn Sealed>>>>, String),
    TarGz(Box<tar::Builder<GzEncoder<Box<dyn Sealed>>>>, String),
}

/// What a bag says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BagInfo {
    /// Of which day it is, `YYYY-MM-DD`.
    pub date: String,
    /// Where it is one of several: what they have in common, which it is, and how many there are.
    pub group: Option<(String, usize, usize)>,
    /// What belongs to it and not to its payload: names without folders, and what is in them.
    pub tags: Vec<(String, Vec<u8>)>,
}

/// A bag that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bagged {
    /// Files of its payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// SHA-256 over its list of tag files, which names the list of all others: the same bag has the same.
    pub digest: Sha256Digest,
}

/// Writes a bag.
pub struct BagWriter {
    out: Out,
    manifest: io::BufWriter<fs::File>,
    files: u64,
    bytes: u64,
    part: PathBuf,
    target: PathBuf,
}

impl BagWriter {
    /// Begins a bag that will be at `target`; until it is finished it stands beside it under another name.
    ///
    /// # Errors
    /// Something is at the target, or it cannot be written.
    pub fn create(target: &Path, container: Container) -> io::Result<Self> {
        Self::create_sealed(target, container, None)
    }

    /// As [`BagWriter::create`], with the archive under a seal.
    ///
    /// # Errors
    /// As [`BagWriter::create`]; a folder has no seal.
    pub fn create_sealed(target: &Path, container: Container, seal: Option<Seal<'_>>) -> io::Result<Self> {
        if fs::symlink_metadata(target).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is there already: choose another name", target.display()),
            ));
        }
        let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no name"))?;
        let part = unfinished(target);
        let root = name.to_string_lossy().into_owned();
        let root = [SEALED, ".zip", ".tar.gz", ".tgz"].iter().fold(root.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name));
        let root = if root.is_empty() || root.starts_with('.') { "export".to_owned() } else { root.to_owned() };
        let sealed = |seal: Option<Seal<'_>>| {
            let file = fs::File::create(&part)?;
            match seal {
                Some(seal) => seal(file),
                None => Ok(Box::new(file) as Box<dyn Sealed>),
            }
        };
        let out = match container {
            Container::Folder if seal.is_some() => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a folder has no seal: make it an archive"));
            }
            Container::Folder => {
                if part.exists() {
                    fs::remove_dir_all(&part)?;
                }
                Out::Folder(Folder::create(part.clone())?)
            }
            Container::Zip if seal.is_some() => Out::SealedZip(Box::new(ZipWriter::new_stream(sealed(seal)?)), root),
            Container::Zip => Out::Zip(Box::new(ZipWriter::new(fs::File::create(&part)?)), root),
            Container::TarGz => Out::TarGz(Box::new(tar::Builder::new(GzEncoder::new(sealed(seal)?, Compression::default()))), root),
        };
        // Beside the target: a million files have a list of 150 MB.
        let manifest = io::BufWriter::new(tempfile::tempfile_in(folder_of(target))?);
        Ok(Self { out, manifest, files: 0, bytes: 0, part, target: target.into() })
    }

    /// Adds a file of the payload; `path` begins with `data/`. The reader must give exactly `length` bytes.
    ///
    /// # Errors
    /// The reader or the container fails, or the length is another. The bag is then not to be finished.
    pub fn add(&mut self, path: &str, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        self.add_of(path, None, length, reader)
    }

    /// As [`BagWriter::add`], with the moment that the file is of as the time of its last change: in a ZIP archive, which knows no zones, as it was lived.
    ///
    /// # Errors
    /// As [`BagWriter::add`].
    pub fn add_of(&mut self, path: &str, at: Option<&Zoned>, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        let mut hashing = Hashing { inner: reader, hasher: Sha256::new(), count: 0 };
        self.write(path, at, length, &mut hashing)?;
        let mut rest = [0];
        if hashing.count != length || hashing.read(&mut rest)? != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{path}: its length is not the {length} bytes that were announced"),
            ));
        }
        let digest = data_encoding::HEXLOWER.encode(&hashing.hasher.finalize());
        writeln!(self.manifest, "{digest}  {}", listed(path))?;
        self.files += 1;
        self.bytes += length;
        Ok(())
    }

    fn write(&mut self, path: &str, at: Option<&Zoned>, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        match &mut self.out {
            Out::Folder(folder) => folder.write(path, at.map(|at| at.timestamp().into()), length, reader),
            Out::Zip(zip, root) => zip_in(zip, root, path, at, length, reader),
            Out::SealedZip(zip, root) => zip_in(zip, root, path, at, length, reader),
            Out::TarGz(tar, root) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(length);
                header.set_mode(0o644);
                header.set_mtime(at.and_then(|at| u64::try_from(at.timestamp().as_second()).ok()).unwrap_or(0));
                tar.append_data(&mut header, format!("{root}/{path}"), reader.take(length))
            }
        }
    }

    /// Writes the tag files: the bag is whole and on disk, still under its other name. If this fails, nothing stays.
    ///
    /// # Errors
    /// The container fails.
    pub fn close(mut self, info: &BagInfo) -> io::Result<(Bagged, Closed)> {
        let written = self.write_tags(info);
        let Self { out, files, bytes, part, target, .. } = self;
        let closed = Closed { part, target };
        let ended = written.and_then(|digest| end(out).map(|()| digest));
        match ended {
            Ok(digest) => Ok((Bagged { files, bytes, digest }, closed)),
            Err(error) => {
                closed.abandon();
                Err(error)
            }
        }
    }

    /// Writes the tag files and puts the bag in its place.
    ///
    /// # Errors
    /// The container fails, or something is at the target by now.
    pub fn finish(self, info: &BagInfo) -> io::Result<Bagged> {
        let (bagged, closed) = self.close(info)?;
        closed.publish()?;
        Ok(bagged)
    }

    /// Answers the digest of the list of tag files.
    fn write_tags(&mut self, info: &BagInfo) -> io::Result<Sha256Digest> {
        let mut about = format!(
            "Bag-Software-Agent: Keepsake {}\nBagging-Date: {}\nPayload-Oxum: {}.{}\n",
            env!("CARGO_PKG_VERSION"),
            info.date,
            self.bytes,
            self.files
        );
        if let Some((group, number, of)) = &info.group {
            about.push_str(&format!("Bag-Group-Identifier: {group}\nBag-Count: {number} of {of}\n"));
        }
        let own: [(&str, &[u8]); 2] =
            [("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"), ("bag-info.txt", about.as_bytes())];
        let mut tags = String::new();
        for (name, bytes) in own.into_iter().chain(info.tags.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))) {
            tags.push_str(&format!("{}  {}\n", Sha256Digest::of(bytes), listed(name)));
            self.write(name, None, bytes.len() as u64, &mut &*bytes)?;
        }
        self.manifest.flush()?;
        let mut manifest = self.manifest.get_ref().try_clone()?;
        let length = manifest.seek(io::SeekFrom::End(0))?;
        manifest.rewind()?;
        let mut hashing = Hashing { inner: &mut manifest, hasher: Sha256::new(), count: 0 };
        self.write("manifest-sha256.txt", None, length, &mut hashing)?;
        tags.push_str(&format!("{}  manifest-sha256.txt\n", data_encoding::HEXLOWER.encode(&hashing.hasher.finalize())));
        self.write("tagmanifest-sha256.txt", None, tags.len() as u64, &mut tags.as_bytes())?;
        Ok(Sha256Digest::of(tags.as_bytes()))
    }

    /// Removes what was written so far.
    pub fn abandon(self) {
        drop(self.out);
        Closed { part: self.part, target: self.target }.abandon();
    }
}

/// A moment as ZIP archives have it, from 1980 to 2107.
fn zip_time(at: &Zoned) -> Option<zip::DateTime> {
    let part = |number: i8| u8::try_from(number).ok();
    let (year, month, day) = (u16::try_from(at.year()).ok()?, part(at.month())?, part(at.day())?);
    zip::DateTime::from_date_and_time(year, month, day, part(at.hour())?, part(at.minute())?, part(at.second())?).ok()
}

/// Ends a container: everything is on disk, and not only on its way there.
fn end(out: Out) -> io::Result<()> {
    match out {
        Out::Folder(folder) => folder.end(),
        Out::Zip(zip, _) => zip.finish().map_err(io::Error::other)?.sync_all(),
        Out::SealedZip(zip, _) => end_sealed(zip.finish().map_err(io::Error::other)?.into_inner()),
        Out::TarGz(tar, _) => end_sealed(tar.into_inner()?.finish()?),
    }
}

fn end_sealed(sealed: Box<dyn Sealed>) -> io::Result<()> {
    let mut file = sealed.finish()?;
    file.flush()?;
    file.sync_all()
}

/// Adds a file to a ZIP archive; originals and copies of media are packed already.
fn zip_in<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    root: &str,
    path: &str,
    at: Option<&Zoned>,
    length: u64,
    reader: &mut dyn Read,
) -> io::Result<()> {
    let packed = path.starts_with("data/media/") || at.is_some() && !path.ends_with(".xmp");
    let method = if packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let options = SimpleFileOptions::default().compression_method(method).large_file(length > u32::MAX as u64 / 2);
    let options = at.and_then(zip_time).map_or(options, |at| options.last_modified_time(at));
    zip.start_file(format!("{root}/{path}"), options).map_err(io::Error::other)?;
    io::copy(reader, zip).map(drop)
}

/// The name that a bag has until it is whole.
pub fn unfinished(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    target.with_file_name(name)
}

/// A bag that is whole and has not its name yet.
#[derive(Debug)]
pub struct Closed {
    part: PathBuf,
    target: PathBuf,
}

impl Closed {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// Something is there by now, or the folder cannot be written.
    pub fn publish(self) -> io::Result<()> {
        publish(&self.target)
    }

    /// Removes it.
    pub fn abandon(self) {
        // What cannot be removed is named `.part`, so nobody takes it for an export.
        drop(fs::remove_dir_all(&self.part).or_else(|_| fs::remove_file(&self.part)));
    }
}

/// Gives a bag that is whole its name.
///
/// # Errors
/// Something is there by now, or the folder cannot be written; then it has its other name, as before.
pub fn publish(target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_ok() {
        let problem = format!("{} came there meanwhile: choose another name", target.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
    }
    let part = unfinished(target);
    fs::rename(&part, target)?;
    fs::File::open(folder_of(target)).and_then(|folder| folder.sync_all()).inspect_err(|_| drop(fs::rename(target, part)))
}

/// The folder that a path is in.
fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A path as a manifest has it: what would end its line is written as `%0A`, `%0D`, and the percent sign as `%25` (RFC 8493, 2.1.3).
pub fn listed(path: &str) -> String {
    path.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The path that a manifest means.
pub fn unlisted(path: &str) -> String {
    path.replace("%0A", "\n").replace("%0a", "\n").replace("%0D", "\r").replace("%0d", "\r").replace("%25", "%")
}

struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: Sha256,
    count: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.hasher.update(&out[..count]);
        self.count += count as u64;
        Ok(count)
    }
}
