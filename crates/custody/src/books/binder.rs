//! Binding: leaves are gathered into volumes, set, and written; they get their names when all are there.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use keepsake_formats::{
    book::{Book, Leaf, Printed, Typesetter, Volume},
    text::{Block, Inline},
    told,
};
use keepsake_record::{Memory, Sha256Digest};
use tokio::sync::mpsc;

use super::{
    BookOptions, BookReport, Message, VolumeFile,
    leaves::{Leaves, length},
};
use crate::{
    CustodyError, CustodyResult, Monitor,
    export::{self, need_folder},
};

/// A volume ends with the memory with which its text reaches so many characters: some 380 pages of A5, which take half a GiB to set.
const VOLUME_CHARS: usize = 1_000_000;
/// Or its pictures so many bytes.
const VOLUME_PICTURE_BYTES: usize = 96 << 20;

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
    options: BookOptions,
    book: Book,
    ident: String,
    report: BookReport,
    open: Open,
    /// The month of the last leaf.
    month: Option<String>,
    finished: Vec<PathBuf>,
}

impl Binder {
    pub fn new(options: BookOptions, book: Book, ident: String, report: BookReport) -> Self {
        Self { options, book, ident, report, open: Open::default(), month: None, finished: Vec::new() }
    }

    pub fn bind(
        mut self,
        mut days: mpsc::Receiver<Message>,
        leaves: Leaves,
        typesetter: &dyn Typesetter,
        monitor: &dyn Monitor,
        total: Option<u64>,
    ) -> CustodyResult<BookReport> {
        monitor.stage("setting the book", total, None);
        refuse_filled(&self.options.out, typesetter.ending())?;
        let gathered = self.gather(&mut days, &leaves, typesetter, monitor);
        let (skipped, named_only) = leaves.into_problems();
        self.report.skipped.extend(skipped);
        self.report.named_only = named_only;
        match gathered.and_then(|()| self.publish()) {
            Ok(()) => Ok(self.report),
            Err(error) => {
                for file in &self.finished {
                    // A book that is half made is of no use; what cannot be removed is under a name that says so.
                    drop(fs::remove_file(file));
                }
                Err(error)
            }
        }
    }

    fn gather(
        &mut self,
        days: &mut mpsc::Receiver<Message>,
        leaves: &Leaves,
        typesetter: &dyn Typesetter,
        monitor: &dyn Monitor,
    ) -> CustodyResult<()> {
        loop {
            let died = || Err(CustodyError::Damaged("reading the vault ended before its end: run this again".into()));
            let Some(day) = days.blocking_recv().unwrap_or_else(died)? else { break };
            for (id, reason) in day.damaged {
                self.report.skipped.push((format!("memory {id}"), format!("its record cannot be read: {reason}")));
            }
            for memory in day.memories {
                if monitor.cancelled() {
                    return Err(keepsake_repository::RepositoryError::Cancelled.into());
                }
                self.gather_memory(&memory, leaves, typesetter, monitor)?;
                monitor.advance(1, 0);
            }
        }
        self.close(typesetter, monitor, true)
    }

    fn gather_memory(&mut self, memory: &Memory, leaves: &Leaves, typesetter: &dyn Typesetter, monitor: &dyn Monitor) -> CustodyResult<()> {
        let month = told::month(memory.when.day);
        for (at, mut leaf) in leaves.of(memory, VOLUME_CHARS).into_iter().enumerate() {
            if self.open.chars >= VOLUME_CHARS || self.open.picture_bytes >= VOLUME_PICTURE_BYTES {
                self.close(typesetter, monitor, false)?;
            }
            // A new part begins with a new month, and with a new volume.
            if self.month.as_ref() != Some(&month) || self.open.leaves.is_empty() {
                leaf.part = Some(month.clone());
                self.month = Some(month.clone());
            }
            if at == 0 {
                self.count(memory);
            }
            self.add(leaf);
        }
        Ok(())
    }

    fn count(&mut self, memory: &Memory) {
        self.report.memories += 1;
        self.open.memories += 1;
        if self.options.with_data {
            self.open.data.extend(memory.to_line());
            self.open.data.push(b'\n');
        }
    }

    fn add(&mut self, leaf: Leaf) {
        self.open.chars += length(&leaf);
        self.open.picture_bytes += leaf.figures.values().filter_map(|f| f.picture.as_ref().ok()).map(|p| p.jpeg.len()).sum::<usize>();
        self.open.leaves.push(leaf);
    }

    /// Has the open volume set, and writes it beside where it will be.
    fn close(&mut self, typesetter: &dyn Typesetter, monitor: &dyn Monitor, is_last: bool) -> CustodyResult<()> {
        let open = std::mem::take(&mut self.open);
        let number = self.finished.len() + 1;
        let mut volume = Volume {
            book: self.book.clone(),
            number: (!is_last || number > 1).then_some(number),
            ident: format!("{} {number}", self.ident),
            leaves: open.leaves,
            data: self.options.with_data.then_some(open.data),
        };
        let Printed { file, pages, replaced } = match typesetter.set(&volume) {
            Ok(printed) => printed,
            Err(_) => {
                self.leave_out(&mut volume, typesetter, monitor)?;
                typesetter.set(&volume).map_err(|error| {
                    CustodyError::Refused(format!("volume {number} cannot be set: {error}; `--format json` hands everything out"))
                })?
            }
        };
        monitor.advance(0, file.len() as u64);
        let part = beside(&self.options.out, &format!(".part-{number}"));
        self.finished.push(part.clone());
        write_whole(&part, &file)?;
        for (character, count) in replaced {
            *self.report.replaced.entry(format!("U+{:04X}", u32::from(character))).or_default() += count;
        }
        let sha256 = Sha256Digest::of(&file);
        self.report.volumes.push(VolumeFile { name: String::new(), bytes: file.len() as u64, sha256, pages, memories: open.memories });
        Ok(())
    }

    /// Finds the leaves that cannot be set, and says so in their place: one strange memory does not keep the others from the book.
    fn leave_out(&mut self, volume: &mut Volume, typesetter: &dyn Typesetter, monitor: &dyn Monitor) -> CustodyResult<()> {
        let mut runs = vec![(0, volume.leaves.len())];
        while let Some((from, to)) = runs.pop() {
            if monitor.cancelled() {
                return Err(keepsake_repository::RepositoryError::Cancelled.into());
            }
            let mut alone = Volume { leaves: volume.leaves[from..to].to_vec(), data: None, ..volume.clone() };
            if let Some(first) = alone.leaves.first_mut() {
                // As every volume begins.
                first.part.get_or_insert_with(|| "A part".into());
            }
            let Err(error) = typesetter.set(&alone) else { continue };
            if to - from > 1 {
                let middle = from + (to - from) / 2;
                runs.extend([(from, middle), (middle, to)]);
                continue;
            }
            // A volume without a memory that cannot be set is no memory's fault.
            let Some(leaf) = volume.leaves.get_mut(from) else { continue };
            self.report.skipped.push((leaf.heading.clone(), format!("it cannot be set: {error}")));
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

    /// Gives the volumes their names, the manifest last.
    fn publish(&mut self) -> CustodyResult<()> {
        let single = self.finished.len() == 1;
        let target = |number: usize| if single { self.options.out.clone() } else { numbered(&self.options.out, number) };
        let targets: Vec<PathBuf> = (1..=self.finished.len()).map(target).collect();
        for (target, volume) in targets.iter().zip(&mut self.report.volumes) {
            export::refuse_filled(target)?;
            volume.name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        }
        let manifest = beside(&self.options.out, ".part-manifest");
        self.finished.push(manifest.clone());
        let mut json = serde_json::to_vec_pretty(&self.report).map_err(|e| CustodyError::Damaged(e.to_string()))?;
        json.push(b'\n');
        write_whole(&manifest, &json)?;
        let all = targets.into_iter().chain([manifest_of(&self.options.out)]);
        for (part, target) in self.finished.iter_mut().zip(all) {
            fs::rename(&*part, &target).map_err(CustodyError::io(&target))?;
            // If a later one fails, this one goes, too.
            *part = target;
        }
        Ok(())
    }
}

fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    out.with_file_name(name)
}

fn numbered(out: &Path, number: usize) -> PathBuf {
    let stem = out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = out.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    out.with_file_name(format!("{stem}-{number}.{ending}"))
}

fn manifest_of(out: &Path) -> PathBuf {
    let stem = out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    out.with_file_name(format!("{stem}.manifest.json"))
}

fn refuse_filled(out: &Path, ending: &str) -> CustodyResult<()> {
    if out.extension().is_none_or(|found| !found.eq_ignore_ascii_case(ending)) {
        return Err(CustodyError::Usage(format!("{} needs the ending .{ending}", out.display())));
    }
    need_folder(out)?;
    [out.to_path_buf(), numbered(out, 1), manifest_of(out)].iter().try_for_each(|path| export::refuse_filled(path))
}

fn write_whole(path: &Path, bytes: &[u8]) -> CustodyResult<()> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(CustodyError::io(path))
}
