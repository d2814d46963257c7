//! What the store says of batches and jobs: the documents of `stylefleet status --json`.

use std::cmp::Reverse;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{
    BatchId, Failure, JobId, ManifestEntry, Name, Output, Record, Role, Start, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::batch::{self, Batch, BatchError};
use crate::clock::millis;
use crate::documents::{self, DocumentError};
use crate::frames::{self, Chunk, Stay, VideoStatus};
use crate::state::{self, AT_ONCE, State};

/// Chunks of a video that say how long others take.
const LATEST: usize = 8;

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
    /// How far the video is; absent of what is none, and where states were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoStatus>,
    /// Its results; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<ResultStatus>>,
    /// Results that wait and that the broker does not have; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<usize>,
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
        let video = video(store, batch, &states).await?;
        let results = batch.manifest.jobs.iter().zip(states);
        let results = results.map(|(entry, state)| ResultStatus {
            job: entry.job,
            name: entry.name.clone(),
            state,
        });
        Ok(Self {
            states: Some(counts),
            video,
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
            video: None,
            jobs: None,
            lost: None,
        }
    }
}

/// How far the video is that a batch makes, if it makes one: what the store has of each chunk, and
/// for the time that is left how long the latest ones took.
async fn video(
    store: &dyn Store,
    batch: &Batch,
    states: &[State],
) -> Result<Option<VideoStatus>, StoreError> {
    let entries = &batch.manifest.jobs;
    if entries.iter().all(|entry| frames::of(&entry.labels) == 0) {
        return Ok(None);
    }
    let chunks = entries.iter().zip(states);
    let done = chunks
        .clone()
        .rev()
        .filter(|(_, state)| **state == State::Done);
    let latest: Vec<_> = done.map(|(entry, _)| entry).take(LATEST).collect();
    let pace = pace(store, &latest).await?;
    let now = millis(SystemTime::now());
    let chunk = async |entry: &ManifestEntry, state: State| {
        let start = match state {
            State::Running => start(store, &entry.job).await?,
            _ => None,
        };
        let stay = |start: Start| Stay {
            seconds: now.saturating_sub(start.unix_millis) as f64 / 1000.0,
            done: 0,
            seconds_left: None,
        };
        Ok::<_, StoreError>(Chunk {
            frames: frames::of(&entry.labels),
            state,
            stay: start.map(stay),
        })
    };
    let chunks = stream::iter(chunks).map(|(entry, state)| chunk(entry, *state));
    let chunks: Vec<_> = chunks.buffered(AT_ONCE).try_collect().await?;
    Ok(VideoStatus::of(chunks.into_iter(), pace))
}

/// How many seconds a worker took for a frame of these chunks; none if nothing tells.
async fn pace(store: &dyn Store, chunks: &[&ManifestEntry]) -> Result<Option<f64>, StoreError> {
    let (mut frames, mut seconds) = (0, 0.0);
    for entry in chunks {
        if let Some(record) = readable(state::record(store, &entry.job).await)? {
            frames += frames::of(&entry.labels);
            seconds += record.seconds;
        }
    }
    Ok((frames > 0).then(|| seconds / frames as f64))
}

/// When a worker began a job, if one is at it.
async fn start(store: &dyn Store, job: &JobId) -> Result<Option<Start>, StoreError> {
    readable(documents::read(store, &keys::started(job)).await)
}

/// A document, or none where it is damaged: an estimate does without.
fn readable<T>(read: Result<Option<T>, DocumentError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(read),
        Err(DocumentError::Store(error)) => Err(error),
        Err(DocumentError::Damaged { .. }) => Ok(None),
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
    use stylefleet_proto::{Accepted, Labels, Manifest, SubmitId, testing};
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
    async fn the_store_says_how_far_a_video_is() {
        let store = MemoryStore::default();
        let entry = |number| ManifestEntry {
            job: job(number),
            name: format!("clip/{number}").parse().expect("a name"),
            kind: None,
            labels: Labels::default().with(frames::LABEL, "10"),
        };
        let name: BatchId = "clip".parse().expect("a batch");
        let asked = Manifest {
            batch: name.clone(),
            jobs: (1..=3).map(entry).collect(),
            unix_seconds: 1,
        };
        let submit = batch::new_submit();
        batch::record(&store, asked, &submit)
            .await
            .expect("records");
        let read = async || {
            let batch = Batch::open(&store, &name).await.expect("opens");
            let status = BatchStatus::read(&store, &batch, false).await;
            status.expect("reads").video.expect("is a video")
        };
        let none = VideoStatus {
            total: 30,
            ..VideoStatus::default()
        };
        assert_eq!(read().await, none);

        let record = Record {
            seconds: 500.0,
            ..testing::record(job(1), b"a chunk")
        };
        let start = Start {
            job: job(2),
            worker: "w".to_owned(),
            attempt: 1,
            steps: 0,
            deaths: 0,
            unix_millis: millis(SystemTime::now()) - 100_000,
            exit_reason: None,
            asked: None,
        };
        let written = documents::write(&store, &keys::result(&job(1)), &record).await;
        written.expect("writes");
        let written = documents::write(&store, &keys::started(&job(2)), &start).await;
        written.expect("writes");
        let status = read().await;
        assert_eq!((status.done, status.total, status.workers), (10, 30, 1));
        let left = status.seconds_left.expect("is estimated");
        // 50 seconds a frame: 400 of the chunk that was begun, and 500 of the one that waits.
        assert!((890.0..=900.0).contains(&left), "{left}");
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
