//! The corpus of every reader, replayed whole and in thousands of damaged forms: each ends with drafts or with problems that are
//! named, never with a panic.

use std::{fs, io::Write, path::Path};

use keepsake_formats::import::Format;

use crate::taken::take;

/// Readers by name: what the file is called that holds the bytes, and its format; `None`: found out.
const READERS: [(&str, &str, Option<Format>); 21] = [
    ("csv", "a.csv", Some(Format::Csv)),
    ("dayone", "Journal.json", Some(Format::DayOne)),
    ("evernote", "a.enex", Some(Format::Evernote)),
    ("exif", "a.jpg", Some(Format::Media)),
    ("joplin", "1590080aa5a3802488c2e857dea7aa7d.md", Some(Format::Joplin)),
    ("markdown", "a.md", Some(Format::Markdown)),
    ("journey", "entry.json", Some(Format::Journey)),
    ("keep", "note.json", Some(Format::Keep)),
    ("mastodon", "outbox.json", Some(Format::Mastodon)),
    ("memos", "memos_prod.db", Some(Format::Memos)),
    ("ndjson", "a.ndjson", Some(Format::Ndjson)),
    ("notion", "Page 1590080aa5a3802488c2e857dea7aa7d.html", Some(Format::Notion)),
    ("plain", "a.html", Some(Format::Plain)),
    ("plain-text", "a.txt", Some(Format::Plain)),
    ("quicktime", "a.mp4", Some(Format::Media)),
    ("takeout", "a.jpg.json", Some(Format::TakeoutPhotos)),
    ("roam", "graph.json", Some(Format::Roam)),
    ("tar", "a.tar.gz", None),
    ("textbundle", "a.textpack", Some(Format::TextBundle)),
    ("xmp", "a.jpg.xmp", Some(Format::Media)),
    ("zip", "a.zip", None),
];

/// Whether a reader takes bytes without finding anything wrong.
fn reads(reader: &str, bytes: &[u8], space: &Path) -> bool {
    let (_, name, format) = READERS.iter().find(|(known, ..)| *known == reader).expect("a reader");
    fs::write(space.join(name), bytes).expect("written");
    // A sidecar is read with the photo that it lies beside.
    let path = if ["takeout", "xmp"].contains(&reader) { space.to_owned() } else { space.join(name) };
    take(&path, *format).is_ok_and(|taken| !taken.drafts.is_empty() && taken.problems.is_empty() && taken.passed_over.is_empty())
}

fn space(reader: &str) -> tempfile::TempDir {
    let space = tempfile::tempdir().expect("space");
    if ["takeout", "xmp"].contains(&reader) {
        fs::write(space.path().join("a.jpg"), jpeg(&tiff(&[]))).expect("written");
    }
    space
}

#[test]
fn no_bytes_make_a_reader_panic() {
    for (reader, ..) in READERS {
        let space = space(reader);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(reader);
        keepsake_testing::replay(&folder, 1500, |bytes| reads(reader, bytes, space.path()));
    }
}

/// TIFF 6.0, little-endian: one directory of ASCII (type 2) and SHORT (type 3) fields.
pub fn tiff(fields: &[(u16, &str)]) -> Vec<u8> {
    let mut head = b"II*\0\x08\0\0\0".to_vec();
    head.extend((fields.len() as u16).to_le_bytes());
    let mut values = Vec::new();
    let values_at = 8 + 2 + 12 * fields.len() + 4;
    for (tag, text) in fields {
        head.extend(tag.to_le_bytes());
        if let Ok(number) = text.parse::<u16>() {
            head.extend([3, 0, 1, 0, 0, 0]);
            head.extend(u32::from(number).to_le_bytes());
        } else {
            let text = [text.as_bytes(), b"\0\0\0\0"].concat();
            head.extend([2, 0]);
            head.extend((text.len() as u32).to_le_bytes());
            head.extend(((values_at + values.len()) as u32).to_le_bytes());
            values.extend(text);
        }
    }
    [head, vec![0; 4], values].concat()
}

/// A JPEG of nothing but its EXIF segment (EXIF 2.32, 4.5).
pub fn jpeg(tiff: &[u8]) -> Vec<u8> {
    let length = (tiff.len() as u16 + 8).to_be_bytes();
    [&b"\xff\xd8\xff\xe1"[..], &length, b"Exif\0\0", tiff, b"\xff\xd9"].concat()
}

/// A box of ISO 14496-12.
fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

pub fn film() -> Vec<u8> {
    let header = iso_box(b"mvhd", &[&[0; 4][..], &3_800_000_000_u32.to_be_bytes(), &[0; 92]].concat());
    let place = iso_box(b"udta", &iso_box(b"\xa9xyz", b"\0\x1a\x15\xc7+37.7850-122.4060+010.000/"));
    [iso_box(b"ftyp", b"mp42\0\0\0\0mp42"), iso_box(b"moov", &[header, place].concat()), iso_box(b"mdat", &[])].concat()
}

/// Front matter whose aliases stand for ten times more at each of twelve levels.
fn bomb() -> String {
    let level = |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    format!("---\na0: &a0 x\n{}---\nbody\n", (1..=12).map(level).collect::<String>())
}

fn zip_of(name: &str, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    zip_of_all(&[(name, bytes.as_ref())])
}

fn zip_of_all(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        // What is stored as it is can be damaged into other bundles.
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(*name, if files.len() > 1 { stored } else { Default::default() }).expect("entry");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// What a database of Memos 0.22 has, in short.
const MEMOS: &str = r#"CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT NOT NULL);
CREATE TABLE memo (id INTEGER PRIMARY KEY, uid TEXT, creator_id INTEGER, created_ts BIGINT, updated_ts BIGINT, row_status TEXT, content TEXT, visibility TEXT, payload TEXT);
CREATE TABLE resource (id INTEGER PRIMARY KEY, uid TEXT, filename TEXT, blob BLOB, type TEXT, size INTEGER, memo_id INTEGER);
CREATE TABLE memo_relation (memo_id INTEGER, related_memo_id INTEGER, type TEXT, UNIQUE (memo_id, related_memo_id, type));
INSERT INTO user VALUES (1, 'one');
INSERT INTO memo VALUES (1, 'aa', 1, 1700000000, 1700000001, 'NORMAL', 'A #tag ![](/file/resources/rr/a.png)', 'PUBLIC', '{"tags":["tag"],"location":{"placeholder":"P","latitude":1.5,"longitude":2}}');
INSERT INTO memo VALUES (2, 'bb', 1, 1700000002, 1700000002, 'ARCHIVED', 'b', 'PROTECTED', '{}');
INSERT INTO resource VALUES (1, 'rr', 'a.png', x'89504e47', 'image/png', 4, 1);
INSERT INTO memo_relation VALUES (2, 1, 'COMMENT');"#;

fn database(schema: &str, more: &str) -> Vec<u8> {
    let space = tempfile::tempdir().expect("space");
    let path = space.path().join("a.db");
    let connection = rusqlite::Connection::open(&path).expect("made");
    connection.execute_batch(&format!("PRAGMA page_size = 512; PRAGMA journal_mode = DELETE; {schema} {more}")).expect("filled");
    drop(connection);
    fs::read(path).expect("read")
}

const BEAR: &str = r#"{"type":"net.daringfireball.markdown","version":2,"creatorIdentifier":"net.shinyfrog.bear","net.shinyfrog.bear":{"modificationDate":"2023-10-11T08:10:40Z","uniqueIdentifier":"EA7C5067-B623-45E3-ABED-2B7B64B5F151","pinned":1,"trashed":0,"archivedDate":null,"creationDate":"2023-10-11T08:08:52Z"}}"#;

fn textpack(info: &str, text: &str) -> Vec<u8> {
    zip_of_all(&[
        ("A.textbundle/info.json", info.as_bytes()),
        ("A.textbundle/text.md", text.as_bytes()),
        ("A.textbundle/assets/p.jpg", b"a photo"),
    ])
}

fn tar_of(name: &str, text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&plain_tar_of(name, text)).expect("written");
    packed.finish().expect("finished")
}

fn plain_tar_of(name: &str, text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, text.as_bytes()).expect("entry");
    tar.into_inner().expect("finished")
}

/// What words are put into: a picture, or a packet of XMP.
fn takes_words(bytes: &[u8]) -> bool {
    let mut memory = keepsake_record::Memory::new(keepsake_record::MemoryId::from_bytes([0; 16]), crate::taken::options().now);
    memory.title = Some("A title".into());
    let told = keepsake_formats::xmp::told(&memory, &keepsake_record::Attachment::new("a", "a", "image/jpeg"), &Default::default());
    if keepsake_formats::copies::takes_words(bytes) {
        keepsake_formats::copies::told(bytes, &told).is_ok()
    } else {
        keepsake_formats::xmp::merged(bytes, &told).is_ok()
    }
}

#[test]
fn no_bytes_make_a_copy_panic() {
    keepsake_testing::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/words"), 1500, takes_words);
}

#[test]
fn the_corpus_of_copies_can_be_written() {
    let default = tempfile::tempdir().expect("space");
    let root = std::env::var_os("KEEPSAKE_WRITE_CORPUS").map_or_else(|| default.path().to_owned(), Into::into);
    const PACKET: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><r:RDF xmlns:r=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><r:Description xmlns:d=\"http://purl.org/dc/elements/1.1/\" r:about='u' d:format=\"a\"><d:title><r:Alt><r:li xml:lang=\"x-default\">b &amp; c</r:li></r:Alt></d:title></r:Description></r:RDF></x:xmpmeta>";
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 9, y as u8 * 20, 7])));
    let [jpg, png, webp] = [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP].map(|format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    });
    let body = [b"http://ns.adobe.com/xap/1.0/\0", PACKET.as_bytes()].concat();
    let segment = [&[0xff, 0xe1][..], &(body.len() as u16 + 2).to_be_bytes(), &body].concat();
    let inputs: [(&str, Vec<u8>); 10] = [
        ("good.jpg", jpg.clone()),
        ("good-xmp.jpg", [&jpg[..2], &segment, &jpg[2..]].concat()),
        ("bad-twice.jpg", [&jpg[..2], &segment, &segment, &jpg[2..]].concat()),
        ("good.png", png.clone()),
        ("bad-cut.png", png[..png.len() / 2].to_vec()),
        ("good.webp", webp.clone()),
        ("bad-cut.webp", webp[..webp.len() - 9].to_vec()),
        ("good.xmp", PACKET.into()),
        ("good-empty.xmp", b"<r:RDF xmlns:r=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"/>".to_vec()),
        ("bad-type.xmp", format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{PACKET}").into_bytes()),
    ];
    let folder = root.join("words");
    fs::create_dir_all(&folder).expect("folder");
    for (name, bytes) in inputs {
        assert_eq!(takes_words(&bytes), name.starts_with("good"), "{name}");
        fs::write(folder.join(name), bytes).expect("written");
    }
}

/// Writes the corpus, where `KEEPSAKE_WRITE_CORPUS` names its folder: what each reader takes, and what it says is wrong.
#[test]
fn the_corpus_can_be_written() {
    let default = tempfile::tempdir().expect("space");
    let root = std::env::var_os("KEEPSAKE_WRITE_CORPUS").map_or_else(|| default.path().to_owned(), Into::into);
    let photo = tiff(&[(0x010E, "on the pier"), (0x010F, "Canon"), (0x0110, "EOS 5D"), (0x0112, "6"), (0x0100, "640"), (0x0101, "480")]);
    let note = "---\ntitle: Y\ntags: [a, b/c]\ncreated: 2024-03-17\n---\nbody ![](p.jpg)\n";
    let page = note.split(" ![").next().expect("text");
    let texts: [(&str, &str, &str); 43] = [
        (
            "evernote",
            "good",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE en-export SYSTEM \"x\">\n<en-export><note><title>On the pier &amp; off</title><content><![CDATA[<en-note><div><en-todo checked=\"true\"/>one</div><div style=\"--en-codeblock:true;\"><div>x</div></div><en-media hash=\"5d41402abc4b2a76b9719d911017c592\" type=\"text/plain\"/><ul><li style=\"--en-checked:true;\">two</li></ul></en-note>]]></content><created>20240102T030405Z</created><tag>sea</tag><note-attributes><latitude>38.7</latitude><longitude>-9.1</longitude></note-attributes><task><title>three</title><taskStatus>open</taskStatus></task><resource><data encoding=\"base64\">aGVs\nbG8=</data><mime>text/plain</mime><resource-attributes><file-name>a.txt</file-name></resource-attributes></resource></note></en-export>",
        ),
        ("evernote", "bad-cut", "<en-export><note><title>a</title><content><![CDATA[<en-note>"),
        (
            "evernote",
            "bad-base64",
            "<en-export><note><created>20240102T030405Z</created><resource><data>a$b</data></resource></note></en-export>",
        ),
        (
            "joplin",
            "good",
            "On the pier\n\n[a](:/1590080aa5a3802488c2e857dea7aa7d) <img src=\":/x\">\n\nid: 1590080aa5a3802488c2e857dea7aa7d\ncreated_time: 2023-05-06T07:08:09.123Z\nlatitude: 38.71000000\nlongitude: -9.14000000\naltitude: 0.0000\ntype_: 1",
        ),
        ("joplin", "bad-fields", "On the pier\n\nid: 1\nno field\ntype_: 1"),
        (
            "notion",
            "good",
            "<html><head><title>P</title><style>a{}</style></head><body><article id=\"x\" class=\"page\"><header><h1 class=\"page-title\">P</h1><table class=\"properties\"><tbody><tr class=\"property-row property-row-date\"><th>Date</th><td><time>@July 1, 2024 \u{2192} July 5, 2024</time></td></tr></tbody></table></header><div class=\"page-body\"><ul class=\"to-do-list\"><li><div class=\"checkbox checkbox-on\"></div> <span>a</span></li></ul><p>b &amp; <math display=\"block\"><semantics><mi>x</mi><annotation>x_1</annotation></semantics></math></p></div></article></body></html>",
        ),
        ("notion", "bad-cut", "<p>one <a href=\"x\" <!-- "),
        ("csv", "good", "id,date,title,text,tags\n1,2024-03-17,\"a \"\"quoted\"\" title\",\"two\nlines\",x y\n2,2024-03-18,b,c,\n"),
        ("csv", "bad-quote", "id,date,text\n1,2024-03-17,\"no end\n2,2024-03-18\n"),
        ("csv", "good-crlf", "\u{feff}id,date,text\r\n1,2024-03-17,\"a \"\"b\"\"\"\r\n\r\n2,2024-03-18,\"end\""),
        ("csv", "good-one-column", "text\n\"one\"\ntwo\n\n\n"),
        ("csv", "bad-header", "id,\"date,text\n1,2024-03-17,x\n"),
        ("csv", "bad-empty", ""),
        ("csv", "bad-length", "id,date,text\n1,2024-03-17\n"),
        ("csv", "bad-date", "id,date,text\n1,2024-13-77,x\n"),
        (
            "dayone",
            "good",
            r##"{"metadata":{"version":"1.0"},"entries":[{"uuid":"0A1B2C3D4E5F60718293A4B5C6D7E8F9","creationDate":"2024-03-17T10:00:00Z","timeZone":"Europe\/Zurich","text":"# Title\nbody\\.","tags":["a"],"starred":true,"location":{"latitude":47.37,"longitude":8.54,"placeName":"Home"},"weather":{"conditionsDescription":"Clear","temperatureCelsius":9}}]}"##,
        ),
        ("dayone", "bad-date", r#"{"metadata":{"version":"1.0"},"entries":[{"uuid":"a","creationDate":"yesterday","text":"x"}]}"#),
        (
            "dayone",
            "bad-photo",
            r#"{"entries":[{"uuid":"b","creationDate":"2024-03-17T10:00:00Z","text":"![](dayone-moment:\/\/FF)","photos":[{"identifier":"FF","md5":"00","type":"jpeg"}]}]}"#,
        ),
        ("dayone", "bad-deep", &"[".repeat(5000)),
        (
            "journey",
            "good",
            r##"{"id":"1625494049547-4BbDhzcByTFSg6MW","date_modified":1625494100149,"date_journal":1625133600000,"timezone":"Europe\/Vienna","text":"<p>Test <strong>bold<\/strong><\/p>","preview_text":"<p>Test","mood":3,"lat":47.1,"lon":1.7976931348623157e308,"address":"Home","label":"","favourite":true,"weather":{"id":-1,"degree_c":1.7976931348623157E308,"place":""},"photos":[],"tags":["a"],"type":"html"}"##,
        ),
        ("journey", "bad-date", r#"{"id":"a","date_journal":"soon","date_modified":[],"text":7,"tags":{},"weather":{"a":{"b":[]}}}"#),
        ("journey", "bad-photo", r#"{"id":"b","date_journal":1625133600000,"text":"![](b.jpg)","photos":["../b.jpg",{}]}"#),
        ("markdown", "good-yaml", "---\ntitle: Y\ntags: [a, b/c]\ncreated: 2024-03-17\nrating: 5\n---\nbody\n"),
        ("markdown", "good-toml", "+++\ntitle = \"T\"\ndate = 2024-03-17T10:00:00+01:00\n+++\nbody\n"),
        ("markdown", "good-json", "{\n\"title\": \"J\", \"tags\": \"x y\"\n}\nbody\n"),
        ("markdown", "bad-yaml", "---\ntitle: {{x}}: [\n---\nbody\n"),
        ("markdown", "bad-bomb", &bomb()),
        (
            "ndjson",
            "good",
            "{\"id\":\"1\",\"date\":\"2024-03-17\",\"text\":\"one\",\"tags\":[\"a\"]}\n{\"id\":\"2\",\"date\":\"2024-03-18T09:00:00+01:00\",\"text\":\"two\"}\n",
        ),
        ("ndjson", "bad-line", "{\"id\":\"1\",\"date\":\"2024-03-17\",\"text\":\"one\"}\n{\"id\":\n"),
        ("ndjson", "bad-number", "{\"id\":1e999,\"date\":-5,\"text\":{\"a\":[]}}\n"),
        (
            "plain",
            "good",
            "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><meta name=date content=2024-03-17><title>On the pier</title><style>p{}</style><script>a<b</script></head><body><!-- c --><p>one<p>two <a href='b.html?c#d'>b</a><ul><li>x<li>y</ul><table><tr><td>1<td>2</table><time datetime=\"2024-03-18\">then</time></body></html>",
        ),
        ("plain", "bad-cut", "<p>one <a href=\"x\" <!-- "),
        ("plain", "bad-files", "<img src=../a.jpg><img src='b.jpg' alt=\"<b>\"><script>"),
        (
            "takeout",
            "good",
            r#"{"title":"a.jpg","description":"words","imageViews":"8","creationTime":{"timestamp":"1669356087","formatted":"Nov 25, 2022"},"photoTakenTime":{"timestamp":"1497944880","formatted":"Jun 20, 2017"},"geoData":{"latitude":-34.9,"longitude":138.5,"altitude":0.0,"latitudeSpan":0.0,"longitudeSpan":0.0},"people":[{"name":"A"}],"favorited":true,"url":"https://photos.google.com/photo/A","googlePhotosOrigin":{"webUpload":{"computerUpload":{}}}}"#,
        ),
        (
            "takeout",
            "bad-types",
            r#"{"title":7,"description":[],"creationTime":"1","photoTakenTime":{"timestamp":"99999999999999999999"},"geoData":{"latitude":91,"longitude":"x"},"geoDataExif":{"latitude":91,"longitude":-181},"people":{"name":[]},"favorited":"yes"}"#,
        ),
        ("takeout", "bad-json", "{\"photoTakenTime\":"),
        ("takeout", "bad-trashed", r#"{"title":"a.jpg","photoTakenTime":{"timestamp":-1},"trashed":true}"#),
        (
            "roam",
            "good",
            r##"[{"title":"January 1st, 2021","uid":"01-01-2021","create-time":1609459200000,"edit-time":1609459200001,"children":[{"string":"{{[[TODO]]}} a __b__ #[[c d]] ((aaaaaaaa1)) `((x))`","uid":"aaaaaaaa0","heading":2,"children":[{"string":"```js\nlet x;```","uid":"aaaaaaaa1"},{"string":"see ((aaaaaaaa0))","uid":"aaaaaaaa2","props":{"slider":{"u":8}}}]}]}]"##,
        ),
        ("roam", "bad-reference", r#"[{"title":"a","children":[{"string":"((noSuchBlk)) __","uid":"b","refs":[]}]}]"#),
        ("roam", "bad-block", r#"[{"title":7,"uid":"p","create-time":1609459200000,"children":[7,{"string":[],"children":{}}]},8]"#),
        (
            "xmp",
            "good",
            "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmp:Rating=\"4\"><dc:subject><rdf:Bag><rdf:li>sea &amp; sky</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>",
        ),
        ("xmp", "bad-tag", "<x:xmpmeta><rdf:RDF></x:xmpmeta>"),
        ("xmp", "bad-entity", "<x:xmpmeta>&#xFFFFFFFF;&unknown;</x:xmpmeta><"),
    ];
    let binaries: [(&str, &str, Vec<u8>); 25] = [
        ("exif", "good", jpeg(&photo)),
        ("exif", "good-none", jpeg(&tiff(&[]))),
        ("exif", "bad-cut", jpeg(&photo)[..60].to_vec()),
        ("exif", "bad-offsets", jpeg(&[&photo[..10], &[0xff; 40]].concat())),
        ("plain-text", "good", b"On the pier.\r\n\r\nA list[one](two) ".to_vec()),
        ("plain-text", "good-utf16", b"\xff\xfea\0\x3d\xd8\x00\xde".to_vec()),
        ("plain-text", "bad-utf16", b"\xfe\xff\0a\xd8\0b".to_vec()),
        ("plain-text", "bad-western", b"na\xefve \x80".to_vec()),
        ("quicktime", "good", film()),
        ("quicktime", "bad-size", iso_box(b"moov", &[0xff; 12])),
        ("tar", "good", tar_of("note.md", page)),
        ("tar", "good-plain", plain_tar_of("note.md", page)),
        ("tar", "bad-cut", tar_of("note.md", note)[..30].to_vec()),
        ("memos", "good", database(MEMOS, "")),
        ("memos", "bad-cut", database(MEMOS, "")[..3000].to_vec()),
        ("memos", "bad-view", database(MEMOS, "ALTER TABLE memo RENAME TO other; CREATE VIEW memo AS SELECT * FROM other;")),
        ("memos", "bad-computed", database(MEMOS, "ALTER TABLE memo ADD COLUMN more AS (upper(content));")),
        (
            "memos",
            "bad-types",
            database(
                MEMOS,
                "UPDATE memo SET content = x'ff00', payload = 7, created_ts = 'soon'; UPDATE resource SET blob = 7, filename = NULL;",
            ),
        ),
        ("textbundle", "good", textpack(BEAR, "# A\n\ntext #tag #two words# ![](assets/p.jpg)\n")),
        ("textbundle", "bad-file", textpack(BEAR, "# A\n\n![](assets/gone.jpg) [assets/p.jpg]\n")),
        ("textbundle", "bad-info", textpack("{\"version\": 2, \"type\": [}", "# A\n")),
        ("textbundle", "bad-dates", textpack(&BEAR.replace("2023-10-11", "someday"), "#a#b# #`c` #")),
        ("zip", "good", zip_of("note.md", page)),
        ("zip", "good-parts", zip_of("Part-1.zip", zip_of("note.md", page))),
        ("zip", "bad-name", zip_of("../../note.md", note)),
    ];
    let all = texts.map(|(reader, name, text)| (reader, name, text.as_bytes().to_vec())).into_iter().chain(binaries);
    for (reader, name, bytes) in all {
        let folder = root.join(reader);
        fs::create_dir_all(&folder).expect("folder");
        assert_eq!(reads(reader, &bytes, space(reader).path()), name.starts_with("good"), "{reader}/{name}");
        fs::write(folder.join(name), bytes).expect("written");
    }
}
