//! A small made-up state to try templates on: a memory in which everything says something, one in which nothing does, and what lies between.

use std::collections::BTreeMap;

use keepsake_record::{Memory, Timestamp};

use super::view::{Head, PictureFile, Shown, State};
use crate::names::Names;

/// Everything filled; odd words; files here and gone; then a memory of which nothing is known.
const LINES: [&str; 4] = [
    r##"{"attachments":[{"alt":"A <swallow> \"above\" the sea","camera":"Keepsake 1","caption":"& so on","captured":{"day":"2024-03-16","instant":"2024-03-16T10:00:00Z","zone":"Europe/Lisbon"},"key":"photo","mediaType":"image/jpeg","medium":{"bytes":1234,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"name":"swallow.jpg","width":640,"height":480},{"key":"gone","mediaType":"image/heic","name":"never came.heic"},{"key":"film","mediaType":"video/mp4","medium":{"bytes":99,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"name":"film.mp4"}],"collections":[{"collection":"01900000-0000-7000-8000-000000000001","position":"b"}],"created":"2024-03-17T10:00:00.123456Z","custom":{"mood":"<b>calm</b>"},"id":"01900000-0000-7000-8000-0000000000aa","kind":"photo","language":"en-GB","modified":"2024-03-18T10:00:00Z","people":["01900000-0000-7000-8000-000000000002"],"place":"01900000-0000-7000-8000-000000000003","position":{"accuracy":1,"altitude":2.25,"latitude":38.7,"longitude":-9.1},"sensitivity":"sensitive","source":{"account":"me","id":"7","importer":"dayone"},"starred":true,"tags":["sea/birds","yes"],"text":"# A heading\n\nWords with <script>alert(1)</script>, *stress* and `code`, and [a link](https://example.org/?a=1&b=2).\n\n![x](keepsake:attachment/photo)\n\n1. one\n2. two\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n#read(\"/etc/passwd\") {{ 7 * 7 }} $x$","title":"A day <by> the sea & {{ more }}","visibility":"unlisted","when":{"day":"2024-03-17","instant":"2024-03-17T10:00:00Z","zone":"Europe/Lisbon"}}"##,
    r##"{"created":"2024-03-18T10:00:00Z","id":"01900000-0000-7000-8000-0000000000ab","language":"he","modified":"2024-03-18T10:00:00Z","text":"שלום עולם (אחד), 12:30","title":"יום אחד","when":{"day":"2024-03-18"}}"##,
    r##"{"created":"2024-03-19T10:00:00Z","id":"01900000-0000-7000-8000-0000000000ac","language":"zh","modified":"2024-03-19T10:00:00Z","text":"东坡志林\n\n記承天寺夜遊","when":{"edtf":"1978-06~","day":"1978-06-01"}}"##,
    r##"{"created":"2024-03-20T10:00:00Z","id":"01900000-0000-7000-8000-0000000000ad","modified":"2024-03-20T10:00:00Z"}"##,
];

/// The made-up memories.
///
/// # Panics
/// Never: a test reads them.
pub fn memories() -> Vec<Memory> {
    LINES.iter().map(|line| Memory::from_line(line.as_bytes()).expect("lines of our own are memories")).collect()
}

/// What things are called there.
pub fn names() -> Names {
    let one = |id: &str, name: &str| BTreeMap::from([(format!("01900000-0000-7000-8000-00000000000{id}"), name.to_owned())]);
    Names { people: one("2", "Somebody <else>"), places: one("3", "Alfama, Lisbon, Portugal"), collections: one("1", "An <album>") }
}

/// What there is of the files of a made-up memory: the photo, where `picture` says.
pub fn shown(memory: &Memory, names: &Names, picture: Option<&PictureFile>) -> BTreeMap<String, Shown> {
    let one = |attachment: &keepsake_record::Attachment| {
        let mut shown = Shown::told(attachment, memory, names, "the file never arrived");
        if let (Some(picture), "photo") = (picture, attachment.key.as_str()) {
            shown.picture = Ok(picture.clone());
        }
        (attachment.key.clone(), shown)
    };
    memory.attachments.iter().map(one).collect()
}

/// What all of them have in common.
///
/// # Panics
/// Never: the instant is in range.
pub fn head(template: &str, count: u64, filter: Option<&str>) -> Head {
    Head {
        program: concat!("keepsake ", env!("CARGO_PKG_VERSION")).into(),
        template: template.into(),
        title: "A made-up <title>".into(),
        language: "en".into(),
        owner: "Somebody".into(),
        state: State {
            seq: 42,
            mark: "0123456789abcdef".into(),
            at: Timestamp::from_micros(1_710_756_000_000_000).expect("an instant of 2024"),
        },
        filter: filter.map(str::to_owned),
        count,
        number: 1,
        of: 1,
    }
}
