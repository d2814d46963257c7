//! What is told of the job under way.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use stylefleet_proto::{Event, Happening, Job, JobId};
use stylefleet_transport::broker::WorkerEnd;

/// Tells of one attempt at one job. Works on any thread and never waits; what nobody listens to
/// is dropped.
#[derive(Clone)]
pub struct Events {
    job: JobId,
    attempt: u32,
    worker: Arc<str>,
    broker: Arc<dyn WorkerEnd>,
}

impl Events {
    /// Tells `broker` of `job`, in the name of `worker`.
    pub fn new(job: &Job, worker: Arc<str>, broker: Arc<dyn WorkerEnd>) -> Self {
        Self {
            job: job.id,
            attempt: job.attempt,
            worker,
            broker,
        }
    }

    /// What happened, as an event of this attempt.
    pub fn event(&self, happening: Happening) -> Event {
        tracing::debug!("{self:?}: {happening:?}");
        Event {
            job: self.job,
            worker: self.worker.to_string(),
            attempt: self.attempt,
            unix_millis: unix_millis(),
            happening,
        }
    }

    /// Tells what happened.
    pub fn tell(&self, happening: Happening) {
        self.broker.tell(self.event(happening));
    }

    /// Tells what a person should know.
    pub fn note(&self, text: impl ToString) {
        self.tell(Happening::Note(text.to_string()));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({}, attempt {})", self.job, self.attempt)
    }
}

/// Milliseconds since 1970-01-01 UTC; 0 where the clock is set before that.
pub fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as u64)
}
