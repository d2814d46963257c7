//! What has become of jobs, by what lies in the store: the truth, with the broker gone too.

use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{Failure, JobId, Record, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::documents::{self, DocumentError, damaged};

/// Jobs that the store is asked about at once.
pub const AT_ONCE: usize = 32;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its picture is in the store.
    Done,
    /// It was given up.
    Failed,
    /// It is not wanted any more.
    Cancelled,
}

/// What has become of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its picture is in the store.
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

impl From<Over> for State {
    fn from(over: Over) -> Self {
        match over {
            Over::Done => Self::Done,
            Over::Failed => Self::Failed,
            Over::Cancelled => Self::Cancelled,
        }
    }
}

/// How a job ended, if it did. A result counts more than whatever else was said of the job.
pub async fn over(store: &dyn Store, job: &JobId) -> Result<Option<Over>, StoreError> {
    Ok(if store.contains(&keys::result(job)).await? {
        Some(Over::Done)
    } else if store.contains(&keys::failed(job)).await? {
        Some(Over::Failed)
    } else if store.contains(&keys::cancelled(job)).await? {
        Some(Over::Cancelled)
    } else {
        None
    })
}

/// What has become of a job that the broker took, or did not, if that is known.
pub async fn of(
    store: &dyn Store,
    job: &JobId,
    accepted: Option<bool>,
) -> Result<State, StoreError> {
    Ok(match over(store, job).await? {
        Some(over) => over.into(),
        None if store.contains(&keys::started(job)).await? => State::Running,
        None if store.contains(&keys::checkpoint(job)).await? => State::Stopped,
        None => match accepted {
            Some(true) => State::Waiting,
            Some(false) => State::NotAccepted,
            None => State::Unknown,
        },
    })
}

/// Makes a job that was given up wanted again.
pub async fn revive(store: &dyn Store, job: &JobId) -> Result<(), StoreError> {
    store.delete(&keys::failed(job)).await?;
    store.delete(&keys::cancelled(job)).await
}

/// How jobs ended that did, as the answers come.
pub fn sweep<'a>(
    store: &'a dyn Store,
    jobs: impl IntoIterator<Item = JobId> + 'a,
) -> impl Stream<Item = Result<(JobId, Option<Over>), StoreError>> + 'a {
    stream::iter(jobs)
        .map(move |job| async move { Ok((job, over(store, &job).await?)) })
        .buffer_unordered(AT_ONCE)
}

/// The record of a finished job; none if it is not finished.
pub async fn record(store: &dyn Store, job: &JobId) -> Result<Option<Record>, DocumentError> {
    let key = keys::result(job);
    match documents::read::<Record>(store, &key).await? {
        Some(record) if record.job != *job => {
            let reason = format!("it is of job {}", record.job);
            Err(damaged(store, &key, reason))
        }
        Some(record) if !keys::is_picture(job, &record.picture) => {
            let reason = format!("\"{}\" is no place for its picture", record.picture);
            Err(damaged(store, &key, reason))
        }
        record => Ok(record),
    }
}

/// Why a job was given up; none if it was not.
pub async fn failure(store: &dyn Store, job: &JobId) -> Result<Option<Failure>, DocumentError> {
    documents::read(store, &keys::failed(job)).await
}
