//! Where objects are kept: a URL without secrets, what belongs to it, and the secrets apart from it.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Control, LocalStore, ObjectName, Pace, Retry, Store, StoreError, StoreResult, Traffic,
    cloud::{control_azure, control_gcs, control_s3, open_azure, open_gcs, open_s3},
    net::{Http, Patience, check_host},
    retry::Schedule,
    sftp::SftpStore,
    webdav::WebDavStore,
};

/// A text that nobody prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What proves to a place who we are. Without any, the platform is asked: the variables and files of the clouds' own tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// S3: the access key's id.
    pub id: Option<String>,
    /// S3: the secret access key. Azure: the account's key. Google: a service account's key (JSON). WebDAV: the password.
    pub secret: Option<Secret>,
    /// S3: a session token. Azure: a SAS token. Google and WebDAV: a bearer token.
    pub token: Option<Secret>,
}

/// What belongs to a place beside its URL; nothing of it is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlaceSettings {
    /// The server's URL, where it is not the cloud's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region of an S3 bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether the bucket stands in the path of S3 URLs instead of in the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// A file of certificates (PEM) to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// More arguments for `ssh`, such as `-i FILE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<String>,
}

/// How a place is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A folder.
    File,
    /// S3.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// SFTP.
    Sftp,
    /// WebDAV, encrypted or not.
    WebDav,
}

/// A place for objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    scheme: Scheme,
    url: String,
    host: String,
    port: Option<u16>,
    user: Option<String>,
    container: String,
    path: String,
    settings: PlaceSettings,
}

const FORMS: &str = "file:FOLDER, s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX], az://ACCOUNT/CONTAINER[/PREFIX], sftp://[USER@]HOST[:PORT]/FOLDER (or /~/FOLDER), webdav://[USER@]HOST[:PORT]/FOLDER or webdavs://…";

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none of a place, holds a secret, or leads to where no backup belongs.
    pub fn new(url: &str, settings: PlaceSettings) -> StoreResult<Self> {
        let refuse = |problem: String| StoreError::Refused { place: without_password(url), problem };
        if let Some(folder) = url.strip_prefix("file:") {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            if folder.is_empty() {
                return Err(refuse("it names no folder".into()));
            }
            return Ok(Self {
                scheme: Scheme::File,
                url: format!("file:{folder}"),
                host: String::new(),
                port: None,
                user: None,
                container: String::new(),
                path: folder.to_owned(),
                settings,
            });
        }
        let parsed: reqwest::Url = url.parse().map_err(|e| refuse(format!("it is no URL ({e}): it needs one of {FORMS}")))?;
        let scheme = match parsed.scheme() {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gcs,
            "az" => Scheme::Azure,
            "sftp" => Scheme::Sftp,
            "webdav" | "webdavs" => Scheme::WebDav,
            other => return Err(refuse(format!("`{other}:` is no place for backups: it needs one of {FORMS}"))),
        };
        if parsed.password().is_some() {
            return Err(refuse(
                "a URL is shown and logged, so it must hold no password: leave it out, and give it in the environment or in a file".into(),
            ));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(refuse("it must end with the folder: `?` and `#` mean nothing here".into()));
        }
        if url.contains('%') || url.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(refuse("`.`, `..` and `%` mean nothing here: give the folder as it is called".into()));
        }
        let host = parsed.host_str().unwrap_or_default().to_owned();
        if host.is_empty() {
            return Err(refuse(format!("it names no bucket or host: it needs one of {FORMS}")));
        }
        if host.starts_with('-') || parsed.username().starts_with('-') {
            return Err(refuse("neither a host nor a user begins with `-`".into()));
        }
        let whole = parsed.path().trim_matches('/');
        let (container, path) = match scheme {
            Scheme::Azure => whole.split_once('/').unwrap_or((whole, "")),
            _ => ("", whole),
        };
        if scheme == Scheme::Azure && container.is_empty() {
            return Err(refuse("it names no container: it needs the form az://ACCOUNT/CONTAINER[/PREFIX]".into()));
        }
        let checked = path.strip_prefix("~/").filter(|_| scheme == Scheme::Sftp).unwrap_or(path);
        if !checked.is_empty() && checked != "~" {
            ObjectName::new(checked).map_err(|e| refuse(e.to_string()))?;
        }
        let place = Self {
            scheme,
            url: parsed.as_str().trim_end_matches('/').to_owned(),
            host,
            port: parsed.port(),
            user: (!parsed.username().is_empty()).then(|| parsed.username().to_owned()),
            container: container.to_owned(),
            path: path.to_owned(),
            settings,
        };
        place.check_addresses().map_err(refuse)?;
        Ok(place)
    }

    fn check_addresses(&self) -> Result<(), String> {
        let parse = |url: &str| url.parse::<reqwest::Url>().map_err(|e| format!("its endpoint `{url}` is no URL: {e}"));
        if let Some(endpoint) = &self.settings.endpoint {
            let endpoint = parse(endpoint)?;
            if !matches!(endpoint.scheme(), "http" | "https") || endpoint.password().is_some() {
                return Err("its endpoint needs the form http://HOST[:PORT] or https://HOST[:PORT]".into());
            }
            check_host(&endpoint)?;
        }
        if matches!(self.scheme, Scheme::Sftp | Scheme::WebDav) {
            check_host(&parse(&format!("http://{}", self.host))?)?;
        }
        Ok(())
    }

    /// How the place is called; holds no secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket, account or host.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The user in the URL.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Azure's container.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The folder, or the prefix in a bucket, without `/` around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What to give to stock restic as `-r` for what is below a prefix of this place (restic's manual, "Preparing a new repository").
    pub fn restic_location(&self, below: &str) -> String {
        let path = [self.path.as_str(), below].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.scheme {
            Scheme::File => path,
            Scheme::S3 => {
                format!("s3:{}/{}/{path}", self.settings.endpoint.as_deref().unwrap_or("s3.amazonaws.com").trim_end_matches('/'), self.host)
            }
            Scheme::Gcs => format!("gs:{}:/{path}", self.host),
            Scheme::Azure => format!("azure:{}:/{path}", self.container),
            Scheme::Sftp => match path.strip_prefix("~/") {
                Some(path) => format!("sftp://{user}{}{port}/{path}", self.host),
                None => format!("sftp://{user}{}{port}//{path}", self.host),
            },
            Scheme::WebDav => format!("rclone:REMOTE:{path}"),
        }
    }

    /// What belongs to it beside the URL.
    pub fn settings(&self) -> &PlaceSettings {
        &self.settings
    }

    /// Opens it. What the network fails at is tried again, with pauses. A folder is created.
    ///
    /// # Errors
    /// What belongs to it cannot be used. Whether it answers is seen at the first call.
    pub fn open(&self, access: &Access, pace: Option<Arc<Pace>>, traffic: Arc<Traffic>) -> StoreResult<Arc<dyn Store>> {
        self.open_with(access, pace, traffic, Patience::default(), Schedule::default())
    }

    fn http(&self, patience: Patience, pace: Option<Arc<Pace>>, traffic: Arc<Traffic>) -> StoreResult<Http> {
        let refuse = |problem: String| StoreError::Refused { place: self.url.clone(), problem };
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| refuse(format!("its certificate file {} cannot be read: {e}", path.display())))
        };
        let certificates = self.settings.certificate.as_ref().map(read).transpose()?;
        Http::new(certificates.as_deref(), patience, pace, traffic).map_err(refuse)
    }

    /// Opens what belongs to the bucket or container itself, where the scheme has such a thing.
    ///
    /// # Errors
    /// What belongs to the place cannot be used.
    pub fn control(&self, access: &Access, traffic: Arc<Traffic>) -> StoreResult<Option<Arc<dyn Control>>> {
        let http = || self.http(Patience::default(), None, traffic);
        match self.scheme {
            Scheme::S3 => control_s3(self, access, http()?).map(Some),
            Scheme::Azure => control_azure(self, access, http()?).map(Some),
            Scheme::Gcs => control_gcs(self, access, http()?).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`Place::open`], for tests with servers that fail: waits for nothing long.
    ///
    /// # Errors
    /// As [`Place::open`].
    #[doc(hidden)]
    pub fn open_impatiently(&self, access: &Access, traffic: Arc<Traffic>) -> StoreResult<Arc<dyn Store>> {
        let millis = std::time::Duration::from_millis;
        let patience = Patience { connect: millis(500), stall: millis(300), grace: millis(300), least_rate: 1 << 20 };
        let schedule = Schedule { first: millis(1), longest: millis(5), open_for: millis(0), ..Schedule::default() };
        self.open_with(access, None, traffic, patience, schedule)
    }

    pub(crate) fn open_with(
        &self,
        access: &Access,
        pace: Option<Arc<Pace>>,
        traffic: Arc<Traffic>,
        patience: Patience,
        schedule: Schedule,
    ) -> StoreResult<Arc<dyn Store>> {
        let http = || self.http(patience, pace.clone(), traffic.clone());
        let store: Arc<dyn Store> = match self.scheme {
            Scheme::File => return Ok(Arc::new(LocalStore::open(&self.path)?)),
            Scheme::S3 => Arc::new(open_s3(self, access, http()?)?),
            Scheme::Gcs => Arc::new(open_gcs(self, access, http()?)?),
            Scheme::Azure => Arc::new(open_azure(self, access, http()?)?),
            Scheme::WebDav => Arc::new(WebDavStore::new(self, access, http()?)?),
            Scheme::Sftp => Arc::new(SftpStore::new(self, pace, traffic.clone())),
        };
        Ok(Arc::new(Retry::with(store, traffic, schedule)))
    }
}

/// A URL as it may be shown: whoever puts a password into one has it out again.
pub fn without_password(url: &str) -> String {
    match url.parse::<reqwest::Url>() {
        Ok(mut parsed) => {
            parsed.set_password(None).unwrap_or_default();
            // A pasted link may be signed there.
            parsed.set_query(None);
            parsed.set_fragment(None);
            parsed.into()
        }
        Err(_) => url.split('@').next_back().unwrap_or_default().split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> StoreResult<Place> {
        Place::new(url, PlaceSettings::default())
    }

    #[test]
    fn urls_of_places() {
        let parts = |url: &str| {
            let place = place(url).expect(url);
            (place.host().to_owned(), place.container().to_owned(), place.path().to_owned(), place.user().map(str::to_owned))
        };
        let of = |host: &str, container: &str, path: &str, user: Option<&str>| {
            (host.into(), container.into(), path.into(), user.map(str::to_owned))
        };
        assert_eq!(parts("s3://memories"), of("memories", "", "", None));
        assert_eq!(parts("s3://memories/of/me/"), of("memories", "", "of/me", None));
        assert_eq!(parts("az://account/container/a/b"), of("account", "container", "a/b", None));
        assert_eq!(parts("gs://bucket/x"), of("bucket", "", "x", None));
        assert_eq!(parts("sftp://me@nas:2222/~/backups"), of("nas", "", "~/backups", Some("me")));
        assert_eq!(parts("webdavs://me@cloud.example/remote.php/dav"), of("cloud.example", "", "remote.php/dav", Some("me")));
        assert_eq!(parts("file:backups"), of("", "", "backups", None));
        assert_eq!(parts("file:///mnt/disk"), of("", "", "/mnt/disk", None));
    }

    #[test]
    fn what_is_no_place_is_refused_without_its_secrets() {
        for bad in [
            "",
            "memories",
            "ftp://host/x",
            "s3:///x",
            "az://account",
            "s3://bucket/../other",
            "s3://bucket/a b",
            "s3://bucket/%2e%2e/x",
            "gs://bucket?x=1",
            "sftp://-oProxyCommand=evil/x",
            "sftp://-l@host/x",
            "webdav://169.254.169.254/latest",
            "webdav://metadata.google.internal/x",
            "file:",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
        let error = place("webdavs://me:hunter2@host/x").expect_err("it holds a password").to_string();
        assert!(!error.contains("hunter2") && error.contains("in the environment"), "{error}");
        let error = place("az://account/c?sv=1&sig=hunter2").expect_err("it is signed").to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let settings = PlaceSettings { endpoint: Some("http://169.254.169.254".into()), ..PlaceSettings::default() };
        assert!(Place::new("s3://bucket", settings).expect_err("metadata").to_string().contains("keep credentials"));
    }
}
