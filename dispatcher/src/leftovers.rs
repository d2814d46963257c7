//! What jobs that are over left in the store. Workers tidy up after themselves; one that was cut off
//! from the store, or killed, may not have.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{JobId, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::state::AT_ONCE;

/// Removes the marks that workers leave of jobs that are over, and the checkpoints of those that
/// are done: a job that failed or was cancelled may go on from its own. Says how many it removed.
pub async fn remove(store: &dyn Store) -> Result<usize, StoreError> {
    let mut jobs: HashMap<JobId, HashSet<String>> = HashMap::new();
    for key in store.list(keys::JOBS).await? {
        let path = key
            .strip_prefix(keys::JOBS)
            .and_then(|rest| rest.split_once('/'));
        if let Some((Ok(job), _)) = path.map(|(job, name)| (job.parse(), name)) {
            jobs.entry(job).or_default().insert(key);
        }
    }
    let left = jobs.iter().flat_map(|(job, there)| {
        let is_done = there.contains(&keys::result(job));
        let is_over =
            is_done || there.contains(&keys::failed(job)) || there.contains(&keys::cancelled(job));
        let checkpoint = is_done.then(|| keys::checkpoint(job));
        let mark = is_over.then(|| keys::started(job));
        checkpoint
            .into_iter()
            .chain(mark)
            .filter(|key| there.contains(key))
    });
    stream::iter(left)
        .map(async |key| store.delete(&key).await)
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |count, ()| Ok(count + 1))
        .await
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
        store
            .put("jobs/elsewhere", "x".into())
            .await
            .expect("writes");
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
            "jobs/elsewhere".to_owned(),
        ]);
        expected.sort();
        assert_eq!(left, expected);
    }
}
