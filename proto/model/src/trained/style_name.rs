//! What people call the styles of a network.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::text::checked_text;

/// Longest name of a style, in bytes.
const MAX_NAME: usize = 60;
/// What separates names from each other, and from weights; and folders in paths.
const RESERVED: [char; 5] = ['/', '\\', '=', ',', '+'];

/// The name of a network's style: 1 to 60 bytes, no control characters, none of `/ \ = , +`, no
/// full stop at the beginning, no spaces at the ends; and so safe in the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StyleName(String);

impl FromStr for StyleName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_refused = |c: char| c.is_control() || RESERVED.contains(&c);
        if text.is_empty()
            || text.len() > MAX_NAME
            || text.contains(is_refused)
            || text.starts_with('.')
            || text.trim() != text
        {
            let reason = format!(
                "must have 1 to {MAX_NAME} bytes, no control characters and none of / \\ = , + in \
                 it, no full stop at the beginning and no spaces at the ends"
            );
            Err(Invalid::new("style name", reason))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

checked_text!(StyleName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_the_name_of_a_file() {
        for name in [
            "starry",
            "Die große Welle",
            "a.b",
            "a-b (2)",
            &"a".repeat(60),
        ] {
            assert_eq!(name.parse::<StyleName>().expect(name).as_ref(), name);
        }
        for name in [
            "",
            ".",
            "..",
            ".a",
            "a/b",
            "a\\b",
            "a=1",
            "a,b",
            "a+b",
            "a\nb",
            " a",
            "a ",
            &"a".repeat(61),
        ] {
            assert!(name.parse::<StyleName>().is_err(), "{name:?}");
        }
    }
}
