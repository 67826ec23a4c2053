//! Exports as books: what a typesetter is given, and what stands there afterwards. The typesetter here notes what it gets; the real one has tests of its own.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use keepsake_custody::{BookOptions, BookReport, CustodyResult, MemoryDraft, Paper, Silent, Typesetter, drawn_photo};
use keepsake_formats::{
    book::{Leaf, Printed, Volume},
    text::{Block, plain},
};
use keepsake_record::Sha256Digest;

use crate::support::{Home, home};

#[derive(Default)]
struct Noting {
    volumes: Mutex<Vec<Volume>>,
    /// It cannot set leaves with this heading.
    refuses: Option<&'static str>,
}

impl Typesetter for Noting {
    fn ending(&self) -> &'static str {
        "pdf"
    }

    fn side_max(&self, _: Paper) -> u32 {
        1_000
    }

    fn set(&self, volume: &Volume) -> Result<Printed, String> {
        if volume.leaves.iter().any(|leaf| Some(leaf.heading.as_str()) == self.refuses) {
            return Err("it does not like that".into());
        }
        self.volumes.lock().expect("no holder panics").push(volume.clone());
        Ok(Printed { file: volume.ident.clone().into_bytes(), pages: Some(3), replaced: BTreeMap::from([('x', 2)]) })
    }
}

impl Noting {
    fn leaves(&self) -> Vec<Leaf> {
        self.volumes.lock().expect("no holder panics").iter().flat_map(|volume| volume.leaves.clone()).collect()
    }
}

fn options(home: &Home) -> BookOptions {
    let out = home.folder.path().join("out").join("book.pdf");
    fs::create_dir_all(out.parent().expect("a folder")).expect("made");
    BookOptions { out, with_data: true, ..BookOptions::default() }
}

async fn made(home: &Home, typesetter: &Arc<Noting>) -> CustodyResult<BookReport> {
    let made = home.custody.export_book(home.owner, &options(home), typesetter.clone(), Arc::new(Silent)).await;
    made.map(|made| made.report)
}

fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.folder.path().join("out")).expect("the folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

async fn add(home: &Home, title: &str, date: &str, text: &str) -> MemoryDraft {
    let draft = MemoryDraft { text: text.into(), title: Some(title.into()), date: Some(date.into()), ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
    draft
}

fn words(leaf: &Leaf) -> String {
    let of = |block: &Block| if let Block::Paragraph(pieces) = block { plain(pieces) } else { String::new() };
    leaf.blocks.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn memories_stand_in_their_order_in_a_file_beside_its_manifest() {
    let home = home().await;
    add(&home, "Third", "2024-03-18", "c").await;
    add(&home, "Second", "2024-03-17T10:00:00Z", "b").await;
    add(&home, "First", "2024-03-17T09:00:00Z", "a").await;
    add(&home, "Some day", "199X", "undated").await;
    add(&home, "Later", "2024-04-01", "d").await;
    let typesetter = Arc::<Noting>::default();
    let report = made(&home, &typesetter).await.expect("made");
    let leaves = typesetter.leaves();
    let headings: Vec<_> = leaves.iter().map(|leaf| leaf.heading.as_str()).collect();
    assert_eq!(headings, ["First", "Second", "Third", "Later", "Some day"]);
    let parts: Vec<_> = leaves.iter().map(|leaf| leaf.part.as_deref()).collect();
    assert_eq!(parts, [Some("March 2024"), None, None, Some("April 2024"), Some("Without a day")]);
    assert_eq!(leaves[1].facts, ["Sunday, 17 March 2024, 10:00, UTC"]);
    let volume = typesetter.volumes.lock().expect("no holder panics")[0].clone();
    let data = volume.data.expect("data was asked for");
    assert_eq!((data.iter().filter(|byte| **byte == b'\n').count(), volume.number), (5, None));
    assert_eq!((report.memories, report.volumes.len(), report.replaced["U+0078"]), (5, 1, 2));
    assert_eq!(names(&home), ["book.pdf", "book.pdf.manifest.json"]);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(home.folder.path().join("out/book.pdf.manifest.json")).expect("read")).expect("JSON");
    let digest = Sha256Digest::of(&fs::read(home.folder.path().join("out/book.pdf")).expect("read"));
    assert_eq!(manifest["volumes"][0]["sha256"], digest.to_string());
    let refused = made(&home, &typesetter).await.expect_err("it is there already").to_string();
    assert!(refused.contains("is there already"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_long_comes_in_volumes_and_no_word_is_lost() {
    let home = home().await;
    let paragraph = "one two three four five six seven eight nine ten ".repeat(400);
    let long = vec![paragraph.as_str(); 110].join("\n\n");
    add(&home, "Long", "2024-03-17", &long).await;
    add(&home, "One paragraph", "2024-03-18", &"word ".repeat(250_000)).await;
    add(&home, "Short", "2024-03-19", "end").await;
    let typesetter = Arc::<Noting>::default();
    let report = made(&home, &typesetter).await.expect("made");
    let volumes = typesetter.volumes.lock().expect("no holder panics").clone();
    assert!(volumes.len() >= 3 && report.volumes.len() == volumes.len(), "{}", volumes.len());
    assert_eq!(volumes.iter().map(|volume| volume.number).collect::<Vec<_>>(), (1..=volumes.len()).map(Some).collect::<Vec<_>>());
    assert!(volumes.iter().all(|volume| volume.leaves[0].part.is_some()), "each volume begins with a part");
    let leaves = typesetter.leaves();
    let count = |heading: &str, word: &str| {
        let of = leaves.iter().filter(|leaf| leaf.heading.starts_with(heading)).map(words).collect::<Vec<_>>().join(" ");
        of.split_whitespace().filter(|found| *found == word).count()
    };
    assert_eq!(count("Long", "seven"), 110 * 400);
    // A paragraph of more than a volume is cut between letters: the words at the cuts are in two.
    let cuts = leaves.iter().filter(|leaf| leaf.heading.starts_with("One paragraph")).map(|leaf| leaf.blocks.len()).sum::<usize>();
    assert!(count("One paragraph", "word") >= 250_000 - cuts);
    let lines = |volume: &Volume| volume.data.iter().flatten().filter(|byte| **byte == b'\n').count();
    assert_eq!(volumes.iter().map(lines).sum::<usize>(), 3, "each memory is in one volume's data");
    let mut expected: Vec<String> = (1..=volumes.len()).map(|number| format!("book-{number}.pdf")).collect();
    expected.push("book.pdf.manifest.json".into());
    assert_eq!(names(&home), expected);
}

/// A long text is cut between its blocks: what its pieces show, and how their headings begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_keeps_its_photos_and_its_levels() {
    let home = home().await;
    let photo = home.folder.path().join("one.bmp");
    fs::write(&photo, drawn_photo(7, 40, 20)).expect("written");
    let draft = MemoryDraft { title: Some("Long".into()), date: Some("2024-03-17".into()), attach: vec![photo], ..MemoryDraft::default() };
    let memory = home.custody.add_memory(home.owner, &draft).await.expect("added");
    let shown = format!("![](keepsake:attachment/{})", memory.attachments[0].key);
    let filler = vec!["word ".repeat(20_000); 11].join("\n\n");
    let text = format!("# One\n\n## Two\n\n{shown}\n\n{filler}\n\n### Three\n\n{shown}\n\n![gone](keepsake:attachment/none)");
    let edit = keepsake_custody::MemoryEdit { text: Some(text), ..keepsake_custody::MemoryEdit::default() };
    home.custody.edit_memory(home.owner, &memory.id.to_string(), &edit).await.expect("edited");
    let typesetter = Arc::<Noting>::default();
    let report = made(&home, &typesetter).await.expect("made");
    let leaves = typesetter.leaves();
    assert_eq!(leaves.len(), 2, "{:?}", leaves.iter().map(|leaf| &leaf.heading).collect::<Vec<_>>());
    assert!(leaves.iter().all(|leaf| leaf.figures.len() == 1), "it is in both");
    let first = leaves[1].blocks.iter().find_map(|block| if let Block::Heading(level, _) = block { Some(*level) } else { None });
    assert_eq!(first, Some(1), "a piece begins as every text does");
    assert!(report.skipped.len() == 1 && report.skipped[0].0.starts_with("none of "), "{:?}", report.skipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_there_is_replaced() {
    let home = home().await;
    add(&home, "Long", "2024-03-17", &vec!["word ".repeat(20_000); 25].join("\n\n")).await;
    let other = options(&home).out.with_file_name("book-2.pdf");
    fs::write(&other, "somebody else's").expect("written");
    let refused = made(&home, &Arc::default()).await.expect_err("it is there already").to_string();
    assert!(refused.contains("book-2.pdf is there already"), "{refused}");
    // The volume that is whole stays, and the next call goes on after it.
    assert_eq!(names(&home), ["book-1.pdf", "book-2.pdf"]);
    assert_eq!(fs::read_to_string(&other).expect("read"), "somebody else's");
    fs::rename(&other, other.with_file_name("theirs.pdf")).expect("moved");
    made(&home, &Arc::default()).await.expect("made");
    assert_eq!(names(&home), ["book-1.pdf", "book-2.pdf", "book.pdf.manifest.json", "theirs.pdf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_strange_memory_does_not_keep_the_others_out() {
    let home = home().await;
    for number in 1..=9 {
        add(&home, &format!("Number {number}"), &format!("2024-03-0{number}"), "text").await;
    }
    let typesetter = Arc::new(Noting { refuses: Some("Number 6"), ..Noting::default() });
    let report = made(&home, &typesetter).await.expect("made");
    assert_eq!(report.skipped, [("Number 6".to_owned(), "it cannot be set: it does not like that".to_owned())]);
    let last = typesetter.volumes.lock().expect("no holder panics").last().expect("a volume").clone();
    let headings: Vec<_> = last.leaves.iter().map(|leaf| leaf.heading.clone()).collect();
    assert_eq!((headings.len(), headings[5].as_str(), headings[6].as_str()), (9, "(left out)", "Number 7"));
}

struct Never;

impl Typesetter for Never {
    fn ending(&self) -> &'static str {
        "pdf"
    }

    fn side_max(&self, _: Paper) -> u32 {
        1_000
    }

    fn set(&self, _volume: &Volume) -> Result<Printed, String> {
        Err("no".into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_cannot_be_made_leaves_nothing_behind() {
    let home = home().await;
    add(&home, "One", "2024-03-17", "text").await;
    let failed = home.custody.export_book(home.owner, &options(&home), Arc::new(Never), Arc::new(Silent)).await;
    assert!(failed.expect_err("it cannot").to_string().contains("volume 1 cannot be set"));
    assert_eq!(names(&home), Vec::<String>::new());
    let wrong = BookOptions { out: home.folder.path().join("out/book"), ..options(&home) };
    let refused = home.custody.export_book(home.owner, &wrong, Arc::<Noting>::default(), Arc::new(Silent)).await;
    assert!(refused.expect_err("no ending").to_string().contains("needs the ending .pdf"));
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_are_made_fit_and_what_is_none_is_named() {
    let home = home().await;
    let file = |name: &str, bytes: &[u8]| {
        let path = home.folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    };
    let attach = vec![
        file("large.bmp", &drawn_photo(7, 2_400, 1_200)),
        file("broken.jpg", b"\xff\xd8\xff\xe0 no photo"),
        file("song.mp3", b"ID3 no song"),
    ];
    let draft = MemoryDraft { text: "With files".into(), date: Some("2024-03-17".into()), attach, ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
    let typesetter = Arc::<Noting>::default();
    let report = made(&home, &typesetter).await.expect("made");
    let leaf = typesetter.leaves().remove(0);
    let of = |name: &str| leaf.figures.values().find(|figure| figure.alt.contains(name)).unwrap_or_else(|| panic!("{name}: {leaf:?}"));
    let picture = of("large.bmp").picture.clone().expect("a picture");
    assert_eq!((picture.width, picture.height), (1_000, 500));
    assert_eq!(of("large.bmp").alt, "Photo, large.bmp, 17 March 2024", "words for those who cannot see it, if nobody gave any");
    assert!(of("broken.jpg").picture.is_err() && of("song.mp3").picture.is_err());
    assert_eq!((report.skipped.len(), report.named_only), (1, 1), "{report:?}");
    assert!(report.skipped[0].0.starts_with("broken.jpg of "), "{report:?}");
}
