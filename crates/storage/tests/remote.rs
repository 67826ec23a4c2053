//! The stores behind a network, against real servers on this machine (`scripts/storage-servers` starts them).

use std::sync::Arc;

use keepsake_storage::{Access, Place, PlaceSettings, Prefixed, Secret, Store, Traffic};
use keepsake_testing::Bucket;

use crate::suite::{name, suite};

/// The value of a variable that says where a server is. Without it the test says so and does nothing, unless all must run.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what was not run")]
pub fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set, and with CI=true everything must run");
        eprintln!("not run: {variable} is not set; `eval \"$(scripts/storage-servers start FOLDER)\"` starts the servers and sets it");
    }
    found
}

pub fn secret(id: &str, secret: &str) -> Access {
    Access { id: Some(id.into()), secret: Some(Secret::new(secret.into())), token: None }
}

/// The account that Azurite has, with the key that everybody knows (its documentation prints it).
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub fn s3(bucket: &str) -> Option<(Place, Access)> {
    let endpoint = server("KEEPSAKE_TEST_S3")?;
    let settings = PlaceSettings { endpoint: Some(endpoint), ..PlaceSettings::default() };
    Some((Place::new(&format!("s3://{bucket}"), settings).expect("a place"), secret("testkey", "testsecret")))
}

pub fn azure(container: &str) -> Option<(Place, Access)> {
    let endpoint = format!("{}/devstoreaccount1", server("KEEPSAKE_TEST_AZURE")?);
    let settings = PlaceSettings { endpoint: Some(endpoint), ..PlaceSettings::default() };
    let access = Access { secret: Some(Secret::new(AZURITE_KEY.into())), ..Access::default() };
    Some((Place::new(&format!("az://devstoreaccount1/{container}"), settings).expect("a place"), access))
}

pub fn webdav(folder: &str) -> Option<(Place, Access)> {
    let url = server("KEEPSAKE_TEST_WEBDAV")?;
    Some((Place::new(&format!("{url}/{folder}"), PlaceSettings::default()).expect("a place"), Access::default()))
}

/// SeaweedFS, or OpenSSH, whose URL names a folder already.
pub fn sftp(variable: &str, folder: &str) -> Option<(Place, Access)> {
    let (url, files) = (server(variable)?, server("KEEPSAKE_TEST_STORAGE")?);
    let ssh = ["-F", "none", "-i", &format!("{files}/userkey"), "-o", &format!("UserKnownHostsFile={files}/known_hosts")];
    let settings = PlaceSettings { ssh: ssh.map(str::to_owned).into(), ..PlaceSettings::default() };
    Some((Place::new(&format!("{url}/{folder}"), settings).expect("a place"), Access::default()))
}

pub fn open((place, access): &(Place, Access)) -> Arc<dyn Store> {
    place.open(access, None, Arc::<Traffic>::default()).expect("it opens")
}

/// A name that no earlier run used.
pub fn fresh(stem: &str) -> String {
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos());
    format!("{stem}-{nanos}")
}

#[test]
fn s3_on_seaweedfs() {
    let Some(place) = s3("tst") else { return };
    suite(&(Arc::new(Prefixed::new(open(&place), name(&fresh("suite")))) as Arc<dyn Store>));
}

#[test]
fn azure_on_azurite() {
    let Some(place) = azure(&fresh("suite")) else { return };
    let control = place.0.control(&place.1, Arc::default()).expect("it opens").expect("it has one");
    control.make_place(false).expect("made");
    control.make_place(false).expect("made once more");
    suite(&open(&place));
}

#[test]
fn webdav_on_seaweedfs() {
    let Some(place) = webdav(&fresh("suite")) else { return };
    suite(&open(&place));
}

#[test]
fn sftp_on_seaweedfs() {
    let Some(place) = sftp("KEEPSAKE_TEST_SFTP", &fresh("suite")) else { return };
    suite(&open(&place));
}

#[test]
fn sftp_on_openssh() {
    let Some(place) = sftp("KEEPSAKE_TEST_SSH", &fresh("suite")) else { return };
    suite(&open(&place));
}

/// Google's own emulators do not speak the XML API, which is the one that is used: a bucket of our own does.
#[test]
fn google_on_a_stub() {
    let bucket = Bucket::start();
    let settings = PlaceSettings { endpoint: Some(bucket.endpoint()), ..PlaceSettings::default() };
    let place = Place::new("gs://bucket/below/it", settings).expect("a place");
    let access = Access { token: Some(Secret::new("token".into())), ..Access::default() };
    suite(&open(&(place, access)));
}

/// Long objects go up in parts.
#[test]
fn parts() {
    let bucket = Bucket::start();
    let settings = PlaceSettings { endpoint: Some(bucket.endpoint()), ..PlaceSettings::default() };
    let stub = (Place::new("s3://bucket", settings).expect("a place"), secret("id", "secret"));
    let azure = azure(&fresh("parts"));
    if let Some((place, access)) = &azure {
        place.control(access, Arc::default()).expect("it opens").expect("it has one").make_place(false).expect("made");
    }
    for place in [Some(stub), s3("tst"), azure].iter().flatten() {
        let store = open(place);
        let object = name(&fresh("long"));
        let long: Vec<u8> = (0..40_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(store.put_reader(&object, &mut long.as_slice()).expect("in parts"), long.len() as u64);
        assert!(store.get(&object).expect("whole") == long, "{place:?}");
        store.delete(&object).expect("deleted");
    }
}
