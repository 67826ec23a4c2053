//! Why a request failed, as something that a caller can act on and a person can understand.

use std::{fmt, time::Duration};

use crate::StoreError;

/// A server's answer that was no success.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: u16,
    /// The server's word for it, such as `NoSuchBucket`; empty when it gave none.
    pub code: String,
    /// What the server says; one line, shortened.
    pub message: String,
    /// When to ask again, if the server says so.
    pub retry_after: Option<Duration>,
    /// Where it sent us instead.
    pub location: Option<String>,
    /// The server's clock minus ours, in seconds.
    pub clock_ahead: Option<i64>,
}

/// Why there is no answer that could be used.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The server refused.
    Refused(Refusal),
    /// Asking again would give the same: a forbidden address, a certificate that is not trusted.
    Never(String),
    /// The network failed; asking again may help.
    Network(String),
    /// The server has other bytes than were sent.
    Garbled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal { status, code, message, .. }) => {
                write!(f, "the server answered {status}")?;
                let words = [code.as_str(), message.as_str()].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>();
                if words.is_empty() { Ok(()) } else { write!(f, " ({})", words.join(": ")) }
            }
            Self::Never(problem) | Self::Network(problem) => f.write_str(problem),
            Self::Garbled => f.write_str("the server received other bytes than were sent"),
        }
    }
}

impl std::error::Error for Failure {}

/// Codes with which the servers say that the key is wrong.
const WRONG_KEY: [&str; 8] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
];
const EXPIRED: [&str; 3] = ["ExpiredToken", "TokenRefreshRequired", "RequestExpired"];
const NO_BUCKET: [&str; 4] = ["NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "AccountNotFound"];
const FULL: [&str; 4] = ["QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientAccountPermissionsQuota"];
/// Azure's words, and S3's.
const ARCHIVED: [&str; 3] = ["BlobArchived", "BlobBeingRehydrated", "InvalidObjectState"];
/// Azure's words for a lock and for a hold.
const IMMUTABLE: [&str; 2] = ["BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"];
/// Conflicts that pass when one asks again.
const PASSING: [&str; 4] = ["ConditionalRequestConflict", "OperationAborted", "SlowDown", "RequestTimeout"];

/// More than this between two clocks, and signed requests are refused (S3 and Azure: 15 minutes).
const CLOCK_TOLERANCE_SECONDS: u64 = 14 * 60;

impl Refusal {
    fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    /// Whether asking again may help.
    pub fn is_transient(&self) -> bool {
        let passing = matches!(self.status, 408 | 425 | 429) || self.status >= 500 && !matches!(self.status, 501 | 505 | 507 | 508);
        passing || self.is(&PASSING)
    }

    /// Whether the place is not there, as opposed to an object in it.
    pub fn is_missing_place(&self) -> bool {
        self.is(&NO_BUCKET)
    }

    /// What is wrong, and what to do about it.
    fn sentence(&self) -> Option<String> {
        let denied = matches!(self.status, 401 | 403);
        if let Some(ahead) = self.clock_ahead.filter(|ahead| ahead.unsigned_abs() > CLOCK_TOLERANCE_SECONDS)
            && (denied || self.code == "RequestTimeTooSkewed")
        {
            let minutes = ahead.unsigned_abs().div_ceil(60);
            let which = if ahead > 0 { "behind" } else { "ahead of" };
            return Some(format!(
                "this machine's clock is {minutes} minutes {which} the server's, so its requests are refused: set the clock"
            ));
        }
        if self.code == "RequestTimeTooSkewed" {
            return Some("the clocks of this machine and of the server differ, so its requests are refused: set the clock".into());
        }
        if self.is(&EXPIRED) {
            return Some("its credentials have expired: get new ones and set them as before".into());
        }
        if self.code == "AuthorizationHeaderMalformed" {
            return Some(format!(
                "the bucket is in another region than the requests are made for ({}): give the right one as --region",
                self.message
            ));
        }
        if self.is(&WRONG_KEY) || self.status == 401 {
            return Some("it does not accept the key: check the key's id and its secret, and that they belong to this server".into());
        }
        if self.is_missing_place() {
            return Some("there is no such bucket or container: create it, or correct its name in the URL".into());
        }
        if matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            let to = self.location.as_deref().and_then(|l| l.parse::<reqwest::Url>().ok());
            let host = to.as_ref().and_then(reqwest::Url::host_str);
            let host = host.map_or_else(|| "another address".to_owned(), |host| format!("`{host}`"));
            return Some(format!(
                "it sends us on to {host}, and a signed request is not carried on to another host: give the right endpoint or region"
            ));
        }
        None
    }

    /// As the error of a store.
    fn into_error(self, place: String, action: &'static str, name: String) -> StoreError {
        if let Some(problem) = self.sentence() {
            return StoreError::Refused { place, problem };
        }
        if self.status == 416 {
            return StoreError::short(place, action, name);
        }
        if self.status == 507 || self.is(&FULL) {
            return StoreError::Full { place };
        }
        if self.is(&ARCHIVED) {
            return StoreError::Archived { place, name };
        }
        if self.is(&IMMUTABLE) {
            return StoreError::Locked { place, name };
        }
        if self.status == 403 {
            let locked = self.message.to_ascii_lowercase();
            if action == "delete" && ["object lock", "worm", "retention", " hold", "immutab"].iter().any(|word| locked.contains(word)) {
                return StoreError::Locked { place, name };
            }
            return StoreError::Denied { place, name, action };
        }
        if self.is_transient() {
            return StoreError::Unavailable { place, action, name, source: Box::new(Failure::Refused(self)) };
        }
        StoreError::Refused { place, problem: format!("it could not {action} `{name}`: {}", Failure::Refused(self)) }
    }
}

impl Failure {
    /// As the error of a store.
    pub fn into_error(self, place: String, action: &'static str, name: String) -> StoreError {
        match self {
            Self::Refused(refusal) => refusal.into_error(place, action, name),
            Self::Never(problem) => StoreError::Refused { place, problem },
            Self::Network(_) | Self::Garbled => StoreError::Unavailable { place, action, name, source: Box::new(self) },
        }
    }
}

/// The failure below an error, however deep it is wrapped.
pub(crate) fn failure_of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure);
        }
        next = error.source();
    }
    None
}
