//! Classes of storage, and what is archived (Amazon S3 API Reference: CopyObject, HeadObject, ListObjectsV2, RestoreObject).

use http::{Method, StatusCode};

use super::control::{Ask, NAMESPACE, S3Control, micros};
use crate::{
    Classed, ObjectName, Reach, StoreError, StoreResult, Tiers, Versions,
    cloud::{query_value, xml::Element},
};

/// For so many days a thawed object can be read.
const THAWED_DAYS: u32 = 7;
/// The classes that must be asked before they can be read.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

impl Tiers for S3Control {
    fn all(&self, prefix: &str) -> StoreResult<Vec<Classed>> {
        let mut found = Vec::new();
        let next = |page: &Element| {
            let token = query_value(page.at(&["NextContinuationToken"]));
            (page.at(&["IsTruncated"]) == "true").then(|| format!("continuation-token={token}"))
        };
        let first = format!("list-type=2&prefix={}", self.prefix(prefix));
        self.pages(&first, next, |page| {
            for object in page.all("Contents") {
                let Some(name) = self.name(object.at(&["Key"])) else { continue };
                let class = Some(object.at(&["StorageClass"])).filter(|class| !class.is_empty()).unwrap_or("STANDARD").to_owned();
                let reach = if ARCHIVES.contains(&class.as_str()) { Reach::Archived } else { Reach::Online };
                let (bytes, since) = (object.at(&["Size"]).parse().unwrap_or(0), micros(object.at(&["LastModified"])));
                found.push(Classed { name, bytes, class, since, reach });
            }
        })?;
        Ok(found)
    }

    fn of(&self, name: &ObjectName) -> StoreResult<Option<Classed>> {
        let answer = self.ask(Ask::new("look for", Method::HEAD, self.key(name), ""))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let class = Some(header("x-amz-storage-class")).filter(|class| !class.is_empty()).unwrap_or("STANDARD").to_owned();
        let reach = match header("x-amz-restore") {
            _ if !ARCHIVES.contains(&class.as_str()) => Reach::Online,
            restore if restore.contains("ongoing-request=\"false\"") => Reach::Online,
            restore if restore.contains("ongoing-request=\"true\"") => Reach::Thawing,
            _ => Reach::Archived,
        };
        let since = jiff::fmt::rfc2822::parse(header("last-modified")).map_or(0, |at| at.timestamp().as_microsecond());
        Ok(Some(Classed { name: name.clone(), bytes: header("content-length").parse().unwrap_or(0), class, since, reach }))
    }

    fn moves_by_copying(&self) -> bool {
        true
    }

    fn set(&self, name: &ObjectName, class: &str) -> StoreResult<()> {
        // An object of more than 5 GiB would have to be copied in parts; no object of ours is so long.
        let ask = Ask::new("move", Method::PUT, self.key(name), "")
            .header("x-amz-copy-source", format!("{}/{}", self.signer.place.host(), self.key(name)))
            .header("x-amz-metadata-directive", "COPY")
            .header("x-amz-storage-class", class);
        // A copy that fails after it has begun says so in a body with the status of success.
        let answer = self.demand(ask)?;
        if self.document(&answer)?.name != "CopyObjectResult" {
            return Err(self.refused(format!("`{name}` could not be moved to {class}: run this again")));
        }
        // Where old versions stay, the one it was copied from would be paid for beside the new one.
        let version = |header: &str| answer.headers().get(header).and_then(|id| id.to_str().ok());
        match (version("x-amz-copy-source-version-id"), version("x-amz-version-id")) {
            (Some(source), Some(new)) if source != new => match self.remove(name, source) {
                // It is moved; what keeps the old version ends some day.
                Err(StoreError::Locked { .. } | StoreError::Denied { .. }) => Ok(()),
                other => other,
            },
            _ => Ok(()),
        }
    }

    fn thaw(&self, name: &ObjectName, urgent: bool) -> StoreResult<()> {
        // Nothing is had sooner out of the deepest archive.
        let sooner = urgent && self.of(name)?.is_some_and(|object| object.class != "DEEP_ARCHIVE");
        let tier = if sooner { "Expedited" } else { "Standard" };
        let body = format!(
            "<RestoreRequest xmlns=\"{NAMESPACE}\"><Days>{THAWED_DAYS}</Days><GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>"
        );
        // Conflict: it was asked for already.
        self.ask(Ask::new("ask for", Method::POST, self.key(name), "restore").body(body)).map(drop)
    }
}
