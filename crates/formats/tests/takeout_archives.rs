//! A Takeout in several archives, and the same one twice.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use keepsake_formats::import::{Draft, Format, Input};
use serde_json::{Value, json};

use crate::{
    taken::{Taken, take, take_input},
    takeout::{Tree, genuine_tree, photo, put, shown, sidecar, taken_of, tree},
};

fn zip_of(path: &Path, tree: &Tree, takes: impl Fn(usize) -> bool) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("create"));
    for (number, (name, bytes)) in tree.iter().enumerate() {
        if takes(number) {
            zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).expect("entry");
            zip.write_all(bytes).expect("written");
        }
    }
    zip.finish().expect("finished");
}

/// What is the same whatever the files were read from.
fn ids(taken: &Taken) -> Vec<(String, String, Vec<String>)> {
    let of = |draft: &Draft| {
        let source = draft.memory.source.clone().expect("a source");
        let collections = draft.collections.iter().map(|c| c.name.clone()).collect();
        (source.id, source.digest.map(|digest| digest.to_string()).unwrap_or_default(), collections)
    };
    let mut ids: Vec<_> = taken.drafts.iter().map(of).collect();
    ids.sort();
    ids
}

#[test]
fn archives_of_one_takeout_are_one_tree() {
    let Some((mut tree, _)) = genuine_tree() else { return };
    let space = tempfile::tempdir().expect("space");
    let (folder, archives) = (space.path().join("folder"), space.path().join("archives"));
    put(&folder, &tree);
    fs::create_dir(&archives).expect("folder");
    let whole = take(&folder, None).expect("readable");
    // Photos in one, sidecars in two others, some of them in both.
    tree.insert("Takeout/archive_browser.html".into(), b"<p>".to_vec());
    let paths: Vec<PathBuf> = (1..=3).map(|n| archives.join(format!("takeout-20240114T141333Z-00{n}.zip"))).collect();
    let is_said: Vec<bool> = tree.keys().map(|path| path.ends_with(".json") || path.ends_with(".html")).collect();
    zip_of(&paths[0], &tree, |n| !is_said[n]);
    zip_of(&paths[1], &tree, |n| is_said[n] && n % 2 == 0);
    zip_of(&paths[2], &tree, |n| is_said[n]);
    let input = Input::open_all(&paths).expect("open");
    let several = take_input(&input, None).expect("it is found out what it is");
    assert_eq!(ids(&several), ids(&whole));
    assert_eq!((&several.problems, &several.details), (&whole.problems, &whole.details));
    let again = several.passed_over.iter().filter(|said| said.ends_with("(the same file as in another input)")).count();
    assert_eq!((again, several.passed_over.len()), (is_said.iter().step_by(2).filter(|said| **said).count(), again + 2));
    for path in [vec![archives.clone()], vec![paths[2].clone(), paths[0].clone(), paths[1].clone(), paths[0].clone()]] {
        let again = take_input(&Input::open_all(&path).expect("open"), None).expect("readable");
        assert_eq!(ids(&again), ids(&whole), "the folder of all archives, or any order of them");
    }
    let alone = take(&paths[0], Some(Format::TakeoutPhotos)).expect("readable");
    assert!(alone.drafts.len() == 6 && alone.problems.len() == 6, "photos without sidecars are kept and named: {:?}", alone.problems);
    assert!(Input::open_all(&[]).is_err() && Input::open_all(&[paths[0].clone(), space.path().join("gone")]).is_err());
}

#[test]
fn the_same_path_in_two_archives() {
    let space = tempfile::tempdir().expect("space");
    let one =
        tree(&[("Photos from 2017/IMG_1.jpg", photo("one")), ("Photos from 2017/IMG_1.jpg.json", sidecar("IMG_1.jpg", 1, json!({})))]);
    let two = tree(&[
        ("Photos from 2017/IMG_1.jpg", photo("two")),
        ("Photos from 2017/IMG_1.jpg.json", sidecar("IMG_1.jpg", 2, json!({}))),
        ("Photos from 2017/IMG_2.jpg", photo("one")),
        ("Photos from 2017/IMG_2.jpg.json", sidecar("IMG_2.jpg", 3, json!({}))),
    ]);
    let paths = ["takeout-a.zip", "takeout-b.zip", "takeout-c.zip"].map(|name| space.path().join(name));
    zip_of(&paths[0], &one, |_| true);
    zip_of(&paths[1], &two, |_| true);
    zip_of(&paths[2], &one, |_| true);
    let mut taken = take_input(&Input::open_all(&paths).expect("open"), None).expect("readable");
    assert_eq!(shown(&taken), ["IMG_1.jpg [] 1", "IMG_1.jpg [] 2", "IMG_2.jpg [] 3"], "two of the same name are two");
    assert!(taken.drafts.iter().any(|draft| draft.origin == "takeout-b/Takeout/Google Photos/Photos from 2017/IMG_1.jpg"));
    assert_eq!(taken.problems, Vec::<String>::new());
    taken.passed_over.sort();
    assert!(
        taken.passed_over.len() == 2
            && taken.passed_over.iter().all(|said| said.contains("takeout-c.zip") && said.ends_with("(the same file as in another input)"))
    );
    let input = Input::open_all(&paths).expect("open");
    assert!(input.whole("Takeout/../x").is_err() && input.describe().ends_with("takeout-a.zip and 2 more"));
}

#[test]
fn the_same_twice_is_the_same_and_a_change_is_seen() {
    let of = |said: Value| {
        ids(&taken_of(&[("a/IMG_1.jpg", photo("1")), ("a/IMG_1.jpg.json", sidecar("IMG_1.jpg", 1_500_000_000, said))])).remove(0)
    };
    let first = of(json!({}));
    assert_eq!(first, of(json!({})));
    assert_eq!(first, of(json!({"imageViews": "77"})), "who looks at it does not change it");
    let changed = of(json!({"description": "words"}));
    assert!(changed.0 == first.0 && changed.1 != first.1);
}

#[test]
fn a_folder_of_photos_that_holds_some_of_a_takeout_is_none() {
    let space = tempfile::tempdir().expect("space");
    put(space.path(), &tree(&[("a/IMG_1.jpg", photo("1")), ("a/IMG_1.jpg.json", sidecar("IMG_1.jpg", 1, json!({})))]));
    let detected = || keepsake_formats::import::detect(&Input::open(space.path()).expect("open")).expect("found out");
    fs::write(space.path().join("one.jpg"), photo("one")).expect("written");
    assert_eq!(detected(), Format::TakeoutPhotos);
    fs::write(space.path().join("two.jpg"), photo("two")).expect("written");
    assert_eq!(detected(), Format::Media);
    let taken = take(space.path(), Some(Format::TakeoutPhotos)).expect("readable");
    assert!(taken.drafts.len() == 1 && taken.problems.len() == 2 && taken.problems[0].contains("--format media"), "{:?}", taken.problems);
}
