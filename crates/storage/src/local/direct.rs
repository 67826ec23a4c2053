//! Reading and writing past the page cache (`O_DIRECT`): for bytes that nobody will ask for again soon. A backup or a verification
//! must not push out what programs work with; copying into pages that are let go at once costs as much as sealing does; and who
//! verifies wants what the disk has, not what memory remembers of it.

use std::{cell::RefCell, fs::File, io, ops::Range, os::unix::fs::FileExt};

/// Memory, offsets and lengths are multiples of this; disks ask for 512 or 4096.
pub(super) const BLOCK_BYTES: usize = 4096;
/// How much is read or written at a time.
pub(super) const STRIDE_BYTES: usize = 4 << 20;

/// How a file is opened for it, where the system has it.
#[cfg(target_os = "linux")]
pub(super) fn flag() -> Option<i32> {
    i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn flag() -> Option<i32> {
    None
}

thread_local! {
    static MEMORY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends a stride of memory that begins at a block.
fn with_memory<T>(work: impl FnOnce(&mut [u8]) -> io::Result<T>) -> io::Result<T> {
    MEMORY.with_borrow_mut(|memory| {
        memory.resize(STRIDE_BYTES + BLOCK_BYTES, 0);
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        work(memory.get_mut(start..start + STRIDE_BYTES).ok_or(io::ErrorKind::InvalidInput)?)
    })
}

/// Writes a new file's bytes.
pub(super) fn write(file: &File, bytes: &[u8]) -> io::Result<()> {
    reserve(file, bytes.len() as u64);
    with_memory(|memory| {
        for (number, piece) in bytes.chunks(STRIDE_BYTES).enumerate() {
            let whole_blocks = piece.len().next_multiple_of(BLOCK_BYTES);
            memory[..piece.len()].copy_from_slice(piece);
            memory[piece.len()..whole_blocks].fill(0);
            file.write_all_at(&memory[..whole_blocks], (number * STRIDE_BYTES) as u64)?;
        }
        Ok(())
    })?;
    // The last block was filled up with zeros.
    file.set_len(bytes.len() as u64)
}

/// Asks for room in one piece, so that files that are written at the same time do not lie in each other's gaps. Who cannot give it says
/// no, and gives it piece by piece.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) {
    let _refused = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes);
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) {}

/// Appends a part of a file to a buffer. The part must lie within the file.
pub(super) fn read(file: &File, part: Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let block = BLOCK_BYTES as u64;
    with_memory(|memory| {
        let mut at = part.start / block * block;
        while at < part.end {
            let left = usize::try_from(part.end - at).unwrap_or(usize::MAX);
            let asked = left.min(STRIDE_BYTES).next_multiple_of(BLOCK_BYTES);
            let got = match file.read_at(&mut memory[..asked], at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                got => got?,
            };
            let skipped = usize::try_from(part.start.saturating_sub(at)).unwrap_or(usize::MAX);
            let wanted = memory.get(skipped..got.min(left)).filter(|wanted| !wanted.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.extend_from_slice(wanted);
            at += got as u64;
        }
        Ok(())
    })
}
