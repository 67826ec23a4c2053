//! Pieces into a bag.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use keepsake_formats::{
    bag::{BagInfo, BagWriter, Bagged, Closed, Container, Seal},
    markdown,
    media::Media,
    names::Names,
    programs::Programs,
    site::{Originals, Site},
    tables::Tables,
    xml::{self, Xml},
};
use keepsake_record::{
    Memory, Sha256Digest, Timestamp, bundle_schema, field_dictionary,
    layout::{self, ShardPrefix},
};

use super::{
    BagFormat,
    reading::{Content, Piece, Shape, Spot},
    sealing::SealTo,
    sharing::{self, Copied, Sharing},
    stock::Stock,
};
use crate::{
    CustodyError, CustodyResult, Monitor,
    bundle::HEAD,
    render::{MediaReader, RenderedStream},
};

/// Originals up to this length are read once, and held meanwhile.
const HELD_BYTES: u64 = 16 << 20;

/// A bag to be written.
pub(super) struct Task<'a> {
    pub target: PathBuf,
    pub format: BagFormat,
    pub info: BagInfo,
    /// The instant that it shows.
    pub at: Timestamp,
    /// The first spot that belongs to the next bag.
    pub until: Option<Spot>,
    pub names: Names,
    /// Who alone can open it.
    pub seal: Option<&'a SealTo>,
    pub media: &'a MediaReader,
    /// Programs of others that may be asked.
    pub programs: &'a Programs,
    /// Where they work.
    pub space: &'a Path,
    /// Where it is for others.
    pub sharing: Option<&'a Sharing<'a>>,
    pub monitor: &'a dyn Monitor,
}

/// What was left out: where, and why.
pub(super) type Omission = (String, String);

/// What becomes of records on their way into a bag.
enum Form<'a> {
    Lines,
    Tables(Tables),
    Xml(Xml),
    Markdown,
    Site(Box<Site<'a>>),
    Media(Box<Media<'a>>),
}

struct Writing<'a> {
    bag: BagWriter,
    form: Form<'a>,
    task: &'a Task<'a>,
    skipped: Vec<Omission>,
    /// The same as the bag tells it.
    told: Vec<Omission>,
    shape: Shape,
}

/// A bag that was written and has not its name yet.
pub(super) struct Wrote {
    pub bagged: Bagged,
    pub closed: Closed,
    pub skipped: Vec<Omission>,
    pub shape: Sha256Digest,
}

/// Writes the pieces of a bag; what cannot be read is named beside it, and in it.
pub(super) fn write(task: &Task<'_>, pieces: RenderedStream<Piece>) -> CustodyResult<Wrote> {
    let stock = Stock { media: task.media, sharing: task.sharing, monitor: task.monitor };
    let form = match task.format {
        BagFormat::Json => Form::Lines,
        BagFormat::Csv(dialect) => {
            // Beside the target, where there is room, and where the words of memories belong.
            let folder = folder_of(&task.target);
            Form::Tables(Tables::new(dialect, folder).map_err(CustodyError::io(folder))?)
        }
        BagFormat::Xml => Form::Xml(Xml::default()),
        BagFormat::Markdown => Form::Markdown,
        BagFormat::Html => {
            let folder = task.space;
            let originals: &dyn Originals = task.sharing.map_or(task.media as &dyn Originals, |sharing| sharing);
            Form::Site(Box::new(Site::new(task.at, originals, task.programs, folder).map_err(CustodyError::io(folder))?))
        }
        BagFormat::Media(options) => {
            let folder = task.space;
            Form::Media(Box::new(Media::new(options, &stock, task.programs, folder).map_err(CustodyError::io(folder))?))
        }
    };
    let seal = task.seal.map(|seal| |file| seal.put_on(file));
    let seal: Option<Seal<'_>> = seal.as_ref().map(|seal| seal as _);
    let bag = BagWriter::create_sealed(&task.target, Container::of(&task.target), seal).map_err(CustodyError::io(&task.target))?;
    let mut writing = Writing { bag, form, task, skipped: Vec::new(), told: Vec::new(), shape: Shape::default() };
    if let Err(error) =
        writing.add_schema().and_then(|()| writing.add_all(pieces)).and_then(|()| writing.add_rest()).and_then(|()| writing.go_on())
    {
        writing.bag.abandon();
        return Err(error);
    }
    let Writing { bag, skipped, told, shape, .. } = writing;
    let mut info = task.info.clone();
    let omissions: String =
        told.iter().map(|(path, reason)| format!("{}\n", serde_json::json!({ "path": path, "reason": reason }))).collect();
    info.tags.push(("omissions.ndjson".into(), omissions.into_bytes()));
    if task.format == BagFormat::Json {
        // Beside the data, which is the same wherever it stands: what each field is, for programs and for people.
        let schema = serde_json::to_vec_pretty(&bundle_schema()).expect("a schema is JSON");
        info.tags.extend([("bundle.schema.json".into(), schema), ("FIELDS.md".into(), field_dictionary().into_bytes())]);
    }
    let (bagged, closed) = bag.close(&info).map_err(CustodyError::io(&task.target))?;
    Ok(Wrote { bagged, closed, skipped, shape: shape.digest() })
}

/// The lines of a file, from 1 on.
fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let ends = memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]);
    let lines = ends.scan(0, |start, end| Some(&bytes[std::mem::replace(start, end + 1)..end]));
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// The folder that something will stand in.
pub(super) fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Writing<'_> {
    /// That nobody asked to stop: a picture that was given up for that is not left out of what stays.
    fn go_on(&self) -> CustodyResult<()> {
        if self.task.monitor.cancelled() { Err(keepsake_repository::RepositoryError::Cancelled.into()) } else { Ok(()) }
    }

    fn add_all(&mut self, mut pieces: RenderedStream<Piece>) -> CustodyResult<()> {
        while let Some(piece) = pieces.blocking_next() {
            self.go_on()?;
            let piece = piece?;
            if self.task.until.as_ref().is_some_and(|until| piece.spot >= *until) {
                return Ok(());
            }
            let length = piece.length();
            self.shape.note(&piece);
            self.add(piece)?;
            self.task.monitor.advance(1, length);
        }
        Ok(())
    }

    /// Puts the schema of what follows into the bag, where that has one of its own.
    fn add_schema(&mut self) -> CustodyResult<()> {
        if matches!(self.form, Form::Xml(_)) {
            let schema = xml::xsd();
            self.put("data/keepsake.xsd", schema.len() as u64, &mut schema.as_bytes())?;
        }
        Ok(())
    }

    fn add(&mut self, piece: Piece) -> CustodyResult<()> {
        let path = format!("data/{}", piece.path);
        let (digest, length) = match piece.body {
            Content::Bytes(bytes) => {
                let bytes = self.for_whom(&piece.path, bytes)?;
                return self.add_lines(&piece.path, &path, &bytes);
            }
            // Copies for others went with their memories.
            Content::Medium(..) if self.task.sharing.is_some() => return Ok(()),
            // These went with their memories, too.
            Content::Medium(..) if matches!(self.form, Form::Media(_)) => return Ok(()),
            Content::Medium(digest, length) => (digest, length),
            Content::Unreadable(reason) => return self.leave_out(piece.path, format!("its record cannot be read: {reason}")),
        };
        let opened = || self.task.media.open(&digest);
        if length <= HELD_BYTES {
            let mut bytes = Vec::with_capacity(length as usize);
            return match opened().and_then(|mut reader| reader.read_to_end(&mut bytes)) {
                Ok(_) => self.put(&path, bytes.len() as u64, &mut bytes.as_slice()),
                Err(error) => self.leave_out(path, error.to_string()),
            };
        }
        // Read once to know that it is whole, then once more to write it: a bag with half a film is no bag.
        match opened().and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink())) {
            Ok(length) => {
                let mut reader = opened().map_err(CustodyError::io(&self.task.target))?;
                self.put(&path, length, &mut reader)
            }
            Err(error) => self.leave_out(path, error.to_string()),
        }
    }

    /// Lines as those who will read them may have them.
    fn for_whom(&mut self, path: &str, bytes: Vec<u8>) -> CustodyResult<Vec<u8>> {
        let Some(sharing) = self.task.sharing else { return Ok(bytes) };
        let mut shared = Vec::with_capacity(bytes.len());
        // It makes the copies again, and puts them where they belong there.
        let is_put_later = matches!(self.form, Form::Media(_));
        for (number, line) in numbered(&bytes) {
            let made = if path.starts_with("memories/") {
                match Memory::from_line(line) {
                    Ok(mut memory) => {
                        let put = |(path, copy): Copied| {
                            if is_put_later {
                                return Ok(());
                            }
                            let added = self.bag.add(&format!("data/{path}"), copy.len() as u64, &mut copy.as_slice());
                            added.map_err(CustodyError::io(&self.task.target))
                        };
                        for (what, reason) in sharing.memory(&mut memory, put)? {
                            self.leave_out_as(what.clone(), reason.clone(), (what, reason))?;
                        }
                        Ok(memory.to_line())
                    }
                    Err(error) => Err(error.to_string()),
                }
            } else {
                sharing::thing(path, line)
            };
            match made {
                Ok(line) => {
                    shared.extend(line);
                    shared.push(b'\n');
                }
                Err(reason) => self.leave_out(format!("{path}, line {number}"), reason)?,
            }
        }
        Ok(shared)
    }

    fn add_lines(&mut self, below: &str, path: &str, bytes: &[u8]) -> CustodyResult<()> {
        let mut bad: Vec<(usize, String)> = Vec::new();
        match &mut self.form {
            Form::Tables(tables) if Tables::takes(below) => {
                for (number, line) in numbered(bytes) {
                    if let Err(reason) = tables.line(below, line).map_err(CustodyError::io(&self.task.target))? {
                        bad.push((number, reason));
                    }
                }
            }
            Form::Xml(xml) => {
                let as_xml = xml::path_of(below).map(|path| (format!("data/{path}"), xml.file(below, bytes)));
                let Some((path, (bytes, lines))) = as_xml else { return self.put(path, bytes.len() as u64, &mut &*bytes) };
                bad = lines;
                self.put(&path, bytes.len() as u64, &mut bytes.as_slice())?;
            }
            Form::Markdown if below.starts_with("memories/") => {
                for (number, line) in numbered(bytes) {
                    let written = Memory::from_line(line).map_err(|e| e.to_string());
                    match written.and_then(|memory| Ok((markdown::path_of(&memory), markdown::write(&memory, &self.task.names)?))) {
                        Ok((path, text)) => self.put(&format!("data/{path}"), text.len() as u64, &mut text.as_bytes())?,
                        Err(reason) => bad.push((number, reason)),
                    }
                }
            }
            Form::Site(site) => {
                let mut put = |path: &str, bytes: &[u8]| self.bag.add(&format!("data/{path}"), bytes.len() as u64, &mut &*bytes);
                let day = layout::day_file(below).map(|(day, _)| day.file(&ShardPrefix::ROOT));
                for (number, line) in numbered(bytes) {
                    let taken = match &day {
                        None => site.thing(below, line),
                        Some(day) => match Memory::from_line(line) {
                            Ok(memory) => {
                                site.memory(day, memory, line.len(), &mut put).map_err(CustodyError::io(&self.task.target))?;
                                Ok(())
                            }
                            Err(error) => Err(error.to_string()),
                        },
                    };
                    bad.extend(taken.err().map(|reason| (number, reason)));
                }
            }
            Form::Media(media) => {
                let target = &self.task.target;
                let mut put = |path: &str, at: Option<&jiff::Zoned>, length: u64, reader: &mut dyn Read| {
                    self.bag.add_of(&format!("data/{path}"), at, length, reader)
                };
                let mut omitted = Vec::new();
                for (number, line) in numbered(bytes) {
                    let taken = match below.starts_with("memories/").then(|| Memory::from_line(line)) {
                        None => media.thing(below, line),
                        Some(Ok(memory)) => {
                            omitted.extend(media.memory(&memory, &mut put).map_err(|error| match error.kind() {
                                std::io::ErrorKind::Interrupted => keepsake_repository::RepositoryError::Cancelled.into(),
                                _ => CustodyError::io(target)(error),
                            })?);
                            Ok(())
                        }
                        Some(Err(error)) => Err(error.to_string()),
                    };
                    bad.extend(taken.err().map(|reason| (number, reason)));
                }
                omitted.into_iter().try_for_each(|told: Omission| self.leave_out_as(told.0.clone(), told.1.clone(), told))?;
            }
            // What is no memory stands beside them as it is; the head would say that all of this is a bundle.
            Form::Markdown if below == HEAD => {}
            Form::Markdown => self.put(&format!("data/about/{below}"), bytes.len() as u64, &mut &*bytes)?,
            Form::Lines | Form::Tables(_) => self.put(path, bytes.len() as u64, &mut &*bytes)?,
        }
        bad.into_iter().try_for_each(|(number, reason)| self.leave_out(format!("{path}, line {number}"), reason))
    }

    /// Names what cannot be read, and goes on without it.
    fn leave_out(&mut self, place: String, reason: String) -> CustodyResult<()> {
        // What is wrong with a record may quote it, and nobody has judged whether others may read that.
        let told = match self.task.sharing {
            Some(_) => ("a record".to_owned(), "it cannot be read".to_owned()),
            None => (place.clone(), reason.clone()),
        };
        self.leave_out_as(place, reason, told)
    }

    fn leave_out_as(&mut self, place: String, reason: String, told: Omission) -> CustodyResult<()> {
        self.task.monitor.problem(&place, &reason);
        self.skipped.push((place, reason));
        self.told.push(told);
        Ok(())
    }

    fn put(&mut self, path: &str, length: u64, reader: &mut dyn Read) -> CustodyResult<()> {
        self.bag.add(path, length, reader).map_err(CustodyError::io(&self.task.target))
    }

    /// Puts what was gathered into the bag: tables, or the pages that list all memories.
    fn add_rest(&mut self) -> CustodyResult<()> {
        match std::mem::replace(&mut self.form, Form::Lines) {
            Form::Tables(tables) => self.add_tables(tables),
            Form::Site(site) => {
                let mut put = |path: &str, bytes: &[u8]| self.bag.add(&format!("data/{path}"), bytes.len() as u64, &mut &*bytes);
                let skipped = site.finish(&mut put).map_err(CustodyError::io(&self.task.target))?;
                skipped.into_iter().try_for_each(|(what, reason)| self.leave_out(what, format!("no page shows it: {reason}")))
            }
            Form::Media(media) => {
                let mut put = |path: &str, at: Option<&jiff::Zoned>, length: u64, reader: &mut dyn Read| {
                    self.bag.add_of(&format!("data/{path}"), at, length, reader)
                };
                media.finish(&mut put).map_err(CustodyError::io(&self.task.target))
            }
            Form::Lines | Form::Xml(_) | Form::Markdown => Ok(()),
        }
    }

    fn add_tables(&mut self, tables: Tables) -> CustodyResult<()> {
        let (files, package) = tables.finish().map_err(CustodyError::io(&self.task.target))?;
        self.put("data/datapackage.json", package.len() as u64, &mut package.as_slice())?;
        for mut table in files {
            self.put(&format!("data/{}", table.name), table.bytes, &mut table.file)?;
        }
        Ok(())
    }
}
