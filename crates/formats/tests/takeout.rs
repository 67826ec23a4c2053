//! Google Photos out of Google Takeout: genuine sidecars with genuine photos, field by field against what they say, and odd ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use keepsake_formats::import::{Draft, Format, Input};
use keepsake_record::{Attachment, AttachmentRole, Kind, Provenance};
use serde_json::{Value, json};

use crate::{
    fuzzing::{self, jpeg, tiff},
    taken::{Taken, genuine, take},
};

/// A JPEG of nothing, unlike those of other names.
pub fn photo(name: &str) -> Vec<u8> {
    [jpeg(&tiff(&[])), name.as_bytes().to_vec()].concat()
}

/// A film of nothing, unlike others.
pub fn film(name: &str) -> Vec<u8> {
    [fuzzing::film(), name.as_bytes().to_vec()].concat()
}

/// A JPEG that says when it was taken, in a clock without a zone.
fn photo_of(clock: &str) -> Vec<u8> {
    jpeg(&tiff(&[(0x0132, clock)]))
}

pub fn sidecar(title: &str, seconds: i64, more: Value) -> Vec<u8> {
    let mut said = json!({"title": title, "description": "", "imageViews": "1", "photoTakenTime": {"timestamp": seconds.to_string(), "formatted": "then"}});
    for (field, value) in more.as_object().into_iter().flatten() {
        said[field] = value.clone();
    }
    said.to_string().into_bytes()
}

pub type Tree = BTreeMap<String, Vec<u8>>;

pub fn tree(files: &[(&str, Vec<u8>)]) -> Tree {
    files.iter().map(|(path, bytes)| (format!("Takeout/Google Photos/{path}"), bytes.clone())).collect()
}

pub fn put(root: &Path, tree: &Tree) {
    for (path, bytes) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, bytes).expect("written");
    }
}

pub fn taken_of(files: &[(&str, Vec<u8>)]) -> Taken {
    let space = tempfile::tempdir().expect("space");
    put(space.path(), &tree(files));
    let mut taken = take(space.path(), None).expect("it is found out what it is");
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    taken.passed_over.sort();
    taken.problems.sort();
    taken
}

pub fn shown(taken: &Taken) -> Vec<String> {
    let one = |attachment: &Attachment| match attachment.role {
        AttachmentRole::Original => attachment.name.clone(),
        role => format!("{}:{role:?}", attachment.name),
    };
    let mut all: Vec<String> = taken
        .drafts
        .iter()
        .map(|draft| {
            let files: Vec<String> = draft.memory.attachments.iter().map(one).collect();
            let collections: Vec<String> = draft.collections.iter().map(|c| format!("{}={}", c.kind, c.name)).collect();
            format!(
                "{} [{}] {}",
                files.join(" "),
                collections.join(", "),
                draft.memory.when.instant.map_or(0, |at| at.micros() / 1_000_000)
            )
        })
        .collect();
    all.sort();
    all
}

/// The genuine sidecars with genuine photos beside them, one for each title and number.
pub fn genuine_tree() -> Option<(Tree, BTreeMap<String, Value>)> {
    let (sidecars, photos, films) =
        (genuine("google-takeout-photos/Takeout")?, genuine("photos-exif-samples")?, genuine("audio-video/mdn-cc0/flower.mp4")?);
    let media = [
        ("Adelaide/IMG_4547.jpg", photos.join("gps/DSCN0010.jpg")),
        ("supplemental-naming/IMG_4547.jpg", photos.join("gps/DSCN0010.jpg")),
        ("Photos from 2016/IMG_3984.jpeg", photos.join("cameras/Canon_40D.jpg")),
        ("Photos from 2019/wedding.jpg", photos.join("cameras/Nikon_D70.jpg")),
        ("Photos from 2020/Jellyfish.mov", films),
        ("Photos from 2021/IMG_4179.jpeg", photos.join("mobile/jolla.jpg")),
        ("Photos from 2021/IMG_4179(1).jpeg", photos.join("orientation/landscape_6.jpg")),
    ];
    let mut files = Vec::new();
    let mut said = BTreeMap::new();
    for file in Input::open(&sidecars).expect("open").files().expect("files") {
        let bytes = fs::read(sidecars.join(&file.path)).expect("read");
        let path = file.path.trim_start_matches("Google Photos/").to_owned();
        said.insert(path.clone(), serde_json::from_slice(&bytes).expect("JSON"));
        files.push((path, bytes));
    }
    files.extend(media.map(|(path, from)| (path.to_owned(), fs::read(from).expect("read"))));
    Some((tree(&files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect::<Vec<_>>()), said))
}

#[test]
fn genuine_sidecars_are_kept_whole() {
    let Some((tree, said)) = genuine_tree() else { return };
    let space = tempfile::tempdir().expect("space");
    put(space.path(), &tree);
    let taken = take(space.path(), None).expect("it is found out what it is");
    assert_eq!(taken.problems, Vec::<String>::new());
    assert_eq!(
        taken.passed_over,
        ["Takeout/Google Photos/user-generated-memory-titles.json (titles of highlights, which do not say of which)"]
    );
    let by_url: BTreeMap<&str, &Draft> =
        taken.drafts.iter().map(|draft| (draft.memory.custom["url"].as_str().expect("an address"), draft)).collect();
    assert_eq!((taken.drafts.len(), by_url.len()), (6, 6), "one is in two folders");
    for (path, said) in said.iter().filter(|(_, said)| said.get("photoTakenTime").is_some()) {
        let draft = by_url[said["url"].as_str().expect("an address")];
        let memory = &draft.memory;
        memory.validate().expect("valid");
        let seconds =
            |field: &str| said[field]["timestamp"].as_str().and_then(|text| text.parse::<i64>().ok()).expect("seconds") * 1_000_000;
        let copies = memory.custom.get("copies").and_then(Value::as_array);
        let differs =
            copies.is_some_and(|copies| copies.iter().any(|copy| copy["path"].as_str().is_some_and(|place| place.ends_with(path))));
        if differs {
            assert_eq!(copies.expect("copies")[0]["photoTakenTime"], said["photoTakenTime"], "what a copy says otherwise is kept");
        } else {
            assert_eq!(memory.when.instant.expect("an instant").micros(), seconds("photoTakenTime"), "{path}");
        }
        assert_eq!(memory.created.micros(), seconds("creationTime"));
        assert_eq!(memory.text, said["description"].as_str().expect("a description"));
        assert_eq!(memory.attachments[0].name, said["title"].as_str().expect("a title"));
        assert_eq!(memory.starred, said["favorited"] == true);
        let people: Vec<&str> = said["people"].as_array().into_iter().flatten().filter_map(|person| person["name"].as_str()).collect();
        assert_eq!(draft.people, people);
        if said["geoData"]["latitude"] == 0.0 {
            // The photo that was put beside it has none either.
            assert_eq!(memory.position, memory.attachments[0].position);
        } else {
            let position = memory.position.expect("a position");
            assert_eq!(
                (json!(position.latitude), json!(position.longitude)),
                (said["geoData"]["latitude"].clone(), said["geoData"]["longitude"].clone())
            );
            // Both sidecars of the one in two folders say where it was, one of them also what its file says.
            assert_eq!(memory.provenance.get("position"), Some(&Provenance::Observed));
            let height = said["geoData"]["altitude"].as_f64().filter(|metres| *metres != 0.0);
            assert_eq!(position.altitude, height, "0.0 is none");
        }
        let known =
            ["title", "description", "creationTime", "photoTakenTime", "geoData", "geoDataExif", "people", "favorited", "imageViews"];
        for (field, value) in said.as_object().expect("an object").iter().filter(|(field, _)| !known.contains(&field.as_str())) {
            assert_eq!(memory.custom.get(field), Some(value), "{path}: {field}");
        }
        let views: BTreeSet<&str> = by_url.values().map(|draft| draft.memory.custom["imageViews"].as_str().expect("a count")).collect();
        assert!(differs || views.contains(said["imageViews"].as_str().expect("a count")));
    }
    let names = |draft: &Draft| draft.collections.iter().map(|c| (c.name.clone(), c.kind)).collect::<Vec<_>>();
    let adelaide = by_url["https://photos.google.com/photo/AF1QipPnwwPBhg_ooSUt13YBsojy7RaWWGOkbV-AXPos"];
    assert_eq!(names(adelaide), [("Adelaide".to_owned(), "album"), ("supplemental-naming".to_owned(), "folder")]);
    assert_eq!(taken.drafts.iter().filter(|draft| names(draft).is_empty()).count(), 5, "years are no collections");
    let [album] = &taken.details[..] else { panic!("one album: {:?}", taken.details) };
    assert_eq!((album.name.as_str(), album.kind, &album.description), ("Adelaide", "album", &None));
    assert_eq!(album.custom["access"], said["Adelaide/metadata.json"]["access"]);
    assert_eq!(album.custom["date"], said["Adelaide/metadata.json"]["date"]);
    assert_eq!(album.custom.len(), 2, "what says nothing is left out: {:?}", album.custom);
    let film = by_url["https://photos.google.com/photo/AF1QipOlM_j15ySld8xWCavcxb9Cj6ZIeyv67kfGkeJ_"];
    assert_eq!((film.memory.kind, film.memory.title.as_deref()), (Kind::Video, Some("Jellyfish")));
}

#[test]
fn copies_in_albums_are_one_memory_in_all_of_them() {
    let said = |more: Value| sidecar("IMG_1.jpg", 1_500_000_000, more);
    let address = json!({"url": "https://photos.google.com/photo/1"});
    let taken = taken_of(&[
        ("Photos from 2017/IMG_1(1).jpg", photo("1")),
        ("Photos from 2017/IMG_1.jpg(1).json", said(json!({"imageViews": "4", "url": "https://photos.google.com/photo/1"}))),
        ("Photos from 2017/IMG_1.jpg", photo("another")),
        ("Photos from 2017/IMG_1.jpg.json", said(json!({}))),
        ("Sommer/IMG_1.jpg", photo("1")),
        (
            "Sommer/IMG_1.jpg.json",
            said(json!({"favorited": true, "people": [{"name": "A"}], "url": "https://photos.google.com/photo/other"})),
        ),
        (
            "Sommer/Metadaten.json",
            json!({"title": "Sommer: am See?", "description": "words", "enrichments": [{"narrativeEnrichment": {"text": "x"}}]})
                .to_string()
                .into_bytes(),
        ),
        // A sidecar without a file says that a photo of another folder is in the album, too.
        ("Winter/IMG_1.jpg.json", said(address)),
        ("Winter/métadonnées.json", br#"{"albumData":{"title":"Winter","date":{"timestamp":"1"}}}"#.to_vec()),
        ("Winter(1)/metadata.json", br#"{"title":"Winter"}"#.to_vec()),
        ("Winter(1)/IMG_2.jpg", photo("2")),
        ("Winter(1)/IMG_2.jpg.json", sidecar("IMG_2.jpg", 1_500_000_001, json!({}))),
        ("Untitled(3)/metadata.json", br#"{"title":""}"#.to_vec()),
        ("Untitled(3)/IMG_3.jpg", photo("3")),
        ("Untitled(3)/IMG_3.jpg.json", sidecar("IMG_3.jpg", 1_500_000_002, json!({}))),
        ("Empty/metadata.json", br#"{"title":"Empty"}"#.to_vec()),
        ("Photos from 2017/metadata.json", br#"{"title":"Photos from 2017","description":""}"#.to_vec()),
    ]);
    assert_eq!(
        shown(&taken),
        [
            "IMG_1.jpg [] 1500000000",
            "IMG_1.jpg [album=Sommer: am See?, album=Winter] 1500000000",
            "IMG_2.jpg [album=Winter(1)] 1500000001",
            "IMG_3.jpg [album=Untitled(3)] 1500000002",
        ]
    );
    let draft = taken.drafts.iter().find(|draft| draft.collections.len() == 2).expect("there");
    assert!(draft.memory.starred && draft.people == ["A"] && draft.files.len() == 1);
    assert_eq!(draft.memory.custom["imageViews"], "4");
    assert_eq!(draft.memory.custom["url"], "https://photos.google.com/photo/1");
    assert_eq!(
        draft.memory.custom["copies"],
        json!([{"path": "Takeout/Google Photos/Sommer/IMG_1.jpg.json", "url": "https://photos.google.com/photo/other"}])
    );
    let details: BTreeMap<&str, _> = taken.details.iter().map(|detail| (detail.name.as_str(), detail)).collect();
    assert_eq!(details.keys().copied().collect::<Vec<_>>(), ["Sommer: am See?", "Untitled(3)", "Winter", "Winter(1)"]);
    assert_eq!(details["Sommer: am See?"].description.as_deref(), Some("words"));
    assert_eq!(details["Sommer: am See?"].custom["enrichments"][0]["narrativeEnrichment"]["text"], "x");
    assert_eq!(details["Winter(1)"].custom["title"], "Winter");
    assert_eq!(taken.problems, Vec::<String>::new());
    assert_eq!(
        taken.passed_over,
        [
            "Takeout/Google Photos/Empty/metadata.json (an album of which no photo is there)",
            "Takeout/Google Photos/Photos from 2017/metadata.json (says of which year a folder is, or nothing of a photo)",
        ]
    );
}

#[test]
fn the_clock_of_the_file_and_the_instant_of_the_sidecar_agree() {
    let taken = taken_of(&[
        // Seven hours behind UTC: only the file knows.
        ("a/agrees.jpg", photo_of("2021:04:08 16:04:55")),
        ("a/agrees.jpg.json", sidecar("agrees.jpg", 1_617_923_095, json!({}))),
        ("a/differs.jpg", photo_of("2003:01:01 00:00:00")),
        (
            "a/differs.jpg.json",
            sidecar(
                "differs.jpg",
                1_617_923_095,
                json!({"creationTime": {"timestamp": 1_617_930_000}, "photoLastModifiedTime": {"timestamp": "1617930001", "formatted": ""}}),
            ),
        ),
        ("a/before.jpg", photo("before")),
        ("a/before.jpg.json", sidecar("before.jpg", -86_400, json!({}))),
        ("a/only-file.jpg", photo_of("2003:01:01 10:00:00")),
        ("a/only-file.jpg.json", sidecar("only-file.jpg", 0, json!({}))),
        ("a/none.jpg", photo("none")),
        ("a/none.jpg.json", sidecar("none.jpg", 0, json!({}))),
    ]);
    let by = |name: &str| &taken.drafts.iter().find(|draft| draft.origin.ends_with(name)).expect("there").memory;
    let when = |name: &str| {
        let when = &by(name).when;
        (when.day.map(|day| day.to_string()).unwrap_or_default(), when.zone.as_ref().map_or("", |zone| zone.as_str()))
    };
    assert_eq!(when("agrees.jpg"), ("2021-04-08".to_owned(), "-07:00"));
    assert_eq!(by("agrees.jpg").provenance.get("when"), Some(&Provenance::Observed));
    assert_eq!(when("differs.jpg"), ("2021-04-08".to_owned(), "UTC"));
    assert_eq!(
        by("differs.jpg").attachments[0].captured.as_ref().and_then(|when| when.day).map(|day| day.to_string()).as_deref(),
        Some("2003-01-01")
    );
    assert_eq!((by("differs.jpg").created.micros(), by("differs.jpg").modified.micros()), (1_617_930_000_000_000, 1_617_930_001_000_000));
    assert!(by("differs.jpg").custom.keys().eq(["imageViews"]), "{:?}", by("differs.jpg").custom);
    assert_eq!(when("before.jpg"), ("1969-12-31".to_owned(), "UTC"));
    assert_eq!((when("only-file.jpg"), by("only-file.jpg").when.instant), (("2003-01-01".to_owned(), ""), None));
    assert_eq!(when("none.jpg"), (String::new(), ""));
    assert_eq!(by("none.jpg").custom["photoTakenTime"]["timestamp"], "0", "what cannot be used is kept");
    assert_eq!(taken.problems.len(), 1, "{:?}", taken.problems);
    assert!(taken.problems[0].contains("none.jpg.json: has no readable `photoTakenTime`"));
}

#[test]
fn odd_sidecars_are_kept_or_named() {
    let taken = taken_of(&[
        ("a/types.jpg", photo("types")),
        (
            "a/types.jpg.json",
            br#"{"title":["types.jpg"],"description":7,"photoTakenTime":{"timestamp":"soon"},"creationTime":"then","geoData":{"latitude":95,"longitude":1},"people":[{"name":" "},"B",{"name":"C","id":1}],"favorited":"yes","archived":true,"new":{"a":[1]}}"#.to_vec(),
        ),
        ("a/slash.jpg", photo("slash")),
        ("a/slash.jpg.json", sidecar("a/b.jpg", 1_500_000_000, json!({"geoData": {"latitude": 0.0, "longitude": 0.0}, "geoDataExif": {"latitude": 1.5, "longitude": -2.5, "altitude": 3.0}}))),
        ("a/moved.jpg", photo("moved")),
        ("a/moved.jpg.json", sidecar("moved.jpg", 1_500_000_000, json!({"geoData": {"latitude": 9.5, "longitude": 8.5}, "geoDataExif": {"latitude": 1.5, "longitude": -2.5}}))),
        ("a/broken.jpg", photo("broken")),
        ("a/broken.jpg.json", b"{\"photoTakenTime\":".to_vec()),
        ("a/alone.jpg", photo("alone")),
        ("a/gone.jpg.json", sidecar("gone.jpg", 1_500_000_000, json!({}))),
        ("a/trash.jpg", photo("trash")),
        ("a/trash.jpg.json", sidecar("trash.jpg", 1_500_000_000, json!({"trashed": true}))),
        ("a/trash.mp4", b"film".to_vec()),
        ("a/gone-trash.jpg.json", sidecar("gone-trash.jpg", 1_500_000_000, json!({"trashed": true}))),
        ("a/twice.jpg", photo("twice")),
        ("a/twice.jpg.json", sidecar("twice.jpg", 1_500_000_000, json!({}))),
        ("a/twice(1).jpg", photo("twice")),
        ("a/twice.jpg(1).json", sidecar("twice.jpg", 1_500_000_000, json!({"description": "words"}))),
        ("a/notes.txt", b"?".to_vec()),
        ("a/._types.jpg", b"?".to_vec()),
        ("a/list.json", b"[1]".to_vec()),
        ("print-subscriptions.json", b"{}".to_vec()),
        ("../archive_browser.html", b"<p>".to_vec()),
        ("../Keep/note.json", br#"{"createdTimestampUsec":1}"#.to_vec()),
        ("../Drive/photo.jpg", photo("drive")),
    ]);
    let by = |name: &str| &taken.drafts.iter().find(|draft| draft.origin.ends_with(name)).expect("there").memory;
    assert_eq!(taken.drafts.len(), 6, "{:?}", shown(&taken));
    let types = by("types.jpg");
    for (field, kept) in [
        ("title", json!(["types.jpg"])),
        ("description", json!(7)),
        ("photoTakenTime", json!({"timestamp": "soon"})),
        ("creationTime", json!("then")),
        ("geoData", json!({"latitude": 95, "longitude": 1})),
        ("people", json!([{"name": " "}, "B", {"name": "C", "id": 1}])),
        ("favorited", json!("yes")),
        ("archived", json!(true)),
        ("new", json!({"a": [1]})),
    ] {
        assert_eq!(types.custom.get(field), Some(&kept), "{field}");
    }
    assert_eq!(taken.drafts.iter().find(|draft| draft.origin.ends_with("types.jpg")).expect("there").people, ["C"]);
    assert_eq!((by("slash.jpg").attachments[0].name.as_str(), &by("slash.jpg").custom["title"]), ("slash.jpg", &json!("a/b.jpg")));
    assert_eq!(by("slash.jpg").position.map(|p| (p.latitude, p.longitude, p.altitude)), Some((1.5, -2.5, Some(3.0))));
    assert!(by("slash.jpg").custom.keys().eq(["imageViews", "title"]), "{:?}", by("slash.jpg").custom);
    assert_eq!(by("moved.jpg").position.map(|p| p.latitude), Some(9.5));
    assert_eq!((by("moved.jpg").provenance.get("position"), &by("moved.jpg").custom["geoDataExif"]["latitude"]), (None, &json!(1.5)));
    assert_eq!((by("twice.jpg").text.as_str(), by("alone.jpg").title.as_deref()), ("words", Some("alone")));
    let at = |name: &str| format!("Takeout/Google Photos/a/{name}");
    for said in [
        at("types.jpg.json: `geoData`: position"),
        at("types.jpg.json: has no readable `photoTakenTime`"),
        at("broken.jpg.json: is not JSON and was left out"),
        at("broken.jpg: has no sidecar"),
        at("alone.jpg: has no sidecar"),
        at("gone.jpg.json: describes gone.jpg, which is not there"),
        "Takeout/Drive/photo.jpg: does not lie among the photos".to_owned(),
    ] {
        assert!(taken.problems.iter().any(|problem| problem.starts_with(&said)), "{said}: {:?}", taken.problems);
    }
    assert_eq!(taken.problems.len(), 7, "{:?}", taken.problems);
    assert_eq!(
        taken.passed_over,
        [
            "Takeout/Google Photos/a/._types.jpg (a file of the system)",
            "Takeout/Google Photos/a/gone-trash.jpg.json (in the trash of Google Photos)",
            "Takeout/Google Photos/a/list.json (says nothing of a photo or an album)",
            "Takeout/Google Photos/a/notes.txt (no photo, film or recording)",
            "Takeout/Google Photos/a/trash.jpg (in the trash of Google Photos)",
            "Takeout/Google Photos/a/trash.jpg.json (in the trash of Google Photos)",
            "Takeout/Google Photos/a/trash.mp4 (in the trash of Google Photos)",
            "Takeout/Google Photos/a/twice(1).jpg (the same file once more)",
            "Takeout/Google Photos/print-subscriptions.json (prints that were ordered)",
            "Takeout/Keep/note.json (of Google Keep: import the notes with --format keep)",
            "Takeout/archive_browser.html (the list of what is in the Takeout)",
        ]
    );
}

#[test]
fn it_is_found_out_what_a_takeout_is() {
    let Some(keep) = genuine("google-keep/Takeout") else { return };
    let detect = |path: &Path| keepsake_formats::import::detect(&Input::open(path).expect("open")).map(Format::name).ok();
    assert_eq!(detect(&keep), Some("keep"));
    let Some(sidecars) = genuine("google-takeout-photos/Takeout") else { return };
    assert_eq!(detect(&sidecars), Some("takeout-photos"));
    assert_eq!(detect(&sidecars.join("Google Photos/Adelaide")), Some("takeout-photos"));
    let taken = take(&sidecars, None).expect("readable");
    assert!(taken.drafts.is_empty() && taken.problems.len() == 7, "each sidecar without its file is named: {:?}", taken.problems);
    let space = tempfile::tempdir().expect("space");
    put(space.path(), &tree(&[("a/IMG_1.jpg.json", sidecar("IMG_1.jpg", 1, json!({})))]));
    for note in ["a.md", "b.md"] {
        fs::write(space.path().join(note), "words").expect("written");
    }
    assert_eq!(detect(space.path()), Some("markdown"), "a vault that holds a sidecar is a vault");
}
