//! Export: the bundle's `data/`, or tables of it, as a BagIt bag in a folder, a ZIP or a TAR.GZ archive. Pinned to one state of the vault.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::{
    bag::{BagWriter, Container},
    tables::{Dialect, Tables},
};
use keepsake_record::{OwnerId, Timestamp};
use keepsake_vault::Outcome;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::blocking,
    render::{Body, MediaReader, Rendered, RenderedStream, Renderer},
};

/// Where to, and as what.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The folder or archive to make; its ending decides which.
    pub out: PathBuf,
    /// What is in it beside the originals.
    pub format: BagFormat,
}

/// How records stand in a bag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BagFormat {
    /// As the bundle's lines of JSON: everything, and the way back.
    #[default]
    Json,
    /// As tables.
    Csv(Dialect),
}

/// How an export went.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// What was made.
    pub out: String,
    /// The state that it shows: the number of the last change.
    pub seq: u64,
    /// Memories in it.
    pub memories: u64,
    /// Files of the payload.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// Originals that could not be read, each with the reason.
    pub skipped: Vec<(String, String)>,
}

impl Custody {
    /// Exports an owner's data with the originals, as a bag.
    ///
    /// # Errors
    /// Something is at the target, or it cannot be written. Originals that cannot be read are in the report.
    pub async fn export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportReport> {
        let result = self.run_export(owner, options, monitor).await;
        self.audited_export(owner, &options.out, result, |report| report.skipped.len()).await
    }

    /// Notes how an export went: one that left something out is not complete.
    pub(crate) async fn audited_export<T>(
        &self,
        owner: OwnerId,
        out: &Path,
        result: CustodyResult<T>,
        skipped: impl Fn(&T) -> usize,
    ) -> CustodyResult<T> {
        let subject = out.display().to_string();
        if let Ok(report) = &result
            && skipped(report) > 0
        {
            let entry = self.entry(Some(owner), "export", &subject, Outcome::Skipped, json!({ "skipped": skipped(report) }));
            self.vault.audit(&entry).await?;
            return result;
        }
        self.audited(Some(owner), "export", &subject, result).await
    }

    async fn run_export(&self, owner: OwnerId, options: &ExportOptions, monitor: Arc<dyn Monitor>) -> CustodyResult<ExportReport> {
        let snapshot = self.vault.snapshot(owner).await?;
        let (seq, memories, last_at) = (snapshot.head.seq, snapshot.head.memories, snapshot.head.last_at);
        let renderer = Renderer::new(snapshot, self.limits).await?;
        let (out, rendered) = mpsc::channel(64);
        tokio::spawn(renderer.whole(false, out));
        let rendered = RenderedStream::new(rendered);
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        // The day of what it shows, so that the same state gives the same bytes.
        let (target, format, day) = (options.out.clone(), options.format, Timestamp::from_micros(last_at)?.to_string()[..10].to_owned());
        let (files, bytes, skipped) = blocking(move || write(&target, format, rendered, &media, &day, &*monitor)).await?;
        Ok(ExportReport { out: options.out.display().to_string(), seq, memories, files, bytes, skipped })
    }
}

/// Files, bytes, and what was left out.
type Written = (u64, u64, Vec<(String, String)>);

/// A bag that is being written.
struct Writing<'a> {
    bag: BagWriter,
    tables: Option<Tables>,
    media: &'a MediaReader,
    target: &'a Path,
    skipped: Vec<(String, String)>,
    monitor: &'a dyn Monitor,
}

fn write(
    target: &Path,
    format: BagFormat,
    mut rendered: RenderedStream,
    media: &MediaReader,
    day: &str,
    monitor: &dyn Monitor,
) -> CustodyResult<Written> {
    monitor.stage("exporting", None, None);
    if std::fs::symlink_metadata(target).is_ok() {
        return Err(CustodyError::Refused(format!("{} is there already: choose another name", target.display())));
    }
    let tables = match format {
        BagFormat::Json => None,
        BagFormat::Csv(dialect) => {
            // Beside the target, where there is room, and where the words of memories belong.
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(Tables::new(dialect, folder).map_err(CustodyError::io(folder))?)
        }
    };
    let bag = BagWriter::create(target, Container::of(target)).map_err(CustodyError::io(target))?;
    let mut writing = Writing { bag, tables, media, target, skipped: Vec::new(), monitor };
    while let Some(next) = rendered.blocking_next() {
        let stopped = if monitor.cancelled() { Some(keepsake_repository::RepositoryError::Cancelled.into()) } else { None };
        let added = match (stopped, next) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(rendered)) => writing.add(rendered),
        };
        if let Err(error) = added {
            writing.bag.abandon();
            return Err(error);
        }
    }
    if let Err(error) = writing.add_tables() {
        writing.bag.abandon();
        return Err(error);
    }
    let (files, bytes) = writing.bag.finish(day).map_err(CustodyError::io(target))?;
    Ok((files, bytes, writing.skipped))
}

impl Writing<'_> {
    fn add(&mut self, rendered: Rendered) -> CustodyResult<()> {
        let path = rendered.path;
        let length = match rendered.body {
            Body::Gone => return Ok(()),
            Body::Spans(spans) => {
                let bytes = spans.concat();
                let below = path.strip_prefix("data/").unwrap_or(&path);
                match &mut self.tables {
                    Some(tables) if Tables::takes(below) => {
                        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.is_empty()) {
                            if let Err(reason) = tables.line(below, line).map_err(CustodyError::io(self.target))? {
                                let place = format!("{path}, line {number}");
                                self.monitor.problem(&place, &reason);
                                self.skipped.push((place, reason));
                            }
                        }
                    }
                    _ => self.put(&path, bytes.len() as u64, &mut bytes.as_slice())?,
                }
                bytes.len() as u64
            }
            Body::Medium(digest) => {
                // Read once to know that it is whole, then once more to write it: a bag with half a photo is no bag.
                let checked = self.media.open(&digest).and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()));
                match checked {
                    Ok(length) => {
                        let mut reader = self.media.open(&digest).map_err(CustodyError::io(self.target))?;
                        self.put(&path, length, &mut reader)?;
                        length
                    }
                    Err(error) => {
                        self.monitor.problem(&path, &error.to_string());
                        self.skipped.push((path, error.to_string()));
                        return Ok(());
                    }
                }
            }
        };
        self.monitor.advance(1, length);
        Ok(())
    }

    fn put(&mut self, path: &str, length: u64, reader: &mut dyn Read) -> CustodyResult<()> {
        self.bag.add(path, length, reader).map_err(CustodyError::io(self.target))
    }

    /// Puts the tables that were gathered into the bag.
    fn add_tables(&mut self) -> CustodyResult<()> {
        let Some(tables) = self.tables.take() else { return Ok(()) };
        let (files, package) = tables.finish().map_err(CustodyError::io(self.target))?;
        self.put("data/datapackage.json", package.len() as u64, &mut package.as_slice())?;
        for mut table in files {
            self.put(&format!("data/{}", table.name), table.bytes, &mut table.file)?;
        }
        Ok(())
    }
}
