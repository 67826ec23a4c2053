//! The files of a share into a folder of this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use keepsake_formats::bag::{publish, unfinished};
use serde::Serialize;

use super::{OpenShare, ShareReader, SharedFile};
use crate::{Custody, CustodyError, CustodyResult, copies::blocking, export::refuse_filled, memories::hash_reader};

/// A file that came.
#[derive(Debug, Clone, Serialize)]
pub struct Fetched {
    /// Where it is now.
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub file: SharedFile,
    /// Whether it was there already, whole: then no download was counted.
    pub was_there: bool,
}

impl Custody {
    /// Puts all files of an open share into a folder. A file is there when it is whole; those that came before stay and are not asked for again.
    ///
    /// # Errors
    /// There is no such folder, something else stands where one of the files is to be, or one is not handed out.
    pub async fn fetch_share(&self, open: &OpenShare, folder: &Path) -> CustodyResult<Vec<Fetched>> {
        if !folder.is_dir() {
            return Err(CustodyError::Usage(format!("there is no folder {}: make it first, or choose another one", folder.display())));
        }
        // Before anything is counted.
        let (files, folder) = (open.files.clone(), folder.to_owned());
        let wanted = blocking(move || files.into_iter().map(|file| target(&folder, file)).collect::<CustodyResult<Vec<_>>>()).await?;
        let mut fetched = Vec::new();
        for one in wanted {
            if !one.was_there {
                let part = begun(&one.path)?;
                let reader = match self.read_share(open, &one.file.name).await {
                    Ok(reader) => reader,
                    Err(error) => {
                        let part = unfinished(&one.path);
                        fs::remove_file(&part).map_err(CustodyError::io(&part))?;
                        return Err(error);
                    }
                };
                let to = one.path.clone();
                blocking(move || write(reader, part, &to)).await?;
            }
            fetched.push(one);
        }
        Ok(fetched)
    }
}

/// Where a file will stand, or stands: in the folder itself, whatever it is called.
fn target(folder: &Path, file: SharedFile) -> CustodyResult<Fetched> {
    if Path::new(&file.name).file_name().is_none_or(|name| name != file.name.as_str()) {
        return Err(CustodyError::Damaged("a file of this share has a name that leads elsewhere".into()));
    }
    let path = folder.join(&file.name);
    let was_there = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == file.bytes) && {
        let mut there = fs::File::open(&path).map_err(CustodyError::io(&path))?;
        hash_reader(&mut there).map_err(CustodyError::io(&path))?.0 == file.sha256
    };
    if !was_there {
        refuse_filled(&path)?;
    }
    Ok(Fetched { path, file, was_there })
}

/// The file that one is written to until it is whole. What was left of one that was cut off is written over, unless somebody writes it now.
fn begun(path: &Path) -> CustodyResult<fs::File> {
    let part = unfinished(path);
    let failed = CustodyError::io;
    if fs::symlink_metadata(&part).is_ok_and(|found| !found.is_file()) {
        return Err(CustodyError::Refused(format!("{} is there already: choose another folder", part.display())));
    }
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&part).map_err(failed(&part))?;
    if file.try_lock().is_err() {
        return Err(CustodyError::Refused(format!("another process fetches {} now: wait for it", path.display())));
    }
    // It may have become whole just now, and be what was opened.
    refuse_filled(path)?;
    file.set_len(0).map_err(failed(&part))?;
    Ok(file)
}

fn write(mut reader: ShareReader, mut file: fs::File, path: &Path) -> CustodyResult<()> {
    let part = unfinished(path);
    let failed = CustodyError::io;
    let written = io::copy(&mut reader, &mut file).and_then(|_| file.sync_all());
    if let Err(error) = written {
        fs::remove_file(&part).map_err(failed(&part))?;
        return Err(failed(path)(error));
    }
    publish(path).map_err(failed(path))?;
    // Until it has its name, it is nobody else's.
    drop(file);
    Ok(())
}
