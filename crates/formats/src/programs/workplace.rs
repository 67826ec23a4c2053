//! The folders that programs work in. Their names are known, they are their owner's alone, and held as long as they are used: what an export that
//! was killed left in one is removed by the next one that makes one beside it.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
};

use tempfile::TempDir;

const PREFIX: &str = ".keepsake-work-";
/// So often another one may sweep a folder away before it is held.
const TRIES_MAX: u32 = 20;

/// A folder of its own for a program, gone with this.
pub(crate) struct Workplace {
    folder: TempDir,
    /// Let go after the folder is gone.
    _held: File,
}

impl Workplace {
    /// Makes one.
    pub(super) fn new(space: &Path) -> io::Result<Self> {
        for _ in 0..TRIES_MAX {
            let folder = tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o700)).tempdir_in(space)?;
            if let Some(held) = hold(folder.path())? {
                return Ok(Self { folder, _held: held });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Holds a folder; `None`: it was taken for one that was left, and goes.
fn hold(folder: &Path) -> io::Result<Option<File>> {
    let open = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        open => open?,
    };
    match open.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // A file system that knows no such locks does without: nobody can tell there what was left, and nothing is removed.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder.try_exists()?.then_some(open)),
    }
}

/// Removes what was left: folders of this user that nobody holds. One that cannot be removed is there for the next one.
pub(super) fn sweep(space: &Path) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(space).into_iter().flatten().filter_map(Result::ok) {
        let is_named = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        // A link is none of them.
        if !is_named || !entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == me) {
            continue;
        }
        if let Ok(open) = File::open(entry.path())
            && open.try_lock().is_ok()
        {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_goes_and_what_is_used_stays() {
        let space = tempfile::tempdir().expect("a folder");
        let left = space.path().join(".keepsake-work-left");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("from.heic"), "in the clear").expect("written");
        let (other, elsewhere) = (space.path().join("other"), tempfile::tempdir().expect("a folder"));
        fs::create_dir(&other).expect("made");
        fs::write(space.path().join(".keepsake-work-file"), "a file").expect("written");
        std::os::unix::fs::symlink(elsewhere.path(), space.path().join(".keepsake-work-link")).expect("linked");
        let used = Workplace::new(space.path()).expect("made");
        assert_eq!(fs::metadata(used.path()).expect("it is there").mode() & 0o777, 0o700);
        sweep(space.path());
        assert!(!left.exists() && used.path().is_dir() && other.is_dir() && elsewhere.path().is_dir());
        let mine = used.path().to_owned();
        drop(used);
        assert!(!mine.exists());
        assert_eq!(fs::read_dir(space.path()).expect("read").count(), 3, "a file, a link and a folder of others stay");
    }
}
