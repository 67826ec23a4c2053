//! The files themselves, for photo programs and for people: folders by day, collection or person, and beside each file, or in it, what its memory tells.
//!
//! Files are copied byte for byte unless words are to be put into them or they are to become smaller or of another kind; `media.csv` says of each what
//! was done, and which original it comes from.

mod converting;
mod films;
mod groups;
mod list;
mod options;
mod paths;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use jiff::Zoned;
use keepsake_record::{Attachment, AttachmentRole, Medium, Memory, Place, Sha256Digest};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::{
    converting::Converted,
    groups::{groups, sidecar_of},
    list::List,
    paths::Paths,
};
pub use self::{
    converting::PictureFormat,
    options::{Layout, MediaOptions},
    sources::Sources,
};
use crate::{
    copies,
    programs::Programs,
    xmp::{self, Things, Told},
};

/// Files up to this length are read once, and held meanwhile.
const HELD_BYTES: u64 = 16 << 20;
/// Longer pictures are not decoded.
const PICTURE_BYTES_MAX: u64 = 256 << 20;
/// The list of all files.
pub const LIST: &str = "media.csv";

/// Takes files as they are made: their paths, when they are of, their lengths and their bytes.
pub type Out<'a> = dyn FnMut(&str, Option<&Zoned>, u64, &mut dyn Read) -> io::Result<()> + 'a;

/// What could not be done: with what, and why.
pub type Omission = (String, String);

/// Writes media.
pub struct Media<'a> {
    options: MediaOptions,
    sources: &'a dyn Sources,
    things: Things,
    /// The folders of collections or people, by id.
    folders: BTreeMap<String, String>,
    paths: Paths,
    list: List,
    programs: &'a Programs,
    space: PathBuf,
}

/// What a file is now.
enum Body {
    /// The original, too long to be held.
    Original,
    Held(Vec<u8>),
    Made(File),
}

/// A file that is to be written.
struct Prepared<'m> {
    attachment: &'m Attachment,
    medium: &'m Medium,
    ending: String,
    body: Body,
    length: u64,
    sha256: Sha256Digest,
    sidecar: Option<String>,
    /// The key of the sidecar that it came with, if that went into its own.
    merged: Option<&'m str>,
    done: &'static str,
}

impl<'a> Media<'a> {
    /// Begins; what has to wait waits in files in `space`, and programs that are asked work there.
    ///
    /// # Errors
    /// `space` cannot be written.
    pub fn new(options: MediaOptions, sources: &'a dyn Sources, programs: &'a Programs, space: &Path) -> io::Result<Self> {
        let mut paths = Paths::default();
        paths.claim("", LIST, &[]);
        paths.claim("", options.layout.nowhere(), &[]);
        let (list, space) = (List::new(space)?, space.to_owned());
        Ok(Self { options, sources, things: Things::default(), folders: BTreeMap::new(), paths, list, programs, space })
    }

    /// Takes a line of a file that is not memories, all of them before the first memory. What no file tells of is passed over.
    ///
    /// # Errors
    /// It is no record.
    pub fn thing(&mut self, path: &str, line: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
            name: String,
        }
        let names = match path {
            "people.ndjson" => &mut self.things.people,
            "collections.ndjson" => &mut self.things.collections,
            "places.ndjson" => {
                let place: Place = serde_json::from_slice(line).map_err(|error| error.to_string())?;
                self.things.places.insert(place.id.to_string(), place);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let Named { id, name } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let has_folder =
            matches!((self.options.layout, path), (Layout::Person, "people.ndjson") | (Layout::Collection, "collections.ndjson"));
        if has_folder {
            self.folders.insert(id.clone(), self.paths.claim("", &paths::safe(&name), &[]));
        }
        names.insert(id, name);
        Ok(())
    }

    /// Takes a memory: its files are written. What could not be done is answered, each with the reason.
    ///
    /// # Errors
    /// `out` or the temporary files fail.
    pub fn memory(&mut self, memory: &Memory, out: &mut Out<'_>) -> io::Result<Vec<Omission>> {
        let mut omitted = Vec::new();
        let folders = self.folders_of(memory);
        let is_named = |attachment: &Attachment| attachment.problem.is_some() && self.sources.names_missing();
        for missing in memory.attachments.iter().filter(|attachment| attachment.medium.is_none() && !is_named(attachment)) {
            let reason = missing.problem.clone().unwrap_or_else(|| "it never arrived".into());
            omitted.push((format!("{} of {}", missing.name, memory.id), reason));
        }
        for group in groups(memory) {
            let mut files = Vec::new();
            for attachment in &group {
                files.extend(self.prepared(memory, attachment, &mut omitted)?);
            }
            // A sidecar that went into no other goes by its own name.
            let sidecars = group.iter().filter_map(|attachment| sidecar_of(memory, attachment));
            let left: Vec<_> = sidecars.filter(|sidecar| files.iter().all(|file| file.merged != Some(sidecar.key.as_str()))).collect();
            for mut files in groups::apart(files) {
                self.write_all(memory, &folders, &mut files, out)?;
            }
            for sidecar in left {
                let mut files: Vec<_> = self.prepared(memory, sidecar, &mut omitted)?.into_iter().collect();
                self.write_all(memory, &folders, &mut files, out)?;
            }
        }
        let mut named = BTreeSet::new();
        omitted.retain(|omission| named.insert(omission.clone()));
        Ok(omitted)
    }

    /// Ends with the list of all files.
    ///
    /// # Errors
    /// `out` or the temporary files fail.
    pub fn finish(self, out: &mut Out<'_>) -> io::Result<()> {
        let (length, mut file) = self.list.finish()?;
        out(LIST, None, length, &mut file)
    }

    fn folders_of(&self, memory: &Memory) -> Vec<String> {
        let folder = |id: String| self.folders.get(&id).cloned();
        let mut folders: Vec<String> = match self.options.layout {
            Layout::Date => {
                memory.when.day.map(|day| format!("{:04}/{:04}-{:02}", day.year(), day.year(), day.month())).into_iter().collect()
            }
            Layout::Collection => memory.collections.iter().filter_map(|member| folder(member.collection.to_string())).collect(),
            Layout::Person => memory.people.iter().filter_map(|id| folder(id.to_string())).collect(),
        };
        folders.dedup();
        if folders.is_empty() {
            folders.push(self.options.layout.nowhere().to_owned());
        }
        folders
    }

    /// A file as it will stand in the folders; `None`: it cannot be read, or it went into another one.
    fn prepared<'m>(
        &mut self,
        memory: &'m Memory,
        attachment: &'m Attachment,
        omitted: &mut Vec<Omission>,
    ) -> io::Result<Option<Prepared<'m>>> {
        let Some(medium) = &attachment.medium else { return Ok(None) };
        if self.sources.is_stopped() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the export was stopped"));
        }
        let what = || format!("{} of {}", attachment.name, memory.id);
        let is_held = medium.bytes <= HELD_BYTES || medium.bytes <= PICTURE_BYTES_MAX && self.decodes(attachment);
        let read = if is_held {
            self.held(medium).map(|bytes| (bytes.len() as u64, Body::Held(bytes)))
        } else {
            // Once to know that it is whole: a bag with half a film is no bag.
            let whole = self.sources.open(&medium.sha256, medium.bytes);
            let length = whole.and_then(|mut reader| io::copy(&mut reader, &mut io::sink()).map_err(|e| e.to_string()));
            length.map(|length| (length, Body::Original))
        };
        let (length, body) = match read {
            Ok(read) => read,
            Err(reason) => {
                omitted.push((what(), reason));
                return Ok(None);
            }
        };
        let (_, ending) = paths::parts(attachment);
        let mut file =
            Prepared { attachment, medium, ending, body, length, sha256: medium.sha256, sidecar: None, merged: None, done: "original" };
        let mut told = xmp::told(memory, attachment, &self.things);
        if self.sources.is_for_others() {
            told.leave_out("keepsake:Visibility");
        }
        let lost = self.convert(&mut file, &mut told)?.unwrap_or_else(|reason| {
            omitted.push((what(), format!("it stays as it is: {reason}")));
            None
        });
        let mut foreign = None;
        if let Some(sidecar) = sidecar_of(memory, attachment) {
            match self.merged(sidecar, &told) {
                Ok(text) => (foreign, file.merged) = (Some(text), Some(sidecar.key.as_str())),
                Err(reason) => omitted.push((format!("{} of {}", sidecar.name, memory.id), reason)),
            }
        }
        // A copy is made of pixels alone: what its original says inside stands beside it.
        if let Some(packet) = lost {
            let has_sidecar = || "it came with a sidecar, which stands beside it".to_owned();
            match foreign.is_none().then_some(()).ok_or_else(has_sidecar).and_then(|()| xmp::merged(&packet, &told)) {
                Ok(text) => foreign = Some(text),
                Err(reason) => omitted.push((what(), format!("its copy does not say what its own XMP says: {reason}"))),
            }
        }
        let mut is_inside = false;
        if let (true, Body::Held(bytes)) = (self.options.embed, &file.body)
            && copies::takes_words(bytes)
        {
            match converting::guarded(|| copies::told(bytes, &told)) {
                Ok(copy) => {
                    file.done = if file.done == "original" { "with XMP inside" } else { "converted, with XMP inside" };
                    file.take(copy);
                    is_inside = true;
                }
                Err(reason) => omitted.push((what(), format!("what is told of it stands beside it, and not inside: {reason}"))),
            }
        }
        if foreign.is_some() || !is_inside && attachment.role != AttachmentRole::LiveVideo && attachment.role != AttachmentRole::Sidecar {
            file.sidecar = Some(foreign.unwrap_or_else(|| told.sidecar()));
        }
        Ok(Some(file))
    }

    /// Whether a file has to be held, because it may be decoded.
    fn decodes(&self, attachment: &Attachment) -> bool {
        let is_asked = self.options.embed || self.options.convert.is_some() || self.options.side_max.is_some();
        is_asked && attachment.media_type.starts_with("image/") && !is_raw(attachment)
    }

    /// Makes of a file what was asked for, and answers the packet of XMP that its copy does not have; the inner error tells why it stays as it is.
    fn convert(&mut self, file: &mut Prepared<'_>, told: &mut Told) -> io::Result<Result<Option<Vec<u8>>, String>> {
        let MediaOptions { convert, side_max, .. } = self.options;
        if convert.is_none() && side_max.is_none() || file.attachment.role == AttachmentRole::Sidecar {
            return Ok(Ok(None));
        }
        let made = match (&file.body, file.attachment.media_type.split('/').next()) {
            (_, Some("image")) if is_raw(file.attachment) => Err("raw files are not developed here".into()),
            (Body::Held(bytes), Some("image")) => {
                let (programs, space) = (self.programs, self.space.as_path());
                converting::guarded(|| converting::picture(bytes, convert, side_max, programs, space))
            }
            (_, Some("image")) => Err("a picture so long that it is not decoded".into()),
            (_, Some("video" | "audio")) => {
                let copied = || self.sources.open(&file.medium.sha256, file.medium.bytes);
                let stopped = || self.sources.is_stopped();
                films::film(file.attachment, side_max, convert.is_some(), copied, &stopped, self.programs, &self.space)
            }
            _ => Ok(None),
        };
        let mut lost = None;
        match made {
            Err(reason) => return Ok(Err(reason)),
            Ok(None) => {}
            Ok(Some(Converted::Picture { bytes, ending, size })) => {
                if let Body::Held(original) = &file.body {
                    // Of a camera whose notes cannot be read nothing is told.
                    let camera = converting::guarded(|| Ok(converting::camera(original)));
                    camera.unwrap_or_default().into_iter().for_each(|(name, said)| told.add(name, Some(said)));
                    lost = copies::packet(original);
                }
                converting::tell_size(size, told);
                file.take(bytes);
                (file.ending, file.done) = (ending.into(), "converted");
            }
            Ok(Some(Converted::Film { file: mut made, ending })) => {
                file.sha256 = digest_of(&mut made)?;
                file.length = made.metadata()?.len();
                file.body = Body::Made(made);
                (file.ending, file.done) = (ending.into(), "converted");
            }
        }
        Ok(Ok(lost))
    }

    /// A sidecar that a file had already, with what is told merged into it.
    fn merged(&self, sidecar: &Attachment, told: &Told) -> Result<String, String> {
        let medium = sidecar.medium.as_ref().ok_or("it never arrived")?;
        xmp::merged(&self.held(medium)?, told).map_err(|reason| format!("it stands by its own name: {reason}"))
    }

    /// The bytes of an original, read to their end.
    fn held(&self, medium: &Medium) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(usize::try_from(medium.bytes).unwrap_or_default());
        let mut reader = self.sources.open(&medium.sha256, medium.bytes)?.take(medium.bytes.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(|error| format!("the original cannot be read: {error}"))?;
        Ok(bytes)
    }

    /// Writes files that belong together into each of the folders.
    fn write_all(&mut self, memory: &Memory, folders: &[String], files: &mut [Prepared<'_>], out: &mut Out<'_>) -> io::Result<()> {
        folders.iter().try_for_each(|folder| self.write(memory, folder, files, out))
    }

    /// Writes files that belong together into a folder.
    fn write(&mut self, memory: &Memory, folder: &str, files: &mut [Prepared<'_>], out: &mut Out<'_>) -> io::Result<()> {
        let Some(first) = files.first() else { return Ok(()) };
        let name = paths::safe(paths::parts(first.attachment).0);
        let stem = memory.when.day.map_or_else(|| name.clone(), |day| format!("{day} {name}"));
        let endings: Vec<&str> = files.iter().map(|file| file.ending.as_str()).collect();
        let stem = self.paths.claim(folder, &stem, &endings);
        for file in files {
            let path = format!("{folder}/{stem}.{}", file.ending);
            let at = file.attachment.captured.as_ref().and_then(xmp::zoned).or_else(|| xmp::zoned(&memory.when));
            match &mut file.body {
                Body::Held(bytes) => out(&path, at.as_ref(), file.length, &mut bytes.as_slice())?,
                Body::Made(made) => {
                    made.rewind()?;
                    out(&path, at.as_ref(), file.length, made)?;
                }
                Body::Original => {
                    let mut reader = self.sources.open(&file.medium.sha256, file.medium.bytes).map_err(io::Error::other)?;
                    out(&path, at.as_ref(), file.length, &mut reader)?;
                }
            }
            let sidecar = file.sidecar.as_ref().map(|text| (format!("{path}.xmp"), text));
            if let Some((path, text)) = &sidecar {
                out(path, at.as_ref(), text.len() as u64, &mut text.as_bytes())?;
            }
            self.list.add(&path, sidecar.as_ref().map(|(path, _)| path.as_str()), memory, file)?;
        }
        Ok(())
    }
}

impl Prepared<'_> {
    /// Other bytes instead of its own.
    fn take(&mut self, bytes: Vec<u8>) {
        (self.length, self.sha256) = (bytes.len() as u64, Sha256Digest::of(&bytes));
        self.body = Body::Held(bytes);
    }
}

/// Whether a file is a camera's raw format.
fn is_raw(attachment: &Attachment) -> bool {
    attachment.media_type.starts_with("image/x-")
}

fn digest_of(file: &mut File) -> io::Result<Sha256Digest> {
    file.rewind()?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}
