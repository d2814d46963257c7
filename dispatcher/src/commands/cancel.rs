//! `stylefleet cancel`: says that jobs are not wanted any more. Asks no broker: workers look for
//! the marker before a job and while they are at it.

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{JobId, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::batch::Batch;
use crate::commands::{CommandError, Ending, Target, open_store};
use crate::config::Settings;
use crate::output::{self, Line};
use crate::state::{self, AT_ONCE};

/// Arguments of `stylefleet cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// A batch, one of its pictures as BATCH/NAME, or a job's id
    pub target: Target,

    /// Print one JSON document: how many jobs were cancelled, and how many were over
    #[arg(long)]
    pub json: bool,
}

/// What became of the jobs.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Cancelled {
    /// Jobs that are not wanted any more.
    cancelled: usize,
    /// Jobs that were over already: done, failed or cancelled.
    over: usize,
}

/// Does what is asked.
pub async fn run(args: CancelArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let jobs = match &args.target {
        Target::Job(job) => vec![*job],
        Target::Batch(batch) => Batch::open(&*store, batch).await?.jobs(),
        Target::Picture(batch, name) => {
            vec![Batch::open(&*store, batch).await?.picture(name)?.job]
        }
    };
    let cancelled = cancel(&*store, jobs).await?;
    if args.json {
        output::document(&cancelled);
    } else {
        let Cancelled { cancelled, over } = cancelled;
        Line::Result(format!("{cancelled} jobs cancelled, {over} were over")).print();
    }
    Ok(Ending::AllDone)
}

async fn cancel(store: &dyn Store, jobs: Vec<JobId>) -> Result<Cancelled, StoreError> {
    let ends = state::ends(store, &jobs).await?;
    let open: Vec<_> = jobs.iter().filter(|job| !ends.contains_key(job)).collect();
    stream::iter(open.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |job| async move {
            store.put(&keys::cancelled(job), Bytes::new()).await
        })
        .await?;
    Ok(Cancelled {
        cancelled: open.len(),
        over: jobs.len() - open.len(),
    })
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn what_is_over_stays_as_it_is() {
        let store = MemoryStore::default();
        let job = |number: u8| format!("{number:064x}").parse().expect("an id");
        let (done, open): (JobId, JobId) = (job(1), job(2));
        let put = store.put(&keys::result(&done), Bytes::from("{}")).await;
        put.expect("writes");
        let count = |cancelled, over| Cancelled { cancelled, over };
        for counted in [count(1, 1), count(0, 2)] {
            let cancelled = cancel(&store, vec![done, open]).await;
            assert_eq!(cancelled.expect("cancels"), counted);
        }
        let is_marked = async |job| store.contains(&keys::cancelled(&job)).await.expect("looks");
        assert!(is_marked(open).await);
        assert!(!is_marked(done).await);
    }
}
