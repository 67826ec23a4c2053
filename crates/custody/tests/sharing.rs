//! Exports for others: nothing in them tells more than was meant, whoever looks, and in whatever file.

use std::{fs, path::Path, process::Command, sync::Arc};

use keepsake_custody::{BagFormat, ExportOptions, ExportReport, ImportMode, ImportOptions, MemoryDraft, Silent};
use keepsake_record::{Memory, Sensitivity};

use crate::support::{Home, data, files, home};

async fn share(home: &Home, name: &str, format: BagFormat, filter: Option<&str>) -> ExportReport {
    let filter = filter.map(|filter| filter.parse().expect("a filter"));
    let options = ExportOptions { out: home.folder.path().join(name), format, filter, for_sharing: true, ..ExportOptions::default() };
    home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export")
}

fn memories(folder: &Path) -> Vec<Memory> {
    let all = files(&folder.join("data/memories"));
    let lines = all.iter().flat_map(|path| fs::read(path).expect("read").split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>());
    lines.filter(|line| !line.is_empty()).map(|line| Memory::from_line(&line).expect("a memory")).collect()
}

/// No file of a folder holds some words.
fn nowhere(folder: &Path, words: &[&str]) {
    // What fields there may be is the same for everybody, and names them all.
    let told = |path: &std::path::PathBuf| !["bundle.schema.json", "FIELDS.md"].iter().any(|name| path.ends_with(name));
    for path in files(folder).into_iter().filter(told) {
        let bytes = fs::read(&path).expect("read");
        for word in words {
            assert!(!bytes.windows(word.len()).any(|some| some == word.as_bytes()), "{} holds {word}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_tell_what_was_meant() {
    let home = home().await;
    home.fill_every_field().await;
    let secret = MemoryDraft { title: Some("Nobody's business".into()), text: "hushhush".into(), ..MemoryDraft::default() };
    let secret = home.custody.add_memory(home.owner, &secret).await.expect("added");
    let mut write = home.custody.vault().write(home.owner, "test").await.expect("write");
    let hidden = Memory { sensitivity: Sensitivity::Sensitive, ..secret.clone() };
    assert!(write.put_memory(&hidden).await.expect("put"));
    let entry = home.entry();
    write.commit(&entry).await.expect("commit");

    // The memory with every field is sensitive, too: named by the filter, it is there.
    let report = share(&home, "shared", BagFormat::Json, Some("kind:photo sensitivity:sensitive")).await;
    assert_eq!(report.skipped.len(), 1, "{:?}", report.skipped);
    assert!(report.skipped[0].1.contains("no copy for others"), "what is no picture stays here: {:?}", report.skipped);
    let shared = home.folder.path().join("shared");
    let [memory] = memories(&shared).try_into().expect("one memory");
    let full: Memory = Memory { text: memory.text.clone(), ..memory.clone() };
    assert_eq!((full.position, full.source, full.custom.len(), full.extra.len(), full.provenance.len()), (None, None, 0, 0, 0));
    assert!(full.place.is_some() && full.tags.len() == 2 && full.people.len() == 1 && full.title.as_deref() == Some("A title"));
    let attachment = &memory.attachments[0];
    assert_eq!((attachment.position, attachment.camera.as_deref(), attachment.medium.is_some()), (None, None, false));
    assert!(attachment.custom.is_empty() && attachment.expected.is_none() && attachment.caption.is_some());
    // Positions, cameras, custom fields, sources, other names, birth, consents, insights, the filter, what is sensitive.
    nowhere(
        &shared,
        &[
            "38.7",
            "179.9",
            "Keepsake 1",
            "50 mm",
            "dayone",
            "A.\"",
            "1815",
            "faces",
            "moods",
            "kind:photo",
            "hushhush",
            "d41d8cd9",
            "colour\":\"x",
        ],
    );

    home.custody.add_memory(home.owner, &MemoryDraft { text: "a plain one".into(), ..MemoryDraft::default() }).await.expect("added");
    for (name, format) in [("lines", BagFormat::Json), ("pages", BagFormat::Html), ("notes", BagFormat::Markdown), ("xml", BagFormat::Xml)]
    {
        let report = share(&home, name, format, None).await;
        assert_eq!((report.memories, report.skipped.len()), (1, 0), "{name}: what is sensitive is left out unless it is asked for");
        nowhere(&home.folder.path().join(name), &["hushhush", "A title", "sensitivity:"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_are_copies_that_come_back() {
    let Some(from) = data("photos-exif-samples/gps") else { return };
    let home = home().await;
    home.custody.import(home.owner, &from, &ImportOptions::default(), ImportMode::Apply, Arc::new(Silent)).await.expect("import");
    let report = share(&home, "shared", BagFormat::Json, None).await;
    assert_eq!(report.skipped, []);
    let shared = home.folder.path().join("shared");
    let photos = files(&shared.join("data/media"));
    assert_eq!(photos.len(), files(&from).len());
    nowhere(&shared, &["NIKON", "GPS", "\"latitude\""]);
    if let Ok(ran) =
        Command::new("exiftool").args(["-j", "-G1", "-r", "-GPS:all", "-Make", "-Model", "-ThumbnailImage"]).arg(&shared).output()
    {
        let said: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert!(said.iter().all(|file| file.keys().all(|field| field == "SourceFile")), "{said:?}");
    }
    // It is a bundle of its own, and a bag.
    if let Some(bagit) = std::env::var_os("KEEPSAKE_BAGIT") {
        assert!(Command::new(bagit).arg("--validate").arg(&shared).output().expect("bagit runs").status.success());
    }
    let other = self::home().await;
    let taken = other.import(&shared).await;
    assert_eq!((taken.new, taken.problems.len()), (photos.len() as u64, 0), "{taken:?}");

    // Pages show small pictures of the copies.
    let report = share(&home, "pages", BagFormat::Html, None).await;
    assert_eq!(report.skipped, []);
    let pages = home.folder.path().join("pages/data");
    assert_eq!((files(&pages.join("small")).len(), files(&pages.join("media")).len()), (photos.len(), photos.len()));
    nowhere(&pages, &["NIKON", "GPS"]);
    let originals = files(&from).iter().map(|path| fs::read(path).expect("read")).collect::<Vec<_>>();
    assert!(files(&pages).iter().all(|path| !originals.contains(&fs::read(path).expect("read"))));
}
