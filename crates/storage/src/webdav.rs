//! WebDAV (RFC 4918).
//!
//! An object is written beside its place, read back, and moved there: `MOVE` with `Overwrite: F` is the one thing that every server does
//! at once and only if nothing is there yet. Names on the way end in `~` and something; no listing shows them.

mod multistatus;

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures::{StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use rand::RngExt;

use self::multistatus::{Entry, entries};
use crate::{
    Access, ObjectInfo, ObjectName, Place, PutMode, Store, StoreError, StoreResult,
    net::{Failure, Http, Request, Response, wait},
};

/// Folders that are listed at once.
const LISTS: usize = 8;

/// A folder on a WebDAV server.
#[derive(Debug)]
pub(crate) struct WebDavStore {
    server: Arc<Server>,
    /// Folders that are known to be there.
    folders: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Server {
    http: Http,
    url: String,
    /// `http://HOST:PORT`.
    origin: String,
    /// The path of the folder, with `/` at both ends.
    root: String,
    authorization: Option<header::HeaderValue>,
}

impl WebDavStore {
    pub fn new(place: &Place, access: &Access, http: Http) -> StoreResult<Self> {
        let encrypted = place.url().starts_with("webdavs:");
        let port = place.port().map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{}://{}{port}", if encrypted { "https" } else { "http" }, place.host());
        let authorization = match (place.user().or(access.id.as_deref()), &access.secret, &access.token) {
            (Some(user), Some(password), _) => Some(format!("Basic {}", BASE64.encode(format!("{user}:{}", password.reveal()).as_bytes()))),
            (_, _, Some(token)) => Some(format!("Bearer {}", token.reveal())),
            _ => None,
        };
        let hidden = |text: String| {
            let mut value = header::HeaderValue::try_from(text).map_err(|_| StoreError::Refused {
                place: place.url().to_owned(),
                problem: "its password or token has characters that no header may hold".into(),
            })?;
            value.set_sensitive(true);
            Ok(value)
        };
        let root = if place.path().is_empty() { "/".to_owned() } else { format!("/{}/", place.path()) };
        let authorization = authorization.map(hidden).transpose()?;
        let server = Server { http, url: place.url().to_owned(), origin, root, authorization };
        Ok(Self { server: Arc::new(server), folders: Mutex::default() })
    }

    fn failed(&self, action: &'static str, name: &str, failure: Failure) -> StoreError {
        failure.into_error(self.describe(), action, name.to_owned())
    }

    fn ask(
        &self,
        action: &'static str,
        name: &str,
        method: &str,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> StoreResult<Response> {
        let (server, path, method) = (self.server.clone(), name.to_owned(), method.to_owned());
        let answer = wait(async move { server.send(&method, &path, &headers, body).await });
        answer.map_err(|failure| self.failed(action, name, failure))
    }

    /// Makes the folders above a name.
    fn make_folders(&self, name: &ObjectName) -> StoreResult<()> {
        let Some((folder, _)) = name.as_str().rsplit_once('/') else { return self.make_folder("") };
        if self.folders.lock().expect("no holder panics").contains(folder) {
            return Ok(());
        }
        self.make_folder("")?;
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        ends.into_iter().try_for_each(|end| self.make_folder(&folder[..end]))
    }

    fn make_folder(&self, folder: &str) -> StoreResult<()> {
        if self.folders.lock().expect("no holder panics").contains(folder) {
            return Ok(());
        }
        let path = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let server = self.server.clone();
        let made = wait(async move { server.send("MKCOL", &path, &[], Bytes::new()).await });
        match made {
            Ok(answer) if answer.status() == StatusCode::CONFLICT || answer.status() == StatusCode::NOT_FOUND => {
                let problem = "the folder above it is not there: make it on the server, or correct the URL".into();
                return Err(StoreError::Refused { place: self.describe(), problem });
            }
            // 405: it is there already (RFC 4918, 9.3.1).
            Ok(_) => {}
            Err(Failure::Refused(refusal)) if refusal.status == 405 => {}
            Err(failure) => return Err(self.failed("make", folder, failure)),
        }
        self.folders.lock().expect("no holder panics").insert(folder.to_owned());
        Ok(())
    }

    /// Writes beside the place, and reads back what came to be there.
    fn put_beside(&self, name: &ObjectName, beside: &str, bytes: &Bytes) -> StoreResult<()> {
        let mut answer = self.ask("write", beside, "PUT", vec![], bytes.clone())?;
        if matches!(answer.status(), StatusCode::CONFLICT | StatusCode::NOT_FOUND) {
            // Somebody removed a folder that was there.
            self.folders.lock().expect("no holder panics").clear();
            self.make_folders(name)?;
            answer = self.ask("write", beside, "PUT", vec![], bytes.clone())?;
        }
        if !answer.status().is_success() {
            return Err(self.unexpected("write", name, answer.status()));
        }
        let back = self.ask("read", beside, "GET", vec![], Bytes::new())?;
        if back.body() == bytes { Ok(()) } else { Err(self.unexpected_text("write", name, "what was written does not read back the same")) }
    }

    fn unexpected(&self, action: &'static str, name: &ObjectName, status: StatusCode) -> StoreError {
        self.unexpected_text(action, name, &format!("the server answered {status}"))
    }

    fn unexpected_text(&self, action: &'static str, name: &ObjectName, problem: &str) -> StoreError {
        let (place, name) = (self.describe(), name.to_string());
        StoreError::Unavailable { place, action, name, source: Failure::Network(problem.to_owned()).into() }
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> StoreResult<Bytes> {
        let headers = range.iter().map(|r| ("range", format!("bytes={}-{}", r.start, r.end - 1))).collect();
        let answer = self.ask("read", name.as_str(), "GET", headers, Bytes::new())?;
        match (answer.status(), range) {
            (StatusCode::NOT_FOUND, _) => Err(StoreError::NotFound { name: name.clone() }),
            (StatusCode::PARTIAL_CONTENT, Some(range)) if answer.body().len() as u64 == range.end - range.start => Ok(answer.into_body()),
            // Servers may ignore the range.
            (StatusCode::OK, Some(range)) if range.end <= answer.body().len() as u64 => {
                Ok(answer.body().slice(range.start as usize..range.end as usize))
            }
            (StatusCode::OK, None) => Ok(answer.into_body()),
            (StatusCode::PARTIAL_CONTENT | StatusCode::OK, Some(_)) => Err(StoreError::short(self.describe(), "read", name.to_string())),
            (status, _) => Err(self.unexpected("read", name, status)),
        }
    }
}

impl Store for WebDavStore {
    fn is_far(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.server.url.clone()
    }

    fn put(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> StoreResult<()> {
        self.make_folders(name)?;
        let beside = format!("{name}~{}", HEXLOWER.encode(&rand::rng().random::<[u8; 8]>()));
        let result = self.put_beside(name, &beside, &bytes).and_then(|()| {
            let overwrite = if mode == PutMode::Create { "F" } else { "T" };
            let headers = vec![("destination", self.server.address(name.as_str())), ("overwrite", overwrite.to_owned())];
            let moved = self.ask("write", &beside, "MOVE", headers, Bytes::new())?;
            match moved.status() {
                StatusCode::PRECONDITION_FAILED => Err(StoreError::Exists { name: name.clone() }),
                status if is_done(status) => Ok(()),
                status => Err(self.unexpected("write", name, status)),
            }
        });
        if result.is_err() {
            // What stays behind is swept with the next prune.
            drop(self.ask("delete", &beside, "DELETE", vec![], Bytes::new()));
        }
        result
    }

    fn get(&self, name: &ObjectName) -> StoreResult<Bytes> {
        self.read(name, None)
    }

    fn get_range(&self, name: &ObjectName, range: Range<u64>) -> StoreResult<Bytes> {
        if !range.is_empty() {
            return self.read(name, Some(range));
        }
        match self.head(name)? {
            Some(info) if range.end <= info.bytes => Ok(Bytes::new()),
            Some(_) => Err(StoreError::short(self.describe(), "read", name.to_string())),
            None => Err(StoreError::NotFound { name: name.clone() }),
        }
    }

    fn head(&self, name: &ObjectName) -> StoreResult<Option<ObjectInfo>> {
        let answer = self.ask("look for", name.as_str(), "HEAD", vec![], Bytes::new())?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let length = answer.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        match length {
            Some(bytes) if answer.status().is_success() => Ok(Some(ObjectInfo { name: name.clone(), bytes })),
            _ => Err(self.unexpected("look for", name, answer.status())),
        }
    }

    fn list(&self, prefix: &str) -> StoreResult<Vec<ObjectInfo>> {
        let found = self.walk(prefix)?;
        let own = |entry: Entry| Some(ObjectInfo { name: ObjectName::new(entry.path).ok()?, bytes: entry.bytes });
        Ok(found.into_iter().filter_map(own).collect())
    }

    fn delete(&self, name: &ObjectName) -> StoreResult<()> {
        let answer = self.ask("delete", name.as_str(), "DELETE", vec![], Bytes::new())?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(()),
            status if is_done(status) => Ok(()),
            status => Err(self.unexpected("delete", name, status)),
        }
    }

    fn sweep(&self, prefix: &str) -> StoreResult<u64> {
        let left = self.walk(prefix)?.into_iter().filter(|entry| entry.path.contains('~'));
        let mut count = 0;
        for entry in left {
            count += u64::from(is_done(self.ask("delete", &entry.path, "DELETE", vec![], Bytes::new())?.status()));
        }
        Ok(count)
    }
}

/// 207 is no success: it tells of parts that failed (RFC 4918, 9.6.1).
fn is_done(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 201 | 202 | 204)
}

impl WebDavStore {
    /// All files below a folder, level by level: few servers list a whole tree at once.
    fn walk(&self, prefix: &str) -> StoreResult<Vec<Entry>> {
        let server = self.server.clone();
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let found = wait(async move {
            let (mut files, mut level) = (Vec::new(), vec![start]);
            while !level.is_empty() {
                let lists = futures::stream::iter(level.into_iter().map(|folder| server.clone().folder(folder)));
                let lists: Vec<Vec<Entry>> = lists.buffer_unordered(LISTS).try_collect().await?;
                level = Vec::new();
                for entry in lists.into_iter().flatten() {
                    if entry.is_folder { level.push(entry.path) } else { files.push(entry) }
                }
            }
            Ok(files)
        });
        found.map_err(|failure| self.failed("list", prefix, failure))
    }
}

impl Server {
    fn address(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.root)
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&'static str, String)], body: Bytes) -> Result<Response, Failure> {
        let never = |error: http::Error| Failure::Never(error.to_string());
        let method = Method::from_bytes(method.as_bytes()).map_err(|e| never(e.into()))?;
        let mut request = http::Request::builder().method(method).uri(self.address(path));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request: Request = request.body(body).map_err(never)?;
        self.http.send(request).await
    }

    /// What is in a folder; one that is not there is empty.
    async fn folder(self: Arc<Self>, folder: String) -> Result<Vec<Entry>, Failure> {
        let body = Bytes::from_static(
            b"<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/></prop></propfind>",
        );
        let headers = [("depth", "1".to_owned()), ("content-type", "application/xml".to_owned())];
        let answer = self.send("PROPFIND", &folder, &headers, body).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(Vec::new()),
            StatusCode::MULTI_STATUS => {
                let all =
                    entries(answer.body(), &self.root).map_err(|e| Failure::Network(format!("the server's list cannot be read: {e}")))?;
                // The folder itself is in its list.
                Ok(all.into_iter().filter(|e| e.path != folder && e.path.starts_with(&folder)).collect())
            }
            status => Err(Failure::Network(format!("the server answered {status} to a question for a list"))),
        }
    }
}
