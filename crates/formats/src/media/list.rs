//! The list of all files: where each stands, which memory and which original it comes from, and what was done with it. RFC 4180.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path,
};

use keepsake_record::Memory;

use super::Prepared;

const COLUMNS: [&str; 10] = ["file", "sidecar", "memory", "attachment", "name", "media_type", "original_sha256", "sha256", "bytes", "done"];

/// Gathers lines in a temporary file.
pub(super) struct List {
    writer: csv::Writer<File>,
}

impl List {
    pub fn new(space: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(space)?;
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
        writer.write_record(COLUMNS)?;
        Ok(Self { writer })
    }

    pub fn add(&mut self, path: &str, sidecar: Option<&str>, memory: &Memory, file: &Prepared<'_>) -> io::Result<()> {
        let Prepared { attachment, medium, length, sha256, done, .. } = file;
        Ok(self.writer.write_record([
            path,
            sidecar.unwrap_or_default(),
            &memory.id.to_string(),
            &attachment.key,
            &attachment.name,
            &attachment.media_type,
            &medium.sha256.to_string(),
            &sha256.to_string(),
            &length.to_string(),
            done,
        ])?)
    }

    /// Its length, and the file from its first byte on.
    pub fn finish(self) -> io::Result<(u64, File)> {
        let mut file = self.writer.into_inner().map_err(|error| error.into_error())?;
        let length = file.seek(io::SeekFrom::End(0))?;
        file.rewind()?;
        Ok((length, file))
    }
}
