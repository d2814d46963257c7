//! Submits jobs. Done again, it does only what is missing.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{Accepted, BatchId, Job, JobId, Manifest, SubmitId, keys};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::{self, Store, StoreError};

use crate::batch::{self, BatchError};
use crate::documents::{self, DocumentError};
use crate::lost;
use crate::state::{self, AT_ONCE, End};

/// Jobs that are published together.
const CHUNK: usize = 1000;
/// How often at most it is written down which jobs the broker has. One that was not written down
/// is published again by the next submit, which is no harm.
const PAUSE: Duration = Duration::from_secs(5);

/// What became of the jobs submitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Submitted {
    /// The broker took them.
    pub accepted: usize,
    /// It had taken them before, and they are not over.
    pub pending: usize,
    /// They were done before.
    pub done: usize,
}

/// Why jobs cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The batch cannot be recorded.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A document cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker cannot say what it has.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Some jobs are with the broker, some are not.
    #[error("{accepted} of {asked} jobs were accepted: {source}: run the same command again")]
    HalfSubmitted {
        /// What the broker has.
        accepted: usize,
        /// What it should have.
        asked: usize,
        /// What came in the way.
        source: BrokerError,
    },
}

impl SubmitError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Batch(error) => error.is_retryable(),
            Self::Document(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::Broker(error) | Self::HalfSubmitted { source: error, .. } => error.is_retryable(),
        }
    }
}

/// Records what a submit asks for, publishes its jobs, and writes down which of them the broker
/// took. Leaves out those that are done or with the broker; `again`: only those that are done. The
/// jobs are traced as parts of this.
#[tracing::instrument(
    name = "publish",
    skip_all,
    fields(otel.kind = "producer", batch = %asked.batch, jobs = jobs.len())
)]
pub async fn submit(
    store: &dyn Store,
    broker: &dyn DispatcherEnd,
    asked: Manifest,
    mut jobs: Vec<Job>,
    again: bool,
) -> Result<Submitted, SubmitError> {
    if jobs.is_empty() {
        return Ok(Submitted::default());
    }
    let identity = store::establish_identity(store).await?;
    let trace = stylefleet_telemetry::current();
    for job in &mut jobs {
        job.store = Some(identity);
        job.trace = trace.clone();
    }
    let id = batch::new_submit();
    let known = batch::record(store, asked, &id).await?;
    let mut submission = Submission {
        store,
        broker,
        batch: &known.manifest.batch,
        id,
        known: &known.accepted,
        accepted: Accepted::default(),
        written: Instant::now(),
    };
    submission.run(&jobs, again).await
}

/// A submit under way.
struct Submission<'a> {
    store: &'a dyn Store,
    broker: &'a dyn DispatcherEnd,
    batch: &'a BatchId,
    id: SubmitId,
    /// What the broker took before.
    known: &'a Accepted,
    /// What it took of this submit.
    accepted: Accepted,
    /// When that was last written down.
    written: Instant,
}

/// Jobs by what is to be done about them.
#[derive(Default)]
struct Sorted {
    done: usize,
    /// Given up: to be wanted again, and submitted.
    given_up: HashSet<JobId>,
    /// With the broker, as far as is known.
    pending: Vec<Job>,
    /// To be submitted.
    wanted: Vec<Job>,
}

impl Submission<'_> {
    async fn run(&mut self, jobs: &[Job], again: bool) -> Result<Submitted, SubmitError> {
        let mut sorted = self.sort(jobs, again).await?;
        let lost = self.lost(&mut sorted.pending).await?;
        sorted.wanted.extend(lost);
        self.revive(&sorted.given_up).await?;
        let mut submitted = Submitted {
            accepted: 0,
            pending: sorted.pending.len(),
            done: sorted.done,
        };
        for chunk in sorted.wanted.chunks(CHUNK) {
            let published = self.publish(chunk, &mut submitted.accepted).await;
            if published.is_err() || self.written.elapsed() > PAUSE {
                self.write_down().await?;
            }
            published.map_err(|source| SubmitError::HalfSubmitted {
                accepted: submitted.accepted + submitted.pending + submitted.done,
                asked: jobs.len(),
                source,
            })?;
        }
        self.write_down().await?;
        Ok(submitted)
    }

    async fn sort(&self, jobs: &[Job], again: bool) -> Result<Sorted, SubmitError> {
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let mut ends = state::ends(self.store, &ids).await?;
        if again {
            for job in self.without_record(&ends).await? {
                ends.remove(&job);
            }
        }
        let mut sorted = Sorted::default();
        for job in jobs {
            match ends.get(&job.id) {
                Some(End::Done) => sorted.done += 1,
                Some(End::Failed | End::Cancelled) => {
                    sorted.given_up.insert(job.id);
                    sorted.wanted.push(job.clone());
                }
                None if !again && self.known.jobs.contains(&job.id) => {
                    sorted.pending.push(job.clone());
                }
                None => sorted.wanted.push(job.clone()),
            }
        }
        Ok(sorted)
    }

    /// Those of the done jobs whose results cannot be used: a worker makes them anew.
    async fn without_record(&self, ends: &HashMap<JobId, End>) -> Result<Vec<JobId>, SubmitError> {
        let done = ends.iter().filter(|(_, end)| **end == End::Done);
        let done: Vec<JobId> = done.map(|(job, _)| *job).collect();
        let look = |job| async move {
            match state::record(self.store, &job).await {
                Err(DocumentError::Store(error)) => Err(error),
                Ok(Some(_)) => Ok(None),
                Ok(None) | Err(DocumentError::Damaged { .. }) => Ok(Some(job)),
            }
        };
        let looks: Vec<_> = stream::iter(done)
            .map(look)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(looks.into_iter().flatten().collect())
    }

    /// Takes those jobs out of `pending` that no worker is at, where the broker has fewer waiting:
    /// somebody purged its queues, or set them up anew. To submit what it still has does no harm.
    async fn lost(&self, pending: &mut Vec<Job>) -> Result<Vec<Job>, SubmitError> {
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = pending.iter().map(|job| job.id).collect();
        let started = state::started(self.store, &ids).await?;
        let idle = ids.len() - started.len();
        if lost::count(idle, &self.broker.depths().await?) == 0 {
            return Ok(Vec::new());
        }
        Ok(pending
            .extract_if(.., |job| !started.contains(&job.id))
            .collect())
    }

    /// Makes jobs that were given up wanted again. That they are with the broker is forgotten
    /// first: whatever happens next, another submit has them published.
    async fn revive(&mut self, jobs: &HashSet<JobId>) -> Result<(), SubmitError> {
        if self.known.jobs.iter().any(|job| jobs.contains(job)) {
            batch::forget(self.store, self.batch, jobs).await?;
        }
        stream::iter(jobs.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |job| state::revive(self.store, job))
            .await?;
        Ok(())
    }

    async fn publish(&mut self, jobs: &[Job], count: &mut usize) -> Result<(), BrokerError> {
        let accepted = &mut self.accepted.jobs;
        self.broker
            .submit(jobs, &mut |job| {
                accepted.insert(job);
                *count += 1;
            })
            .await
    }

    async fn write_down(&mut self) -> Result<(), SubmitError> {
        if !self.accepted.jobs.is_empty() {
            let key = keys::accepted(self.batch, &self.id);
            documents::write(self.store, &key, &self.accepted).await?;
        }
        self.written = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {

    use bytes::Bytes;
    use stylefleet_proto::{Labels, ManifestEntry, testing};
    use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
    use stylefleet_transport::store::MemoryStore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::batch::Batch;
    use crate::samples::job;

    /// A fleet of one process, and a batch of three jobs.
    struct Scene {
        store: MemoryStore,
        broker: MemoryBroker,
        batch: BatchId,
        jobs: Vec<Job>,
    }

    impl Scene {
        fn new() -> Self {
            let jobs: Vec<_> = (1..=3).map(job).collect();
            Self {
                batch: jobs[0].batch.clone(),
                jobs,
                store: MemoryStore::default(),
                broker: MemoryBroker::default(),
            }
        }

        async fn submit(&self, again: bool) -> Submitted {
            let entry = |job: &Job| ManifestEntry {
                job: job.id,
                name: job.name.clone(),
                kind: None,
                labels: Labels::default(),
            };
            let asked = Manifest {
                batch: self.batch.clone(),
                jobs: self.jobs.iter().map(entry).collect(),
                unix_seconds: 1,
            };
            let jobs = self.jobs.clone();
            let submitted = submit(&self.store, &self.broker, asked, jobs, again).await;
            submitted.expect("submits")
        }

        async fn mark(&self, key: String) {
            self.store.put(&key, Bytes::new()).await.expect("writes");
        }

        /// What workers can have, which is taken from the queue for good.
        async fn queued(&self) -> Vec<JobId> {
            let mut queued = Vec::new();
            let stop = CancellationToken::new();
            loop {
                let claim = tokio::select! {
                    biased;
                    claim = self.broker.claim(&stop) => claim.expect("claims"),
                    () = tokio::task::yield_now() => return queued,
                };
                let claim = claim.expect("not stopped");
                queued.push(claim.job.id);
                // Never dropped: a claim that is goes back.
                std::mem::forget(claim);
            }
        }
    }

    fn count(accepted: usize, pending: usize, done: usize) -> Submitted {
        Submitted {
            accepted,
            pending,
            done,
        }
    }

    #[tokio::test]
    async fn submitting_again_doubles_nothing() {
        let scene = Scene::new();
        let ids: Vec<_> = scene.jobs.iter().map(|job| job.id).collect();
        assert_eq!(scene.submit(false).await, count(3, 0, 0));
        assert_eq!(scene.queued().await, ids);
        let batch = Batch::open(&scene.store, &scene.batch).await;
        let accepted = batch.expect("opens").accepted.jobs;
        assert_eq!(accepted, ids.iter().copied().collect());

        let result = keys::result(&ids[0]);
        let written = documents::write(&scene.store, &result, &testing::record(ids[0], b"")).await;
        written.expect("writes");
        for job in &ids[1..] {
            scene.mark(keys::started(job)).await;
        }
        assert_eq!(scene.submit(false).await, count(0, 2, 1));
        assert_eq!(scene.queued().await, []);
        assert_eq!(scene.submit(true).await, count(2, 0, 1), "--again");
        assert_eq!(scene.queued().await, ids[1..]);

        // A damaged result passes for one unless it is looked at.
        scene.mark(result).await;
        assert_eq!(scene.submit(false).await, count(0, 2, 1));
        assert_eq!(scene.submit(true).await, count(3, 0, 0), "--again");
        assert_eq!(scene.queued().await, ids);
    }

    #[tokio::test]
    async fn what_the_broker_lost_is_submitted_again() {
        let scene = Scene::new();
        let ids: Vec<_> = scene.jobs.iter().map(|job| job.id).collect();
        scene.submit(false).await;
        assert_eq!(scene.submit(false).await, count(0, 3, 0), "it has them all");
        scene.queued().await;
        scene.mark(keys::started(&ids[0])).await;
        // One is at work; the others are gone.
        assert_eq!(scene.submit(false).await, count(2, 1, 0));
        assert_eq!(scene.queued().await, ids[1..]);
    }

    #[tokio::test]
    async fn jobs_that_were_given_up_are_wanted_again() {
        let scene = Scene::new();
        scene.submit(false).await;
        scene.queued().await;
        let (failed, cancelled) = (scene.jobs[0].id, scene.jobs[2].id);
        scene.mark(keys::failed(&failed)).await;
        scene.mark(keys::cancelled(&cancelled)).await;
        scene.mark(keys::started(&scene.jobs[1].id)).await;
        assert_eq!(scene.submit(false).await, count(2, 1, 0));
        assert_eq!(scene.queued().await, [failed, cancelled]);
        for job in [failed, cancelled] {
            let end = state::end(&scene.store, &job).await.expect("looks");
            assert_eq!(end, None);
        }
    }
}
