//! Values that were checked.

use std::ops::Deref;

use serde::Serialize;

use crate::Invalid;

/// What can be right or wrong.
pub trait Validate {
    /// Checks every field, and how they go together.
    fn validate(&self) -> Result<(), Invalid>;
}

/// A value that passed [`Validate::validate`], and cannot change any more.
///
/// ```
/// use stylefleet_model::Valid;
/// use stylefleet_model::stylize::Preset;
///
/// let mut parameters = Preset::Studio.parameters();
/// parameters.evaluations = 0;
/// let refused = Valid::new(parameters).unwrap_err();
/// assert_eq!(refused.to_string(), "evaluations: is 0, must be 1 to 100000");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Valid<T>(pub(crate) T);

impl<T: Validate> Valid<T> {
    /// Checks `value`.
    pub fn new(value: T) -> Result<Self, Invalid> {
        value.validate()?;
        Ok(Self(value))
    }
}

impl<T> Valid<T> {
    /// The value, to be changed and checked again.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
