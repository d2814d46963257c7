//! Jobs that were set aside, and what people decide about them: the documents of
//! `stylefleet dead --json`.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use stylefleet_proto::{BatchId, JobId, Name, Role};
use stylefleet_transport::broker::{BrokerError, DeadLetter, DeadLetters, DispatcherEnd};
use stylefleet_transport::store::{Store, StoreError};

use crate::state::{self, End};

/// Digits of an id that name it at least.
const SHORTEST: usize = 6;

/// Why nothing can be done about a dead job.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// None has that id.
    #[error("no job with id {0} was set aside: `stylefleet dead list` shows those that were")]
    None(String),
    /// More than one has it.
    #[error("{0} is the beginning of several ids: give more of its digits")]
    Several(String),
    /// It says too little.
    #[error("\"{0}\" is no id: give at least its first {SHORTEST} digits")]
    Short(String),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeadError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::None(_) | Self::Several(_) | Self::Short(_) => false,
            Self::Broker(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
        }
    }
}

/// All dead jobs: `stylefleet dead list --json`.
#[derive(Debug, Serialize)]
pub struct DeadList<'a> {
    /// In the order in which they were first set aside.
    pub dead: &'a [DeadJob],
}

/// The dead letters of one id: `stylefleet dead show --json`. The same job may have been set aside
/// more than once.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeadJob {
    /// The job's id, or the digest of a message that is no job.
    pub id: String,
    /// Absent where the message is no job; such a one can only be dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub batch: Option<BatchId>,
    /// What its result is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
    /// The file names of its inputs, by role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub inputs: Option<BTreeMap<Role, Name>>,
    /// The attempt after which it was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Why, the last time.
    pub reason: String,
    /// What became of it since; absent: nothing, it waits for a decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// The worker that set it aside.
    pub worker: Option<String>,
    /// When, the last time: seconds since 1970-01-01 UTC; 0: unknown.
    pub unix_seconds: u64,
    /// Bytes of the message.
    pub bytes: usize,
    /// How many messages there are.
    pub letters: usize,
    /// Where they are among all letters.
    #[serde(skip)]
    places: Vec<usize>,
    #[serde(skip)]
    job: Option<JobId>,
}

/// What became of a job after it was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// Its result is in the store.
    Done,
    /// It is not wanted any more.
    Cancelled,
    /// Its failure was forgotten, and it is with the broker once more.
    HandedInAgain,
}

/// What was decided: `stylefleet dead retry --json` and `drop --json`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Decided {
    /// Jobs that were submitted again.
    pub retried: usize,
    /// Jobs that were removed.
    pub dropped: usize,
    /// Messages that are no jobs, and so were not retried.
    pub passed_over: usize,
}

/// Which dead jobs are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All.
    All,
    /// All of a batch.
    Batch(BatchId),
    /// Those of these ids, or of ids that begin so.
    Ids(Vec<String>),
}

/// The dead jobs, taken from the broker until this is closed.
pub struct DeadJobs {
    letters: Box<dyn DeadLetters>,
    jobs: Vec<DeadJob>,
}

impl DeadJobs {
    /// Takes all dead letters, and asks the store what became of their jobs since.
    pub async fn take(broker: &dyn DispatcherEnd, store: &dyn Store) -> Result<Self, DeadError> {
        let letters = broker.dead_letters().await?;
        let mut jobs = gather(letters.letters());
        look_up(store, &mut jobs).await?;
        Ok(Self { letters, jobs })
    }

    /// All of them.
    pub fn list(&self) -> DeadList<'_> {
        DeadList { dead: &self.jobs }
    }

    /// The one whose id begins so.
    pub fn find(&self, id: &str) -> Result<&DeadJob, DeadError> {
        if id.len() < SHORTEST {
            return Err(DeadError::Short(id.to_owned()));
        }
        let mut found = self.jobs.iter().filter(|dead| dead.id.starts_with(id));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(DeadError::None(id.to_owned())),
            (Some(_), Some(_)) => Err(DeadError::Several(id.to_owned())),
        }
    }

    /// Those that are meant, each once.
    pub fn choose(&self, choice: &Choice) -> Result<Vec<DeadJob>, DeadError> {
        let ids = match choice {
            Choice::All => return Ok(self.jobs.clone()),
            Choice::Batch(batch) => {
                let is_meant = |dead: &&DeadJob| dead.batch.as_ref() == Some(batch);
                return Ok(self.jobs.iter().filter(is_meant).cloned().collect());
            }
            Choice::Ids(ids) => ids,
        };
        let mut chosen: Vec<DeadJob> = Vec::new();
        for id in ids {
            let one = self.find(id)?;
            if !chosen.iter().any(|other| other.id == one.id) {
                chosen.push(one.clone());
            }
        }
        Ok(chosen)
    }

    /// Submits those again that are not done, and drops those that are. The mark that a job failed
    /// goes first: whatever happens next, the letter is still there, and the job can be retried
    /// once more.
    pub async fn retry(
        &mut self,
        chosen: &[DeadJob],
        store: &dyn Store,
    ) -> Result<Decided, DeadError> {
        let mut decided = Decided::default();
        for dead in chosen {
            let (Some(job), Some((first, others))) = (dead.job, dead.places.split_first()) else {
                decided.passed_over += 1;
                continue;
            };
            if dead.since == Some(Since::Done) {
                self.discard_letters(&dead.places).await?;
                decided.dropped += 1;
                continue;
            }
            state::revive(store, &job).await?;
            self.letters.retry(*first).await?;
            self.discard_letters(others).await?;
            decided.retried += 1;
        }
        Ok(decided)
    }

    /// Removes them for good.
    pub async fn discard(&mut self, chosen: &[DeadJob]) -> Result<Decided, DeadError> {
        let mut decided = Decided::default();
        for dead in chosen {
            self.discard_letters(&dead.places).await?;
            decided.dropped += 1;
        }
        Ok(decided)
    }

    /// Gives back those that were neither retried nor discarded.
    pub async fn close(self) -> Result<(), DeadError> {
        Ok(self.letters.close().await?)
    }

    async fn discard_letters(&mut self, places: &[usize]) -> Result<(), BrokerError> {
        for place in places {
            self.letters.discard(*place).await?;
        }
        Ok(())
    }
}

/// Asks the store what became of the jobs since.
async fn look_up(store: &dyn Store, dead: &mut [DeadJob]) -> Result<(), StoreError> {
    let jobs: Vec<_> = dead.iter().filter_map(|dead| dead.job).collect();
    let ends = state::ends(store, &jobs).await?;
    for dead in dead {
        let Some(job) = dead.job else { continue };
        dead.since = match ends.get(&job) {
            Some(End::Done) => Some(Since::Done),
            Some(End::Cancelled) => Some(Since::Cancelled),
            None => Some(Since::HandedInAgain),
            Some(End::Failed) => None,
        };
    }
    Ok(())
}

/// The letters by id, in the order in which they first came.
fn gather(letters: &[DeadLetter]) -> Vec<DeadJob> {
    let mut dead: Vec<DeadJob> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (place, letter) in letters.iter().enumerate() {
        let index = *known.entry(&letter.id).or_insert(dead.len());
        let mut places = match dead.get_mut(index) {
            Some(earlier) => std::mem::take(&mut earlier.places),
            None => Vec::new(),
        };
        places.push(place);
        let latest = DeadJob::new(letter, places);
        match dead.get_mut(index) {
            Some(earlier) => *earlier = latest,
            None => dead.push(latest),
        }
    }
    dead
}

impl DeadJob {
    fn new(letter: &DeadLetter, places: Vec<usize>) -> Self {
        let job = letter.job.as_ref();
        Self {
            id: letter.id.clone(),
            batch: job.map(|job| job.batch.clone()),
            name: job.map(|job| job.name.clone()),
            inputs: job.map(|job| {
                let inputs = job.inputs.iter();
                inputs
                    .map(|input| (input.role.clone(), input.name.clone()))
                    .collect()
            }),
            attempt: job.map(|job| job.attempt),
            reason: letter.reason.clone(),
            since: None,
            worker: letter.worker.clone(),
            unix_seconds: letter.unix_seconds,
            bytes: letter.bytes,
            letters: places.len(),
            places,
            job: job.map(|job| job.id),
        }
    }
}

impl Since {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::HandedInAgain => "handed in again",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stylefleet_proto::{Ended, Event, Job, keys};
    use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
    use stylefleet_transport::store::MemoryStore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::samples::job;

    /// A store and a broker whose worker has set jobs aside.
    struct Scene {
        store: MemoryStore,
        broker: MemoryBroker,
    }

    impl Scene {
        async fn with(jobs: &[Job]) -> Self {
            let scene = Self {
                store: MemoryStore::default(),
                broker: MemoryBroker::default(),
            };
            let submitted = scene.broker.submit(jobs, &mut |_| {}).await;
            submitted.expect("submits");
            for job in jobs {
                scene.mark(keys::failed(&job.id)).await;
                let claim = scene.broker.claim(&CancellationToken::new()).await;
                let claim = claim.expect("claims").expect("a job");
                let failed = Event {
                    job: claim.job.id,
                    worker: "worker".to_owned(),
                    attempt: claim.job.attempt,
                    unix_millis: 7000,
                    kind: Ended::Failed {
                        retryable: false,
                        reason: "it is so".to_owned(),
                    },
                };
                let settled = scene.broker.settle(claim, failed).await;
                settled.expect("settles");
            }
            scene
        }

        async fn mark(&self, key: String) {
            self.store.put(&key, Bytes::new()).await.expect("writes");
        }

        async fn take(&self) -> DeadJobs {
            let taken = DeadJobs::take(&self.broker, &self.store).await;
            taken.expect("takes")
        }

        async fn waiting(&self) -> u32 {
            self.broker.depths().await.expect("looks").waiting()
        }
    }

    #[tokio::test]
    async fn what_is_done_since_is_not_retried() {
        let jobs = [job(1), job(2), job(1)];
        let scene = Scene::with(&jobs).await;
        scene.mark(keys::result(&jobs[1].id)).await;
        let mut dead = scene.take().await;
        let found = dead.list().dead.iter();
        let found: Vec<_> = found.map(|dead| (dead.since, dead.letters)).collect();
        assert_eq!(found, [(None, 2), (Some(Since::Done), 1)]);
        let chosen = dead.choose(&Choice::All).expect("chooses");
        let decided = dead.retry(&chosen, &scene.store).await.expect("retries");
        let expected = Decided {
            retried: 1,
            dropped: 1,
            passed_over: 0,
        };
        assert_eq!(decided, expected);
        dead.close().await.expect("gives back");
        assert_eq!(scene.waiting().await, 1);
        assert!(scene.take().await.list().dead.is_empty());
        let over = state::end(&scene.store, &jobs[0].id).await;
        assert_eq!(over.expect("looks"), None, "it is wanted again");
    }

    #[tokio::test]
    async fn what_is_not_chosen_stays() {
        let jobs = [job(1), job(2)];
        let scene = Scene::with(&jobs).await;
        let mut dead = scene.take().await;
        let id = jobs[0].id.to_string();
        let twice = Choice::Ids(vec![id[..SHORTEST].to_owned(), id]);
        let chosen = dead.choose(&twice).expect("chooses");
        assert_eq!(chosen.len(), 1);
        let decided = dead.discard(&chosen).await.expect("drops");
        assert_eq!(decided.dropped, 1);
        for unknown in ["0123456789", "0123", ""] {
            assert!(dead.find(unknown).is_err(), "{unknown:?}");
        }
        let other = Choice::Batch("other".parse().expect("a batch"));
        assert_eq!(dead.choose(&other).expect("chooses").len(), 0);
        dead.close().await.expect("gives back");
        assert_eq!(scene.waiting().await, 0);
        let left = scene.take().await;
        let left: Vec<_> = left
            .list()
            .dead
            .iter()
            .map(|dead| dead.id.clone())
            .collect();
        assert_eq!(left, [jobs[1].id.to_string()]);
    }
}
