//! Looking at snapshots: list, show, list files, compare; and the data ID of the live state.

use std::{collections::BTreeMap, path::PathBuf};

use keepsake_record::{OwnerId, Sha256Digest};
use keepsake_repository::{Id, Node, NodeKind, Password, Repository, RepositoryError, RepositoryResult, Snapshot};
use serde::Serialize;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::blocking,
    render::{Renderer, data_id},
};

/// Which repository is meant.
#[derive(Clone, Default)]
pub enum Source {
    /// The owner's own, as the home knows it.
    #[default]
    Home,
    /// One at a place of its own: another home's, or one that restic made.
    Elsewhere {
        /// Its folder.
        location: PathBuf,
        /// Its password.
        password: Password,
    },
}

/// One snapshot, for people and programs.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotRow {
    /// Its id.
    pub id: String,
    /// When it was made, RFC 3339.
    pub time: String,
    /// `full`, `incremental`, `differential`, `folder`, or empty for those of other programs.
    pub kind: String,
    /// Its root tree.
    pub tree: String,
    /// The last change it holds, for bundles.
    pub seq: Option<u64>,
    /// What it holds: the vault, or the folder's path.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The snapshot it was built on.
    pub parent: Option<String>,
}

/// A file or folder in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// `file`, `dir`, `symlink` …
    pub kind: String,
    /// Its length.
    pub bytes: u64,
    /// Its time.
    pub time: String,
}

/// A path that differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeChange {
    /// `+` new, `-` gone, `M` changed.
    pub change: char,
    /// The path.
    pub path: String,
}

pub(crate) fn row(id: &Id, snapshot: &Snapshot) -> SnapshotRow {
    let folder = snapshot.tags.iter().any(|t| t == "folder");
    SnapshotRow {
        id: id.to_string(),
        time: snapshot.time.clone(),
        kind: snapshot.tag("kind").map_or_else(|| if folder { "folder".into() } else { String::new() }, str::to_owned),
        tree: snapshot.tree.to_string(),
        seq: snapshot.tag("seq").and_then(|s| s.parse().ok()),
        paths: if is_bundle(snapshot) { vec!["the vault".into()] } else { snapshot.paths.clone() },
        tags: snapshot.tags.clone(),
        parent: snapshot.parent.map(|id| id.to_string()),
    }
}

pub(crate) fn is_bundle(snapshot: &Snapshot) -> bool {
    snapshot.tags.iter().any(|t| t == "keepsake-bundle")
}

/// Finds a snapshot: `latest` is the newest bundle by history, not by clock; else the beginning of an id.
pub(crate) fn find(repository: &Repository, name: &str, lineage: Option<&str>) -> RepositoryResult<(Id, Snapshot)> {
    let (all, _) = repository.snapshots()?;
    let missing = || RepositoryError::NoSnapshot { name: name.to_owned() };
    if name == "latest" {
        let bundles = || all.iter().filter(|(_, s)| is_bundle(s));
        let seq = |s: &Snapshot| s.tag("seq").and_then(|q| q.parse::<u64>().ok());
        let of =
            |lineage: Option<&str>| bundles().filter(|(_, s)| lineage.is_some() && s.tag("lineage") == lineage).max_by_key(|(_, s)| seq(s));
        // Where the vault's own line is not there, the line that was written to last.
        let newest = || bundles().next_back().and_then(|(_, s)| of(s.tag("lineage")));
        return of(lineage).or_else(newest).or_else(|| bundles().next_back()).or_else(|| all.last()).cloned().ok_or_else(missing);
    }
    let mut hits = all.into_iter().filter(|(id, _)| name.len() >= 4 && id.to_string().starts_with(name));
    match (hits.next(), hits.next()) {
        (Some(hit), None) => Ok(hit),
        _ => Err(missing()),
    }
}

impl Custody {
    /// The snapshots of an owner's repository, oldest first, and the damaged ones as sentences.
    ///
    /// # Errors
    /// There is no repository, or it cannot be listed.
    pub async fn snapshots(&self, owner: OwnerId, from: &Source) -> CustodyResult<(Vec<SnapshotRow>, Vec<String>)> {
        let result = async {
            let repository = self.source(owner, from).await?;
            blocking(move || {
                let (good, damaged) = repository.snapshots()?;
                Ok((good.iter().map(|(id, s)| row(id, s)).collect(), damaged.iter().map(ToString::to_string).collect()))
            })
            .await
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.list", "", result).await
    }

    /// One snapshot.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn snapshot(&self, owner: OwnerId, from: &Source, name: &str) -> CustodyResult<SnapshotRow> {
        let result = async {
            let (repository, id, snapshot) = self.found(owner, from, name).await?;
            drop(repository);
            Ok(row(&id, &snapshot))
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.show", name, result).await
    }

    /// Opens the repository that is meant.
    pub(crate) async fn source(&self, owner: OwnerId, from: &Source) -> CustodyResult<Repository> {
        match from {
            Source::Home => Ok(self.existing_copy(Some(owner)).await?.repository),
            Source::Elsewhere { location, password } => {
                let (location, password, engine) = (location.clone(), password.clone(), self.engine.clone());
                blocking(move || crate::elsewhere::open(&location, &password, engine)).await
            }
        }
    }

    pub(crate) async fn found(&self, owner: OwnerId, from: &Source, name: &str) -> CustodyResult<(Repository, Id, Snapshot)> {
        let repository = self.source(owner, from).await?;
        let lineage = self.vault.head(owner).await?.lineage;
        let name = name.to_owned();
        blocking(move || {
            let (loaded, found) = repository.both(|| repository.load_index(), || find(&repository, &name, Some(&lineage)));
            let (id, snapshot) = found?;
            loaded?;
            // A backup that ends meanwhile writes its indexes before its snapshot, and the one with the root last.
            if !repository.has_tree(&snapshot.tree) {
                repository.load_index()?;
            }
            Ok((repository, id, snapshot))
        })
        .await
    }

    /// The files of a snapshot at or below a path.
    ///
    /// # Errors
    /// There is no such snapshot or path, or a tree is damaged.
    pub async fn snapshot_files(&self, owner: OwnerId, from: &Source, name: &str, path: &str) -> CustodyResult<Vec<Entry>> {
        let result = async {
            let (repository, _, snapshot) = self.found(owner, from, name).await?;
            let path = path.trim_matches('/').to_owned();
            blocking(move || {
                let mut entries = Vec::new();
                if path.is_empty() {
                    walk(&repository, snapshot.tree, "", &mut |path, node| entries.push(entry(path, node)))?;
                } else {
                    let node = repository
                        .node_at(&snapshot.tree, &path)?
                        .ok_or_else(|| CustodyError::Usage(format!("there is no `{path}` in this snapshot")))?;
                    entries.push(entry(path.clone(), &node));
                    if let Some(subtree) = node.subtree {
                        walk(&repository, subtree, &path, &mut |path, node| entries.push(entry(path, node)))?;
                    }
                }
                Ok(entries)
            })
            .await
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.ls", name, result).await
    }

    /// What differs between two snapshots.
    ///
    /// # Errors
    /// There is no such snapshot, or a tree is damaged.
    pub async fn snapshot_diff(&self, owner: OwnerId, source: &Source, from: &str, to: &str) -> CustodyResult<Vec<TreeChange>> {
        let result = async {
            let (repository, _, from_snapshot) = self.found(owner, source, from).await?;
            let lineage = self.vault.head(owner).await?.lineage;
            let to = to.to_owned();
            blocking(move || {
                let (_, to_snapshot) = find(&repository, &to, Some(&lineage))?;
                let mut changes = Vec::new();
                differ(&repository, Some(from_snapshot.tree), Some(to_snapshot.tree), "", &mut changes)?;
                Ok(changes)
            })
            .await
        };
        let result = result.await;
        self.audited(Some(owner), "snapshot.diff", from, result).await
    }

    /// The originals of live memories whose files are not in the media store. Looks at each, reads none.
    ///
    /// # Errors
    /// The vault or the store fails.
    pub async fn lost_originals(&self, owner: OwnerId) -> CustodyResult<Vec<Sha256Digest>> {
        let mut snapshot = self.vault.snapshot(owner).await?;
        let (mut after, mut lost) = (String::new(), Vec::new());
        loop {
            let page = snapshot.media_after(&after, 1000).await?;
            let Some((last, _)) = page.last() else { return Ok(lost) };
            after.clone_from(last);
            let vault = self.vault.clone();
            lost.extend(
                blocking(move || {
                    let missing = |digest: &Sha256Digest| vault.stored_length(owner, digest).map(|length| length.is_none());
                    let mut lost = Vec::new();
                    for (_, digest) in page {
                        if missing(&digest)? {
                            lost.push(digest);
                        }
                    }
                    Ok(lost)
                })
                .await?,
            );
        }
    }

    /// The data ID of an owner's live state: equal states have equal ones, whatever program, machine or database holds them.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn data_id(&self, owner: OwnerId) -> CustodyResult<Sha256Digest> {
        let snapshot = self.vault.snapshot(owner).await?;
        data_id(Renderer::new(snapshot, self.limits).await?).await
    }
}

fn entry(path: String, node: &Node) -> Entry {
    let kind = match node.kind {
        NodeKind::File => "file",
        NodeKind::Dir => "dir",
        NodeKind::Symlink => "symlink",
        NodeKind::Device | NodeKind::CharDevice => "device",
        NodeKind::Fifo => "fifo",
        NodeKind::Socket => "socket",
    };
    Entry { path, kind: kind.into(), bytes: node.size, time: node.mtime.clone() }
}

pub(crate) fn walk(repository: &Repository, tree: Id, prefix: &str, each: &mut dyn FnMut(String, &Node)) -> RepositoryResult<()> {
    for node in &repository.tree(&tree)?.nodes {
        let path = if prefix.is_empty() { node.display_name() } else { format!("{prefix}/{}", node.display_name()) };
        each(path.clone(), node);
        if let Some(subtree) = node.subtree {
            walk(repository, subtree, &path, each)?;
        }
    }
    Ok(())
}

/// Compares trees; equal subtrees are not looked into.
fn differ(repository: &Repository, from: Option<Id>, to: Option<Id>, prefix: &str, out: &mut Vec<TreeChange>) -> RepositoryResult<()> {
    if from == to {
        return Ok(());
    }
    let nodes = |tree: Option<Id>| -> RepositoryResult<BTreeMap<Vec<u8>, Node>> {
        let tree = tree.map(|id| repository.tree(&id)).transpose()?.unwrap_or_default();
        Ok(tree.nodes.iter().map(|n| (n.name.clone(), n.clone())).collect())
    };
    let (old, new) = (nodes(from)?, nodes(to)?);
    let names: std::collections::BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        let path = format!("{prefix}{}", String::from_utf8_lossy(name));
        let change = match (before, after) {
            (Some(b), Some(a)) if b == a => continue,
            (Some(b), Some(a)) if b.subtree.is_some() && a.subtree.is_some() => None,
            (Some(_), Some(_)) => Some('M'),
            (Some(_), None) => Some('-'),
            (None, _) => Some('+'),
        };
        let is_folder = before.or(after).is_some_and(|n| n.subtree.is_some());
        if let Some(change) = change.filter(|_| !is_folder) {
            out.push(TreeChange { change, path: path.clone() });
        }
        if is_folder {
            differ(repository, before.and_then(|n| n.subtree), after.and_then(|n| n.subtree), &format!("{path}/"), out)?;
        }
    }
    Ok(())
}
