//! What is told of the job under way.

use stylefleet_proto::{Event, Happening, Job, JobId};
use tokio::sync::mpsc::UnboundedSender;

/// Tells of one attempt at one job. Works on any thread and never waits; once nobody listens any
/// more, what is told is dropped.
#[derive(Debug, Clone)]
pub struct Events {
    job: JobId,
    attempt: u32,
    worker: String,
    out: UnboundedSender<Event>,
}

impl Events {
    /// Tells `out` of `job`, in the name of `worker`.
    pub fn new(job: &Job, worker: &str, out: UnboundedSender<Event>) -> Self {
        Self {
            job: job.id,
            attempt: job.attempt,
            worker: worker.to_owned(),
            out,
        }
    }

    /// Tells what happened.
    pub fn tell(&self, happening: Happening) {
        // The store is the truth: an event that nobody hears is no loss.
        let _ = self.out.send(Event {
            job: self.job,
            worker: self.worker.clone(),
            attempt: self.attempt,
            happening,
        });
    }

    /// Tells what a person should know.
    pub fn note(&self, text: impl ToString) {
        self.tell(Happening::Note(text.to_string()));
    }
}
