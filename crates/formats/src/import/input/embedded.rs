//! Bytes that stand as base64 in the middle of a file of an input. They have a path of their own and are decoded as they are read, so that
//! nobody holds them in memory or unpacks them.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
};

use data_encoding::BASE64_MIME_PERMISSIVE;

use super::{super::ReadError, Input};

/// Stands between the file and the place in it: no path of a file has a folder without a name.
const MARK: &str = "//base64/";
/// What is read at once.
const CHUNK_BYTES: u64 = 64 << 10;

/// A stretch of base64 in a file.
pub(crate) struct Embedded<'a> {
    pub file: &'a str,
    /// Its first byte in the file, and its length there, white space included.
    pub start: u64,
    pub length: u64,
}

impl<'a> Embedded<'a> {
    /// What a path means, if it means such a stretch.
    pub fn of(path: &'a str) -> Option<Self> {
        let (file, place) = path.rsplit_once(MARK)?;
        let (start, length) = place.split_once('+')?;
        Some(Self { file, start: start.parse().ok()?, length: length.parse().ok()? })
    }

    /// The path of its bytes, for those who ask the input for them.
    pub fn path(&self) -> String {
        format!("{}{MARK}{}+{}", self.file, self.start, self.length)
    }

    /// Its bytes.
    pub fn open(&self, input: &Input) -> Result<Box<dyn Read + Send>, ReadError> {
        let io = |source| input.io(self.file, source);
        let mut file = fs::File::open(input.place(self.file)?).map_err(io)?;
        file.seek(SeekFrom::Start(self.start)).map_err(io)?;
        Ok(Box::new(Decoder::new(file.take(self.length))))
    }
}

/// Decodes base64 with white space anywhere, with or without what fills it up at the end.
pub(crate) struct Decoder<R> {
    text: R,
    /// Characters that make no whole group yet.
    rest: Vec<u8>,
    bytes: Vec<u8>,
    given: usize,
}

impl<R: Read> Decoder<R> {
    pub fn new(text: R) -> Self {
        Self { text, rest: Vec::new(), bytes: Vec::new(), given: 0 }
    }

    /// Decodes the next piece; afterwards there are bytes to give, or there is an end.
    fn refill(&mut self) -> io::Result<()> {
        (self.given, self.bytes) = (0, Vec::new());
        while self.bytes.is_empty() {
            let mut piece = Vec::new();
            let is_end = (&mut self.text).take(CHUNK_BYTES).read_to_end(&mut piece)? == 0;
            self.rest.extend(piece.into_iter().filter(|byte| !byte.is_ascii_whitespace()));
            if is_end && !self.rest.is_empty() {
                let full = self.rest.len().next_multiple_of(4);
                self.rest.resize(full, b'=');
            }
            let later = self.rest.split_off(self.rest.len() / 4 * 4);
            let whole = std::mem::replace(&mut self.rest, later);
            let bad = |error| io::Error::new(io::ErrorKind::InvalidData, format!("is not base64: {error}"));
            self.bytes = BASE64_MIME_PERMISSIVE.decode(&whole).map_err(bad)?;
            if is_end {
                break;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.bytes.len() {
            self.refill()?;
        }
        let count = (&self.bytes[self.given..]).read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Decoder::new(text.as_bytes()).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn decodes_what_programs_write() {
        for text in ["aGVsbG8gd29ybGQ=", " aGVs\r\nbG8g\td29y bGQ=\n", "aGVsbG8gd29ybGQ"] {
            assert_eq!(decoded(text).expect(text), b"hello world");
        }
        assert_eq!(decoded(" \n").expect("nothing"), b"");
        let long = "QUJD".repeat(100_000);
        assert_eq!(decoded(&long).expect("long"), b"ABC".repeat(100_000));
        assert!(decoded("a$Vs").is_err() && decoded("aGVsb").is_err());
    }

    #[test]
    fn a_path_says_where() {
        let path = Embedded { file: "a/b.enex", start: 7, length: 12 }.path();
        let place = Embedded::of(&path).expect("a place");
        assert_eq!((place.file, place.start, place.length), ("a/b.enex", 7, 12));
        assert!(Embedded::of("a/b.enex").is_none() && Embedded::of("a//base64/x+1").is_none());
    }
}
