//! Copies for others: the same picture, and nothing that tells more. ExifTool is asked what it still finds.

use std::{fs, path::PathBuf, process::Command};

use keepsake_formats::copies::stripped;

use crate::taken::genuine;

pub fn files(root: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// What ExifTool finds in files that is not about the picture itself, a line each.
fn told(folder: &std::path::Path) -> Option<Vec<String>> {
    let Ok(ran) = Command::new("exiftool").args(["-j", "-G1", "-a", "-u", "-n", "-ee", "-r"]).arg(folder).output() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "ExifTool is not installed: run scripts/test");
        println!("no exiftool: nobody else looked at the copies; scripts/test installs it");
        return None;
    };
    let all: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&ran.stdout).expect("JSON");
    let is_of_picture = |field: &str| {
        let (group, name) = field.split_once(':').unwrap_or(("", field));
        let groups = ["System", "File", "JFIF", "Adobe", "PNG", "PNG-pHYs", "RIFF", "GIF", "Composite", "ExifTool"];
        // How a picture is turned, and how its colours are meant.
        groups.contains(&group)
            || group.starts_with("ICC")
            || name == "SourceFile"
            || field == "IFD0:Orientation"
            || name == "ExifByteOrder"
    };
    let lines = all.iter().flat_map(|file| {
        let of = |field: &String| format!("{} {field}={}", file["SourceFile"], file[field]);
        file.keys().filter(|field| !is_of_picture(field)).map(of).collect::<Vec<_>>()
    });
    let words = all.iter().flat_map(|file| {
        let spoken = ["Mfg", "MakeAndModel", "Comment", "Description", "Author", "Title", "Copyright", "Software", "GPS", "Warning"];
        let is_word = |field: &&String| {
            let (group, name) = field.split_once(':').unwrap_or(("", field));
            !(group.starts_with("ICC") && file[*field] == "Colours") && spoken.iter().any(|word| name.contains(word))
        };
        file.keys().filter(is_word).map(|field| format!("{} {field}={}", file["SourceFile"], file[field])).collect::<Vec<_>>()
    });
    let mut found: Vec<String> = lines.chain(words).collect();
    found.sort();
    found.dedup();
    Some(found)
}

#[test]
fn genuine_photos_lose_all_but_the_picture() {
    let space = tempfile::tempdir().expect("space");
    let (mut copied, mut refused) = (0, Vec::new());
    for folder in ["photos-exif-samples", "photos-permissive"] {
        let Some(root) = genuine(folder) else { return };
        for path in files(&root) {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
            if !["jpg", "jpeg", "png", "webp", "gif"].contains(&ending.as_str()) {
                continue;
            }
            let original = fs::read(&path).expect("read");
            match stripped(&original) {
                Ok(copy) => {
                    copied += 1;
                    assert!(copy.len() <= original.len() + 200, "{}", path.display());
                    assert_eq!(stripped(&copy).as_deref(), Ok(copy.as_slice()), "{}: a copy of a copy is the same", path.display());
                    fs::write(space.path().join(format!("{copied}.{ending}")), copy).expect("written");
                }
                Err(reason) => refused.push(format!("{}: {reason}", path.display())),
            }
        }
    }
    println!("{copied} copies, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(copied >= 90, "{copied}");
    assert!(refused.iter().all(|line| line.contains("corrupt") || line.contains("cannot be decoded")), "{refused:?}");
    if let Some(found) = told(space.path()) {
        assert_eq!(found, Vec::<String>::new());
    }
}

/// A JPEG with everything that must go: a place, words, a small picture, a film behind it.
#[test]
fn what_hangs_on_a_photo_goes() {
    let mut plain = Vec::new();
    let picture = image::RgbImage::from_fn(16, 8, |x, y| image::Rgb([x as u8 * 9, y as u8 * 20, 7]));
    image::codecs::jpeg::JpegEncoder::new(&mut plain).encode_image(&picture).expect("encoded");
    let segment = |marker: u8, body: &[u8]| [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat();
    // Turned to the right (6), and a camera's name.
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x0f\0\x02\0\0\0\x04abc\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".as_slice();
    let more = [
        segment(0xe1, exif),
        segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>secret</x:xmpmeta>"),
        segment(0xe2, b"MPF\0secret"),
        segment(0xed, b"Photoshop 3.0\0secret"),
        segment(0xfe, b"secret"),
        vec![0xff, 0xff, 0xff],
        segment(0xe0, b"JFXX\0secret"),
    ]
    .concat();
    let original = [&plain[..2], &more, &plain[2..], b"\0\0\0\x18ftypmp42secret".as_slice()].concat();
    let copy = stripped(&original).expect("a copy");
    let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|some| some == word);
    assert!(has(&original, b"secret") && !has(&copy, b"secret") && !has(&copy, b"abc") && !has(&copy, b"ftyp"));
    assert!(has(&copy, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06"), "it is still turned");
    assert!(copy.ends_with(&[0xff, 0xd9]) && copy.len() <= plain.len() + 40);
    for bad in [&b""[..], b"\xff\xd8", b"%PDF-1.7", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0\0\0\0\0\0\0"] {
        assert!(stripped(bad).is_err(), "{bad:?}");
    }
}

/// Damaged in thousands of ways: a copy that is the same picture, or a reason.
#[test]
fn damaged_photos_end_with_a_reason() {
    let mut pictures: Vec<Vec<u8>> = Vec::new();
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 9, y as u8 * 20, 7])));
    for format in [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP, image::ImageFormat::Gif] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("encoded");
        pictures.push(bytes.into_inner());
    }
    let mut dice = keepsake_testing::Dice(17);
    let mut copies = 0;
    for original in &pictures {
        stripped(original).expect("a copy of what is whole");
        for _ in 0..1_500 {
            copies += usize::from(stripped(&dice.damage(original, &pictures[0])).is_ok());
        }
    }
    println!("{copies} of 6000 were still pictures");
}
