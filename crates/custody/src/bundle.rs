//! Reading a bundle, wherever it is: a folder, an archive, the parts of an export, or a snapshot.

pub(crate) mod parts;

use std::{
    collections::HashSet,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use keepsake_formats::{bag::unlisted, import::Input};
use keepsake_record::{Owner, bundle::Header};
use keepsake_repository::{Id, NodeKind, Repository, RepositoryError};

use crate::{CustodyError, CustodyResult, memories::hash_reader, snapshots::walk};

/// The head of a bundle.
pub(crate) const HEAD: &str = "keepsake.json";

/// A bundle that can be read. Its methods block.
pub struct Bundle {
    place: Place,
    /// Its paths in order, each with the number of the input that has it.
    files: Vec<(String, usize)>,
}

enum Place {
    /// Files below prefixes, which end in `data/`: an export, or its parts.
    Inputs(Vec<(Input, String)>),
    Snapshot(Arc<Repository>, Id),
}

impl Bundle {
    /// Opens a bundle in a folder or archive, or in all parts of an export: it is enough to name one of them, or the folder that they lie in.
    ///
    /// # Errors
    /// There is none, or a part is missing.
    pub fn open(path: &Path) -> CustodyResult<Self> {
        let input = Input::open(path)?;
        let inputs = match parts::parts_at(path, &input)? {
            Some(parts) => parts,
            None => vec![input],
        };
        Self::of_inputs(path, inputs)
    }

    /// As [`Bundle::open`], of what was opened already.
    pub(crate) fn of_inputs(path: &Path, inputs: Vec<Input>) -> CustodyResult<Self> {
        let (mut places, mut files) = (Vec::new(), Vec::new());
        for input in inputs {
            let all = input.files()?;
            let heads = all.iter().map(|file| file.path.as_str()).filter(|path| *path == HEAD || path.ends_with("/keepsake.json"));
            let prefix = match heads.min_by_key(|path| path.len()) {
                Some(head) => Some(head.trim_end_matches(HEAD).to_owned()),
                None => parts::group_of(&input).and(parts::bag_folder(&input)).map(|folder| format!("{folder}data/")),
            };
            let Some(prefix) = prefix else { continue };
            files.extend(all.iter().filter_map(|file| Some((file.path.strip_prefix(&prefix)?.to_owned(), places.len()))));
            places.push((input, prefix));
        }
        files.sort();
        if !files.iter().any(|(path, _)| path == HEAD) {
            return Err(CustodyError::Usage(format!("{} holds no Keepsake bundle: there is no keepsake.json in it", path.display())));
        }
        Ok(Self { place: Place::Inputs(places), files })
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
                files.push((path, 0));
            }
        })?;
        files.sort();
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
        self.files.iter().map(|(path, _)| path.as_str()).filter(move |path| path.starts_with(prefix))
    }

    /// The files of the payload whose bytes are not what the bag's manifest says; none where there is no manifest.
    ///
    /// # Errors
    /// The manifest is there and cannot be read.
    pub fn altered_files(&self) -> CustodyResult<Vec<String>> {
        let Place::Inputs(inputs) = &self.place else { return Ok(Vec::new()) };
        let mut altered = Vec::new();
        for (input, prefix) in inputs {
            let Some(bag) = prefix.strip_suffix("data/") else { continue };
            let manifest = format!("{bag}manifest-sha256.txt");
            let there: HashSet<String> = input.files()?.into_iter().map(|file| file.path).collect();
            if !there.contains(&manifest) {
                continue;
            }
            let text = String::from_utf8_lossy(&input.whole(&manifest)?).into_owned();
            for (digest, path) in text.lines().filter_map(|line| line.split_once("  ")) {
                let path = unlisted(path);
                // What is not in the bag is not looked for elsewhere.
                let inside = Some(format!("{bag}{path}")).filter(|path| there.contains(path));
                let found = inside.and_then(|path| input.open_file(&path).ok()).and_then(|mut reader| hash_reader(&mut reader).ok());
                if found.is_none_or(|(found, _)| found.to_string() != digest) {
                    altered.push(path);
                }
            }
        }
        Ok(altered)
    }

    /// Whether a file is there.
    pub fn has(&self, path: &str) -> bool {
        self.input_of(path).is_some()
    }

    /// The number of the input that has a file.
    fn input_of(&self, path: &str) -> Option<usize> {
        let at = self.files.binary_search_by(|(known, _)| known.as_str().cmp(path)).ok()?;
        Some(self.files[at].1)
    }

    /// The input that has a file, and the file's path in it.
    fn place_in<'a>(&self, inputs: &'a [(Input, String)], path: &str) -> CustodyResult<(&'a Input, String)> {
        let found = self.input_of(path).and_then(|number| inputs.get(number));
        let (input, prefix) = found.ok_or_else(|| CustodyError::Damaged(format!("the bundle has no {path}")))?;
        Ok((input, format!("{prefix}{path}")))
    }

    /// Reads a file whole.
    ///
    /// # Errors
    /// It is not there or damaged.
    pub fn whole(&self, path: &str) -> CustodyResult<Vec<u8>> {
        match &self.place {
            Place::Inputs(inputs) => {
                let (input, path) = self.place_in(inputs, path)?;
                Ok(input.whole(&path)?)
            }
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
            Place::Inputs(inputs) => {
                let (input, path) = self.place_in(inputs, path)?;
                Ok(input.open_file(&path)?)
            }
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
