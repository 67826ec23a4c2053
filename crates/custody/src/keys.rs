//! The instance key: seals repository passwords in the vault. Today a file; other providers take its place later.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use age::secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{CustodyError, CustodyResult};

/// Whoever holds the instance key.
pub trait KeyProvider: Send + Sync {
    /// Seals a secret, so that only this key opens it.
    ///
    /// # Errors
    /// The key is out of reach.
    fn seal(&self, secret: &[u8]) -> CustodyResult<Vec<u8>>;
    /// Opens what was sealed.
    ///
    /// # Errors
    /// The key is out of reach, or it is another key.
    fn open(&self, sealed: &[u8]) -> CustodyResult<Zeroizing<Vec<u8>>>;
}

/// The instance key in a file that only its owner may read: an age identity.
pub struct FileKeyProvider {
    path: PathBuf,
    identity: age::x25519::Identity,
}

impl FileKeyProvider {
    /// Makes a new key.
    ///
    /// # Errors
    /// There is a key already, or the file cannot be written.
    pub fn create(path: &Path) -> CustodyResult<Self> {
        let identity = age::x25519::Identity::generate();
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(CustodyError::io(path))?;
        file.write_all(identity.to_string().expose_secret().as_bytes()).and_then(|()| file.sync_all()).map_err(CustodyError::io(path))?;
        Ok(Self { path: path.into(), identity })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// There is none, it is no key, or others may read it.
    pub fn load(path: &Path) -> CustodyResult<Self> {
        let mode = fs::metadata(path).map_err(CustodyError::io(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(CustodyError::Refused(format!("{} can be read by others: run `chmod 600 {}`", path.display(), path.display())));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(CustodyError::io(path))?);
        let identity =
            text.trim().parse().map_err(|e: &str| CustodyError::WrongKey(format!("{} holds no instance key: {e}", path.display())))?;
        Ok(Self { path: path.into(), identity })
    }
}

impl KeyProvider for FileKeyProvider {
    fn seal(&self, secret: &[u8]) -> CustodyResult<Vec<u8>> {
        seal_to(&self.identity.to_public(), secret)
    }

    fn open(&self, sealed: &[u8]) -> CustodyResult<Zeroizing<Vec<u8>>> {
        let opened = age::decrypt(&self.identity, sealed);
        opened
            .map(Zeroizing::new)
            .map_err(|_| CustodyError::WrongKey(format!("{} is not the key that sealed this home's passwords", self.path.display())))
    }
}

/// Seals to anybody's public key.
pub(crate) fn seal_to(recipient: &age::x25519::Recipient, secret: &[u8]) -> CustodyResult<Vec<u8>> {
    age::encrypt(recipient, secret).map_err(|e| CustodyError::Damaged(format!("sealing failed: {e}")))
}
