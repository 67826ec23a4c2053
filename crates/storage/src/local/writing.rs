//! Writing files: beside their place and down to the disk before they get their name, long ones past the page cache.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::direct;

/// From this length on a file does not go through the page cache.
const DIRECT_FROM_BYTES: usize = 1 << 20;

/// Writes a whole file and gives it its name, durably. With `replace` it takes the place of what was there; without, that is
/// [`io::ErrorKind::AlreadyExists`] and stays.
pub(super) fn write_whole(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_folders(folder)?;
    let temporary = write_temporary(path, bytes)?;
    let named = match replace {
        true => fs::rename(&temporary, path),
        false => name_new(&temporary, path),
    };
    // One that stays is swept later; the name is what counts.
    drop(fs::remove_file(&temporary));
    named?;
    sync_folder(folder)
}

/// Gives a name that must be free. File systems without hard links (exFAT, FAT) cannot do that in one step: there it is looked up first.
fn name_new(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path).is_ok() {
                Err(io::ErrorKind::AlreadyExists.into())
            } else {
                fs::rename(temporary, path)
            }
        }
        done => done,
    }
}

/// Makes a folder and those above it. What is new is durable when this returns.
fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.is_dir()).collect();
    for new in missing.into_iter().rev() {
        match fs::create_dir(new) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => new.parent().map_or(Ok(()), sync_folder)?,
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file beside `path` with these bytes, on the disk. Its name is `path#1` or another number, which is no object's.
fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    if bytes.len() >= DIRECT_FROM_BYTES
        && let Some(flag) = direct::flag()
    {
        let direct = OpenOptions::new().write(true).create_new(true).custom_flags(flag).clone();
        match write_with(path, &direct, |file| direct::write(file, bytes)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => return Err(error),
            // This file system has no direct writes, asks for larger blocks, or does not cut a file: then as everybody writes.
            Err(_) => {}
            done => return done,
        }
    }
    write_with(path, OpenOptions::new().write(true).create_new(true), |mut file| file.write_all(bytes))
}

fn write_with(path: &Path, options: &OpenOptions, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<PathBuf> {
    let (temporary, file) = create_beside(path, options)?;
    // Network file systems may tell only when a file is closed what they could not keep.
    match write(&file).and_then(|()| file.sync_all()).and_then(|()| Ok(nix::unistd::close(file)?)) {
        Ok(()) => Ok(temporary),
        Err(error) => {
            drop(fs::remove_file(&temporary));
            Err(error)
        }
    }
}

fn create_beside(path: &Path, options: &OpenOptions) -> io::Result<(PathBuf, File)> {
    let mut number = 1_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        match options.open(&name) {
            Ok(file) => return Ok((name.into(), file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                // A file system that refuses direct writes may have made the file before it says so.
                if error.kind() == io::ErrorKind::InvalidInput {
                    drop(fs::remove_file(&name));
                }
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        direct::{BLOCK_BYTES, STRIDE_BYTES},
        *,
    };

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn every_length_arrives_whole() {
        let space = tempfile::tempdir().expect("space");
        for near in [0, BLOCK_BYTES, DIRECT_FROM_BYTES, DIRECT_FROM_BYTES + STRIDE_BYTES, 3 * STRIDE_BYTES + BLOCK_BYTES] {
            for length in near.saturating_sub(1)..=near + 1 {
                let path = space.path().join(format!("new/{length}"));
                write_whole(&path, &bytes(length), false).expect("written");
                assert_eq!(fs::read(&path).expect("readable"), bytes(length), "{length}");
            }
        }
        let names: Vec<_> = fs::read_dir(space.path().join("new")).expect("listed").map(|e| e.expect("one").file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().contains('#')), "{names:?}");
    }

    #[test]
    fn what_is_there_is_replaced_only_when_asked() {
        let space = tempfile::tempdir().expect("space");
        let path = space.path().join("file");
        for length in [10, 2 * DIRECT_FROM_BYTES] {
            write_whole(&path, &bytes(length), true).expect("written");
            let error = write_whole(&path, b"another", false).expect_err("it is there");
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).expect("readable"), bytes(length));
        }
        // Left by a write that was cut off: the next one takes another name.
        fs::write(space.path().join("file#1"), "half").expect("written");
        write_whole(&path, b"after it", true).expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"after it");
    }
}
