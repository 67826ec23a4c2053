//! Photos as every reader and printer knows them: decoded within bounds, upright, in plain colours, no larger than they can be seen.

use std::{io::Cursor, path::Path};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder, imageops::FilterType, metadata::Orientation,
};

use crate::{
    copies,
    programs::{self, Programs},
};

/// No picture is decoded with more pixels on a side,
const SIDE_MAX: u32 = 30_000;
/// or into more memory.
const DECODED_BYTES_MAX: u64 = 512 << 20;
/// Good enough that nobody sees the difference on paper.
const QUALITY: u8 = 85;

/// A picture as a JPEG without anything but pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub jpeg: Vec<u8>,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// Makes a JPEG of a picture: upright, with no side longer than `side_max` pixels, without anything but pixels.
///
/// # Errors
/// Why it is no picture that can be shown, as a sentence.
pub fn printable(original: &[u8], side_max: u32) -> Result<Picture, String> {
    written(decoded(original, Some(side_max))?)
}

/// As [`printable`], also of HEIC and AVIF where a program that decodes them is installed; it works in a folder in `space`.
///
/// # Errors
/// Why it is no picture that can be shown, as a sentence.
pub fn printable_with(original: &[u8], side_max: u32, programs: &Programs, space: &Path) -> Result<Picture, String> {
    written(decoded_with(original, Some(side_max), programs, space)?)
}

fn written(decoded: Decoded) -> Result<Picture, String> {
    let picture = decoded.picture;
    let (mut jpeg, width, height) = (Vec::new(), picture.width(), picture.height());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    on_white(picture).write_with_encoder(encoder).map_err(|e| format!("it cannot be written anew: {e}"))?;
    Ok(Picture { jpeg, width, height })
}

/// A picture that was decoded: upright, and no larger than was asked for.
pub(crate) struct Decoded {
    pub picture: DynamicImage,
    pub format: ImageFormat,
    /// How its colours are meant (ICC).
    pub profile: Option<Vec<u8>>,
    /// Whether it was smaller or as large already.
    pub is_as_large: bool,
}

/// Decodes a picture within bounds.
///
/// # Errors
/// Why it is no picture that can be shown, as a sentence.
pub(crate) fn decoded(original: &[u8], side_max: Option<u32>) -> Result<Decoded, String> {
    pixels(original, side_max, true)
}

/// As [`decoded`], also of HEIC and AVIF where a program that decodes them is installed; it works in a folder in `space`.
///
/// # Errors
/// Why it is no picture that can be shown, as a sentence.
pub(crate) fn decoded_with(original: &[u8], side_max: Option<u32>, programs: &Programs, space: &Path) -> Result<Decoded, String> {
    let Some(foreign) = programs::foreign(original) else { return decoded(original, side_max) };
    let png = programs.still(original, foreign.ending, space)?;
    // It is upright, whatever the EXIF that may have come with it says of how the original is turned.
    pixels(&png, side_max, false).map_err(|reason| format!("what libheif's program made of it is no picture: {reason}"))
}

fn pixels(original: &[u8], side_max: Option<u32>, is_turned: bool) -> Result<Decoded, String> {
    let mut reader = ImageReader::new(Cursor::new(original)).with_guessed_format().map_err(|e| e.to_string())?;
    let format = reader.format().ok_or("no picture of a kind that is known here")?;
    reader.limits(limits());
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let mut decoder = reader.into_decoder().map_err(broken)?;
    check_size(&decoder)?;
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let larger = side_max.filter(|most| picture.width().max(picture.height()) > *most);
    if let Some(most) = larger {
        picture = picture.resize(most, most, FilterType::Triangle);
    }
    if is_turned {
        picture.apply_orientation(copies::turned_by(original, format, turned));
    }
    Ok(Decoded { picture, format, profile, is_as_large: larger.is_none() })
}

/// What a decoder may take.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    limits
}

/// That a picture is not too large to be decoded: decoders of single formats look at the sides only.
pub(crate) fn check_size(decoder: &impl ImageDecoder) -> Result<(), String> {
    if decoder.total_bytes() <= DECODED_BYTES_MAX {
        return Ok(());
    }
    Err(format!("{} MiB of pixels are more than are decoded", decoder.total_bytes() >> 20))
}

/// Without transparency, as on paper.
pub(crate) fn on_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageRgb8(picture.into_rgb8());
    }
    let mut opaque = image::RgbImage::new(picture.width(), picture.height());
    for (to, from) in opaque.pixels_mut().zip(picture.into_rgba8().pixels()) {
        let alpha = u16::from(from[3]);
        for channel in 0..3 {
            let mixed = (u16::from(from[channel]) * alpha + 255 * (255 - alpha)) / 255;
            to[channel] = mixed as u8;
        }
    }
    DynamicImage::ImageRgb8(opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("encoded");
        bytes.into_inner()
    }

    /// PNG's check of a chunk (ISO 3309).
    fn crc(bytes: &[u8]) -> u32 {
        let round = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), round))
    }

    #[test]
    fn pictures_become_small_and_opaque() {
        let mut clear = image::RgbaImage::new(400, 100);
        clear.put_pixel(0, 0, image::Rgba([0, 0, 0, 255]));
        let small = printable(&png(&DynamicImage::ImageRgba8(clear)), 200).expect("a picture");
        let back = image::load_from_memory(&small.jpeg).expect("a JPEG").into_rgb8();
        assert_eq!((back.dimensions(), (small.width, small.height)), ((200, 50), (200, 50)));
        assert!(back.get_pixel(150, 40).0.iter().all(|channel| *channel > 250), "clear is white");
    }

    #[test]
    fn what_a_program_made_upright_is_not_turned_again() {
        use crate::programs::{begins, tests::stand_in};
        // Its EXIF says that it is to be turned: libheif 1.15 copies that beside pixels that it has turned.
        let mut chunk = b"eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        let length = u32::try_from(chunk.len() - 4).expect("short").to_be_bytes();
        chunk.extend(crc(&chunk).to_be_bytes());
        let mut made = png(&DynamicImage::new_rgb8(20, 10));
        drop(made.splice(33..33, length.into_iter().chain(chunk)));
        let (bin, space) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        std::fs::write(bin.path().join("picture"), &made).expect("written");
        stand_in(bin.path(), "heif-dec", "cp \"$(dirname \"$0\")/picture\" \"$2\"");
        let programs = Programs::new(vec![bin.path().to_owned()]).within(20);
        let sides = |picture: Picture| (picture.width, picture.height);
        assert_eq!(printable(&made, 100).map(sides), Ok((10, 20)));
        assert_eq!(printable_with(&begins(&[b"heic"]), 100, &programs, space.path()).map(sides), Ok((20, 10)));
        assert_eq!(printable_with(&made, 100, &programs, space.path()).map(sides), Ok((10, 20)), "this one is no program's");
    }

    #[test]
    fn what_is_no_picture_says_so() {
        assert!(printable(b"", 100).is_err());
        assert!(printable(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 100).is_err());
        assert!(printable(b"%PDF-1.7", 100).is_err());
        let mut cut = png(&DynamicImage::new_rgb8(64, 64));
        cut.truncate(cut.len() / 2);
        assert!(printable(&cut, 100).expect_err("it is cut off").contains("cannot be decoded"));
        // A size that nobody has memory for, in a file of a few bytes.
        let mut huge = png(&DynamicImage::new_rgb8(1, 1));
        for side in [65_535_u32, 29_000] {
            huge[16..20].copy_from_slice(&side.to_be_bytes());
            huge[20..24].copy_from_slice(&side.to_be_bytes());
            let checked = crc(&huge[12..29]);
            huge[29..33].copy_from_slice(&checked.to_be_bytes());
            assert!(printable(&huge, 100).is_err(), "{side}");
        }
    }
}
