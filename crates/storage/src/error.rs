//! What can go wrong with an object, in kinds that a caller can act on.

use crate::ObjectName;

/// The answer of every call to a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// What went wrong, and with which object.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("there is no object `{name}`")]
    NotFound {
        /// The object that was asked for.
        name: ObjectName,
    },
    /// An object of this name exists and was not to be replaced.
    #[error("an object `{name}` exists already")]
    Exists {
        /// The object that was to be made.
        name: ObjectName,
    },
    /// The place has no room left.
    #[error("no space left at {place}: free some or choose another destination")]
    Full {
        /// The store, as it describes itself.
        place: String,
    },
    /// The place refuses us.
    #[error("{place} refuses access to `{name}`: check its permissions and credentials")]
    Denied {
        /// The store, as it describes itself.
        place: String,
        /// The object or folder.
        name: String,
    },
    /// A name that no store would take.
    #[error("`{name}` is no object name: {problem}")]
    BadName {
        /// The text that was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Anything else; trying again may help.
    #[error("{place} could not {action} `{name}`: {source}")]
    Unavailable {
        /// The store, as it describes itself.
        place: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        name: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// The same once more, for others who wait for the same thing.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::NotFound { name } => Self::NotFound { name: name.clone() },
            Self::Exists { name } => Self::Exists { name: name.clone() },
            Self::Full { place } => Self::Full { place: place.clone() },
            Self::Denied { place, name } => Self::Denied { place: place.clone(), name: name.clone() },
            Self::BadName { name, problem } => Self::BadName { name: name.clone(), problem },
            Self::Unavailable { place, action, name, source } => {
                Self::Unavailable { place: place.clone(), action, name: name.clone(), source: source.to_string().into() }
            }
        }
    }

    /// Whether this says that the object ends before what was asked for.
    pub fn is_short(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if source.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof))
    }

    /// Whether this says that the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
