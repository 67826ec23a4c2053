//! What S3 keeps beside objects: how a bucket is set up, old versions and locks (Amazon S3 API Reference, 2006-03-01).

use std::sync::Arc;

use http::{Method, StatusCode};

use super::{REGION, Signer};
use crate::{
    BucketState, Control, LockMode, Locks, ObjectLock, ObjectName, StoreError, StoreResult, Tiers, Upload, Version, Versions,
    cloud::{
        query_value,
        xml::{Element, escaped},
    },
    net::{Response, wait},
    retry::{Schedule, patiently},
};

pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// What servers answer that have only a part of S3.
const NOT_OFFERED: [&str; 2] = ["answered 501", "answered 405"];

#[derive(Debug)]
pub(crate) struct S3Control {
    pub(super) signer: Signer,
}

/// What is asked of the bucket or of one object.
pub(super) struct Ask<'a> {
    action: &'static str,
    method: Method,
    /// The object's key, or empty for the bucket.
    key: String,
    query: &'a str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl<'a> Ask<'a> {
    pub fn new(action: &'static str, method: Method, key: String, query: &'a str) -> Self {
        Self { action, method, key, query, headers: Vec::new(), body: String::new() }
    }

    pub fn body(mut self, body: String) -> Self {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&body);
        self.headers.push(("x-amz-sdk-checksum-algorithm", "SHA256".into()));
        self.headers.push(("x-amz-checksum-sha256", data_encoding::BASE64.encode(&digest)));
        self.body = body;
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl S3Control {
    pub fn new(signer: Signer) -> Self {
        Self { signer }
    }

    fn url(&self) -> String {
        self.signer.place.url().to_owned()
    }

    pub(super) fn key(&self, name: &ObjectName) -> String {
        self.signer.key(name.as_str())
    }

    pub(super) fn ask(&self, ask: Ask<'_>) -> StoreResult<Response> {
        let signer = self.signer.clone();
        let what = if ask.key.is_empty() { ask.query.split('=').next().unwrap_or_default().to_owned() } else { ask.key.clone() };
        let key = if ask.key.is_empty() { String::new() } else { format!("/{}", ask.key) };
        let rest = if ask.query.is_empty() { key } else { format!("{key}?{}", ask.query) };
        let request = Arc::new((ask.method, rest, ask.headers, bytes::Bytes::from(ask.body)));
        patiently(Schedule::default(), signer.http.traffic(), |_| {
            let (signer, request) = (signer.clone(), request.clone());
            let answer = wait(async move { signer.send(request.0.clone(), &request.1, &request.2, request.3.clone()).await });
            answer.map_err(|failure| failure.into_error(self.url(), ask.action, what.clone()))
        })
    }

    /// As `ask`, where anything but a success is an error.
    pub(super) fn demand(&self, ask: Ask<'_>) -> StoreResult<Response> {
        let (action, what) = (ask.action, if ask.key.is_empty() { "the bucket".to_owned() } else { ask.key.clone() });
        let answer = self.ask(ask)?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refused(format!("it could not {action} `{what}`: the server answered {status}"))),
        }
    }

    pub(super) fn refused(&self, problem: String) -> StoreError {
        StoreError::Refused { place: self.url(), problem }
    }

    pub(super) fn document(&self, answer: &Response) -> StoreResult<Element> {
        Element::parse(answer.body()).map_err(|problem| self.refused(format!("its answer cannot be read: {problem}")))
    }

    /// What the bucket says of itself; `None`: it was never told anything of this kind, or the server has no such thing.
    fn bucket(&self, query: &str) -> StoreResult<Option<Element>> {
        match self.ask(Ask::new("read the settings of", Method::GET, String::new(), query)) {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Ok(None),
            Ok(answer) => self.document(&answer).map(Some),
            Err(StoreError::Refused { problem, .. }) if NOT_OFFERED.iter().any(|words| problem.contains(words)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks page by page. `next` reads from a page what the next one is asked with; `None`: it was the last.
    pub(super) fn pages(&self, first: &str, next: impl Fn(&Element) -> Option<String>, mut each: impl FnMut(&Element)) -> StoreResult<()> {
        let (mut query, mut last) = (first.to_owned(), String::new());
        loop {
            let page = self.document(&self.demand(Ask::new("list", Method::GET, String::new(), &query))?)?;
            each(&page);
            match next(&page) {
                Some(more) if more == last => return Err(self.refused("its listing does not come to an end".into())),
                Some(more) => {
                    query = format!("{first}&{more}");
                    last = more;
                }
                None => return Ok(()),
            }
        }
    }

    pub(super) fn name(&self, key: &str) -> Option<ObjectName> {
        let prefix = self.signer.key("");
        ObjectName::new(key.strip_prefix(&prefix)?).ok()
    }

    pub(super) fn prefix(&self, prefix: &str) -> String {
        query_value(&self.signer.key(prefix))
    }
}

pub(super) fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond)
}

impl Control for S3Control {
    fn make_place(&self, locks: bool) -> StoreResult<()> {
        let region = self.signer.region();
        let mut ask = Ask::new("make", Method::PUT, String::new(), "");
        if region != REGION {
            ask = ask.body(format!(
                "<CreateBucketConfiguration xmlns=\"{NAMESPACE}\"><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
                escaped(region)
            ));
        }
        if locks {
            ask = ask.header("x-amz-bucket-object-lock-enabled", "true");
        }
        let answer = self.ask(ask)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // It is ours already.
            StatusCode::CONFLICT if String::from_utf8_lossy(answer.body()).contains("BucketAlreadyOwnedByYou") => Ok(()),
            _ => Err(self.refused("the name of the bucket is taken: choose another".into())),
        }
    }

    fn state(&self) -> StoreResult<BucketState> {
        let mut state = BucketState::default();
        if let Some(found) = self.bucket("versioning")? {
            // Suspended: what was there before stays.
            state.versioning = Some(!found.at(&["Status"]).is_empty());
        }
        if let Some(found) = self.bucket("object-lock")? {
            state.locks = found.at(&["ObjectLockEnabled"]) == "Enabled";
            let of = |name| found.at(&["Rule", "DefaultRetention", name]);
            let (days, years) = (of("Days"), of("Years"));
            let period = if days.is_empty() { format!("{years} years") } else { format!("{days} days") };
            state.default_lock = (!of("Mode").is_empty()).then(|| format!("{} {period}", of("Mode")));
        }
        if let Some(found) = self.bucket("lifecycle")? {
            let ours = self.signer.key("");
            for rule in found.all("Rule").filter(|rule| rule.at(&["Status"]) == "Enabled") {
                let prefix = [rule.at(&["Filter", "Prefix"]), rule.at(&["Prefix"]), rule.at(&["Filter", "And", "Prefix"])].concat();
                if !(prefix.starts_with(&ours) || ours.starts_with(&prefix)) {
                    continue;
                }
                let (sentence, expires) = rule_sentence(rule, &prefix);
                state.lifecycle.push(sentence);
                state.expires_objects |= expires;
            }
        }
        Ok(state)
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

/// What a rule does, in words, and whether it removes current objects.
fn rule_sentence(rule: &Element, prefix: &str) -> (String, bool) {
    let mut does = Vec::new();
    let days = |path: &[&str], does: &mut Vec<String>, what: &str| {
        let days = rule.at(path);
        if !days.is_empty() {
            does.push(format!("{what} after {days} days"));
        }
        !days.is_empty()
    };
    let mut expires = days(&["Expiration", "Days"], &mut does, "removes objects");
    if !rule.at(&["Expiration", "Date"]).is_empty() {
        does.push(format!("removes objects on {}", rule.at(&["Expiration", "Date"])));
        expires = true;
    }
    days(&["NoncurrentVersionExpiration", "NoncurrentDays"], &mut does, "removes old versions");
    days(&["AbortIncompleteMultipartUpload", "DaysAfterInitiation"], &mut does, "gives unfinished uploads up");
    for change in rule.all("Transition") {
        does.push(format!("moves objects to {} after {} days", change.at(&["StorageClass"]), change.at(&["Days"])));
    }
    if rule.at(&["Expiration", "ExpiredObjectDeleteMarker"]) == "true" {
        does.push("removes what is left of deleted objects".into());
    }
    let whole = if does.is_empty() { "does something that is not known here".to_owned() } else { does.join(", ") };
    (if prefix.is_empty() { whole } else { format!("below `{prefix}`: {whole}") }, expires)
}

impl Versions for S3Control {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Version>> {
        let mut found = Vec::new();
        let next = |page: &Element| {
            let more = page.at(&["IsTruncated"]) == "true";
            let (key, id) = (query_value(page.at(&["NextKeyMarker"])), query_value(page.at(&["NextVersionIdMarker"])));
            more.then(|| format!("key-marker={key}&version-id-marker={id}"))
        };
        self.pages(&format!("versions&prefix={}", self.prefix(prefix)), next, |page| {
            for element in page.children() {
                let is_marker = element.name == "DeleteMarker";
                let Some(name) = self.name(element.at(&["Key"])).filter(|_| is_marker || element.name == "Version") else { continue };
                found.push(Version {
                    name,
                    id: element.at(&["VersionId"]).to_owned(),
                    bytes: element.at(&["Size"]).parse().unwrap_or(0),
                    is_latest: element.at(&["IsLatest"]) == "true",
                    is_marker,
                });
            }
        })?;
        Ok(found)
    }

    fn remove(&self, name: &ObjectName, id: &str) -> StoreResult<()> {
        let query = format!("versionId={}", query_value(id));
        self.ask(Ask::new("delete", Method::DELETE, self.key(name), &query)).map(drop)
    }

    fn set_versioning(&self, on: bool) -> StoreResult<()> {
        let status = if on { "Enabled" } else { "Suspended" };
        let body = format!("<VersioningConfiguration xmlns=\"{NAMESPACE}\"><Status>{status}</Status></VersioningConfiguration>");
        self.demand(Ask::new("set the versions of", Method::PUT, String::new(), "versioning").body(body)).map(drop)
    }

    fn set_cleaning(&self, days: u32) -> StoreResult<()> {
        let prefix = escaped(&self.signer.key(""));
        let body = format!(
            "<LifecycleConfiguration xmlns=\"{NAMESPACE}\"><Rule><ID>keepsake-cleaning</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>{days}</NoncurrentDays></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>{days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"
        );
        self.demand(Ask::new("set the lifecycle of", Method::PUT, String::new(), "lifecycle").body(body)).map(drop)
    }

    fn uploads(&self, prefix: &str) -> StoreResult<Vec<Upload>> {
        let mut found = Vec::new();
        let next = |page: &Element| {
            let more = page.at(&["IsTruncated"]) == "true";
            let (key, id) = (query_value(page.at(&["NextKeyMarker"])), query_value(page.at(&["NextUploadIdMarker"])));
            more.then(|| format!("key-marker={key}&upload-id-marker={id}"))
        };
        self.pages(&format!("uploads&prefix={}", self.prefix(prefix)), next, |page| {
            let read = |upload: &Element| {
                let begun = micros(upload.at(&["Initiated"]));
                Some(Upload { name: self.name(upload.at(&["Key"]))?, id: upload.at(&["UploadId"]).to_owned(), begun })
            };
            found.extend(page.all("Upload").filter_map(read));
        })?;
        Ok(found)
    }

    fn abort(&self, upload: &Upload) -> StoreResult<()> {
        let query = format!("uploadId={}", query_value(&upload.id));
        self.ask(Ask::new("give up the upload of", Method::DELETE, self.key(&upload.name), &query)).map(drop)
    }
}

/// `?NAME`, of one version if there is one to name.
fn of_version(what: &str, version: Option<&str>) -> String {
    version.map_or_else(|| what.to_owned(), |id| format!("{what}&versionId={}", query_value(id)))
}

impl Locks for S3Control {
    fn lock(&self, name: &ObjectName, lock: ObjectLock) -> StoreResult<()> {
        let mode = match lock.mode {
            LockMode::Governance => "GOVERNANCE",
            LockMode::Compliance => "COMPLIANCE",
        };
        let until = jiff::Timestamp::from_microsecond(lock.until).map_err(|e| self.refused(format!("no lock can end then: {e}")))?;
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        let body = format!("<Retention xmlns=\"{NAMESPACE}\"><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
        let answer = self.ask(Ask::new("lock", Method::PUT, self.key(name), "retention").body(body))?;
        if answer.status() == StatusCode::NOT_FOUND { Err(StoreError::NotFound { name: name.clone() }) } else { Ok(()) }
    }

    fn lock_of(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<Option<ObjectLock>> {
        let answer = self.ask(Ask::new("read the lock of", Method::GET, self.key(name), &of_version("retention", version)))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found = self.document(&answer)?;
        let mode = match found.at(&["Mode"]) {
            "COMPLIANCE" => LockMode::Compliance,
            "GOVERNANCE" => LockMode::Governance,
            _ => return Ok(None),
        };
        Ok(Some(ObjectLock { mode, until: micros(found.at(&["RetainUntilDate"])) }))
    }

    fn hold(&self, name: &ObjectName, version: Option<&str>, on: bool) -> StoreResult<()> {
        let status = if on { "ON" } else { "OFF" };
        let body = format!("<LegalHold xmlns=\"{NAMESPACE}\"><Status>{status}</Status></LegalHold>");
        self.demand(Ask::new("hold", Method::PUT, self.key(name), &of_version("legal-hold", version)).body(body)).map(drop)
    }

    fn is_held(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<bool> {
        let answer = self.ask(Ask::new("read the hold of", Method::GET, self.key(name), &of_version("legal-hold", version)))?;
        Ok(answer.status().is_success() && self.document(&answer)?.at(&["Status"]) == "ON")
    }
}
