//! The containers of an export: a folder, a ZIP archive or a TAR.GZ archive, each a BagIt bag (RFC 8493) whose payload is
//! the bundle's `data/`, or what a writer makes of it. Written front to back; nothing but the manifest is held in memory.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use keepsake_record::Sha256Digest;
use sha2::{Digest, Sha256};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
    /// The container that a file name asks for.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        match name {
            name if name.ends_with(".zip") => Self::Zip,
            name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Self::TarGz,
            _ => Self::Folder,
        }
    }
}

enum Out {
    Folder(PathBuf),
    Zip(Box<ZipWriter<fs::File>>, String),
    TarGz(Box<tar::Builder<GzEncoder<fs::File>>>, String),
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
    manifest: String,
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
        if fs::symlink_metadata(target).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is there already: choose another name", target.display()),
            ));
        }
        let mut name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no name"))?.to_owned();
        name.push(".part");
        let part = target.with_file_name(name);
        let root = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let root = [".zip", ".tar.gz", ".tgz"].iter().fold(root.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name));
        let root = if root.is_empty() || root.starts_with('.') { "export".to_owned() } else { root.to_owned() };
        let out = match container {
            Container::Folder => {
                if part.exists() {
                    fs::remove_dir_all(&part)?;
                }
                fs::create_dir_all(&part)?;
                Out::Folder(part.clone())
            }
            Container::Zip => Out::Zip(Box::new(ZipWriter::new(fs::File::create(&part)?)), root),
            Container::TarGz => {
                Out::TarGz(Box::new(tar::Builder::new(GzEncoder::new(fs::File::create(&part)?, Compression::default()))), root)
            }
        };
        Ok(Self { out, manifest: String::new(), files: 0, bytes: 0, part, target: target.into() })
    }

    /// Adds a file of the payload; `path` begins with `data/`. The reader must give exactly `length` bytes.
    ///
    /// # Errors
    /// The reader or the container fails, or the length is another. The bag is then not to be finished.
    pub fn add(&mut self, path: &str, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        let mut hashing = Hashing { inner: reader, hasher: Sha256::new(), count: 0 };
        self.write(path, length, &mut hashing)?;
        let mut rest = [0];
        if hashing.count != length || hashing.read(&mut rest)? != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{path}: its length is not the {length} bytes that were announced"),
            ));
        }
        let digest = data_encoding::HEXLOWER.encode(&hashing.hasher.finalize());
        self.manifest.push_str(&format!("{digest}  {}\n", listed(path)));
        self.files += 1;
        self.bytes += length;
        Ok(())
    }

    fn write(&mut self, path: &str, length: u64, reader: &mut dyn Read) -> io::Result<()> {
        match &mut self.out {
            Out::Folder(root) => {
                let target = root.join(path);
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                io::copy(reader, &mut fs::File::create(target)?).map(drop)
            }
            Out::Zip(zip, root) => {
                let packed = path.starts_with("data/media/");
                let method = if packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
                let options = SimpleFileOptions::default().compression_method(method).large_file(length > u32::MAX as u64 / 2);
                zip.start_file(format!("{root}/{path}"), options).map_err(io::Error::other)?;
                io::copy(reader, zip).map(drop)
            }
            Out::TarGz(tar, root) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(length);
                header.set_mode(0o644);
                header.set_mtime(0);
                tar.append_data(&mut header, format!("{root}/{path}"), reader.take(length))
            }
        }
    }

    /// Writes the tag files and puts the bag in its place, on disk and not only on its way there.
    ///
    /// # Errors
    /// The container fails.
    pub fn finish(mut self, info: &BagInfo) -> io::Result<Bagged> {
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
        let manifest = std::mem::take(&mut self.manifest);
        let own: [(&str, &[u8]); 3] = [
            ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"),
            ("bag-info.txt", about.as_bytes()),
            ("manifest-sha256.txt", manifest.as_bytes()),
        ];
        let mut tags = String::new();
        for (name, bytes) in own.into_iter().chain(info.tags.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))) {
            tags.push_str(&format!("{}  {}\n", Sha256Digest::of(bytes), listed(name)));
            self.write(name, bytes.len() as u64, &mut &*bytes)?;
        }
        self.write("tagmanifest-sha256.txt", tags.len() as u64, &mut tags.as_bytes())?;
        match self.out {
            // One request for all files, instead of one each.
            Out::Folder(root) => rustix::fs::syncfs(fs::File::open(root)?)?,
            Out::Zip(zip, _) => zip.finish().map_err(io::Error::other)?.sync_all()?,
            Out::TarGz(tar, _) => {
                let mut file = tar.into_inner()?.finish()?;
                file.flush()?;
                file.sync_all()?;
            }
        }
        fs::rename(&self.part, &self.target)?;
        Ok(Bagged { files: self.files, bytes: self.bytes, digest: Sha256Digest::of(tags.as_bytes()) })
    }

    /// Removes what was written so far.
    pub fn abandon(self) {
        drop(self.out);
        // What cannot be removed is named `.part`, so nobody takes it for an export.
        drop(fs::remove_dir_all(&self.part).or_else(|_| fs::remove_file(&self.part)));
    }
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
