//! Folders and archives: the same answers, nothing from outside them, nothing left out in silence.

use std::{fs, io::Write, path::Path};

use keepsake_formats::{
    bag::{BagInfo, BagWriter, Container, Sealed, is_sealed, is_zipped},
    import::{Format, Input},
};

use crate::taken::take;

fn zip_of(path: &Path, entries: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("create"));
    for (name, text) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("entry");
        zip.write_all(text.as_bytes()).expect("write");
    }
    zip.finish().expect("finish");
}

#[test]
fn entries_that_lead_out_are_named_and_not_read() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("notes.zip");
    zip_of(&path, &[("a.md", "good"), ("../evil.md", "bad"), ("/etc/evil.md", "bad"), ("b/../../evil.md", "bad")]);
    let taken = take(&path, None).expect("readable");
    assert_eq!(taken.drafts.len(), 1);
    assert_eq!(taken.passed_over.len(), 3, "{:?}", taken.passed_over);
}

#[test]
fn links_are_named_and_not_followed() {
    let space = tempfile::tempdir().expect("space");
    fs::write(space.path().join("a.md"), "good").expect("write");
    std::os::unix::fs::symlink("/etc/passwd", space.path().join("b.md")).expect("link");
    std::os::unix::fs::symlink(".", space.path().join("loop")).expect("link");
    let taken = take(space.path(), None).expect("readable");
    assert_eq!((taken.drafts.len(), taken.passed_over.len()), (1, 2), "{:?}", taken.passed_over);
}

#[test]
fn a_bag_is_whole_or_not_there() {
    let space = tempfile::tempdir().expect("space");
    for name in ["bag", "bag.zip", "bag.tar.gz"] {
        let target = space.path().join(name);
        let mut bag = BagWriter::create(&target, Container::of(&target)).expect("create");
        bag.add("data/a.txt", 5, &mut b"hello".as_slice()).expect("add");
        assert!(!target.exists(), "it stands under another name until it is finished");
        let info = BagInfo { date: "2024-01-01".into(), tags: vec![("about.txt".into(), b"made".to_vec())], ..BagInfo::default() };
        let bagged = bag.finish(&info).expect("finish");
        assert_eq!((bagged.files, bagged.bytes), (1, 5));
        let input = Input::open(&target).expect("open");
        let files = input.files().expect("files");
        let path = files.iter().find(|f| f.name() == "a.txt").expect("there").path.clone();
        assert_eq!(input.whole(&path).expect("read"), b"hello");
        assert!(files.iter().any(|f| f.name() == "manifest-sha256.txt") && files.iter().any(|f| f.name() == "bagit.txt"));

        let other = space.path().join(format!("other-{name}"));
        let mut bag = BagWriter::create(&other, Container::of(&other)).expect("create");
        assert!(bag.add("data/a.txt", 9, &mut b"hello".as_slice()).is_err(), "a length that is not kept is an error");
        bag.abandon();
        assert!(fs::read_dir(space.path()).expect("list").all(|e| !e.expect("entry").file_name().to_string_lossy().contains("other-")));
    }
}

/// A seal that anybody opens.
struct Turned(fs::File);

impl Write for Turned {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(&bytes.iter().map(|byte| !byte).collect::<Vec<_>>())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Sealed for Turned {
    fn finish(mut self: Box<Self>) -> std::io::Result<fs::File> {
        self.0.write_all(&[!b'.'])?;
        Ok(self.0)
    }
}

#[test]
fn an_archive_under_a_seal_is_the_archive() {
    let space = tempfile::tempdir().expect("space");
    for name in ["bag.zip", "bag.tar.gz"] {
        let target = space.path().join(format!("{name}.age"));
        let container = Container::of(&target);
        assert!(container == Container::of(&space.path().join(name)) && is_sealed(&target));
        let mut bag = BagWriter::create_sealed(&target, container, Some(&|file| Ok(Box::new(Turned(file))))).expect("create");
        bag.add("data/a.txt", 5, &mut b"hello".as_slice()).expect("add");
        bag.add("data/media/b.jpg", 3, &mut b"abc".as_slice()).expect("add");
        bag.finish(&BagInfo { date: "2024-01-01".into(), ..BagInfo::default() }).expect("finish");
        let mut bytes: Vec<u8> = fs::read(&target).expect("read").iter().map(|byte| !byte).collect();
        assert_eq!(bytes.pop(), Some(b'.'), "the seal has the last word");
        let plain = space.path().join(name);
        fs::write(&plain, bytes).expect("written");
        let input = Input::open(&plain).expect("open");
        for (file, wanted) in [("a.txt", "hello"), ("b.jpg", "abc")] {
            let path = input.files().expect("files").iter().find(|f| f.name() == file).expect("there").path.clone();
            assert_eq!(input.whole(&path).expect("read"), wanted.as_bytes(), "{name}");
        }
    }
    let folder = space.path().join("folder");
    assert!(BagWriter::create_sealed(&folder, Container::Folder, Some(&|file| Ok(Box::new(Turned(file))))).is_err());
}

#[test]
fn what_is_in_no_known_format_is_said_so() {
    let space = tempfile::tempdir().expect("space");
    fs::write(space.path().join("x.bin"), "?").expect("write");
    assert!(take(space.path(), None).err().expect("unknown").to_string().contains("name it with --format (bundle, dayone"));
    fs::write(space.path().join("Journal.json"), "{\"entries\": [\n{]").expect("write");
    let said = take(space.path(), None).err().expect("not JSON").to_string();
    assert!(said.contains("Journal.json:2: is not JSON"), "{said}");
    assert_eq!(Format::from_name("dayone"), Some(Format::DayOne));
}

#[test]
fn an_archive_that_explodes_is_refused_before_it_does() {
    let space = tempfile::tempdir().expect("space");
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_path("zeros").expect("a path");
    header.set_cksum();
    // The head alone: nobody gets as far as to miss the rest.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(header.as_bytes()).expect("written");
    for (name, bytes) in [("bomb.tar.gz", packed.finish().expect("ended")), ("bomb.tar", header.as_bytes().to_vec())] {
        let path = space.path().join(name);
        fs::write(&path, bytes).expect("written");
        let error = Input::open(&path).expect_err("refused").to_string();
        assert!(error.contains("more than a hundred times its length"), "{error}");
    }
}

#[test]
fn parts_in_an_archive_are_read_as_one() {
    let space = tempfile::tempdir().expect("space");
    let (inner, outer) = (space.path().join("inner.zip"), space.path().join("outer.zip"));
    zip_of(&inner, &[("a.md", "good"), ("../evil.md", "bad")]);
    let mut zip = zip::ZipWriter::new(fs::File::create(&outer).expect("create"));
    for name in ["Part-1.zip", "Part-2.zip"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("entry");
        zip.write_all(&fs::read(&inner).expect("read")).expect("write");
    }
    zip.finish().expect("finish");
    let mut taken = take(&outer, None).expect("readable");
    taken.passed_over.sort();
    let twice = "../evil.md (a name that leads out of the archive)";
    assert_eq!(taken.passed_over, [twice, twice, "a.md (the same file once more, in another part)"]);
    assert_eq!(taken.drafts.len(), 1);
}

#[test]
fn no_file_of_an_archive_in_an_archive_is_lost() {
    let space = tempfile::tempdir().expect("space");
    let archives = ["one", "two"].map(|text| {
        let path = space.path().join(text);
        zip_of(&path, &[("a.md", text)]);
        fs::read(&path).expect("read")
    });
    let outer = |names: [&str; 2]| {
        let path = space.path().join("outer.zip");
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("create"));
        for (name, bytes) in names.iter().zip(&archives) {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("entry");
            zip.write_all(bytes).expect("write");
        }
        zip.finish().expect("finish");
        Input::open(&path)
    };
    let said = outer(["Part-1.zip", "Part-2.zip"]).expect_err("two of one name").to_string();
    assert!(said.contains("different files called a.md: unpack them, and import them one by one"), "{said}");
    let files = outer(["one.zip", "two.zip"]).expect("an archive like others").files().expect("files");
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["one.zip", "two.zip"]);
}

#[test]
fn a_zipped_bag_is_known_by_its_list_of_entries() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("a.zip");
    for (entry, is_bag) in [("bag-info.txt", true), ("bag/bag-info.txt", true), ("a/b/bag-info.txt", false), ("part.zip", false)] {
        zip_of(&path, &[("first", ""), (entry, "")]);
        assert_eq!(is_zipped(&path), is_bag, "{entry}");
    }
    fs::write(&path, "PK").expect("written");
    assert!(!is_zipped(&path) && !is_zipped(space.path()));
}
