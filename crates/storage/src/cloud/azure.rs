//! Azure Blob Storage.

mod control;
mod versions;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Method;
use object_store::{
    azure::{AzureAuthorizer, MicrosoftAzure, MicrosoftAzureBuilder, split_sas},
    client::HttpRequest,
};

use self::control::AzureControl;
use super::{CloudStore, Connector, never_again, no_credential};
use crate::{
    Access, Control, Place, StoreError, StoreResult,
    net::{Failure, Http, Response},
};

/// The version of the REST API that our own requests speak.
const VERSION: &str = "2023-11-03";

fn build(place: &Place, access: &Access, http: Http) -> StoreResult<MicrosoftAzure> {
    let refused = |problem: String| StoreError::Refused { place: place.url().to_owned(), problem };
    let mut builder = match (&access.secret, &access.token) {
        (None, None) => MicrosoftAzureBuilder::from_env(),
        _ => MicrosoftAzureBuilder::new(),
    };
    if let Some(key) = &access.secret {
        builder = builder.with_access_key(key.reveal());
    } else if let Some(sas) = &access.token {
        let pairs = split_sas(sas.reveal().trim_start_matches('?')).map_err(|_| refused("its SAS token cannot be read".into()))?;
        builder = builder.with_sas_authorization(pairs);
    }
    if let Some(endpoint) = &place.settings().endpoint {
        builder = builder.with_endpoint(endpoint.clone()).with_allow_http(endpoint.starts_with("http://"));
    }
    builder
        .with_account(place.host())
        .with_container_name(place.container())
        .with_retry(never_again())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|e| refused(e.to_string()))
}

/// Opens a container.
pub(crate) fn open(place: &Place, access: &Access, http: Http) -> StoreResult<CloudStore> {
    Ok(CloudStore::new(Arc::new(build(place, access, http)?), place.path(), place.url()))
}

/// Opens a container for what is no object.
pub(crate) fn control(place: &Place, access: &Access, http: Http) -> StoreResult<Arc<dyn Control>> {
    let store = build(place, access, http.clone())?;
    Ok(Arc::new(AzureControl::new(Signer { place: place.clone(), http, store: Arc::new(store) })))
}

#[derive(Clone)]
struct Signer {
    place: Place,
    http: Http,
    store: Arc<MicrosoftAzure>,
}

/// The library's own would print keys.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.place.url())
    }
}

impl Signer {
    /// The name of a blob; of an empty name, what all begin with.
    fn key(&self, name: &str) -> String {
        let prefix = self.place.path();
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// The URL of the account.
    fn account(&self) -> String {
        match &self.place.settings().endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{}.blob.core.windows.net", self.place.host()),
        }
    }

    /// The URL of the container, or of what is in it.
    fn url(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.account(), self.place.container())
    }

    async fn send(&self, method: Method, url: &str, headers: &[(&'static str, String)]) -> Result<Response, Failure> {
        let never = |error: String| Failure::Never(error);
        let mut request = http::Request::builder().method(method).uri(url).header("x-ms-version", VERSION);
        request = request.header(http::header::CONTENT_LENGTH, 0);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request: HttpRequest = request.body(Bytes::new().into()).map_err(|e| never(e.to_string()))?;
        let credential = self.store.credentials().get_credential().await.map_err(|e| no_credential(&e))?;
        AzureAuthorizer::new(&credential, self.place.host()).try_authorize(&mut request).map_err(|e| never(e.to_string()))?;
        self.http.send(request.map(|_| Bytes::new())).await
    }
}
