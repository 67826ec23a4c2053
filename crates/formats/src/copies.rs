//! Copies of photos: for others, the picture and nothing that tells more than it shows; for photo programs, the file and what its memory tells of it.
//!
//! Of copies for others, what is kept is named, everything else goes: where and with what a photo was taken, words, the small picture that shows what was cut away,
//! and whatever a camera hangs behind the end of the picture, such as a film. No pixel is computed anew; a copy is decoded beside its original,
//! and one whose first frame differs is none.

mod gif;
mod icc;
mod jpeg;
mod png;
mod webp;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, metadata::Orientation};

use crate::{
    pictures,
    xmp::{self, Told},
};

/// A copy without anything but the picture, how it is turned, and its colours.
///
/// # Errors
/// Why there is none, as a sentence: of a kind of which no copy can be made here, or damaged.
pub fn stripped(original: &[u8]) -> Result<Vec<u8>, String> {
    let format = image::guess_format(original).map_err(|_| "a kind of file of which no copy for others can be made".to_owned())?;
    let (pixels, turned) = decode(original)?;
    let turned = turned_by(original, format, turned);
    let copy = match format {
        ImageFormat::Jpeg => jpeg::stripped(original, turned),
        ImageFormat::Png => png::stripped(original, turned),
        ImageFormat::WebP => webp::stripped(original, turned),
        ImageFormat::Gif => gif::stripped(original),
        _ => return Err("a kind of picture of which no copy for others can be made".into()),
    };
    let copy = copy.ok_or("it is damaged")?;
    let (again, turned_again) = decode(&copy).map_err(|error| format!("its copy is no picture: {error}"))?;
    if again == pixels && turned_again == turned { Ok(copy) } else { Err("its copy is another picture".into()) }
}

/// How a picture is turned: decoders ask before the picture, and some programs say it after it.
pub(crate) fn turned_by(original: &[u8], format: ImageFormat, asked: Orientation) -> Orientation {
    if format == ImageFormat::Png { png::turned(original).unwrap_or(asked) } else { asked }
}

/// Whether a file holds more than one picture: further ones in it, or whatever a camera hangs behind its end.
pub(crate) fn holds_more(original: &[u8]) -> bool {
    match image::guess_format(original) {
        Ok(ImageFormat::Jpeg) => jpeg::holds_more(original),
        Ok(ImageFormat::Tiff) => tiff_goes_on(original).unwrap_or_default(),
        _ => false,
    }
}

/// Whether a TIFF says where a second picture stands (TIFF 6.0, section 2).
fn tiff_goes_on(bytes: &[u8]) -> Option<bool> {
    let is_little = bytes.starts_with(b"II*\0");
    if !is_little && !bytes.starts_with(b"MM\0*") {
        return None;
    }
    let number = |at: usize, count: usize| {
        let read = bytes.get(at..at.checked_add(count)?)?.iter();
        let add = |number: usize, byte: &u8| number << 8 | usize::from(*byte);
        Some(if is_little { read.rev().fold(0, add) } else { read.fold(0, add) })
    };
    let first = number(4, 4)?;
    let entries = number(first, 2)?;
    Some(number(first.checked_add(2 + entries * 12)?, 4)? != 0)
}

fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    reader.limits(pictures::limits());
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let mut decoder = reader.into_decoder().map_err(broken)?;
    pictures::check_size(&decoder)?;
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(broken)?, turned))
}

/// A copy with what is told of it inside, in the packet of XMP that it has or in a new one. Whatever else is in the file stays byte for byte, and
/// the copy is decoded beside its original.
///
/// # Errors
/// Why there is none, as a sentence: of a kind that holds no XMP here, damaged, or with XMP that cannot be understood.
pub fn told(original: &[u8], told: &Told) -> Result<Vec<u8>, String> {
    let before = decode(original)?;
    let copy = match image::guess_format(original) {
        Ok(ImageFormat::Jpeg) => jpeg::with_xmp(original, told)?,
        Ok(ImageFormat::Png) => png::with_xmp(original, told)?,
        Ok(ImageFormat::WebP) => webp::with_xmp(original, told)?,
        _ => return Err("a kind of file that holds no such words here".into()),
    };
    let after = decode(&copy).map_err(|error| format!("its copy is no picture: {error}"))?;
    if before == after { Ok(copy) } else { Err("its copy is another picture".into()) }
}

/// The packet of XMP that a file holds, as far as its bytes are here.
pub(crate) fn packet(bytes: &[u8]) -> Option<Vec<u8>> {
    match image::guess_format(bytes).ok()? {
        ImageFormat::Jpeg => jpeg::packet(bytes).map(<[u8]>::to_vec),
        ImageFormat::Png => png::packet(bytes),
        ImageFormat::WebP => webp::packet(bytes).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// Whether words can be put into a file, as far as its first bytes tell.
pub fn takes_words(head: &[u8]) -> bool {
    matches!(image::guess_format(head), Ok(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP))
}

/// The packet that a file holds, with what is told merged into the one that it has.
fn embedded(there: Option<&[u8]>, told: &Told) -> Result<String, String> {
    match there {
        Some(packet) => xmp::merged(packet, told),
        None => {
            // What programs look for that know nothing of the file (ISO 16684-1, 7.3.2).
            Ok(format!("<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n{}<?xpacket end=\"w\"?>", told.packet()))
        }
    }
}

/// EXIF that says nothing but how a picture is turned (TIFF 6.0, section 2; EXIF 2.32, tag 0x0112); nothing, if it is not.
fn turned_alone(turned: Orientation) -> Option<Vec<u8>> {
    let number = turned.to_exif();
    (number != 1).then(|| [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[number, 0, 0, 0], &[0; 4]].concat())
}

/// Takes bytes from the front, if there are so many.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}
