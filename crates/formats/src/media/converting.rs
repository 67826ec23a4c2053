//! Copies of pictures that are smaller, or of another kind: upright, with the profile of their colours, and with what their camera noted told in words.

use std::{io::Cursor, path::Path};

use exif::{In, Tag, Value};
use image::{
    AnimationDecoder, ColorType, DynamicImage, ImageDecoder, ImageEncoder, ImageFormat,
    codecs::{
        gif::GifDecoder,
        jpeg::JpegEncoder,
        png::{PngDecoder, PngEncoder},
        webp::{WebPDecoder, WebPEncoder},
    },
};

use crate::{
    copies,
    pictures::{self, Decoded},
    programs::{self, Foreign, Programs},
    xmp::{Said, Told},
};

/// Good enough that nobody sees the difference.
const QUALITY: u8 = 90;

/// What pictures become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// JPEG: small, without transparency.
    Jpeg,
    /// PNG: every pixel as it is.
    Png,
    /// WebP without loss: every pixel as it is, eight bits a channel.
    WebP,
    /// AVIF, eight bits a channel: the smallest. A program writes it, where one is installed.
    Avif,
}

impl PictureFormat {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Avif => "avif",
        }
    }
}

/// What was made of a file.
pub(super) enum Converted {
    Picture { bytes: Vec<u8>, ending: &'static str, size: (u32, u32) },
    Film { file: std::fs::File, ending: &'static str },
}

/// Makes another picture of one; `None`: it is what was asked for.
///
/// # Errors
/// Why there is none, as a sentence.
pub(super) fn picture(
    original: &[u8],
    convert: Option<PictureFormat>,
    side_max: Option<u32>,
    programs: &Programs,
    space: &Path,
) -> Result<Option<Converted>, String> {
    let foreign = programs::foreign(original);
    let is_avif = foreign.is_some_and(|foreign| foreign.ending == "avif");
    if is_avif && side_max.is_none() && convert.is_none_or(|format| format == PictureFormat::Avif) {
        return Ok(None);
    }
    moves(original, foreign)?;
    let decoded = pictures::decoded_with(original, side_max, programs, space)?;
    let own = match decoded.format {
        _ if is_avif => Some(PictureFormat::Avif),
        // What a program made of it is no kind of its own.
        _ if foreign.is_some() => None,
        ImageFormat::Jpeg => Some(PictureFormat::Jpeg),
        ImageFormat::Png => Some(PictureFormat::Png),
        ImageFormat::WebP => Some(PictureFormat::WebP),
        _ => None,
    };
    if decoded.is_as_large && (convert.is_none() || convert == own) {
        return Ok(None);
    }
    if copies::holds_more(original) {
        return Err("it holds several pictures, or something behind the picture, and a copy would not".into());
    }
    let size = (decoded.picture.width(), decoded.picture.height());
    let usual = if decoded.picture.color().has_alpha() { PictureFormat::Png } else { PictureFormat::Jpeg };
    // Where only its size was asked for, no program is needed to write it.
    let format = convert.or(own.filter(|own| *own != PictureFormat::Avif)).unwrap_or(usual);
    let bytes = encoded(decoded, format, programs, space)?;
    Ok(Some(Converted::Picture { bytes, ending: format.ending(), size }))
}

/// One strange photo does not keep the others from their copies.
pub(super) fn guarded<T>(make: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).unwrap_or_else(|_| Err("its decoder failed".into()))
}

/// Refuses pictures that move: a copy would stand still.
fn moves(bytes: &[u8], foreign: Option<Foreign>) -> Result<(), String> {
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let is_moving = match image::guess_format(bytes) {
        Ok(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(broken)?;
            decoder.set_limits(pictures::limits()).map_err(broken)?;
            pictures::check_size(&decoder)?;
            decoder.into_frames().take(2).filter_map(Result::ok).count() > 1
        }
        Ok(ImageFormat::WebP) => WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?.has_animation(),
        Ok(ImageFormat::Png) => {
            PngDecoder::with_limits(Cursor::new(bytes), pictures::limits()).and_then(|decoder| decoder.is_apng()).map_err(broken)?
        }
        _ => foreign.is_some_and(|foreign| foreign.moves),
    };
    if is_moving { Err("it moves, and a copy would not".into()) } else { Ok(()) }
}

fn encoded(decoded: Decoded, format: PictureFormat, programs: &Programs, space: &Path) -> Result<Vec<u8>, String> {
    let picture = settled(decoded.picture, format);
    let profile = decoded.profile.filter(|profile| fits(profile, picture.color()));
    let (width, height, mut bytes) = (picture.width(), picture.height(), Vec::new());
    let written = match format {
        PictureFormat::Jpeg => with_profile(JpegEncoder::new_with_quality(&mut bytes, QUALITY), profile, &picture),
        // A program makes an AVIF of a PNG.
        PictureFormat::Png | PictureFormat::Avif => with_profile(PngEncoder::new(&mut bytes), profile, &picture),
        PictureFormat::WebP => with_profile(WebPEncoder::new_lossless(&mut bytes), profile, &picture),
    };
    written.map_err(|error| format!("it cannot be written anew: {error}"))?;
    let again = if format == PictureFormat::Avif {
        drop(picture);
        bytes = programs.avif(&bytes, space)?;
        pictures::decoded_with(&bytes, None, programs, space)?.picture
    } else {
        image::load_from_memory(&bytes).map_err(|error| format!("what was made of it is no picture: {error}"))?
    };
    if (again.width(), again.height()) == (width, height) { Ok(bytes) } else { Err("what was made of it has another size".into()) }
}

fn with_profile(mut encoder: impl ImageEncoder, profile: Option<Vec<u8>>, picture: &DynamicImage) -> image::ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(image::ImageError::Unsupported)?;
    }
    encoder.write_image(picture.as_bytes(), picture.width(), picture.height(), picture.color().into())
}

/// Pixels as a format has them.
fn settled(picture: DynamicImage, format: PictureFormat) -> DynamicImage {
    let has_alpha = picture.color().has_alpha();
    match (format, picture.color()) {
        (PictureFormat::Jpeg, ColorType::L8 | ColorType::L16) => DynamicImage::ImageLuma8(picture.into_luma8()),
        (PictureFormat::Jpeg, _) => pictures::on_white(picture),
        (PictureFormat::Png, ColorType::Rgb32F) => DynamicImage::ImageRgb16(picture.into_rgb16()),
        (PictureFormat::Png, ColorType::Rgba32F) => DynamicImage::ImageRgba16(picture.into_rgba16()),
        (PictureFormat::Png, _) => picture,
        (PictureFormat::WebP | PictureFormat::Avif, _) if has_alpha => DynamicImage::ImageRgba8(picture.into_rgba8()),
        (PictureFormat::WebP | PictureFormat::Avif, _) => DynamicImage::ImageRgb8(picture.into_rgb8()),
    }
}

/// Whether a profile is of pixels like these: that of a picture for print is of four inks.
fn fits(profile: &[u8], color: ColorType) -> bool {
    match profile.get(16..20) {
        Some(b"RGB ") => color.has_color(),
        Some(b"GRAY") => !color.has_color(),
        _ => false,
    }
}

/// Numbers that a camera notes, as XMP calls them (CIPA DC-010).
const NUMBERS: [(Tag, &str); 4] = [
    (Tag::ExposureTime, "exif:ExposureTime"),
    (Tag::FNumber, "exif:FNumber"),
    (Tag::FocalLength, "exif:FocalLength"),
    (Tag::ExposureBiasValue, "exif:ExposureBiasValue"),
];
/// Words that a camera notes.
const WORDS: [(Tag, &str); 4] =
    [(Tag::Make, "tiff:Make"), (Tag::Model, "tiff:Model"), (Tag::LensMake, "exifEX:LensMake"), (Tag::LensModel, "exifEX:LensModel")];

/// That a copy is upright, and how large it is: what a sidecar of its original says of that is of the original.
pub(super) fn tell_size((width, height): (u32, u32), told: &mut Told) {
    told.text("tiff:Orientation", Some("1"));
    for (names, side) in [(["tiff:ImageWidth", "exif:PixelXDimension"], width), (["tiff:ImageLength", "exif:PixelYDimension"], height)] {
        names.into_iter().for_each(|name| told.text(name, Some(&side.to_string())));
    }
}

/// With what a picture was taken, as its EXIF says that its copy does not have.
pub(super) fn camera(original: &[u8]) -> Vec<(&'static str, Said)> {
    let mut said = Vec::new();
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let read = reader.read_from_container(&mut Cursor::new(original));
    let read = read.or_else(|error| error.distill_partial_result(|_| {}));
    let Ok(exif) = read else { return said };
    let primary = |tag: Tag| exif.get_field(tag, In::PRIMARY).map(|field| &field.value);
    for (tag, name) in WORDS {
        said.extend(primary(tag).and_then(words).filter(|text| !text.is_empty()).map(|text| (name, Said::Text(text))));
    }
    for (tag, name) in NUMBERS {
        said.extend(primary(tag).and_then(fraction).map(|text| (name, Said::Text(text))));
    }
    let speed = exif.get_field(Tag::PhotographicSensitivity, In::PRIMARY).and_then(|field| field.value.get_uint(0));
    said.extend(speed.map(|speed| ("exif:ISOSpeedRatings", Said::Seq(vec![speed.to_string()]))));
    said
}

fn words(value: &Value) -> Option<String> {
    let Value::Ascii(parts) = value else { return None };
    Some(String::from_utf8_lossy(&parts.join(&b' ')).replace(['\0', '\u{fffd}'], "").trim().to_owned())
}

fn fraction(value: &Value) -> Option<String> {
    match value {
        Value::Rational(parts) => parts.first().filter(|part| part.denom != 0).map(|part| format!("{}/{}", part.num, part.denom)),
        Value::SRational(parts) => parts.first().filter(|part| part.denom != 0).map(|part| format!("{}/{}", part.num, part.denom)),
        _ => None,
    }
}
