//! Documents of the API that are more than the fleet library's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stylefleet_fleet::live::{
    BatchSummary, Entry, FleetSummary, ResultSummary, Window, WorkerSummary,
};
use stylefleet_fleet::state::State;
use stylefleet_fleet::status::DamagedBatch;
use stylefleet_proto::{Digest, Figures, JobId, Name, Output, Progress, Record, Role};

/// A fleet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FleetDocument {
    /// The program's version.
    pub version: &'static str,
    /// The version of the contract with workers.
    pub contract: u32,
    /// Where the store is.
    pub store: String,
    /// Whether actions need a token.
    pub needs_token: bool,
    /// What whoever asks may do.
    pub may: Rights,
    /// The fleet in numbers; null for whoever may not read.
    #[serde(flatten)]
    pub summary: Option<FleetSummary>,
}

/// What somebody may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Rights {
    /// Look at everything.
    pub read: bool,
    /// Cancel, retry, drop.
    pub act: bool,
    /// Submit.
    pub submit: bool,
}

/// A token.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct LogIn {
    /// The dashboard's.
    pub token: String,
}

/// A part of the list of batches, the latest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchesDocument {
    /// How many there are.
    pub total: usize,
    /// Those asked for.
    pub batches: Vec<BatchDocument>,
    /// Those whose documents cannot be used.
    pub damaged: Vec<DamagedBatch>,
}

/// A batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchDocument {
    #[serde(flatten)]
    pub summary: BatchSummary,
    /// Address of a small picture of what finished last.
    pub thumbnail: Option<String>,
}

/// A part of a list of results.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ResultsDocument {
    /// How many there are.
    pub total: usize,
    /// Those asked for.
    pub results: Vec<ResultDocument>,
}

/// What was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundDocument {
    /// How many results there are.
    pub total: usize,
    /// Batches.
    pub batches: Vec<BatchDocument>,
    /// The first of the results.
    pub results: Vec<ResultDocument>,
}

/// A result that a batch asks for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ResultDocument {
    #[serde(flatten)]
    pub summary: ResultSummary,
    /// Address of a small picture of it, once it is done.
    pub thumbnail: Option<String>,
    /// Address of its latest progress picture, while a worker is at it.
    pub preview: Option<String>,
}

/// A part of the list of workers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WorkersDocument {
    /// How many there are.
    pub total: usize,
    /// Those asked for, by name.
    pub workers: Vec<WorkerSummary>,
}

/// A job.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub job: JobId,
    /// What has become of it.
    pub state: State,
    /// What kind of job it is, if that is known.
    #[schema(value_type = Option<String>)]
    pub kind: Option<Role>,
    /// The results that it makes.
    pub names: Vec<ResultDocument>,
    /// What it works on; known once a worker has begun it.
    pub inputs: Vec<InputDocument>,
    /// What is asked, as the kind has it; known once a worker has begun it.
    pub specification: Option<serde_json::Value>,
    /// What it made, the foremost first.
    pub outputs: Vec<OutputDocument>,
    /// How it looked on the way.
    pub previews: Vec<PreviewDocument>,
    /// Whether there is something at `curve`.
    pub has_curve: bool,
    /// What it came to; null: it is not done.
    pub record: Option<RecordDocument>,
    /// Where it stands; null: no worker is at it.
    pub progress: Option<Progress>,
    /// The worker that is at it, or died over it.
    pub worker: Option<String>,
    /// The attempt, from 1.
    pub attempt: Option<u32>,
    /// Since when the worker has been at it.
    pub since: Option<u64>,
    /// Workers that died over it in a row.
    pub deaths: u32,
    /// Why it was given up.
    pub failure: Option<FailureDocument>,
    /// What it goes on from.
    pub checkpoint: Option<CheckpointDocument>,
    /// What happened to it of late, the oldest first.
    pub diary: Vec<Entry>,
}

/// A file that a job works on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InputDocument {
    /// What it is to the job.
    #[schema(value_type = String)]
    pub role: Role,
    /// What it is called.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its hash.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Its address.
    pub url: String,
    /// Address of a small picture of it, if it is one.
    pub thumbnail: String,
}

/// A file that a job made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutputDocument {
    /// What it is to the job.
    #[schema(value_type = String)]
    pub role: Role,
    /// What kind of file it is, as in `image/png`.
    pub media_type: String,
    /// Its address.
    pub url: String,
    /// Address of a small picture of it, if it is one.
    pub thumbnail: Option<String>,
}

/// A progress picture.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PreviewDocument {
    /// After how many steps.
    pub steps: u64,
    /// Its address.
    pub url: String,
}

/// What a job came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecordDocument {
    /// Seconds of work, over all attempts that were resumed.
    pub seconds: f64,
    /// Steps of the job.
    pub steps: u64,
    /// What it came to.
    #[schema(value_type = BTreeMap<String, f64>)]
    pub figures: Figures,
    /// The attempt that finished it, from 1.
    pub attempt: u32,
    /// The device it was finished on.
    pub device: String,
    /// Remarks, such as a colour profile not understood.
    pub notes: Vec<String>,
    /// What made it, by name.
    pub made_with: BTreeMap<String, String>,
}

/// Why a job was given up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FailureDocument {
    /// One line: subject, cause, remedy.
    pub reason: String,
    /// Attempts made.
    pub attempts: u32,
}

/// A job's checkpoint.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CheckpointDocument {
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub unix_seconds: u64,
}

impl BatchDocument {
    pub fn new(summary: BatchSummary) -> Self {
        Self {
            thumbnail: summary.latest.as_ref().map(thumbnail),
            summary,
        }
    }
}

impl ResultDocument {
    pub fn new(summary: ResultSummary) -> Self {
        let previewed = summary.previewed;
        Self {
            thumbnail: (summary.state == State::Done).then(|| thumbnail(&summary.job)),
            preview: previewed.map(|steps| preview(&summary.job, steps)),
            summary,
        }
    }
}

impl ResultsDocument {
    pub fn new(window: Window<ResultSummary>) -> Self {
        Self {
            total: window.total,
            results: window.items.into_iter().map(ResultDocument::new).collect(),
        }
    }
}

impl InputDocument {
    pub fn new(job: &JobId, input: stylefleet_proto::Input) -> Self {
        let url = format!("api/jobs/{job}/inputs/{}", input.role);
        Self {
            thumbnail: format!("{url}?side=320"),
            url,
            role: input.role,
            name: input.name,
            sha256: input.sha256,
        }
    }
}

impl OutputDocument {
    pub fn new(job: &JobId, output: &Output) -> Self {
        let url = format!("api/jobs/{job}/outputs/{}", output.role);
        let is_picture = output.media_type.starts_with("image/");
        Self {
            thumbnail: is_picture.then(|| format!("{url}?side=320")),
            url,
            role: output.role.clone(),
            media_type: output.media_type.clone(),
        }
    }
}

impl From<Record> for RecordDocument {
    fn from(record: Record) -> Self {
        Self {
            seconds: record.seconds,
            steps: record.steps,
            figures: record.figures,
            attempt: record.attempt,
            device: record.device,
            notes: record.notes,
            made_with: record.made_with,
        }
    }
}

/// Address of a small picture of a job.
fn thumbnail(job: &JobId) -> String {
    format!("api/jobs/{job}/thumbnail?side=320")
}

/// Address of a progress picture.
pub fn preview(job: &JobId, steps: u64) -> String {
    format!("api/jobs/{job}/previews/{steps}")
}
