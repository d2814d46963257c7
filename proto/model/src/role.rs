//! What inputs and outputs are to a job.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::text::checked_text;

/// Longest role, in bytes.
const MAX_ROLE: usize = 32;

/// What an object is to a job, as in `content` or `style.2`: 1 to 32 characters of a to z, 0 to 9,
/// the full stop and the hyphen, and so safe in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Role(String);

/// A role that a job may have, or must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    /// The role.
    pub role: Role,
    /// Whether there must be an input of that role.
    pub is_required: bool,
}

impl Role {
    /// A role that the code names.
    pub(crate) fn new(role: &'static str) -> Self {
        Self(role.to_owned())
    }

    /// One of several alike, from 0; they are written from 1.
    pub(crate) fn numbered(role: &'static str, index: usize) -> Self {
        Self(format!("{role}.{}", index.saturating_add(1)))
    }
}

impl RoleRule {
    /// There must be one.
    pub fn required(role: Role) -> Self {
        Self {
            role,
            is_required: true,
        }
    }

    /// There may be one.
    pub fn optional(role: Role) -> Self {
        Self {
            role,
            is_required: false,
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        let is_name = text.starts_with(|c: char| c.is_ascii_lowercase());
        if is_name && text.len() <= MAX_ROLE && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            let reason = format!(
                "must have 1 to {MAX_ROLE} characters of a to z, 0 to 9, the full stop and the \
                 hyphen, the first of them a letter"
            );
            Err(Invalid::new("role", reason))
        }
    }
}

checked_text!(Role);
