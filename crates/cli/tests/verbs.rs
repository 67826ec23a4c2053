//! Every verb answers people and programs.

use crate::support::{Home, check_pdf, files, text};

#[test]
fn every_verb_speaks_json() {
    let home = Home::new();
    let added = home
        .json(&["memory", "add", "--text", "Crème brûlée", "--title", "Café", "--date", "2024-03-17", "--tag", "sweet"])
        .ended(0)
        .json();
    let id = added["id"].as_str().expect("an id").to_owned();
    assert_eq!((&added["event"], &added["exit_code"]), (&"summary".into(), &0.into()));
    home.json(&["memory", "edit", &id, "--tag", "more"]).ended(0);
    assert_eq!(home.json(&["memory", "search", "creme"]).ended(0).json()["id"], id.as_str());
    home.json(&["memory", "show", &id[..13]]).ended(0);
    home.json(&["memory", "history", &id]).ended(0);
    home.json(&["collection", "add", "Album"]).ended(0);
    home.json(&["collection", "put", "Album", &id]).ended(0);
    assert_eq!(home.json(&["collection", "list"]).ended(0).json()["memories"], 1);
    home.json(&["collection", "take", "Album", &id]).ended(0);
    home.json(&["memory", "delete", &id]).ended(0);
    assert_eq!(home.count(), 0);
    home.json(&["memory", "undelete", &id]).ended(0);
    home.json(&["owner", "list"]).ended(0);
    home.json(&["config", "show"]).ended(0);
    home.json(&["config", "check"]).ended(0);
    home.json(&["backup"]).ended(0);
    for verb in [
        vec!["snapshot", "list"],
        vec!["snapshot", "show"],
        vec!["snapshot", "ls"],
        vec!["snapshot", "diff", "latest"],
        vec!["verify", "--read-data=50%"],
        vec!["repository", "show"],
        vec!["key", "kit"],
        vec!["doctor"],
    ] {
        home.json(&verb).ended(0);
    }
    home.json(&["restore", "--dry-run", "--into-vault"]).ended(0);
    assert_eq!(home.json(&["memory", "show", "ffffffff"]).ended(2).json()["event"], "error");
    home.json(&["owner", "add", "Bob"]).ended(0);
    assert!(home.run(&["memory", "list"]).ended(2).err.contains("several owners"));
    home.json(&["memory", "list", "--owner", "Bob"]).ended(0);
}

/// A letter, a record and a page of one's own: what a template makes, and what the verbs say of templates.
#[test]
fn templates_are_made_checked_and_used() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "Crème <brûlée>", "--title", "Café", "--date", "2024-03-17T10:00:00Z"]).ended(0);
    let out = home.file("out");
    std::fs::create_dir(&out).expect("made");
    let path = |name: &str| text(&out.join(name)).to_owned();
    for template in ["letter", "photo-book", "legal"] {
        let file = path(&format!("{template}.pdf"));
        let made = home.json(&["export", "--template", template, "--out", &file, "--fonts", &path("")]).ended(0).json();
        assert_eq!((&made["memories"], &made["skipped"]), (&1.into(), &serde_json::json!([])), "{made}");
        check_pdf(&out.join(format!("{template}.pdf")));
        let again = path(&format!("{template}-again.pdf"));
        home.run(&["export", "--template", template, "--out", &again, "--fonts", &path("")]).ended(0);
        assert!(std::fs::read(&file).expect("read") == std::fs::read(&again).expect("read"), "{template}: the same bytes again");
    }
    home.json(&["template", "list"]).ended(0);
    assert!(home.run(&["template", "show", "legal"]).ended(0).out.contains("sha256"));
    home.json(&["template", "new", "mine", "--from", "letter"]).ended(0);
    home.json(&["template", "check", "mine"]).ended(0);
    let source = home.path().join("templates/mine/letter.typ");
    std::fs::write(&source, "#import \"/keepsake.typ\": *\n#data.nothing").expect("written");
    let told = home.run(&["template", "check", "mine"]).ended(1);
    assert!(told.out.contains("letter.typ, line 2: "), "{}{}", told.out, told.err);
    let failed = home.run(&["export", "--template", "mine", "--out", &path("mine.pdf")]).ended(2);
    assert!(failed.err.contains("letter.typ, line 2: "), "{}", failed.err);
    assert!(home.run(&["template", "delete", "mine"]).ended(4).err.contains("--yes"));
    home.json(&["template", "delete", "mine", "--yes"]).ended(0);
    home.run(&["export", "--template", "journal", "--out", &path("j.html"), "--format", "csv"]).ended(2);
    // What a template does not do is refused, and nothing is made.
    let flags =
        "--encrypt|--encrypt-to age1x|--encrypt-to-file keys|--destination far|--layout date|--embed|--convert png|--max-side 99|--fonts .";
    for flags in flags.split('|') {
        let page = path("j.html");
        let command: Vec<&str> = ["export", "--template", "journal", "--out", page.as_str()].into_iter().chain(flags.split(' ')).collect();
        let refused = home.run(&command).ended(2);
        assert!(refused.err.contains(command[5]) && !out.join("j.html").exists(), "{flags:?}: {}", refused.err);
    }
    let planned = home.json(&["export", "--template", "journal", "--out", &path("j.html"), "--dry-run"]).ended(0).json();
    assert_eq!((&planned["plan"]["memories"], out.join("j.html").exists()), (&1.into(), false), "{planned}");
}

/// An old version comes back, and words that are no command are an error like any other.
#[test]
fn a_change_is_taken_back() {
    let home = Home::new();
    let id = home.json(&["memory", "add", "--text", "first words"]).ended(0).json()["id"].as_str().expect("an id").to_owned();
    home.run(&["memory", "edit", &id, "--text", "second words"]).ended(0);
    let told = home.run(&["memory", "history", &id]).ended(0).out;
    let after = |label: &str| told.split(label).nth(1).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    assert!(after("before:").ends_with("first words") && after("now:").ends_with("second words"), "{told}");
    let change = home.json(&["memory", "history", &id]).ended(0).json()["seq"].to_string();
    home.run(&["memory", "revert", &id, &change]).ended(0);
    assert_eq!(home.json(&["memory", "show", &id]).ended(0).json()["text"], "first words");
    assert!(home.run(&["memory", "revert", &id, "1"]).ended(2).err.contains("memory history"));
    let misused = home.json(&["memory", "forgive", &id]).ended(2).json();
    assert!(misused["event"] == "error" && misused["exit_code"] == 2, "{misused}");
}

/// Old snapshots go by the rules, a pinned one stays, the space comes back, and the stock tool agrees.
#[test]
fn old_snapshots_leave_and_their_space_comes_back() {
    let home = Home::new();
    for number in 0..5 {
        home.run(&["memory", "add", "--text", &format!("memory {number}"), "--date", &format!("2024-03-0{}", number + 1)]).ended(0);
        home.run(&["backup"]).ended(0);
    }
    let listed = home.json(&["snapshot", "list"]).ended(0).out;
    let ids: Vec<String> = listed
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["id"].as_str().expect("id").to_owned())
        .collect();
    home.run(&["snapshot", "pin", &ids[0], "--reason", "the first one"]).ended(0);
    let told = home.run(&["snapshot", "forget", "--keep-last", "2", "--dry-run"]).ended(0).out;
    assert!(told.contains("pinned: the first one") && told.contains("2 snapshots would go"), "{told}");
    assert!(home.run(&["snapshot", "forget", "--keep-last", "2"]).ended(4).err.contains("--yes"));
    home.json(&["snapshot", "forget", "--keep-last", "2", "--yes"]).ended(0);
    assert_eq!(home.json(&["snapshot", "list"]).ended(0).out.lines().count(), 3);
    assert!(home.run(&["snapshot", "forget", "--keep-last", "some"]).ended(2).err.contains("`all`"));
    let would = home.json(&["prune", "--dry-run", "--max-unused", "0"]).ended(0).json();
    assert!(would["plan"]["freed_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{would}");
    home.json(&["prune", "--max-unused", "0"]).ended(0);
    assert!(home.run(&["prune"]).ended(0).out.contains("Nothing to give back"));
    home.run(&["verify", "--read-data"]).ended(0);
    home.run(&["memory", "add", "--text", "one more"]).ended(0);
    assert!(home.run(&["backup"]).ended(0).out.contains("(incremental)"), "a prune of our own is no reason for a full backup");
    home.run(&["snapshot", "unpin", &ids[0]]).ended(0);
    home.run(&["prune", "--system"]).ended(0);
}

/// A deleted memory leaves every snapshot; a path leaves those of a folder; a new master key leaves the old one useless.
#[test]
fn what_must_go_goes_everywhere() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "what stays", "--date", "2024-03-01"]).ended(0);
    let id =
        home.json(&["memory", "add", "--text", "what goes", "--date", "2024-03-01"]).ended(0).json()["id"].as_str().expect("id").to_owned();
    home.run(&["backup"]).ended(0);
    home.run(&["memory", "add", "--text", "later"]).ended(0);
    home.run(&["backup"]).ended(0);
    let rewrite = ["snapshot", "rewrite", "--without-memory", &id];
    assert!(home.run(&["snapshot", "rewrite"]).ended(2).err.contains("--without-memory"));
    assert!(home.run(&rewrite).ended(4).err.contains("keepsake memory delete"));
    home.run(&["memory", "delete", &id]).ended(0);
    let told = home.run(&[&rewrite[..], &["--dry-run"]].concat()).ended(0).out;
    assert!(told.contains("1 memory found in 2 of 2 snapshots"), "{told}");
    assert!(home.run(&rewrite).ended(4).err.contains("--yes"));
    let report = home.json(&[&rewrite[..], &["--yes"]].concat()).ended(0).json();
    assert_eq!(report["report"]["snapshots"].as_array().map(Vec::len), Some(2), "{report}");
    let back = home.file("back");
    home.json(&["restore", "latest", "--to", text(&back), "--yes"]).ended(0);
    let said: String = files(&back).iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
    assert!(said.contains("what stays") && !said.contains("what goes"), "{said}");
    home.run(&["verify", "--read-data"]).ended(0);

    let folder = home.file("folder");
    std::fs::create_dir_all(folder.join("private")).expect("a folder");
    std::fs::write(folder.join("private/note"), "only here").expect("a file");
    std::fs::write(folder.join("open"), "for all").expect("a file");
    home.run(&["backup", "--folder", text(&folder)]).ended(0);
    let private = format!("{}/private", folder.canonicalize().expect("there").display());
    home.run(&["snapshot", "rewrite", "--without-path", &private, "--yes"]).ended(0);
    let listed = home.json(&["snapshot", "list"]).ended(0).out;
    let last: serde_json::Value = serde_json::from_str(listed.lines().last().expect("some")).expect("JSON");
    let files = home.run(&["snapshot", "ls", &last["id"].as_str().expect("id")[..8]]).ended(0).out;
    assert!(files.contains("open") && !files.contains("private"), "{files}");

    let old = home.file("old");
    std::fs::write(&old, home.run(&["key", "reveal", "--yes"]).ended(0).out).expect("write");
    let place = home.json(&["repository", "show"]).ended(0).json()["restic_location"].as_str().expect("a place").to_owned();
    assert!(home.run(&["key", "re-encrypt"]).ended(4).err.contains("--yes"));
    assert_eq!(home.json(&["key", "re-encrypt", "--yes"]).ended(0).json()["generation"], 2);
    home.json(&["key", "re-encrypt", "--system", "--yes"]).ended(0);
    assert_eq!(home.run(&["snapshot", "list", "--from", &place, "--password-file", text(&old)]).code, 10, "there is nothing left");
    home.run(&["verify", "--read-data"]).ended(0);
    home.run(&["memory", "add", "--text", "after it"]).ended(0);
    assert!(home.run(&["backup"]).ended(0).out.contains("(incremental)"));
    home.run(&["doctor"]).ended(0);
}

/// Somebody's own password opens the repository until it is removed; a new one of the home's makes the old one useless, and the
/// recovery kit goes on opening it.
#[test]
fn passwords_come_and_go() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "kept"]).ended(0);
    home.run(&["backup"]).ended(0);
    let place = home.json(&["repository", "show"]).ended(0).json()["restic_location"].as_str().expect("a place").to_owned();
    let (mine, theirs) = (home.file("mine"), home.file("theirs"));
    let opens = |password: &std::path::Path| home.run(&["snapshot", "list", "--from", &place, "--password-file", text(password)]).code;
    std::fs::write(&theirs, "a password of theirs\n").expect("write");
    let added =
        home.json(&["key", "add", "them", "--password-file", text(&theirs)]).ended(0).json()["key"].as_str().expect("an id").to_owned();
    assert_eq!(opens(&theirs), 0);
    assert_eq!(home.json(&["key", "list"]).ended(0).out.lines().count(), 2);
    home.run(&["key", "remove", &added[..8]]).ended(0);
    assert_eq!(opens(&theirs), 12);

    std::fs::write(&mine, home.run(&["key", "reveal", "--yes"]).ended(0).out).expect("write");
    assert!(home.run(&["key", "add", "two\nlines", "--password-file", text(&theirs)]).ended(2).err.contains("one line"));
    let own = home.json(&["key", "list"]).ended(0).json()["id"].as_str().expect("an id").to_owned();
    assert!(home.run(&["key", "remove", &own]).ended(4).err.contains("key rewrap"));
    let report = home.json(&["key", "rewrap"]).ended(0).json();
    assert_eq!(report["removed"], serde_json::json!([own]));
    assert_eq!(opens(&mine), 12, "the old password opens nothing");
    home.run(&["verify", "--read-data"]).ended(0);
    home.run(&["memory", "add", "--text", "more"]).ended(0);
    assert!(home.run(&["backup"]).ended(0).out.contains("(incremental)"));
    let page = std::fs::read_to_string(home.path().join("recovery-kit.html")).expect("the page");
    let kit = home.file("kit");
    std::fs::write(&kit, kit_words(&page).join(" ")).expect("write");
    let opened = crate::support::command(&home.path())
        .env("KEEPSAKE_KIT_FILE", &kit)
        .args(["key", "kit", "--quiet", "--open", &place])
        .output()
        .expect("runs");
    std::fs::write(&mine, opened.stdout).expect("write");
    assert_eq!(opens(&mine), 0, "the kit knows the new one");
    home.run(&["key", "rewrap", "--system"]).ended(0);
    assert_eq!(home.run(&["key", "remove", "ffff"]).ended(2).code, 2);
}

/// On a new machine a repository and its password are enough to get everything out.
#[test]
fn restoring_needs_no_home() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "carried over"]).ended(0);
    home.run(&["backup"]).ended(0);
    let place = home.json(&["repository", "show"]).ended(0).json()["restic_location"].as_str().expect("a place").to_owned();
    let password = home.file("password");
    std::fs::write(&password, home.run(&["key", "reveal", "--yes"]).ended(0).out).expect("write");
    let bare = Home::none();
    let from = ["--from", &place, "--password-file", text(&password)];
    assert!(bare.json(&[&["snapshot", "list"], from.as_slice()].concat()).ended(0).json()["id"].is_string());
    let out = bare.file("out");
    bare.json(&[&["restore", "--to", text(&out)], from.as_slice()].concat()).ended(0);
    let found = files(&out).iter().any(|f| std::fs::read_to_string(f).is_ok_and(|t| t.contains("carried over")));
    assert!(found && !bare.path().exists(), "and no home is made for it");
    std::fs::write(&password, "another").expect("write");
    bare.json(&[&["restore", "--to", text(&bare.file("none"))], from.as_slice()].concat()).ended(12);
}

#[test]
fn completions_and_manual_pages() {
    let home = Home::none();
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(&["completions", shell]).ended(0).out.contains("keepsake"));
    }
    assert!(home.run(&["man"]).ended(0).out.contains(".TH keepsake"));
    home.run(&["man", "--out", text(&home.file("man"))]).ended(0);
    assert!(files(&home.file("man")).len() > 20, "a page for every command");
}

#[test]
fn exports_come_back_from_every_container() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "out and in", "--date", "1978-06~"]).ended(0);
    for name in ["bag", "bag.zip", "bag.tar.gz"] {
        let out = home.file(name);
        home.json(&["export", "--format", "json", "--out", text(&out)]).ended(0);
        home.json(&["export", "--out", text(&out)]).ended(4);
        let other = Home::new();
        other.json(&["import", text(&out)]).ended(0);
        assert_eq!(other.json(&["memory", "list"]).ended(0).out, home.json(&["memory", "list"]).ended(0).out, "{name}");
    }
    let line = files(&home.file("bag/data/memories")).remove(0);
    let changed = std::fs::read_to_string(&line).expect("read").replace("out and in", "out and on");
    std::fs::write(&line, changed).expect("write");
    let said = Home::new().run(&["import", text(&home.file("bag"))]).ended(3).err;
    assert!(said.contains("it was changed after the export"), "{said}");
}

#[test]
fn a_book_is_the_same_each_time() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "The *first* swallow, \u{e001}.", "--title", "Swallows", "--date", "2024-03-17"]).ended(0);
    home.run(&["memory", "add", "--text", "שלום", "--date", "2024-03-18"]).ended(0);
    let (one, two) = (home.file("one.pdf"), home.file("two.pdf"));
    let said = home.run(&["export", "--format", "pdf", "--out", text(&one), "--fonts", text(&home.path())]).ended(0);
    assert!(said.out.contains("one.pdf: 2 memories on 3 pages") && said.err.contains("U+E001"), "{} {}", said.out, said.err);
    home.json(&["export", "--format", "pdf", "--out", text(&two), "--fonts", text(&home.path())]).ended(0);
    assert!(std::fs::read(&one).expect("read") == std::fs::read(&two).expect("read"));
    check_pdf(&one);
    home.run(&["export", "--format", "pdf", "--out", text(&one)]).ended(4);
    home.run(&["export", "--format", "pdf", "--out", text(&home.file("folder"))]).ended(2);
    home.run(&["export", "--format", "docx", "--out", text(&home.file("x"))]).ended(2);
}

#[test]
fn tables_are_a_bag_that_says_what_is_in_it() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "=1+1", "--date", "2024-03-17"]).ended(0);
    let out = home.file("tables");
    let said = home.run(&["export", "--format", "csv", "--dialect", "spreadsheet", "--out", text(&out)]).ended(0).out;
    assert!(said.contains("1 memory in 15 files") && said.contains("datapackage.json"), "{said}");
    assert!(std::fs::read_to_string(out.join("data/memories.csv")).expect("read").contains(",'=1+1,"));
    for wrong in [["--dialect", "faithful"], ["--title", "A book"]] {
        let refused = home.run(&["export", wrong[0], wrong[1], "--out", text(&home.file("x"))]).ended(2).err;
        assert!(refused.contains("add --format"), "{refused}");
    }
}

/// The words on a recovery kit's page.
fn kit_words(page: &str) -> Vec<&str> {
    page.split("<li value=").skip(1).filter_map(|li| li.split_once('>')?.1.split('<').next()).collect()
}

#[test]
fn the_kit_opens_what_the_home_sealed() {
    let home = Home::new();
    home.run(&["memory", "add", "--text", "x"]).ended(0);
    home.run(&["backup"]).ended(0);
    let page = std::fs::read_to_string(home.path().join("recovery-kit.html")).expect("the page");
    let words = kit_words(&page);
    assert_eq!(words.len(), 24);
    let kit = home.file("kit");
    std::fs::write(&kit, words.join(" ")).expect("write");
    let place = std::path::PathBuf::from(home.json(&["repository", "show"]).ended(0).json()["restic_location"].as_str().expect("a place"));
    for place in [place.parent().expect("a parent"), &place] {
        let output = crate::support::command(&home.file("elsewhere"))
            .env("KEEPSAKE_KIT_FILE", &kit)
            .args(["key", "kit", "--quiet", "--open", text(place)])
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), home.run(&["key", "reveal", "--yes"]).ended(0).out);
    }
}

#[test]
fn the_demonstration_shows_everything() {
    let home = Home::none();
    let ran = home.run(&["demo", "--memories", "60", "--at", text(&home.file("demo"))]).ended(0);
    assert!(ran.out.contains("byte for byte the same"), "{}", ran.out);
}

#[test]
fn folders_too() {
    let home = Home::new();
    let source = home.file("papers");
    std::fs::create_dir(&source).expect("folder");
    std::fs::write(source.join("will.txt"), "last").expect("write");
    home.json(&["backup", "--folder", text(&source)]).ended(0);
    let back = home.file("back");
    home.json(&["restore", "latest", "--to", text(&back), "--yes"]).ended(0);
    assert_eq!(std::fs::read_to_string(&files(&back)[0]).expect("there"), "last");
    home.json(&["restore", "latest", "--into-vault", "--yes"]).ended(2);
}

/// The files themselves go out with their flags, which belong to nothing else, and come back.
#[test]
fn files_go_out_for_photo_programs() {
    let home = Home::new();
    let photo = home.file("p.txt");
    std::fs::write(&photo, "no photo, but a file").expect("write");
    home.run(&["memory", "add", "--title", "On the pier", "--date", "2024-03-17", "--attach", text(&photo)]).ended(0);
    let out = home.file("media");
    home.json(&["export", "--format", "media", "--out", text(&out), "--dry-run"]).ended(0);
    let summary = home.json(&["export", "--format", "media", "--layout", "person", "--embed", "--out", text(&out)]).ended(0).json();
    assert_eq!(summary["files"], 3, "{summary}");
    let sidecar = std::fs::read_to_string(out.join("data/Without people/2024-03-17 p.txt.xmp")).expect("a sidecar");
    assert!(sidecar.contains("On the pier"), "{sidecar}");
    for flag in [&["--embed"][..], &["--layout", "date"], &["--convert", "webp"], &["--max-side", "100"]] {
        let ran = home.run(&[&["export", "--out", text(&home.file("other"))], flag].concat()).ended(2);
        assert!(ran.err.contains("--format media"), "{}", ran.err);
    }
    let target = home.file("parts");
    let parts = ["export", "--format", "media", "--part-size", "4 MiB", "--out", text(&target), "--max-side", "5"];
    home.run(&parts).ended(2);
    assert!(home.run(&parts[..7]).ended(2).err.contains("--part-size"));
}

/// The pages and the program say the same.
#[test]
fn the_table_of_exit_codes_and_verbs_is_in_the_docs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COMMANDS.md")).expect("the page");
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/exit.rs")).expect("the source");
    let mut rows = 0;
    for line in page.lines().filter(|l| l.starts_with("| ") && l.as_bytes()[2].is_ascii_digit()) {
        let name = line.split('|').nth(2).expect("a name").trim();
        let meaning = line.split('|').nth(3).expect("a meaning").trim();
        assert!(source.contains(&format!("\"{name}\", \"{meaning}\"")), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 10);
    let help = Home::none().run(&["--help"]).ended(0).out;
    let commands = help.split("Commands:").nth(1).and_then(|h| h.split("Options:").next()).expect("commands");
    for verb in commands.lines().filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next().filter(|_| !l.starts_with("   "))) {
        assert!(page.contains(&format!("`{verb}")), "docs/COMMANDS.md has no `{verb}`");
    }
}
