//! Jobs that wait, and that the broker does not have.

use stylefleet_transport::broker::Depths;

/// How many of `idle` jobs the broker does not have: jobs that are not over, and that no worker is
/// at.
pub fn count(idle: usize, depths: &Depths) -> usize {
    idle.saturating_sub(depths.held() as usize)
}

/// What is said of so many lost jobs.
pub fn message(lost: usize) -> String {
    format!(
        "{lost} jobs are lost: they wait, and the broker does not have them, perhaps because its \
         queues were purged: run their submits again"
    )
}
