//! PNG (W3C PNG, third edition, 5).

use std::io::Read;

use image::metadata::Orientation;

use super::{take, turned_alone};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the picture is made of, how its colours are meant, and how it moves.
const KEPT: [&[u8; 4]; 17] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"pHYs", b"acTL", b"fcTL",
    b"fdAT", b"mDCV",
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
        // A profile that is none could hold anything.
        if KEPT.contains(&kind) && (kind != b"iCCP" || is_profile(body)) {
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

/// Whether it is a profile of colours: a name, then packed what ICC.1 (7.2) calls one.
fn is_profile(body: &[u8]) -> bool {
    let packed = body.iter().position(|byte| *byte == 0).and_then(|end| body.get(end + 2..));
    let mut profile = Vec::new();
    let unpack = |packed| flate2::read::ZlibDecoder::new(packed).take(PROFILE_BYTES_MAX).read_to_end(&mut profile).is_ok();
    packed.is_some_and(unpack) && profile.get(36..40) == Some(b"acsp")
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
