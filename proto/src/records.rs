//! The JSON documents of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::{figures, number};
use crate::{Input, JobId, Labels, keys};
use stylefleet_model::{BatchId, Digest, Figures, Invalid, Name, Role};

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

/// One result that a batch asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The job that makes it.
    pub job: JobId,
    /// What people call it; its file name without ending.
    pub name: Name,
    /// What kind of job makes it; none in manifests of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Role>,
    /// What else is worth knowing of how it was asked for, as in `preset`.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
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
    /// Steps in the checkpoint that it began with.
    pub steps: u64,
    /// Workers that died over the job before this one, without the checkpoint growing.
    pub deaths: u32,
    /// When it began, by the worker's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// How the worker ended that died, where the program that had started it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<String>,
    /// What it is asked to do; none in documents of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What a job is asked to do, for people who look at it before its record is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What kind of job it is.
    pub kind: Role,
    /// What it works on.
    pub inputs: Vec<Input>,
    /// The specification, as the kind has it.
    pub specification: serde_json::Value,
}

/// `results/<job>.json`: what became of a job, written last and once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The job.
    pub job: JobId,
    /// What kind of job it is.
    pub kind: Role,
    /// What it worked on.
    pub inputs: Vec<Input>,
    /// What was asked, as the kind has it.
    pub specification: serde_json::Value,
    /// What it made, the foremost first.
    pub outputs: Vec<Output>,
    /// Seconds of work, over all attempts that were resumed.
    pub seconds: f64,
    /// Steps of the job.
    pub steps: u64,
    /// What it came to.
    pub figures: Figures,
    /// The attempt that finished it, from 1.
    pub attempt: u32,
    /// The device it was finished on.
    pub device: String,
    /// Remarks, such as a colour profile not understood.
    pub notes: Vec<String>,
    /// What made it, by name: versions of programs, hashes of weights, arithmetic.
    pub made_with: BTreeMap<String, String>,
}

/// A file that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What it is: `picture`, or [`Curve::ROLE`](crate::Curve::ROLE).
    pub role: Role,
    /// Where it lies in the store.
    pub key: String,
    /// What kind of file it is, as in `image/png`.
    pub media_type: String,
}

impl Output {
    /// The ending of its file's name, without the dot.
    pub fn ending(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }

    /// Whether these are its bytes.
    pub fn is(&self, file: &[u8]) -> bool {
        keys::is_of_output(&self.key, &Digest::of(file))
    }

    fn check(&self, job: &JobId) -> Result<(), Invalid> {
        if !keys::is_output(job, &self.role, &self.key) {
            let reason = format!("\"{}\" is no place for its {}", self.key, self.role);
            return Err(Invalid::new("outputs", reason));
        }
        let is_word = |word: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            !word.is_empty() && word.bytes().all(is_allowed)
        };
        let words = self.media_type.split_once('/');
        if words.is_some_and(|(kind, subkind)| is_word(kind) && is_word(subkind)) {
            Ok(())
        } else {
            Err(Invalid::new("outputs", "have what is no media type"))
        }
    }
}

impl Record {
    /// What the job was for. There is one in every record that was checked.
    pub fn main_output(&self) -> Option<&Output> {
        self.outputs.first()
    }

    /// The output of that role, if there is one.
    pub fn output(&self, role: &str) -> Option<&Output> {
        let mut outputs = self.outputs.iter();
        outputs.find(|output| output.role.as_ref() == role)
    }

    /// Whether this can be the record of `job`: what is read from a store may be anything.
    pub fn check(&self, job: &JobId) -> Result<(), Invalid> {
        if self.job != *job {
            return Err(Invalid::new("job", format!("is {}, not {job}", self.job)));
        }
        if self.outputs.is_empty() {
            return Err(Invalid::new("outputs", "are none"));
        }
        let mut roles = BTreeSet::new();
        for output in &self.outputs {
            output.check(job)?;
            if !roles.insert(&output.role) {
                let reason = format!("are there twice: {}", output.role);
                return Err(Invalid::new("outputs", reason));
            }
        }
        number("seconds", self.seconds, 0.0..=f64::MAX)?;
        // An event says the same.
        figures(&self.figures)?;
        for (name, value) in &self.figures {
            number(&format!("figures.{name}"), *value, f64::MIN..=f64::MAX)?;
        }
        Ok(())
    }
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
