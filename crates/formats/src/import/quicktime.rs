//! When and where a film was taken: the boxes of ISO 14496-12 and QuickTime files.

use std::io::{self, Read, Seek, SeekFrom};

use keepsake_record::{Attachment, Position, Timestamp, When, Zone};

/// Boxes that are looked into, and the most boxes of a file.
const CONTAINERS: [&[u8; 4]; 2] = [b"moov", b"udta"];
const BOXES_MAX: usize = 4096;
/// Seconds from 1904 to 1970.
const MAC_EPOCH_SECONDS: i64 = 2_082_844_800;

/// Reads what is there into an attachment. Answers what was wrong, if anything was.
pub(crate) fn read<R: Read + Seek>(reader: &mut R, zone: Option<&Zone>, attachment: &mut Attachment) -> Option<String> {
    let mut found = Found::default();
    let outcome = reader.seek(SeekFrom::End(0)).and_then(|end| walk(reader, 0, end, &mut 0, &mut found));
    let at = found.created.filter(|s| *s > 0).and_then(|s| Timestamp::from_micros((s - MAC_EPOCH_SECONDS).checked_mul(1_000_000)?).ok());
    attachment.captured = at.map(|at| When::instant(at, zone.cloned().unwrap_or_else(Zone::utc)));
    attachment.position = found.place.as_deref().and_then(iso_6709);
    match outcome {
        Ok(()) if found.boxes == 0 => Some("it has none of the boxes of its format".into()),
        Ok(()) => None,
        Err(error) => Some(format!("its boxes cannot be read: {error}")),
    }
}

#[derive(Default)]
struct Found {
    boxes: usize,
    created: Option<i64>,
    place: Option<String>,
}

fn walk<R: Read + Seek>(reader: &mut R, start: u64, end: u64, seen: &mut usize, found: &mut Found) -> io::Result<()> {
    let mut at = start;
    while at + 8 <= end {
        *seen += 1;
        if *seen > BOXES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "there are too many"));
        }
        reader.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        reader.read_exact(&mut head)?;
        let (size, kind) = (u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])), [head[4], head[5], head[6], head[7]]);
        let (header, size) = match size {
            0 => (8, end - at),
            1 => {
                let mut large = [0; 8];
                reader.read_exact(&mut large)?;
                (16, u64::from_be_bytes(large))
            }
            size => (8, size),
        };
        let Some(next) = at.checked_add(size).filter(|next| size >= header && *next <= end) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "one is longer than the file"));
        };
        if [b"ftyp", b"moov", b"mdat"].contains(&&kind) {
            found.boxes += 1;
        }
        match &kind {
            kind if CONTAINERS.contains(&kind) => walk(reader, at + header, next, seen, found)?,
            b"mvhd" => found.created = created(reader)?,
            b"\xa9xyz" => found.place = place(reader, size - header)?,
            _ => {}
        }
        at = next;
    }
    Ok(())
}

fn created<R: Read>(reader: &mut R) -> io::Result<Option<i64>> {
    let mut head = [0; 12];
    reader.read_exact(&mut head)?;
    Ok(match head[0] {
        0 => Some(i64::from(u32::from_be_bytes([head[4], head[5], head[6], head[7]]))),
        1 => i64::try_from(u64::from_be_bytes([head[4], head[5], head[6], head[7], head[8], head[9], head[10], head[11]])).ok(),
        _ => None,
    })
}

fn place<R: Read>(reader: &mut R, length: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.take(length.min(256)).read_to_end(&mut bytes)?;
    Ok(bytes.get(4..).map(|text| String::from_utf8_lossy(text).into_owned()))
}

/// ISO 6709: `+37.7850-122.4060+010.000/`.
fn iso_6709(text: &str) -> Option<Position> {
    let body = text.trim_end_matches(['\0', '/', ' ']);
    let mut numbers = Vec::new();
    let mut start = 0;
    for (at, c) in body.char_indices().skip(1).chain([(body.len(), '+')]) {
        if c == '+' || c == '-' {
            numbers.push(body.get(start..at)?.parse::<f64>().ok()?);
            start = at;
        }
    }
    let position = Position::new(*numbers.first()?, *numbers.get(1)?).ok()?;
    Some(Position { altitude: numbers.get(2).copied(), ..position })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_positions() {
        let position = iso_6709("+37.7850-122.4060+010.000/").expect("valid");
        assert_eq!((position.latitude, position.longitude, position.altitude), (37.785, -122.406, Some(10.0)));
        assert_eq!(iso_6709("north"), None);
        assert_eq!(iso_6709(""), None);
    }
}
