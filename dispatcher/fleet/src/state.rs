//! What has become of jobs, by what lies in the store: the truth, with the broker gone too.

use std::collections::{HashMap, HashSet};

use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{Failure, JobId, Record, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::documents::{self, DocumentError, damaged};

/// Requests to the store at once, where each job takes one.
pub const AT_ONCE: usize = 32;
/// Jobs that are looked at together: as many as a listing of S3 has on a page.
const TOGETHER: usize = 1000;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its result is in the store.
    Done,
    /// It was given up.
    Failed,
    /// It is not wanted any more.
    Cancelled,
}

/// How a job ended, with what the store says of that.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its result is in the store.
    Done(Box<Record>),
    /// It was given up.
    Failed(Failure),
    /// It is not wanted any more.
    Cancelled,
}

/// What has become of a job.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its result is in the store.
    Done,
    /// It was given up.
    Failed,
    /// It is not wanted any more.
    Cancelled,
    /// A worker is at it, or died over it.
    Running,
    /// It was begun, and goes on when its turn comes.
    Stopped,
    /// The broker has it.
    Waiting,
    /// The broker was never known to have it.
    NotAccepted,
    /// The store has nothing of it: it waits, or was never asked for.
    Unknown,
}

impl State {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::NotAccepted => "not accepted",
            Self::Unknown => "not begun, or never submitted",
        }
    }
}

impl From<End> for State {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::Done,
            End::Failed => Self::Failed,
            End::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&Outcome> for State {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) => Self::Done,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// How a job ended, if it did. A result counts more than whatever else was said of the job.
pub async fn end(store: &dyn Store, job: &JobId) -> Result<Option<End>, StoreError> {
    Ok(ends(store, &[*job]).await?.remove(job))
}

/// How those of the jobs ended that did.
pub async fn ends(store: &dyn Store, jobs: &[JobId]) -> Result<HashMap<JobId, End>, StoreError> {
    let (done, failed, cancelled) = tokio::try_join!(
        having(store, jobs, keys::result),
        having(store, jobs, keys::failed),
        having(store, jobs, keys::cancelled),
    )?;
    // The last word counts.
    let ended = [
        (cancelled, End::Cancelled),
        (failed, End::Failed),
        (done, End::Done),
    ];
    let ended = ended
        .into_iter()
        .flat_map(|(jobs, end)| jobs.into_iter().zip(std::iter::repeat(end)));
    Ok(ended.collect())
}

/// What has become of a job that the broker took, or did not, if that is known.
pub async fn of(
    store: &dyn Store,
    job: JobId,
    accepted: Option<bool>,
) -> Result<State, StoreError> {
    let states = of_all(store, &[(job, accepted)]).await?;
    Ok(states.first().copied().unwrap_or(State::Unknown))
}

/// The same of many jobs, in their order.
pub async fn of_all(
    store: &dyn Store,
    jobs: &[(JobId, Option<bool>)],
) -> Result<Vec<State>, StoreError> {
    let ids: Vec<_> = jobs.iter().map(|(job, _)| *job).collect();
    let (ends, started, begun) = tokio::try_join!(
        ends(store, &ids),
        having(store, &ids, keys::started),
        having(store, &ids, keys::checkpoint),
    )?;
    let state = |(job, accepted): &(JobId, Option<bool>)| match (ends.get(job), accepted) {
        (Some(end), _) => (*end).into(),
        _ if started.contains(job) => State::Running,
        _ if begun.contains(job) => State::Stopped,
        (None, Some(true)) => State::Waiting,
        (None, Some(false)) => State::NotAccepted,
        (None, None) => State::Unknown,
    };
    Ok(jobs.iter().map(state).collect())
}

/// Those of the jobs that a worker is at, or died over.
pub async fn started(store: &dyn Store, jobs: &[JobId]) -> Result<HashSet<JobId>, StoreError> {
    having(store, jobs, keys::started).await
}

/// Those of the jobs that have an object under this key.
async fn having(
    store: &dyn Store,
    jobs: &[JobId],
    key: fn(&JobId) -> String,
) -> Result<HashSet<JobId>, StoreError> {
    let keys: Vec<_> = jobs.iter().map(key).collect();
    let present = store.present(&keys).await?;
    let there = jobs.iter().zip(present).filter(|(_, present)| *present);
    Ok(there.map(|(job, _)| *job).collect())
}

/// Makes a job that was given up wanted again.
pub async fn revive(store: &dyn Store, job: &JobId) -> Result<(), StoreError> {
    store.delete(&keys::failed(job)).await?;
    store.delete(&keys::cancelled(job)).await
}

/// How jobs ended that did, as the answers come.
pub fn sweep(
    store: &dyn Store,
    jobs: &[JobId],
) -> impl Stream<Item = Result<HashMap<JobId, End>, StoreError>> {
    stream::iter(jobs.chunks(TOGETHER)).then(move |jobs| ends(store, jobs))
}

/// The record of a finished job; none if it is not finished.
pub async fn record(store: &dyn Store, job: &JobId) -> Result<Option<Record>, DocumentError> {
    let key = keys::result(job);
    match documents::read::<Record>(store, &key).await? {
        None => Ok(None),
        Some(record) => match record.check(job) {
            Ok(()) => Ok(Some(record)),
            Err(reason) => Err(damaged(store, &key, reason)),
        },
    }
}

/// Why a job was given up; none if it was not.
pub async fn failure(store: &dyn Store, job: &JobId) -> Result<Option<Failure>, DocumentError> {
    documents::read(store, &keys::failed(job)).await
}

/// What the store says of how a job ended; none where that is gone by now: somebody asked for the
/// job anew. A job whose documents cannot be used has failed.
pub async fn outcome(
    store: &dyn Store,
    job: JobId,
    end: End,
) -> Result<Option<Outcome>, StoreError> {
    let read = match end {
        End::Done => {
            let record = record(store, &job).await;
            record.map(|record| record.map(|record| Outcome::Done(record.into())))
        }
        End::Failed => {
            let failure = failure(store, &job).await;
            failure.map(|failure| failure.map(Outcome::Failed))
        }
        End::Cancelled => Ok(Some(Outcome::Cancelled)),
    };
    match read {
        Ok(outcome) => Ok(outcome),
        Err(DocumentError::Store(error)) => Err(error),
        Err(damaged @ DocumentError::Damaged { .. }) => Ok(Some(Outcome::Failed(Failure {
            job,
            reason: damaged.to_string(),
            attempts: 0,
        }))),
    }
}
