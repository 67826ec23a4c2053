//! Old versions of blobs, what was deleted and can be brought back, and immutability of single versions (Blob service REST API, 2023-11-03).
//!
//! Versions and soft delete are switched on and off for a whole account, and only with rights that belong to no key of its data.

use http::{Method, StatusCode};

use super::control::{AzureControl, Headers, header, micros};
use crate::{
    Kept, LockMode, Locks, ObjectLock, ObjectName, StoreError, StoreResult, Upload, Version, Versions,
    cloud::{query_value, xml::Element},
};

/// What is deleted can be brought back for so many days from now, in microseconds.
#[expect(clippy::disallowed_methods, reason = "Azure tells a number of days that begins now")]
fn days_from_now(days: i64) -> i64 {
    jiff::Timestamp::now().as_microsecond() + days * 86_400_000_000
}

impl AzureControl {
    /// Whether blobs here have versions. `None`: none of the first has one, which those that were there before versions were switched on have not.
    pub(super) fn keeps_versions(&self) -> StoreResult<Option<bool>> {
        let query = "?restype=container&comp=list&include=versions&maxresults=100".to_owned();
        let answer = self.ask("list", Method::GET, query, vec![])?;
        let page = Element::parse(answer.body()).map_err(|e| self.refused(format!("its list cannot be read: {e}")))?;
        let mut blobs = page.all("Blobs").flat_map(|blobs| blobs.all("Blob"));
        Ok(blobs.any(|blob| !blob.at(&["VersionId"]).is_empty()).then_some(true))
    }

    fn versioned(&self, name: &ObjectName, query: &str, version: Option<&str>) -> String {
        let version = version.map(|id| format!("versionid={}", query_value(id)));
        let query: Vec<&str> = [Some(query), version.as_deref()].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{}{query}", self.blob(name))
    }

    fn change(&self, action: &'static str, name: &ObjectName, rest: String, headers: Headers) -> StoreResult<()> {
        match self.ask(action, Method::PUT, rest, headers)?.status() {
            StatusCode::NOT_FOUND => Err(StoreError::NotFound { name: name.clone() }),
            status if status.is_success() => Ok(()),
            status => Err(self.refused(format!("it could not {action} `{name}`: the server answered {status}"))),
        }
    }

    fn of_account(&self) -> StoreError {
        self.refused("old versions are set up for the whole account there: use the cloud's own tools (`az storage account blob-service-properties update`)".into())
    }
}

impl Versions for AzureControl {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Version>> {
        let mut found = Vec::new();
        self.pages(prefix, "&include=versions", |name, blob| {
            let id = blob.at(&["VersionId"]);
            found.push(Version {
                name,
                id: id.to_owned(),
                bytes: blob.at(&["Properties", "Content-Length"]).parse().unwrap_or(0),
                // Without versions a blob has none, and is what readers get.
                is_latest: id.is_empty() || blob.at(&["IsCurrentVersion"]) == "true",
                is_marker: false,
            });
        })?;
        Ok(found)
    }

    fn remove(&self, name: &ObjectName, id: &str) -> StoreResult<()> {
        self.ask("delete", Method::DELETE, self.versioned(name, "", Some(id)), vec![]).map(drop)
    }

    fn set_versioning(&self, _on: bool) -> StoreResult<()> {
        Err(self.of_account())
    }

    fn set_cleaning(&self, _days: u32) -> StoreResult<()> {
        Err(self.of_account())
    }

    fn deleted(&self, prefix: &str) -> StoreResult<Vec<Kept>> {
        let mut found = Vec::new();
        self.pages(prefix, "&include=deleted,versions", |name, blob| {
            if blob.at(&["Deleted"]) != "true" {
                return;
            }
            let days: Option<i64> = blob.at(&["Properties", "RemainingRetentionDays"]).parse().ok();
            let bytes = blob.at(&["Properties", "Content-Length"]).parse().unwrap_or(0);
            // A day that has begun is not over.
            found.push(Kept { name: name.to_string(), bytes, until: days.map(|days| days_from_now(days + 1)), held: false });
        })?;
        Ok(found)
    }

    /// Azure forgets parts of which nothing was made after a week, by itself.
    fn uploads(&self, _prefix: &str) -> StoreResult<Vec<Upload>> {
        Ok(Vec::new())
    }

    fn abort(&self, _upload: &Upload) -> StoreResult<()> {
        Ok(())
    }
}

/// Immutability policies of versions: *unlocked* is what S3 calls governance. The container needs support for them from its making on.
impl Locks for AzureControl {
    fn lock(&self, name: &ObjectName, lock: ObjectLock) -> StoreResult<()> {
        let mode = match lock.mode {
            LockMode::Governance => "Unlocked",
            LockMode::Compliance => "Locked",
        };
        let until = jiff::Timestamp::from_microsecond(lock.until).map_err(|e| self.refused(format!("no lock can end then: {e}")))?;
        let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = vec![("x-ms-immutability-policy-until-date", until), ("x-ms-immutability-policy-mode", mode.to_owned())];
        self.change("lock", name, self.versioned(name, "comp=immutabilityPolicies", None), headers)
    }

    fn lock_of(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<Option<ObjectLock>> {
        let answer = self.ask("read the lock of", Method::HEAD, self.versioned(name, "", version), vec![])?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mode = match header(&answer, "x-ms-immutability-policy-mode").to_ascii_lowercase().as_str() {
            "locked" => LockMode::Compliance,
            "unlocked" => LockMode::Governance,
            _ => return Ok(None),
        };
        Ok(Some(ObjectLock { mode, until: micros(header(&answer, "x-ms-immutability-policy-until-date")) }))
    }

    fn hold(&self, name: &ObjectName, version: Option<&str>, on: bool) -> StoreResult<()> {
        self.change("hold", name, self.versioned(name, "comp=legalhold", version), vec![("x-ms-legal-hold", on.to_string())])
    }

    fn is_held(&self, name: &ObjectName, version: Option<&str>) -> StoreResult<bool> {
        let answer = self.ask("read the hold of", Method::HEAD, self.versioned(name, "", version), vec![])?;
        Ok(header(&answer, "x-ms-legal-hold") == "true")
    }
}
