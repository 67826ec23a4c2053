//! Several inputs as one tree: the archives of one export, in which a file may be in one and what is said of it in another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Input, InputFile, ReadError};

/// The archives of an export are so many at most.
const INPUTS_MAX: usize = 10_000;

/// Inputs whose files are one tree.
///
/// - A path that several have with the same bytes is there once; with other bytes, it stands below the name of its input.
pub struct Joined {
    inputs: Vec<Input>,
    files: BTreeMap<String, File>,
    again: Vec<String>,
}

struct File {
    input: usize,
    path: String,
    bytes: u64,
}

impl Input {
    /// Opens one path, or several as one tree. A folder that holds nothing but the archives of a Takeout stands for these.
    ///
    /// # Errors
    /// One is not there, or cannot be read.
    pub fn open_all(paths: &[PathBuf]) -> Result<Self, ReadError> {
        let mut all = Vec::new();
        let mut known = BTreeSet::new();
        for path in paths {
            for path in archives_in(path).unwrap_or_else(|| vec![path.clone()]) {
                if known.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                    all.push(path);
                }
            }
        }
        if all.len() > INPUTS_MAX {
            return Err(ReadError::malformed("the import", format!("takes {INPUTS_MAX} inputs at most")));
        }
        match &all[..] {
            [] => Err(ReadError::malformed("the import", "needs a file, a folder or an archive")),
            [only] => Self::open(only),
            several => Ok(Self::Several(Arc::new(Joined::of(several.iter().map(|path| Self::open(path)).collect::<Result<_, _>>()?)?))),
        }
    }
}

/// The archives in a folder that holds nothing else, if they are those of a Takeout.
fn archives_in(folder: &Path) -> Option<Vec<PathBuf>> {
    let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        name.starts_with("takeout-") && [".zip", ".tgz", ".tar.gz"].iter().any(|ending| name.ends_with(ending)) && path.is_file()
    };
    let entries = fs::read_dir(folder).ok()?;
    let mut paths: Vec<PathBuf> = entries.take(INPUTS_MAX + 1).filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    (!paths.is_empty() && paths.iter().all(is_archive)).then_some(paths)
}

impl Joined {
    fn of(inputs: Vec<Input>) -> Result<Self, ReadError> {
        let mut joined = Self { inputs, files: BTreeMap::new(), again: Vec::new() };
        for number in 0..joined.inputs.len() {
            for file in joined.inputs[number].files()? {
                joined.add(number, file)?;
            }
        }
        Ok(joined)
    }

    fn add(&mut self, number: usize, file: InputFile) -> Result<(), ReadError> {
        let InputFile { path, bytes } = file;
        let stem = self.inputs[number].stem();
        let below = |count: usize| if count == 1 { format!("{stem}/{path}") } else { format!("{stem} {count}/{path}") };
        let mut place = path.clone();
        let mut count = 0;
        while let Some(known) = self.files.get(&place) {
            if known.bytes == bytes && self.inputs[known.input].digest(&known.path)? == self.inputs[number].digest(&path)? {
                self.again.push(format!("{}: {path}", self.inputs[number].describe()));
                return Ok(());
            }
            count += 1;
            place = below(count);
        }
        self.files.insert(place, File { input: number, path, bytes });
        Ok(())
    }

    pub(super) fn first(&self) -> &Input {
        &self.inputs[0]
    }

    pub(super) fn describe(&self) -> String {
        format!("{} and {} more", self.first().describe(), self.inputs.len() - 1)
    }

    pub(super) fn files(&self) -> Vec<InputFile> {
        self.files.iter().map(|(path, file)| InputFile { path: path.clone(), bytes: file.bytes }).collect()
    }

    pub(super) fn left_out(&self) -> Result<Vec<(String, &'static str)>, ReadError> {
        let mut left_out: Vec<_> = self.again.iter().map(|path| (path.clone(), "the same file as in another input")).collect();
        for input in &self.inputs {
            left_out.extend(input.left_out()?.into_iter().map(|(path, what)| (format!("{}: {path}", input.describe()), what)));
        }
        Ok(left_out)
    }

    /// The input that has a file, and the file's path in it.
    pub(super) fn at(&self, path: &str) -> Result<(&Input, &str), ReadError> {
        match self.files.get(path) {
            Some(file) => Ok((&self.inputs[file.input], &file.path)),
            None => Err(ReadError::Io { path: format!("{}: {path}", self.describe()), source: io::ErrorKind::NotFound.into() }),
        }
    }
}
