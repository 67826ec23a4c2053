//! What goes with what is made: photos as pictures, originals byte for byte; and what is told of the attachments of a memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use keepsake_formats::{
    names::Names,
    pictures::Picture,
    programs::Programs,
    template::{
        Kind, Manifest, Media,
        view::{PictureFile, Shown},
    },
    text, told,
};
use keepsake_record::{Attachment, Memory, Sha256Digest, layout};

use super::export::TemplateFile;
use crate::{CustodyError, CustodyResult, books::picture_of, memories::hash_reader, render::MediaReader};

/// The pictures of one PDF, all together: they stand in memory until it is set.
const PICTURE_BYTES_MAX: usize = 192 << 20;

/// Makes pictures and copies originals, each once.
pub(super) struct Beside {
    reader: MediaReader,
    programs: Programs,
    media: Media,
    pixels: u32,
    is_set: bool,
    /// What the paths of files begin with, as a folder and as an address.
    prefix: String,
    /// By original: its picture's sides, or why there is none.
    known: BTreeMap<Sha256Digest, Result<(u32, u32), String>>,
    copied: BTreeSet<String>,
    /// The pictures of the PDF that is being made, by the path that it knows them by; and which original each is of.
    pub pictures: BTreeMap<String, Vec<u8>>,
    named: BTreeMap<Sha256Digest, PictureFile>,
    picture_bytes: usize,
    pub files: Vec<TemplateFile>,
    pub skipped: Vec<(String, String)>,
    pub named_only: u64,
}

impl Beside {
    pub fn new(reader: MediaReader, programs: Programs, manifest: &Manifest, prefix: &str) -> Self {
        Self {
            reader,
            programs,
            media: manifest.media,
            pixels: manifest.pixels,
            is_set: manifest.kind == Kind::Typst,
            prefix: prefix.into(),
            known: BTreeMap::new(),
            copied: BTreeSet::new(),
            pictures: BTreeMap::new(),
            named: BTreeMap::new(),
            picture_bytes: 0,
            files: Vec::new(),
            skipped: Vec::new(),
            named_only: 0,
        }
    }

    /// Begins another PDF, which has pictures of its own.
    pub fn next(&mut self) -> BTreeMap<String, Vec<u8>> {
        self.named.clear();
        self.picture_bytes = 0;
        std::mem::take(&mut self.pictures)
    }

    /// What there is of each attachment of a memory; files go below `work`.
    pub fn of(&mut self, memory: &Memory, names: &Names, work: &Path) -> CustodyResult<BTreeMap<String, Shown>> {
        let blocks = text::parse(&memory.text);
        let in_text: BTreeSet<&str> = text::figures(&blocks).into_iter().collect();
        let mut all = BTreeMap::new();
        for attachment in &memory.attachments {
            let mut shown = Shown::told(attachment, memory, names, "only named here");
            let is_wanted = told::is_shown(attachment) || in_text.contains(attachment.key.as_str());
            if self.media.originals() {
                shown.original = self.original(memory, attachment, work)?;
                if shown.original.is_some() {
                    shown.picture = Err("no picture is made of it, its original is here".into());
                }
            }
            if is_wanted && self.media.pictures() && attachment.media_type.starts_with("image/") {
                shown.picture = self.picture(attachment, work)?;
                if let Err(reason) = &shown.picture {
                    self.skipped.push((format!("{} of {}", attachment.name, memory.id), reason.clone()));
                }
            } else if is_wanted && shown.original.is_none() && self.media != Media::None {
                self.named_only += 1;
            }
            all.insert(attachment.key.clone(), shown);
        }
        for key in in_text.iter().filter(|key| !all.contains_key(**key)) {
            self.skipped.push((format!("{key} of {}", memory.id), "the text shows an attachment that is not here".into()));
        }
        Ok(all)
    }

    fn picture(&mut self, attachment: &Attachment, work: &Path) -> CustodyResult<Result<PictureFile, String>> {
        let Some(medium) = &attachment.medium else { return Ok(Err("the file never arrived".into())) };
        let original = medium.sha256;
        if self.is_set {
            return Ok(self.picture_to_set(attachment, original, work));
        }
        let path = format!("pictures/{}.jpg", &original.to_string()[..32]);
        let sides = match self.known.get(&original) {
            Some(sides) => sides.clone(),
            None => {
                let made = self.made(attachment, work);
                if let Ok(picture) = &made {
                    self.put(&path, &picture.jpeg, work)?;
                }
                let sides = made.map(|picture| (picture.width, picture.height));
                self.known.insert(original, sides.clone());
                sides
            }
        };
        Ok(sides.map(|(width, height)| PictureFile { path: address(&self.prefix, &path), width, height }))
    }

    fn picture_to_set(&mut self, attachment: &Attachment, original: Sha256Digest, work: &Path) -> Result<PictureFile, String> {
        if let Some(file) = self.named.get(&original) {
            return Ok(file.clone());
        }
        let picture = self.made(attachment, work)?;
        // Of what is left out nothing is counted: a smaller picture may still fit.
        if self.picture_bytes + picture.jpeg.len() > PICTURE_BYTES_MAX {
            return Err("too many large pictures for one PDF: smaller ones with `pixels`, or less with --filter".into());
        }
        self.picture_bytes += picture.jpeg.len();
        let file = PictureFile { path: format!("/m/{}", self.pictures.len()), width: picture.width, height: picture.height };
        self.pictures.insert(file.path.clone(), picture.jpeg);
        self.named.insert(original, file.clone());
        Ok(file)
    }

    fn made(&self, attachment: &Attachment, work: &Path) -> Result<Picture, String> {
        // One strange photo does not keep the others from being shown.
        let made = || picture_of(&self.reader, attachment, self.pixels, &self.programs, work);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(made)).unwrap_or_else(|_| Err("its decoder failed".into()))
    }

    /// Copies an original; `None`: it is not here, which is noted.
    fn original(&mut self, memory: &Memory, attachment: &Attachment, work: &Path) -> CustodyResult<Option<String>> {
        let missing = |reason: String| (format!("{} of {}", attachment.name, memory.id), reason);
        let Some(medium) = &attachment.medium else {
            self.skipped.push(missing("the file never arrived".into()));
            return Ok(None);
        };
        let path = layout::media_path(memory.when.day, &attachment.name, &medium.sha256);
        if !self.copied.contains(&path) {
            let mut reader = match self.reader.open(&medium.sha256) {
                Ok(reader) => reader,
                Err(error) => {
                    self.skipped.push(missing(format!("the original cannot be read: {error}")));
                    return Ok(None);
                }
            };
            let target = work.join(&self.prefix).join(&path);
            make_folder(&target)?;
            let mut copy = || {
                let mut file = fs::File::create(&target)?;
                std::io::copy(&mut reader, &mut file)?;
                file.sync_all()
            };
            copy().map_err(CustodyError::io(&target))?;
            let mut written = fs::File::open(&target).map_err(CustodyError::io(&target))?;
            let (found, bytes) = hash_reader(&mut written).map_err(CustodyError::io(&target))?;
            if found != medium.sha256 {
                fs::remove_file(&target).map_err(CustodyError::io(&target))?;
                self.skipped.push(missing("the original is not what it was any more: `keepsake verify` tells more".into()));
                return Ok(None);
            }
            self.note(&path, bytes, found);
            self.copied.insert(path.clone());
        }
        Ok(Some(address(&self.prefix, &path)))
    }

    fn put(&mut self, path: &str, bytes: &[u8], work: &Path) -> CustodyResult<()> {
        let target = work.join(&self.prefix).join(path);
        make_folder(&target)?;
        write_whole(&target, bytes)?;
        self.note(path, bytes.len() as u64, Sha256Digest::of(bytes));
        Ok(())
    }

    fn note(&mut self, path: &str, bytes: u64, sha256: Sha256Digest) {
        let name = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        self.files.push(TemplateFile { name, bytes, sha256, pages: None, memories: None });
    }
}

fn make_folder(target: &Path) -> CustodyResult<()> {
    let folder = target.parent().unwrap_or(target);
    fs::create_dir_all(folder).map_err(CustodyError::io(folder))
}

/// Writes a file to its end, down to the disk.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> CustodyResult<()> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(CustodyError::io(path))
}

/// A path as an address that pages lead to (RFC 3986, 2.3): what is no plain letter is escaped.
fn address(prefix: &str, path: &str) -> String {
    let mut out = String::new();
    for byte in prefix.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte))
        } else {
            out.push_str(&format!("%{byte:02X}"))
        }
    }
    if out.is_empty() { path.to_owned() } else { format!("{out}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_odd_folders() {
        assert_eq!(address("", "pictures/1.jpg"), "pictures/1.jpg");
        assert_eq!(address("my #1 é-files", "pictures/1.jpg"), "my%20%231%20%C3%A9-files/pictures/1.jpg");
    }
}
