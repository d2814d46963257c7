//! What the store says of batches and jobs: the documents of `stylefleet status --json`.

use std::cmp::Reverse;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use stylefleet_proto::{
    BatchId, Failure, JobId, ManifestEntry, Name, Output, Record, Role, Start, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::batch::{self, Batch, BatchError};
use crate::documents::{self, DocumentError};
use crate::state::{self, State};

/// All batches: `stylefleet status --json`.
#[derive(Debug, Default, Serialize)]
pub struct BatchList {
    /// The latest first.
    pub batches: Vec<BatchStatus>,
    /// Those whose documents cannot be used.
    pub damaged: Vec<DamagedBatch>,
}

/// A batch whose documents cannot be used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DamagedBatch {
    /// The batch.
    #[schema(value_type = String)]
    pub batch: BatchId,
    /// What is wrong with them.
    pub reason: String,
}

/// A batch: `stylefleet status BATCH --json`.
#[derive(Debug, Serialize)]
pub struct BatchStatus {
    /// The batch.
    pub batch: BatchId,
    /// When it was first submitted: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// Results that it asks for.
    pub results: usize,
    /// Jobs that the broker took.
    pub accepted: usize,
    /// Absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<Counts>,
    /// The frames of a video; absent of what is none, and where states were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Frames>,
    /// Its results; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<ResultStatus>>,
    /// Results that wait and that the broker does not have; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<usize>,
}

/// The frames of a video, whose chunks are labelled with how many they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Frames {
    /// Those of chunks that are done.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

impl Frames {
    /// The label that says how many frames a chunk has.
    pub const LABEL: &str = "frames";

    /// Those of these results; none if no result has any.
    fn of<'a>(results: impl Iterator<Item = (&'a ManifestEntry, State)>) -> Option<Self> {
        let mut frames = Self { done: 0, total: 0 };
        for (entry, state) in results {
            let of_chunk = entry.labels[Self::LABEL].parse().unwrap_or(0);
            frames.total += of_chunk;
            if state == State::Done {
                frames.done += of_chunk;
            }
        }
        (frames.total > 0).then_some(frames)
    }
}

/// Results of a batch by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// They are in the store.
    pub done: usize,
    /// Given up.
    pub failed: usize,
    /// Not wanted any more.
    pub cancelled: usize,
    /// A worker is at them, or died over them.
    pub running: usize,
    /// Begun, and waiting for their next turn.
    pub stopped: usize,
    /// With the broker.
    pub waiting: usize,
    /// The broker was never known to have them.
    pub not_accepted: usize,
}

/// A result that a batch asks for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ResultStatus {
    /// The job that makes it.
    pub job: JobId,
    /// What it is called.
    pub name: Name,
    /// What has become of the job.
    pub state: State,
}

/// A job: `stylefleet status BATCH/NAME --json`, or of a job's id.
#[derive(Debug, Serialize)]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// What has become of it.
    pub state: State,
    /// The batch, where the job was looked up by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// Its result's name in that batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it made, the foremost first; absent as long as it is not done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputStatus>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The worker that is at it, or died over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Start>,
    /// What it goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointStatus>,
}

/// A file that a job made.
#[derive(Debug, Serialize)]
pub struct OutputStatus {
    /// What it is to the job.
    pub role: Role,
    /// Where it is.
    pub location: String,
    /// What kind of file it is, as in `image/png`.
    pub media_type: String,
}

/// A job's checkpoint.
#[derive(Debug, Serialize)]
pub struct CheckpointStatus {
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
}

impl BatchList {
    /// Reads all batches. `count`: with their results by state, which looks at every job.
    pub async fn read(store: &dyn Store, count: bool) -> Result<Self, StoreError> {
        let mut damaged = Vec::new();
        let mut readable = Vec::new();
        for (name, batch) in batch::all(store).await? {
            match batch {
                Ok(batch) => readable.push(batch),
                Err(error) => damaged.push(DamagedBatch {
                    batch: name,
                    reason: error.to_string(),
                }),
            }
        }
        let mut batches: Vec<_> = readable.iter().map(BatchStatus::new).collect();
        if count {
            let states = states(store, &readable).await?;
            for (batch, states) in batches.iter_mut().zip(states) {
                batch.states = Some(Counts::of(&states));
            }
        }
        batches.sort_by_key(|batch| Reverse(batch.unix_seconds));
        Ok(Self { batches, damaged })
    }
}

impl BatchStatus {
    /// Reads the states of a batch's results. `list`: with each of them. Whether some are lost is
    /// not the store's to say: see [`crate::lost`].
    pub async fn read(store: &dyn Store, batch: &Batch, list: bool) -> Result<Self, StoreError> {
        let states = states(store, std::slice::from_ref(batch)).await?;
        let states = states.into_iter().flatten().collect::<Vec<_>>();
        let counts = Counts::of(&states);
        let frames = Frames::of(batch.manifest.jobs.iter().zip(states.iter().copied()));
        let results = batch.manifest.jobs.iter().zip(states);
        let results = results.map(|(entry, state)| ResultStatus {
            job: entry.job,
            name: entry.name.clone(),
            state,
        });
        Ok(Self {
            states: Some(counts),
            frames,
            jobs: list.then(|| results.collect()),
            ..Self::new(batch)
        })
    }

    /// What the batch's own documents say.
    fn new(batch: &Batch) -> Self {
        Self {
            batch: batch.manifest.batch.clone(),
            unix_seconds: batch.manifest.unix_seconds,
            results: batch.manifest.jobs.len(),
            accepted: batch.accepted.jobs.len(),
            states: None,
            frames: None,
            jobs: None,
            lost: None,
        }
    }
}

/// The states of each batch's results. The store is asked once for all of them.
async fn states(store: &dyn Store, batches: &[Batch]) -> Result<Vec<Vec<State>>, StoreError> {
    let results = |batch: &Batch| {
        let entry = |entry: &ManifestEntry| (entry.job, Some(batch.has_accepted(&entry.job)));
        batch.manifest.jobs.iter().map(entry).collect::<Vec<_>>()
    };
    let jobs: Vec<_> = batches.iter().flat_map(results).collect();
    let mut states = state::of_all(store, &jobs).await?.into_iter();
    let mut of_batch = |batch: &Batch| states.by_ref().take(batch.manifest.jobs.len()).collect();
    Ok(batches.iter().map(&mut of_batch).collect())
}

impl JobStatus {
    /// Reads all that the store has of a job.
    pub async fn of_job(store: &dyn Store, job: JobId) -> Result<Self, DocumentError> {
        Self::read(store, job, None).await
    }

    /// The same of the job that makes a batch's result.
    pub async fn of_result(
        store: &dyn Store,
        batch: &Batch,
        name: &Name,
    ) -> Result<Self, BatchError> {
        let job = batch.result(name)?.job;
        let status = Self::read(store, job, Some(batch.has_accepted(&job))).await?;
        Ok(Self {
            batch: Some(batch.manifest.batch.clone()),
            name: Some(name.clone()),
            ..status
        })
    }

    async fn read(
        store: &dyn Store,
        job: JobId,
        accepted: Option<bool>,
    ) -> Result<Self, DocumentError> {
        let record = state::record(store, &job).await?;
        let output = |output: &Output| OutputStatus {
            role: output.role.clone(),
            location: store.locate(&output.key),
            media_type: output.media_type.clone(),
        };
        let outputs = record.iter().flat_map(|record| &record.outputs);
        let checkpoint = store.stat(&keys::checkpoint(&job)).await?;
        Ok(Self {
            job,
            state: state::of(store, job, accepted).await?,
            batch: None,
            name: None,
            outputs: outputs.map(output).collect(),
            record,
            failure: state::failure(store, &job).await?,
            started: documents::read(store, &keys::started(&job)).await?,
            checkpoint: checkpoint.map(|stat| CheckpointStatus {
                bytes: stat.size,
                unix_seconds: stat
                    .modified
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            }),
        })
    }
}

impl Counts {
    /// Counts states.
    pub fn of(states: &[State]) -> Self {
        let mut counts = Self::default();
        for state in states {
            *counts.of_state(*state) += 1;
        }
        counts
    }

    /// How many are in a state.
    pub fn of_state(&mut self, state: State) -> &mut usize {
        match state {
            State::Done => &mut self.done,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
            State::Running => &mut self.running,
            State::Stopped => &mut self.stopped,
            State::Waiting => &mut self.waiting,
            State::NotAccepted | State::Unknown => &mut self.not_accepted,
        }
    }

    /// Those that are still to come.
    pub fn open(&self) -> usize {
        self.running + self.idle() + self.not_accepted
    }

    /// Those that wait for a worker, and that the broker should have.
    pub fn idle(&self) -> usize {
        self.waiting + self.stopped
    }
}

#[cfg(test)]
mod tests {

    use bytes::Bytes;
    use stylefleet_proto::{Accepted, Labels, Manifest, SubmitId};
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    fn job(number: u8) -> JobId {
        format!("{number:064x}").parse().expect("an id")
    }

    /// A batch of jobs 1 to `results`, of which the broker has taken the first `accepted`.
    async fn record(store: &dyn Store, name: &str, results: u8, accepted: u8) {
        let entry = |number| ManifestEntry {
            job: job(number),
            name: format!("result-{number}").parse().expect("a name"),
            kind: None,
            labels: Labels::default(),
        };
        let batch: BatchId = name.parse().expect("a batch");
        let asked = Manifest {
            batch: batch.clone(),
            jobs: (1..=results).map(entry).collect(),
            unix_seconds: results.into(),
        };
        let submit = SubmitId {
            unix_millis: 1,
            random: 1,
        };
        let recorded = batch::record(store, asked, &submit).await;
        recorded.expect("records");
        let accepted = Accepted {
            jobs: (1..=accepted).map(job).collect(),
        };
        let key = keys::accepted(&batch, &submit);
        let written = documents::write(store, &key, &accepted).await;
        written.expect("writes");
    }

    #[tokio::test]
    async fn each_batch_counts_its_own_results() {
        let store = MemoryStore::default();
        record(&store, "a", 2, 1).await;
        record(&store, "b", 4, 4).await;
        record(&store, "c", 3, 0).await;
        for key in [keys::result(&job(1)), keys::started(&job(3))] {
            store.put(&key, Bytes::new()).await.expect("writes");
        }
        let list = BatchList::read(&store, true).await.expect("reads");
        let counts = |index: usize| {
            let batch = &list.batches[index];
            (batch.batch.as_ref(), batch.states.expect("counted"))
        };
        let (done, running) = (1, 1);
        let one_done = Counts {
            done,
            ..Counts::default()
        };
        let b = Counts {
            running,
            waiting: 2,
            ..one_done
        };
        let c = Counts {
            running,
            not_accepted: 1,
            ..one_done
        };
        let a = Counts {
            not_accepted: 1,
            ..one_done
        };
        assert_eq!(
            [counts(0), counts(1), counts(2)],
            [("b", b), ("c", c), ("a", a)]
        );
        let list = BatchList::read(&store, false).await.expect("reads");
        assert!(list.batches.iter().all(|batch| batch.states.is_none()));
    }

    #[tokio::test]
    async fn a_result_is_in_the_state_of_its_job() {
        let store = MemoryStore::default();
        record(&store, "a", 2, 1).await;
        let batch = Batch::open(&store, &"a".parse().expect("a batch")).await;
        let batch = batch.expect("opens");
        let status = BatchStatus::read(&store, &batch, true).await;
        let results = status.expect("reads").jobs.expect("listed");
        let states: Vec<_> = results.iter().map(|result| result.state).collect();
        assert_eq!(states, [State::Waiting, State::NotAccepted]);
        for result in results {
            let status = JobStatus::of_result(&store, &batch, &result.name).await;
            assert_eq!(status.expect("reads").state, result.state);
        }
    }
}
