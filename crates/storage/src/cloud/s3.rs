//! S3: Amazon's, and servers that speak it.

mod control;
mod tiers;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Method;
use object_store::{
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, Checksum, S3ConditionalPut},
    client::HttpRequest,
};

use self::control::S3Control;
use super::{CloudStore, Connector, never_again, no_credential};
use crate::{
    Access, Control, Place, StoreError, StoreResult,
    net::{Failure, Http, Response},
};

/// The region of requests where nobody names one.
const REGION: &str = "us-east-1";

/// The store, and the region of its bucket.
fn build(place: &Place, access: &Access, http: Http) -> StoreResult<(AmazonS3, String)> {
    let settings = place.settings();
    let mut builder = match (&access.id, &access.secret, &access.token) {
        (Some(_), Some(_), _) => AmazonS3Builder::new(),
        (None, None, None) => AmazonS3Builder::from_env(),
        // The variables of the environment may be another account's.
        _ => {
            let problem = "its credentials are not whole: an `id` and a `secret` belong together, and a `token` to both".into();
            return Err(StoreError::Refused { place: place.url().to_owned(), problem });
        }
    };
    if let (Some(id), Some(secret)) = (&access.id, &access.secret) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret.reveal());
    }
    if let Some(token) = &access.token {
        builder = builder.with_token(token.reveal());
    }
    // What `from_env` found there, other requests would not know.
    if settings.endpoint.is_none() && builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some() {
        let problem = "the environment names another server (AWS_ENDPOINT…): give it as --endpoint, or take the variable away".into();
        return Err(StoreError::Refused { place: place.url().to_owned(), problem });
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    // Named here, or where the cloud's own tools are told of it.
    let region = settings.region.clone().or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Region));
    let region = region.unwrap_or_else(|| REGION.to_owned());
    let store = builder
        .with_region(&region)
        .with_bucket_name(place.host())
        .with_virtual_hosted_style_request(!is_path_style(place))
        // The server compares what it received with the hash before it takes the object.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One by one: each has its own answer, and not every server knows how to delete many.
        .with_disable_bulk_delete(true)
        .with_retry(never_again())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|e| StoreError::Refused { place: place.url().to_owned(), problem: e.to_string() })?;
    Ok((store, region))
}

/// A server of one's own seldom has a host name for each bucket.
fn is_path_style(place: &Place) -> bool {
    place.settings().path_style.unwrap_or(place.settings().endpoint.is_some())
}

/// Opens a bucket.
pub(crate) fn open(place: &Place, access: &Access, http: Http) -> StoreResult<CloudStore> {
    Ok(CloudStore::new(Arc::new(build(place, access, http)?.0), place.path(), place.url()))
}

/// Opens a bucket for what is no object.
pub(crate) fn control(place: &Place, access: &Access, http: Http) -> StoreResult<Arc<dyn Control>> {
    let (store, region) = build(place, access, http.clone())?;
    Ok(Arc::new(S3Control::new(Signer { place: place.clone(), http, store: Arc::new(store), region })))
}

#[derive(Clone)]
struct Signer {
    place: Place,
    http: Http,
    store: Arc<AmazonS3>,
    region: String,
}

/// The library's own would print keys.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.place.url())
    }
}

impl Signer {
    fn region(&self) -> &str {
        &self.region
    }

    /// The key of an object; of an empty name, what all keys begin with.
    fn key(&self, name: &str) -> String {
        let prefix = self.place.path();
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// The URL of the bucket, or of what is in it.
    fn url(&self, rest: &str) -> String {
        let bucket = self.place.host();
        let base = match &self.place.settings().endpoint {
            Some(endpoint) if is_path_style(&self.place) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com/{bucket}", self.region()),
        };
        format!("{base}{rest}")
    }

    async fn send(&self, method: Method, rest: &str, headers: &[(&'static str, String)], body: Bytes) -> Result<Response, Failure> {
        let never = |error: String| Failure::Never(error);
        let mut request = http::Request::builder().method(method).uri(self.url(rest));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request: HttpRequest = request.body(body.clone().into()).map_err(|e| never(e.to_string()))?;
        let credential = self.store.credentials().get_credential().await.map_err(|e| no_credential(&e))?;
        AwsAuthorizer::new(&credential, "s3", self.region()).try_authorize(&mut request, None).map_err(|e| never(e.to_string()))?;
        self.http.send(request.map(|_| body)).await
    }
}
