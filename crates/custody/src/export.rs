//! Export: the bundle's `data/` as a BagIt bag, in a folder, a ZIP or a TAR.GZ archive. Pinned to one state of the vault.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::bag::{BagWriter, Container};
use keepsake_record::OwnerId;
use keepsake_vault::Outcome;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Custody, CustodyError, CustodyResult, Monitor,
    copies::blocking,
    render::{Body, MediaReader, Rendered, RenderedStream, Renderer},
};

/// Where to.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The folder or archive to make; its ending decides which.
    pub out: PathBuf,
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
    /// Exports an owner's data as JSON.
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
        let (seq, memories) = (snapshot.head.seq, snapshot.head.memories);
        let renderer = Renderer::new(snapshot, self.limits).await?;
        let (out, rendered) = mpsc::channel(64);
        tokio::spawn(renderer.whole(false, out));
        let rendered = RenderedStream::new(rendered);
        let media = MediaReader { vault: Arc::new(self.vault.clone()), owner };
        let (target, day) = (options.out.clone(), self.now().to_string()[..10].to_owned());
        let (files, bytes, skipped) = blocking(move || write(&target, rendered, &media, &day, &*monitor)).await?;
        Ok(ExportReport { out: options.out.display().to_string(), seq, memories, files, bytes, skipped })
    }
}

type Written = (u64, u64, Vec<(String, String)>);

fn write(target: &Path, mut rendered: RenderedStream, media: &MediaReader, day: &str, monitor: &dyn Monitor) -> CustodyResult<Written> {
    monitor.stage("exporting", None, None);
    if std::fs::symlink_metadata(target).is_ok() {
        return Err(CustodyError::Refused(format!("{} is there already: choose another name", target.display())));
    }
    let mut bag = BagWriter::create(target, Container::of(target)).map_err(CustodyError::io(target))?;
    let mut skipped = Vec::new();
    while let Some(next) = rendered.blocking_next() {
        let stopped = if monitor.cancelled() { Some(keepsake_repository::RepositoryError::Cancelled.into()) } else { None };
        let added = match (stopped, next) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(rendered)) => add(&mut bag, rendered, media, target, &mut skipped, monitor),
        };
        if let Err(error) = added {
            bag.abandon();
            return Err(error);
        }
    }
    let (files, bytes) = bag.finish(day).map_err(CustodyError::io(target))?;
    Ok((files, bytes, skipped))
}

fn add(
    bag: &mut BagWriter,
    rendered: Rendered,
    media: &MediaReader,
    target: &Path,
    skipped: &mut Vec<(String, String)>,
    monitor: &dyn Monitor,
) -> CustodyResult<()> {
    let path = rendered.path;
    let length = match rendered.body {
        Body::Gone => return Ok(()),
        Body::Spans(spans) => {
            let bytes = spans.concat();
            bag.add(&path, bytes.len() as u64, &mut bytes.as_slice()).map_err(CustodyError::io(target))?;
            bytes.len() as u64
        }
        Body::Medium(digest) => {
            // Read once to know that it is whole, then once more to write it: a bag with half a photo is no bag.
            let checked = media.open(&digest).and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()));
            match checked {
                Ok(length) => {
                    let mut reader = media.open(&digest).map_err(CustodyError::io(target))?;
                    bag.add(&path, length, &mut reader as &mut dyn Read).map_err(CustodyError::io(target))?;
                    length
                }
                Err(error) => {
                    monitor.problem(&path, &error.to_string());
                    skipped.push((path, error.to_string()));
                    return Ok(());
                }
            }
        }
    };
    monitor.advance(1, length);
    Ok(())
}
