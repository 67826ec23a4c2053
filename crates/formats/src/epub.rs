//! Volumes as EPUB 3.3, for readers on screens: text that flows, pictures where the text has them, and contents to move by.
//!
//! <https://www.w3.org/TR/epub-33/>, with what EPUB Accessibility 1.1 asks to be said of a book. Nothing is said that is not so: alt texts are only
//! claimed where somebody wrote each of them.

mod package;
mod pages;

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Write},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use self::pages::Pages;
use crate::book::{Paper, Printed, Typesetter, Volume};

/// Sets volumes as EPUB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epub;

/// Screens that books are read on have no more.
const SIDE_MAX: u32 = 1_600;
const STYLE: &str = include_str!("epub/book.css");
const CONTAINER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container version=\"1.0\" xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"><rootfiles><rootfile full-path=\"EPUB/package.opf\" media-type=\"application/oebps-package+xml\"/></rootfiles></container>\n";

impl Typesetter for Epub {
    fn ending(&self) -> &'static str {
        "epub"
    }

    fn side_max(&self, _: Paper) -> u32 {
        SIDE_MAX
    }

    fn set(&self, volume: &Volume) -> Result<Printed, String> {
        let mut pages = Pages::new(volume);
        volume.leaves.iter().for_each(|leaf| pages.leaf(leaf));
        pages.finish();
        let mut replaced = BTreeMap::new();
        let package = package::package(volume, &pages, &mut replaced);
        let contents = package::contents(volume, &pages, &mut replaced);
        pages.replaced.iter().for_each(|(c, count)| *replaced.entry(*c).or_default() += count);
        let file = pack(volume, &pages, &package, &contents).map_err(|error| error.to_string())?;
        Ok(Printed { file, pages: None, replaced })
    }
}

/// The container (EPUB 3.3, 4): its kind first and as it is, so that programs find it without unpacking anything.
fn pack(volume: &Volume, pages: &Pages<'_>, package: &str, contents: &str) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut add = |name: &str, bytes: &[u8], options: SimpleFileOptions| {
        zip.start_file(name, options).map_err(io::Error::other)?;
        zip.write_all(bytes)
    };
    add("mimetype", b"application/epub+zip", plain)?;
    add("META-INF/container.xml", CONTAINER.as_bytes(), packed)?;
    add("EPUB/package.opf", package.as_bytes(), packed)?;
    add("EPUB/contents.xhtml", contents.as_bytes(), packed)?;
    add("EPUB/book.css", STYLE.as_bytes(), packed)?;
    for page in &pages.done {
        add(&format!("EPUB/{}", page.name), page.text.as_bytes(), packed)?;
    }
    for (name, jpeg) in &pages.pictures {
        add(&format!("EPUB/{name}"), jpeg, plain)?;
    }
    if let Some(data) = &volume.data {
        add(&format!("EPUB/{}", package::DATA), data, packed)?;
    }
    Ok(zip.finish().map_err(io::Error::other)?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use keepsake_record::Timestamp;

    use super::*;
    use crate::{
        book::{Book, Figure, Leaf},
        pictures::Picture,
        text::parse,
    };

    fn volume(leaves: Vec<Leaf>) -> Volume {
        let book = Book {
            title: "Words & <pictures>".into(),
            author: "\u{5e9}\u{5dc}\u{5d5}\u{5dd}".into(),
            language: "he".into(),
            paper: Paper::A5,
            date: Timestamp::from_micros(1_700_000_000_000_000).expect("an instant"),
        };
        Volume { book, number: Some(2), ident: "one".into(), leaves, data: Some(b"{}\n".to_vec()) }
    }

    fn leaf(heading: &str, text: &str) -> Leaf {
        Leaf { heading: heading.into(), blocks: parse(text), ..Leaf::default() }
    }

    fn files(volume: &Volume) -> (Vec<String>, BTreeMap<String, String>) {
        let bytes = Epub.set(volume).expect("set").file;
        assert_eq!(&bytes[30..58], b"mimetypeapplication/epub+zip", "its kind stands at its place");
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
        let names: Vec<String> = zip.file_names().map(|name| name.expect("a name").into_owned()).collect();
        let mut texts = BTreeMap::new();
        for name in &names {
            let mut bytes = Vec::new();
            zip.by_name(name).expect("there").read_to_end(&mut bytes).expect("read");
            texts.insert(name.clone(), String::from_utf8_lossy(&bytes).into_owned());
        }
        (names, texts)
    }

    #[test]
    fn only_what_somebody_wrote_is_claimed() {
        let picture = || Ok(Picture { jpeg: b"\xff\xd8 a picture".to_vec(), width: 4, height: 3 });
        let figure = |is_described| Figure { picture: picture(), alt: "a boat".into(), is_described, caption: None };
        let with = |figures: &[(&str, bool)]| {
            let mut leaf = leaf("A boat", "before ![](keepsake:attachment/a) after");
            leaf.part = Some("March".into());
            leaf.figures = figures.iter().map(|(key, told)| ((*key).to_owned(), figure(*told))).collect();
            files(&volume(vec![leaf])).1.remove("EPUB/package.opf").expect("the package")
        };
        let told = with(&[("a", true)]);
        assert!(told.contains(">alternativeText<") && told.contains("accessModeSufficient\">textual<"), "{told}");
        let made_up = with(&[("a", true), ("b", false)]);
        assert!(!made_up.contains("alternativeText") && made_up.contains("accessModeSufficient\">textual,visual<"), "{made_up}");
        assert!(made_up.contains("page-progression-direction=\"rtl\""), "Hebrew runs to the left");
        assert_eq!(made_up.matches("image/jpeg").count(), 1, "the same picture is there once");
    }

    #[test]
    fn a_long_memory_goes_on_over_pages_and_nothing_is_lost() {
        let long = (0..4_000).map(|at| format!("paragraph number {at} of a long text that goes on")).collect::<Vec<_>>().join("\n\n");
        let mut first = leaf("Long", &long);
        first.part = Some("March".into());
        let (names, texts) = files(&volume(vec![first, leaf("Next <b>", "end \u{1}")]));
        let pages: Vec<&String> = names.iter().filter(|name| name.starts_with("EPUB/text/")).collect();
        assert!(pages.len() >= 2, "{names:?}");
        let all: String = pages.iter().map(|name| texts[*name].as_str()).collect();
        assert!((0..4_000).all(|at| all.contains(&format!("number {at} of"))));
        assert_eq!((all.matches("<h1").count(), all.matches("<h2").count()), (1, 2));
        assert!(all.contains("Next &lt;b&gt;") && texts["EPUB/contents.xhtml"].contains("Next &lt;b&gt;"));
        assert_eq!(Epub.set(&volume(vec![leaf("a", "\u{1}")])).expect("set").replaced[&'\u{1}'], 1);
    }
}
