//! What Google keeps beside objects: how a bucket is set up, old versions, retention, holds and classes (Cloud Storage JSON API, v1).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Method, StatusCode, header};
use object_store::gcp::GoogleCloudStorage;
use serde_json::{Value, json};

use super::settings::{list, micros, number, state_of, text};
use crate::{
    BucketState, Classed, Control, Kept, LockMode, Locks, ObjectLock, ObjectName, Place, Reach, StoreError, StoreResult, Tiers, Upload,
    Version, Versions,
    cloud::{no_credential, query_value, xml::Element},
    net::{Failure, Http, Response, wait},
    retry::{Schedule, patiently},
};

const SERVER: &str = "https://storage.googleapis.com";

#[derive(Clone)]
pub(crate) struct GoogleControl {
    place: Place,
    http: Http,
    store: Arc<GoogleCloudStorage>,
}

/// The library's own would print keys.
impl fmt::Debug for GoogleControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GoogleControl({})", self.place.url())
    }
}

impl GoogleControl {
    pub fn new(place: &Place, http: Http, store: GoogleCloudStorage) -> Self {
        Self { place: place.clone(), http, store: Arc::new(store) }
    }

    fn refused(&self, problem: String) -> StoreError {
        StoreError::Refused { place: self.place.url().to_owned(), problem }
    }

    fn key(&self, name: &str) -> String {
        let prefix = self.place.path();
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    fn name(&self, key: &str) -> Option<ObjectName> {
        ObjectName::new(key.strip_prefix(&self.key(""))?).ok()
    }

    /// The path of an object, of one version of it if there is one to name.
    fn object(&self, name: &ObjectName, version: Option<&str>) -> String {
        let version = version.map(|id| format!("?generation={}", query_value(id))).unwrap_or_default();
        format!("/o/{}{version}", query_value(&self.key(name.as_str())))
    }

    async fn send(&self, method: Method, url: String, body: Bytes) -> Result<Response, Failure> {
        let never = |error: String| Failure::Never(error);
        let credential = self.store.credentials().get_credential().await.map_err(|e| no_credential(&e))?;
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, format!("Bearer {}", credential.bearer))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.http.send(request.map_err(|e| never(e.to_string()))?).await
    }

    fn raw(&self, action: &'static str, method: &Method, what: &str, path: &str, body: Bytes) -> StoreResult<Response> {
        let server = self.place.settings().endpoint.as_deref().unwrap_or(SERVER).trim_end_matches('/');
        let url = format!("{server}{path}");
        patiently(Schedule::default(), self.http.traffic(), |_| {
            let (this, method, url, body) = (self.clone(), method.clone(), url.clone(), body.clone());
            let answer = wait(async move { this.send(method, url, body).await });
            answer.map_err(|failure| failure.into_error(self.place.url().to_owned(), action, what.to_owned()))
        })
    }

    /// Asks the JSON API below the bucket; `None`: what was asked for is not there.
    fn ask(&self, action: &'static str, method: Method, rest: &str, body: Option<&Value>) -> StoreResult<Option<Value>> {
        let object = rest.strip_prefix("/o/").and_then(|rest| rest.split(['?', '/']).next());
        let what = object.map_or_else(|| "the bucket".to_owned(), |object| object.replace("%2F", "/"));
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let path = format!("/storage/v1/b/{}{rest}", self.place.host());
        let answer = self.raw(action, &method, &what, &path, body)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::NO_CONTENT => Ok(Some(Value::Null)),
            status if status.is_success() && method == Method::DELETE => Ok(Some(Value::Null)),
            status if status.is_success() => {
                let read = serde_json::from_slice(answer.body());
                read.map(Some).map_err(|e| self.refused(format!("its answer cannot be read: {e}")))
            }
            status => Err(self.refused(format!("it could not {action} `{what}`: the server answered {status}"))),
        }
    }

    /// As `ask`, of the bucket, which has to be there.
    fn bucket(&self, action: &'static str, method: Method, rest: &str, body: Option<&Value>) -> StoreResult<Value> {
        let found = self.ask(action, method, rest, body)?;
        found.ok_or_else(|| self.refused("there is no such bucket or container: create it, or correct its name in the URL".into()))
    }

    /// Changes something of an object.
    fn patch(&self, action: &'static str, name: &ObjectName, version: Option<&str>, change: &Value) -> StoreResult<()> {
        let done = self.ask(action, Method::PATCH, &self.object(name, version), Some(change))?;
        done.map(drop).ok_or_else(|| StoreError::NotFound { name: name.clone() })
    }

    /// Lists page by page, with what is said of each object in `fields`.
    fn pages(&self, prefix: &str, query: &str, fields: &str, mut each: impl FnMut(ObjectName, &Value)) -> StoreResult<()> {
        let prefix = query_value(&self.key(prefix));
        let (first, mut token) = (format!("/o?prefix={prefix}{query}&fields=nextPageToken,items({fields})"), String::new());
        loop {
            let more = if token.is_empty() { String::new() } else { format!("&pageToken={}", query_value(&token)) };
            let page = self.bucket("list", Method::GET, &format!("{first}{more}"), None)?;
            for item in list(&page, "items") {
                if let Some(name) = self.name(text(item, &["name"])) {
                    each(name, item);
                }
            }
            match text(&page, &["nextPageToken"]) {
                "" => return Ok(()),
                next if next == token => return Err(self.refused("its listing does not come to an end".into())),
                next => token = next.to_owned(),
            }
        }
    }

    fn classed(name: ObjectName, item: &Value) -> Classed {
        Classed {
            name,
            bytes: number(item, &["size"]).unwrap_or(0),
            class: text(item, &["storageClass"]).to_owned(),
            since: micros(text(item, &["timeStorageClassUpdated"])),
            // All of Google's classes are read at once.
            reach: Reach::Online,
        }
    }
}

impl Control for GoogleControl {
    /// A bucket belongs to a project, which nothing here names.
    fn make_place(&self, locks: bool) -> StoreResult<()> {
        if self.ask("look for", Method::GET, "?fields=name", None)?.is_some() {
            return Ok(());
        }
        let retention = if locks { " --enable-per-object-retention" } else { "" };
        Err(self.refused(format!(
            "a bucket is made in a project, which only Google's own tools know: `gcloud storage buckets create gs://{} --uniform-bucket-level-access --public-access-prevention{retention}`",
            self.place.host()
        )))
    }

    fn state(&self) -> StoreResult<BucketState> {
        let fields = "versioning,objectRetention,retentionPolicy,defaultEventBasedHold,softDeletePolicy,lifecycle";
        let bucket = self.bucket("read the settings of", Method::GET, &format!("?fields={fields}"), None)?;
        Ok(state_of(&bucket, &self.key("")))
    }

    fn versions(&self) -> Option<&dyn Versions> {
        Some(self)
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }

    fn tiers(&self) -> Option<&dyn Tiers> {
        Some(self)
    }
}

impl Versions for GoogleControl {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Version>> {
        let mut found = Vec::new();
        self.pages(prefix, "&versions=true", "name,generation,size,timeDeleted", |name, item| {
            found.push(Version {
                name,
                id: text(item, &["generation"]).to_owned(),
                bytes: number(item, &["size"]).unwrap_or(0),
                is_latest: text(item, &["timeDeleted"]).is_empty(),
                is_marker: false,
            });
        })?;
        Ok(found)
    }

    fn remove(&self, name: &ObjectName, id: &str) -> StoreResult<()> {
        self.ask("delete", Method::DELETE, &self.object(name, Some(id)), None).map(drop)
    }

    fn set_versioning(&self, on: bool) -> StoreResult<()> {
        let change = json!({ "versioning": { "enabled": on } });
        self.bucket("set the versions of", Method::PATCH, "", Some(&change)).map(drop)
    }

    fn set_cleaning(&self, days: u32) -> StoreResult<()> {
        let ours = self.key("");
        let below = |mut condition: Value| {
            if !ours.is_empty() {
                condition["matchesPrefix"] = json!([ours]);
            }
            condition
        };
        let change = json!({ "lifecycle": { "rule": [
            { "action": { "type": "Delete" }, "condition": below(json!({ "daysSinceNoncurrentTime": days })) },
            { "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": below(json!({ "age": days })) },
        ] } });
        self.bucket("set the lifecycle of", Method::PATCH, "", Some(&change)).map(drop)
    }

    fn deleted(&self, prefix: &str) -> StoreResult<Vec<Kept>> {
        let mut found = Vec::new();
        self.pages(prefix, "&softDeleted=true", "name,size,hardDeleteTime", |name, item| {
            let until = Some(micros(text(item, &["hardDeleteTime"]))).filter(|until| *until > 0);
            found.push(Kept { name: name.to_string(), bytes: number(item, &["size"]).unwrap_or(0), until, held: false });
        })?;
        Ok(found)
    }

    /// The XML API knows them ("List multipart uploads"); long objects go up through it.
    fn uploads(&self, prefix: &str) -> StoreResult<Vec<Upload>> {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let path = format!("/{}?uploads&prefix={}{marker}", self.place.host(), query_value(&self.key(prefix)));
            let answer = self.raw("list", &Method::GET, "uploads", &path, Bytes::new())?;
            let page = Element::parse(answer.body()).map_err(|e| self.refused(format!("its answer cannot be read: {e}")))?;
            for upload in page.all("Upload") {
                let Some(name) = self.name(upload.at(&["Key"])) else { continue };
                found.push(Upload { name, id: upload.at(&["UploadId"]).to_owned(), begun: micros(upload.at(&["Initiated"])) });
            }
            let (key, id) = (query_value(page.at(&["NextKeyMarker"])), query_value(page.at(&["NextUploadIdMarker"])));
            let next = format!("&key-marker={key}&upload-id-marker={id}");
            match page.at(&["IsTruncated"]) == "true" {
                true if next == marker => return Err(self.refused("its listing does not come to an end".into())),
                true => marker = next,
                false => return Ok(found),
            }
        }
    }

    fn abort(&self, upload: &Upload) -> StoreResult<()> {
        let key = self.key(upload.name.as_str()).split('/').map(query_value).collect::<Vec<_>>().join("/");
        let path = format!("/{}/{key}?uploadId={}", self.place.host(), query_value(&upload.id));
        self.raw("give up the upload of", &Method::DELETE, upload.name.as_str(), &path, Bytes::new()).map(drop)
    }
}

/// Retention of single objects ("Object Retention Lock"): *unlocked* is what S3 calls governance.
impl Locks for GoogleControl {
    fn lock(&self, name: &ObjectName, lock: ObjectLock) -> StoreResult<()> {
        let mode = match lock.mode {
            LockMode::Governance => "Unlocked",
            LockMode::Compliance => "Locked",
        };
        let until = jiff::Timestamp::from_microsecond(lock.until).map_err(|e| self.refused(format!("no lock can end then: {e}")))?;
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let change = json!({ "retention": { "mode": mode, "retainUntilTime": until } });
        // Google calls it an override also to bind more strictly.
        let stricter = lock.mode == LockMode::Compliance && self.lock_of(name, None)?.is_some_and(|lock| lock.mode == LockMode::Governance);
        let rest = format!("{}{}", self.object(name, None), if stricter { "?overrideUnlockedRetention=true" } else { "" });
        let done = self.ask("lock", Method::PATCH, &rest, Some(&change))?;
        done.map(drop).ok_or_else(|| StoreError::NotFound { name: name.clone() })
    }

    fn lock_of(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<Option<ObjectLock>> {
        let Some(found) = self.ask("read the lock of", Method::GET, &self.object(name, version), None)? else { return Ok(None) };
        let mode = match text(&found, &["retention", "mode"]) {
            "Locked" => LockMode::Compliance,
            "Unlocked" => LockMode::Governance,
            _ => return Ok(None),
        };
        Ok(Some(ObjectLock { mode, until: micros(text(&found, &["retention", "retainUntilTime"])) }))
    }

    fn hold(&self, name: &ObjectName, version: Option<&str>, on: bool) -> StoreResult<()> {
        self.patch("hold", name, version, &json!({ "temporaryHold": on }))
    }

    fn is_held(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<bool> {
        let found = self.ask("read the hold of", Method::GET, &self.object(name, version), None)?.unwrap_or_default();
        Ok(["temporaryHold", "eventBasedHold"].iter().any(|name| found.get(name) == Some(&Value::Bool(true))))
    }
}

impl Tiers for GoogleControl {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Classed>> {
        let mut found = Vec::new();
        self.pages(prefix, "", "name,size,storageClass,timeStorageClassUpdated", |name, item| found.push(Self::classed(name, item)))?;
        Ok(found)
    }

    fn of(&self, name: &ObjectName) -> StoreResult<Option<Classed>> {
        let found = self.ask("look for", Method::GET, &self.object(name, None), None)?;
        Ok(found.map(|item| Self::classed(name.clone(), &item)))
    }

    fn moves_by_copying(&self) -> bool {
        true
    }

    fn set(&self, name: &ObjectName, class: &str) -> StoreResult<()> {
        let (object, change) = (self.object(name, None), json!({ "storageClass": class }));
        let mut token = String::new();
        loop {
            let more = if token.is_empty() { String::new() } else { format!("?rewriteToken={}", query_value(&token)) };
            let rest = format!("{object}/rewriteTo/b/{}{object}{more}", self.place.host());
            let answer = self.ask("move", Method::POST, &rest, Some(&change))?;
            let answer = answer.ok_or_else(|| StoreError::NotFound { name: name.clone() })?;
            match text(&answer, &["rewriteToken"]) {
                _ if answer.get("done") == Some(&Value::Bool(true)) => return Ok(()),
                "" => return Err(self.refused(format!("`{name}` was not moved, and it does not say why"))),
                next => token = next.to_owned(),
            }
        }
    }

    /// Nothing is ever archived here.
    fn thaw(&self, _name: &ObjectName, _urgent: bool) -> StoreResult<()> {
        Ok(())
    }
}
