//! Object stores of the clouds, and servers that speak as they do.

mod azure;
mod gcs;
mod s3;
mod xml;

use std::{
    fmt::{self, Write},
    io,
    ops::Range,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use object_store::{
    ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode as CloudPutMode, PutOptions, RetryConfig,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService},
    path::Path,
};

use crate::{
    ObjectInfo, ObjectName, PutMode, Store, StoreError, StoreResult,
    net::{Failure, Http, failure_of, wait},
};

pub(crate) use azure::{control as control_azure, open as open_azure};
pub(crate) use gcs::{control as control_gcs, open as open_gcs};
pub(crate) use s3::{control as control_s3, open as open_s3};

/// What is longer goes up in parts of so many bytes (S3 takes 10,000 parts of at least 5 MiB).
const PART_BYTES: usize = 16 << 20;

/// A bucket or container, or what is below a prefix of it.
pub(crate) struct CloudStore {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    url: String,
}

/// The library's own would print keys.
impl fmt::Debug for CloudStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudStore({})", self.url)
    }
}

impl CloudStore {
    /// `url` is how the place is called when people are told of it.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, url: &str) -> Self {
        Self { store, prefix: prefix.to_owned(), url: url.to_owned() }
    }

    fn path(&self, name: &ObjectName) -> Path {
        // Names hold nothing that a path would have to escape, and prefixes were checked the same way.
        if self.prefix.is_empty() { Path::from(name.as_str()) } else { Path::from(format!("{}/{name}", self.prefix)) }
    }

    fn error(&self, action: &'static str, name: &ObjectName, error: &Error) -> StoreError {
        match error {
            Error::NotFound { .. } if failure_of(error).is_none() => StoreError::NotFound { name: name.clone() },
            Error::AlreadyExists { .. } | Error::Precondition { .. } if action == "write" => StoreError::Exists { name: name.clone() },
            other => self.other(action, name.as_str(), other),
        }
    }

    fn other(&self, action: &'static str, name: &str, error: &Error) -> StoreError {
        let (place, name) = (self.describe(), name.to_owned());
        match failure_of(error) {
            Some(failure) => failure.clone().into_error(place, action, name),
            None => StoreError::Unavailable { place, action, name, source: Failure::Network(error.to_string()).into() },
        }
    }

    fn ask<T, F>(&self, action: &'static str, name: &ObjectName, work: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        wait(work(self.store.clone(), self.path(name))).map_err(|error| self.error(action, name, &error))
    }
}

impl Store for CloudStore {
    fn is_far(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.url.clone()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        let mode = match mode {
            PutMode::Create => CloudPutMode::Create,
            PutMode::Replace => CloudPutMode::Overwrite,
        };
        let put = |store: Arc<dyn ObjectStore>, path| async move { store.put_opts(&path, bytes.into(), PutOptions::from(mode)).await };
        let written = self.ask("write", name, put).map(drop);
        if written.as_ref().is_err_and(StoreError::is_garbled) {
            // It must not stand there under this name; what asks again makes it anew.
            self.delete(name)?;
        }
        written
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.ask("read", name, |store, path| async move { store.get(&path).await?.bytes().await })
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        if range.is_empty() {
            return match self.head(name)? {
                Some(info) if range.end <= info.bytes => Ok(Bytes::new()),
                Some(_) => Err(StoreError::short(self.describe(), "read", name.to_string())),
                None => Err(StoreError::NotFound { name: name.clone() }),
            };
        }
        let wanted = range.end - range.start;
        let bytes = self.ask("read", name, |store, path| async move { store.get_range(&path, range).await })?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(StoreError::short(self.describe(), "read", name.to_string())) }
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        match self.ask("look for", name, |store, path| async move { store.head(&path).await }) {
            Ok(meta) => Ok(Some(ObjectInfo { name: name.clone(), bytes: meta.size })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let whole = [self.prefix.as_str(), prefix].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
        let below = (!whole.is_empty()).then(|| Path::from(whole));
        let store = self.store.clone();
        let found: Vec<_> =
            wait(async move { store.list(below.as_ref()).try_collect().await }).map_err(|e| self.other("list", prefix, &e))?;
        let own = |meta: object_store::ObjectMeta| {
            let path = meta.location.as_ref();
            let name = if self.prefix.is_empty() { path } else { path.strip_prefix(&self.prefix)?.strip_prefix('/')? };
            Some(ObjectInfo { name: ObjectName::new(name).ok()?, bytes: meta.size })
        };
        Ok(found.into_iter().filter_map(own).collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        match self.ask("delete", name, |store, path| async move { store.delete(&path).await }) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn put_reader(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let first = self.part(name, reader)?;
        if first.len() < PART_BYTES {
            let length = first.len() as u64;
            self.put(name, first, PutMode::Replace)?;
            return Ok(length);
        }
        let mut upload = self.ask("write", name, |store, path| async move { store.put_multipart(&path).await })?;
        let result = self.put_parts(name, &mut *upload, first, reader);
        let last = |mut upload: Box<dyn MultipartUpload>, whole: bool| async move {
            if whole { upload.complete().await.map(drop) } else { upload.abort().await }
        };
        let ended = wait(last(upload, result.is_ok())).map_err(|e| self.error("write", name, &e));
        result.and_then(|length| ended.map(|()| length))
    }
}

impl CloudStore {
    /// The next part of what is read; shorter than a part at the end.
    fn part(&self, name: &ObjectName, reader: &mut dyn io::Read) -> StoreResult<Bytes> {
        let mut part = BytesMut::zeroed(PART_BYTES);
        let mut filled = 0;
        while filled < PART_BYTES {
            match reader.read(&mut part[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let (place, name) = (self.describe(), name.to_string());
                    return Err(StoreError::Unavailable { place, action: "read the bytes for", name, source: source.into() });
                }
            }
        }
        part.truncate(filled);
        Ok(part.freeze())
    }

    /// Two parts are on their way while the next one is read.
    fn put_parts(&self, name: &ObjectName, upload: &mut dyn MultipartUpload, first: Bytes, reader: &mut dyn io::Read) -> StoreResult<u64> {
        let (mut length, mut part) = (0, first);
        let mut flying = std::collections::VecDeque::new();
        loop {
            if part.is_empty() || flying.len() == 2 {
                let Some(next) = flying.pop_front() else { return Ok(length) };
                landed(next).map_err(|e| self.error("write", name, &e))?;
                continue;
            }
            length += part.len() as u64;
            let (sender, receiver) = std::sync::mpsc::sync_channel(1);
            let sent = upload.put_part(std::mem::take(&mut part).into());
            crate::net::start(async move { drop(sender.send(sent.await)) });
            flying.push_back(receiver);
            part = self.part(name, reader)?;
        }
    }
}

fn landed(part: std::sync::mpsc::Receiver<object_store::Result<()>>) -> object_store::Result<()> {
    part.recv().unwrap_or_else(|_| Err(Error::Generic { store: "network", source: "a part of the upload was given up".into() }))
}

/// Gives the requests of `object_store` to our own client, and asks it to leave asking again to us.
#[derive(Debug, Clone)]
struct Connector(Http);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let sent = (parts.method == http::Method::PUT).then(|| body.clone());
        let answer = self.0.send(http::Request::from_parts(parts, body)).await.and_then(|answer| match sent {
            Some(sent) if !is_as_sent(answer.headers(), &sent) => Err(Failure::Garbled),
            _ => Ok(answer),
        });
        // "Unknown" is what `object_store` never asks again for.
        let answer = answer.map_err(|failure| HttpError::new(HttpErrorKind::Unknown, failure))?;
        Ok(answer.map(HttpResponseBody::from))
    }
}

/// Compares what was sent with what the server says it received: Azure gives its MD5 ("Put Blob", `Content-MD5`), and so does Google
/// (`x-goog-hash`). S3 compares a SHA-256 of ours itself.
fn is_as_sent(headers: &http::HeaderMap, sent: &[u8]) -> bool {
    let texts = |name: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok().map(str::to_owned)).collect::<Vec<_>>();
    let google = texts("x-goog-hash");
    let google = google.iter().flat_map(|text| text.split(',')).find_map(|part| part.trim().strip_prefix("md5=").map(str::to_owned));
    let told = google.or_else(|| texts("content-md5").pop());
    told.is_none_or(|told| told == data_encoding::BASE64.encode(&Md5::digest(sent)))
}

/// Why there is no credential: where the network or a server failed, asking again may help.
fn no_credential(error: &Error) -> Failure {
    failure_of(error).cloned().unwrap_or_else(|| Failure::Never(error.to_string()))
}

fn never_again() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Text as a value in a query.
pub(crate) fn query_value(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => all.push(char::from(byte)),
            _ => write!(all, "%{byte:02X}").expect("a String takes everything"),
        }
        all
    })
}
