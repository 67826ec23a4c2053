//! Templates of typst: those that come with the program are what they promise, and hostile ones reach nothing.

use std::{collections::BTreeSet, sync::Arc};

use keepsake_formats::{
    book::Printed,
    template::{
        Kind, Manifest, Media, Per, Problem, Set, Setter, Sheet, Standard, built_in, sample,
        view::{self, PictureFile, Viewer},
    },
};

use crate::{checked, press};

fn sheet(set: Set, is_full: bool) -> Sheet {
    let (names, memories) = (sample::names(), sample::memories());
    let here: BTreeSet<_> = memories.iter().map(|memory| memory.id).collect();
    let picture = PictureFile { path: "/m/0".into(), width: 8, height: 8 };
    let viewer = Viewer { kind: Kind::Typst, names: &names, here: &here, language: "en" };
    let view = |(number, memory)| viewer.memory(memory, number, &sample::shown(memory, &names, Some(&picture)));
    let views: Vec<_> = (1..).zip(memories.iter().take(if is_full { 9 } else { 0 })).map(view).collect();
    let head = sample::head(&set.manifest.name, views.len() as u64, Some("from:2024 tag:\"a <b>\""));
    Sheet {
        data: view::data(&head, &views, false, &[("clip.mp4".into(), "a reason".into())]),
        set: Arc::new(set),
        pictures: [("/m/0".to_owned(), include_bytes!("../testdata/grey.jpg").to_vec())].into(),
        date: head.state.at,
        ident: "one".into(),
    }
}

fn own(source: &str) -> Set {
    let manifest = Manifest {
        name: "own".into(),
        description: String::new(),
        kind: Kind::Typst,
        entry: "own.typ".into(),
        per: Per::Export,
        filter: None,
        media: Media::Pictures,
        pixels: 400,
        standard: Standard::Plain,
    };
    let files = [("own.typ", source), ("part.typ", "#let two = 2"), ("words.txt", "of its own")];
    Set::new(manifest, files.map(|(path, text)| (path.to_owned(), text.into())).into()).expect("a template")
}

fn set(source: &str) -> Result<Printed, Vec<Problem>> {
    press().set(&sheet(own(source), true))
}

#[test]
fn built_in_ones_are_for_archives_and_for_everybody() {
    for name in ["letter", "photo-book", "legal"] {
        let full = sheet(built_in::find(name).expect("built in"), true);
        let printed = press().set(&full).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let words: &[&str] = match name {
            "legal" => &[
                "1 of ",
                "A day <by> the sea & {{ more }}",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "0123456789abcdef",
                "#read(\"/etc/passwd\")",
            ],
            _ => &["A day <by> the sea & {{ more }}", "<script>alert(1)</script>", "#read(\"/etc/passwd\")"],
        };
        checked(&printed, words);
        assert!(printed.replaced.contains_key(&'东'), "{name}: {:?}", printed.replaced);
        assert_eq!(press().set(&full), Ok(printed), "{name}: the same bytes again");
        let empty =
            press().set(&sheet(built_in::find(name).expect("built in"), false)).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        checked(&empty, &[]);
    }
}

#[test]
fn own_ones_reach_their_own_files_and_nothing_else() {
    set(
        "#import \"/keepsake.typ\": *\n#import \"part.typ\": two\n#assert(two == 2 and read(\"words.txt\") == \"of its own\")\n#data.title",
    )
    .expect("set");
    for source in [
        "#read(\"/etc/passwd\")",
        "#read(\"../../../../etc/passwd\")",
        "#import \"/etc/passwd\": x",
        "#include \"/proc/self/environ\"",
        "#import \"@preview/cetz:0.3.0\": x",
        "#eval(\"1\")",
        "#std.eval(\"1\")",
        "#plugin(\"words.txt\")",
        "#image(\"/etc/hostname\")",
    ] {
        assert!(set(source).is_err(), "{source}");
    }
}

/// A digit in a keycap that no font has takes no other digit with it.
#[test]
fn a_keycap_takes_no_digit_with_it() {
    let mut sheet = sheet(own("#import \"/keepsake.typ\": *\n#for memory in data.memories { words-of(memory) }"), true);
    sheet.data["memories"][0]["blocks"] = serde_json::json!([["p", [["t", "1\u{fe0f}\u{20e3} and 1"]]]]);
    let printed = press().set(&sheet).expect("set");
    assert!(printed.replaced.contains_key(&'\u{20e3}') && !printed.replaced.contains_key(&'1'), "{:?}", printed.replaced);
}

#[test]
fn only_links_have_addresses() {
    let mut sheet = sheet(own("#import \"/keepsake.typ\": *\n#data.memories.at(0).tags.join()"), true);
    sheet.data["memories"][0]["tags"] = serde_json::json!(["a", "b東c", "d"]);
    let printed = press().set(&sheet).expect("set");
    assert!(printed.replaced.contains_key(&'東'), "{:?}", printed.replaced);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let told = |source: &str| set(source).expect_err(source)[0].to_string();
    let unknown = told("#import \"/keepsake.typ\": *\n\n#data.memories.at(0).tittle");
    assert!(unknown.starts_with("own.typ, line 3: ") && unknown.contains("tittle"), "{unknown}");
    assert!(told("one\n#let x = (").starts_with("own.typ, line 2"));
    // Where it goes wrong in what all templates import, the line that called it.
    let inside = told("#import \"/keepsake.typ\": *\n#words-of(3)");
    assert!(inside.starts_with("own.typ, line 2"), "{inside}");
    assert!(told("#{ let x = 0; while x < 1 { x = x * 1 } }").contains("infinite"));
    assert!(told("#let f() = f()\n#f()").contains("depth"));
}
