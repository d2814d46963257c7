//! What happened to jobs, as workers told it.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use stylefleet_proto::{Ended, Event, EventKind, JobId, Update};

/// Entries of a job that are kept.
const ENTRIES: usize = 100;
/// Jobs whose entries are kept: those to which something happened last.
const JOBS: usize = 5000;

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// When, by the worker's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// The worker.
    pub worker: String,
    /// In which attempt, from 1.
    pub attempt: u32,
    /// What.
    pub what: What,
    /// What is to be said of it; may be empty.
    pub text: String,
}

/// What may happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A worker began it.
    Started,
    /// A remark.
    Note,
    /// A progress picture is in the store.
    Previewed,
    /// It is done.
    Finished,
    /// The attempt failed.
    Failed,
    /// It was stopped, to go on later.
    Interrupted,
    /// It was stopped for good.
    Cancelled,
}

/// What happened to many jobs.
#[derive(Debug, Default)]
pub(super) struct Diaries {
    entries: HashMap<JobId, VecDeque<Entry>>,
    /// Jobs in the order of their first entries.
    order: VecDeque<JobId>,
}

impl Diaries {
    /// Writes down an event; progress is none.
    pub fn add(&mut self, event: &Event) {
        let Some((what, text)) = said(&event.kind) else {
            return;
        };
        let entries = self.entries.entry(event.job).or_insert_with(|| {
            self.order.push_back(event.job);
            VecDeque::new()
        });
        if entries.len() == ENTRIES {
            entries.pop_front();
        }
        entries.push_back(Entry {
            unix_millis: event.unix_millis,
            worker: event.worker.clone(),
            attempt: event.attempt,
            what,
            text,
        });
        if self.order.len() > JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Those of a job, the oldest first.
    pub fn of(&self, job: &JobId) -> Vec<Entry> {
        let entries = self.entries.get(job);
        entries.map_or(Vec::new(), |entries| entries.iter().cloned().collect())
    }
}

fn said(kind: &EventKind) -> Option<(What, String)> {
    Some(match kind {
        EventKind::Update(Update::Progress(_)) => return None,
        EventKind::Update(Update::Started { steps: 0, device }) => {
            (What::Started, format!("on {device}"))
        }
        EventKind::Update(Update::Started { steps, device }) => {
            (What::Started, format!("on {device}, from step {steps}"))
        }
        EventKind::Update(Update::Note(text)) => (What::Note, text.clone()),
        EventKind::Update(Update::Previewed { steps }) => {
            (What::Previewed, format!("after {steps} steps"))
        }
        EventKind::Ended(Ended::Finished { seconds, steps, .. }) => (
            What::Finished,
            format!("after {seconds:.1} s and {steps} steps"),
        ),
        EventKind::Ended(Ended::Failed { reason, .. }) => (What::Failed, reason.clone()),
        EventKind::Ended(Ended::Interrupted { steps }) => {
            (What::Interrupted, format!("after {steps} steps"))
        }
        EventKind::Ended(Ended::Cancelled) => (What::Cancelled, String::new()),
    })
}
