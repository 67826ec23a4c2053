//! Media types by file ending.

use keepsake_record::Kind;

const TYPES: &[(&str, &str, Kind)] = &[
    ("jpg", "image/jpeg", Kind::Photo),
    ("jpeg", "image/jpeg", Kind::Photo),
    ("jpe", "image/jpeg", Kind::Photo),
    ("png", "image/png", Kind::Photo),
    ("gif", "image/gif", Kind::Photo),
    ("webp", "image/webp", Kind::Photo),
    ("heic", "image/heic", Kind::Photo),
    ("heif", "image/heif", Kind::Photo),
    ("avif", "image/avif", Kind::Photo),
    ("jxl", "image/jxl", Kind::Photo),
    ("bmp", "image/bmp", Kind::Photo),
    ("tif", "image/tiff", Kind::Photo),
    ("tiff", "image/tiff", Kind::Photo),
    ("svg", "image/svg+xml", Kind::Photo),
    ("dng", "image/x-adobe-dng", Kind::Photo),
    ("cr2", "image/x-canon-cr2", Kind::Photo),
    ("cr3", "image/x-canon-cr3", Kind::Photo),
    ("nef", "image/x-nikon-nef", Kind::Photo),
    ("arw", "image/x-sony-arw", Kind::Photo),
    ("orf", "image/x-olympus-orf", Kind::Photo),
    ("rw2", "image/x-panasonic-rw2", Kind::Photo),
    ("raf", "image/x-fuji-raf", Kind::Photo),
    ("pef", "image/x-pentax-pef", Kind::Photo),
    ("mp4", "video/mp4", Kind::Video),
    ("mp", "video/mp4", Kind::Video),
    ("m4v", "video/x-m4v", Kind::Video),
    ("mov", "video/quicktime", Kind::Video),
    ("qt", "video/quicktime", Kind::Video),
    ("webm", "video/webm", Kind::Video),
    ("mkv", "video/x-matroska", Kind::Video),
    ("avi", "video/x-msvideo", Kind::Video),
    ("3gp", "video/3gpp", Kind::Video),
    ("mpg", "video/mpeg", Kind::Video),
    ("mpeg", "video/mpeg", Kind::Video),
    ("mp3", "audio/mpeg", Kind::Audio),
    ("m4a", "audio/mp4", Kind::Audio),
    ("aac", "audio/aac", Kind::Audio),
    ("ogg", "audio/ogg", Kind::Audio),
    ("oga", "audio/ogg", Kind::Audio),
    ("opus", "audio/opus", Kind::Audio),
    ("flac", "audio/flac", Kind::Audio),
    ("wav", "audio/wav", Kind::Audio),
    ("aif", "audio/aiff", Kind::Audio),
    ("aiff", "audio/aiff", Kind::Audio),
    ("amr", "audio/amr", Kind::Audio),
];

fn entry(path: &str) -> Option<&'static (&'static str, &'static str, Kind)> {
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    TYPES.iter().find(|(known, ..)| *known == ending)
}

/// The media type of a file, by its ending.
pub fn media_type(path: &str) -> &'static str {
    let other = |ending: &str| match ending {
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "json" => "application/json",
        "xmp" => "application/rdf+xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    };
    entry(path).map_or_else(|| other(&path.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default()), |(_, kind, _)| kind)
}

/// The ending of files of a media type, where one is known.
pub(crate) fn ending_of(media_type: &str) -> Option<&'static str> {
    TYPES.iter().find(|(_, known, _)| *known == media_type).map(|(ending, ..)| *ending)
}

/// Whether a file is a photo, a film or a recording, by its ending.
pub(crate) fn is_media(path: &str) -> bool {
    entry(path).is_some()
}

/// The kind of memory that a file of this ending is.
pub(crate) fn kind(path: &str) -> Kind {
    entry(path).map_or(Kind::Document, |(.., kind)| *kind)
}

/// Whether a file is a camera's raw format, by its ending.
pub(crate) fn is_raw(path: &str) -> bool {
    entry(path).is_some_and(|(_, kind, _)| kind.starts_with("image/x-"))
}
