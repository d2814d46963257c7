//! What is published about a job at work.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use stylefleet_proto::{Event, Job, JobId, Update};
use stylefleet_transport::broker::WorkerEnd;

/// Publishes what goes on in one attempt at one job. Works on any thread and never waits; what
/// nobody listens to is dropped.
#[derive(Clone)]
pub struct Events {
    job: JobId,
    attempt: u32,
    worker: Arc<str>,
    broker: Arc<dyn WorkerEnd>,
}

impl Events {
    /// Publishes to `broker` what `worker` does with `job`.
    pub fn new(job: &Job, worker: Arc<str>, broker: Arc<dyn WorkerEnd>) -> Self {
        Self {
            job: job.id,
            attempt: job.attempt,
            worker,
            broker,
        }
    }

    /// What happened, as an event of this attempt.
    pub fn event<K>(&self, kind: K) -> Event<K> {
        Event {
            job: self.job,
            worker: self.worker.to_string(),
            attempt: self.attempt,
            unix_millis: unix_millis(),
            kind,
        }
    }

    /// Publishes what goes on.
    pub fn publish(&self, update: Update) {
        log(&update);
        self.broker.publish(self.event(update));
    }

    /// Publishes what a person should know.
    pub fn note(&self, text: impl ToString) {
        self.publish(Update::Note(text.to_string()));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({}, attempt {})", self.job, self.attempt)
    }
}

/// Logs what goes on, for those who want to know much: how an attempt ends is logged in any case.
fn log(update: &Update) {
    match update {
        Update::Started { steps, .. } => tracing::debug!(event = "started", steps, "at work"),
        Update::Progress(at) => tracing::debug!(event = "progress", steps = at.steps, "got so far"),
        Update::Note(note) => tracing::debug!(event = "note", "{note}"),
        Update::Previewed { steps } => tracing::debug!(event = "previewed", steps, "is pictured"),
    }
}

/// Milliseconds since 1970-01-01 UTC; 0 where the clock is set before that.
pub fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as u64)
}
