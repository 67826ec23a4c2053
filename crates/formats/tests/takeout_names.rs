//! Names in a Takeout: every naming of a sidecar finds its file, and files that belong together become one memory.

use keepsake_record::Kind;
use serde_json::json;

use crate::takeout::{film, photo, shown, sidecar, taken_of};

#[test]
fn every_naming_finds_its_file() {
    let long = "PXL_20230809_203449253.LONG_EXPOSURE-02.ORIGINAL";
    let cases: &[(&str, &str, &str)] = &[
        ("plain.jpg", "plain.jpg.json", "plain.jpg"),
        ("IMG_20200920_131207.jpg", "IMG_20200920_131207.jpg.supplemental-metadata.json", "IMG_20200920_131207.jpg"),
        ("Screenshot_20240114-141333.jpg", "Screenshot_20240114-141333.jpg.supplemental-m.json", "Screenshot_20240114-141333.jpg"),
        (
            "b234567890123456789012345678901234567890.jpg",
            "b234567890123456789012345678901234567890.jpg.s.json",
            "b234567890123456789012345678901234567890.jpg",
        ),
        (
            "c23456789012345678901234567890123456789012.jpg",
            "c23456789012345678901234567890123456789012.jpg..json",
            "c23456789012345678901234567890123456789012.jpg",
        ),
        ("old(1).jpg", "old.jpg(1).json", "old.jpg"),
        ("new(2).jpg", "new.jpg.supplemental-metadata(2).json", "new.jpg"),
        ("both(18).jpg", "both(18).jpg.supple(18).json", "both(18).jpg"),
        ("own(1).jpg", "own(1).jpg.json", "own(1).jpg"),
        ("no-ending.jpg", "no-ending.json", "no-ending.jpg"),
        ("half-ending.jpg", "half-ending.jp.supplemental-meta.json", "half-ending.jpg"),
        (&format!("{long}.jpg"), "PXL_20230809_203449253.LONG_EXPOSURE-02.ORIGIN.json", &format!("{long}.jpg")),
        // The title as its owner knows it: characters that no file may have, and the end that was cut off.
        ("who_ me_.jpg", "who_ me_.jpg.json", "who? me&.jpg"),
        (
            "Screenshot_2022-04-21_abb9c8060a0a1(1).jpg",
            "Screenshot_2022-04-21_abb9c8060a0a(1).json",
            "Screenshot_2022-04-21_abb9c8060a0a12c5ac89e934.jpg",
        ),
        (
            "😀😃😄😁😆😅😂🤣🥲😊😇🙂🙃😉😌😍🥰😘😗😙😚😋😛.jpg",
            "😀😃😄😁😆😅😂🤣🥲😊😇🙂🙃😉😌😍🥰😘😗😙😚😋😛.json",
            "😀😃😄😁😆😅😂🤣🥲😊😇🙂🙃😉😌😍🥰😘😗😙😚😋😛.jpg",
        ),
        ("03.03.13 - 1", "03.03.13 - 1.json", "03.03.13 - 1"),
    ];
    let mut files = Vec::new();
    let mut wanted = Vec::new();
    for (number, (file, json, title)) in cases.iter().enumerate() {
        let seconds = 1_500_000_000 + number as i64;
        files.push((format!("Photos from 2017/{file}"), photo(file)));
        files.push((format!("Photos from 2017/{json}"), sidecar(title, seconds, json!({}))));
        wanted.push(format!("{title} [] {seconds}"));
    }
    wanted.sort();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let taken = taken_of(&files);
    assert_eq!(shown(&taken), wanted);
    assert_eq!((taken.problems, taken.passed_over), (Vec::new(), Vec::new()));
}

/// Two names that were cut to the same are told apart by their titles.
#[test]
fn names_that_were_cut_alike_are_told_apart() {
    let beginning = "Backyard_ceremony_wedding_photography_xxxxxxx_";
    let (one, two) = (format!("{beginning}1.jpg"), format!("{beginning}2.jpg"));
    let folder = "Photos from 1970";
    let taken = taken_of(&[
        (&format!("{folder}/{one}"), photo("1")),
        (&format!("{folder}/{two}"), photo("2")),
        (&format!("{folder}/{beginning}.json"), sidecar(&two, 2, json!({}))),
        (&format!("{folder}/{beginning}(1).json"), sidecar(&one, 1, json!({}))),
    ]);
    assert_eq!(shown(&taken), [format!("{one} [] 1"), format!("{two} [] 2")]);
    assert_eq!(taken.problems, Vec::<String>::new());
}

#[test]
fn files_that_belong_together_are_one_memory() {
    let said = |title: &str| sidecar(title, 1_600_000_000, json!({}));
    let folder = [
        ("IMG_1.HEIC", photo("heic 1")),
        ("IMG_1.HEIC.supplemental-metadata.json", said("IMG_1.HEIC")),
        ("IMG_1.MP4", film("1")),
        ("IMG_1(1).HEIC", photo("heic 1 1")),
        ("IMG_1.HEIC.supplemental-metadata(1).json", said("IMG_1.HEIC")),
        ("IMG_1(1).MP4", film("1 1")),
        ("IMG_2.jpg", photo("2")),
        ("IMG_2.jpg.json", said("IMG_2.jpg")),
        ("IMG_2-bearbeitet.jpg", photo("2 edited")),
        ("IMG_3(1).jpg", photo("3")),
        ("IMG_3.jpg(1).json", said("IMG_3.jpg")),
        ("IMG_3-modifié(1).jpg", photo("3 edited")),
        ("PXL_4.MP.jpg", photo("4")),
        ("PXL_4.MP.jpg.supplemental-metadata.json", said("PXL_4.MP.jpg")),
        ("PXL_4.MP", film("4")),
        ("MVIMG_5.jpg", photo("5")),
        ("MVIMG_5.jpg.json", said("MVIMG_5.jpg")),
        ("MVIMG_5", film("5")),
        ("IMG_6.jpg", photo("6")),
        ("IMG_6.jpg.json", said("IMG_6.jpg")),
        // A film of its own, which only has the name of a photo.
        ("IMG_6.mp4", film("6")),
        ("IMG_6.mp4.json", said("IMG_6.mp4")),
        ("IMG_7-edited.jpg", photo("7 edited")),
        ("IMG_7.jpg.json", said("IMG_7.jpg")),
    ];
    let files: Vec<(String, Vec<u8>)> = folder.into_iter().map(|(name, bytes)| (format!("Fotos von 2020/{name}"), bytes)).collect();
    let taken = taken_of(&files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect::<Vec<_>>());
    assert_eq!(
        shown(&taken),
        [
            "IMG_1.HEIC IMG_1(1).MP4:LiveVideo [] 1600000000",
            "IMG_1.HEIC IMG_1.MP4:LiveVideo [] 1600000000",
            "IMG_2.jpg IMG_2-bearbeitet.jpg:Edited [] 1600000000",
            "IMG_3.jpg IMG_3-modifié(1).jpg:Edited [] 1600000000",
            "IMG_6.jpg [] 1600000000",
            "IMG_6.mp4 [] 1600000000",
            "IMG_7-edited.jpg [] 1600000000",
            "MVIMG_5.jpg MVIMG_5:LiveVideo [] 1600000000",
            "PXL_4.MP.jpg PXL_4.MP:LiveVideo [] 1600000000",
        ]
    );
    let motion = taken.drafts.iter().find(|draft| draft.origin.ends_with("MVIMG_5.jpg")).expect("there");
    assert_eq!((motion.memory.kind, motion.memory.attachments[1].media_type.as_str()), (Kind::Photo, "video/mp4"));
    assert_eq!(
        taken.problems,
        ["Takeout/Google Photos/Fotos von 2020/IMG_7-edited.jpg: is kept with what IMG_7.jpg.json says, whose own file is not there"]
    );
    assert_eq!(taken.passed_over, Vec::<String>::new());
}
