//! Reading a bundle, wherever it is: a folder, a ZIP archive, or a snapshot.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use keepsake_formats::import::Input;
use keepsake_record::{Owner, bundle::Header};
use keepsake_repository::{Id, NodeKind, Repository, RepositoryError};

use crate::{CustodyError, CustodyResult, memories::hash_reader, snapshots::walk};

/// A bundle that can be read. Its methods block.
pub struct Bundle {
    place: Place,
    files: Vec<String>,
}

enum Place {
    /// Files below a prefix, which ends in `data/`.
    Input(Input, String),
    Snapshot(Arc<Repository>, Id),
}

impl Bundle {
    /// Opens a bundle in a folder or archive.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path) -> CustodyResult<Self> {
        let input = Input::open(path)?;
        let all = input.files()?;
        let head =
            all.iter().map(|f| f.path.as_str()).filter(|p| *p == "keepsake.json" || p.ends_with("/keepsake.json")).min_by_key(|p| p.len());
        let Some(prefix) = head.map(|p| p.trim_end_matches("keepsake.json").to_owned()) else {
            return Err(CustodyError::Usage(format!("{} holds no Keepsake bundle: there is no keepsake.json in it", path.display())));
        };
        let files = all.iter().filter_map(|f| f.path.strip_prefix(&prefix)).map(str::to_owned).collect();
        Ok(Self { place: Place::Input(input, prefix), files })
    }

    /// Opens the bundle of a snapshot whose index is loaded.
    ///
    /// # Errors
    /// It is no snapshot of a vault, or a tree of it is damaged.
    pub fn of_snapshot(repository: Arc<Repository>, tree: &Id) -> CustodyResult<Self> {
        let Some(data) = repository.node_at(tree, "data")?.and_then(|n| n.subtree) else {
            return Err(CustodyError::Usage("this snapshot holds a folder, not a vault: restore it to a folder with --to".into()));
        };
        let mut files = Vec::new();
        walk(&repository, data, "", &mut |path, node| {
            if node.kind == NodeKind::File {
                files.push(path);
            }
        })?;
        Ok(Self { place: Place::Snapshot(repository, data), files })
    }

    /// The head, checked.
    ///
    /// # Errors
    /// It is not there, or needs a newer reader.
    pub fn header(&self) -> CustodyResult<Header> {
        Ok(Header::read(&self.whole("keepsake.json")?)?)
    }

    /// Whose it is.
    ///
    /// # Errors
    /// The file is not there or not readable.
    pub fn owner(&self) -> CustodyResult<Owner> {
        let bytes = self.whole("owner.json")?;
        serde_json::from_slice(&bytes).map_err(|e| CustodyError::Damaged(format!("owner.json: {e}")))
    }

    /// The paths of a part of the bundle, in order.
    pub fn files_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |path| path.starts_with(prefix))
    }

    /// The files of the payload whose bytes are not what the bag's manifest says; none where there is no manifest.
    ///
    /// # Errors
    /// The manifest is there and cannot be read.
    pub fn altered_files(&self) -> CustodyResult<Vec<String>> {
        let Place::Input(input, prefix) = &self.place else { return Ok(Vec::new()) };
        let Some(bag) = prefix.strip_suffix("data/") else { return Ok(Vec::new()) };
        let manifest = format!("{bag}manifest-sha256.txt");
        if !input.files()?.iter().any(|f| f.path == manifest) {
            return Ok(Vec::new());
        }
        let text = String::from_utf8_lossy(&input.whole(&manifest)?).into_owned();
        let mut altered = Vec::new();
        for (digest, path) in text.lines().filter_map(|line| line.split_once("  ")) {
            let found = input.open_file(&format!("{bag}{path}")).ok().and_then(|mut reader| hash_reader(&mut reader).ok());
            if found.is_none_or(|(found, _)| found.to_string() != digest) {
                altered.push(path.to_owned());
            }
        }
        Ok(altered)
    }

    /// Whether a file is there.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|f| f == path)
    }

    /// Reads a file whole.
    ///
    /// # Errors
    /// It is not there or damaged.
    pub fn whole(&self, path: &str) -> CustodyResult<Vec<u8>> {
        match &self.place {
            Place::Input(input, prefix) => Ok(input.whole(&format!("{prefix}{path}"))?),
            Place::Snapshot(repository, tree) => {
                let node = repository.node_at(tree, path)?.ok_or_else(|| CustodyError::Damaged(format!("the bundle has no {path}")))?;
                Ok(repository.file_bytes(&node)?)
            }
        }
    }

    /// Opens a file to read it from front to back.
    ///
    /// # Errors
    /// It is not there.
    pub fn open_file(&self, path: &str) -> CustodyResult<Box<dyn Read>> {
        match &self.place {
            Place::Input(input, prefix) => Ok(input.open_file(&format!("{prefix}{path}"))?),
            Place::Snapshot(repository, tree) => {
                let node = repository.node_at(tree, path)?.ok_or_else(|| CustodyError::Damaged(format!("the bundle has no {path}")))?;
                let mut ids = node.content.unwrap_or_default();
                ids.reverse();
                Ok(Box::new(BlobReader { repository: repository.clone(), ids, buffer: io::Cursor::default() }))
            }
        }
    }
}

/// Reads a file blob by blob.
struct BlobReader {
    repository: Arc<Repository>,
    /// What is still to be read, last first.
    ids: Vec<Id>,
    buffer: io::Cursor<Vec<u8>>,
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.buffer.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(id) = self.ids.pop() else { return Ok(0) };
            let bytes = self
                .repository
                .blob(keepsake_repository::BlobKind::Data, &id)
                .map_err(|e: RepositoryError| io::Error::other(e.to_string()))?;
            self.buffer = io::Cursor::new(bytes);
        }
    }
}
