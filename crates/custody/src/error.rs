//! What can go wrong, in kinds that a door can act on, each with the user's next step where there is one.

use keepsake_formats::import::ReadError;
use keepsake_record::Invalid;
use keepsake_repository::RepositoryError;
use keepsake_storage::StoreError;
use keepsake_vault::VaultError;

use crate::ShareDenied;

/// The answer of every operation.
pub type CustodyResult<T> = Result<T, CustodyError>;

/// What a door does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It failed.
    Failed,
    /// It was asked for in the wrong way.
    Usage,
    /// It was refused.
    Refused,
    /// Something stored is damaged.
    Damaged,
    /// There is no repository.
    NoRepository,
    /// Somebody else is at it.
    Locked,
    /// The password or key is the wrong one.
    WrongKey,
    /// Somebody asked to stop.
    Cancelled,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// It was asked for in the wrong way.
    #[error("{0}")]
    Usage(String),
    /// It was refused.
    #[error("{0}")]
    Refused(String),
    /// The wrong key.
    #[error("{0}")]
    WrongKey(String),
    /// Something stored is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// A file outside.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An input.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Somebody with a link gets nothing.
    #[error(transparent)]
    Share(#[from] ShareDenied),
    /// A value.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl CustodyError {
    /// Whether doing the same again may well succeed: the database ended it for the sake of others.
    pub(crate) fn is_contended(&self) -> bool {
        matches!(self, Self::Vault(error) if error.is_contended())
    }

    /// What a door does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repository(RepositoryError::NoSnapshot { .. } | RepositoryError::NoKey { .. })
            | Self::Usage(_)
            | Self::Invalid(_)
            | Self::Vault(VaultError::Invalid(_)) => ErrorKind::Usage,
            Self::Refused(_) | Self::Repository(RepositoryError::LastKey { .. } | RepositoryError::TooManyKeys { .. }) => {
                ErrorKind::Refused
            }
            Self::Share(ShareDenied::NeedsPassphrase | ShareDenied::WrongPassphrase) => ErrorKind::WrongKey,
            Self::Share(_) => ErrorKind::Refused,
            Self::WrongKey(_) | Self::Repository(RepositoryError::WrongPassword { .. }) => ErrorKind::WrongKey,
            Self::Damaged(_) | Self::Repository(RepositoryError::Damaged { .. }) | Self::Vault(VaultError::Damaged(_)) => {
                ErrorKind::Damaged
            }
            Self::Repository(RepositoryError::NoRepository { .. }) => ErrorKind::NoRepository,
            Self::Repository(RepositoryError::Locked { .. }) | Self::Vault(VaultError::Held { .. }) => ErrorKind::Locked,
            Self::Repository(RepositoryError::Cancelled) | Self::Read(ReadError::Stopped) => ErrorKind::Cancelled,
            _ => ErrorKind::Failed,
        }
    }

    /// Whether a place failed or refused, as opposed to what is in it.
    pub(crate) fn is_of_the_place(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Io { .. } | Self::Repository(RepositoryError::Store(_)))
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.display().to_string(), source }
    }
}
