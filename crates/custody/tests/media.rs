//! Exports of the files themselves: every byte as it was or as it was asked for, ExifTool reads what is told beside each, and an import takes it back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use keepsake_custody::{
    BagFormat, ExportOptions, ExportReport, Layout, MediaOptions, MemoryDraft, MemoryEdit, PictureFormat, Silent, drawn_photo,
};
use keepsake_record::{Attachment, AttachmentRole, Collection, Memory, Person, Place, Sha256Digest};

use crate::support::{Home, data, files, home};

async fn export(home: &Home, name: &str, media: MediaOptions, for_sharing: bool) -> (ExportReport, PathBuf) {
    let out = home.folder.path().join(name);
    let options = ExportOptions { out: out.clone(), format: BagFormat::Media(media), for_sharing, ..ExportOptions::default() };
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    (report, out.join("data"))
}

fn by(layout: Layout) -> MediaOptions {
    MediaOptions { layout, ..MediaOptions::default() }
}

/// The list of files, by column.
fn list(folder: &Path) -> Vec<BTreeMap<String, String>> {
    const READ: &str = "import csv, json, sys\nprint(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))))";
    let ran = Command::new("python3").arg("-c").arg(READ).arg(folder.join("media.csv")).output().expect("Python runs");
    serde_json::from_slice(&ran.stdout).expect("rows")
}

/// What ExifTool reads in files, by their names.
fn exiftool(folder: &Path, ending: &str) -> Option<BTreeMap<String, serde_json::Value>> {
    let asked = ["-j", "-G1", "-n", "-struct", "-r", "-ext", ending];
    let Ok(ran) = Command::new("exiftool").args(asked).arg(folder).output() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "ExifTool is not installed: run scripts/test");
        println!("no exiftool: nobody else read the words; scripts/test installs it");
        return None;
    };
    let all: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout).expect("JSON");
    Some(all.into_iter().map(|file| (file["SourceFile"].as_str().expect("a path").to_owned(), file)).collect())
}

fn below(folder: &Path) -> BTreeSet<String> {
    files(folder).iter().map(|path| path.strip_prefix(folder).expect("below").to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_told() {
    let home = home().await;
    home.fill_every_field().await;
    let (report, folder) = export(&home, "media", by(Layout::Date), false).await;
    assert_eq!(report.skipped.len(), 1, "{:?}", report.skipped);
    assert!(report.skipped[0].0.starts_with("two.txt") && report.skipped[0].1.contains("never arrived"), "{:?}", report.skipped);
    let photo = "2024/2024-03/2024-03-17 =1.jpg";
    assert_eq!(below(&folder), BTreeSet::from(["media.csv".to_owned(), photo.to_owned(), format!("{photo}.xmp")]));
    assert_eq!(fs::read(folder.join(photo)).expect("read"), b"a photo");
    let at = fs::metadata(folder.join(photo)).expect("there").modified().expect("a time");
    assert_eq!(at.duration_since(std::time::UNIX_EPOCH).expect("later").as_millis(), 1_710_583_200_500, "when it was taken");
    let row = &list(&folder)[0];
    let digest = Sha256Digest::of(b"a photo").to_string();
    assert_eq!((row["file"].as_str(), row["sha256"].as_str(), row["original_sha256"].as_str()), (photo, digest.as_str(), digest.as_str()));
    assert_eq!((row["done"].as_str(), row["attachment"].as_str(), row["name"].as_str()), ("original", "one", "=1.jpg"));

    let Some(said) = exiftool(&folder, "xmp") else { return };
    let (_, said) = said.first_key_value().expect("a sidecar");
    let taken = "2024:03:16 10:00:00.5+00:00";
    let told = serde_json::json!({
        "XMP-dc:Title": "A title", "XMP-dc:Description": "& so on", "XMP-dc:Subject": ["a/b", "yes"], "XMP-dc:Language": ["pt-PT"],
        "XMP-iptcCore:AltTextAccessibility": "a <swallow> \"above\" the sea",
        "XMP-exif:DateTimeOriginal": taken, "XMP-photoshop:DateCreated": taken, "XMP-xmp:CreateDate": taken,
        "XMP-exif:GPSLatitude": 38.7, "XMP-exif:GPSLongitude": -9.1, "XMP-exif:GPSAltitude": 3, "XMP-exif:GPSAltitudeRef": 1,
        "XMP-exif:GPSHPositioningError": 5.5,
        "XMP-iptcCore:Location": "Alfama", "XMP-photoshop:City": "Lisbon", "XMP-photoshop:State": "Lisboa", "XMP-photoshop:Country": "Portugal",
        "XMP-iptcExt:PersonInImage": ["Ada Lovelace"],
        "XMP-lr:HierarchicalSubject": ["a|b", "yes", "Collections|An <album>"],
        "XMP-xmp:Rating": 5, "XMP-xmpMM:PreservedFileName": "=1.jpg",
        "XMP-keepsake:Memory": "01900000-0000-7000-8000-0000000000aa", "XMP-keepsake:Attachment": "one",
        "XMP-keepsake:Kind": "photo", "XMP-keepsake:Visibility": "unlisted", "XMP-keepsake:Sensitivity": "sensitive",
        "XMP-keepsake:Text": "See ![x](keepsake:attachment/one)",
    });
    for (field, value) in told.as_object().expect("fields") {
        match value.as_f64().filter(|_| field.starts_with("XMP-exif:GPS")) {
            Some(number) => assert!((said[field].as_f64().expect("a number") - number).abs() < 1e-8, "{field}: {}", said[field]),
            None => assert_eq!(&said[field], value, "{field}"),
        }
    }
    assert!(said.get("ExifTool:Warning").is_none(), "{said}");
}

/// The records of a home, and what its people, places and collections are called.
struct Told {
    memories: Vec<Memory>,
    people: BTreeMap<String, String>,
    places: BTreeMap<String, Place>,
    collections: BTreeMap<String, String>,
}

async fn told(home: &Home, name: &str) -> Told {
    let out = home.folder.path().join(name);
    home.custody
        .export(home.owner, &ExportOptions { out: out.clone(), ..ExportOptions::default() }, Arc::new(Silent))
        .await
        .expect("export");
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let memories = files(&out.join("data/memories")).iter().flat_map(|path| lines(path)).collect::<Vec<_>>();
    let read = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let things = |name: &str| lines(&out.join("data").join(name)).iter().map(read).collect::<Vec<_>>();
    let person = |value| serde_json::from_value::<Person>(value).map(|person| (person.id.to_string(), person.name)).expect("a person");
    let place = |value| serde_json::from_value::<Place>(value).map(|place| (place.id.to_string(), place)).expect("a place");
    let named = |value| serde_json::from_value::<Collection>(value).map(|one| (one.id.to_string(), one.name)).expect("a collection");
    Told {
        memories: memories.iter().map(|line| Memory::from_line(line.as_bytes()).expect("a memory")).collect(),
        people: things("people.ndjson").into_iter().map(person).collect(),
        places: things("places.ndjson").into_iter().map(place).collect(),
        collections: things("collections.ndjson").into_iter().map(named).collect(),
    }
}

impl Told {
    /// What must come back of a file, as lines; what only some have is told if `asked` has it.
    fn of(
        &self,
        memory: &Memory,
        attachment: &Attachment,
        asked: Option<&BTreeSet<&'static str>>,
    ) -> (BTreeSet<&'static str>, Vec<String>) {
        let mut there = BTreeSet::new();
        let mut lines = vec![attachment.medium.as_ref().map(|medium| medium.sha256.to_string()).unwrap_or_default()];
        let place = memory.place.and_then(|id| self.places.get(&id.to_string()));
        let people: BTreeSet<&String> = memory.people.iter().map(|id| &self.people[&id.to_string()]).collect();
        let collections: BTreeSet<&String> = memory.collections.iter().map(|one| &self.collections[&one.collection.to_string()]).collect();
        let text = memory.text.replace(&format!("keepsake:attachment/{}", attachment.key), "keepsake:attachment/original");
        lines.push(format!("{:?} {:?} {:?} {people:?} {collections:?}", memory.title.as_deref().map(str::trim), memory.when, memory.tags));
        lines.push(format!("{:?}", place.map(|place| (&place.name, &place.locality, &place.area, &place.country))));
        lines.push(format!("{} {:?} {:?} {:?}", memory.starred, memory.kind, memory.language, memory.visibility));
        lines.push(format!("{} {:?}", text.trim(), attachment.name));
        let position = attachment
            .position
            .or(memory.position)
            .map(|at| format!("{:.6} {:.6} {:?}", at.latitude, at.longitude, at.altitude.map(f64::round)));
        let caption = attachment.caption.as_deref().map(|caption| caption.trim().to_owned());
        let alt = attachment.alt.as_deref().map(|alt| alt.trim().to_owned());
        let captured = attachment.captured.as_ref().map(|when| format!("{when:?}"));
        for (name, value) in [("position", position), ("caption", caption), ("alt", alt), ("captured", captured)] {
            if let Some(value) = value {
                there.insert(name);
                if asked.is_none_or(|asked| asked.contains(name)) {
                    lines.push(format!("{name} {value}"));
                }
            }
        }
        (there, lines)
    }
}

/// Exports media, imports them into an empty home, and compares what each file is told to be. What no record says a file may say itself.
async fn comes_back(home: &Home) -> usize {
    let (report, folder) = export(home, "media", by(Layout::Date), false).await;
    assert!(
        report.skipped.iter().all(|(_, reason)| reason.contains("never arrived") || reason.contains("cannot be read")),
        "{:?}",
        report.skipped
    );
    for row in list(&folder) {
        let bytes = fs::read(folder.join(&row["file"])).expect("read");
        assert_eq!(
            (Sha256Digest::of(&bytes).to_string(), &row["sha256"]),
            (row["original_sha256"].clone(), &row["original_sha256"]),
            "{row:?}"
        );
    }
    let other = self::home().await;
    let taken = other.import(folder.parent().expect("the bag")).await;
    let (was, is) = (told(home, "was").await, told(&other, "is").await);
    let mut wanted: Vec<_> = Vec::new();
    for memory in &was.memories {
        for attachment in memory
            .attachments
            .iter()
            .filter(|one| one.medium.is_some() && [AttachmentRole::Original, AttachmentRole::Edited].contains(&one.role))
        {
            wanted.push(was.of(memory, attachment, None));
        }
    }
    wanted.sort_by(|one, other| one.1.cmp(&other.1));
    let count = wanted.len();
    for (there, lines) in wanted {
        let found = is.memories.iter().any(|memory| is.of(memory, &memory.attachments[0], Some(&there)).1 == lines);
        let near: Vec<_> = is
            .memories
            .iter()
            .map(|memory| is.of(memory, &memory.attachments[0], Some(&there)).1)
            .filter(|other| other[0] == lines[0])
            .collect();
        assert!(found, "{lines:#?}\ncame back as {near:#?}");
    }
    assert_eq!(is.memories.len(), count, "{:?}", taken.problems);
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_comes_back() {
    let (Some(day_one), Some(photos), Some(permissive)) =
        (data("dayone-export/export"), data("photos-exif-samples"), data("photos-permissive"))
    else {
        return;
    };
    for from in [day_one, photos, permissive] {
        let home = home().await;
        home.import(&from).await;
        println!("{}: {} files came back", from.display(), comes_back(&home).await);
    }
    let Some(takeout) = data("google-takeout-photos/Takeout") else { return };
    let Some(photo) = data("photos-permissive/piexif/01.jpg") else { return };
    // The sample has sidecars alone: each gets a photo, no two the same.
    let home = home().await;
    let tree = home.folder.path().join("Takeout");
    crate::support::copy_folder(&takeout, &tree);
    let bytes = fs::read(photo).expect("read");
    for (number, json) in files(&tree).iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")).enumerate() {
        let name = json.with_extension("");
        if name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg") || ending.eq_ignore_ascii_case("jpeg")) {
            fs::write(&name, [bytes.as_slice(), &number.to_be_bytes()].concat()).expect("written");
        }
    }
    home.import(&tree).await;
    println!("Takeout: {} files came back", comes_back(&home).await);
}

async fn add(home: &Home, name: &str, seed: u64, date: &str) -> Memory {
    let photo = home.folder.path().join(name);
    fs::write(&photo, drawn_photo(seed, 90, 60)).expect("written");
    let draft = MemoryDraft { date: Some(date.to_owned()), attach: vec![photo], ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_stand_where_they_belong() {
    let home = home().await;
    let first = add(&home, "IMG_1.bmp", 1, "2024-03-17T23:30:00+01:00").await;
    add(&home, "img_1.bmp", 2, "2024-03-17").await;
    add(&home, "CON.bmp", 3, "1978-06~").await;
    for name in ["Sea / side", "sea - side", "media.csv"] {
        home.custody.create_collection(home.owner, name).await.expect("added");
        home.custody.set_membership(home.owner, name, &first.id.to_string(), true).await.expect("put");
    }
    let (report, folder) = export(&home, "dates", by(Layout::Date), false).await;
    assert_eq!(report.skipped, []);
    let dates = below(&folder);
    let wanted = ["2024/2024-03/2024-03-17 IMG_1.bmp", "2024/2024-03/2024-03-17 img_1 (2).bmp", "Without a day/_CON.bmp"];
    assert!(wanted.iter().all(|path| dates.contains(*path) && dates.contains(&format!("{path}.xmp"))), "{dates:?}");
    assert_eq!(dates.len(), 7);

    let (_, folder) = export(&home, "collections", by(Layout::Collection), false).await;
    let there = below(&folder);
    for path in [
        "Sea - side/2024-03-17 IMG_1.bmp",
        "sea - side (2)/2024-03-17 IMG_1.bmp",
        "media.csv (2)/2024-03-17 IMG_1.bmp",
        "In no collection/_CON.bmp",
    ] {
        assert!(there.contains(path), "{there:?}");
    }
    let (_, folder) = export(&home, "people", by(Layout::Person), false).await;
    assert!(below(&folder).iter().all(|path| path == "media.csv" || path.starts_with("Without people/")));

    // The same in every container, and each time; archives say when a file is of.
    let (again, _) = export(&home, "again", by(Layout::Date), false).await;
    assert_eq!(again.parts[0].sha256, report.parts[0].sha256);
    let (zipped, _) = export(&home, "dates.zip", by(Layout::Date), false).await;
    let (packed, _) = export(&home, "dates.tar.gz", by(Layout::Date), false).await;
    assert_eq!((zipped.files, packed.files, zipped.bytes), (report.files, report.files, packed.bytes));
    const TIMES: &str = "import sys, tarfile, zipfile\nname = 'dates/data/2024/2024-03/2024-03-17 IMG_1.bmp'\nprint(zipfile.ZipFile(sys.argv[1]).getinfo(name).date_time, tarfile.open(sys.argv[2]).getmember(name).mtime)";
    let archives = [home.folder.path().join("dates.zip"), home.folder.path().join("dates.tar.gz")];
    let ran = Command::new("python3").arg("-c").arg(TIMES).args(&archives).output().expect("Python runs");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "(2024, 3, 17, 23, 30, 0) 1710714600");
    if let Some(bagit) = std::env::var_os("KEEPSAKE_BAGIT") {
        assert!(Command::new(bagit).arg("--validate").arg(home.folder.path().join("dates")).output().expect("bagit runs").status.success());
    }
    let other = self::home().await;
    assert_eq!(other.import(&archives[0]).await.new, 3, "it is known for what it is");
    let parts = ExportOptions {
        out: home.folder.path().join("parts"),
        format: BagFormat::Media(by(Layout::Date)),
        part_bytes: Some(1 << 20),
        ..ExportOptions::default()
    };
    assert!(home.custody.export(home.owner, &parts, Arc::new(Silent)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_go_into_photos() {
    let Some(from) = data("photos-exif-samples") else { return };
    let home = home().await;
    home.import(&from).await;
    for memory in told(&home, "records").await.memories {
        let edit = MemoryEdit { title: Some("Told".into()), ..MemoryEdit::default() };
        home.custody.edit_memory(home.owner, &memory.id.to_string(), &edit).await.expect("edited");
    }
    let (report, folder) = export(&home, "media", MediaOptions { embed: true, ..MediaOptions::default() }, false).await;
    println!("{:?}", report.skipped);
    assert!(report.skipped.iter().all(|(_, reason)| reason.contains("beside it, and not inside")), "{:?}", report.skipped);
    let rows = list(&folder);
    let inside: Vec<_> = rows.iter().filter(|row| row["done"] == "with XMP inside").collect();
    assert!(inside.len() >= 60, "{} of {}", inside.len(), rows.len());
    for row in &rows {
        let is_told_beside = !row["sidecar"].is_empty() && folder.join(&row["sidecar"]).is_file();
        assert_eq!(is_told_beside, row["done"] == "original", "{row:?}");
        let bytes = fs::read(folder.join(&row["file"])).expect("read");
        assert_eq!(Sha256Digest::of(&bytes).to_string(), row["sha256"]);
        assert_eq!(row["done"] == "original", row["sha256"] == row["original_sha256"]);
    }
    // An import reads what stands inside as it reads what stands beside.
    let other = self::home().await;
    other.import(folder.parent().expect("the bag")).await;
    let back = told(&other, "back").await.memories;
    assert_eq!(back.len(), rows.len());
    for memory in &back {
        assert_eq!(memory.title.as_deref(), Some("Told"), "{memory:?}");
    }
    let Some(said) = exiftool(&folder, "jpg") else { return };
    for row in inside.iter().filter(|row| row["file"].ends_with(".jpg")) {
        let file = &said[folder.join(&row["file"]).to_str().expect("text")];
        assert_eq!(file["XMP-dc:Title"], "Told", "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_become_smaller_and_others() {
    let (Some(photos), Some(films)) = (data("photos-permissive"), data("audio-video/mdn-cc0")) else { return };
    let home = home().await;
    home.import(&photos).await;
    home.import(&films).await;
    let asked = MediaOptions { embed: true, convert: Some(PictureFormat::WebP), side_max: Some(64), ..MediaOptions::default() };
    let (report, folder) = export(&home, "media", asked, false).await;
    for (what, reason) in &report.skipped {
        println!("{what}: {reason}");
        let known = ["installed", "cannot be decoded", "raw files", "moves", "FFmpeg", "heif", "known here", "several pictures", "own XMP"];
        assert!(known.iter().any(|word| reason.contains(word)), "{what}: {reason}");
    }
    let rows = list(&folder);
    let pictures: Vec<_> = rows.iter().filter(|row| row["done"] == "converted, with XMP inside").collect();
    assert!(pictures.len() >= 15, "{} of {}", pictures.len(), rows.len());
    assert!(pictures.iter().all(|row| row["file"].ends_with(".webp") && row["sha256"] != row["original_sha256"]));
    for row in &rows {
        let bytes = fs::read(folder.join(&row["file"])).expect("read");
        assert_eq!((Sha256Digest::of(&bytes).to_string(), bytes.len().to_string()), (row["sha256"].clone(), row["bytes"].clone()));
        assert!(row["done"] != "original" || row["sha256"] == row["original_sha256"]);
    }
    let Some(said) = exiftool(&folder, "webp") else { return };
    for row in &pictures {
        let file = &said[folder.join(&row["file"]).to_str().expect("text")];
        let side = |name: &str| file[format!("RIFF:{name}")].as_u64().or(file[format!("File:{name}")].as_u64()).expect("a side");
        assert!(side("ImageWidth").max(side("ImageHeight")) <= 64, "{file}");
        assert_eq!(file["XMP-xmpMM:PreservedFileName"], row["name"].as_str(), "{row:?}");
    }
    assert!(
        pictures.iter().any(|row| said[folder.join(&row["file"]).to_str().expect("text")].get("XMP-tiff:Model").is_some()),
        "cameras are told"
    );
    // Whatever became of films, they play: ExifTool finds out how long they are.
    let films: Vec<_> = rows.iter().filter(|row| row["done"] == "converted").collect();
    println!("{} films and recordings were converted", films.len());
    if let Some(said) = exiftool(&folder, "mp4") {
        for row in films.iter().filter(|row| row["file"].ends_with(".mp4")) {
            let file = &said[folder.join(&row["file"]).to_str().expect("text")];
            assert!(file["QuickTime:Duration"].as_f64().is_some_and(|seconds| seconds > 0.5), "{file}");
            assert!(file["Track1:ImageWidth"].as_u64().is_some_and(|side| side <= 64), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_get_no_more_than_was_meant() {
    let Some(from) = data("photos-exif-samples/gps") else { return };
    let home = home().await;
    home.import(&from).await;
    for (name, embed) in [("beside", false), ("inside", true)] {
        let (report, folder) = export(&home, name, MediaOptions { embed, ..MediaOptions::default() }, true).await;
        assert_eq!(report.skipped, []);
        for path in files(&folder) {
            let bytes = fs::read(&path).expect("read");
            for word in ["NIKON", "GPS"] {
                assert!(!bytes.windows(word.len()).any(|some| some == word.as_bytes()), "{} holds {word}", path.display());
            }
        }
        let rows = list(&folder);
        assert_eq!(rows.len(), files(&from).len());
        let originals: BTreeSet<String> =
            files(&from).iter().map(|path| Sha256Digest::of(&fs::read(path).expect("read")).to_string()).collect();
        assert!(rows.iter().all(|row| !originals.contains(&row["sha256"]) && !originals.contains(&row["original_sha256"])));
    }
}
