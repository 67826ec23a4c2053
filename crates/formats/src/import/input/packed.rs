//! ZIP archives that are read as one: an archive, or the parts of an export, which some programs pack into one more archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zip::{read::ZipFile, result::ZipError};

use super::{super::ReadError, ENTRIES_MAX, InputFile, most_unpacked, safe};

type Archive = zip::ZipArchive<io::BufReader<fs::File>>;

/// An export has a part for every few GiB.
const PARTS_MAX: usize = 1000;

/// Archives that are read as one.
pub struct Archives {
    parts: Vec<Archive>,
    /// Entries that had to be unpacked, since they are read from their middle.
    unpacked: BTreeMap<String, tempfile::TempPath>,
    /// How many bytes more may be unpacked.
    left: u64,
    /// What it is called, for people.
    named: String,
}

impl Archives {
    /// An archive; one that holds nothing but the parts of an export is what they hold.
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let named = path.display().to_string();
        let io = |source| ReadError::Io { path: named.clone(), source };
        let file = fs::File::open(path).map_err(io)?;
        let left = most_unpacked(file.metadata().map_err(io)?.len());
        let mut all = Self { parts: Vec::new(), unpacked: BTreeMap::new(), left, named: named.clone() };
        let mut outer = archive(&named, file)?;
        let names = parts_in(&outer);
        for name in &names {
            let file = tempfile::tempfile().map_err(io)?;
            copy(&mut outer, name, &file, &mut all.left, &named)?;
            all.parts.push(archive(&format!("{named}: {name}"), file)?);
        }
        if names.is_empty() {
            all.parts.push(outer);
        }
        all.checked()
    }

    /// The parts of an export that lie in a folder, unpacked out of the archive that held them; `None`: something else lies there.
    pub(super) fn of_folder(folder: &Path) -> Result<Option<Self>, ReadError> {
        let named = folder.display().to_string();
        let io = |source| ReadError::Io { path: named.clone(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if paths.len() == PARTS_MAX || !is_part(&name) || !entry.file_type().map_err(io)?.is_file() {
                return Ok(None);
            }
            paths.push(entry.path());
        }
        paths.sort();
        let mut all = Self { parts: Vec::new(), unpacked: BTreeMap::new(), left: 0, named: named.clone() };
        for path in &paths {
            let file = fs::File::open(path).map_err(io)?;
            all.left = all.left.saturating_add(most_unpacked(file.metadata().map_err(io)?.len()));
            all.parts.push(archive(&path.display().to_string(), file)?);
        }
        if paths.is_empty() { Ok(None) } else { all.checked().map(Some) }
    }

    fn checked(mut self) -> Result<Self, ReadError> {
        if self.parts.iter().map(Archive::len).sum::<usize>() > ENTRIES_MAX {
            return Err(ReadError::malformed(self.named, "the archive has more than two million entries"));
        }
        if let Some(name) = self.clash() {
            let problem = format!("its parts hold different files called {}: unpack them, and import them one by one", name.escape_debug());
            return Err(ReadError::malformed(self.named, problem));
        }
        Ok(self)
    }

    /// A name that different files of several parts have: one tree cannot hold both.
    fn clash(&mut self) -> Option<String> {
        let mut seen: BTreeMap<String, (u32, u64)> = BTreeMap::new();
        if self.parts.len() < 2 {
            return None;
        }
        for part in &mut self.parts {
            for at in 0..part.len() {
                let Ok(entry) = part.by_index_raw(at) else { continue };
                let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { continue };
                if !entry.is_file() || !safe(&name) || is_contents(&name) {
                    continue;
                }
                let bytes = (entry.crc32(), entry.size());
                if seen.get(&name).is_some_and(|known| *known != bytes) {
                    return Some(name);
                }
                seen.insert(name, bytes);
            }
        }
        None
    }

    /// All files with names that can be used, those of the first part first.
    pub(super) fn files(&mut self) -> Result<Vec<InputFile>, ReadError> {
        let bad = |error: ZipError| ReadError::malformed(self.named.clone(), error.to_string());
        let mut files = Vec::new();
        for part in &mut self.parts {
            for at in 0..part.len() {
                let entry = part.by_index_raw(at).map_err(bad)?;
                let name = entry.name().map_err(bad)?;
                if entry.is_file() && safe(&name) {
                    files.push(InputFile { path: name.into_owned(), bytes: entry.size() });
                }
            }
        }
        if self.parts.len() > 1 {
            let mut seen = BTreeSet::new();
            files.retain(|file| seen.insert(file.path.clone()));
        }
        Ok(files)
    }

    /// What is never read: names that lead out, and files of later parts whose name an earlier one has.
    pub(super) fn left_out(&mut self) -> Vec<(String, &'static str)> {
        let mut out = Vec::new();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let has_parts = self.parts.len() > 1;
        for part in &mut self.parts {
            for at in 0..part.len() {
                let Ok(entry) = part.by_index_raw(at) else { continue };
                let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { continue };
                if name.ends_with('/') {
                    continue;
                }
                if !safe(&name) {
                    out.push((name, "a name that leads out of the archive"));
                } else if has_parts {
                    match seen.get(&name) {
                        Some(first) if *first == entry.crc32() => out.push((name, "the same file once more, in another part")),
                        Some(_) => out.push((name, "the list of the pages, in another part")),
                        None => drop(seen.insert(name, entry.crc32())),
                    }
                }
            }
        }
        out
    }

    /// A file, to be read.
    pub(super) fn entry(&mut self, path: &str) -> Result<ZipFile<'_, io::BufReader<fs::File>>, ReadError> {
        let named = format!("{}: {path}", self.named);
        let part = self.part_of(path);
        part.by_name(path).map_err(|error| ReadError::malformed(named, error.to_string()))
    }

    /// Most names are found without looking at every one.
    fn part_of(&mut self, path: &str) -> &mut Archive {
        let at = self.parts.iter().position(|part| part.index_for_name_raw(path.as_bytes()).is_some());
        let at = at.or_else(|| self.parts.iter().position(|part| part.index_for_name(path).is_some()));
        &mut self.parts[at.unwrap_or_default()]
    }

    /// A file, unpacked into one that has no name. It is gone as soon as it is closed, so that it takes nothing of what is left.
    pub(super) fn unnamed(&mut self, path: &str) -> Result<fs::File, ReadError> {
        let file = tempfile::tempfile().map_err(|source| ReadError::Io { path: self.named.clone(), source })?;
        let (mut left, named) = (self.left, self.named.clone());
        copy(self.part_of(path), path, &file, &mut left, &named)?;
        Ok(file)
    }

    /// Where a file is that is read from its middle.
    pub(super) fn unpacked(&mut self, path: &str) -> Result<PathBuf, ReadError> {
        if let Some(unpacked) = self.unpacked.get(path) {
            return Ok(unpacked.to_path_buf());
        }
        let file = tempfile::NamedTempFile::new().map_err(|source| ReadError::Io { path: self.named.clone(), source })?;
        let (mut left, named) = (self.left, self.named.clone());
        copy(self.part_of(path), path, file.as_file(), &mut left, &named)?;
        self.left = left;
        let place = file.path().to_path_buf();
        self.unpacked.insert(path.to_owned(), file.into_temp_path());
        Ok(place)
    }
}

fn archive(named: &str, file: fs::File) -> Result<Archive, ReadError> {
    zip::ZipArchive::new(io::BufReader::new(file))
        .map_err(|error| ReadError::malformed(named, format!("the archive cannot be read: {error}; was it downloaded whole?")))
}

/// The parts of an export, in an archive that holds nothing else. Other archives in it are files like others.
fn parts_in(archive: &Archive) -> Vec<String> {
    let is_of_the_system = |name: &str| name.starts_with("__MACOSX/") || name.ends_with(".DS_Store");
    let names: Option<Vec<String>> = archive.file_names().map(|name| name.ok().map(std::borrow::Cow::into_owned)).collect();
    let names: Vec<String> = names.unwrap_or_default().into_iter().filter(|name| !name.ends_with('/') && !is_of_the_system(name)).collect();
    let are_parts = names.len() <= PARTS_MAX && names.iter().all(|name| safe(name) && name.rsplit('/').next().is_some_and(is_part));
    if are_parts { names } else { Vec::new() }
}

/// `Export-UUID-Part-1.zip`, as Notion calls them, or `Part-1.zip`.
fn is_part(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".zip") else { return false };
    let number = match stem.strip_prefix("Export-") {
        Some(rest) => rest.rsplit_once("-Part-").map(|(_, number)| number),
        None => stem.strip_prefix("Part-"),
    };
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The list of its pages, which each part of an export has of its own.
fn is_contents(name: &str) -> bool {
    name.rsplit('/').next() == Some("index.html")
}

/// Unpacks an entry into a file.
fn copy(archive: &mut Archive, name: &str, mut file: &fs::File, left: &mut u64, named: &str) -> Result<(), ReadError> {
    let path = format!("{named}: {name}");
    let entry = archive.by_name(name).map_err(|error| ReadError::malformed(&path, error.to_string()))?;
    let copied = io::copy(&mut entry.take(left.saturating_add(1)), &mut file).map_err(|source| ReadError::Io { path, source })?;
    *left = left.checked_sub(copied).ok_or_else(|| {
        ReadError::malformed(
            named,
            "the archive would unpack to more than a hundred times its length: unpack it by hand if that is meant to be",
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn nothing_is_unpacked_beyond_what_is_left() {
        let space = tempfile::tempdir().expect("space");
        let path = space.path().join("a.zip");
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("create"));
        zip.start_file("a.txt", zip::write::SimpleFileOptions::default()).expect("entry");
        zip.write_all(b"hello").expect("write");
        zip.finish().expect("finish");
        let mut archives = Archives::open(&path).expect("open");
        archives.left = 5;
        assert!(archives.unnamed("a.txt").is_ok() && archives.unnamed("a.txt").is_ok(), "what is closed takes no place");
        archives.left = 4;
        let error = archives.unnamed("a.txt").expect_err("refused").to_string();
        assert!(error.contains("more than a hundred times its length") && archives.unpacked("a.txt").is_err(), "{error}");
    }

    #[test]
    fn parts_are_known_by_their_names() {
        assert!(["Export-950ad927-Part-1.zip", "Part-12.zip"].into_iter().all(is_part));
        assert!(["one.zip", "Part-.zip", "Part-1.tar", "Export-1.zip", "My Part-1.zip"].into_iter().all(|name| !is_part(name)));
    }
}
