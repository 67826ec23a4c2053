//! Names of objects: relative paths that mean the same in a folder and in a bucket.

use std::fmt;

use crate::{StoreError, StoreResult};

/// The name of an object.
///
/// - 1 to 512 bytes; segments of `A-Z a-z 0-9 . _ -`, joined by `/`; no segment is empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`StoreError::BadName`] when a rule is broken.
    pub fn new(name: impl Into<String>) -> StoreResult<Self> {
        let name = name.into();
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let problem = if name.is_empty() || name.len() > 512 {
            Some("it needs 1 to 512 bytes")
        } else if name.split('/').any(|s| s.is_empty() || s == "." || s == "..") {
            Some("a part of it is empty, `.` or `..`")
        } else if !name.split('/').all(|s| s.bytes().all(ok)) {
            Some("it has characters other than A-Z a-z 0-9 . _ - and /")
        } else {
            None
        };
        problem.map_or(Ok(Self(name.clone())), |problem| Err(StoreError::BadName { name, problem }))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
