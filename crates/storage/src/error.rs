//! What can go wrong with an object, in kinds that a caller can act on.

use crate::{
    ObjectName,
    net::{Failure, failure_of},
};

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
    #[error("{place} does not let us {action} `{name}`: check its permissions, and what its credentials are allowed to do")]
    Denied {
        /// The store, as it describes itself.
        place: String,
        /// What was tried.
        action: &'static str,
        /// The object or folder.
        name: String,
    },
    /// The place keeps the object for a time that was asked for.
    #[error("{place} keeps `{name}` locked for now: it can be deleted when its lock has ended")]
    Locked {
        /// The store, as it describes itself.
        place: String,
        /// The object.
        name: String,
    },
    /// The object is where it can be read only hours after it was asked for.
    #[error("{place} has archived `{name}`: it can be read hours after it was asked for, as `keepsake restore` does for what it needs")]
    Archived {
        /// The store, as it describes itself.
        place: String,
        /// The object.
        name: String,
    },
    /// Something is not as it should be, and asking again would not change it.
    #[error("{place}: {problem}")]
    Refused {
        /// The store, as it describes itself.
        place: String,
        /// What it is, and what to do about it.
        problem: String,
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
            Self::Denied { place, action, name } => Self::Denied { place: place.clone(), action, name: name.clone() },
            Self::Locked { place, name } => Self::Locked { place: place.clone(), name: name.clone() },
            Self::Archived { place, name } => Self::Archived { place: place.clone(), name: name.clone() },
            Self::Refused { place, problem } => Self::Refused { place: place.clone(), problem: problem.clone() },
            Self::BadName { name, problem } => Self::BadName { name: name.clone(), problem },
            Self::Unavailable { place, action, name, source } => {
                Self::Unavailable { place: place.clone(), action, name: name.clone(), source: source.to_string().into() }
            }
        }
    }

    /// The object ends before what was asked for.
    pub(crate) fn short(place: String, action: &'static str, name: String) -> Self {
        let end = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the object is shorter than it should be");
        Self::Unavailable { place, action, name, source: end.into() }
    }

    /// Whether this says that the object ends before what was asked for.
    pub fn is_short(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if source.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof))
    }

    /// Whether this says that the place received other bytes than were sent.
    pub(crate) fn is_garbled(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if matches!(failure_of(&**source), Some(Failure::Garbled)))
    }

    /// Whether asking again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. }) && !self.is_short()
    }

    /// How long the place asked us to wait before asking again.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        let Self::Unavailable { source, .. } = self else { return None };
        match failure_of(&**source) {
            Some(Failure::Refused(refusal)) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether this says that the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
