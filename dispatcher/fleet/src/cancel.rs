//! Cancels jobs. Needs no broker: workers look for the marker before a job and during it.

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{JobId, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::state::{self, AT_ONCE};

/// How many jobs were cancelled: `stylefleet cancel --json`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Cancelled {
    /// Jobs that are not wanted any more.
    pub cancelled: usize,
    /// Jobs that were over already: done, failed or cancelled.
    pub over: usize,
}

/// Cancels those of the jobs that are not over.
pub async fn cancel(store: &dyn Store, jobs: &[JobId]) -> Result<Cancelled, StoreError> {
    let ends = state::ends(store, jobs).await?;
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
            let cancelled = cancel(&store, &[done, open]).await;
            assert_eq!(cancelled.expect("cancels"), counted);
        }
        let is_marked = async |job| store.contains(&keys::cancelled(&job)).await.expect("looks");
        assert!(is_marked(open).await);
        assert!(!is_marked(done).await);
    }
}
