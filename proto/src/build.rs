//! Which program this is.

use std::fmt;

use crate::VERSION;

/// What a program was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Its version.
    pub version: &'static str,
    /// The first digits of its commit, where that is known.
    pub commit: Option<&'static str>,
}

/// As `--version` says it: with the version of the contract, which two programs must share.
impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, commit } = self;
        match commit {
            Some(commit) => write!(f, "{version} (commit {commit}, contract {VERSION})"),
            None => write!(f, "{version} (contract {VERSION})"),
        }
    }
}
