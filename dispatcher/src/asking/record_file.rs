//! `NAME.json`, the record beside a picture: what tells a picture that was made here from others.

use std::path::Path;

use serde::Deserialize;
use stylefleet_proto::{Digest, JobId, keys};

/// As much of the record as says whose the picture is.
#[derive(Debug, Deserialize)]
pub struct RecordFile {
    /// The job that the name belongs to.
    pub job: JobId,
    /// The picture's file, beside the record; none as long as there was no picture.
    pub file: Option<String>,
    /// Where the picture is in the store.
    picture: Option<String>,
}

impl RecordFile {
    /// The ending of its name.
    pub const ENDING: &str = "json";

    /// Reads a record; none where it is something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The record beside the file at `path`, if there is one.
    pub fn beside(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(path.with_extension(Self::ENDING)).ok()?)
    }

    /// Whether a picture's bytes are those that the record is of.
    pub fn is_of(&self, picture: &[u8]) -> bool {
        let is_of = |key: &String| keys::is_of_picture(key, &Digest::of(picture));
        self.picture.as_ref().is_some_and(is_of)
    }
}
