//! What jobs that are over left in the store. Workers tidy up after themselves; one that was cut
//! off from the store, or killed, may not have.

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{JobId, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::state::{self, AT_ONCE, End};

/// Removes the marks that workers leave of jobs that are over, and the checkpoints of those that
/// are done: a job that failed or was cancelled may go on from its own. Says how many it removed.
pub async fn remove(store: &dyn Store) -> Result<usize, StoreError> {
    let marks = jobs_in(store, keys::STARTED).await?;
    let checkpoints = jobs_in(store, keys::CHECKPOINTS).await?;
    let over = state::ends(store, &marks).await?;
    let done = state::ends(store, &checkpoints).await?;
    let marks = marks.iter().filter(|job| over.contains_key(job));
    let checkpoints = checkpoints
        .iter()
        .filter(|job| done.get(job) == Some(&End::Done));
    let left = marks
        .map(keys::started)
        .chain(checkpoints.map(keys::checkpoint));
    stream::iter(left)
        .map(async |key| store.delete(&key).await)
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |count, ()| Ok(count + 1))
        .await
}

/// The jobs that have an object in the folder.
async fn jobs_in(store: &dyn Store, folder: &str) -> Result<Vec<JobId>, StoreError> {
    let keys = store.list(folder).await?;
    let job = |key: &String| key.strip_prefix(folder)?.split_once('.')?.0.parse().ok();
    Ok(keys.iter().filter_map(job).collect())
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn only_what_nobody_needs_goes() {
        let store = MemoryStore::default();
        let job = |number: u8| -> JobId { format!("{number:064x}").parse().expect("an id") };
        let ends = [
            Some(keys::result as fn(&JobId) -> String),
            Some(keys::failed),
            Some(keys::cancelled),
            None,
        ];
        for (number, end) in (1..).zip(ends) {
            let job = job(number);
            let rest = [keys::checkpoint(&job), keys::started(&job)];
            for key in rest.into_iter().chain(end.map(|key| key(&job))) {
                store.put(&key, "x".into()).await.expect("writes");
            }
        }
        let elsewhere = "started/elsewhere";
        store.put(elsewhere, "x".into()).await.expect("writes");
        assert_eq!(remove(&store).await.expect("removes"), 4);
        assert_eq!(remove(&store).await.expect("finds none"), 0);
        let left = store.list("").await.expect("lists");
        let mut expected: Vec<_> = (2..=4)
            .map(|number| keys::checkpoint(&job(number)))
            .collect();
        expected.extend([
            keys::result(&job(1)),
            keys::failed(&job(2)),
            keys::cancelled(&job(3)),
            keys::started(&job(4)),
            elsewhere.to_owned(),
        ]);
        expected.sort();
        assert_eq!(left, expected);
    }
}
