//! What is left is known, taken back and removed at every point where a run may end; and nothing else is touched.

use super::*;

const OWNER: &str = "01900000-0000-7000-8000-0000000000aa";

fn place(folder: &Path, is_folder: bool) -> Place {
    let name = if is_folder { "out" } else { "my page.html" };
    Place {
        out: folder.join(name),
        is_folder,
        work: folder.join(format!("{name}.part")),
        prefix: if is_folder { String::new() } else { "my page-files".into() },
        stem: if is_folder { String::new() } else { "my page".into() },
        ending: "html",
        owner: OWNER.parse().expect("an owner"),
        run: "one".into(),
    }
}

/// Everything below a folder, by its path.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("read") {
        let path = entry.expect("an entry").path();
        if is_folder(&path) {
            all.extend(tree(&path));
            all.insert(path, Vec::new());
        } else {
            // A link to a folder has none.
            let bytes = fs::read(&path).unwrap_or_default();
            all.insert(path, bytes);
        }
    }
    all
}

/// Makes all that is to be published.
fn make(place: &Place) -> Vec<Listed> {
    place.begin().expect("begun");
    let pictures = if place.is_folder { "pictures".to_owned() } else { format!("{}/pictures", place.prefix) };
    fs::create_dir_all(place.work.join(&pictures)).expect("made");
    let page = if place.is_folder { "index.html" } else { "my page.html" };
    let names = [page.to_owned(), place.manifest(), format!("{pictures}/1.jpg"), format!("{pictures}/2.jpg")];
    let write = |name: String| {
        fs::write(place.work.join(&name), &name).expect("written");
        Listed { bytes: name.len() as u64, sha256: Sha256Digest::of(name.as_bytes()), name }
    };
    names.into_iter().map(write).collect()
}

fn clear(place: &Place) {
    place.look().expect("found").remove().expect("removed");
}

#[test]
fn a_run_that_was_killed_leaves_nothing_at_any_point() {
    for is_folder in [false, true] {
        let home = tempfile::tempdir().expect("a folder");
        let place = place(home.path(), is_folder);
        let strangers = ["my page-2.html", "my page.txt", "out.json", "my page-files.bak"];
        strangers.iter().for_each(|name| fs::write(home.path().join(name), "of others").expect("written"));
        let before = tree(home.path());
        // While it begins: nothing in the folder, then half a marker.
        fs::create_dir(&place.work).expect("made");
        clear(&place);
        fs::create_dir(&place.work).expect("made");
        fs::write(place.work.join(NEW_MARKER), "{\"form").expect("written");
        clear(&place);
        assert_eq!(tree(home.path()), before);
        // While it works, and while what it left is removed.
        make(&place);
        fs::remove_file(place.work.join(place.manifest())).expect("removed");
        clear(&place);
        assert_eq!(tree(home.path()), before);
        // After each step of publishing, and then after each of taking back.
        let steps = if is_folder { 2 } else { 3 };
        for done in 0..=steps {
            for back in 0..=steps {
                let files = make(&place);
                let moves = place.moves(&files);
                assert_eq!(moves.len(), steps);
                Marker::of(&place, files).put(&place.work).expect("put");
                moves.iter().take(done).for_each(|(from, to)| fs::rename(from, to).expect("renamed"));
                let left = place.look().expect("found");
                assert_eq!(left.moves.len(), done, "{left:?}");
                left.moves.iter().take(back).for_each(|(from, to)| fs::rename(from, to).expect("renamed"));
                clear(&place);
                assert_eq!(tree(home.path()), before, "{done} steps, {back} back");
            }
        }
        // Once it is done, it stays.
        let files = make(&place);
        place.publish(files).expect("published");
        let after = tree(home.path());
        assert!(!is_there(&place.work) && !is_there(&place.note()) && after.len() > before.len());
        let error = place.look().expect_err("it is there").to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(tree(home.path()), after);
    }
}

#[test]
fn a_run_that_fails_takes_back_what_it_published() {
    let home = tempfile::tempdir().expect("a folder");
    let place = place(home.path(), false);
    let files = make(&place);
    let moves = place.moves(&files);
    Marker::of(&place, files.clone()).put(&place.work).expect("put");
    fs::rename(&moves[0].0, &moves[0].1).expect("renamed");
    // What came there meanwhile is nobody's here.
    fs::write(&moves[1].1, "of others").expect("written");
    place.give_up();
    assert_eq!(tree(home.path()), BTreeMap::from([(moves[1].1.clone(), b"of others".to_vec())]));
    // Another run has taken over: this one leaves it alone.
    fs::remove_file(&moves[1].1).expect("removed");
    make(&place);
    let before = tree(home.path());
    let second = Place { run: "two".into(), ..place };
    second.give_up();
    let error = second.publish(files).expect_err("not its own").to_string();
    assert!(error.contains("taken it over") && tree(home.path()) == before, "{error}");
}

#[test]
fn what_is_not_what_was_made_is_left_alone() {
    type Spoil<'a> = (bool, &'a str, &'a dyn Fn(&Path));
    let home = tempfile::tempdir().expect("a folder");
    let change = |path: &Path| fs::write(path, "changed").expect("written");
    let add = |path: &Path| fs::write(path.join("mine.txt"), "mine").expect("written");
    let link = |path: &Path| {
        fs::rename(path, path.with_extension("moved")).expect("moved");
        std::os::unix::fs::symlink(path.with_extension("moved"), path).expect("linked");
    };
    let spoils: [Spoil<'_>; 9] = [
        (false, "my page.html", &change),
        (false, "my page.html", &link),
        (false, "my page-files", &add),
        (false, "my page-files", &link),
        (false, "my page-files/pictures/1.jpg", &link),
        (true, "out", &add),
        (true, "out", &link),
        (true, "out/pictures/1.jpg", &change),
        (true, "out.part.json", &change),
    ];
    for (at, (is_folder, name, spoil)) in spoils.iter().enumerate() {
        let folder = home.path().join(at.to_string());
        fs::create_dir(&folder).expect("made");
        let place = place(&folder, *is_folder);
        let files = make(&place);
        let moves = place.moves(&files);
        Marker::of(&place, files).put(&place.work).expect("put");
        moves.iter().for_each(|(from, to)| fs::rename(from, to).expect("renamed"));
        spoil(&folder.join(name));
        let before = tree(&folder);
        let error = place.look().expect_err("refused").to_string();
        assert!(error.contains("is there") && tree(&folder) == before, "{at}: {error}");
    }
}

#[test]
fn what_a_marker_says_is_not_believed() {
    let home = tempfile::tempdir().expect("a folder");
    let place = place(home.path(), false);
    let victim = home.path().join("victim.txt");
    fs::write(&victim, "x").expect("written");
    let names = ["victim.txt", "../victim.txt", "/etc/passwd", "my page-files/../victim.txt", "my page-files", ".", "", "my page-x.html"];
    let deep = format!("my page-files{}", "/x".repeat(DEPTH_MAX));
    for name in names.into_iter().chain([deep.as_str()]) {
        assert!(!place.makes(name), "{name}");
        fs::create_dir(&place.work).expect("made");
        let listed = Listed { name: name.into(), bytes: 1, sha256: Sha256Digest::of(b"x") };
        Marker::of(&place, vec![listed]).put(&place.work).expect("put");
        let error = place.look().expect_err("refused").to_string();
        assert!(error.contains("another run is at it") && victim.exists() && place.work.join(MARKER).exists(), "{error}");
        fs::remove_dir_all(&place.work).expect("removed");
    }
    for name in ["my page.html", "my page-12.html", "my page.manifest.json", "my page-files/pictures/1.jpg"] {
        assert!(place.makes(name), "{name}");
    }
    // Of another owner, and in a folder that only looks like one.
    place.begin().expect("begun");
    let others = Place { owner: OWNER.replace("aa", "ab").parse().expect("an owner"), ..place.clone() };
    others.look().expect_err("refused");
    fs::rename(&place.work, home.path().join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink(home.path().join("elsewhere"), &place.work).expect("linked");
    place.look().expect_err("refused");
    assert!(home.path().join("elsewhere").join(MARKER).exists());
}
