//! A bucket on loopback that speaks enough of the XML API that S3 and Google Cloud Storage share, and that fails on request: what no
//! real server does when a test wants it.

mod request;

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use md5::{Digest, Md5};

use self::request::{Request, http_date, read};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is answered as it should be.
    None,
    /// Nothing is done, and the answer has this status.
    Status(u16),
    /// Nothing is done; ask again in so many seconds.
    Busy(u64),
    /// Nothing is done; somebody else is at the object just now.
    Conflict,
    /// Nothing is done, and no answer comes.
    Silence,
    /// It is done, and the connection breaks off before the answer.
    LostReply,
    /// It is done, and the answer's body breaks off half-way.
    Truncated,
    /// It is done, and the answer's body comes a byte at a time.
    Drip,
    /// Nothing is done: the answer is this status with this code.
    Refusal(u16, &'static str),
    /// Nothing is done: the answer says 403, and its clock is so many seconds ahead.
    OtherClock(i64),
    /// Nothing is done: the answer sends the caller to another host.
    Redirect,
    /// Other bytes arrive than were sent.
    Garbled,
    /// A listing shows what was there when the bucket was made to forget last.
    StaleList,
}

/// What a mishap is chosen by: the method, and the object or the empty text for a listing.
type Choice = Box<dyn FnMut(&str, &str) -> Mishap + Send>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    stale: Vec<(String, usize)>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// The class of an object that is in another one than it was put in, and how asking for it goes (`x-amz-restore`).
    classes: BTreeMap<String, (String, &'static str)>,
    choose: Option<Choice>,
    requests: Vec<String>,
}

/// A running bucket called `bucket`. It stops with the last of its clones.
#[derive(Clone)]
pub struct Bucket {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    _open: Arc<Open>,
}

/// Wakes the listener, which then sees that nobody holds its bucket any more.
struct Open(SocketAddr);

impl Drop for Open {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.0));
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Bucket {
    /// Starts an empty one.
    ///
    /// # Panics
    /// Loopback has no port left.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (state, open) = (Arc::<Mutex<State>>::default(), Arc::new(Open(address)));
        let (serving, held) = (state.clone(), Arc::downgrade(&open));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if held.strong_count() == 0 {
                    return;
                }
                let state = serving.clone();
                thread::spawn(move || drop(serve(&state, stream)));
            }
        });
        Self { state, address, _open: open }
    }

    /// Its URL without the bucket's name.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Chooses what becomes of each request from now on; it is given the method and the object.
    pub fn misbehave(&self, choose: impl FnMut(&str, &str) -> Mishap + Send + 'static) {
        let mut state = self.state();
        state.stale = state.objects.iter().map(|(key, bytes)| (key.clone(), bytes.len())).collect();
        state.choose = Some(Box::new(choose));
    }

    /// Answers as it should from now on.
    pub fn behave(&self) {
        self.state().choose = None;
    }

    /// What is in it.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.clone()
    }

    /// Loses an object, as a stranger would.
    pub fn forget(&self, key: &str) {
        self.state().objects.remove(key);
    }

    /// Puts bytes as they are, as damage would.
    pub fn set(&self, key: &str, bytes: Vec<u8>) {
        self.state().objects.insert(key.to_owned(), bytes);
    }

    /// What was asked for out of an archive can be read now.
    pub fn finish_thawing(&self) {
        for (_, restore) in self.state().classes.values_mut().filter(|(_, restore)| !restore.is_empty()) {
            *restore = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2040 00:00:00 GMT\"";
        }
    }

    /// The requests since the last time: method and object.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }
}

fn serve(state: &Mutex<State>, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(mut request) = read(&mut reader)? {
        let object = if is_listing(&request) { String::new() } else { request.key.clone() };
        let mishap = {
            let mut state = state.lock().expect("no holder panics");
            state.requests.push(format!("{} {object}", request.method));
            state.choose.as_mut().map_or(Mishap::None, |choose| choose(&request.method, &object))
        };
        let mut answer = match mishap {
            Mishap::Status(status) => refusal(status, "InternalError", "made to fail"),
            Mishap::Busy(seconds) => {
                let mut answer = refusal(503, "SlowDown", "please slow down");
                answer.headers.push(("retry-after", seconds.to_string()));
                answer
            }
            Mishap::Conflict => refusal(409, "ConditionalRequestConflict", "somebody else is at it"),
            Mishap::Refusal(status, code) => refusal(status, code, "made to refuse"),
            Mishap::OtherClock(ahead) => {
                let mut answer = refusal(403, "RequestTimeTooSkewed", "the clocks differ");
                answer.headers.push(("date", http_date(ahead)));
                answer
            }
            Mishap::Redirect => {
                let mut answer = refusal(307, "TemporaryRedirect", "go there");
                answer.headers.push(("location", "http://elsewhere.example/bucket/x".into()));
                answer
            }
            Mishap::Silence => {
                thread::sleep(Duration::from_secs(3));
                return Ok(());
            }
            Mishap::Garbled => {
                request.body.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                answer_to(&mut state.lock().expect("no holder panics"), &request, false)
            }
            _ => answer_to(&mut state.lock().expect("no holder panics"), &request, mishap == Mishap::StaleList),
        };
        if mishap == Mishap::LostReply {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        let body = if request.method == "HEAD" { Vec::new() } else { std::mem::take(&mut answer.body) };
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        match mishap {
            Mishap::Truncated if !body.is_empty() => return stream.write_all(&body[..body.len() / 2]),
            Mishap::Drip => {
                for byte in &body {
                    stream.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(50));
                }
            }
            _ => stream.write_all(&body)?,
        }
    }
    Ok(())
}

fn answer_to(state: &mut State, request: &Request, stale: bool) -> Answer {
    let Request { method, key, query, headers, body } = request;
    let part = query.get("partNumber").and_then(|n| n.parse::<u32>().ok());
    match (method.as_str(), query.get("uploadId")) {
        ("POST", None) if query.contains_key("uploads") => {
            let id = format!("upload-{}", state.uploads.len());
            state.uploads.insert(id.clone(), BTreeMap::new());
            xml(200, format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
        }
        ("PUT", Some(id)) => {
            if let (Some(parts), Some(part)) = (state.uploads.get_mut(id), part) {
                parts.insert(part, body.clone());
            }
            Answer { status: 200, headers: vec![("etag", "\"part\"".into()), received(body)], body: Vec::new() }
        }
        ("POST", Some(id)) => {
            let parts = state.uploads.remove(id).unwrap_or_default();
            state.objects.insert(key.clone(), parts.into_values().flatten().collect());
            xml(200, "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>".into())
        }
        ("DELETE", Some(id)) => {
            state.uploads.remove(id);
            Answer { status: 204, headers: vec![], body: Vec::new() }
        }
        ("PUT", None) if headers.contains_key("x-amz-copy-source") => {
            let class = headers.get("x-amz-storage-class").cloned().unwrap_or_default();
            state.classes.insert(key.clone(), (class, ""));
            xml(200, "<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>".into())
        }
        ("POST", None) if query.contains_key("restore") => match state.classes.get_mut(key) {
            Some((class, restore)) if is_archive(class) => {
                *restore = "ongoing-request=\"true\"";
                Answer { status: 202, headers: vec![], body: Vec::new() }
            }
            _ => refusal(403, "InvalidObjectState", "it is not archived"),
        },
        // So that no test takes a request for done which this bucket does not know.
        ("PUT" | "GET", None) if UNKNOWN.iter().any(|name| query.contains_key(*name)) => refusal(501, "NotImplemented", "no such request"),
        ("PUT", None) => {
            let create = headers.get("if-none-match").is_some_and(|v| v == "*")
                || headers.get("x-goog-if-generation-match").is_some_and(|v| v == "0");
            if create && state.objects.contains_key(key) {
                return refusal(412, "PreconditionFailed", "it is there already");
            }
            state.objects.insert(key.clone(), body.clone());
            state.classes.remove(key);
            Answer {
                status: 200,
                headers: vec![("etag", "\"1\"".into()), ("x-goog-generation", "1".into()), received(body)],
                body: Vec::new(),
            }
        }
        ("DELETE", None) => {
            state.objects.remove(key);
            Answer { status: 204, headers: vec![], body: Vec::new() }
        }
        ("POST", None) => refusal(501, "NotImplemented", "no such request"),
        _ if is_listing(request) => list(state, query, stale),
        _ => match (state.objects.get(key), state.classes.get(key)) {
            (Some(_), Some((class, restore))) if method == "GET" && is_archive(class) && !restore.contains("false") => {
                refusal(403, "InvalidObjectState", "it is archived")
            }
            (Some(bytes), class) => {
                let mut answer = part_of(bytes, headers.get("range"));
                if let Some((class, restore)) = class {
                    answer.headers.push(("x-amz-storage-class", class.clone()));
                    answer.headers.extend((!restore.is_empty()).then(|| ("x-amz-restore", (*restore).to_owned())));
                }
                answer
            }
            (None, _) => refusal(404, "NoSuchKey", "it is not there"),
        },
    }
}

/// What arrived, as Google tells it.
fn received(body: &[u8]) -> (&'static str, String) {
    ("x-goog-hash", format!("md5={}", data_encoding::BASE64.encode(&Md5::digest(body))))
}

/// What belongs to the bucket or to an object beside its bytes: nothing of it is kept here.
const UNKNOWN: [&str; 7] = ["versioning", "versions", "lifecycle", "object-lock", "retention", "legal-hold", "uploads"];

fn is_archive(class: &str) -> bool {
    matches!(class, "GLACIER" | "DEEP_ARCHIVE")
}

fn is_listing(request: &Request) -> bool {
    request.method == "GET" && request.key.is_empty()
}

fn list(state: &State, query: &BTreeMap<String, String>, stale: bool) -> Answer {
    let fresh = || state.objects.iter().map(|(key, bytes)| (key.clone(), bytes.len())).collect();
    let all: Vec<(String, usize)> = if stale { state.stale.clone() } else { fresh() };
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query.get("continuation-token").map_or("", String::as_str);
    let mut keys = all.into_iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
    // Small pages, so that tests see more than one.
    let page: Vec<_> = keys.by_ref().take(50).collect();
    let next = keys.next().and_then(|_| page.last()).map(|(key, _)| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
    let entry = |(key, size): &(String, usize)| {
        let class = state.classes.get(key).map(|(class, _)| format!("<StorageClass>{class}</StorageClass>")).unwrap_or_default();
        format!(
            "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>\"1\"</ETag><Size>{size}</Size>{class}</Contents>"
        )
    };
    let contents: String = page.iter().map(entry).collect();
    let more = next.is_some();
    xml(200, format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}{}</ListBucketResult>", next.unwrap_or_default()))
}

fn part_of(bytes: &[u8], range: Option<&String>) -> Answer {
    let mut headers = vec![
        ("etag", "\"1\"".to_owned()),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT".to_owned()),
        ("x-goog-generation", "1".to_owned()),
    ];
    let asked = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((start, end)) = asked.and_then(|(start, end)| Some((start.parse::<usize>().ok()?, end.parse::<usize>().ok()?))) else {
        return Answer { status: 200, headers, body: bytes.to_vec() };
    };
    if start >= bytes.len() {
        return refusal(416, "InvalidRange", "it ends before");
    }
    let end = end.min(bytes.len() - 1);
    headers.push(("content-range", format!("bytes {start}-{end}/{}", bytes.len())));
    Answer { status: 206, headers, body: bytes[start..=end].to_vec() }
}

fn xml(status: u16, text: String) -> Answer {
    Answer { status, headers: vec![("content-type", "application/xml".into())], body: text.into_bytes() }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    xml(status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}
