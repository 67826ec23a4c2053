//! What a person is told when a place refuses: a plain sentence that says what to do.

use std::sync::Arc;

use bytes::Bytes;
use keepsake_storage::{Access, Place, PlaceSettings, PutMode, Secret, Store, StoreError};
use keepsake_testing::{Bucket, Mishap};

use crate::{
    remote::{azure, fresh, open, s3, secret, sftp, webdav},
    suite::name,
};

fn at(endpoint: &str) -> Arc<dyn Store> {
    let settings = PlaceSettings { endpoint: Some(endpoint.into()), ..PlaceSettings::default() };
    let place = Place::new("s3://bucket", settings).expect("a place");
    place.open_impatiently(&secret("id", "hunter2"), Arc::default()).expect("it opens")
}

fn told(store: &dyn Store, contains: &[&str]) {
    let error = store.put(&name("keys/a"), Bytes::from_static(b"x"), PutMode::Create).expect_err("refused").to_string();
    for word in contains {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(!error.contains("hunter2") && error.lines().count() == 1, "{error}");
}

#[test]
fn refusals_of_a_server() {
    let bucket = Bucket::start();
    let store = at(&bucket.endpoint());
    let cases: [(Mishap, &[&str]); 9] = [
        (Mishap::Refusal(403, "InvalidAccessKeyId"), &["does not accept the key", "check the key's id"]),
        (Mishap::Refusal(403, "SignatureDoesNotMatch"), &["does not accept the key"]),
        (Mishap::Refusal(400, "ExpiredToken"), &["credentials have expired", "get new ones"]),
        (Mishap::Refusal(404, "NoSuchBucket"), &["no such bucket", "create it, or correct its name"]),
        (Mishap::Refusal(403, "AccessDenied"), &["does not let us write `keys/a`", "allowed to do"]),
        (Mishap::OtherClock(3600), &["clock is 60 minutes behind", "set the clock"]),
        (Mishap::OtherClock(-3600), &["minutes ahead of", "set the clock"]),
        (Mishap::Redirect, &["`elsewhere.example`", "right endpoint or region"]),
        (Mishap::Refusal(507, "InsufficientStorage"), &["no space left", "free some"]),
    ];
    for (mishap, words) in cases {
        bucket.misbehave(move |_, _| mishap);
        told(&*store, words);
    }
    // None of these was asked again.
    assert_eq!(bucket.take_requests().len(), cases.len());
}

#[test]
fn deletions_that_are_not_allowed() {
    let bucket = Bucket::start();
    let store = at(&bucket.endpoint());
    bucket.misbehave(|method, _| if method == "DELETE" { Mishap::Refusal(403, "AccessDenied") } else { Mishap::None });
    store.put(&name("a"), Bytes::from_static(b"x"), PutMode::Create).expect("writing is");
    let error = store.delete(&name("a")).expect_err("deleting is not");
    assert!(matches!(error, StoreError::Denied { action: "delete", .. }), "{error}");
}

#[test]
fn places_that_are_none() {
    // Nothing listens there.
    told(&*at("http://127.0.0.1:9"), &["cannot be reached", "check its address"]);
    // A server that does not speak TLS.
    told(&*at(&Bucket::start().endpoint().replace("http:", "https:")), &["does not speak TLS", "http://"]);
    told(&*at("http://does-not-exist.invalid"), &["cannot be reached"]);
}

/// The same from real servers.
#[test]
fn refusals_of_real_servers() {
    if let Some((place, _)) = s3("tst") {
        let with = |access: &Access| open(&(place.clone(), access.clone()));
        told(&*with(&secret("testkey", "hunter2")), &["does not accept the key"]);
        told(&*with(&secret("nobody", "hunter2")), &["does not accept the key"]);
        told(&*with(&secret("readkey", "readsecret")), &["does not let us write"]);
    }
    if let Some(nowhere) = s3(&fresh("nowhere")) {
        let store = open(&nowhere);
        let error = store.list("").expect_err("there is no such bucket").to_string();
        assert!(error.contains("no such bucket"), "{error}");
    }
    if let Some((place, access)) = azure(&fresh("nowhere")) {
        told(&*open(&(place.clone(), access)), &["no such bucket or container"]);
        let wrong = Access { secret: Some(Secret::new("aHVudGVyMg==".into())), ..Access::default() };
        // The real service says `AuthenticationFailed`; its double, `AuthorizationFailure`.
        told(&*open(&(place, wrong)), &["what its credentials are allowed to do"]);
    }
    if let Some((place, access)) = sftp("KEEPSAKE_TEST_SSH", "refusals") {
        let settings = PlaceSettings {
            ssh: vec!["-F".into(), "none".into(), "-o".into(), "UserKnownHostsFile=/dev/null".into()],
            ..PlaceSettings::default()
        };
        let stranger = Place::new(place.url(), settings).expect("a place");
        told(&*stranger.open_impatiently(&access, Arc::default()).expect("it opens"), &["server's key", "run `ssh"]);
        let mut ssh = place.settings().ssh.clone();
        ssh[3] = "/dev/null".into();
        let no_key = Place::new(place.url(), PlaceSettings { ssh, ..PlaceSettings::default() }).expect("a place");
        told(&*no_key.open_impatiently(&access, Arc::default()).expect("it opens"), &["lets nobody in", "ssh"]);
    }
    if let Some((place, access)) = webdav("a") {
        let url = place.url().replace("webdav:", "webdavs:");
        let place = Place::new(&url, PlaceSettings::default()).expect("a place");
        told(&*place.open_impatiently(&access, Arc::default()).expect("it opens"), &["does not speak TLS"]);
    }
}

/// A server that speaks TLS with a certificate of its own, until it is dropped.
struct Tls {
    server: std::process::Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Tls {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let openssl = |arguments: &str| {
            let mut command = std::process::Command::new("openssl");
            command.args(arguments.split(' ')).current_dir(folder.path());
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command
        };
        let make = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=own.example -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        assert!(openssl(make).status().expect("openssl is installed").success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let server =
            openssl(&format!("s_server -accept 127.0.0.1:{port} -cert cert.pem -key key.pem -www -quiet")).spawn().expect("it starts");
        let started = |_: &u32| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let wait = |tries: &u32| std::thread::sleep(std::time::Duration::from_millis(u64::from(*tries)));
        assert!((1..100).inspect(wait).any(|tries| started(&tries)), "it does not answer");
        Self { server, folder, port }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let tls = Tls::start();
    let endpoint = format!("https://127.0.0.1:{}", tls.port);
    told(&*at(&endpoint), &["certificate is not trusted", "give the certificate it is signed with"]);
    let settings =
        PlaceSettings { endpoint: Some(endpoint), certificate: Some(tls.folder.path().join("cert.pem")), ..PlaceSettings::default() };
    let place = Place::new("s3://bucket", settings).expect("a place");
    let store = place.open_impatiently(&secret("id", "hunter2"), Arc::default()).expect("it opens");
    // The server knows nothing of objects; what matters is that it is talked to.
    let answer = store.get(&name("a")).map_err(|error| error.to_string());
    assert!(!answer.as_ref().is_err_and(|error| error.contains("certificate")), "{answer:?}");
}

/// Bytes that change on their way are noticed by what the server says it received, and sent again.
#[test]
fn what_arrives_garbled_is_sent_again() {
    let bucket = Bucket::start();
    let settings = PlaceSettings { endpoint: Some(bucket.endpoint()), ..PlaceSettings::default() };
    let access = Access { token: Some(Secret::new("token".into())), ..Access::default() };
    let place = Place::new("gs://bucket", settings).expect("a place");
    let store = place.open_impatiently(&access, Arc::default()).expect("it opens");
    for mode in [PutMode::Create, PutMode::Replace] {
        let mut puts = 0;
        bucket.misbehave(move |method, _| {
            puts += u32::from(method == "PUT");
            if method == "PUT" && puts < 3 { Mishap::Garbled } else { Mishap::None }
        });
        let object = name(&format!("data/{mode:?}"));
        store.put(&object, Bytes::from_static(b"as it was sent"), mode).expect("in the end");
        assert_eq!(bucket.objects()[object.as_str()], b"as it was sent");
    }
    bucket.misbehave(|method, _| if method == "PUT" { Mishap::Garbled } else { Mishap::None });
    let error = store.put(&name("data/never"), Bytes::from_static(b"text"), PutMode::Create).expect_err("never").to_string();
    assert!(error.contains("other bytes than were sent"), "{error}");
    assert!(!bucket.objects().contains_key("data/never"), "nothing stands there under the name");
}
