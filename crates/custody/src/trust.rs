//! What is known of damage in a repository: packs that were found damaged or missing count as absent, so that the next
//! backup adds again what they held. Kept as lists of ids in the home's cache folder; losing them costs one full backup.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use keepsake_record::OwnerId;
use keepsake_repository::Id;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking},
};

/// A repository whose index is loaded and whose known bad packs are distrusted.
pub(crate) struct Trusted {
    pub copy: Copy,
    /// Why earlier trees cannot be relied on, if so.
    pub reason: Option<String>,
    /// Packs that are distrusted from now on: a full backup heals what stood only in them.
    pub distrusted: Vec<Id>,
    /// Index files that cannot be read.
    pub bad_indexes: Vec<String>,
}

impl Custody {
    /// Loads the index and distrusts what is known to be damaged. `expected`: backups were made here before.
    pub(crate) async fn trusted(&self, copy: Copy, expected: bool) -> CustodyResult<Trusted> {
        let [packs, damaged, distrusted, indexes] =
            ["packs", "damaged", "distrusted", "bad-indexes"].map(|ending| self.cache_file(&copy, ending));
        blocking(move || {
            let bad_indexes: Vec<String> = copy.repository.load_index()?.iter().map(ToString::to_string).collect();
            let fresh = read_ids(&damaged)?;
            let mut bad: BTreeSet<Id> = read_ids(&distrusted)?.into_iter().collect();
            bad.extend(&fresh);
            bad.iter().for_each(|pack| copy.repository.distrust(*pack));
            let again = "everything is read again, and what is missing is added";
            let known_indexes = read_lines(&indexes)?;
            let now: HashSet<Id> = copy.repository.pack_ids().into_iter().collect();
            let gone = read_ids(&packs)?.iter().filter(|id| !now.contains(id)).count();
            let reason = if let Some(error) = bad_indexes.iter().find(|e| !known_indexes.contains(e)) {
                Some(format!("{error}: {again}"))
            } else if !fresh.is_empty() {
                Some(format!("{}: {again}", packs_that(fresh.len(), "was found damaged", "were found damaged")))
            } else if expected && !packs.exists() {
                Some(format!("nothing is known here of what the repository should hold: {again}"))
            } else {
                let left = || packs_that(gone, "has left the repository's index", "have left the repository's index");
                (gone > 0).then(|| format!("{}: {again}", left()))
            };
            Ok(Trusted { copy, reason, distrusted: bad.into_iter().collect(), bad_indexes })
        })
        .await
    }

    /// Looks at every pack's name and length before everything is read again, so that nothing is taken for known that
    /// stands only in a pack that is not there, or that could not be read just now (the trees of the last snapshot, say).
    pub(crate) async fn distrust_missing(&self, mut trusted: Trusted) -> CustodyResult<Trusted> {
        blocking(move || {
            let bad = trusted.copy.repository.missing_packs()?;
            for pack in bad.into_iter().chain(trusted.copy.repository.suspects()) {
                trusted.copy.repository.distrust(pack);
                trusted.distrusted.push(pack);
            }
            Ok(trusted)
        })
        .await
    }

    /// Remembers which packs the index names. After a full backup, what was distrusted during it is healed as far as that
    /// is possible: it stays distrusted, but is no reason for another full one.
    pub(crate) fn remember(&self, trusted: &Trusted, was_full: bool) -> CustodyResult<()> {
        let file = |ending| self.cache_file(&trusted.copy, ending);
        write_ids(&file("packs"), &trusted.copy.repository.pack_ids())?;
        if !was_full {
            return Ok(());
        }
        let handled: BTreeSet<Id> = trusted.distrusted.iter().copied().collect();
        write_ids(&file("distrusted"), &handled.iter().copied().collect::<Vec<_>>())?;
        let later: Vec<Id> = read_ids(&file("damaged"))?.into_iter().filter(|id| !handled.contains(id)).collect();
        write_ids(&file("damaged"), &later)?;
        write_text(&file("bad-indexes"), &trusted.bad_indexes.iter().map(|line| format!("{line}\n")).collect::<String>())
    }

    /// Takes back what is known of damage, but for packs that were just read and found damaged: every byte was read.
    pub(crate) fn trust_again(&self, copy: &Copy, bad: &BTreeSet<Id>) -> CustodyResult<()> {
        for ending in ["damaged", "distrusted"] {
            let file = self.cache_file(copy, ending);
            let known = read_ids(&file)?;
            let left: Vec<Id> = known.iter().copied().filter(|id| bad.contains(id)).collect();
            if left.len() < known.len() {
                write_ids(&file, &left)?;
            }
        }
        Ok(())
    }

    /// Remembers packs that were found damaged.
    pub(crate) async fn remember_damage(&self, owner: Option<OwnerId>, packs: &[Id]) -> CustodyResult<()> {
        let Some(copy) = self.copy(owner).await? else { return Ok(()) };
        let damaged = self.cache_file(&copy, "damaged");
        let known: HashSet<Id> = read_ids(&self.cache_file(&copy, "distrusted"))?.into_iter().collect();
        let mut all: BTreeSet<Id> = read_ids(&damaged)?.into_iter().collect();
        all.extend(packs.iter().filter(|id| !known.contains(id)));
        write_ids(&damaged, &all.into_iter().collect::<Vec<_>>())
    }

    pub(crate) fn cache_file(&self, copy: &Copy, ending: &str) -> PathBuf {
        self.home.join("cache").join(format!("{}.{ending}", copy.repository.id()))
    }
}

fn packs_that(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 pack {one}") } else { format!("{count} packs {many}") }
}

/// The lines of a list; none if there is no file.
fn read_lines(path: &Path) -> CustodyResult<Vec<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CustodyError::io(path)(error)),
    }
}

pub(crate) fn read_ids(path: &Path) -> CustodyResult<Vec<Id>> {
    Ok(read_lines(path)?.iter().filter_map(|line| line.parse().ok()).collect())
}

pub(crate) fn write_ids(path: &Path, ids: &[Id]) -> CustodyResult<()> {
    write_text(path, &ids.iter().map(|id| format!("{id}\n")).collect::<String>())
}

fn write_text(path: &Path, text: &str) -> CustodyResult<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CustodyError::io(folder))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    fs::write(&part, text).and_then(|()| fs::rename(&part, path)).map_err(CustodyError::io(path))
}
