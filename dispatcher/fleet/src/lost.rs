//! Jobs that wait, and that the broker does not have.

use stylefleet_proto::JobId;
use stylefleet_transport::broker::{Depths, DispatcherEnd};
use stylefleet_transport::store::Store;

use crate::state;

/// How many of `idle` jobs the broker does not have: jobs that are not over, and that no worker is
/// at.
pub fn count(idle: usize, depths: &Depths) -> usize {
    idle.saturating_sub(depths.held() as usize)
}

/// How many of these jobs, which are not over, nobody has: no worker is at them, and the broker has
/// fewer waiting. None are known to be where store or broker do not answer.
pub async fn among(store: &dyn Store, broker: &dyn DispatcherEnd, jobs: &[JobId]) -> usize {
    match (broker.depths().await, state::started(store, jobs).await) {
        (Ok(depths), Ok(started)) => count(jobs.len() - started.len(), &depths),
        _ => 0,
    }
}

/// What is said of so many lost jobs.
pub fn message(lost: usize) -> String {
    format!(
        "{lost} jobs are lost: they wait, and the broker does not have them, perhaps because its \
         queues were purged: run their submits again"
    )
}
