//! JPEG (ITU-T T.81, annex B; JFIF 1.02).

use image::metadata::Orientation;

use super::{icc, take, turned_alone};

const PROFILE: &[u8] = b"ICC_PROFILE\0";
const PART_BYTES: usize = 65_000;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

pub(super) fn stripped(original: &[u8], turned: Orientation) -> Option<Vec<u8>> {
    let mut rest = original.strip_prefix(b"\xff\xd8")?;
    let mut out = b"\xff\xd8".to_vec();
    let mut waiting = turned_alone(turned);
    let mut profile = Vec::new();
    loop {
        // Before each marker there may be any number of 0xff. Without an end, nobody knows where the picture ends and what hangs on it begins.
        let marker = next_marker(&mut rest)?;
        match marker {
            END => {
                out.extend([0xff, END]);
                return Some(out);
            }
            // Markers without a length.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?));
        let mut body = take(&mut rest, length.checked_sub(2)?)?;
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
            let end = scan_end(rest);
            out.extend_from_slice(take(&mut rest, end)?);
        }
    }
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
