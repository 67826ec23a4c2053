//! WebP (RFC 9649).

use image::metadata::Orientation;

use super::{icc, take, turned_alone};

const KEPT: [&[u8; 4]; 7] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// What the head of an extended file says that it has: EXIF, XMP.
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let mut rest = original;
    if take(&mut rest, 4)? != b"RIFF" {
        return None;
    }
    let length = usize::try_from(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
    // What is behind its end is not of the picture.
    rest = rest.get(..length.min(rest.len()))?;
    if take(&mut rest, 4)? != b"WEBP" {
        return None;
    }
    let exif = turned_alone(turned);
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    let mut is_extended = false;
    // Fewer bytes are no chunk: browsers pass over them, too.
    while rest.len() >= 8 {
        let kind: &[u8; 4] = take(&mut rest, 4)?.try_into().ok()?;
        let length = usize::try_from(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
        let mut body = take(&mut rest, length)?.to_vec();
        // Padded to an even length; some leave the last one out.
        let padding = (length % 2).min(rest.len());
        take(&mut rest, padding)?;
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
        chunk(&mut out, kind, &body);
    }
    if let Some(exif) = exif.filter(|_| is_extended) {
        chunk(&mut out, b"EXIF", &exif);
    }
    let length = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&length.to_le_bytes());
    Some(out)
}

/// A frame of a moving picture: its place and time, and then chunks of its own.
fn frame(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body;
    let mut out = take(&mut rest, 16)?.to_vec();
    while rest.len() >= 8 {
        let kind: &[u8; 4] = take(&mut rest, 4)?.try_into().ok()?;
        let length = usize::try_from(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?)).ok()?;
        let inside = take(&mut rest, length)?;
        let padding = (length % 2).min(rest.len());
        take(&mut rest, padding)?;
        if [b"ALPH", b"VP8 ", b"VP8L"].contains(&kind) {
            chunk(&mut out, kind, inside);
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
