//! What can go wrong with a repository, in kinds that a caller can act on.

use keepsake_storage::StoreError;

/// The answer of every call to the engine.
pub type RepositoryResult<T> = Result<T, RepositoryError>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is no repository at this place.
    #[error("there is no repository at {place}")]
    NoRepository {
        /// Where it was looked for.
        place: String,
    },
    /// There is a repository already where one was to be made.
    #[error("there is a repository at {place} already")]
    AlreadyThere {
        /// Where.
        place: String,
    },
    /// No key file opens with this password.
    #[error("the password opens no key of the repository at {place}")]
    WrongPassword {
        /// Where.
        place: String,
    },
    /// Somebody else works on the repository.
    #[error("the repository at {place} is locked by {holder}")]
    Locked {
        /// Where.
        place: String,
        /// Who holds the lock, since when.
        holder: String,
    },
    /// Somebody pruned while we wrote.
    #[error("the repository at {place} was pruned, or our lock on it lapsed, while this backup ran: run the backup again")]
    ChangedMeanwhile {
        /// Where.
        place: String,
    },
    /// An object is not what it should be.
    #[error("{object} is damaged: {problem}")]
    Damaged {
        /// Kind and id of the object.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing in the repository answers to this name.
    #[error("no snapshot is called `{name}`: `keepsake snapshot list` shows them")]
    NoSnapshot {
        /// What was asked for.
        name: String,
    },
    /// No key file answers to this name.
    #[error("no key is called `{name}`: `keepsake key list` shows them")]
    NoKey {
        /// What was asked for.
        name: String,
    },
    /// Readers try only so many keys.
    #[error("the repository at {place} has {most} keys, and no program tries more than one beyond them: remove one first")]
    TooManyKeys {
        /// Where.
        place: String,
        /// How many there may be.
        most: usize,
    },
    /// Without this key nobody could open the repository.
    #[error("this is the last key of the repository at {place}, and stays: add another one first")]
    LastKey {
        /// Where.
        place: String,
    },
    /// A version or feature that this program does not know.
    #[error("the repository uses {what}, which this version of Keepsake cannot read")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// What was to be read or written outside the repository.
    #[error("{path}: {source}")]
    Outside {
        /// The file or folder.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("stopped as asked; what was there before is untouched")]
    Cancelled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RepositoryError {
    pub(crate) fn damaged(object: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Damaged { object: object.into(), problem: problem.to_string() }
    }

    pub(crate) fn outside(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Outside { path: path.display().to_string(), source }
    }
}
