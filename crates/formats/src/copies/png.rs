//! PNG (W3C PNG, third edition, 5).

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use image::metadata::Orientation;

use super::{icc, take, turned_alone};

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

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let mut rest = original.strip_prefix(SIGNATURE)?;
    let mut out = SIGNATURE.to_vec();
    loop {
        let length = usize::try_from(u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
        let kind: &[u8; 4] = take(&mut rest, 4)?.try_into().ok()?;
        let body = take(&mut rest, length)?;
        take(&mut rest, 4)?;
        if kind == b"iCCP" {
            if let Some(profile) = profile(body) {
                chunk(&mut out, kind, &profile);
            }
        } else if KEPT.iter().any(|(kept, most)| *kept == kind && body.len() <= *most) {
            chunk(&mut out, kind, body);
        }
        if let (b"IHDR", Some(exif)) = (kind, turned_alone(turned)) {
            chunk(&mut out, b"eXIf", &exif);
        }
        if kind == b"IEND" {
            return Some(out);
        }
    }
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
    let mut rest = original.strip_prefix(SIGNATURE)?;
    loop {
        let length = usize::try_from(u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
        let kind = take(&mut rest, 4)?;
        let body = take(&mut rest, length)?;
        take(&mut rest, 4)?;
        if kind == b"eXIf" {
            return Orientation::from_exif_chunk(body);
        }
    }
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
