//! Copies of photos for others: the picture and nothing that tells more than it shows.
//!
//! What is kept is named, everything else goes: where and with what a photo was taken, words, the small picture that shows what was cut away,
//! and whatever a camera hangs behind the end of the picture, such as a film. No pixel is computed anew; a copy is decoded beside its original,
//! and one whose first frame differs is none.

mod gif;
mod icc;
mod jpeg;
mod png;
mod webp;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, metadata::Orientation};

use crate::pictures;

/// A copy without anything but the picture, how it is turned, and its colours.
///
/// # Errors
/// Why there is none, as a sentence: of a kind of which no copy can be made here, or damaged.
pub fn stripped(original: &[u8]) -> Result<Vec<u8>, String> {
    let format = image::guess_format(original).map_err(|_| "a kind of file of which no copy for others can be made".to_owned())?;
    let (pixels, turned) = decode(original)?;
    // Decoders ask before the picture, and some programs say it after it.
    let turned = if format == ImageFormat::Png { png::turned(original).unwrap_or(turned) } else { turned };
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

fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    reader.limits(pictures::limits());
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let mut decoder = reader.into_decoder().map_err(broken)?;
    pictures::check_size(&decoder)?;
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(broken)?, turned))
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
