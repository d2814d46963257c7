//! The news of a run. Serialised, they are the lines of `--json`; the names of fields are a
//! promise to programs that read them.

use std::path::Path;

use serde::{Serialize, Serializer};
use stylefleet_fleet::activity::Position;
use stylefleet_proto::{BatchId, JobId};

use crate::asking::expand::PassedOver;

/// Something that happened. `name` is what the picture is called, or the CONTENT that there is no
/// picture of; a job that makes several pictures goes by the first one's name until it is over.
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
        /// Evaluations that were done before, over all scales; 0: begun afresh.
        resumed_evaluations: u32,
    },
    /// Where a job stands; at most a few times a second.
    Progress {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        position: Position,
    },
    /// Something a person should know of a job that is no failure.
    Note {
        job: JobId,
        name: &'a str,
        text: &'a str,
    },
    /// What the picture looks like by now is there.
    Previewed {
        job: JobId,
        name: &'a str,
        /// The file of the progress picture.
        #[serde(serialize_with = "lossy")]
        picture: &'a Path,
        /// Evaluations that it goes by, over all scales.
        evaluations: u32,
    },
    /// The picture is there.
    Finished {
        job: JobId,
        name: &'a str,
        /// Its file.
        #[serde(serialize_with = "lossy")]
        picture: &'a Path,
        /// Seconds of work, over all attempts that were resumed.
        seconds: f64,
        /// Evaluations over all scales.
        evaluations: u32,
        /// Final loss.
        loss: f64,
    },
    /// The picture was made by an earlier run.
    Kept {
        job: JobId,
        name: &'a str,
        /// Its file.
        #[serde(serialize_with = "lossy")]
        picture: &'a Path,
    },
    /// The picture will not be made.
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
    /// The picture is not wanted any more.
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
    /// A batch was handed in.
    Submitted {
        batch: &'a BatchId,
        /// Jobs that the broker took just now.
        accepted: usize,
        /// Jobs that it had taken before and that are not over.
        pending: usize,
        /// Jobs that were done before.
        done: usize,
        /// Pictures that could not be asked for.
        refused: usize,
    },
    /// The run was asked to stop, and waits for its workers.
    Stopping,
    /// A job was stopped; its checkpoint is in the store.
    Interrupted {
        job: JobId,
        name: &'a str,
        /// Evaluations kept, over all scales.
        evaluations: u32,
    },
    /// The run is over. Last.
    Summary {
        /// Pictures made.
        done: usize,
        /// Pictures made by earlier runs.
        kept: usize,
        /// Pictures that could not be made.
        failed: usize,
        /// Pictures that are not wanted any more.
        cancelled: usize,
        /// Pictures left to another run of the same command.
        unfinished: usize,
        /// Seconds that the run took.
        seconds: f64,
    },
}

/// A path as text; what is no UTF-8 in it is replaced, for JSON has nothing else.
fn lossy<S: Serializer>(path: &&Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}
