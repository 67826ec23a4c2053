//! WebP (RFC 9649).

use std::ops::Range;

use image::metadata::Orientation;

use super::{embedded, icc, take, turned_alone};
use crate::xmp::Told;

const KEPT: [&[u8; 4]; 7] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// What the head of an extended file says that it has: EXIF, XMP.
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;
const CLEAR: u8 = 0x10;
/// `RIFF`, and how long the rest is.
const HEAD: usize = 8;

/// A chunk: its kind, what is in it, and where it and its padding begin and end.
struct Chunk<'a> {
    kind: &'a [u8; 4],
    body: &'a [u8],
    span: Range<usize>,
}

/// The chunks from a place on; what is damaged is the last, as `None`.
fn chunks(all: &[u8], from: usize) -> impl Iterator<Item = Option<Chunk<'_>>> {
    let mut rest = all.get(from..).unwrap_or_default();
    std::iter::from_fn(move || {
        // Fewer bytes are no chunk: browsers pass over them, too.
        if rest.len() < 8 {
            return None;
        }
        let start = all.len() - rest.len();
        let chunk = next_chunk(&mut rest);
        match chunk {
            Some((kind, body)) => Some(Some(Chunk { kind, body, span: start..all.len() - rest.len() })),
            None => {
                rest = &[];
                Some(None)
            }
        }
    })
}

fn next_chunk<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8; 4], &'a [u8])> {
    let kind: &[u8; 4] = take(rest, 4)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?)).ok()?;
    let body = take(rest, length)?;
    // Padded to an even length; some leave the last one out.
    let padding = (length % 2).min(rest.len());
    take(rest, padding)?;
    Some((kind, body))
}

/// The picture without what is behind its end.
fn inside(original: &[u8]) -> Option<&[u8]> {
    let mut rest = original;
    if take(&mut rest, 4)? != b"RIFF" {
        return None;
    }
    let length = usize::try_from(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
    let end = length.min(rest.len());
    if end < 4 || take(&mut rest, 4)? != b"WEBP" {
        return None;
    }
    original.get(..HEAD.checked_add(end)?)
}

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let picture = inside(original)?;
    let exif = turned_alone(turned);
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    let mut is_extended = false;
    for chunk in chunks(picture, HEAD + 4) {
        let Chunk { kind, body, .. } = chunk?;
        let mut body = body.to_vec();
        if !KEPT.contains(&kind) {
            continue;
        }
        match kind {
            b"VP8X" => body.truncate(10),
            b"ANIM" => body.truncate(6),
            b"ANMF" => body = frame(&body)?,
            b"ICCP" => match icc::stripped(&body) {
                Some(profile) => body = profile,
                None => continue,
            },
            _ => {}
        }
        if kind == b"VP8X" {
            is_extended = true;
            let flags = body.first_mut()?;
            *flags = (*flags & !(EXIF | XMP)) | if exif.is_some() { EXIF } else { 0 };
        }
        self::chunk(&mut out, kind, &body);
    }
    if let Some(exif) = exif.filter(|_| is_extended) {
        chunk(&mut out, b"EXIF", &exif);
    }
    with_length(out)
}

/// Writes how long it is.
fn with_length(mut out: Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::try_from(out.len() - HEAD).ok()?;
    out[4..HEAD].copy_from_slice(&length.to_le_bytes());
    Some(out)
}

/// The picture with what is told of it: everything else stays as it is.
pub(super) fn with_xmp(original: &[u8], told: &Told) -> Result<Vec<u8>, String> {
    let picture = inside(original).ok_or("it is damaged")?;
    let mut out = picture[..HEAD + 4].to_vec();
    let mut there = None;
    for (number, chunk) in chunks(picture, HEAD + 4).enumerate() {
        let Chunk { kind, body, span } = chunk.ok_or("it is damaged")?;
        if number == 0 && kind != b"VP8X" {
            self::chunk(&mut out, b"VP8X", &extended(kind, body).ok_or("it is damaged")?);
        }
        if kind == b"XMP " {
            if there.replace(body).is_some() {
                return Err("it has several packets of XMP".into());
            }
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&picture[span]);
        if kind == b"VP8X" {
            *out.get_mut(start + 8).ok_or("it is damaged")? |= XMP;
        }
        // The padding of the last chunk may be missing.
        out.resize(out.len().next_multiple_of(2), 0);
    }
    chunk(&mut out, b"XMP ", embedded(there, told)?.as_bytes());
    let mut out = with_length(out).ok_or("it would be too long")?;
    out.extend_from_slice(&original[picture.len()..]);
    Ok(out)
}

/// The packet of XMP.
pub(super) fn packet(bytes: &[u8]) -> Option<&[u8]> {
    chunks(inside(bytes)?, HEAD + 4).map_while(|chunk| chunk).find(|chunk| chunk.kind == b"XMP ").map(|chunk| chunk.body)
}

/// The head of an extended file (RFC 9649, 2.7) for the only chunk of a simple one: that it has XMP, whether it is clear in places, and its size.
fn extended(kind: &[u8; 4], body: &[u8]) -> Option<[u8; 10]> {
    let (width, height, is_clear) = match kind {
        // A frame of VP8 begins with three bytes, a mark, and two sides of 14 bits (RFC 6386, 9.1).
        b"VP8 " => {
            let sides = body.get(3..10)?.strip_prefix(b"\x9d\x01\x2a")?;
            let side = |at: usize| u32::from(u16::from_le_bytes([sides[at], sides[at + 1]]) & 0x3fff);
            (side(0), side(2), false)
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(body.get(..5)?.strip_prefix(b"\x2f")?.try_into().ok()?);
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, bits >> 28 & 1 == 1)
        }
        _ => return None,
    };
    let mut head = [0; 10];
    head[0] = XMP | if is_clear { CLEAR } else { 0 };
    head[4..7].copy_from_slice(&width.checked_sub(1)?.to_le_bytes()[..3]);
    head[7..10].copy_from_slice(&height.checked_sub(1)?.to_le_bytes()[..3]);
    Some(head)
}

/// A frame of a moving picture: its place and time, and then chunks of its own.
fn frame(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = body.get(..16)?.to_vec();
    for inner in chunks(body, 16) {
        let Chunk { kind, body, .. } = inner?;
        if [b"ALPH", b"VP8 ", b"VP8L"].contains(&kind) {
            chunk(&mut out, kind, body);
        }
    }
    Some(out)
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    out.extend_from_slice(kind);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
    out.extend(std::iter::repeat_n(0, body.len() % 2));
}
