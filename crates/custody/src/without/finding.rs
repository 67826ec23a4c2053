//! Finding the files of a bundle that name something, without reading what was read before.
//!
//! Files of lines are cut into spans after lines, and what is looked for (ids and digests) stands in them as whole JSON
//! strings: a span that holds none of them is looked at once, however many files and snapshots share it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use keepsake_repository::{Id, Node, Repository, RepositoryResult};

/// A file that names what is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its path below the folder that was searched.
    pub path: String,
    pub node: Node,
}

/// Looks for JSON strings, and remembers where they are not.
#[derive(Default)]
pub(crate) struct Finder {
    wanted: HashSet<Vec<u8>>,
    spans: HashMap<Id, bool>,
    folders: HashMap<Id, Arc<[Found]>>,
}

impl Finder {
    pub fn new(wanted: impl Iterator<Item = String>) -> Self {
        Self { wanted: wanted.map(String::into_bytes).collect(), ..Self::default() }
    }

    /// Whether bytes hold one of the strings. Of bytes that do not end with a line nobody knows what follows.
    fn is_in(&self, bytes: &[u8]) -> bool {
        !bytes.ends_with(b"\n") || bytes.split(|byte| *byte == b'"').any(|part| self.wanted.contains(part))
    }

    /// The files below a folder that hold one of the strings.
    pub fn below(&mut self, repository: &Repository, folder: &Id) -> RepositoryResult<Arc<[Found]>> {
        if let Some(known) = self.folders.get(folder) {
            return Ok(known.clone());
        }
        let mut found = Vec::new();
        for node in &repository.tree(folder)?.nodes {
            let name = node.display_name();
            if let Some(subtree) = node.subtree {
                let below = self.below(repository, &subtree)?;
                found.extend(below.iter().map(|f| Found { path: format!("{name}/{}", f.path), node: f.node.clone() }));
            } else if self.names(repository, node)? {
                found.push(Found { path: name, node: node.clone() });
            }
        }
        let found: Arc<[Found]> = found.into();
        self.folders.insert(*folder, found.clone());
        Ok(found)
    }

    fn names(&mut self, repository: &Repository, node: &Node) -> RepositoryResult<bool> {
        for id in node.content.iter().flatten() {
            if self.is_in_span(repository, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a span holds one of the strings.
    pub fn is_in_span(&mut self, repository: &Repository, id: &Id) -> RepositoryResult<bool> {
        if let Some(known) = self.spans.get(id) {
            return Ok(*known);
        }
        let hit = self.is_in(&repository.content(id)?);
        self.spans.insert(*id, hit);
        Ok(hit)
    }
}
