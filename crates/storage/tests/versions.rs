//! Old versions, locks and classes at Google and Azure: against a double of Google's JSON API, and answers as Microsoft's manual prints them.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use keepsake_storage::{Access, Control, LockMode, ObjectLock, Place, PlaceSettings, Reach, Secret, StoreError, sweep_versions};
use keepsake_testing::Scripted;

use crate::{
    remote::{fresh, server},
    suite::name,
};

/// The server writes with its JSON API only, and we with the XML API: so what is in the bucket is put there by hand.
fn post(endpoint: &str, path: &str, body: &str) {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).expect("it listens");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
}

/// Puts a text into a bucket, below `below/`.
type Put = Box<dyn Fn(&str, &str)>;

/// A bucket that keeps old versions.
fn google(stem: &str) -> Option<(Arc<dyn Control>, Put)> {
    let endpoint = server("KEEPSAKE_TEST_GOOGLE")?;
    let bucket = fresh(stem);
    post(&endpoint, "/storage/v1/b?project=p", &format!("{{\"name\":\"{bucket}\",\"versioning\":{{\"enabled\":true}}}}"));
    let settings = PlaceSettings { endpoint: Some(endpoint.clone()), ..PlaceSettings::default() };
    let place = Place::new(&format!("gs://{bucket}/below"), settings).expect("a place");
    let access = Access { token: Some(Secret::new("token".into())), ..Access::default() };
    let control = place.control(&access, Arc::default()).expect("it opens").expect("it has one");
    let put = move |object: &str, text: &str| {
        post(&endpoint, &format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name=below/{object}"), text);
    };
    Some((control, Box::new(put)))
}

#[test]
fn google_lists_old_versions() {
    let Some((control, put)) = google("versions") else { return };
    control.make_place(false).expect("it is there");
    assert_eq!(control.state().expect("state").versioning, Some(true));
    let versions = control.versions().expect("it has versions");
    put("data/kept", "first");
    put("data/replaced", "first");
    put("data/replaced", "second");
    let mut found: Vec<_> = versions.all("data").expect("list").into_iter().map(|v| (v.name.to_string(), v.is_latest, v.bytes)).collect();
    found.sort();
    let of = |name: &str, latest, bytes| (name.to_owned(), latest, bytes);
    assert_eq!(found, [of("data/kept", true, 5), of("data/replaced", false, 5), of("data/replaced", true, 6)]);
}

/// The double takes no notice of which version is to go, so that these answers are the manual's ("Objects: list", "Objects: delete").
#[test]
fn google_old_versions_go() {
    let item = |name: &str, generation: u32, deleted: bool| {
        let deleted = if deleted { ",\"timeDeleted\":\"2026-01-02T03:04:05.678Z\"" } else { "" };
        format!("{{\"name\":\"below/data/{name}\",\"generation\":\"{generation}\",\"size\":\"4\"{deleted}}}")
    };
    let items =
        [item("replaced", 1, true), item("replaced", 2, false), item("gone", 3, true), item("locked", 4, true), item("kept", 5, false)];
    let pages = [items[..2].join(","), items[2..].join(",")];
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = requests.clone();
    let scripted = Scripted::start(move |target, _| {
        let (method, path) = target.split_once(' ').unwrap_or_default();
        let json = |text: String| (200, vec![("content-type", "application/json".to_owned())], text);
        if method == "DELETE" {
            seen.lock().expect("no holder panics").push(path.to_owned());
        }
        match method {
            "GET" if path.contains("softDeleted=true") => {
                json("{\"items\":[{\"name\":\"below/data/soft\",\"size\":\"9\",\"hardDeleteTime\":\"2030-03-17T17:46:40Z\"}]}".to_owned())
            }
            "GET" if path.contains("pageToken=two%2F2") => json(format!("{{\"items\":[{}]}}", pages[1])),
            "GET" if path.contains("versions=true") => json(format!("{{\"nextPageToken\":\"two/2\",\"items\":[{}]}}", pages[0])),
            "GET" if path.contains("locked") => {
                json("{\"retention\":{\"mode\":\"Locked\",\"retainUntilTime\":\"2030-03-17T17:46:40Z\"}}".to_owned())
            }
            "DELETE" if path.contains("locked") => {
                let message = "Object 'bucket/below/data/locked' is subject to the object's retention and cannot be deleted";
                let reason = format!("{{\"errors\":[{{\"reason\":\"retentionPolicyNotMet\"}}],\"message\":\"{message}\"}}");
                (403, vec![], format!("{{\"error\":{reason}}}"))
            }
            "DELETE" => (204, vec![], String::new()),
            _ => (404, vec![], String::new()),
        }
    });
    let settings = PlaceSettings { endpoint: Some(scripted.endpoint()), ..PlaceSettings::default() };
    let place = Place::new("gs://bucket/below", settings).expect("a place");
    let access = Access { token: Some(Secret::new("token".into())), ..Access::default() };
    let control = place.control(&access, Arc::default()).expect("it opens").expect("it has one");
    let versions = control.versions().expect("it has versions");
    let swept = sweep_versions(versions, control.locks(), "data", &|_| false).expect("swept");
    assert_eq!((swept.removed, swept.bytes), (2, 8), "{swept:?}");
    let until = Some(1_900_000_000_000_000);
    assert_eq!(swept.kept.iter().map(|kept| (kept.name.as_str(), kept.until)).collect::<Vec<_>>(), [("data/locked", until)]);
    let asked = requests.lock().expect("no holder panics").clone();
    let of = |name: &str, generation: u32| format!("/storage/v1/b/bucket/o/below%2Fdata%2F{name}?generation={generation}");
    assert_eq!(asked, [of("gone", 3), of("locked", 4), of("replaced", 1)]);
    let deleted = versions.deleted("").expect("list");
    assert_eq!(deleted.iter().map(|kept| (kept.name.as_str(), kept.until)).collect::<Vec<_>>(), [("data/soft", until)]);
}

/// The double keeps retention and does not enforce it.
#[test]
fn google_locks_and_classes() {
    let Some((control, put)) = google("locks") else { return };
    let (versions, locks, tiers) = (control.versions().expect("v"), control.locks().expect("l"), control.tiers().expect("t"));
    put("data/locked", "text");
    put("keys/free", "text");
    let lock = ObjectLock { mode: LockMode::Governance, until: 1_900_000_000_000_000 };
    locks.lock(&name("data/locked"), lock).expect("locked");
    assert_eq!(locks.lock_of(&name("data/locked"), None).expect("read"), Some(lock));
    assert_eq!(locks.lock_of(&name("keys/free"), None).expect("read"), None);
    assert!(matches!(locks.lock(&name("data/none"), lock), Err(StoreError::NotFound { .. })));
    let id = versions.all("data/locked").expect("list").remove(0).id;
    assert_eq!(locks.lock_of(&name("data/locked"), Some(&id)).expect("read"), Some(lock));
    let listed = tiers.all("").expect("list");
    let of: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.class.as_str(), one.reach, one.bytes)).collect();
    assert_eq!(of, [("data/locked", "STANDARD", Reach::Online, 4), ("keys/free", "STANDARD", Reach::Online, 4)]);
    assert!(listed.iter().all(|one| one.since > 1_700_000_000_000_000));
    tiers.set(&name("keys/free"), "NEARLINE").expect("copied onto itself");
    assert_eq!(tiers.of(&name("data/none")).expect("asked"), None);
    control.versions().expect("v").set_versioning(false).expect("set");
    assert_eq!(control.state().expect("state").versioning, Some(false));
}

#[test]
fn google_says_how_a_bucket_is_made() {
    let Some(endpoint) = server("KEEPSAKE_TEST_GOOGLE") else { return };
    let settings = PlaceSettings { endpoint: Some(endpoint), ..PlaceSettings::default() };
    let place = Place::new("gs://no-such-bucket-here/below", settings).expect("a place");
    let access = Access { token: Some(Secret::new("token".into())), ..Access::default() };
    let control = place.control(&access, Arc::default()).expect("it opens").expect("it has one");
    let error = control.make_place(true).expect_err("it cannot").to_string();
    assert!(error.contains("gcloud storage buckets create gs://no-such-bucket-here") && error.contains("per-object-retention"), "{error}");
    assert!(control.state().expect_err("it is not there").to_string().contains("no such bucket"));
}

/// "List Blobs" with `include=versions` and with `include=deleted,versions`, shortened; Azurite has none of this.
const LISTED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"c\"><Blobs>\
<Blob><Name>below/data/one</Name><VersionId>2020-09-01T00:00:00.0000001Z</VersionId><Properties><Content-Length>7</Content-Length></Properties></Blob>\
<Blob><Name>below/data/one</Name><VersionId>2020-10-01T00:00:00.0000001Z</VersionId><IsCurrentVersion>true</IsCurrentVersion><Properties><Content-Length>5</Content-Length></Properties></Blob>\
<Blob><Name>below/data/gone</Name><VersionId>2020-08-01T00:00:00.0000001Z</VersionId><Properties><Content-Length>3</Content-Length></Properties></Blob>\
<Blob><Name>below/data/locked</Name><VersionId>2020-07-01T00:00:00.0000001Z</VersionId><Properties><Content-Length>9</Content-Length></Properties></Blob>\
</Blobs><NextMarker /></EnumerationResults>";
const DELETED: &str = "<EnumerationResults><Blobs><Blob><Name>below/data/gone</Name><Deleted>true</Deleted><VersionId>1</VersionId><Properties>\
<Content-Length>3</Content-Length><DeletedTime>Thu, 01 Oct 2020 00:00:00 GMT</DeletedTime><RemainingRetentionDays>6</RemainingRetentionDays></Properties></Blob>\
<Blob><Name>below/data/one</Name><VersionId>2</VersionId><Properties/></Blob></Blobs><NextMarker/></EnumerationResults>";
const SERVICE: &str = "<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days></DeleteRetentionPolicy></StorageServiceProperties>";

fn azure(target: &str, headers: &BTreeMap<String, String>) -> (u16, Vec<(&'static str, String)>, String) {
    let empty = |status| (status, vec![], String::new());
    let locked = target.contains("/below/data/locked");
    match target.split_once(' ').unwrap_or_default() {
        ("GET", path) if path.contains("comp=properties") => (200, vec![], SERVICE.into()),
        ("GET", path) if path.contains("include=deleted,versions") => (200, vec![], DELETED.into()),
        ("GET", path) if path.contains("include=versions") => (200, vec![], LISTED.into()),
        ("HEAD", path) if path.contains("restype=container") => {
            (200, vec![("x-ms-has-immutability-policy", "false".into()), ("x-ms-has-legal-hold", "false".into())], String::new())
        }
        ("HEAD", _) if locked => {
            let until = ("x-ms-immutability-policy-until-date", "Sun, 17 Mar 2030 17:46:40 GMT".to_owned());
            (200, vec![until, ("x-ms-immutability-policy-mode", "unlocked".into())], String::new())
        }
        ("HEAD", _) => empty(200),
        ("DELETE", path) if locked && path.contains("versionid=2020-07") => {
            (409, vec![("x-ms-error-code", "BlobImmutableDueToPolicy".into())], String::new())
        }
        ("DELETE", path) if path.contains("versionid=") => empty(202),
        ("PUT", path) if path.contains("comp=immutabilityPolicies") => {
            let of = |name: &str| headers.get(name).map(String::as_str);
            let right = of("x-ms-immutability-policy-until-date") == Some("Sun, 17 Mar 2030 17:46:40 GMT")
                && of("x-ms-immutability-policy-mode") == Some("Locked");
            empty(if right { 200 } else { 400 })
        }
        ("PUT", path) if path.contains("comp=legalhold") => {
            empty(if headers.get("x-ms-legal-hold").is_some_and(|on| on == "true") { 200 } else { 400 })
        }
        _ => empty(404),
    }
}

#[test]
fn azure_versions_and_locks() {
    let scripted = Scripted::start(azure);
    let settings = PlaceSettings { endpoint: Some(scripted.endpoint()), ..PlaceSettings::default() };
    let place = Place::new("az://account/container/below", settings).expect("a place");
    let access = Access { secret: Some(Secret::new("c2VjcmV0".into())), ..Access::default() };
    let control = place.control(&access, Arc::default()).expect("it opens").expect("it has one");
    let (versions, locks) = (control.versions().expect("versions"), control.locks().expect("locks"));
    let state = control.state().expect("state");
    assert_eq!((state.versioning, state.undelete_days, state.default_lock), (Some(true), Some(7), None));
    let until = 1_900_000_000_000_000;
    let swept = sweep_versions(versions, Some(locks), "data", &|_| false).expect("swept");
    assert_eq!((swept.removed, swept.bytes), (2, 10), "an old version, and the last of what was deleted: {swept:?}");
    assert_eq!(swept.kept.iter().map(|k| (k.name.as_str(), k.until)).collect::<Vec<_>>(), [("data/locked", Some(until))]);
    let deleted = versions.deleted("").expect("list");
    assert_eq!(deleted.iter().map(|kept| (kept.name.as_str(), kept.bytes)).collect::<Vec<_>>(), [("data/gone", 3)]);
    assert!(deleted[0].until.is_some_and(|until| until > 1_700_000_000_000_000));
    locks.lock(&name("data/one"), ObjectLock { mode: LockMode::Compliance, until }).expect("locked");
    locks.hold(&name("data/one"), Some("1"), true).expect("held");
    let told = versions.set_versioning(true).expect_err("it belongs to the account").to_string();
    assert!(told.contains("az storage account"), "{told}");
}
