//! What Azure keeps beside blobs: how a container is set up, and access tiers (Blob service REST API, 2023-11-03).

use std::sync::Arc;

use http::{Method, StatusCode};

use super::Signer;
use crate::{
    BucketState, Classed, Control, ObjectName, Reach, StoreError, StoreResult, Tiers,
    cloud::{query_value, xml::Element},
    net::{Response, wait},
    retry::{Schedule, patiently},
};

#[derive(Debug)]
pub(crate) struct AzureControl {
    signer: Signer,
}

impl AzureControl {
    pub fn new(signer: Signer) -> Self {
        Self { signer }
    }

    fn ask(&self, action: &'static str, method: Method, rest: String, headers: Vec<(&'static str, String)>) -> StoreResult<Response> {
        let signer = self.signer.clone();
        let blob = rest.split('?').next().unwrap_or_default().trim_matches('/');
        let what = if blob.is_empty() { "the container".to_owned() } else { blob.to_owned() };
        let request = Arc::new((method, rest, headers));
        patiently(Schedule::default(), signer.http.traffic(), |_| {
            let (signer, request) = (signer.clone(), request.clone());
            let answer = wait(async move { signer.send(request.0.clone(), &request.1, &request.2).await });
            answer.map_err(|failure| failure.into_error(self.signer.place.url().to_owned(), action, what.clone()))
        })
    }

    fn refused(&self, problem: String) -> StoreError {
        StoreError::Refused { place: self.signer.place.url().to_owned(), problem }
    }

    fn blob(&self, name: &ObjectName) -> String {
        format!("/{}", self.signer.key(name.as_str()))
    }

    fn set_tier(&self, name: &ObjectName, headers: Vec<(&'static str, String)>) -> StoreResult<()> {
        let answer = self.ask("move", Method::PUT, format!("{}?comp=tier", self.blob(name)), headers)?;
        match answer.status() {
            // Conflict: it is on its way already.
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(self.refused(format!("`{name}` could not be moved: the server answered {status}"))),
        }
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn micros(text: &str) -> i64 {
    jiff::fmt::rfc2822::parse(text).map_or(0, |at| at.timestamp().as_microsecond())
}

/// Where a blob is kept, from what the service says of it: its tier, whether it is on its way to another one, and since when.
fn classed(name: ObjectName, bytes: &str, [tier, status]: [&str; 2], [changed, modified]: [&str; 2]) -> Classed {
    let reach = match (tier, status) {
        ("Archive", "") => Reach::Archived,
        ("Archive", _) => Reach::Thawing,
        _ => Reach::Online,
    };
    let class = if tier.is_empty() { "Hot" } else { tier }.to_owned();
    let since = if changed.is_empty() { modified } else { changed };
    Classed { name, bytes: bytes.parse().unwrap_or(0), class, since: micros(since), reach }
}

impl Control for AzureControl {
    fn make_place(&self, _locks: bool) -> StoreResult<()> {
        let answer = self.ask("make", Method::PUT, "?restype=container".into(), vec![])?;
        match answer.status() {
            // It is there already.
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(self.refused(format!("the container cannot be made: the server answered {status}"))),
        }
    }

    /// Versions and lifecycle belong to the account, which these credentials say nothing about.
    fn state(&self) -> StoreResult<BucketState> {
        let answer = self.ask("read the settings of", Method::HEAD, "?restype=container".into(), vec![])?;
        let is = |name: &str| header(&answer, name) == "true";
        Ok(BucketState {
            versioning: is("x-ms-immutable-storage-with-versioning-enabled").then_some(true),
            default_lock: is("x-ms-has-immutability-policy").then(|| "an immutability policy".to_owned()),
            ..BucketState::default()
        })
    }

    fn tiers(&self) -> Option<&dyn Tiers> {
        Some(self)
    }
}

impl Tiers for AzureControl {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Classed>> {
        let (mut found, mut marker) = (Vec::new(), String::new());
        let (root, below) = (self.signer.key(""), query_value(&self.signer.key(prefix)));
        loop {
            let query = format!("?restype=container&comp=list&prefix={below}{marker}");
            let answer = self.ask("list", Method::GET, query, vec![])?;
            let page = Element::parse(answer.body()).map_err(|e| self.refused(format!("its list cannot be read: {e}")))?;
            for blob in page.all("Blobs").flat_map(|blobs| blobs.all("Blob")) {
                let of = |name| blob.at(&["Properties", name]);
                let Some(name) = blob.at(&["Name"]).strip_prefix(&root).and_then(|name| ObjectName::new(name).ok()) else { continue };
                let times = [of("AccessTierChangeTime"), of("Last-Modified")];
                found.push(classed(name, of("Content-Length"), [of("AccessTier"), of("ArchiveStatus")], times));
            }
            match page.at(&["NextMarker"]) {
                "" => return Ok(found),
                next if marker == format!("&marker={}", query_value(next)) => {
                    return Err(self.refused("its listing does not come to an end".into()));
                }
                next => marker = format!("&marker={}", query_value(next)),
            }
        }
    }

    fn of(&self, name: &ObjectName) -> StoreResult<Option<Classed>> {
        let answer = self.ask("look for", Method::HEAD, self.blob(name), vec![])?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let of = |name| header(&answer, name);
        let times = [of("x-ms-access-tier-change-time"), of("last-modified")];
        Ok(Some(classed(name.clone(), of("content-length"), [of("x-ms-access-tier"), of("x-ms-archive-status")], times)))
    }

    fn set(&self, name: &ObjectName, class: &str) -> StoreResult<()> {
        self.set_tier(name, vec![("x-ms-access-tier", class.to_owned())])
    }

    fn thaw(&self, name: &ObjectName, urgent: bool) -> StoreResult<()> {
        let priority = if urgent { "High" } else { "Standard" };
        self.set_tier(name, vec![("x-ms-access-tier", "Hot".to_owned()), ("x-ms-rehydrate-priority", priority.to_owned())])
    }
}
