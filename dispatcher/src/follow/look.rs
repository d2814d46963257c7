//! Looks into the store for the ends of jobs.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use stylefleet_fleet::documents::DocumentError;
use stylefleet_fleet::state::{self, AT_ONCE, Over};
use stylefleet_proto::{Ended, Event, JobId, Record};
use stylefleet_transport::broker::DispatcherEnd;
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What a look into the store came to.
pub enum Look {
    /// Nothing new.
    Nothing,
    /// A job is over.
    Over(JobId, End),
    /// A worker says that a job is over, and the store has nothing of it.
    Absent(Event<Ended>),
    /// All jobs were looked at, which took so long. So many are with nobody.
    Swept { took: Duration, lost: usize },
    /// The store did not answer.
    Trouble(StoreError),
}

/// How a job ended.
pub enum End {
    /// Its picture is in the store.
    Done(Box<Record>),
    /// It was given up.
    Failed { reason: String, attempts: u32 },
    /// It is not wanted any more.
    Cancelled,
}

/// Looks for the ends of all these jobs; `broker` may know how many wait.
pub async fn sweep(
    store: Arc<dyn Store>,
    broker: Option<Arc<dyn DispatcherEnd>>,
    jobs: Vec<JobId>,
    finds: mpsc::Sender<Look>,
) {
    let begun = Instant::now();
    let mut open: HashSet<_> = jobs.iter().copied().collect();
    let mut sweep = pin!(state::sweep(&*store, &jobs));
    while let Some(ends) = sweep.next().await {
        let ends = match ends {
            Ok(ends) => ends,
            Err(error) => {
                // A follower that is gone has no use for what is found.
                let _ = finds.send(Look::Trouble(error)).await;
                continue;
            }
        };
        open.retain(|job| !ends.contains_key(job));
        let looks = stream::iter(ends).map(|(job, over)| end(&*store, job, over));
        let mut looks = pin!(looks.buffer_unordered(AT_ONCE));
        while let Some(look) = looks.next().await {
            let _ = finds.send(look).await;
        }
    }
    let took = begun.elapsed();
    let lost = match broker {
        Some(broker) => lost(&*store, &*broker, open).await,
        None => 0,
    };
    let _ = finds.send(Look::Swept { took, lost }).await;
}

/// Looks for the end of a job where a worker says that it came; `is_news`: it did so just now.
pub async fn one(store: Arc<dyn Store>, event: Event<Ended>, is_news: bool) -> Look {
    match state::over(&*store, &event.job).await {
        Ok(Some(over)) => end(&*store, event.job, over).await,
        Ok(None) if is_news => Look::Absent(event),
        Ok(None) => Look::Nothing,
        Err(error) => Look::Trouble(error),
    }
}

/// Reads how a job ended that did. One whose documents are no use has failed.
async fn end(store: &dyn Store, job: JobId, over: Over) -> Look {
    let end = match over {
        Over::Done => state::record(store, &job)
            .await
            .map(|record| record.map(|record| End::Done(record.into()))),
        Over::Failed => state::failure(store, &job).await.map(|failure| {
            failure.map(|failure| End::Failed {
                reason: failure.reason,
                attempts: failure.attempts,
            })
        }),
        Over::Cancelled => Ok(Some(End::Cancelled)),
    };
    match end {
        Ok(Some(end)) => Look::Over(job, end),
        // Asked for anew in this very moment.
        Ok(None) => Look::Nothing,
        Err(DocumentError::Store(error)) => Look::Trouble(error),
        Err(damaged @ DocumentError::Damaged { .. }) => Look::Over(
            job,
            End::Failed {
                reason: damaged.to_string(),
                attempts: 0,
            },
        ),
    }
}

/// How many of these open jobs nobody has: no worker is at them, and the broker has fewer waiting.
/// Of trouble the next look tells.
async fn lost(store: &dyn Store, broker: &dyn DispatcherEnd, open: HashSet<JobId>) -> usize {
    let open: Vec<_> = open.into_iter().collect();
    match (broker.depths().await, state::started(store, &open).await) {
        (Ok(depths), Ok(started)) => {
            stylefleet_fleet::lost::count(open.len() - started.len(), &depths)
        }
        _ => 0,
    }
}
