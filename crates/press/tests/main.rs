//! Whatever people write becomes a book, the same one each time.

#![expect(clippy::print_stdout, reason = "tests tell what they did not run")]

mod templates;

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use keepsake_formats::{
    book::{Book, Figure, Leaf, Paper, Printed, Typesetter, Volume},
    pictures::Picture,
    text,
};
use keepsake_press::{Fonts, Press};
use keepsake_record::Timestamp;

fn press() -> Press {
    Press::new(Fonts::load([""; 0]), "Keepsake")
}

fn volume(texts: &[(&str, &str)]) -> Volume {
    let book = Book {
        title: "A book".into(),
        author: "Who wrote it".into(),
        language: "en".into(),
        paper: Paper::A5,
        date: Timestamp::from_micros(1_700_000_000_000_000).expect("an instant"),
    };
    let leaf = |(heading, words): &(&str, &str)| Leaf { heading: (*heading).into(), blocks: text::parse(words), ..Leaf::default() };
    let mut leaves: Vec<Leaf> = texts.iter().map(leaf).collect();
    if let Some(first) = leaves.first_mut() {
        first.part = Some("A part".into());
    }
    Volume { book, number: None, ident: "one".into(), leaves, data: None }
}

fn set(volume: &Volume) -> Printed {
    press().set(volume).expect("it is set")
}

/// Asks veraPDF, and what the pages say.
fn checked(printed: &Printed, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("book.pdf");
    std::fs::write(&file, &printed.file).expect("written");
    let Some(check) = std::env::var_os("KEEPSAKE_CHECK_PDF").map(PathBuf::from) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_CHECK_PDF is not set: run scripts/test");
        println!("no KEEPSAKE_CHECK_PDF: veraPDF was not asked; scripts/test asks it");
        return;
    };
    let asked = Command::new(check).arg(&file).output().expect("it runs");
    assert!(asked.status.success(), "{}{}", String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
    let said = Command::new("pdftotext").arg(&file).arg("-").output().expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in words {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

#[test]
fn what_people_write() {
    let deep = format!("{} quoted deep", ">".repeat(300));
    let texts = [
        ("Nothing at all", ""),
        (
            "Everything that Markdown has",
            "# One\n\n#### Skips levels\n\n1. first\n2. **second**\n   - *inside*\n\n> said `code`\n\n| a | b |\n|---|---|\n| c |\n\n---\n~~gone~~ [there](https://example.org/?a=b&c=d) \\\nnew line\n\n    code\tat once\n\n- [ ] to do",
        ),
        (
            "It is no program: #read(\"/etc/passwd\")",
            "#read(\"/etc/passwd\") $ x^2 $ @label <label> \\ // no comment /* nor this */ #panic()",
        ),
        ("From right to left", "שלום עולם (אחד), 12:30\n\nمرحبا بالعالم"),
        (
            "Combined: e\u{301} a\u{30a}\u{323}",
            "Z\u{351}\u{36b}\u{343}a\u{349}l\u{35a}go 👩‍👩‍👧‍👦 🇵🇹 1️⃣ \u{2e3b} \u{e001} \u{feff}\u{fffe}\u{0}\u{7}\u{200d}\u{2028}x",
        ),
        ("名前/../CON \"quoted\"", "东坡志林 한국어 日本語"),
        ("", &deep),
    ];
    let printed = set(&volume(&texts));
    checked(
        &printed,
        &["Everything that Markdown has", "#read(\"/etc/passwd\") $ x^2 $", "quoted deep", "[U+2E3B]", "[U+E001]", "[U+0007]"],
    );
    assert!(printed.replaced[&'\u{2e3b}'] == 1 && printed.replaced[&'东'] == 1, "{:?}", printed.replaced);
    assert_eq!(set(&volume(&texts)), printed, "the same bytes again");
}

#[test]
fn what_is_long() {
    let words = "word ".repeat(100_000);
    let lines = "    a line of code\n".repeat(20_000);
    let printed = set(&volume(&[("A hundred thousand words", &words), ("Twenty thousand lines", &lines)]));
    assert!(printed.pages > Some(400), "{:?} pages", printed.pages);
    assert!(set(&Volume { leaves: Vec::new(), ..volume(&[]) }).pages >= Some(1), "a book without memories has a title page");
}

#[test]
fn photos_and_data() {
    let mut book = volume(&[("With photos", "Before\n\n![of the sea](keepsake:attachment/sea)\n\nAfter ![](keepsake:attachment/none)")]);
    let picture = || Ok(Picture { jpeg: include_bytes!("../testdata/grey.jpg").to_vec(), width: 8, height: 8 });
    let figure = |picture, alt: &str| Figure { picture, alt: alt.into(), is_described: true, caption: Some(format!("A caption: {alt}")) };
    book.leaves[0].figures = BTreeMap::from([
        ("sea".into(), figure(picture(), "the sea")),
        ("song".into(), figure(Err("a recording".into()), "a song")),
        ("unnamed".into(), figure(picture(), "which the text does not name")),
    ]);
    book.data = Some(b"{\"id\":\"1\"}\n".to_vec());
    for paper in [Paper::A5, Paper::A4, Paper::Letter] {
        book.book.paper = paper;
        let printed = set(&book);
        checked(
            &printed,
            &[
                "A caption: the sea",
                "a song (a recording)",
                "A caption: which the text does not name",
                "An attachment that is not here (none)",
            ],
        );
    }
    // What is no picture is told, whoever called it one.
    book.leaves[0].figures.insert("sea".into(), figure(Ok(Picture { jpeg: b"no JPEG".to_vec(), width: 8, height: 8 }), "broken"));
    assert!(press().set(&book).is_err());
}
