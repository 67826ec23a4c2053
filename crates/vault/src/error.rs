//! What can go wrong with a vault, in kinds that a caller can act on.

use keepsake_record::Invalid;
use keepsake_storage::StoreError;

/// The answer of every call to the vault.
pub type VaultResult<T> = Result<T, VaultError>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nothing answers to this name or id.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What sort of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Something of this name or id is there already.
    #[error("there is a {what} `{name}` already")]
    Exists {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The vault was written by a newer program.
    #[error("this vault has format {found}, this version of Keepsake knows {known}: update Keepsake")]
    Newer {
        /// The vault's version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Somebody else is doing what must be done by one alone.
    #[error("{what} is held by {holder} until {until}")]
    Held {
        /// What is held.
        what: String,
        /// By whom.
        holder: String,
        /// Until when, unless they go on.
        until: String,
    },
    /// The database ended the transaction for the sake of others, and what it had read is no longer so.
    #[error("somebody else changed the same data at the same moment, and nothing was done: run it again")]
    Contended,
    /// A state of the past cannot be made again.
    #[error("the state of change {seq} cannot be made again: {why}")]
    Passed {
        /// The last change that belongs to it.
        seq: u64,
        /// Why not.
        why: String,
    },
    /// A value that breaks its type's rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error("the vault's database: {0}")]
    Database(#[from] sqlx::Error),
    /// What the database holds is not what was written.
    #[error("the vault is damaged: {0}")]
    Damaged(String),
    /// The media store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often work is done again that the database ended for the sake of others.
const TRIES: u32 = 8;

/// Does work again, after a pause that grows, when it ends in [`VaultError::Contended`]: what it read is read anew.
///
/// # Errors
/// Those of the work; [`VaultError::Contended`] when it came again and again.
pub async fn again<T, E>(work: impl AsyncFn() -> Result<T, E>, is_contended: impl Fn(&E) -> bool) -> Result<T, E> {
    let mut tried = 1;
    loop {
        match work().await {
            Err(error) if is_contended(&error) && tried < TRIES => {
                tokio::time::sleep(std::time::Duration::from_millis(5) * 2_u32.pow(tried)).await;
                tried += 1;
            }
            other => return other,
        }
    }
}

impl VaultError {
    /// Whether doing the same again may well succeed.
    pub fn is_contended(&self) -> bool {
        matches!(self, Self::Contended)
    }

    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }
}
