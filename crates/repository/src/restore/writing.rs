//! Writing one file of a restore: its pieces checked, several at once, and its name only when it is whole.

use std::fs;

use keepsake_hashing::sha256_each;

use super::{
    Failure, Job,
    fetching::Ahead,
    metadata::apply_meta_to_file,
    parts::Disk,
    staging::{Stage, Writing},
};
use crate::{BlobKind, Id, Monitor, Node, Repository, RepositoryError, RepositoryResult, reading::Scratch};

/// So many pieces of a file are opened before they are compared with their names: digests are made two at a time, which one core does nearly
/// twice as fast as one after the other.
const TOGETHER: usize = 4;
/// The bytes of them, if there is more than one.
const TOGETHER_BYTES: u32 = 4 << 20;

/// Buffers that one thread restores with.
#[derive(Default)]
pub(super) struct Buffers {
    pieces: Pieces,
    stage: Stage,
}

/// What comes out of the repository.
#[derive(Default)]
struct Pieces {
    scratch: Scratch,
    /// Pieces one behind the other, and where each ends.
    opened: Vec<u8>,
    ends: Vec<usize>,
}

/// Where the pieces of a batch of files come from.
pub(super) struct Source<'a> {
    pub repository: &'a Repository,
    /// From behind a network.
    pub ahead: Option<Ahead<'a>>,
    /// The number of the file's first piece in the batch.
    pub first: usize,
}

impl Source<'_> {
    fn piece<'s>(&mut self, number: usize, id: &Id, scratch: &'s mut Scratch) -> RepositoryResult<&'s [u8]> {
        match &mut self.ahead {
            Some(ahead) => ahead.piece(self.first + number, id, scratch),
            None => self.repository.piece(id, scratch),
        }
    }

    fn append_piece(&mut self, number: usize, id: &Id, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        match &mut self.ahead {
            Some(ahead) => ahead.append_piece(self.first + number, id, scratch, out),
            None => self.repository.append_piece(id, scratch, out),
        }
    }

    /// How many of the pieces go together; at least one.
    fn together(&self, pieces: &[Id]) -> usize {
        let mut bytes = 0_u32;
        let fits = |id: &&Id| {
            let place = self.repository.locate(BlobKind::Data, id);
            bytes = bytes.saturating_add(place.map_or(0, |place| place.length.max(place.uncompressed)));
            bytes <= TOGETHER_BYTES
        };
        pieces.iter().take(TOGETHER).take_while(fits).count().max(1)
    }

    /// Shows every piece of a file, in order and checked.
    fn each_piece(
        &mut self,
        pieces: &[Id],
        buffers: &mut Pieces,
        mut show: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while at < pieces.len() {
            let count = self.together(&pieces[at..]);
            if count == 1 {
                show(self.piece(at, &pieces[at], &mut buffers.scratch)?)?;
            } else {
                self.several(at, &pieces[at..at + count], buffers, &mut show)?;
            }
            at += count;
        }
        Ok(())
    }

    fn several(
        &mut self,
        first: usize,
        pieces: &[Id],
        buffers: &mut Pieces,
        show: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Pieces { scratch, opened, ends } = buffers;
        opened.clear();
        ends.clear();
        for (number, id) in pieces.iter().enumerate() {
            // What cannot be had this way is empty here, and looked for below.
            self.append_piece(first + number, id, scratch, opened);
            ends.push(opened.len());
        }
        let mut start = 0;
        let slices: Vec<&[u8]> = ends.iter().map(|end| &opened[std::mem::replace(&mut start, *end)..*end]).collect();
        let digests = sha256_each(&slices);
        for ((id, bytes), digest) in pieces.iter().zip(slices).zip(digests) {
            if Id::from_bytes(digest) == *id {
                show(bytes)?;
            } else {
                // Wherever else it stands, or why it cannot be had.
                show(self.repository.piece(id, scratch)?)?;
            }
        }
        Ok(())
    }
}

/// Writes beside the target and renames, so that a file is whole or not there.
pub(super) fn write_file(
    from: &mut Source<'_>,
    job: &Job,
    overwrite: bool,
    buffers: &mut Buffers,
    disk: Disk,
    monitor: &dyn Monitor,
) -> Result<u64, Failure> {
    let Job { node, target, part, .. } = job;
    if !overwrite && fs::symlink_metadata(target).is_ok() {
        return Err(Failure {
            reason: "a file of this name is there already: choose another folder, or --overwrite".into(),
            damaged: false,
        });
    }
    let mut file = (disk.make)(part)?;
    let written = write_part(from, node, &mut file, buffers, disk, monitor);
    let done = written.and_then(|bytes| {
        // Only now, when all of it is there and checked: until then it is its owner's alone, and no program. By the open file: looking its path up
        // again for each would cost small files more than their bytes.
        let dressed = apply_meta_to_file(&file, node);
        // Network file systems may tell only now what they could not keep.
        (disk.close)(file)?;
        fs::rename(part, target)?;
        job.has_come();
        // A file whose permissions cannot be had is there all the same.
        dressed?;
        Ok(bytes)
    });
    if done.is_err() {
        // It may have its name by now; what matters is that no part stays.
        drop(fs::remove_file(part));
    }
    done
}

fn write_part(
    from: &mut Source<'_>,
    node: &Node,
    file: &mut fs::File,
    buffers: &mut Buffers,
    disk: Disk,
    monitor: &dyn Monitor,
) -> Result<u64, Failure> {
    let Buffers { pieces, stage } = buffers;
    let mut writing = Writing::begin(file, node.size, disk, stage);
    from.each_piece(node.content.as_deref().unwrap_or_default(), pieces, |bytes| {
        // A film takes longer than a person who wants to stop waits.
        if monitor.cancelled() {
            return Err(RepositoryError::Cancelled.into());
        }
        writing.write(bytes)?;
        monitor.advance(0, bytes.len() as u64);
        Ok(())
    })?;
    Ok(writing.end()?)
}
