//! What Azure keeps beside blobs: how a container is set up, and access tiers (Blob service REST API, 2023-11-03).

use std::sync::Arc;

use http::{Method, StatusCode};

use super::Signer;
use crate::{
    BucketState, Classed, Control, Locks, ObjectName, Reach, StoreError, StoreResult, Tiers, Versions,
    cloud::{query_value, xml::Element},
    net::{Response, wait},
    retry::{Schedule, patiently},
};

pub(super) type Headers = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(crate) struct AzureControl {
    pub(super) signer: Signer,
}

impl AzureControl {
    pub fn new(signer: Signer) -> Self {
        Self { signer }
    }

    pub(super) fn ask(&self, action: &'static str, method: Method, rest: String, headers: Headers) -> StoreResult<Response> {
        let blob = rest.split('?').next().unwrap_or_default().trim_matches('/');
        let what = if blob.is_empty() { "the container" } else { blob };
        self.ask_at(action, method, self.signer.url(&rest), what, headers)
    }

    fn ask_at(&self, action: &'static str, method: Method, url: String, what: &str, headers: Headers) -> StoreResult<Response> {
        let signer = self.signer.clone();
        let request = Arc::new((method, url, headers));
        patiently(Schedule::default(), signer.http.traffic(), |_| {
            let (signer, request) = (signer.clone(), request.clone());
            let answer = wait(async move { signer.send(request.0.clone(), &request.1, &request.2).await });
            answer.map_err(|failure| failure.into_error(self.signer.place.url().to_owned(), action, what.to_owned()))
        })
    }

    pub(super) fn refused(&self, problem: String) -> StoreError {
        StoreError::Refused { place: self.signer.place.url().to_owned(), problem }
    }

    /// The path of a blob.
    pub(super) fn blob(&self, name: &ObjectName) -> String {
        format!("/{}", self.signer.key(name.as_str()))
    }

    /// Lists page by page; `query`: what else is asked for.
    pub(super) fn pages(&self, prefix: &str, query: &str, mut each: impl FnMut(ObjectName, &Element)) -> StoreResult<()> {
        let (root, below, mut marker) = (self.signer.key(""), query_value(&self.signer.key(prefix)), String::new());
        loop {
            let query = format!("?restype=container&comp=list&prefix={below}{query}{marker}");
            let answer = self.ask("list", Method::GET, query, vec![])?;
            let page = Element::parse(answer.body()).map_err(|e| self.refused(format!("its list cannot be read: {e}")))?;
            for blob in page.all("Blobs").flat_map(|blobs| blobs.all("Blob")) {
                if let Some(name) = blob.at(&["Name"]).strip_prefix(&root).and_then(|name| ObjectName::new(name).ok()) {
                    each(name, blob);
                }
            }
            match page.at(&["NextMarker"]) {
                "" => return Ok(()),
                next if marker == format!("&marker={}", query_value(next)) => {
                    return Err(self.refused("its listing does not come to an end".into()));
                }
                next => marker = format!("&marker={}", query_value(next)),
            }
        }
    }

    /// For how many days deleted blobs can be brought back; `None`: they cannot, or the credentials may not ask (a token for a container).
    fn undelete_days(&self) -> StoreResult<Option<u64>> {
        let url = format!("{}/?restype=service&comp=properties", self.signer.account());
        let answer = match self.ask_at("read the settings of", Method::GET, url, "the account", vec![]) {
            Ok(answer) if answer.status().is_success() => answer,
            Ok(_) | Err(StoreError::Denied { .. } | StoreError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = Element::parse(answer.body()).map_err(|e| self.refused(format!("its answer cannot be read: {e}")))?;
        let of = |name| found.at(&["DeleteRetentionPolicy", name]);
        Ok((of("Enabled") == "true").then(|| of("Days").parse().unwrap_or(0)))
    }

    fn set_tier(&self, name: &ObjectName, headers: Headers) -> StoreResult<()> {
        let answer = self.ask("move", Method::PUT, format!("{}?comp=tier", self.blob(name)), headers)?;
        match answer.status() {
            // Conflict: it is on its way already.
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(self.refused(format!("`{name}` could not be moved: the server answered {status}"))),
        }
    }
}

pub(super) fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn micros(text: &str) -> i64 {
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

    /// Lifecycle rules belong to the account, about which these credentials say nothing.
    fn state(&self) -> StoreResult<BucketState> {
        let answer = self.ask("read the settings of", Method::HEAD, "?restype=container".into(), vec![])?;
        let is = |name: &str| header(&answer, name) == "true";
        let locks = is("x-ms-immutable-storage-with-versioning-enabled");
        let policy = is("x-ms-has-immutability-policy").then_some("an immutability policy");
        let hold = is("x-ms-has-legal-hold").then_some("a legal hold");
        Ok(BucketState {
            versioning: if locks { Some(true) } else { self.keeps_versions()? },
            undelete_days: self.undelete_days()?,
            locks,
            default_lock: policy.or(hold).map(str::to_owned),
            ..BucketState::default()
        })
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

impl Tiers for AzureControl {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Classed>> {
        let mut found = Vec::new();
        self.pages(prefix, "", |name, blob| {
            let of = |name| blob.at(&["Properties", name]);
            let times = [of("AccessTierChangeTime"), of("Last-Modified")];
            found.push(classed(name, of("Content-Length"), [of("AccessTier"), of("ArchiveStatus")], times));
        })?;
        Ok(found)
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
