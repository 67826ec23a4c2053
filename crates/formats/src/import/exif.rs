//! What a camera wrote into a photo: EXIF 2.32 in JPEG, TIFF, HEIF, PNG and WebP.

use std::io::{BufRead, Seek};

use exif::{Exif, In, Reader, Tag, Value};
use keepsake_record::{Attachment, Position, When, Zone};

/// Reads what is there into an attachment. Answers what was wrong with it, if anything was.
pub(crate) fn read<R: BufRead + Seek>(reader: &mut R, zone: Option<&Zone>, attachment: &mut Attachment) -> Option<String> {
    let mut problems = Vec::new();
    let mut parser = Reader::new();
    parser.continue_on_error(true);
    let exif = match parser.read_from_container(reader) {
        Ok(exif) => exif,
        Err(exif::Error::NotFound(_)) => return None,
        Err(error @ exif::Error::PartialResult(_)) => {
            match error.distill_partial_result(|errors| problems.extend(errors.iter().map(ToString::to_string))) {
                Ok(exif) => exif,
                Err(error) => return Some(format!("its EXIF cannot be read: {error}")),
            }
        }
        Err(error) => return Some(format!("its EXIF cannot be read: {error}")),
    };
    attachment.captured = captured(&exif, zone, &mut problems);
    attachment.position = position(&exif, &mut problems);
    attachment.camera = camera(&exif);
    attachment.orientation = number(&exif, Tag::Orientation).and_then(|o| u8::try_from(o).ok()).filter(|o| (1..=8).contains(o));
    attachment.width = number(&exif, Tag::PixelXDimension).or_else(|| number(&exif, Tag::ImageWidth)).filter(|n| *n > 0);
    attachment.height = number(&exif, Tag::PixelYDimension).or_else(|| number(&exif, Tag::ImageLength)).filter(|n| *n > 0);
    if let Some(description) = text(&exif, Tag::ImageDescription) {
        attachment.caption = Some(description);
    }
    problems.sort();
    problems.dedup();
    (!problems.is_empty()).then(|| format!("its EXIF is damaged in part: {}", problems.join("; ")))
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let field = exif.get_field(tag, In::PRIMARY)?;
    let Value::Ascii(parts) = &field.value else { return None };
    let joined: Vec<u8> = parts.join(&b' ');
    let text = String::from_utf8_lossy(&joined).replace(['\0', '\u{FFFD}'], "").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn number(exif: &Exif, tag: Tag) -> Option<u32> {
    exif.get_field(tag, In::PRIMARY)?.value.get_uint(0)
}

fn camera(exif: &Exif) -> Option<String> {
    let (make, model) = (text(exif, Tag::Make), text(exif, Tag::Model));
    match (make, model) {
        (Some(make), Some(model)) if model.to_lowercase().starts_with(&make.to_lowercase()) => Some(model),
        (Some(make), Some(model)) => Some(format!("{make} {model}")),
        (make, model) => make.or(model),
    }
}

fn captured(exif: &Exif, zone: Option<&Zone>, problems: &mut Vec<String>) -> Option<When> {
    let (raw, offset) = [
        (Tag::DateTimeOriginal, Tag::OffsetTimeOriginal),
        (Tag::DateTimeDigitized, Tag::OffsetTimeDigitized),
        (Tag::DateTime, Tag::OffsetTime),
    ]
    .into_iter()
    .find_map(|(time, offset)| Some((text(exif, time)?, text(exif, offset))))?;
    // Cameras whose clock was never set write zeros or blanks.
    if !raw.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        return None;
    }
    let mut iso: Vec<u8> = raw.bytes().take(19).collect();
    for at in [4, 7] {
        if let Some(byte) = iso.get_mut(at) {
            *byte = b'-';
        }
    }
    if let Some(byte) = iso.get_mut(10) {
        *byte = b'T';
    }
    let own: Option<Zone> = offset.and_then(|o| if o == "Z" { Some(Zone::utc()) } else { o.parse().ok() });
    match When::parse(&String::from_utf8_lossy(&iso), own.as_ref().or(zone)) {
        Ok(when) => Some(when),
        Err(_) => {
            problems.push(format!("`{}` is no time", raw.escape_debug()));
            None
        }
    }
}

fn position(exif: &Exif, problems: &mut Vec<String>) -> Option<Position> {
    let degrees = |tag: Tag| {
        let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
        let part = |i: usize| parts.get(i).filter(|r| r.denom != 0).map_or(0.0, |r| r.to_f64());
        (!parts.is_empty() && parts[0].denom != 0).then(|| part(0) + part(1) / 60.0 + part(2) / 3600.0)
    };
    let (latitude, longitude) = (degrees(Tag::GPSLatitude)?, degrees(Tag::GPSLongitude)?);
    let sign = |tag: Tag, negative: &str| if text(exif, tag).is_some_and(|r| r.eq_ignore_ascii_case(negative)) { -1.0 } else { 1.0 };
    let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
    let position = Position::new(rounded(latitude * sign(Tag::GPSLatitudeRef, "S")), rounded(longitude * sign(Tag::GPSLongitudeRef, "W")));
    let altitude = || {
        let Value::Rational(parts) = &exif.get_field(Tag::GPSAltitude, In::PRIMARY)?.value else { return None };
        let metres = parts.first().filter(|r| r.denom != 0)?.to_f64();
        let below = exif.get_field(Tag::GPSAltitudeRef, In::PRIMARY).and_then(|f| f.value.get_uint(0)) == Some(1);
        Some(if below { -metres } else { metres })
    };
    match position {
        Ok(position) => Some(Position { altitude: altitude(), ..position }),
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    }
}
