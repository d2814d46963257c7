//! Names in the broker. The version in them is that of the topology: one whose settings change
//! gets a new number, so that an old fleet and a new one never share a queue.

use crate::Priority;

/// Takes jobs; the routing key is a [`Priority`]'s [`word`](Priority::word).
pub const JOBS: &str = "stylefleet.v2.jobs";
/// Exchange and queue of jobs that the broker delivered too often: their workers died. A worker
/// sets them aside.
pub const ABANDONED: &str = "stylefleet.v2.abandoned";
/// Exchange and queue of jobs that were set aside, for people to look at.
pub const DEAD: &str = "stylefleet.v2.dead";
/// Exchange and stream of all events but progress, to be read from any point in time.
pub const EVENTS: &str = "stylefleet.v2.events";
/// Exchange of [`crate::Pulse`]s. Nothing keeps them.
pub const PROGRESS: &str = "stylefleet.v2.progress";
/// What the names of watchers' own queues begin with.
pub const WATCH: &str = "stylefleet.v2.watch.";
/// Deliveries that end without an answer before a job is moved to [`ABANDONED`].
pub const DELIVERY_LIMIT: u32 = 20;

/// The queue of jobs of one priority.
pub fn jobs(priority: Priority) -> String {
    format!("{JOBS}.{}", priority.word())
}

/// Exchange and queue in which jobs wait for so many seconds before they are tried again.
pub fn retry(seconds: u32) -> String {
    format!("stylefleet.v2.retry.{seconds}s")
}

impl Priority {
    /// All of them, first things first.
    pub const ORDER: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// What people and routing keys call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}
