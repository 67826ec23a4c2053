//! The files of a share into a folder of this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use keepsake_formats::bag::unfinished;
use serde::Serialize;

use super::{OpenShare, ShareReader, SharedFile};
use crate::{Custody, CustodyError, CustodyResult, copies::blocking, export::refuse_filled};

/// A file that came.
#[derive(Debug, Clone, Serialize)]
pub struct Fetched {
    /// Where it is now.
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub file: SharedFile,
}

impl Custody {
    /// Puts all files of an open share into a folder. A file is there when it is whole.
    ///
    /// # Errors
    /// There is no such folder, one of the files is there already, or is not handed out.
    pub async fn fetch_share(&self, open: &OpenShare, folder: &Path) -> CustodyResult<Vec<Fetched>> {
        if !folder.is_dir() {
            return Err(CustodyError::Usage(format!("there is no folder {}: make it first, or choose another one", folder.display())));
        }
        // Before anything is counted.
        let targets = open.files.iter().map(|file| target(folder, &file.name)).collect::<CustodyResult<Vec<_>>>()?;
        let mut fetched = Vec::new();
        for (file, path) in open.files.iter().zip(targets) {
            let reader = self.read_share(open, &file.name).await?;
            let to = path.clone();
            blocking(move || write(reader, &to)).await?;
            fetched.push(Fetched { path, file: file.clone() });
        }
        Ok(fetched)
    }
}

/// Where a file will stand: in the folder itself, whatever it is called.
fn target(folder: &Path, name: &str) -> CustodyResult<PathBuf> {
    if Path::new(name).file_name().is_none_or(|file| file != name) {
        return Err(CustodyError::Damaged("a file of this share has a name that leads elsewhere".into()));
    }
    let path = folder.join(name);
    refuse_filled(&path)?;
    Ok(path)
}

fn write(mut reader: ShareReader, path: &Path) -> CustodyResult<()> {
    let part = unfinished(path);
    let failed = CustodyError::io;
    let mut file = fs::File::create_new(&part).map_err(failed(&part))?;
    let written = io::copy(&mut reader, &mut file).and_then(|_| file.sync_all());
    if let Err(error) = written {
        fs::remove_file(&part).map_err(failed(&part))?;
        return Err(failed(path)(error));
    }
    fs::rename(&part, path).map_err(failed(path))
}
