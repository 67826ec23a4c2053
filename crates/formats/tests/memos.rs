//! Memos: the project's own demo database, row by row against what it says, databases as older versions made them, and hostile ones.

use std::{collections::BTreeMap, fs, path::Path};

use keepsake_formats::import::{Draft, Format, Input, detect};
use keepsake_record::Visibility;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::taken::{Taken, genuine, take};

fn ids(taken: &Taken) -> BTreeMap<&str, &Draft> {
    taken.drafts.iter().map(|draft| (draft.memory.source.as_ref().expect("a source").id.as_str(), draft)).collect()
}

/// Rows of a query as JSON, each a list.
fn rows(database: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = database.prepare(sql).expect("SQL");
    let columns = statement.column_count();
    let read = statement
        .query_map((), |row| (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect::<Result<Vec<_>, _>>());
    let shown = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Integer(number) => json!(number),
        rusqlite::types::Value::Text(text) => json!(text),
        rusqlite::types::Value::Null => Value::Null,
        other => json!(format!("{other:?}")),
    };
    read.expect("rows").map(|row| row.expect("a row").into_iter().map(shown).collect()).collect()
}

#[test]
fn the_demo_instance_is_kept_whole() {
    let Some(path) = genuine("memos-sample/memos_demo.db") else { return };
    let space = tempfile::tempdir().expect("space");
    // Opened by another program, a copy of its own.
    fs::copy(&path, space.path().join("copy.db")).expect("copied");
    let database = Connection::open(space.path().join("copy.db")).expect("open");
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!(taken.problems, Vec::<String>::new());
    let drafts = ids(&taken);
    let users: BTreeMap<i64, Value> =
        rows(&database, "SELECT id, username FROM user").into_iter().map(|row| (row[0].as_i64().expect("an id"), row[1].clone())).collect();
    let memos =
        rows(&database, "SELECT id, uid, creator_id, created_ts, updated_ts, row_status, content, visibility, pinned, payload FROM memo");
    assert_eq!((memos.len(), drafts.len()), (31, 31));
    let (mut located, mut pinned, mut seen) = (0, 0, BTreeMap::new());
    for row in &memos {
        let memory = &drafts[row[1].as_str().expect("a uid")].memory;
        memory.validate().expect("valid");
        let micros = |column: usize| row[column].as_i64().expect("seconds") * 1_000_000;
        assert_eq!((memory.created.micros(), memory.modified.micros()), (micros(3), micros(4)));
        assert_eq!(memory.when.instant.expect("an instant").micros(), micros(3));
        assert_eq!(memory.text, row[6].as_str().expect("content"));
        assert_eq!(memory.custom["creator"], users[&row[2].as_i64().expect("a user")]);
        let shown = match memory.visibility {
            Visibility::Public => "PUBLIC",
            Visibility::Shared => "PROTECTED",
            _ => "PRIVATE",
        };
        assert_eq!(shown, row[7].as_str().expect("a visibility"));
        *seen.entry(shown).or_insert(0) += 1;
        assert_eq!(memory.custom.get("pinned"), (row[8] == 1).then_some(&Value::Bool(true)));
        pinned += usize::from(row[8] == 1);
        let payload: Value = serde_json::from_str(row[9].as_str().expect("JSON")).expect("JSON");
        let mut tags: Vec<&str> = payload["tags"].as_array().into_iter().flatten().map(|tag| tag.as_str().expect("a tag")).collect();
        tags.sort_unstable();
        assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), tags);
        assert_eq!(memory.custom.get("property"), payload.get("property"));
        if let Some(location) = payload.get("location") {
            let position = memory.position.expect("a position");
            assert_eq!(
                (json!(position.latitude), json!(position.longitude)),
                (location["latitude"].clone(), location["longitude"].clone())
            );
            assert_eq!(json!(drafts[row[1].as_str().expect("a uid")].place.as_ref().expect("a place").name), location["placeholder"]);
            located += 1;
        }
        let named = |kind: &str| {
            rows(
                &database,
                &format!(
                    "SELECT m.uid FROM memo_relation r JOIN memo m ON m.id = r.related_memo_id WHERE r.memo_id = {} AND r.type = '{kind}'",
                    row[0]
                ),
            )
        };
        let references: Vec<Value> = named("REFERENCE").into_iter().flatten().collect();
        assert_eq!(memory.custom.get("references").and_then(Value::as_array).cloned().unwrap_or_default(), references);
        assert_eq!(memory.custom.get("commentOn"), named("COMMENT").first().map(|row| &row[0]));
        let reactions = rows(
            &database,
            &format!(
                "SELECT u.username, r.reaction_type FROM reaction r JOIN user u ON u.id = r.creator_id WHERE r.memo_id = {} ORDER BY r.id",
                row[0]
            ),
        );
        let kept = memory.custom.get("reactions").and_then(Value::as_array).cloned().unwrap_or_default();
        assert_eq!(kept.iter().map(|one| vec![one["by"].clone(), one["reaction"].clone()]).collect::<Vec<_>>(), reactions);
    }
    assert_eq!((located > 0, pinned), (true, 2));
    assert_eq!((seen["PUBLIC"], seen["PROTECTED"]), (26, 5));
    // The picture, byte for byte.
    let golden = drafts["goldenhour0001"];
    let blob: Vec<u8> = database.query_row("SELECT blob FROM attachment", (), |row| row.get(0)).expect("a blob");
    let attachment = &golden.memory.attachments[0];
    assert_eq!((attachment.name.as_str(), attachment.media_type.as_str()), ("golden-hour-trail.png", "image/png"));
    assert_eq!(attachment.custom["uid"], "goldenhourart1");
    let input = Input::open(&path).expect("open");
    assert!(detect(&input).is_ok_and(|format| format == Format::Memos));
    // What is taken out of a database goes with the input.
    let mut sink = Taken::default();
    let options = crate::taken::options();
    keepsake_formats::import::read(Format::Memos, &input, &options, &mut sink).expect("read");
    let file = sink.drafts.iter().flat_map(|draft| &draft.files).next().expect("a file");
    assert_eq!(fs::read(input.on_disk(&file.path).expect("on disk")).expect("read"), blob);
    assert_eq!(input.whole(&file.path).expect("read"), blob);
    assert!(taken.passed_over.iter().any(|table| table.contains("table user_setting")), "{:?}", taken.passed_over);
    assert_eq!(take(&path, None).expect("readable").drafts, taken.drafts, "the same import twice is the same");
    let beside: Vec<_> = fs::read_dir(path.parent().expect("a folder"))
        .expect("listed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(!beside.iter().any(|name| name.ends_with("-wal") || name.ends_with("-shm")), "nothing is written beside it");
}

fn made(path: &Path, sql: &str) {
    let database = Connection::open(path).expect("made");
    database.execute_batch(sql).expect("filled");
}

/// Memos 0.15 of 2023: no uid, no payload, pins and files by tables of their own.
const OF_2023: &str = "
CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE, nickname TEXT NOT NULL DEFAULT '', password_hash TEXT NOT NULL);
CREATE TABLE memo (id INTEGER PRIMARY KEY AUTOINCREMENT, creator_id INTEGER NOT NULL, created_ts BIGINT NOT NULL, updated_ts BIGINT NOT NULL, row_status TEXT NOT NULL DEFAULT 'NORMAL', content TEXT NOT NULL DEFAULT '', visibility TEXT NOT NULL DEFAULT 'PRIVATE');
CREATE TABLE memo_organizer (memo_id INTEGER NOT NULL, user_id INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0, UNIQUE(memo_id, user_id));
CREATE TABLE resource (id INTEGER PRIMARY KEY AUTOINCREMENT, creator_id INTEGER NOT NULL, created_ts BIGINT NOT NULL, updated_ts BIGINT NOT NULL, filename TEXT NOT NULL DEFAULT '', blob BLOB DEFAULT NULL, external_link TEXT NOT NULL DEFAULT '', type TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, internal_path TEXT NOT NULL DEFAULT '');
CREATE TABLE memo_resource (memo_id INTEGER NOT NULL, resource_id INTEGER NOT NULL, UNIQUE(memo_id, resource_id));
CREATE TABLE memo_relation (memo_id INTEGER NOT NULL, related_memo_id INTEGER NOT NULL, type TEXT NOT NULL);
CREATE TABLE user_setting (user_id INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
INSERT INTO user VALUES (1, 'host', 'The Host', 'secret'), (2, 'guest', '', 'secret');
INSERT INTO memo VALUES (1, 1, 1690000000, 1690000100, 'NORMAL', 'Words with #one #日記/二 and `#code` ![](/o/r/1/a.txt) ![](https://m.example/o/r/2)', 'PUBLIC');
INSERT INTO memo VALUES (2, 2, 1690000200, 1690000200, 'ARCHIVED', '', 'PRIVATE');
INSERT INTO memo_organizer VALUES (1, 1, 1), (2, 1, 1), (1, 2, 0);
INSERT INTO resource VALUES (1, 1, 1690000000, 1690000000, 'a.txt', x'616263', '', 'text/plain', 3, '');
INSERT INTO resource VALUES (2, 1, 1690000000, 1690000000, 'b.jpg', NULL, '', 'image/jpeg', 6, '/var/opt/memos/assets/2023/b.jpg');
INSERT INTO resource VALUES (3, 1, 1690000000, 1690000000, 'c.jpg', NULL, 'https://elsewhere.example/c.jpg', 'image/jpeg', 6, '');
INSERT INTO resource VALUES (4, 1, 1690000000, 1690000000, 'd.jpg', NULL, '', 'image/jpeg', 6, '../../../etc/passwd');
INSERT INTO resource VALUES (5, 1, 1690000000, 1690000000, 'alone.mp3', x'00', '', '', 2, '');
INSERT INTO memo_resource VALUES (1, 1), (1, 2), (1, 3), (2, 4), (2, 1), (2, 9);
INSERT INTO memo_relation VALUES (2, 1, 'REFERENCE'), (2, 77, 'ADDITIONAL');";

#[test]
fn an_instance_of_2023_with_its_folder() {
    let space = tempfile::tempdir().expect("space");
    made(&space.path().join("memos_prod.db"), OF_2023);
    fs::create_dir_all(space.path().join("assets/2023")).expect("made");
    fs::write(space.path().join("assets/2023/b.jpg"), "photo!").expect("written");
    fs::create_dir_all(space.path().join("assets/thumbnails")).expect("made");
    fs::write(space.path().join("assets/thumbnails/b.jpg"), "small").expect("written");
    fs::write(space.path().join("notes.md"), "nobody's").expect("written");
    let taken = take(space.path(), None).expect("it is found out what it is");
    let drafts = ids(&taken);
    assert_eq!(drafts.keys().copied().collect::<Vec<_>>(), ["1 1690000000", "2 1690000200", "attachment 5 1690000000"]);
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let one = drafts["1 1690000000"];
    assert_eq!(one.memory.text, "Words with #one #日記/二 and `#code` ![](keepsake:attachment/a) ![](keepsake:attachment/b)");
    assert_eq!(one.memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["one", "日記/二"]);
    assert_eq!(
        (one.memory.visibility, &one.memory.custom["pinned"], &one.memory.custom["creatorName"]),
        (Visibility::Public, &json!(true), &json!("The Host"))
    );
    let files: Vec<(&str, &str)> = one.files.iter().map(|file| (file.key.as_str(), file.path.as_str())).collect();
    assert_eq!(files, [("a", "memos_prod.db/1"), ("b", "assets/2023/b.jpg")]);
    assert_eq!(one.memory.attachments[2].expected.as_ref().expect("expected").path.as_deref(), Some("https://elsewhere.example/c.jpg"));
    let two = drafts["2 1690000200"];
    assert_eq!((two.files.len(), two.memory.attachments.len()), (1, 2), "a file may be of two memos");
    assert_eq!((&two.memory.custom["row_status"], &two.memory.custom["pinnedBy"]), (&json!("ARCHIVED"), &json!(["host"])));
    assert_eq!(
        (&two.memory.custom["references"], &two.memory.custom["relations"]),
        (&json!(["1 1690000000"]), &json!([{ "memo": 77, "type": "ADDITIONAL" }]))
    );
    let alone = drafts["attachment 5 1690000000"];
    assert_eq!((alone.memory.title.as_deref(), alone.memory.kind), (Some("alone.mp3"), keepsake_record::Kind::Audio));
    for said in [
        "c.jpg is at https://elsewhere.example/c.jpg, from where nothing is fetched",
        "etc/passwd is not beside",
        "attachment 9, which is not",
        "has 1 bytes where Memos says 2",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    assert_eq!(taken.problems.len(), 4, "{:?}", taken.problems);
    let mut passed_over = taken.passed_over.clone();
    passed_over.sort();
    assert_eq!(
        passed_over,
        [
            "assets/thumbnails/b.jpg (a small picture that Memos makes itself)",
            "memos_prod.db: table user_setting (settings and notes of Memos for itself)",
            "notes.md (no memo names it)"
        ]
    );
    let kept = format!("{:?}", taken.drafts);
    assert!(!kept.contains("secret"), "no password comes along");

    // The database named by itself: only its own folder of files is looked at beside it.
    let alone = take(&space.path().join("memos_prod.db"), None).expect("readable");
    assert_eq!(alone.drafts, taken.drafts);
    assert!(!alone.passed_over.iter().any(|path| path.contains("notes.md")));
}

#[test]
fn what_is_in_the_log_beside_a_database_is_read_and_nothing_is_written_there() {
    let space = tempfile::tempdir().expect("space");
    let live = space.path().join("live");
    fs::create_dir(&live).expect("made");
    let database = Connection::open(live.join("memos_prod.db")).expect("made");
    database.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {OF_2023}")).expect("filled");
    // A copy of a running instance, as people make it; everything is in the log.
    let copy = space.path().join("copy");
    fs::create_dir(&copy).expect("made");
    for name in ["memos_prod.db", "memos_prod.db-wal"] {
        fs::copy(live.join(name), copy.join(name)).expect("copied");
    }
    let before = fs::read(copy.join("memos_prod.db")).expect("read");
    let taken = take(&copy.join("memos_prod.db"), None).expect("readable");
    assert_eq!(ids(&taken).len(), 3);
    assert_eq!(fs::read_dir(&copy).expect("listed").count(), 2, "nothing was written beside it");
    assert_eq!(fs::read(copy.join("memos_prod.db")).expect("read"), before);
    drop(database);
}

/// Columns of 2026: spaces, buckets with their keys, polls.
#[test]
fn newer_columns_are_kept_and_secrets_are_not() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("memos_prod.db");
    made(
        &path,
        r#"CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT);
        CREATE TABLE space (id INTEGER PRIMARY KEY, uid TEXT, title TEXT);
        CREATE TABLE memo (id INTEGER PRIMARY KEY, uid TEXT, creator_id INTEGER, created_ts BIGINT, updated_ts BIGINT, content TEXT, visibility TEXT, pinned INTEGER, payload TEXT, space_id INTEGER, mood TEXT);
        CREATE TABLE attachment (id INTEGER PRIMARY KEY, uid TEXT, filename TEXT, blob BLOB, type TEXT, size INTEGER, memo_id INTEGER, storage_type TEXT, reference TEXT, payload TEXT);
        CREATE TABLE reaction (id INTEGER PRIMARY KEY, creator_id INTEGER, content_id TEXT, reaction_type TEXT);
        INSERT INTO space VALUES (1, 's', 'Family');
        INSERT INTO memo VALUES (1, 'aa', 9, 1700000000, NULL, '![](https://m.example/file/attachments/ff/a.png) and ![](/file/attachments/other/b.png)', 'SPACE', 0, '{"tags":["a",7],"location":{"latitude":99}}', 1, 'fine');
        INSERT INTO memo VALUES (2, 'bb', 9, 'soon', NULL, x'ff41', 'FRIENDS', 1, '[', 5, NULL);
        INSERT INTO attachment VALUES (1, 'ff', '../a.png', NULL, 'png', 1, 1, 'S3', 'https://b.example/a.png?X-Amz-Signature=tell-nobody', '{"s3Object":{"key":"k/a.png","s3Config":{"accessKeySecret":"tell-nobody"}}}');
        INSERT INTO reaction VALUES (1, 9, 'memos/aa', '👍'), (2, 9, 'memos/2', 'x');"#,
    );
    let taken = take(&path, None).expect("readable");
    let drafts = ids(&taken);
    let one = drafts["aa"];
    assert_eq!((one.memory.visibility, &one.memory.custom["visibility"]), (Visibility::Shared, &json!("SPACE")));
    assert_eq!((one.collections[0].name.as_str(), one.collections[0].kind), ("Family", "space"));
    assert_eq!(
        (&one.memory.custom["mood"], &one.memory.custom["tags"], &one.memory.custom["location"]),
        (&json!("fine"), &json!([7]), &json!({ "latitude": 99 }))
    );
    assert_eq!(one.memory.text, "![](keepsake:attachment/..-a) and ![](/file/attachments/other/b.png)");
    assert_eq!(one.memory.attachments[0].custom["payload"], json!({ "s3Object": { "key": "k/a.png" } }));
    assert_eq!(
        (one.memory.custom["reactions"][0]["reaction"].clone(), one.memory.custom["reactions"][0]["by"].clone()),
        (json!("👍"), json!(9))
    );
    let two = &drafts["bb"].memory;
    assert_eq!((two.visibility, &two.custom["visibility"], two.when.instant), (Visibility::Private, &json!("FRIENDS"), None));
    assert_eq!((&two.custom["payload"], &two.custom["space_id"], two.text.as_str()), (&json!("["), &json!(5), "ff41"));
    assert!(!format!("{:?} {:?}", taken.drafts, taken.problems).contains("tell-nobody"));
    for said in ["from where nothing is fetched", "is seen by `FRIENDS`", "no readable `created_ts`"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
}

#[test]
fn hostile_databases_are_refused_or_named() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("memos_prod.db");
    let user = "CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT);";
    let told = |sql: &str| {
        drop(fs::remove_file(&path));
        made(&path, &format!("{user} {sql}"));
        take(&path, Some(Format::Memos))
            .map_or_else(|error| error.to_string(), |taken| format!("{} {:?}", taken.drafts.len(), taken.problems))
    };
    let view = told("CREATE VIEW memo AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n;");
    assert!(view.contains("no table `memo`"), "{view}");
    let search = told("CREATE VIRTUAL TABLE memo USING fts5(content);");
    assert!(search.contains("no table `memo`"), "{search}");
    let computed =
        told("CREATE TABLE memo (id INTEGER PRIMARY KEY, content TEXT AS (hex(zeroblob(100000000)))); INSERT INTO memo (id) VALUES (1);");
    assert!(computed.starts_with('0') && computed.contains("columns that are computed"), "{computed}");
    let without = told("CREATE TABLE memo (id INTEGER PRIMARY KEY, content TEXT) WITHOUT ROWID; INSERT INTO memo VALUES (1, 'a');");
    assert!(without.starts_with('0') && without.contains("no such column: rowid"), "{without}");
    // One word of the schema for every row.
    let repeated = told(&format!(
        "CREATE TABLE memo (id INTEGER PRIMARY KEY, created_ts INTEGER); INSERT INTO memo SELECT value, 1 FROM generate_series(1, 20000); ALTER TABLE memo ADD COLUMN content TEXT DEFAULT '{}';",
        "x".repeat(100_000)
    ).replace("SELECT value, 1 FROM generate_series(1, 20000)", "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20000) SELECT id, 1 FROM n"));
    assert!(repeated.contains("more than the file can hold"), "{repeated:.300}");

    // A table whose tree leads in circles: each page of it is the first one again.
    drop(fs::remove_file(&path));
    made(
        &path,
        &format!(
            "PRAGMA page_size = 512; {user} CREATE TABLE memo (id INTEGER PRIMARY KEY, content TEXT); WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 3000) INSERT INTO memo SELECT id, 'words of a memo' FROM n;"
        ),
    );
    let root: i64 = Connection::open(&path)
        .expect("open")
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'memo'", (), |row| row.get(0))
        .expect("a page");
    let mut bytes = fs::read(&path).expect("read");
    let page = (root as usize - 1) * 512;
    assert_eq!(bytes[page], 5, "an inner page");
    let child = bytes[page + 8..page + 12].to_vec();
    let cells = usize::from(bytes[page + 4]);
    for cell in 0..cells {
        let at = page + usize::from(bytes[page + 12 + 2 * cell]) * 256 + usize::from(bytes[page + 13 + 2 * cell]);
        bytes[at..at + 4].copy_from_slice(&child);
    }
    fs::write(&path, bytes).expect("written");
    let circles = take(&path, Some(Format::Memos)).expect("what is there is read");
    assert!(
        circles.problems.iter().any(|problem| problem.contains("table memo: is damaged")),
        "{:.300}",
        format!("{:?}", circles.problems)
    );
    assert!(circles.drafts.len() < 3000);

    fs::write(&path, [&b"SQLite format 3\0"[..], &[7; 5000]].concat()).expect("written");
    assert!(take(&path, None).err().expect("no database").to_string().contains("memos_prod.db"));
    // Another program's database is none of ours, whatever lies beside it.
    drop(fs::remove_file(&path));
    fs::create_dir(space.path().join("assets")).expect("made");
    fs::write(space.path().join("assets/a.jpg"), "a photo").expect("written");
    made(&space.path().join("other.sqlite"), "CREATE TABLE a (b);");
    assert!(take(&space.path().join("other.sqlite"), None).is_err());
}

#[test]
fn a_memo_with_too_many_files_is_kept() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("memos_prod.db");
    made(&path, OF_2023);
    made(
        &path,
        "WITH RECURSIVE n(id) AS (SELECT 100 UNION ALL SELECT id + 1 FROM n WHERE id < 1099)
         INSERT INTO resource SELECT id, 1, 1690000000, 1690000000, id || '.txt', x'61', '', 'text/plain', 1, '' FROM n;
         INSERT INTO memo_resource SELECT 1, id FROM resource WHERE id >= 100;",
    );
    let taken = take(&path, None).expect("readable");
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let drafts = ids(&taken);
    assert_eq!((drafts["1 1690000000"].memory.attachments.len(), drafts.contains_key("attachment 1099 1690000000")), (1000, true));
    assert_eq!(taken.problems.iter().filter(|problem| problem.contains("has more than 1,000 files")).count(), 3, "{:?}", taken.problems);
}

#[test]
fn what_changes_by_itself_changes_nothing_and_what_is_too_long_is_named() {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("memos_prod.db");
    made(
        &path,
        &format!(
            r#"CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT);
            CREATE TABLE memo (id INTEGER PRIMARY KEY, uid TEXT, created_ts BIGINT, content TEXT, payload TEXT);
            CREATE TABLE attachment (id INTEGER PRIMARY KEY, uid TEXT, filename TEXT, memo_id INTEGER, storage_type TEXT, reference TEXT, payload TEXT, long TEXT);
            INSERT INTO memo VALUES (1, 'aa', 1, 'nowhere', '{{"location":{{"placeholder":"Home"}}}}');
            INSERT INTO memo VALUES (2, 'bb', 1, 'zero', '{{"location":{{"latitude":0,"longitude":0}}}}');
            INSERT INTO memo VALUES (3, 'cc', 1, 'north', '{{"location":{{"latitude":5}}}}');
            INSERT INTO attachment VALUES (1, 'ff', 'a.png', 1, 'S3', 'https://b.example/a.png?X-Amz-Signature=one', '{{"s3Object":{{"key":"k","lastPresignedTime":"1"}}}}', '{}');"#,
            "x".repeat(70_000)
        ),
    );
    let first = take(&path, None).expect("readable");
    let drafts = ids(&first);
    let place = drafts["aa"].place.as_ref().expect("a place");
    assert_eq!((place.name.as_str(), place.position, drafts["aa"].memory.position), ("Home", None, None));
    assert_eq!((drafts["bb"].memory.position, drafts["bb"].place.is_some()), (None, false));
    assert_eq!(drafts["cc"].memory.position.map(|at| (at.latitude, at.longitude)), Some((5.0, 0.0)));
    assert!(!drafts["aa"].memory.attachments[0].custom.contains_key("long"));
    assert!(first.problems.iter().any(|problem| problem.contains("its field `long` was left out")), "{:?}", first.problems);
    made(
        &path,
        r#"UPDATE attachment SET reference = 'https://b.example/a.png?X-Amz-Signature=two', payload = '{"s3Object":{"key":"k","lastPresignedTime":"2"}}'"#,
    );
    assert_eq!(take(&path, None).expect("readable").drafts, first.drafts, "signed anew, it is the same");

    // What only is called as a database of Memos may be read as something else.
    let notes = tempfile::tempdir().expect("space");
    fs::write(notes.path().join("memos_old.db"), "no database").expect("written");
    fs::write(notes.path().join("note.md"), "a note").expect("written");
    assert!(take(notes.path(), None).err().expect("refused").to_string().contains("--format"));
}
