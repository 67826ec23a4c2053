//! Programs of others that exports ask: a HEIC stands where photos stand in all that is made for people, or is named with why it does not. The programs
//! here are stand-ins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use keepsake_custody::{
    BagFormat, BookOptions, Epub, ExportOptions, ExportReport, MediaOptions, MemoryDraft, PictureFormat, Setter, Silent, TemplateExport,
    TemplateProblem, drawn_photo,
};
use keepsake_formats::{book::Printed, programs::Programs, template::Sheet};

use crate::support::{Home, files, home};

/// Answers the picture that stands beside it, if it is asked as it should be.
const DECODES: &str = r#"[ "$#" = 2 ] && cp "$(dirname "$0")/picture" "$2""#;

/// The beginning of a picture of a kind.
fn begins(brand: &[u8; 4]) -> Vec<u8> {
    [b"\0\0\0\x10ftyp".as_slice(), brand, &[0; 4], b"and so on"].concat()
}

/// Written by another process: a program that this one has open could not be started while others are.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let draft = folder.join(format!("{name}.txt"));
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).expect("written");
    let copied = Command::new("install").args(["-m", "755"]).arg(&draft).arg(folder.join(name)).status();
    assert!(copied.expect("it runs").success());
}

/// A home with a photo that only programs decode or write, and these programs.
async fn home_with(name: &str, photo: &[u8], programs: &[(&str, &str)], seconds: u32) -> Home {
    let home = home().await;
    let bin = home.folder.path().join("bin");
    fs::create_dir(&bin).expect("made");
    fs::write(bin.join("picture"), drawn_photo(3, 90, 60)).expect("written");
    fs::write(bin.join("avif"), begins(b"avif")).expect("written");
    programs.iter().for_each(|(name, script)| stand_in(&bin, name, script));
    let attach = home.folder.path().join(name);
    fs::write(&attach, photo).expect("written");
    let draft =
        MemoryDraft { text: "With a photo".into(), date: Some("2024-03-17".into()), attach: vec![attach], ..MemoryDraft::default() };
    home.custody.add_memory(home.owner, &draft).await.expect("added");
    let programs = Programs::new(vec![bin]).within(seconds);
    Home { custody: home.custody.with_programs_for_tests(programs), ..home }
}

/// Sets nothing: what is made here are pages.
struct Never;

impl Setter for Never {
    fn set(&self, _: &Sheet) -> Result<Printed, Vec<TemplateProblem>> {
        Err(Vec::new())
    }
}

/// Makes pages, a book and a page by a template; answers what each of them does not show.
async fn made(home: &Home, name: &str) -> Vec<Vec<(String, String)>> {
    let out = home.folder.path().join(name);
    fs::create_dir(&out).expect("made");
    let options = ExportOptions { out: out.join("site"), format: BagFormat::Html, ..ExportOptions::default() };
    let site = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("a site");
    let options = BookOptions { out: out.join("book.epub"), ..BookOptions::default() };
    let book = home.custody.export_book(home.owner, &options, Arc::new(Epub), Arc::new(Silent)).await.expect("a book");
    let options = TemplateExport { template: "journal".into(), out: out.join("journal.html"), ..TemplateExport::default() };
    let page = home.custody.export_template(home.owner, &options, Arc::new(Never), Arc::new(Silent)).await.expect("a page");
    vec![site.skipped, book.report.skipped, page.skipped]
}

/// The pictures of what [`made`] made: of the pages, of the page by a template, of the book.
fn pictures(home: &Home, name: &str) -> (Vec<PathBuf>, Vec<PathBuf>, String) {
    const COUNT: &str = r#"
import sys, zipfile
book = zipfile.ZipFile(sys.argv[1])
print(sum(book.read(name)[:2] == b"\xff\xd8" for name in book.namelist()))
"#;
    let out = home.folder.path().join(name);
    let ran = Command::new("python3").arg("-c").arg(COUNT).arg(out.join("book.epub")).output().expect("Python runs");
    let of_book = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    let below = |folder: &str| files(&out.join(folder)).into_iter().filter(|path| path.extension().is_some_and(|e| e == "jpg")).collect();
    (below("site/data/small"), below("journal-files"), of_book)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heic_stands_where_photos_stand() {
    let home = home_with("IMG_1.heic", &begins(b"heic"), &[("heif-dec", DECODES)], 20).await;
    assert_eq!(made(&home, "one").await, vec![Vec::new(); 3]);
    let (of_site, of_page, of_book) = pictures(&home, "one");
    assert_eq!((of_site.len(), of_page.len(), of_book.as_str()), (1, 1, "1"));
    for path in of_site.iter().chain(&of_page) {
        assert!(fs::read(path).expect("read").starts_with(b"\xff\xd8"), "{} is a JPEG", path.display());
    }
    // The same programs make the same bytes.
    assert_eq!(made(&home, "two").await, vec![Vec::new(); 3]);
    let read =
        |name: &str| files(&home.folder.path().join(name).join("site/data")).iter().map(|p| fs::read(p).expect("read")).collect::<Vec<_>>();
    let sorted = |mut all: Vec<Vec<u8>>| {
        all.sort();
        all
    };
    assert!(sorted(read("one")) == sorted(read("two")));
    let book = |name: &str| fs::read(home.folder.path().join(name).join("book.epub")).expect("read");
    assert!(book("one") == book("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_help_leaves_words_with_the_reason() {
    for (programs, seconds, why) in [
        (&[][..], 20, "install libheif's (heif-convert)"),
        (&[("heif-dec", "exit 1")][..], 20, "heif-dec gave it up"),
        (&[("heif-convert", "exec sleep 60")][..], 1, "heif-convert takes too long"),
        (&[("heif-dec", "exit 0")][..], 20, "holds several pictures, or none"),
        (&[("heif-dec", "echo no picture > \"$2\"")][..], 20, "what libheif's program made of it is no picture"),
    ] {
        let home = home_with("IMG_1.heic", &begins(b"heic"), programs, seconds).await;
        for skipped in made(&home, "made").await {
            assert!(
                matches!(skipped.as_slice(), [(what, reason)] if what.starts_with("IMG_1.heic of ") && reason.contains(why)),
                "{why}: {skipped:?}"
            );
        }
        let (of_site, of_page, of_book) = pictures(&home, "made");
        assert_eq!((of_site.len(), of_page.len(), of_book.as_str()), (0, 0, "0"), "{why}");
        // What programs worked in is gone.
        let left = files(home.folder.path()).into_iter().filter(|path| path.ends_with("from.heic")).count();
        assert_eq!(left, 0, "{why}");
    }
}

async fn as_avif(home: &Home) -> (ExportReport, Vec<String>) {
    let out = home.folder.path().join("media");
    let media = MediaOptions { convert: Some(PictureFormat::Avif), ..MediaOptions::default() };
    let options = ExportOptions { out: out.clone(), format: BagFormat::Media(media), ..ExportOptions::default() };
    let report = home.custody.export(home.owner, &options, Arc::new(Silent)).await.expect("export");
    let there = files(&out.join("data/2024/2024-03"))
        .iter()
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    (report, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_become_avif_where_a_program_writes_it() {
    let encodes = r#"[ "$1 $2 $3 $4" = "-A -q 80 -o" ] && cp "$(dirname "$0")/avif" "$5""#;
    let decodes = ("heif-dec", DECODES);
    let home = home_with("a.bmp", &drawn_photo(7, 90, 60), &[("heif-enc", encodes), decodes], 20).await;
    let (report, mut there) = as_avif(&home).await;
    there.sort();
    assert_eq!((report.skipped, there), (Vec::new(), vec!["2024-03-17 a.avif".to_owned(), "2024-03-17 a.avif.xmp".to_owned()]));
    // What is one already stays, and nobody is asked.
    let home = home_with("b.avif", &begins(b"avif"), &[], 20).await;
    let (report, there) = as_avif(&home).await;
    assert!(report.skipped.is_empty() && there.contains(&"2024-03-17 b.avif".to_owned()), "{report:?}");
    for (programs, sides, why) in [
        (&[decodes][..], 90, "install libheif's (heif-enc)"),
        (&[("heif-enc", encodes)][..], 90, "install libheif's (heif-convert)"),
        (&[("heif-enc", "exit 1"), decodes][..], 90, "heif-enc gave it up"),
        (&[("heif-enc", "cp \"$6\" \"$5\""), decodes][..], 90, "is no AVIF"),
        (&[("heif-enc", encodes), decodes][..], 120, "has another size"),
    ] {
        let home = home_with("a.bmp", &drawn_photo(7, sides, 60), programs, 20).await;
        let (report, there) = as_avif(&home).await;
        assert!(
            matches!(report.skipped.as_slice(), [(_, reason)] if reason.starts_with("it stays as it is: ") && reason.contains(why)),
            "{report:?}"
        );
        assert!(there.contains(&"2024-03-17 a.bmp".to_owned()) && there.len() == 2, "{there:?}");
    }
}
