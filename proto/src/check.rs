//! What is refused of a message, field by field.

use std::fmt::Display;
use std::ops::RangeInclusive;

use stylefleet_model::{Digest, Figures, Invalid};

/// Longest text that is to fit into a line, in bytes.
const MAX_WORDS: usize = 120;
/// Most figures of an event or a record.
const MAX_FIGURES: usize = 64;

/// Refuses a missing message.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::new(field, "is missing"))
}

/// Refuses what is no digest; an empty text is none.
pub(crate) fn optional(field: &str, digest: &str) -> Result<Option<Digest>, Invalid> {
    match digest {
        "" => Ok(None),
        digest => digest
            .parse()
            .map(Some)
            .map_err(|e: Invalid| Invalid::new(field, e.reason)),
    }
}

/// Refuses a text that is too long for a line, or has control characters.
pub(crate) fn words(field: &str, text: &str) -> Result<(), Invalid> {
    if text.len() > MAX_WORDS || text.contains(char::is_control) {
        let reason = format!("has control characters, or more than {MAX_WORDS} bytes");
        return Err(Invalid::new(field, reason));
    }
    Ok(())
}

/// Refuses too many figures, and names that do not fit into a line. A figure itself may be any.
pub(crate) fn figures(figures: &Figures) -> Result<(), Invalid> {
    if figures.len() > MAX_FIGURES {
        let reason = format!("are {}, at most {MAX_FIGURES}", figures.len());
        return Err(Invalid::new("figures", reason));
    }
    figures.keys().try_for_each(|name| words("figures", name))
}

/// Refuses a number outside `range`; NaN is in no range.
pub(crate) fn number<T: PartialOrd + Display>(
    field: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, Invalid> {
    if range.contains(&value) {
        Ok(value)
    } else {
        let (low, high) = range.into_inner();
        Err(Invalid::new(
            field,
            format!("is {value}, must be {low} to {high}"),
        ))
    }
}

/// Refuses a number that no enum value has.
pub(crate) fn enumerated<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T, Invalid> {
    T::try_from(value).map_err(|_| Invalid::new(field, format!("has no value {value}")))
}
