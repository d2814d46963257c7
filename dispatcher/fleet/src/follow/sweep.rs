//! Looks into the store for the ends of jobs.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use stylefleet_proto::{Ended, Event, JobId};
use stylefleet_transport::broker::DispatcherEnd;
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::lost;
use crate::state::{self, AT_ONCE, End, Outcome};

/// What a look into the store came to.
pub enum Look {
    /// Nothing new.
    Nothing,
    /// A job is over.
    Over(JobId, Outcome),
    /// A worker says that a job is over, and the store has nothing of it.
    Absent(Event<Ended>),
    /// All jobs were looked at, which took so long. So many are with nobody.
    Swept { took: Duration, lost: usize },
    /// The store did not answer.
    Trouble(StoreError),
}

/// Looks for the ends of all these jobs; `broker` may know how many wait.
pub async fn all(
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
        let looks = stream::iter(ends).map(|(job, end)| outcome(&*store, job, end));
        let mut looks = pin!(looks.buffer_unordered(AT_ONCE));
        while let Some(look) = looks.next().await {
            let _ = finds.send(look).await;
        }
    }
    let took = begun.elapsed();
    let lost = match broker {
        Some(broker) => {
            let open: Vec<_> = open.into_iter().collect();
            lost::among(&*store, &*broker, &open).await
        }
        None => 0,
    };
    let _ = finds.send(Look::Swept { took, lost }).await;
}

/// Looks for the end of a job where a worker says that it came; `is_news`: it did so just now.
pub async fn one(store: Arc<dyn Store>, event: Event<Ended>, is_news: bool) -> Look {
    match state::end(&*store, &event.job).await {
        Ok(Some(end)) => outcome(&*store, event.job, end).await,
        Ok(None) if is_news => Look::Absent(event),
        Ok(None) => Look::Nothing,
        Err(error) => Look::Trouble(error),
    }
}

async fn outcome(store: &dyn Store, job: JobId, end: End) -> Look {
    match state::outcome(store, job, end).await {
        Ok(Some(outcome)) => Look::Over(job, outcome),
        Ok(None) => Look::Nothing,
        Err(error) => Look::Trouble(error),
    }
}
