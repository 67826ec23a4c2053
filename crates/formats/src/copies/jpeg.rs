//! JPEG (ITU-T T.81, annex B; JFIF 1.02).

use image::metadata::Orientation;

use super::{embedded, icc, take, turned_alone};
use crate::xmp::Told;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXTENSION: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const PROFILE: &[u8] = b"ICC_PROFILE\0";
const PART_BYTES: usize = 65_000;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// A segment of a picture.
pub(super) struct Segment<'a> {
    pub marker: u8,
    /// What is in it, without its length.
    pub body: &'a [u8],
    /// Where it begins, with its marker, and where it ends.
    pub span: std::ops::Range<usize>,
}

/// Goes through the segments of a picture.
pub(super) struct Segments<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub fn new(all: &'a [u8]) -> Option<Self> {
        Some(Self { all, rest: all.strip_prefix(b"\xff\xd8")? })
    }

    /// The next segment, up to the end of the picture; `None`: it is damaged. Markers without a length are passed over.
    pub fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            // Before each marker there may be any number of 0xff. Without an end, nobody knows where the picture ends and what hangs on it begins.
            let marker = next_marker(&mut self.rest)?;
            let start = self.all.len() - self.rest.len() - 2;
            let body = match marker {
                END => &self.rest[..0],
                0x01 | 0xd0..=0xd8 => continue,
                _ => {
                    let length = usize::from(u16::from_be_bytes(take(&mut self.rest, 2)?.try_into().ok()?));
                    take(&mut self.rest, length.checked_sub(2)?)?
                }
            };
            return Some(Segment { marker, body, span: start..self.all.len() - self.rest.len() });
        }
    }

    /// The bytes of the scan whose head was the last segment.
    fn scan(&mut self) -> Option<&'a [u8]> {
        let end = scan_end(self.rest);
        take(&mut self.rest, end)
    }
}

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let mut segments = Segments::new(original)?;
    let mut out = b"\xff\xd8".to_vec();
    let mut waiting = turned_alone(turned);
    let mut profile = Vec::new();
    loop {
        let Segment { marker, mut body, .. } = segments.next()?;
        if marker == END {
            out.extend([0xff, END]);
            return Some(out);
        }
        if let (0xe2, Some(part)) = (marker, body.strip_prefix(PROFILE)) {
            // Each part begins with its number and how many there are.
            profile.extend_from_slice(part.get(2..)?);
            continue;
        }
        if !is_kept(marker, body) {
            continue;
        }
        if marker == 0xe0 {
            // Up to its small picture, of which it says then that it has none.
            body = &body[..12];
        } else if marker == 0xee {
            body = body.get(..12)?;
        }
        if let Some(exif) = waiting.take_if(|_| marker != 0xe0) {
            segment(&mut out, 0xe1, &[b"Exif\0\0", exif.as_slice()].concat());
        }
        if marker != 0xe0 && !profile.is_empty() {
            profile_parts(&mut out, &std::mem::take(&mut profile));
        }
        segment(&mut out, marker, &if marker == 0xe0 { [body, &[0, 0]].concat() } else { body.to_vec() });
        if marker == SCAN {
            out.extend_from_slice(segments.scan()?);
        }
    }
}

/// The picture with what is told of it: everything else stays as it is.
pub(super) fn with_xmp(original: &[u8], told: &Told) -> Result<Vec<u8>, String> {
    let mut segments = Segments::new(original).ok_or("it is damaged")?;
    let (mut there, mut at, mut behind) = (None, 2, None);
    loop {
        let Segment { marker, body, span } = segments.next().ok_or("it is damaged")?;
        if marker == SCAN || marker == END {
            break;
        }
        // Behind what programs look for at the very beginning.
        if marker == 0xe0 || marker == 0xe1 && body.starts_with(b"Exif\0") {
            at = span.end;
        }
        if marker == 0xe2 && body.starts_with(b"MPF\0") {
            behind.get_or_insert(span.start);
        }
        if marker == 0xe1 && body.starts_with(EXTENSION) {
            return Err("its XMP goes on in further segments".into());
        }
        if let (0xe1, Some(packet)) = (marker, body.strip_prefix(XMP))
            && there.replace((packet, span)).is_some()
        {
            return Err("it has several packets of XMP".into());
        }
    }
    let (packet, span) = match there {
        Some((packet, span)) => (embedded(Some(packet), told)?, span),
        None => (embedded(None, told)?, at..at),
    };
    // Where the pictures lie that hang on it is told from there on.
    if behind.is_some_and(|behind| behind < span.start) {
        return Err("what stands before its XMP says where pictures behind it lie".into());
    }
    let body = [XMP, packet.as_bytes()].concat();
    if body.len() + 2 > usize::from(u16::MAX) {
        return Err("its XMP would be longer than a segment".into());
    }
    let mut out = original[..span.start].to_vec();
    segment(&mut out, 0xe1, &body);
    out.extend_from_slice(&original[span.end..]);
    Ok(out)
}

/// The packet of XMP.
pub(super) fn packet(bytes: &[u8]) -> Option<&[u8]> {
    let mut segments = Segments::new(bytes)?;
    loop {
        match segments.next()? {
            Segment { marker: SCAN | END, .. } => return None,
            Segment { marker: 0xe1, body, .. } if body.starts_with(XMP) => return body.strip_prefix(XMP),
            _ => {}
        }
    }
}

/// Whether it lists further pictures, or anything but zeros stands behind its end.
pub(super) fn holds_more(bytes: &[u8]) -> bool {
    let Some(mut segments) = Segments::new(bytes) else { return false };
    while let Some(Segment { marker, body, span }) = segments.next() {
        if marker == END {
            return bytes[span.end..].iter().any(|byte| *byte != 0);
        }
        if marker == 0xe2 && body.starts_with(b"MPF\0") {
            return true;
        }
    }
    false
}

fn next_marker(rest: &mut &[u8]) -> Option<u8> {
    loop {
        if take(rest, 1)?[0] != 0xff {
            continue;
        }
        loop {
            match take(rest, 1)?[0] {
                0xff => {}
                0 => break,
                marker => return Some(marker),
            }
        }
    }
}

/// What the picture is made of: frames, tables, scans, and how its colours are meant.
fn is_kept(marker: u8, body: &[u8]) -> bool {
    match marker {
        0xc0..=0xcf | 0xda..=0xdf => true,
        0xe0 => body.len() >= 14 && body.starts_with(b"JFIF\0"),
        0xee => body.starts_with(b"Adobe"),
        _ => false,
    }
}

/// A profile of colours, in parts that fit segments (ICC.1, B.4).
fn profile_parts(out: &mut Vec<u8>, profile: &[u8]) {
    let Some(profile) = icc::stripped(profile) else { return };
    let parts: Vec<&[u8]> = profile.chunks(PART_BYTES).collect();
    let Ok(count) = u8::try_from(parts.len()) else { return };
    for (part, number) in parts.into_iter().zip(1_u8..) {
        segment(out, 0xe2, &[PROFILE, &[number, count], part].concat());
    }
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(body);
}

/// Where the bytes of a scan end: at a marker that is no restart and no escape.
fn scan_end(rest: &[u8]) -> usize {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7);
    rest.windows(2).position(is_marker).unwrap_or(rest.len())
}
