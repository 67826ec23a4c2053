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

/// What a disk does with a new file. Tests put some here that refuse direct writes, or tell only at the end what they could not keep.
#[derive(Clone, Copy)]
struct Disk {
    /// From this length on direct writes are tried.
    direct_from_bytes: usize,
    open_direct: fn(&Path) -> io::Result<File>,
    write_direct: fn(&File, &[u8]) -> io::Result<()>,
    write: fn(&File, &[u8]) -> io::Result<()>,
    flush: fn(&File) -> io::Result<()>,
    close: fn(File) -> io::Result<()>,
}

/// A real one.
const DISK: Disk = Disk {
    direct_from_bytes: DIRECT_FROM_BYTES,
    open_direct,
    write_direct: direct::write,
    write: |mut file, bytes| file.write_all(bytes),
    flush: File::sync_all,
    close: |file| nix::unistd::close(file).map_err(io::Error::from),
};

fn open_direct(path: &Path) -> io::Result<File> {
    let flag = direct::flag().ok_or(io::ErrorKind::Unsupported)?;
    OpenOptions::new().write(true).create_new(true).custom_flags(flag).open(path)
}

fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Writes a whole file and gives it its name, durably. With `replace` it takes the place of what was there; without, that is
/// [`io::ErrorKind::AlreadyExists`] and stays.
pub(super) fn write_whole(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    write_whole_on(DISK, path, bytes, replace)
}

fn write_whole_on(disk: Disk, path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_folders(folder)?;
    let temporary = write_temporary(disk, path, bytes)?;
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
fn write_temporary(disk: Disk, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    if bytes.len() >= disk.direct_from_bytes {
        match write_with(disk, path, disk.open_direct, |file| (disk.write_direct)(file, bytes)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => return Err(error),
            // This system or file system has no direct writes, asks for larger blocks, or does not cut a file: then as everybody writes.
            Err(_) => {}
            done => return done,
        }
    }
    write_with(disk, path, open_new, |file| (disk.write)(file, bytes))
}

fn write_with(
    disk: Disk,
    path: &Path,
    open: fn(&Path) -> io::Result<File>,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let (temporary, file) = create_beside(path, open)?;
    // Network file systems may tell only when a file is closed what they could not keep.
    match write(&file).and_then(|()| (disk.flush)(&file)).and_then(|()| (disk.close)(file)) {
        Ok(()) => Ok(temporary),
        Err(error) => {
            drop(fs::remove_file(&temporary));
            Err(error)
        }
    }
}

fn create_beside(path: &Path, open: fn(&Path) -> io::Result<File>) -> io::Result<(PathBuf, File)> {
    let mut number = 1_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        let name = PathBuf::from(name);
        match open(&name) {
            Ok(file) => return Ok((name, file)),
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

    const LENGTHS: [usize; 8] = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 70_000, STRIDE_BYTES, 2 * STRIDE_BYTES + 1];

    /// Makes the file before it says no, as Linux does.
    fn refuse_to_open(path: &Path) -> io::Result<File> {
        drop(open_new(path)?);
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Some of it arrives; a disk with larger blocks says no at the end that does not fill one.
    fn refuse_the_end(file: &File, bytes: &[u8]) -> io::Result<()> {
        (DISK.write)(file, &bytes[..bytes.len() / 2])?;
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_same_bytes_past_the_page_cache_and_where_that_is_refused() {
        let direct = Disk { direct_from_bytes: 0, ..DISK };
        let disks = [
            ("never", Disk { direct_from_bytes: usize::MAX, ..DISK }),
            ("direct", direct),
            ("open", Disk { open_direct: refuse_to_open, ..direct }),
            ("no such thing", Disk { open_direct: |_| Err(io::ErrorKind::Unsupported.into()), ..direct }),
            ("write", Disk { open_direct: open_new, write_direct: refuse_the_end, ..direct }),
        ];
        for (told, disk) in disks {
            let space = tempfile::tempdir().expect("space");
            for length in LENGTHS {
                let path = space.path().join("file");
                write_whole_on(disk, &path, &bytes(length), true).expect("written");
                assert!(fs::read(&path).expect("readable") == bytes(length), "{told}: {length}");
                assert_eq!(names(space.path()), ["file"], "{told}: {length}");
            }
        }
    }

    fn broken(_: &File) -> io::Result<()> {
        Err(io::Error::other("told at the end"))
    }

    /// What the disk says when it is full, after half of the bytes.
    #[cfg(target_os = "linux")]
    fn full(file: &File, bytes: &[u8]) -> io::Result<()> {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        (DISK.write)(file, first)?;
        OpenOptions::new().write(true).open("/dev/full")?.write_all(rest)
    }

    #[test]
    fn what_is_told_only_at_the_end_leaves_what_was_there() {
        let direct = Disk { direct_from_bytes: 0, ..DISK };
        let plain = Disk { direct_from_bytes: usize::MAX, ..DISK };
        let mut disks = Vec::new();
        for disk in [direct, plain] {
            disks.push((Disk { flush: broken, ..disk }, io::ErrorKind::Other));
            disks.push((Disk { close: |file| broken(&file), ..disk }, io::ErrorKind::Other));
            #[cfg(target_os = "linux")]
            disks.push((Disk { open_direct: open_new, write_direct: full, write: full, ..disk }, io::ErrorKind::StorageFull));
        }
        for (number, (disk, kind)) in disks.into_iter().enumerate() {
            let space = tempfile::tempdir().expect("space");
            let (old, new) = (space.path().join("old"), space.path().join("new"));
            fs::write(&old, "what was there").expect("written");
            for length in [1, BLOCK_BYTES + 1, STRIDE_BYTES + 1] {
                for (path, replace) in [(&old, true), (&new, false)] {
                    let error = write_whole_on(disk, path, &bytes(length), replace).expect_err("it must be told");
                    assert_eq!(error.kind(), kind, "disk {number}: {length}");
                }
                assert_eq!(names(space.path()), ["old"], "disk {number}: {length}");
                assert_eq!(fs::read_to_string(&old).expect("readable"), "what was there");
            }
        }
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
