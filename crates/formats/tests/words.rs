//! What is told inside of photos: the same picture, everything else in the file as it was, and ExifTool reads the words.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use keepsake_formats::{
    copies,
    xmp::{Things, Told, merged, told},
};
use keepsake_record::{Attachment, Memory, MemoryId};

use crate::{
    copies::files,
    taken::{genuine, options},
};

/// What a memory with odd words tells of a photo.
fn odd() -> Told {
    let mut memory = Memory::new(MemoryId::from_bytes([7; 16]), options().now);
    memory.title = Some("On the \u{5d9}\u{5dd} & <pier> 🐦‍🔥".into());
    memory.tags = ["sea", "a/b"].map(|tag| tag.parse().expect("a tag")).into();
    memory.when = keepsake_record::When::parse("2024-03-17T10:00:00.5", Some(&"Europe/Lisbon".parse().expect("a zone"))).expect("a moment");
    let mut attachment = Attachment::new("one", "p.jpg", "image/jpeg");
    attachment.alt = Some("a \"swallow\"".into());
    attachment.position = keepsake_record::Position::new(-38.7, 9.123_456_7).ok();
    told(&memory, &attachment, &Things::default())
}

/// Every field that ExifTool finds in the files of a folder, by file.
fn fields(folder: &Path) -> Option<BTreeMap<String, BTreeMap<String, serde_json::Value>>> {
    let Ok(ran) = Command::new("exiftool").args(["-j", "-G1", "-a", "-u", "-n", "-struct", "-r"]).arg(folder).output() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "ExifTool is not installed: run scripts/test");
        println!("no exiftool: nobody else read the words; scripts/test installs it");
        return None;
    };
    let all: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_slice(&ran.stdout).expect("JSON");
    let name = |file: &BTreeMap<String, serde_json::Value>| {
        Path::new(file["SourceFile"].as_str().expect("a path")).file_name().expect("a name").to_string_lossy().into_owned()
    };
    Some(all.into_iter().map(|file| (name(&file), file)).collect())
}

/// Where things lie in a file moves, and so does what ExifTool makes of the words.
fn moves(field: &str) -> bool {
    let (group, name) = field.split_once(':').unwrap_or(("", field));
    ["System", "ExifTool", "Composite"].contains(&group)
        || field == "SourceFile"
        || [
            "Offset",
            "Start",
            "FileSize",
            "FileType",
            "VP8X",
            "Thumbnail",
            "PreviewImage",
            "ImageWidth",
            "ImageHeight",
            "CurrentIPTCDigest",
        ]
        .iter()
        .any(|moved| name.contains(moved))
        || group.starts_with("XMP-")
        || group == "RIFF"
}

#[test]
fn genuine_photos_keep_everything_and_say_more() {
    let space = tempfile::tempdir().expect("space");
    let (before, after) = (space.path().join("before"), space.path().join("after"));
    [&before, &after].iter().for_each(|folder| fs::create_dir(folder).expect("made"));
    let (mut told, mut refused) = (0, Vec::new());
    let words = odd();
    for folder in ["photos-exif-samples", "photos-permissive"] {
        let Some(root) = genuine(folder) else { return };
        for path in files(&root) {
            let original = fs::read(&path).expect("read");
            if !copies::takes_words(&original) {
                continue;
            }
            match copies::told(&original, &words) {
                Ok(copy) => {
                    told += 1;
                    let name = format!("{told}.{}", path.extension().unwrap_or_default().to_string_lossy());
                    // In a packet of our own, lists are what the memory says now: nothing is said twice, and once more changes nothing.
                    let again = copies::told(&copy, &words).expect("what was told before can be told again");
                    assert!(again.len() <= copy.len(), "{}: said once", path.display());
                    assert_eq!(copies::told(&again, &words).as_ref(), Ok(&again), "{}: said once", path.display());
                    fs::write(before.join(&name), &original).expect("written");
                    fs::write(after.join(&name), copy).expect("written");
                }
                Err(reason) => refused.push(format!("{}: {reason}", path.display())),
            }
        }
    }
    println!("{told} copies, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(told >= 90, "{told}");
    let known = ["corrupt", "cannot be decoded", "goes on in further segments"];
    assert!(refused.iter().all(|line| known.iter().any(|word| line.contains(word))), "{refused:?}");
    let (Some(before), Some(after)) = (fields(&before), fields(&after)) else { return };
    let mut foreign = 0;
    for (name, was) in &before {
        let is = &after[name];
        for (field, value) in was {
            if !moves(field) {
                assert_eq!(is.get(field), Some(value), "{name}: {field}");
            }
            // A position is told as a whole.
            assert!(!field.starts_with("XMP-") || is.contains_key(field) || field.contains("GPS"), "{name}: {field} is gone");
            foreign += usize::from(field.starts_with("XMP-") && is.get(field) == Some(value));
        }
        assert_eq!(is["XMP-dc:Title"], "On the \u{5d9}\u{5dd} & <pier> 🐦‍🔥", "{name}");
        assert_eq!(
            (&is["XMP-photoshop:DateCreated"], is["XMP-exif:GPSLatitude"].as_f64()),
            (&"2024:03:17 10:00:00.5+00:00".into(), Some(-38.7))
        );
        let longitude = is["XMP-exif:GPSLongitude"].as_f64().expect("a number");
        assert!((longitude - 9.123_456_7).abs() < 1e-8, "{name}: {longitude}");
        let subjects = is["XMP-dc:Subject"].as_array().expect("a list");
        assert!(["sea", "a/b"].iter().all(|tag| subjects.contains(&(*tag).into())), "{name}");
        assert_eq!(is["XMP-iptcCore:AltTextAccessibility"], "a \"swallow\"", "{name}");
        let warnings = |file: &BTreeMap<String, serde_json::Value>| file.get("ExifTool:Warning").cloned();
        assert_eq!(warnings(is), warnings(was), "{name}");
    }
    println!("{foreign} properties of others stayed");
    assert!(foreign > 100, "{foreign}");
}

/// Damaged in thousands of ways: a copy that is the same picture, or a reason; and packets that are merged, or not.
#[test]
fn damaged_photos_and_packets_end_with_a_reason() {
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 9, y as u8 * 20, 7])));
    let words = odd();
    let mut pictures: Vec<Vec<u8>> = Vec::new();
    for format in [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("encoded");
        let copy = copies::told(bytes.get_ref(), &words).expect("a copy");
        pictures.extend([bytes.into_inner(), copy]);
    }
    let mut dice = keepsake_testing::Dice(23);
    let mut copies = 0;
    for original in &pictures {
        for _ in 0..800 {
            copies += usize::from(copies::told(&dice.damage(original, &pictures[1]), &words).is_ok());
        }
    }
    let packet = words.sidecar().into_bytes();
    let again = merged(&packet, &words).expect("merged");
    assert_eq!(merged(again.as_bytes(), &words).as_deref(), Ok(again.as_str()), "merged again, it is the same");
    let merges = (0..3_000).filter(|_| merged(&dice.damage(&packet, &packet), &words).is_ok()).count();
    println!("{copies} of 4800 were still pictures, {merges} of 3000 packets were understood");
}
