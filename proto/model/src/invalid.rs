//! What is wrong with a value that came from outside.

/// A value that was refused at the door: which field, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Path of the field, as in `parameters.size`.
    pub field: String,
    /// What is wrong with it and what is allowed.
    pub reason: String,
}

impl Invalid {
    /// The complaint that `field` is so.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// The same complaint, seen from one level further out.
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}
