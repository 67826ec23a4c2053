//! Exports that only some can open, in the clear for an import: in a folder of the home that goes with it.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{
    bag::{Container, is_sealed},
    import::{Input, ReadError},
};

use super::sealing::{Unlock, unopened};
use crate::{Custody, CustodyError, CustodyResult, Monitor, bundle::parts::group_of, copies::blocking};

/// What folders of the home are called in which something lies in the clear; the process and the host follow that it belongs to.
const UNSEALED: &str = "unsealed-";
/// So many parts an export has at most.
const PARTS_MAX: usize = 10_000;
/// So much is decrypted before it is asked whether to stop.
const CHUNK_BYTES: usize = 1 << 20;

/// Files in the clear, gone with this.
pub struct Unsealed {
    /// Where they are: of an export in parts, the first of them, with the others beside it.
    pub paths: Vec<PathBuf>,
    /// What they were decrypted from, as it was named.
    pub named: Vec<PathBuf>,
    _folder: Option<tempfile::TempDir>,
}

impl Unlock {
    fn unseal(&self, from: &Path, to: &Path, monitor: &dyn Monitor) -> CustodyResult<()> {
        let file = fs::File::open(from).map_err(CustodyError::io(from))?;
        let reader = self.open(file);
        let mut reader = reader.map_err(|error| {
            let wrong = format!("{} does not open: {error}", from.display());
            unopened(from, error, || wrong)
        })?;
        let mut plain = fs::File::create_new(to).map_err(CustodyError::io(to))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if monitor.cancelled() {
                return Err(ReadError::Stopped.into());
            }
            // Whatever was changed in it is an error of the reader.
            let count = reader.read(&mut chunk).map_err(CustodyError::io(from))?;
            if count == 0 {
                return Ok(());
            }
            plain.write_all(&chunk[..count]).map_err(CustodyError::io(to))?;
        }
    }
}

/// What is meant by a path: an archive under a seal that is called a part of several stands for all of them, and a folder of nothing but such
/// archives for what is in it.
fn meant(path: &Path) -> CustodyResult<Vec<PathBuf>> {
    if path.is_dir() {
        let failed = || CustodyError::io(path);
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                found.push(entry.path());
            }
        }
        found.sort();
        let is_archive = |path: &PathBuf| path.is_file() && is_sealed(path) && Container::of(path) != Container::Folder;
        let are_archives = !found.is_empty() && found.iter().all(is_archive);
        return Ok(if are_archives { found } else { vec![path.to_owned()] });
    }
    let parts = if path.is_file() && is_sealed(path) { siblings(path) } else { None };
    Ok(parts.unwrap_or_else(|| vec![path.to_owned()]))
}

/// The parts that stand beside one that is called `NAME-002-of-007.zip.age`, itself among them.
fn siblings(path: &Path) -> Option<Vec<PathBuf>> {
    let name = path.file_name()?.to_str()?;
    let (head, tail) = name.rsplit_once("-of-")?;
    let (stem, _) = head.rsplit_once('-')?;
    let (of, ending) = tail.split_at(tail.find(|c: char| !c.is_ascii_digit())?);
    let count: usize = of.parse().ok().filter(|count| *count <= PARTS_MAX)?;
    let beside = |number: usize| path.with_file_name(format!("{stem}-{number:03}-of-{of}{ending}"));
    let found: Vec<PathBuf> = (1..=count).map(beside).filter(|path| path.is_file()).collect();
    found.iter().any(|part| part == path).then_some(found)
}

/// One path for all parts of one export, as an import takes them: each part finds the others beside it.
fn together(plain: Vec<PathBuf>, folder: &Path) -> CustodyResult<Vec<PathBuf>> {
    let Some(first) = plain.first() else { return Ok(plain) };
    let is_called_part = first.file_name().is_some_and(|name| name.to_string_lossy().contains("-of-"));
    if !(plain.len() > 1 || is_called_part) || plain.iter().any(|path| path.parent() != Some(folder)) {
        return Ok(plain);
    }
    match group_of(&Input::open(first)?) {
        Some(group) if plain.len() == group.of => Ok(vec![first.clone()]),
        Some(group) if plain.len() < group.of => Err(CustodyError::Usage(format!(
            "this export has {} parts, and only {} of them are here: put all of them into one folder, and import it",
            group.of,
            plain.len()
        ))),
        _ => Ok(plain),
    }
}

impl Custody {
    /// Removes what processes of this machine left in the clear that were killed.
    pub(crate) fn sweep_unsealed(&self) -> CustodyResult<()> {
        for entry in fs::read_dir(&self.home).map_err(CustodyError::io(&self.home))?.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let holder = name.strip_prefix(UNSEALED).and_then(|rest| rest.rsplit_once('-')?.0.split_once('-'));
            if holder.is_some_and(|(process, host)| self.is_gone(&format!("process {process} on {host}"))) {
                fs::remove_dir_all(entry.path()).map_err(CustodyError::io(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Decrypts what of some files is encrypted, into a folder of the home that goes again; the others stay where they are.
    ///
    /// # Errors
    /// Nothing was given that opens one, or it does not open it; something was given, and nothing is encrypted.
    pub async fn unsealed(&self, paths: &[PathBuf], unlock: Option<&Unlock>, monitor: Arc<dyn Monitor>) -> CustodyResult<Unsealed> {
        self.sweep_unsealed()?;
        let mut all: Vec<PathBuf> = Vec::new();
        for path in paths {
            // One that is there already brought the others along.
            if !all.contains(path) {
                all.extend(meant(path)?);
            }
        }
        let Some(first) = all.iter().find(|path| path.is_file() && is_sealed(path)) else {
            if unlock.is_some() {
                return Err(CustodyError::Usage(
                    "nothing that was named is encrypted (NAME.zip.age, NAME.tar.gz.age): leave --identity and --passphrase-file out"
                        .into(),
                ));
            }
            return Ok(Unsealed { paths: paths.to_vec(), named: paths.to_vec(), _folder: None });
        };
        let Some(unlock) = unlock.cloned() else {
            return Err(CustodyError::Usage(format!(
                "{} is encrypted: say --identity FILE with the key that it was encrypted to, or --passphrase-file FILE",
                first.display()
            )));
        };
        let prefix = format!("{UNSEALED}{}-{}-", self.engine.pid(), self.engine.hostname());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.home).map_err(CustodyError::io(&self.home))?;
        let named = paths.to_vec();
        blocking(move || {
            monitor.stage("decrypting", None, None);
            let mut plain = Vec::new();
            for (number, path) in all.into_iter().enumerate() {
                if !(path.is_file() && is_sealed(&path)) {
                    plain.push(path);
                    continue;
                }
                // Parts of one export stand together; two of the same name come from two folders.
                let name = path.file_stem().unwrap_or_default();
                let to = folder.path().join(name);
                let to = if to.exists() { folder.path().join(number.to_string()).join(name) } else { to };
                if let Some(above) = to.parent() {
                    fs::create_dir_all(above).map_err(CustodyError::io(above))?;
                }
                unlock.unseal(&path, &to, &*monitor)?;
                plain.push(to);
            }
            Ok(Unsealed { paths: together(plain, folder.path())?, named, _folder: Some(folder) })
        })
        .await
    }
}
