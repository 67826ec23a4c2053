//! Binding: leaves are gathered into volumes, set, and written, each under the name of what is not whole yet.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{
    bag::{Sealed, unfinished},
    book::{Book, Leaf, Printed, Typesetter, Volume},
    text::{Block, Inline},
    told,
};
use keepsake_record::{Memory, Sha256Digest};
use tokio::sync::mpsc;

use super::{
    VolumeFile,
    days::Message,
    leaves::{Leaves, length},
    naming::volume_path,
    noted::{BookNote, Spot, VolumeNote},
};
use crate::{
    CustodyError, CustodyResult, Monitor,
    export::{ExportPart, Job, SealTo, fingerprint},
};

/// A volume ends with the memory with which its text reaches so many characters: some 380 pages of A5, which take half a GiB to set.
const VOLUME_CHARS: usize = 1_000_000;
/// Or its pictures so many bytes.
const VOLUME_PICTURE_BYTES: usize = 96 << 20;

/// What a book is made with.
pub(super) struct Task {
    pub book: Book,
    pub ident: String,
    pub with_data: bool,
    pub job: Job,
    pub seal: Option<SealTo>,
    pub typesetter: Arc<dyn Typesetter>,
    pub monitor: Arc<dyn Monitor>,
    /// Whether a filter that takes nothing is an error.
    pub needs_memories: bool,
}

/// A volume that was written and has not its name yet.
pub(super) struct Finished {
    pub part: ExportPart,
    pub note: VolumeNote,
    pub is_last: bool,
}

/// The volume that is being gathered.
#[derive(Default)]
struct Open {
    leaves: Vec<Leaf>,
    memories: usize,
    chars: usize,
    picture_bytes: usize,
    data: Vec<u8>,
}

/// Gathers leaves into volumes, has them set, and writes them.
pub(super) struct Binder {
    task: Task,
    open: Open,
    /// What was not shown in it, and how often a character was not.
    skipped: Vec<(String, String)>,
    named_only: u64,
    /// Records that went by, with the one whose leaves are being added.
    records: u64,
    /// Where a run before ended.
    from: Spot,
    /// The month of the last leaf.
    month: Option<String>,
    /// The volumes that are whole.
    count: usize,
    finished: mpsc::Sender<Finished>,
}

impl Open {
    fn add(&mut self, leaf: Leaf) {
        self.chars += length(&leaf);
        self.picture_bytes += leaf.figures.values().filter_map(|f| f.picture.as_ref().ok()).map(|p| p.jpeg.len()).sum::<usize>();
        self.leaves.push(leaf);
    }
}

impl Binder {
    /// Goes on after what is noted, and hands over what it finishes.
    pub fn new(task: Task, note: &BookNote, finished: mpsc::Sender<Finished>) -> Self {
        let from = note.next();
        Self {
            task,
            open: Open::default(),
            skipped: Vec::new(),
            named_only: 0,
            records: 0,
            month: from.month.clone(),
            from,
            count: note.volumes.len(),
            finished,
        }
    }

    /// # Errors
    /// The vault cannot be read, a volume not be set or written, or nobody takes what is finished any more.
    pub fn bind(mut self, mut days: mpsc::Receiver<Message>, leaves: &Leaves) -> CustodyResult<()> {
        loop {
            let died = || Err(CustodyError::Damaged("reading the vault ended before its end: run this again".into()));
            let Some(day) = days.blocking_recv().unwrap_or_else(died)? else { break };
            for (id, reason) in day.damaged {
                if self.is_next() {
                    self.skipped.push((format!("memory {id}"), format!("its record cannot be read: {reason}")));
                }
                self.records += 1;
            }
            for memory in day.memories {
                if self.task.monitor.cancelled() {
                    return Err(keepsake_repository::RepositoryError::Cancelled.into());
                }
                if self.is_next() {
                    self.absorb(leaves);
                    self.gather(&memory, leaves)?;
                }
                self.records += 1;
                self.task.monitor.advance(1, 0);
            }
        }
        self.absorb(leaves);
        if self.task.needs_memories && self.count == 0 && self.open.leaves.is_empty() {
            return Err(CustodyError::Usage("the filter takes no memory: `keepsake memory list` shows which there are".into()));
        }
        self.close(None)
    }

    /// Whether no volume that is whole has all of this record.
    fn is_next(&self) -> bool {
        self.records >= self.from.records
    }

    /// Takes what could not be shown of the memories so far. Of one that begins in this volume and goes on in the next, it is told there: who is
    /// killed between the two makes its leaves again.
    fn absorb(&mut self, leaves: &Leaves) {
        let (skipped, named_only) = leaves.take_problems();
        self.skipped.extend(skipped);
        self.named_only += named_only;
    }

    fn gather(&mut self, memory: &Memory, leaves: &Leaves) -> CustodyResult<()> {
        let month = told::month(memory.when.day);
        let there = if self.records == self.from.records { self.from.leaves } else { 0 };
        let made = leaves.of(memory, VOLUME_CHARS);
        // A picture that was given up for that is not left out of a volume that stays.
        if self.task.monitor.cancelled() {
            return Err(keepsake_repository::RepositoryError::Cancelled.into());
        }
        for (at, mut leaf) in made.into_iter().enumerate().skip(there) {
            if self.open.chars >= VOLUME_CHARS || self.open.picture_bytes >= VOLUME_PICTURE_BYTES {
                self.close(Some(Spot { records: self.records, leaves: at, month: self.month.clone() }))?;
            }
            // A new part begins with a new month, and with a new volume.
            if self.month.as_ref() != Some(&month) || self.open.leaves.is_empty() {
                leaf.part = Some(month.clone());
                self.month = Some(month.clone());
            }
            if at == 0 {
                self.count_in(memory);
            }
            self.open.add(leaf);
        }
        Ok(())
    }

    fn count_in(&mut self, memory: &Memory) {
        self.open.memories += 1;
        if self.task.with_data {
            self.open.data.extend(memory.to_line());
            self.open.data.push(b'\n');
        }
    }

    /// Has the open volume set, writes it, and hands it over. Without a spot where the next one begins it is the last.
    fn close(&mut self, next: Option<Spot>) -> CustodyResult<()> {
        let open = std::mem::take(&mut self.open);
        self.count += 1;
        let number = (next.is_some() || self.count > 1).then_some(self.count);
        let mut volume = Volume {
            book: self.task.book.clone(),
            number,
            ident: format!("{} {}", self.task.ident, self.count),
            leaves: open.leaves,
            data: self.task.with_data.then_some(open.data),
        };
        let Printed { file, pages, replaced } = match self.task.typesetter.set(&volume) {
            Ok(printed) => printed,
            Err(_) => {
                self.leave_out(&mut volume)?;
                self.task.typesetter.set(&volume).map_err(|error| {
                    CustodyError::Refused(format!("volume {} cannot be set: {error}; `--format json` hands everything out", self.count))
                })?
            }
        };
        drop(volume);
        self.task.monitor.advance(0, file.len() as u64);
        let path = volume_path(&self.task.job.asked.out, number);
        let (sha256, bytes) = write(&self.task.job.here(&path), &file, self.task.seal.as_ref())?;
        drop(file);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut in_all = BTreeMap::<String, u64>::new();
        for (character, count) in replaced {
            *in_all.entry(format!("U+{:04X}", u32::from(character))).or_default() += count;
        }
        let (is_last, skipped) = (next.is_none(), std::mem::take(&mut self.skipped));
        let part = ExportPart { path, length: bytes, sent: false, files: 1, bytes, sha256, shape: sha256, skipped: skipped.clone() };
        let note = VolumeNote {
            file: VolumeFile { name, bytes, sha256, pages, memories: open.memories },
            skipped,
            named_only: std::mem::take(&mut self.named_only),
            replaced: in_all,
            next: next.unwrap_or_default(),
        };
        // Whoever takes no more has failed, and says why.
        self.finished.blocking_send(Finished { part, note, is_last }).map_err(|_| keepsake_repository::RepositoryError::Cancelled.into())
    }

    /// Finds the leaves that cannot be set, and says so in their place: one strange memory does not keep the others from the book.
    fn leave_out(&mut self, volume: &mut Volume) -> CustodyResult<()> {
        let mut runs = vec![(0, volume.leaves.len())];
        while let Some((from, to)) = runs.pop() {
            if self.task.monitor.cancelled() {
                return Err(keepsake_repository::RepositoryError::Cancelled.into());
            }
            let mut alone = Volume { leaves: volume.leaves[from..to].to_vec(), data: None, ..volume.clone() };
            if let Some(first) = alone.leaves.first_mut() {
                // As every volume begins.
                first.part.get_or_insert_with(|| "A part".into());
            }
            let Err(error) = self.task.typesetter.set(&alone) else { continue };
            if to - from > 1 {
                let middle = from + (to - from) / 2;
                runs.extend([(from, middle), (middle, to)]);
                continue;
            }
            // A volume without a memory that cannot be set is no memory's fault.
            let Some(leaf) = volume.leaves.get_mut(from) else { continue };
            self.skipped.push((leaf.heading.clone(), format!("it cannot be set: {error}")));
            let words = "What stood here cannot be set in a book. It is whole in every other export.";
            *leaf = Leaf {
                part: leaf.part.take(),
                heading: "(left out)".into(),
                blocks: vec![Block::Paragraph(vec![Inline::Text(words.into())])],
                ..Leaf::default()
            };
        }
        Ok(())
    }
}

/// Writes a file to its end, down to the disk, under the name of what is not whole yet; answers SHA-256 over it and its length.
pub(super) fn write(target: &Path, bytes: &[u8], seal: Option<&SealTo>) -> CustodyResult<(Sha256Digest, u64)> {
    let part: PathBuf = unfinished(target);
    let written = || {
        // What others put there stays; what a run before left was removed.
        let file = fs::File::create_new(&part)?;
        let mut file: Box<dyn Sealed> = match seal {
            Some(seal) => seal.put_on(file)?,
            None => Box::new(file),
        };
        file.write_all(bytes)?;
        let file = file.finish()?;
        file.sync_all()?;
        file.metadata()
    };
    let length = written().map_err(CustodyError::io(&part))?.len();
    Ok((if seal.is_some() { fingerprint(&part)? } else { Sha256Digest::of(bytes) }, length))
}
