//! The one error of this crate: a value that breaks its type's rules.

/// A value that breaks the rules of its type: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    field: &'static str,
    problem: String,
}

impl Invalid {
    /// Names the field and says what is wrong with it.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// The field whose value was refused.
    pub fn field(&self) -> &'static str {
        self.field
    }
}
