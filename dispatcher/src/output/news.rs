//! The news of a run. Serialised, they are the lines of `--json`; the names of fields are a
//! promise to programs that read them.

use std::path::{Path, PathBuf};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use stylefleet_proto::{BatchId, Figures, JobId, Progress};

use crate::images::expand::PassedOver;

/// Something that happened. `name` is what the result is called, or the input that there is no
/// result of; a job that makes several results goes by the first one's name until it is over.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum News<'a> {
    /// A worker has the job.
    Started {
        job: JobId,
        name: &'a str,
        /// Where it computes: cpu, cuda:0, ...
        device: &'a str,
        /// Which try this is, from 1.
        attempt: u32,
        /// Steps that were done before; 0: begun afresh.
        steps: u64,
    },
    /// Where a job stands; at most a few times a second.
    Progress {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        progress: &'a Progress,
    },
    /// Something a person should know of a job that is no failure.
    Note {
        job: JobId,
        name: &'a str,
        text: &'a str,
    },
    /// A picture of how the job looks by now is there.
    Previewed {
        job: JobId,
        name: &'a str,
        /// Its file.
        #[serde(serialize_with = "lossy")]
        file: &'a Path,
        /// Steps done by then.
        steps: u64,
    },
    /// The result is there.
    Finished {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        files: &'a Files,
        /// Seconds of work, over all attempts that were resumed.
        seconds: f64,
        /// Steps of the job.
        steps: u64,
        /// What it came to.
        figures: &'a Figures,
    },
    /// The result was made by an earlier run.
    Kept {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        files: &'a Files,
    },
    /// The result will not be made.
    Failed {
        /// Absent where it did not come to a job.
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
        name: &'a str,
        /// Why, and what to do.
        reason: &'a str,
        /// Attempts made; 0 where it did not come to a job.
        attempts: u32,
    },
    /// The result is not wanted any more.
    Cancelled { job: JobId, name: &'a str },
    /// Files of a CONTENT were passed over, for they are no images by their names.
    PassedOver {
        #[serde(serialize_with = "lossy")]
        content: &'a Path,
        /// How many.
        files: usize,
        /// How many with each ending, dot included; the empty one is of those without.
        endings: &'a PassedOver,
    },
    /// An input of a job is no use, and the job does without it.
    LeftOut {
        #[serde(serialize_with = "lossy")]
        input: &'a Path,
        /// Why.
        reason: &'a str,
    },
    /// A batch was handed in.
    Submitted {
        batch: &'a BatchId,
        /// Jobs that the broker took just now.
        accepted: usize,
        /// Jobs that it had taken before and that are not over.
        pending: usize,
        /// Jobs that were done before.
        done: usize,
        /// Results that could not be asked for.
        refused: usize,
    },
    /// The run was asked to stop, and waits for its workers.
    Stopping,
    /// A job was stopped; its checkpoint is in the store.
    Interrupted {
        job: JobId,
        name: &'a str,
        /// Steps kept.
        steps: u64,
    },
    /// The run is over. Last.
    Summary {
        /// Results made.
        done: usize,
        /// Results made by earlier runs.
        kept: usize,
        /// Results that could not be made.
        failed: usize,
        /// Results that are not wanted any more.
        cancelled: usize,
        /// Results left to another run of the same command.
        unfinished: usize,
        /// Seconds that the run took.
        seconds: f64,
    },
}

/// The files of a result, the main one first. Serialised, that is the field `file`, and `files` has
/// all of them where there are more.
#[derive(Debug, Default)]
pub struct Files(pub Vec<PathBuf>);

impl Files {
    /// The file that the job was for.
    pub fn main(&self) -> &Path {
        self.0.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let files: Vec<_> = self.0.iter().map(|file| file.to_string_lossy()).collect();
        let mut map = to.serialize_map(None)?;
        if let Some(main) = files.first() {
            map.serialize_entry("file", main)?;
        }
        if files.len() > 1 {
            map.serialize_entry("files", &files)?;
        }
        map.end()
    }
}

/// A path as text; what is no UTF-8 in it is replaced, for JSON has nothing else.
fn lossy<S: Serializer>(path: &&Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}
