//! The bytes of one part on their way to the disk. Long files go past the page cache: copying into pages that a machine has to find first
//! costs more than everything else a restore does with them.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
};

use super::parts::Disk;

/// Memory, offsets and lengths are multiples of this then; disks ask for 512 or 4096.
const BLOCK_BYTES: usize = 4096;
/// So much is written at a time.
const STRIDE_BYTES: usize = 1 << 20;
/// Runs of zeros of this length become holes.
const HOLE_BYTES: usize = 64 << 10;

/// Memory that one thread gathers bytes in; it is taken when it is needed first.
#[derive(Default)]
pub(super) struct Stage(Vec<u8>);

impl Stage {
    /// A stride that begins at a block.
    fn memory(&mut self) -> &mut [u8] {
        self.0.resize(STRIDE_BYTES + BLOCK_BYTES, 0);
        let start = self.0.as_ptr().align_offset(BLOCK_BYTES);
        &mut self.0[start..start + STRIDE_BYTES]
    }
}

/// A part that is being written, from its beginning to its end.
pub(super) struct Writing<'a> {
    file: &'a mut File,
    disk: Disk,
    /// Whole blocks gather here before they are written past the cache; nothing, if it goes through the cache.
    gathered: Option<&'a mut [u8]>,
    filled: usize,
    /// Where in the file the gathered bytes begin.
    at: u64,
    ends_in_hole: bool,
}

impl<'a> Writing<'a> {
    /// Begins with a new file that will have so many bytes.
    pub fn begin(file: &'a mut File, bytes: u64, disk: Disk, stage: &'a mut Stage) -> Self {
        let direct = bytes >= disk.direct_from_bytes && (disk.past_cache)(file, true).is_ok();
        Self { file, disk, gathered: direct.then(|| stage.memory()), filled: 0, at: 0, ends_in_hole: false }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= HOLE_BYTES && bytes.iter().all(|byte| *byte == 0) {
            return self.hole(bytes.len() as u64);
        }
        self.ends_in_hole = false;
        let mut left = bytes;
        while let Some(memory) = &mut self.gathered {
            if left.is_empty() {
                return Ok(());
            }
            let taken = left.len().min(memory.len() - self.filled);
            memory[self.filled..][..taken].copy_from_slice(&left[..taken]);
            (self.filled, left) = (self.filled + taken, &left[taken..]);
            if self.filled == memory.len() {
                self.flush()?;
            }
        }
        (self.disk.write)(self.file, left)?;
        self.at += left.len() as u64;
        Ok(())
    }

    /// What comes after a hole goes through the cache: it begins anywhere.
    fn hole(&mut self, bytes: u64) -> io::Result<()> {
        self.through_cache()?;
        self.at = self.file.seek(SeekFrom::Start(self.at + bytes))?;
        self.ends_in_hole = true;
        Ok(())
    }

    /// Writes the gathered blocks past the cache, or as everybody writes, if the disk refuses that.
    fn flush(&mut self) -> io::Result<()> {
        let blocks = self.filled / BLOCK_BYTES * BLOCK_BYTES;
        let Some(memory) = &mut self.gathered else { return Ok(()) };
        match (self.disk.write)(self.file, &memory[..blocks]) {
            // Larger blocks, or none at all; what arrived of it is written once more.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                self.file.seek(SeekFrom::Start(self.at))?;
                self.leave()
            }
            Err(error) => Err(error),
            Ok(()) => {
                memory.copy_within(blocks..self.filled, 0);
                self.filled -= blocks;
                self.at += blocks as u64;
                Ok(())
            }
        }
    }

    /// Writes what is gathered, and from now on through the cache.
    fn through_cache(&mut self) -> io::Result<()> {
        if self.gathered.is_none() {
            return Ok(());
        }
        self.flush()?;
        self.leave()
    }

    fn leave(&mut self) -> io::Result<()> {
        let Some(memory) = self.gathered.take() else { return Ok(()) };
        (self.disk.past_cache)(self.file, false)?;
        (self.disk.write)(self.file, &memory[..self.filled])?;
        self.at += std::mem::take(&mut self.filled) as u64;
        Ok(())
    }

    /// Writes the rest, and answers how many bytes the file has.
    pub fn end(mut self) -> io::Result<u64> {
        self.through_cache()?;
        if self.ends_in_hole {
            self.file.set_len(self.at)?;
        }
        Ok(self.at)
    }
}

/// Lets a file's bytes go past the page cache from now on, or through it. On a memory file system the cache is all there is.
#[cfg(target_os = "linux")]
pub(super) fn past_cache(file: &File, past: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstatfs};
    /// `TMPFS_MAGIC` of `linux/magic.h`.
    const MEMORY: rustix::fs::FsWord = 0x0102_1994;
    if past && fstatfs(file)?.f_type == MEMORY {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, past);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn past_cache(_: &File, past: bool) -> io::Result<()> {
    if past { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{super::parts::DISK, *};

    /// Pieces as a file may have them: lengths, and whether they are zeros.
    const FILES: [&[(usize, bool)]; 9] = [
        &[],
        &[(1, false)],
        &[(BLOCK_BYTES, false), (BLOCK_BYTES + 1, false)],
        &[(STRIDE_BYTES, false)],
        &[(STRIDE_BYTES - 1, false), (2, false), (3 * STRIDE_BYTES, false)],
        // Zeros at the beginning, between, at the end, and too few to make a hole.
        &[(HOLE_BYTES, true), (70_001, false)],
        &[(70_001, false), (2 * STRIDE_BYTES, true), (STRIDE_BYTES + 5, false)],
        &[(STRIDE_BYTES + 5, false), (HOLE_BYTES + 1, true)],
        &[(9, false), (HOLE_BYTES - 1, true), (HOLE_BYTES, true), (HOLE_BYTES, true), (1, true)],
    ];

    fn pieces(shape: &[(usize, bool)]) -> Vec<Vec<u8>> {
        let piece = |(number, (length, zeros)): (usize, &(usize, bool))| match zeros {
            true => vec![0; *length],
            false => (0..*length).map(|at| (at * 31 % 251 + number) as u8 | 1).collect(),
        };
        shape.iter().enumerate().map(piece).collect()
    }

    fn written(disk: Disk, shape: &[(usize, bool)]) -> io::Result<Vec<u8>> {
        let (space, pieces) = (tempfile::tempdir()?, pieces(shape));
        let path = space.path().join("file");
        let (mut file, mut stage) = (File::create(&path)?, Stage::default());
        let bytes = pieces.concat().len() as u64;
        let mut writing = Writing::begin(&mut file, bytes, disk, &mut stage);
        pieces.iter().try_for_each(|piece| writing.write(piece))?;
        assert_eq!(writing.end()?, bytes);
        std::fs::read(path)
    }

    fn is_past(file: &File) -> bool {
        rustix::fs::fcntl_getfl(file).expect("flags").contains(rustix::fs::OFlags::NONBLOCK)
    }

    /// A flag that files do not mind stands for the one that their file system may not know.
    fn mark(file: &File, past: bool) -> io::Result<()> {
        let mut flags = rustix::fs::fcntl_getfl(file)?;
        flags.set(rustix::fs::OFlags::NONBLOCK, past);
        Ok(rustix::fs::fcntl_setfl(file, flags)?)
    }

    /// Takes whole blocks at whole blocks only, as a disk does past the cache.
    fn only_blocks(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let at = file.stream_position()? as usize;
        let fits = [at, bytes.len(), bytes.as_ptr() as usize].iter().all(|number| number.is_multiple_of(BLOCK_BYTES));
        assert!(!is_past(file) || fits, "{} bytes at {at}", bytes.len());
        file.write_all(bytes)
    }

    /// Some of it arrives, and then it is refused.
    fn never_past(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if is_past(file) {
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.write_all(bytes)
    }

    /// A disk with large blocks says no at the rest, which does not fill one.
    fn large_blocks(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() == STRIDE_BYTES { file.write_all(bytes) } else { never_past(file, bytes) }
    }

    #[test]
    fn the_same_bytes_past_the_cache_through_it_and_where_that_is_refused() {
        let direct = Disk { direct_from_bytes: 0, ..DISK };
        let disks = [
            ("through it", Disk { direct_from_bytes: u64::MAX, ..DISK }),
            ("past it", direct),
            ("refused at once", Disk { past_cache: |_, _| Err(io::ErrorKind::Unsupported.into()), ..direct }),
            ("whole blocks", Disk { past_cache: mark, write: only_blocks, ..direct }),
            ("refused at the first write", Disk { past_cache: mark, write: never_past, ..direct }),
            ("refused at the last one", Disk { past_cache: mark, write: large_blocks, ..direct }),
        ];
        for (told, disk) in disks {
            for shape in FILES {
                assert!(written(disk, shape).expect("written") == pieces(shape).concat(), "{told}: {shape:?}");
            }
        }
    }

    #[test]
    fn a_disk_that_is_broken_is_not_asked_again() {
        let broken = |file: &mut File, bytes: &[u8]| if is_past(file) { Err(io::ErrorKind::Other.into()) } else { file.write_all(bytes) };
        let disk = Disk { direct_from_bytes: 0, past_cache: mark, write: broken, ..DISK };
        assert_eq!(written(disk, &[(STRIDE_BYTES, false)]).expect_err("told").kind(), io::ErrorKind::Other);
    }
}
