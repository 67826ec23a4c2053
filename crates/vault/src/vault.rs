//! Opening a vault.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use keepsake_storage::Store;

use crate::{
    Ambient, AuditEntry, VaultError, VaultResult,
    db::{Arg, Db, Tx},
    migrations,
};

/// Where a vault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, as a `postgres://` URL.
    Postgres(String),
}

impl FromStr for VaultUrl {
    type Err = VaultError;
    fn from_str(text: &str) -> VaultResult<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.into()));
        }
        Ok(Self::Sqlite(text.strip_prefix("sqlite:").unwrap_or(text).into()))
    }
}

/// An open vault.
#[derive(Clone)]
pub struct Vault {
    pub(crate) db: Db,
    pub(crate) media: Arc<dyn Store>,
    pub(crate) ambient: Arc<dyn Ambient>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?}, media at {})", self.db.dialect(), self.media.describe())
    }
}

impl Vault {
    /// Opens a vault, making or migrating its tables.
    ///
    /// # Errors
    /// The database cannot be reached, or was written by a newer program.
    pub async fn open(url: &VaultUrl, media: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> VaultResult<Self> {
        let (db, file) = match url {
            VaultUrl::Sqlite(path) => (Db::sqlite(path).await?, Some(path.as_path())),
            VaultUrl::Postgres(url) => (Db::postgres(url).await?, None),
        };
        migrations::migrate(&db, file).await?;
        Ok(Self { db, media, ambient })
    }

    /// Closes all connections; a SQLite file is then one file again.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// The store of original files.
    pub fn media_store(&self) -> &Arc<dyn Store> {
        &self.media
    }

    /// A fact about the instance, such as its id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn fact(&self, name: &str) -> VaultResult<Option<String>> {
        let mut tx = self.db.read().await?;
        tx.fetch_one("SELECT value FROM meta WHERE name = $1", &[Arg::Text(name)]).await?.map(|mut row| row.text(0)).transpose()
    }

    /// Sets a fact about the instance.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_fact(&self, name: &str, value: &str, entry: &AuditEntry) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        put_fact(&mut tx, name, value).await?;
        self.write_audit(&mut tx, entry).await?;
        tx.commit().await
    }

    pub(crate) fn random_hex(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.ambient.fill(&mut buffer);
        data_encoding::HEXLOWER.encode(&buffer)
    }
}

pub(crate) async fn put_fact(tx: &mut Tx, name: &str, value: &str) -> VaultResult<()> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[Arg::Text(name), Arg::Text(value)]).await.map(drop)
}
