//! What is shown of a fleet: documents of the dashboard.

use std::collections::BTreeMap;

use serde::Serialize;
use stylefleet_proto::{BatchId, Curve, JobId, Labels, Name, Progress, Role};
use stylefleet_transport::broker::Depths;

use crate::activity::Rates;
use crate::frames::VideoStatus;
use crate::state::State;
use crate::status::Counts;

/// A part of a longer list.
#[derive(Debug, Clone, Serialize)]
pub struct Window<T> {
    /// How many there are in all.
    pub total: usize,
    /// Those asked for.
    pub items: Vec<T>,
}

/// A fleet in numbers.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FleetSummary {
    /// Jobs that no worker holds; null while the broker is away.
    pub waiting: Option<Depths>,
    /// How fast jobs are finished.
    pub rates: Rates,
    /// Seconds until nothing waits, at this rate; null: no idea.
    pub seconds_to_empty: Option<f64>,
    /// Workers that live.
    pub workers: usize,
    /// Those of them that have a job.
    pub busy: usize,
    /// Batches in the store.
    pub batches: usize,
    /// Jobs of all batches by state.
    pub jobs: Counts,
    /// Jobs that a worker should be at, but that have not moved for ten minutes.
    pub stuck: usize,
    /// Why the store cannot be read just now; null: it can.
    pub store_trouble: Option<String>,
    /// Why the broker cannot be reached just now; null: it can.
    pub broker_trouble: Option<String>,
}

/// How deep the queues were at a time.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Depth {
    /// When: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// Jobs that no worker held.
    #[serde(flatten)]
    pub depths: Depths,
    /// Workers that lived.
    pub workers: usize,
    /// Those of them that had a job.
    pub busy: usize,
}

/// A batch.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BatchSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub batch: BatchId,
    /// When it was first submitted: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// Results that it asks for.
    pub results: usize,
    /// Its results by state.
    pub states: Counts,
    /// The kinds of its jobs, as far as known.
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Role>,
    /// How far the video is that it makes; null: it makes none.
    pub video: Option<VideoStatus>,
    /// Jobs of it that are finished in an hour, by the last ten minutes; null: none was.
    pub finished_per_hour: Option<f64>,
    /// Seconds until it is done, at that rate, or as the video has it; null: no idea.
    pub seconds_left: Option<f64>,
    /// Its job that finished last, as far as known.
    #[schema(value_type = Option<String>)]
    pub latest: Option<JobId>,
}

/// A result that a batch asks for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ResultSummary {
    /// The job that makes it.
    #[schema(value_type = String)]
    pub job: JobId,
    /// The batch.
    #[schema(value_type = String)]
    pub batch: BatchId,
    /// What it is called.
    #[schema(value_type = String)]
    pub name: Name,
    /// What has become of the job.
    pub state: State,
    /// What kind of job it is; null in batches of older releases.
    #[schema(value_type = Option<String>)]
    pub kind: Option<Role>,
    /// What else is known of how it was asked for, as in `preset`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: Labels,
    /// Where it stands; null: no worker is at it.
    pub progress: Option<Progress>,
    /// The worker that is at it.
    pub worker: Option<String>,
    /// Since when: seconds since 1970-01-01 UTC.
    pub since: Option<u64>,
    /// Steps of its latest progress picture, while a worker is at it.
    pub previewed: Option<u64>,
    /// A worker should be at it, but nothing has moved for ten minutes.
    #[serde(rename = "stuck")]
    pub is_stuck: bool,
    /// Why the latest attempt failed, if one did and it is not done.
    pub reason: Option<String>,
    /// That attempt, or the one under way, from 1.
    pub attempt: Option<u32>,
}

/// A worker that lives.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WorkerSummary {
    /// What it is called.
    pub name: String,
    /// Where it computes: cpu, cuda:0, ...
    pub device: String,
    /// Null: it is idle, or the job has just begun.
    #[schema(value_type = Option<String>)]
    pub job: Option<JobId>,
    /// A batch that wants the job.
    #[schema(value_type = Option<String>)]
    pub batch: Option<BatchId>,
    /// The result's name in it.
    #[schema(value_type = Option<String>)]
    pub result: Option<Name>,
    /// Where the job stands.
    pub progress: Option<Progress>,
    /// How fast it goes.
    pub steps_per_second: Option<f64>,
    /// When it was last heard of: milliseconds since 1970-01-01 UTC.
    pub last_pulse_unix_millis: u64,
    /// Memory of its device that is taken, in bytes; null: it does not say.
    pub memory_bytes: Option<u64>,
    /// Memory of its device, in bytes; null: it does not say.
    pub memory_size_bytes: Option<u64>,
}

/// How the figures of a job at work went: one entry of each list a point.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct LiveCurve {
    /// The phase, from 1.
    pub phase: Vec<u32>,
    /// Steps done by then.
    pub steps: Vec<u64>,
    /// Values by the figure's name; null where it was not told.
    pub figures: BTreeMap<String, Vec<Option<f64>>>,
}

impl From<Curve> for LiveCurve {
    fn from(curve: Curve) -> Self {
        let values = |values: Vec<f64>| values.into_iter().map(Some).collect::<Vec<_>>();
        let terms = curve.terms.into_iter();
        let figures = terms.map(|(name, of_term)| (name, values(of_term)));
        let loss = ("loss".to_owned(), values(curve.loss));
        Self {
            phase: curve.phase,
            steps: curve.steps,
            figures: figures.chain([loss]).collect(),
        }
    }
}
