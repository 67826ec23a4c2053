//! PNG (W3C PNG, third edition, 5).

use std::{
    io::{Read, Write},
    ops::Range,
};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use image::metadata::Orientation;

use super::{embedded, icc, take, turned_alone};
use crate::xmp::Told;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the picture is made of, how its colours are meant, and how it moves; and how long each may be.
const KEPT: [(&[u8; 4], usize); 16] = [
    (b"IHDR", 13),
    (b"PLTE", 768),
    (b"IDAT", usize::MAX),
    (b"IEND", 0),
    (b"tRNS", 256),
    (b"cHRM", 32),
    (b"gAMA", 4),
    (b"sBIT", 4),
    (b"sRGB", 1),
    (b"cICP", 4),
    (b"bKGD", 6),
    (b"pHYs", 9),
    (b"acTL", 8),
    (b"fcTL", 26),
    (b"fdAT", usize::MAX),
    (b"mDCV", 24),
];

/// Longer profiles of colours are none.
const PROFILE_BYTES_MAX: u64 = 16 << 20;
/// What stands before a packet of XMP (ISO 16684-3), and so much of one is unpacked: more than is understood.
const XMP: &[u8] = b"XML:com.adobe.xmp\0";
const PACKET_BYTES_MAX: u64 = 5 << 20;

/// A chunk of a picture.
pub(super) struct Chunk<'a> {
    pub kind: &'a [u8; 4],
    pub body: &'a [u8],
    /// Where it begins and ends, with its length and its check.
    pub span: Range<usize>,
}

/// The next chunk behind a place.
fn next_chunk(all: &[u8], at: usize) -> Option<Chunk<'_>> {
    let mut rest = all.get(at..)?;
    let length = usize::try_from(u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
    let kind: &[u8; 4] = take(&mut rest, 4)?.try_into().ok()?;
    let body = take(&mut rest, length)?;
    take(&mut rest, 4)?;
    Some(Chunk { kind, body, span: at..all.len() - rest.len() })
}

/// The chunks of a picture up to its end; what is damaged is the last, as `None`.
pub(super) fn chunks(all: &[u8]) -> impl Iterator<Item = Option<Chunk<'_>>> {
    let mut at = all.starts_with(SIGNATURE).then_some(SIGNATURE.len());
    let mut is_ended = false;
    std::iter::from_fn(move || {
        if is_ended {
            return None;
        }
        let chunk = at.and_then(|at| next_chunk(all, at));
        is_ended = chunk.as_ref().is_none_or(|chunk| chunk.kind == b"IEND");
        at = chunk.as_ref().map(|chunk| chunk.span.end);
        Some(chunk)
    })
}

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let mut out = SIGNATURE.to_vec();
    for chunk in chunks(original) {
        let Chunk { kind, body, .. } = chunk?;
        if kind == b"iCCP" {
            if let Some(profile) = profile(body) {
                self::chunk(&mut out, kind, &profile);
            }
        } else if KEPT.iter().any(|(kept, most)| *kept == kind && body.len() <= *most) {
            self::chunk(&mut out, kind, body);
        }
        if let (b"IHDR", Some(exif)) = (kind, turned_alone(turned)) {
            self::chunk(&mut out, b"eXIf", &exif);
        }
    }
    Some(out)
}

/// The picture with what is told of it: everything else stays as it is.
pub(super) fn with_xmp(original: &[u8], told: &Told) -> Result<Vec<u8>, String> {
    let (mut there, mut at) = (None, 0);
    for chunk in chunks(original) {
        let Chunk { kind, body, span } = chunk.ok_or("it is damaged")?;
        if kind == b"IHDR" {
            at = span.end;
        }
        if let (b"iTXt", Some(rest)) = (kind, body.strip_prefix(XMP))
            && there.replace((unpacked(rest).ok_or("its XMP is damaged")?, span)).is_some()
        {
            return Err("it has several packets of XMP".into());
        }
    }
    let (packet, span) = match there {
        Some((packet, span)) => (embedded(Some(&packet), told)?, span),
        None => (embedded(None, told)?, at..at),
    };
    let mut out = original[..span.start].to_vec();
    chunk(&mut out, b"iTXt", &[XMP, &[0; 4], packet.as_bytes()].concat());
    out.extend_from_slice(&original[span.end..]);
    Ok(out)
}

/// The packet of XMP.
pub(super) fn packet(bytes: &[u8]) -> Option<Vec<u8>> {
    chunks(bytes).map_while(|chunk| chunk).find_map(|chunk| unpacked(chunk.body.strip_prefix(XMP).filter(|_| chunk.kind == b"iTXt")?))
}

/// The text of an international text: whether and how it is packed, a language, its keyword in that, then the text.
fn unpacked(rest: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = rest.split_at_checked(2)?;
    let language = rest.iter().position(|byte| *byte == 0)?;
    let rest = &rest[language + 1..];
    let text = &rest[rest.iter().position(|byte| *byte == 0)? + 1..];
    if head[0] == 0 {
        return Some(text.to_vec());
    }
    let mut packet = Vec::new();
    ZlibDecoder::new(text).take(PACKET_BYTES_MAX).read_to_end(&mut packet).ok()?;
    Some(packet)
}

/// A profile of colours: a name, how it is packed, then the packed profile.
fn profile(body: &[u8]) -> Option<Vec<u8>> {
    let packed = body.iter().position(|byte| *byte == 0).and_then(|end| body.get(end + 2..))?;
    let mut profile = Vec::new();
    ZlibDecoder::new(packed).take(PROFILE_BYTES_MAX).read_to_end(&mut profile).ok()?;
    let mut out = ZlibEncoder::new(b"Colours\0\0".to_vec(), Compression::default());
    out.write_all(&icc::stripped(&profile)?).ok()?;
    out.finish().ok()
}

/// How the picture is turned, wherever that is said.
pub(super) fn turned(original: &[u8]) -> Option<Orientation> {
    let exif = chunks(original).flatten().find(|chunk| chunk.kind == b"eXIf")?;
    Orientation::from_exif_chunk(exif.body)
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    out.extend((body.len() as u32).to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(body);
    out.extend(crc.sum().to_be_bytes());
}
