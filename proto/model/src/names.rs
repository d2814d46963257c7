//! What people call jobs, images and batches.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::text::checked_text;

/// Longest name of a job or image, in bytes: room for a file and the folders that it is in.
const MAX_NAME: usize = 1024;
/// Longest part of a name that may be a file's or a folder's, in bytes: leaves room for a number,
/// a role and an ending in the 255 of a file name.
pub const MAX_PART: usize = 204;
/// Longest name of a batch.
const MAX_BATCH: usize = 64;

/// A name for people: 1 to 1024 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// A batch's name: 1 to 64 characters of a to z, 0 to 9 and the hyphen, and so safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BatchId(String);

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            Err(Invalid::new(
                "name",
                format!("must have 1 to {MAX_NAME} bytes and no control characters"),
            ))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl Name {
    /// Whether the name leads to a visible file in a folder or its subfolders: one from elsewhere
    /// may hold anything.
    pub fn is_plain(&self) -> bool {
        let is_plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.contains('\\')
                && part.len() <= MAX_PART
        };
        self.0.split('/').all(is_plain)
    }
}

impl FromStr for BatchId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > MAX_BATCH || !text.bytes().all(allowed) {
            Err(Invalid::new(
                "batch",
                format!("must have 1 to {MAX_BATCH} characters of a to z, 0 to 9 and the hyphen"),
            ))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

checked_text!(Name);
checked_text!(BatchId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_elsewhere_stay_in_the_folder() {
        for (name, plain) in [
            ("a", true),
            ("2024/a b.c-2", true),
            ("..a", false),
            ("../a", false),
            ("a/../b", false),
            ("/etc/a", false),
            ("a//b", false),
            ("a/", false),
            (".stylefleet/a", false),
            ("a/.b", false),
            ("a\\b", false),
            (&"a".repeat(204), true),
            (&"a".repeat(205), false),
        ] {
            let name: Name = name.parse().expect("a name");
            assert_eq!(name.is_plain(), plain, "{name}");
        }
    }
}
