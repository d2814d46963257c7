//! The JSON documents of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::number;
use crate::{Input, JobId, keys};
use stylefleet_model::stylize::Preset;
use stylefleet_model::{BatchId, Invalid, Name, Role};

/// Tells one submit from all others. Written out, later ones sort after earlier ones, as far as
/// the dispatchers' clocks agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitId {
    /// When it was begun, by the dispatcher's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// Keeps apart what begins in the same millisecond.
    pub random: u64,
}

impl fmt::Display for SubmitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}-{:016x}", self.unix_millis, self.random)
    }
}

/// `batches/<batch>/<submit>.manifest.json`: what one submit added to a batch. All of them
/// together, in the order of their names, are what the batch asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The batch.
    pub batch: BatchId,
    /// Its jobs, in the order given. Two entries may share a job.
    pub jobs: Vec<ManifestEntry>,
    /// When it was submitted, by the dispatcher's clock: seconds since 1970-01-01 UTC.
    #[serde(default)]
    pub unix_seconds: u64,
}

/// One picture that a batch asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The job that makes it.
    pub job: JobId,
    /// What people call it; its file name without ending.
    pub name: Name,
    /// The preset that its parameters are based on.
    #[serde(default)]
    pub preset: Preset,
}

/// `batches/<batch>/<submit>.accepted.json`: the jobs of a submit that the broker has taken for
/// certain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The jobs.
    pub jobs: BTreeSet<JobId>,
}

/// `started/<job>.json`: a worker is at the job, or died over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The job.
    pub job: JobId,
    /// The worker.
    pub worker: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Evaluations in the checkpoint that it began with, over all scales.
    pub evaluations: u32,
    /// Workers that died over the job before this one, without the checkpoint growing.
    pub deaths: u32,
    /// When it began, by the worker's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// How the worker ended that died, where the program that had started it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<String>,
}

/// `results/<job>.json`: what became of a job, written last and once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The job.
    pub job: JobId,
    /// Key of the picture in the store.
    pub picture: String,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// What kind of job it is.
    pub kind: Role,
    /// What it worked on.
    pub inputs: Vec<Input>,
    /// What was asked, as the kind has it.
    pub specification: serde_json::Value,
    /// Seconds of work, over all attempts that were resumed.
    pub seconds: f64,
    /// Evaluations over all scales.
    pub evaluations: u32,
    /// Where the optimisation ended.
    pub score: Scored,
    /// The attempt that finished it, from 1.
    pub attempt: u32,
    /// The device it was finished on.
    pub device: String,
    /// Arithmetic of the network at the end: f32 or bf16.
    pub precision: String,
    /// Remarks, such as a colour profile not understood.
    pub notes: Vec<String>,
    /// What made it: stylefleet, libtorch, and the SHA-256 of the weights file.
    pub versions: BTreeMap<String, String>,
}

impl Record {
    /// The ending of the picture's file, without the dot.
    pub fn ending(&self) -> &str {
        self.picture.rsplit('.').next().unwrap_or_default()
    }

    /// Whether this can be the record of `job`: what is read from a store may be anything.
    pub fn check(&self, job: &JobId) -> Result<(), Invalid> {
        if self.job != *job {
            return Err(Invalid::new("job", format!("is {}, not {job}", self.job)));
        }
        if !keys::is_picture(job, &self.picture) {
            let reason = format!("\"{}\" is no place for its picture", self.picture);
            return Err(Invalid::new("picture", reason));
        }
        number("width", self.width, 1..=u32::MAX)?;
        number("height", self.height, 1..=u32::MAX)?;
        number("seconds", self.seconds, 0.0..=f64::MAX)?;
        number("score.loss", self.score.loss, f64::MIN..=f64::MAX)?;
        Ok(())
    }
}

/// A loss and its terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The whole loss.
    pub loss: f64,
    /// What each term adds to it: `content`, `tv`, and the style layers by name.
    pub terms: BTreeMap<String, f64>,
}

/// `jobs/<job>/curve.<hash>.json`: how the loss fell, oldest first; one entry of each list a point.
/// Losses at different scales are those of different objectives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The scale, from 1.
    pub scale: Vec<u32>,
    /// Evaluations done by then, over all scales.
    pub evaluations: Vec<u32>,
    /// The loss.
    pub loss: Vec<f64>,
}

/// `failures/<job>.json`: why a job was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The job.
    pub job: JobId,
    /// One line: subject, cause, remedy.
    pub reason: String,
    /// Attempts made.
    pub attempts: u32,
}
