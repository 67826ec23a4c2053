//! The XML of an ENEX file, a note at a time: elements become fields, and the bytes of files are looked at where they stand and left there.

use std::{
    fs,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::Path,
};

use md5::{Digest, Md5};
use quick_xml::{Reader, events::BytesStart, events::Event};
use serde_json::{Map, Value, json};

use super::super::{ReadError, input::Decoder};

/// The longest note without the bytes of its files, and the deepest nesting: beyond is an attack or an accident.
const NOTE_MAX_BYTES: usize = 64 << 20;
const DEPTH_MAX: usize = 16;
/// So many notes of a file may be broken before it is none.
const BROKEN_MAX: usize = 100;

/// The fields of a note; what is wrong with it.
pub(super) type Note = Result<Map<String, Value>, String>;

/// Takes a note with the places of its files.
pub(super) type Each<'a> = dyn FnMut(Note, &[Place]) -> Result<(), ReadError> + 'a;

/// Where the bytes of a file stand in the ENEX file, base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub start: u64,
    pub length: u64,
}

/// Reads every note of a file, with the places of its files in their order. A broken one is told of, and the others are read.
pub(super) fn read(path: &Path, named: &str, each: &mut Each<'_>) -> Result<(), ReadError> {
    let io = |source| ReadError::Io { path: named.to_owned(), source };
    let mut from = 0;
    for _ in 0..BROKEN_MAX {
        let mut file = fs::File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut source = Metered { inner: io::BufReader::with_capacity(256 << 10, file), position: from, left: NOTE_MAX_BYTES };
        let begins_in_note = from > 0;
        if begins_in_note && !source.find(b"<note>").map_err(io)? {
            return Ok(());
        }
        match Parser::new(&mut source, begins_in_note).run(each)? {
            None => return Ok(()),
            Some((at, reason)) => {
                each(Err(format!("cannot be read: {reason}; what follows the next `<note>` is read on")), &[])?;
                from = at.max(from) + 1;
            }
        }
    }
    each(Err("is the last of a hundred that cannot be read; the rest of the file was left out: export the notebook again".into()), &[])
}

/// Counts what is read, and ends what is too long for one note.
struct Metered {
    inner: io::BufReader<fs::File>,
    position: u64,
    left: usize,
}

impl Metered {
    /// Reads on to behind some bytes, whose first is not among the others.
    fn find(&mut self, wanted: &[u8]) -> io::Result<bool> {
        let mut found = 0;
        loop {
            self.left = NOTE_MAX_BYTES;
            let buffer = self.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let mut used = 0;
            for byte in buffer {
                used += 1;
                found = if *byte == wanted[found] { found + 1 } else { usize::from(*byte == wanted[0]) };
                if found == wanted.len() {
                    break;
                }
            }
            self.consume(used);
            if found == wanted.len() {
                return Ok(true);
            }
        }
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Metered {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other("it is longer than 64 MiB without its files"));
        }
        let buffer = self.inner.fill_buf()?;
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.position += count as u64;
        self.left -= count.min(self.left);
    }
}

/// The text up to the next tag.
struct UpToTag<'a>(&'a mut Metered);

impl Read for UpToTag<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.left = NOTE_MAX_BYTES;
        let text = self.0.fill_buf()?;
        let end = text.iter().position(|byte| *byte == b'<').unwrap_or(text.len());
        let count = (&text[..end]).read(buffer)?;
        self.0.consume(count);
        Ok(count)
    }
}

/// An element that is open.
struct Element {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

struct Parser<'a> {
    reader: Reader<&'a mut Metered>,
    open: Vec<Element>,
    places: Vec<Place>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a mut Metered, begins_in_note: bool) -> Self {
        let mut reader = Reader::from_reader(source);
        let config = reader.config_mut();
        (config.allow_unmatched_ends, config.allow_dangling_amp) = (true, true);
        let note = Element { name: "note".into(), fields: Map::new(), text: String::new() };
        Self { reader, open: begins_in_note.then_some(note).into_iter().collect(), places: Vec::new() }
    }

    /// Reads to the end; `Some`: to where it cannot go on, and why.
    fn run(mut self, each: &mut Each<'_>) -> Result<Option<(u64, String)>, ReadError> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let before = self.reader.get_ref().position;
            let event = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => event.into_owned(),
                Err(error) => return Ok(Some((before, error.to_string()))),
            };
            match event {
                Event::Start(start) => {
                    if let Err(reason) = self.begin(&start) {
                        return Ok(Some((before, reason)));
                    }
                }
                Event::Empty(start) => {
                    if let Err(reason) = self.begin(&start) {
                        return Ok(Some((before, reason)));
                    }
                    self.end(start.name().as_ref(), each)?;
                }
                Event::End(end) => self.end(end.name().as_ref(), each)?,
                Event::Text(text) => self.text(&text.xml10_content()),
                Event::CData(text) => self.text(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let resolved = reference.resolve_char_ref().ok().flatten().map(String::from);
                    let named = || quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned);
                    self.text(&resolved.or_else(named).unwrap_or_else(|| format!("&{};", &*reference)));
                }
                Event::Eof if self.open.is_empty() => return Ok(None),
                Event::Eof => {
                    each(Err("is not all there and was left out: the file breaks off; export the notebook again".into()), &[])?;
                    return Ok(None);
                }
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        let name = start.name().as_ref().to_owned();
        if self.open.is_empty() {
            self.reader.get_mut().left = NOTE_MAX_BYTES;
            self.places.clear();
            if name == "en-export" {
                return Ok(());
            }
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("it is nested too deeply at `{}`", name.escape_debug()));
        }
        let is_of_a_file = name == "data" && self.open.last().is_some_and(|parent| parent.name == "resource");
        let mut fields = Map::new();
        if is_of_a_file {
            fields = self.data()?;
        } else {
            let mut attributes = start.html_attributes();
            for attribute in attributes.with_checks(false).filter_map(Result::ok) {
                fields.insert(attribute.key.as_ref().to_owned(), attribute.value.into_owned().into());
            }
        }
        self.open.push(Element { name, fields, text: String::new() });
        Ok(())
    }

    /// Looks at the bytes of a file: how many, and which; nobody holds them.
    fn data(&mut self) -> Result<Map<String, Value>, String> {
        let source = &mut **self.reader.get_mut();
        let (start, left) = (source.position, source.left);
        let mut hasher = Md5::new();
        let mut bytes: u64 = 0;
        let mut buffer = vec![0; 64 << 10];
        let mut decoder = Decoder::new(UpToTag(&mut *source));
        let problem = loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => break Some(error.to_string()),
                Err(error) => return Err(error.to_string()),
            }
        };
        io::copy(&mut UpToTag(&mut *source), &mut io::sink()).map_err(|error| error.to_string())?;
        self.places.push(Place { start, length: source.position - start });
        source.left = left;
        let mut fields = Map::new();
        fields.insert("bytes".into(), bytes.into());
        fields.insert("md5".into(), data_encoding::HEXLOWER.encode(&hasher.finalize()).into());
        fields.insert("place".into(), (self.places.len() - 1).into());
        fields.extend(problem.map(|problem| ("problem".to_owned(), Value::from(problem))));
        Ok(fields)
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn end(&mut self, name: &str, each: &mut Each<'_>) -> Result<(), ReadError> {
        let Some(element) = self.open.pop_if(|element| element.name == name) else { return Ok(()) };
        let Some(parent) = self.open.last_mut() else {
            let note = if name == "note" {
                Ok(element.fields)
            } else {
                Err(format!("is no note but a `{}`, and was left out", name.chars().take(64).collect::<String>().escape_debug()))
            };
            return each(note, &self.places);
        };
        let text = element.text.trim();
        let value = if element.fields.is_empty() {
            Value::from(text)
        } else {
            let mut fields = element.fields;
            if !text.is_empty() {
                fields.insert("text".into(), text.into());
            }
            Value::Object(fields)
        };
        match (parent.fields.get_mut(name), name) {
            (Some(Value::Array(all)), _) => all.push(value),
            (Some(first), _) => *first = json!([first.take(), value]),
            (None, "tag" | "task" | "resource") => drop(parent.fields.insert(element.name, json!([value]))),
            (None, _) => drop(parent.fields.insert(element.name, value)),
        }
        Ok(())
    }
}
