//! Google Cloud Storage.

mod control;
mod settings;

use std::sync::Arc;

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};

use self::control::GoogleControl;
use super::{CloudStore, Connector, never_again};
use crate::{Access, Control, Place, StoreError, StoreResult, net::Http};

fn build(place: &Place, access: &Access, http: Http) -> StoreResult<GoogleCloudStorage> {
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
    builder
        .with_bucket_name(place.host())
        .with_retry(never_again())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|e| refused(e.to_string()))
}

/// Opens a bucket.
pub(crate) fn open(place: &Place, access: &Access, http: Http) -> StoreResult<CloudStore> {
    Ok(CloudStore::new(Arc::new(build(place, access, http)?), place.path(), place.url()))
}

/// Opens a bucket for what is no object.
pub(crate) fn control(place: &Place, access: &Access, http: Http) -> StoreResult<Arc<dyn Control>> {
    Ok(Arc::new(GoogleControl::new(place, http.clone(), build(place, access, http)?)))
}
