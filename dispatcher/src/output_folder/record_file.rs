//! `NAME.json`, the record beside the files of a result: what tells files that were made here from
//! others.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use stylefleet_proto::{JobId, Output, Role, keys};

use super::CHART;

/// As much of the record as says whose the files are.
#[derive(Debug, Deserialize)]
pub struct RecordFile {
    /// The job that the name belongs to.
    pub job: JobId,
    /// The files of the outputs, beside the record, by role; none as long as there are none.
    #[serde(default)]
    files: BTreeMap<Role, String>,
    #[serde(default)]
    outputs: Vec<Output>,
}

impl RecordFile {
    /// The ending of its name.
    pub const ENDING: &str = "json";

    /// Reads a record; none where it is something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The record of the name that the file at `path` has without its ending, if there is one.
    pub fn beside(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(path.with_extension(Self::ENDING)).ok()?)
    }

    /// The outputs that it names: a person may have edited it.
    pub fn into_outputs(mut self) -> Vec<Output> {
        let job = self.job;
        self.outputs
            .retain(|output| keys::is_output(&job, &output.role, &output.key));
        self.outputs
    }

    /// The files of the outputs, beside the record, by role.
    pub fn files(&self) -> &BTreeMap<Role, String> {
        &self.files
    }

    /// Whether the file of that name is an output's.
    fn names(&self, file: &str) -> bool {
        self.files.values().any(|name| name == file)
    }
}

/// Whether a file belongs to a result that was made here: the record says so that is beside it.
pub fn is_ours(path: &Path) -> bool {
    let endings = [RecordFile::ENDING, CHART];
    let is_beside = path
        .extension()
        .is_some_and(|ending| endings.iter().any(|e| ending == *e));
    if is_beside && RecordFile::beside(path).is_some() {
        return true;
    }
    // Which dot comes before the role, if one does, the record knows.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let dots = name.rmatch_indices('.').map(|(at, _)| at);
    dots.filter_map(|dot| name.get(..=dot)).any(|start| {
        let record = RecordFile::beside(&path.with_file_name(start));
        record.is_some_and(|record| record.names(&name))
    })
}
