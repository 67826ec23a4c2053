//! Where what a template makes is to be: what its files are called, who may be at it, and how all of them get their names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::template::{Kind, Manifest, Per};
use keepsake_record::OwnerId;
use keepsake_vault::Lease;

use super::leftovers::{DEPTH_MAX, Leftovers, Listed, MARKER, Marker, remove_work};
use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::blocking,
    export::{lease_name, need_folder, refuse_filled},
};

/// Endings of files, which no folder should have.
const ENDINGS: [&str; 16] =
    ["html", "htm", "md", "markdown", "txt", "pdf", "zip", "tar", "gz", "tgz", "epub", "json", "xml", "csv", "docx", "age"];

/// Where what is made is to be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub out: PathBuf,
    /// Whether it is a folder that holds everything, or a file with others beside it.
    pub is_folder: bool,
    /// Where everything stands until it is whole.
    pub work: PathBuf,
    /// The folder of pictures and originals: none of its own in a folder.
    pub prefix: String,
    pub stem: String,
    pub ending: &'static str,
    /// Whose memories they are.
    pub owner: OwnerId,
    /// What tells this run from others; empty until it holds the lease.
    pub run: String,
}

impl Place {
    /// Refuses what cannot be, before anything is read.
    pub fn new(out: &Path, manifest: &Manifest, owner: OwnerId) -> CustodyResult<Self> {
        need_folder(out)?;
        let ending = out.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let own = manifest.kind.ending();
        let is_file = ending == own && manifest.per == Per::Export;
        if !is_file && ENDINGS.contains(&ending.as_str()) {
            let name = &manifest.name;
            return Err(CustodyError::Usage(match manifest.per {
                Per::Export => format!("{name} makes .{own}: {} needs that ending, or none for a folder", out.display()),
                Per::Memory => {
                    format!("{name} makes a file of each memory: {} is to be a folder, whose name has no such ending", out.display())
                }
            }));
        }
        let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = if is_file { out.file_stem().unwrap_or_default().to_string_lossy().into_owned() } else { String::new() };
        Ok(Self {
            is_folder: !is_file,
            work: out.with_file_name(format!("{name}.part")),
            prefix: if is_file { format!("{stem}-files") } else { String::new() },
            out: out.to_path_buf(),
            stem,
            ending: own,
            owner,
            run: String::new(),
        })
    }

    /// What a run that was cut off left here. Touches nothing.
    ///
    /// # Errors
    /// Something else stands where something is to be made.
    pub fn look(&self) -> CustodyResult<Leftovers> {
        let left = Leftovers::find(self)?;
        let mut targets = vec![self.out.clone()];
        if !self.is_folder {
            let beside = [self.prefix.clone(), self.manifest(), format!("{}-1.{}", self.stem, self.ending)];
            targets.extend(beside.into_iter().map(|name| self.out.with_file_name(name)));
        }
        targets.iter().filter(|target| !left.takes_back(target)).try_for_each(|target| refuse_filled(target))?;
        Ok(left)
    }

    /// With nothing there any more that a run before left.
    fn cleared(self, monitor: &dyn Monitor) -> CustodyResult<Self> {
        let left = self.look()?;
        if !left.is_empty() {
            monitor.stage("removing what is left of a run that was cut off", None, None);
            left.remove()?;
        }
        Ok(self)
    }

    /// Its one path, by which two runs know that they are at the same.
    fn settled(&self) -> CustodyResult<PathBuf> {
        let out = std::path::absolute(&self.out).map_err(CustodyError::io(&self.out))?;
        let folder = out.parent().unwrap_or(&out);
        let folder = fs::canonicalize(folder).map_err(CustodyError::io(folder))?;
        Ok(folder.join(out.file_name().unwrap_or_default()))
    }

    pub fn manifest(&self) -> String {
        if self.is_folder { "manifest.json".into() } else { format!("{}.manifest.json", self.stem) }
    }

    /// Where the marker of a folder stands while the folder gets its name.
    pub fn note(&self) -> PathBuf {
        self.out.with_file_name(format!("{}.part.json", self.file_name()))
    }

    fn file_name(&self) -> String {
        self.out.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The name of a file that holds all memories, or some of them: `letter.pdf`, `letter-2.pdf`, `index.html`.
    pub fn name(&self, manifest: &Manifest, number: usize, of: usize) -> String {
        let stem = match (self.is_folder, manifest.kind) {
            (false, _) => self.stem.as_str(),
            (true, Kind::Html) => "index",
            (true, _) => manifest.name.as_str(),
        };
        let ending = manifest.kind.ending();
        if of == 1 && !self.is_folder {
            // As it was asked for, also where the ending is written otherwise.
            return self.file_name();
        }
        if of == 1 { format!("{stem}.{ending}") } else { format!("{stem}-{number}.{ending}") }
    }

    /// Whether a run here may make a file of this name, a path with `/`. What a marker lists beside that is nothing that anybody made here.
    pub fn makes(&self, name: &str) -> bool {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > DEPTH_MAX || !parts.iter().all(|part| is_plain(part)) {
            return false;
        }
        match parts[..] {
            _ if self.is_folder => true,
            [alone] => alone == self.file_name() || alone == self.manifest() || self.is_numbered(alone),
            [first, ..] => first == self.prefix,
            [] => false,
        }
    }

    fn is_numbered(&self, name: &str) -> bool {
        let number = name.strip_prefix(self.stem.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|rest| rest.strip_suffix(self.ending)).and_then(|rest| rest.strip_suffix('.'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Makes the work folder, with the marker in it.
    pub fn begin(&self) -> CustodyResult<()> {
        fs::create_dir(&self.work).map_err(CustodyError::io(&self.work))?;
        let marked = Marker::of(self, Vec::new()).put(&self.work);
        if marked.is_err() {
            drop(remove_work(&self.work));
        }
        marked
    }

    /// Removes what this run made: what is half made is of no use. What cannot be removed is known by its marker.
    pub fn give_up(&self) {
        if self.is_still_ours() {
            drop(Leftovers::find(self).and_then(|left| left.remove()));
        }
    }

    /// Whether no other run has taken over: one that was stopped for longer than its lease may be the second that goes on.
    fn is_still_ours(&self) -> bool {
        let markers = [self.work.join(MARKER), self.note()];
        markers.iter().any(|path| Marker::read(path, self).is_some_and(|marker| marker.is_of(self)))
    }

    /// Lets everything stand where it was asked for; `files` is all that was made.
    pub fn publish(&self, files: Vec<Listed>) -> CustodyResult<()> {
        if !self.is_still_ours() {
            let work = self.work.display();
            return Err(CustodyError::Refused(format!(
                "{work} is not of this run any more: another one has taken it over, which makes the same"
            )));
        }
        let moves = self.moves(&files);
        moves.iter().try_for_each(|(_, target)| refuse_filled(target))?;
        Marker::of(self, files).put(&self.work)?;
        for (from, to) in &moves {
            fs::rename(from, to).map_err(CustodyError::io(to))?;
        }
        // From here on it is done, and the next run says that it is there already.
        if self.is_folder {
            let note = self.note();
            return fs::remove_file(&note).map_err(CustodyError::io(&note));
        }
        remove_work(&self.work)
    }

    /// What is renamed, in this order, to give everything its name.
    pub fn moves(&self, files: &[Listed]) -> Vec<(PathBuf, PathBuf)> {
        if self.is_folder {
            // The marker is no part of what is made, and a folder without one is nobody's: it stands beside it meanwhile.
            return vec![(self.work.join(MARKER), self.note()), (self.work.clone(), self.out.clone())];
        }
        let tops: BTreeSet<&str> = files.iter().map(Listed::top).collect();
        tops.into_iter().map(|top| (self.work.join(top), self.out.with_file_name(top))).collect()
    }
}

impl Custody {
    /// Does something at a place where nobody else is meanwhile, and nothing is left of runs before.
    pub(super) async fn alone_at<T>(
        &self,
        place: Place,
        monitor: Arc<dyn Monitor>,
        work: impl AsyncFnOnce(Place) -> CustodyResult<T>,
    ) -> CustodyResult<T> {
        let lease = self.lease(&lease_name(&place.settled()?)).await?;
        let leased = async |lease: &Lease| {
            let place = Place { run: lease.token.clone(), ..place };
            let place = blocking(move || place.cleared(&*monitor)).await?;
            work(place).await
        };
        self.while_leased(lease, leased).await
    }
}

/// Whether it is the name of one file in a folder, everywhere.
fn is_plain(part: &str) -> bool {
    let mut parts = Path::new(part).components();
    !part.contains(['/', '\\', '\0']) && matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}
