//! Folders of plain text and HTML: field by field against files that the tests write, and the odd ones.

use std::{fs, path::Path};

use keepsake_formats::import::{Draft, Format, Input, ReadOptions, detect, read};

use crate::taken::{Taken, genuine, options, take};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let space = tempfile::tempdir().expect("space");
    for (name, bytes) in files {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, bytes).expect("written");
    }
    space
}

fn by<'a>(taken: &'a Taken, path: &str) -> &'a Draft {
    let draft = taken.drafts.iter().find(|draft| draft.origin == path).unwrap_or_else(|| panic!("no {path}"));
    draft.memory.validate().expect("valid");
    draft
}

fn detected(path: &Path) -> &'static str {
    detect(&Input::open(path).expect("open")).map(Format::name).unwrap_or("none")
}

fn day(draft: &Draft) -> Option<String> {
    draft.memory.when.day.map(|day| day.to_string())
}

#[test]
fn texts_are_memories_of_their_names_and_folders() {
    let long = "word ".repeat(100_000);
    let space = folder(&[
        ("2024/03/05.txt", b"On the pier.\r\n\r\nCold."),
        ("2024-03-06 14.30.txt", "\u{feff}\u{65e5}\u{672c} ![](p.jpg)".as_bytes()),
        ("empty.txt", b""),
        ("long.txt", long.as_bytes()),
        ("deep/er/wide.TXT", b"\xff\xfea\0\x3d\xd8\x00\xde"),
        ("it's \"said\" & <so>.txt", b"na\xefve \x80"),
        ("p.jpg", b"a photo"),
        ("lone.jpg", b"another"),
        (".hidden/a.txt", b"a setting"),
        ("table.xls", b"?"),
    ]);
    assert_eq!(detected(space.path()), "plain");
    let taken = take(space.path(), None).expect("readable");
    assert_eq!(taken.drafts.len(), 6);
    let first = by(&taken, "2024/03/05.txt");
    assert_eq!((first.memory.text.as_str(), first.memory.title.as_deref()), ("On the pier.\r\n\r\nCold.", Some("05")));
    assert_eq!((day(first).as_deref(), first.collections[0].name.as_str()), (Some("2024-03-05"), "2024/03"));
    let source = first.memory.source.as_ref().expect("a source");
    assert_eq!((source.importer.as_str(), source.id.as_str()), ("plain", "2024/03/05.txt"));
    let second = by(&taken, "2024-03-06 14.30.txt");
    assert_eq!(second.memory.text, "\u{65e5}\u{672c} ![](keepsake:attachment/p)");
    assert_eq!((day(second).as_deref(), second.files[0].path.as_str()), (Some("2024-03-06"), "p.jpg"));
    assert!(second.collections.is_empty());
    assert_eq!((by(&taken, "empty.txt").memory.text.as_str(), day(by(&taken, "empty.txt"))), ("", None));
    assert_eq!(by(&taken, "long.txt").memory.text, long);
    assert_eq!(by(&taken, "deep/er/wide.TXT").memory.text, "a\u{1F600}");
    let western = by(&taken, "it's \"said\" & <so>.txt");
    assert_eq!((western.memory.title.as_deref(), western.memory.text.as_str()), (Some("it's \"said\" & <so>"), "naïve €"));
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("was read as Windows-1252"), "{:?}", taken.problems);
    assert_eq!(
        taken.passed_over,
        [
            ".hidden/a.txt (hidden, as settings of programs are)",
            "lone.jpg (a photo, film or recording that no text names: import it with --format media)",
            "table.xls (no text, and no text names it)",
        ]
    );
    assert_eq!(take(space.path(), None).expect("readable").drafts, taken.drafts, "the same import twice is the same");
}

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"de-CH\"><head><meta charset=\"utf-8\"><meta name=\"Date\" content=\"2024-03-17T10:00:00+01:00\">
<meta name=\"author\" content=\"A &amp; B\"><title>On the\n pier</title><style>p { color: red }</style><script>if (a<b && c) { '</p>' }</script></head>
<body><!-- <p>not this</p> --><h1>Pier</h1><p>one <b>two</b><p>three <img src=\"img/a%20b.jpg\" alt=\"A boat\"><img src=\"../../etc/secret.jpg\">
<img src=\"img/gone\"><a href=\"img/x.pdf#2\">paper</a> <a href=\"other.html\">other</a> <a href=\"https://a.example/p.jpg\">far</a>
<ul><li>x<li>y</ul></body></html>";

#[test]
fn pages_say_what_they_are_and_show_their_files() {
    let space = folder(&[
        ("a/page.html", PAGE.as_bytes()),
        ("a/img/a b.jpg", b"a photo"),
        ("a/img/x.pdf", b"a paper"),
        ("a/other.html", b"<title>Other</title><p>words"),
        ("a/saved.htm", b"<p>saved <img src='saved_files/p.png'>"),
        ("a/saved_files/p.png", b"a picture"),
        ("a/saved_files/frame.html", b"<p>advertisement"),
        ("2023-01-02.html", b"<meta name=date content=2020-01-01><p>words <time datetime=2019-01-01>then</time>"),
        ("time.html", b"<p><time datetime=2019-01-01>then</time>"),
        ("koi8.html", b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'><p>\xc1"),
    ]);
    let taken = take(space.path(), Some(Format::Plain)).expect("readable");
    let page = by(&taken, "a/page.html");
    let memory = &page.memory;
    assert_eq!((memory.title.as_deref(), memory.language.as_deref()), (Some("On the pier"), Some("de-CH")));
    assert_eq!(memory.when.instant.map(|at| at.to_string()).as_deref(), Some("2024-03-17T09:00:00Z"));
    assert_eq!((memory.custom["author"].as_str(), memory.custom.contains_key("date")), (Some("A & B"), false));
    for shown in [
        "# Pier",
        "one **two**\n\nthree ",
        "![A boat](keepsake:attachment/a-b)",
        "(../../etc/secret.jpg)",
        "[paper](keepsake:attachment/x)",
        "[other](other.html)",
        "- x\n- y",
    ] {
        assert!(memory.text.contains(shown), "{shown}\n{}", memory.text);
    }
    assert!(!memory.text.contains("color") && !memory.text.contains("not this") && !memory.text.contains("&&"), "{}", memory.text);
    let files: Vec<(&str, &str)> = page.files.iter().map(|file| (file.key.as_str(), file.path.as_str())).collect();
    assert_eq!(files, [("a-b", "a/img/a b.jpg"), ("x", "a/img/x.pdf")]);
    assert_eq!((memory.attachments[0].alt.as_deref(), memory.attachments[0].media_type.as_str()), (Some("A boat"), "image/jpeg"));
    assert_eq!(by(&taken, "a/other.html").memory.text, "words");
    assert_eq!(by(&taken, "a/saved.htm").files[0].path, "a/saved_files/p.png");
    let named = by(&taken, "2023-01-02.html");
    assert_eq!((day(named).as_deref(), named.memory.custom["date"].as_str()), (Some("2023-01-02"), Some("2020-01-01")));
    assert_eq!(day(by(&taken, "time.html")).as_deref(), Some("2019-01-01"));
    let koi8 = by(&taken, "koi8.html");
    assert_eq!((koi8.files[0].path.as_str(), koi8.memory.attachments[0].media_type.as_str()), ("koi8.html", "text/html"));
    let told = |words: &str| taken.problems.iter().filter(|problem| problem.contains(words)).count();
    assert_eq!((told("secret.jpg is outside"), told("img/gone is not there"), told("in koi8-r")), (1, 1, 1), "{:?}", taken.problems);
    assert_eq!(taken.problems.len(), 3, "{:?}", taken.problems);
    assert_eq!(taken.passed_over, ["a/saved_files/frame.html (a part of a saved page or of a bag, and no text of its own)"]);

    // A picture that arrives later makes it another version of the same memory.
    fs::write(space.path().join("a/img/gone"), b"here").expect("written");
    let later = take(space.path(), Some(Format::Plain)).expect("readable");
    let (before, after) = (page.memory.source.as_ref().expect("a source"), by(&later, "a/page.html").memory.source.as_ref().expect("one"));
    assert!(before.id == after.id && before.digest != after.digest);
}

#[cfg(unix)]
#[test]
fn links_of_the_file_system_are_not_followed() {
    let outside = folder(&[("secret.jpg", b"secret")]);
    let space = folder(&[("a.html", b"<img src=link.jpg>"), ("b.txt", b"words")]);
    std::os::unix::fs::symlink(outside.path().join("secret.jpg"), space.path().join("link.jpg")).expect("linked");
    let taken = take(space.path(), None).expect("readable");
    assert!(taken.drafts.len() == 2 && taken.drafts.iter().all(|draft| draft.files.is_empty()));
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("link.jpg is not there"), "{:?}", taken.problems);
    assert_eq!(taken.passed_over, ["link.jpg (a link or a device, which is not followed)"]);
}

#[test]
fn texts_beside_notes_are_read_with_them() {
    let space = folder(&[
        ("a.md", b"a note with [a list](list.txt)"),
        ("list.txt", b"one"),
        ("2024-03-05.txt", b"a diary"),
        ("page.html", b"<p>words"),
        ("layouts/base.html", b"<p>{{ .Title }}"),
    ]);
    assert_eq!(detected(space.path()), "markdown");
    let taken = take(space.path(), None).expect("readable");
    let read: Vec<(&str, &str)> = taken
        .drafts
        .iter()
        .map(|draft| (draft.origin.as_str(), draft.memory.source.as_ref().expect("a source").importer.as_str()))
        .collect();
    assert_eq!(read, [("a.md", "markdown"), ("2024-03-05.txt", "plain"), ("page.html", "plain")]);
    assert_eq!(by(&taken, "a.md").files[0].path, "list.txt", "what a note names is its own");
    assert_eq!(taken.passed_over, ["layouts/base.html (a template of pages; --format plain imports it all the same)"]);
}

#[test]
fn it_is_found_out_what_a_folder_of_texts_is() {
    let space = folder(&[("diary.txt", b"words"), ("photo.jpg", b"?")]);
    assert_eq!((detected(space.path()), detected(&space.path().join("diary.txt"))), ("media", "plain"));
    fs::write(space.path().join("more.html"), "<p>words").expect("written");
    assert_eq!(detected(space.path()), "media", "as it was before texts were read");
    fs::write(space.path().join("third.txt"), "words").expect("written");
    assert_eq!(detected(space.path()), "plain");
    fs::write(space.path().join("bagit.txt"), "BagIt-Version: 1.0").expect("written");
    assert_eq!(detected(space.path()), "none", "an export of our own is no folder of texts");
    let one = take(&space.path().join("diary.txt"), None).expect("readable");
    assert_eq!((one.drafts.len(), one.drafts[0].memory.title.as_deref()), (1, Some("diary")));
}

#[test]
fn folders_that_were_something_are_that_still() {
    let many = |sets: &[(&str, usize)]| {
        let names: Vec<String> = sets.iter().flat_map(|(ending, count)| (0..*count).map(move |at| format!("{at}.{ending}"))).collect();
        folder(&names.iter().map(|name| (name.as_str(), b"words".as_slice())).collect::<Vec<_>>())
    };
    for (sets, expected) in [
        ([("jpg", 10), ("txt", 15), ("md", 0)], "media"),
        ([("jpg", 4), ("txt", 8), ("md", 1)], "media"),
        ([("jpg", 4), ("txt", 9), ("md", 1)], "markdown"),
        ([("jpg", 0), ("txt", 9), ("md", 1)], "markdown"),
        ([("jpg", 4), ("txt", 9), ("md", 0)], "plain"),
    ] {
        assert_eq!(detected(many(&sets).path()), expected, "{sets:?}");
    }
}

#[test]
fn what_programs_make_beside_notes_is_none() {
    let space = folder(&[
        ("content/a.md", b"a note"),
        ("public/a/index.html", b"<p>a note"),
        ("_site/a.html", b"<p>a note"),
        ("robots.txt", b"Disallow: /"),
        ("docs/requirements.txt", b"sphinx"),
        ("LICENSE-MIT.txt", b"as is"),
        ("diary/one.txt", b"one"),
        ("build/log.md", b"another note"),
        ("build/beside.txt", b"two"),
        ("script.html", b"<script>var a = '{{';</script><p>three"),
    ]);
    let taken = take(space.path(), Some(Format::Markdown)).expect("readable");
    let read: Vec<&str> = taken.drafts.iter().map(|draft| draft.origin.as_str()).filter(|path| !path.ends_with(".md")).collect();
    assert_eq!(read, ["build/beside.txt", "diary/one.txt", "script.html"]);
    let told = |words: &str| taken.passed_over.iter().filter(|told| told.contains(words)).count();
    assert_eq!((told("a folder that a program makes"), told("for programs, or a license"), taken.passed_over.len()), (2, 3, 5));
}

#[test]
fn odd_pages_are_read_as_they_are_meant() {
    let missing: String = (0..150).map(|at| format!("<img src={at}.jpg>")).collect();
    let space = folder(&[
        ("missing.html", missing.as_bytes()),
        ("nul.txt", b"a\0b"),
        ("jis.html", b"<meta http-equiv=Content-Type content='text/html; charset=\"ISO-2022-JP\";'><p>\x1b$B$\"\x1b(B"),
        (
            "said.html",
            b"<title>Z&uuml;rich &amp; more</title><meta name=created content=2019-01-01><meta name=date content=20240305>\
              <meta name=author content=A><meta name=author content='B&eacute;'><p>x",
        ),
        ("time.html", b"<time datetime=PT20M>20</time><time datetime=14:30>then</time><time datetime=2024-03-05>day</time>"),
        ("20240305 backup/a.txt", b"words"),
        ("late.html", b"<img data-src=p.jpg><img src=data:x srcset='q.jpg 1x, r.jpg 2x'><noscript><p>unscripted</noscript>"),
        ("p.jpg", b"p"),
        ("q.jpg", b"q"),
        ("Saved.HTML", b"<p>saved"),
        ("Saved-Dateien/frame.html", b"<p>advertisement"),
    ]);
    let taken = take(space.path(), Some(Format::Plain)).expect("readable");
    let told = |words: &str| taken.problems.iter().filter(|problem| problem.contains(words)).count();
    assert_eq!((told("missing.html: its file"), told("has 50 more links")), (100, 1));
    assert_eq!((by(&taken, "nul.txt").files[0].path.as_str(), by(&taken, "jis.html").files.len(), told("iso-2022-jp")), ("nul.txt", 1, 1));
    let said = &by(&taken, "said.html").memory;
    assert_eq!(said.title.as_deref(), Some("Zürich & more"));
    assert_eq!(
        (said.when.day.map(|day| day.to_string()).as_deref(), said.when.instant, &said.when.edtf),
        (Some("2024-03-05"), None, &None)
    );
    assert_eq!((said.custom["author"][1].as_str(), said.custom["date"].as_str()), (Some("Bé"), Some("2019-01-01")));
    assert_eq!(day(by(&taken, "time.html")).as_deref(), Some("2024-03-05"));
    assert_eq!(day(by(&taken, "20240305 backup/a.txt")), None);
    let late = by(&taken, "late.html");
    assert_eq!(late.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["p.jpg", "q.jpg"]);
    assert!(late.memory.text.contains("(keepsake:attachment/q)") && late.memory.text.contains("unscripted"), "{}", late.memory.text);
    assert!(taken.passed_over[0].starts_with("Saved-Dateien/frame.html"), "{:?}", taken.passed_over);
}

#[test]
fn pictures_of_pages_that_are_elsewhere_are_told_and_stay() {
    let space = folder(&[
        (
            "a.html",
            b"<img data-src=gone.jpg alt='Oma, 1950'><img data-src='https://x.example/p.jpg' alt=a><img srcset='https://x.example/q.jpg 2x'>\
              <img src='data:image/gif;base64,R0lG' data-src=late.jpg><img srcset='small.jpg 1x, big.jpg 2x'><img alt='only words'>\
              <object data=letter.pdf><p>Your program shows none</p></object>",
        ),
        ("big.jpg", b"big"),
        ("letter.pdf", b"a letter"),
    ]);
    let taken = take(space.path(), Some(Format::Plain)).expect("readable");
    let draft = by(&taken, "a.html");
    for shown in [
        "![Oma, 1950](gone.jpg)",
        "![a](https://x.example/p.jpg)",
        "![](https://x.example/q.jpg)",
        "![](late.jpg)",
        "![](keepsake:attachment/big)",
        "only words",
        "[letter.pdf](keepsake:attachment/letter)",
    ] {
        assert!(draft.memory.text.contains(shown), "{shown}\n{}", draft.memory.text);
    }
    assert_eq!(draft.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["big.jpg", "letter.pdf"]);
    let told = |words: &str| taken.problems.iter().filter(|problem| problem.contains(words)).count();
    assert_eq!((told("gone.jpg is not there"), told("late.jpg is not there"), taken.problems.len()), (1, 1, 2), "{:?}", taken.problems);
}

#[test]
fn folders_with_dots_are_different_sources() {
    let space = folder(&[("2024.03/05.txt", b"March"), ("2024.04/05.txt", b"April"), ("notes.2024.json", b"[]")]);
    let stem = |path: &str| Input::open(&space.path().join(path)).expect("open").stem();
    assert_eq!((stem("2024.03"), stem("2024.04"), stem("notes.2024.json")), ("2024.03".into(), "2024.04".into(), "notes.2024".into()));
}

#[test]
fn what_is_nested_too_deep_keeps_its_words_apart() {
    let deep = format!("{}<p>one</p><p>two</p><a href='https://x.example/'>three</a> four", "<div>".repeat(64));
    let space = folder(&[("deep.html", deep.as_bytes())]);
    let taken = take(space.path(), Some(Format::Plain)).expect("readable");
    let draft = by(&taken, "deep.html");
    let lines: Vec<&str> = draft.memory.text.lines().map(str::trim).collect();
    assert_eq!(lines, ["one", "two", "[three](https://x.example/) four"]);
    assert_eq!(draft.files[0].path, "deep.html");
    assert!(taken.problems.len() == 1 && taken.problems[0].contains("nested deeper than is shown"), "{:?}", taken.problems);
}

#[test]
fn days_of_pages_are_their_own() {
    let said = |meta: &str| format!("<meta {meta}><p>x").into_bytes();
    let (post, zoned) =
        (said("property=article:published_time content=2019-07-01T10:00:00Z"), said("name=date content=2024-03-17T00:30:00+01:00"));
    let two = b"<meta name=date content='Tue, 5 March 2024'><meta property=article:published_time content=2024-03-05T10:00:00Z><p>x";
    let long = said(&format!("name=keywords content={}", "x".repeat(20_000)));
    let space = folder(&[
        ("2024-03-05_backup/post.html", &post),
        ("2024-03-05_backup/plain.html", b"<p>x"),
        ("2024-03-05_backup/from 2023-01-01 to 2023-02-01.txt", b"x"),
        ("2024-03-05_backup/20191231235900.txt", b"x"),
        ("2024-03-17.html", &zoned),
        ("two.html", two),
        ("long.html", &long),
    ]);
    let options = ReadOptions { zone: Some("America/New_York".parse().expect("a zone")), ..options() };
    let mut taken = Taken::default();
    read(Format::Plain, &Input::open(space.path()).expect("open"), &options, &mut taken).expect("readable");
    let day = |path: &str| day(by(&taken, path));
    assert_eq!(day("2024-03-05_backup/post.html").as_deref(), Some("2019-07-01"));
    assert_eq!(day("2024-03-05_backup/plain.html").as_deref(), Some("2024-03-05"));
    assert_eq!(day("2024-03-05_backup/from 2023-01-01 to 2023-02-01.txt"), None);
    assert_eq!(day("2024-03-05_backup/20191231235900.txt").as_deref(), Some("2019-12-31"));
    let zoned = &by(&taken, "2024-03-17.html").memory.when;
    assert_eq!(zoned.instant.map(|at| at.to_string()).as_deref(), Some("2024-03-16T23:30:00Z"));
    let two = by(&taken, "two.html");
    assert_eq!((self::day(two).as_deref(), two.memory.custom["date"].as_str()), (Some("2024-03-05"), Some("Tue, 5 March 2024")));
    let long = by(&taken, "long.html");
    assert_eq!((long.memory.custom["keywords"].as_str().map(str::len), long.files.len()), (Some(10_000), 1));
    assert!(taken.problems.iter().any(|problem| problem.contains("says of itself is longer")), "{:?}", taken.problems);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test of how long it takes")]
fn open_elements_and_space_take_no_time() {
    let html = format!("{}{}", "<b>".repeat(4900), " ".repeat(8 << 20));
    let space = folder(&[("a.html", html.as_bytes())]);
    let began = std::time::Instant::now();
    assert_eq!(take(space.path(), None).expect("readable").drafts.len(), 1);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn genuine_pages_are_kept() {
    let Some(path) = genuine("other-notes-apps/html") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!(taken.drafts.len(), 6);
    let links = &by(&taken, "links.html").memory;
    assert_eq!(links.title.as_deref(), Some("links.html"));
    assert!(links.text.contains("- [embeds.html](embeds.html)") && links.text.contains("(https://example.com?example)"), "{}", links.text);
    let tables = &by(&taken, "tables.html").memory.text;
    assert!(tables.contains("| The Dispossessed | Le Guin | 1974 |") && tables.contains("Kyoto"), "{tables}");
    assert!(taken.problems.iter().any(|problem| problem.contains("attachments/image.png is not there")), "{:?}", taken.problems);
    assert!(taken.passed_over.is_empty(), "{:?}", taken.passed_over);
}
