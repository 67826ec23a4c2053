//! Exports that go elsewhere: each part is made in the home, sent, read back, and only then counts as written.

use std::{fs, path::Path, sync::Arc};

use keepsake_formats::bag::Container;
use keepsake_record::OwnerId;
use keepsake_storage::{Access, ObjectName, ObjectReader, Place, PlaceSettings, Scheme, Store};
use keepsake_vault::{DestinationRow, Lease};
use serde::{Deserialize, Serialize};

use super::{
    ExportPart,
    job::{Job, remove},
};
use crate::{Custody, CustodyError, CustodyResult, Monitor, disks, memories::hash_reader};

/// How often a part is sent before it is given up.
const ATTEMPTS: u32 = 3;
/// Places that take an object only in one piece get no longer one: it is held in memory.
const HELD_BYTES: u64 = 256 << 20;
/// Where exports are at a destination, unless a URL says where.
const FOLDER: &str = "exports";
/// What is at a destination beside exports.
const BACKUPS: [&str; 2] = ["owners", "system"];
/// What the URLs of places begin with.
const SCHEMES: [&str; 6] = ["s3:", "gs:", "az:", "sftp:", "webdav:", "webdavs:"];

/// Where an export goes that is not made where it stays. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Away {
    /// The destination that it belongs to; without one, the platform's own credentials open the place.
    pub destination: Option<String>,
    /// The URL of the place.
    pub place: String,
    /// The object's name there.
    pub name: String,
}

impl Away {
    /// The URL of what is made.
    pub fn url(&self) -> String {
        format!("{}/{}", self.place, self.name)
    }

    /// Refuses what cannot be an object, and folders.
    pub fn check(&self) -> CustodyResult<()> {
        if Container::of(Path::new(&self.name)) == Container::Folder {
            return Err(CustodyError::Usage(format!(
                "{} would be a folder, and only archives are sent: call it NAME.zip or NAME.tar.gz",
                self.url()
            )));
        }
        self.check_file()
    }

    /// Refuses what cannot be an object.
    pub fn check_file(&self) -> CustodyResult<()> {
        ObjectName::new(&self.name).map_err(|e| CustodyError::Usage(e.to_string()))?;
        let first = self.name.split('/').next().unwrap_or_default();
        if self.destination.is_some() && (BACKUPS.contains(&first) || self.name == disks::MARKER) {
            return Err(CustodyError::Refused(format!(
                "{} is where backups are kept: choose another folder, such as exports/",
                self.url()
            )));
        }
        Ok(())
    }
}

/// A place for the parts of an export, opened.
#[derive(Debug)]
pub(crate) struct Depot {
    store: Arc<dyn Store>,
    away: Away,
    /// Whether it takes long objects piece by piece.
    is_streaming: bool,
}

impl Depot {
    /// The name of a part, which differs from that of the whole in what follows the last `/` only.
    fn name(&self, path: &Path) -> CustodyResult<ObjectName> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = self.away.name.rsplit_once('/').map_or_else(|| file.to_string(), |(folder, _)| format!("{folder}/{file}"));
        Ok(ObjectName::new(name)?)
    }

    /// Whether anything stands at the place of a part.
    pub fn exists(&self, path: &Path) -> CustodyResult<bool> {
        Ok(self.store.head(&self.name(path)?)?.is_some())
    }

    /// That nothing stands where a part is to be.
    pub fn refuse_filled(&self, path: &Path) -> CustodyResult<()> {
        if self.exists(path)? {
            return Err(CustodyError::Refused(format!("{} is there already: choose another name", path.display())));
        }
        Ok(())
    }

    /// Whether something as long as a part stands in its place.
    pub fn is_there(&self, part: &ExportPart) -> CustodyResult<bool> {
        Ok(self.store.head(&self.name(&part.path)?)?.is_some_and(|found| found.bytes == part.length))
    }

    /// Whether a part is what was sent, byte for byte.
    pub fn is_whole(&self, part: &ExportPart) -> CustodyResult<bool> {
        if !self.is_there(part)? {
            return Ok(false);
        }
        let mut reader = self.read(part)?;
        let (digest, length) = hash_reader(&mut reader).map_err(CustodyError::io(&part.path))?;
        Ok((digest, length) == (part.sha256, part.length))
    }

    /// Reads a part.
    pub fn read(&self, part: &ExportPart) -> CustodyResult<ObjectReader> {
        Ok(ObjectReader::open(self.store.clone(), self.name(&part.path)?)?)
    }

    pub fn delete(&self, path: &Path) -> CustodyResult<()> {
        Ok(self.store.delete(&self.name(path)?)?)
    }

    /// That the place takes something so long.
    pub fn refuse_long(&self, bytes: u64) -> CustodyResult<()> {
        if self.is_streaming || bytes <= HELD_BYTES {
            return Ok(());
        }
        Err(CustodyError::Usage(format!(
            "{} takes a file only in one piece, of at most 256 MiB: say --part-size \"200 MiB\" (of JSON and XML), or choose less with --filter",
            self.store.describe()
        )))
    }

    /// Sends a part and reads it back. What others put there meanwhile is left alone.
    fn send(&self, file: &Path, part: &ExportPart) -> CustodyResult<()> {
        self.refuse_long(part.length)?;
        let name = self.name(&part.path)?;
        if self.exists(&part.path)? {
            // A run that was killed may have sent it and not noted so.
            if self.is_whole(part)? {
                return Ok(());
            }
            return Err(CustodyError::Refused(format!(
                "{} is there already, and is not what is to be sent: move it away and run this again",
                part.path.display()
            )));
        }
        for attempt in 1..=ATTEMPTS {
            let mut reader = fs::File::open(file).map_err(CustodyError::io(file))?;
            match self.store.put_reader(&name, &mut reader) {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {}
                Err(error) => {
                    // Half of it may stand there, which the next run would take for somebody else's; if it cannot be removed now, that one says so.
                    drop(self.store.delete(&name));
                    return Err(error.into());
                }
                Ok(_) if self.is_whole(part)? => return Ok(()),
                Ok(_) => {}
            }
        }
        // What is not what was sent must not stand there under this name.
        self.store.delete(&name)?;
        Err(CustodyError::Damaged(format!(
            "{} does not read back as it was written: look at the place, and run this again",
            part.path.display()
        )))
    }
}

impl Custody {
    /// Where an export goes, if not to a folder here.
    pub(crate) async fn away(&self, out: &Path, destination: Option<&str>) -> CustodyResult<Option<Away>> {
        let is_absolute = out.is_absolute();
        let out = out.to_string_lossy();
        if let Some(name) = destination {
            if SCHEMES.iter().any(|scheme| out.starts_with(scheme)) || is_absolute {
                return Err(CustodyError::Usage("with --destination, --out is only a name, such as memories.zip".into()));
            }
            let row = self.destination_row(name).await?;
            return Ok(Some(Away { destination: Some(row.name), place: row.url, name: format!("{FOLDER}/{out}") }));
        }
        if !SCHEMES.iter().any(|scheme| out.starts_with(scheme)) {
            return Ok(None);
        }
        let below = |row: DestinationRow| {
            let name = out.strip_prefix(row.url.as_str())?.strip_prefix('/')?.to_owned();
            Some(Away { destination: Some(row.name), place: row.url, name })
        };
        // The nearest around it, if one lies in another.
        let known = self.vault.destinations().await?.into_iter().filter_map(below).max_by_key(|away| away.place.len());
        if known.is_some() {
            return Ok(known);
        }
        // Whatever is wrong with the URL is said without the secrets that may be in it.
        let place = Place::new(&out, PlaceSettings::default())?;
        let (folder, name) = place.url().rsplit_once('/').unwrap_or_default();
        Place::new(folder, PlaceSettings::default())?;
        Ok(Some(Away { destination: None, place: folder.to_owned(), name: name.to_owned() }))
    }

    /// The place that an export goes to, opened; `None`: it stays where it is made.
    pub(crate) async fn depot_of(&self, job: &Job) -> CustodyResult<Option<Depot>> {
        let Some(away) = job.asked.away.clone() else { return Ok(None) };
        let (store, scheme) = match &away.destination {
            Some(name) => {
                let row = self.destination_row(name).await?;
                if row.url != away.place {
                    return Err(CustodyError::Usage(format!(
                        "the destination {name} is another place by now ({}): what went to {} is not looked for there",
                        row.url, away.place
                    )));
                }
                (self.ready_store(&row).await?, self.place_of_destination(&row)?.scheme())
            }
            None => {
                let place = Place::new(&away.place, PlaceSettings::default())?;
                let store = place.open(&Access::default(), None, Arc::default())?;
                (self.faults.as_ref().map_or_else(|| store.clone(), |faults| faults(&away.place, store.clone())), place.scheme())
            }
        };
        Ok(Some(Depot { store, away, is_streaming: !matches!(scheme, Scheme::Sftp | Scheme::WebDav) }))
    }

    /// Sends a part that waits, if the export goes elsewhere; it is gone from here afterwards.
    pub(crate) async fn send_part(
        &self,
        owner: OwnerId,
        job: &mut Job,
        number: usize,
        depot: Option<&Depot>,
        lease: &Lease,
        monitor: &Arc<dyn Monitor>,
    ) -> CustodyResult<()> {
        let (Some(depot), Some(part)) = (depot, job.parts[number].clone().filter(|part| !part.sent)) else { return Ok(()) };
        if let Err(error) = depot.refuse_long(part.length) {
            // It will never go, and takes no room here for nothing.
            job.drop_part(number, None)?;
            self.note_job(owner, job, lease).await?;
            return Err(error);
        }
        let file = job.here(&part.path);
        monitor.stage("sending", None, None);
        tokio::task::block_in_place(|| depot.send(&file, &part))?;
        job.parts[number] = Some(ExportPart { sent: true, ..part });
        self.note_job(owner, job, lease).await?;
        remove(&file)
    }
}
