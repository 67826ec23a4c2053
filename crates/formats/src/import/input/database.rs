//! A database as an input: alone, or the one of the folder that was named. What a reader takes out of it (its blobs) are files of a temporary
//! folder, under paths that go on behind the database's own: `memos_prod.db/12`.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{super::ReadError, Input, InputFile};

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// What lies beside a database and belongs to it.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The folder beside it where Memos keeps files; nothing else is looked at beside a database that was named by itself.
const ASSETS: &str = "assets";

/// Where a database is.
#[derive(Debug)]
pub struct DatabaseInput {
    pub(super) given: PathBuf,
    /// The folder that it lies in.
    pub(super) root: PathBuf,
    name: String,
    is_alone: bool,
    taken_out: tempfile::TempDir,
}

impl DatabaseInput {
    /// A file, if it is a database.
    pub(super) fn of_file(path: &Path) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        fs::File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
        if head != MAGIC {
            return Ok(None);
        }
        // What is beside a link is not what is beside the file.
        let file = fs::canonicalize(path)?;
        let (Some(root), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else { return Ok(None) };
        let taken_out = tempfile::tempdir()?;
        Ok(Some(Self { given: path.into(), root: root.into(), name: name.into(), is_alone: true, taken_out }))
    }

    /// A folder, if it is the one of an instance of Memos: `memos_prod.db` is at its top, and no second one.
    pub(super) fn of_folder(folder: &Path) -> io::Result<Option<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_named = entry.file_name().to_str().is_some_and(|name| name.starts_with("memos_") && name.ends_with(".db"));
            if is_named && entry.file_type()?.is_file() {
                found.extend(Self::of_file(&entry.path())?);
            }
        }
        let alone = Some(found).filter(|found| found.len() == 1).and_then(|mut found| found.pop());
        Ok(alone.map(|database| Self { given: folder.into(), is_alone: false, ..database }))
    }

    /// Whether it was named by itself.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// The folder that it lies in.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of the database in the input.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder for what is taken out of it.
    pub(crate) fn taken_out(&self) -> &Path {
        self.taken_out.path()
    }

    /// The files of the top folder that belong to the input, and the folders of it that do; `None`: all.
    fn parts(&self) -> Option<(Vec<String>, Vec<&'static str>)> {
        if !self.is_alone {
            return None;
        }
        let is = |path: &Path, what: fn(&fs::FileType) -> bool| fs::symlink_metadata(path).is_ok_and(|meta| what(&meta.file_type()));
        let files = [""].iter().chain(&COMPANIONS).map(|ending| format!("{}{ending}", self.name));
        let files = files.filter(|name| is(&self.root.join(name), fs::FileType::is_file)).collect();
        let folders = if is(&self.root.join(ASSETS), fs::FileType::is_dir) { vec![ASSETS] } else { Vec::new() };
        Some((files, folders))
    }

    /// All files.
    pub(super) fn files(&self, input: &Input) -> Result<Vec<InputFile>, ReadError> {
        let mut files = Vec::new();
        let Some((alone, folders)) = self.parts() else {
            input.walk(&self.root, "", &mut files)?;
            return Ok(files);
        };
        for name in alone {
            let meta = fs::metadata(self.root.join(&name)).map_err(|source| input.io(&name, source))?;
            files.push(InputFile { path: name, bytes: meta.len() });
        }
        folders.iter().try_for_each(|folder| input.walk(&self.root.join(folder), folder, &mut files))?;
        Ok(files)
    }

    /// Links, which are never read.
    pub(super) fn links(&self, input: &Input) -> Result<Vec<(String, &'static str)>, ReadError> {
        let mut links = Vec::new();
        match self.parts() {
            None => input.links(&self.root, "", &mut links)?,
            Some((_, folders)) => {
                folders.iter().try_for_each(|folder| input.links(&self.root.join(folder), &format!("{folder}/"), &mut links))?;
            }
        }
        Ok(links)
    }

    /// Where a path of the input is on disk.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        match path.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('/')) {
            Some(taken_out) => self.taken_out.path().join(taken_out),
            None => self.root.join(path),
        }
    }
}
