//! Google Cloud Storage.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;

use super::{CloudStore, Connector, never_again};
use crate::{Access, Place, StoreError, StoreResult, net::Http};

/// Opens a bucket.
pub(crate) fn open(place: &Place, access: &Access, http: Http) -> StoreResult<CloudStore> {
    let refused = |problem: String| StoreError::Refused { place: place.url().to_owned(), problem };
    let mut builder = match (&access.secret, &access.token) {
        (None, None) => GoogleCloudStorageBuilder::from_env(),
        _ => GoogleCloudStorageBuilder::new(),
    };
    if let Some(key) = &access.secret {
        builder = builder.with_service_account_key(key.reveal());
    } else if let Some(token) = &access.token {
        builder = builder.with_bearer_token(token.reveal());
    }
    if let Some(endpoint) = &place.settings().endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let store = builder
        .with_bucket_name(place.host())
        .with_retry(never_again())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|e| refused(e.to_string()))?;
    Ok(CloudStore::new(Arc::new(store), place.path(), place.url()))
}
