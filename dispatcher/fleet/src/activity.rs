//! What workers do, and did of late.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use stylefleet_proto::{Digest, Ended, EventKind, JobId, Progress};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd, Notification};
use tokio::time::{Instant, timeout_at};

use crate::clock::millis;

/// How long workers are listened for: each publishes every second.
const LISTEN: Duration = Duration::from_millis(2500);
/// The past that rates are taken from.
const WINDOW: Duration = Duration::from_secs(600);

/// What workers published.
#[derive(Debug, Default)]
pub struct Activity {
    /// Those heard of within some seconds, by name.
    pub workers: BTreeMap<String, WorkerStatus>,
    /// How many seconds workers' clocks are ahead of ours.
    pub skews: BTreeMap<String, i64>,
    /// The identities of workers' stores.
    pub stores: BTreeMap<String, Digest>,
    finished: u32,
    failed: u32,
    first_millis: Option<u64>,
}

/// A worker that lives.
#[derive(Debug, PartialEq, Serialize)]
pub struct WorkerStatus {
    /// What it is called.
    pub name: String,
    /// Where it computes: cpu, cuda:0, ...
    pub device: String,
    /// Null: it is idle, or the job has just begun.
    pub job: Option<JobId>,
    /// Where the job stands.
    pub progress: Option<Progress>,
    /// Memory of its device that is taken, in bytes; null: it does not say.
    pub memory_bytes: Option<u64>,
    /// Memory of its device, in bytes; null: it does not say.
    pub memory_size_bytes: Option<u64>,
}

/// What happened of late.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Rates {
    /// Seconds looked at: ten minutes, or less where the first event is younger.
    pub seconds: f64,
    /// Jobs finished in an hour, by what happened in these seconds.
    pub finished_per_hour: f64,
    /// Attempts that failed in an hour.
    pub failed_per_hour: f64,
}

impl Activity {
    /// Listens for some seconds, to the last ten minutes too.
    pub async fn listen(broker: &dyn DispatcherEnd) -> Result<Self, BrokerError> {
        let since = SystemTime::now() - WINDOW;
        let mut notifications = broker.follow(since).await?;
        let until = Instant::now() + LISTEN;
        let mut activity = Self::default();
        let since_millis = millis(since);
        while let Ok(Some(notification)) = timeout_at(until, notifications.recv()).await {
            activity.take(notification, since_millis);
        }
        Ok(activity)
    }

    /// Rates up to now, as milliseconds since 1970-01-01 UTC.
    pub fn rates(&self, now_millis: u64) -> Rates {
        let Some(first) = self.first_millis else {
            return Rates::default();
        };
        let seconds = (now_millis.saturating_sub(first) as f64 / 1000.0).max(1.0);
        let per_hour = |count: u32| f64::from(count) * 3600.0 / seconds;
        Rates {
            seconds,
            finished_per_hour: per_hour(self.finished),
            failed_per_hour: per_hour(self.failed),
        }
    }

    fn take(&mut self, notification: Notification, since_millis: u64) {
        match notification {
            // The broker's memory is coarse: it may begin earlier.
            Notification::Event(event) if event.unix_millis < since_millis => {}
            Notification::Event(event) => {
                let first = self.first_millis.get_or_insert(event.unix_millis);
                *first = event.unix_millis.min(*first);
                match event.kind {
                    EventKind::Ended(Ended::Finished { .. }) => self.finished += 1,
                    EventKind::Ended(Ended::Failed { .. }) => self.failed += 1,
                    _ => {}
                }
            }
            Notification::Pulse(pulse) => {
                let mut worker = WorkerStatus {
                    name: pulse.worker.clone(),
                    device: pulse.device,
                    job: None,
                    progress: None,
                    memory_bytes: pulse.memory.map(|memory| memory.used),
                    memory_size_bytes: pulse.memory.map(|memory| memory.size),
                };
                if let Some(store) = pulse.store {
                    self.stores.insert(pulse.worker.clone(), store);
                }
                if let Some(event) = pulse.progress {
                    let ahead =
                        i128::from(event.unix_millis) - i128::from(millis(SystemTime::now()));
                    let skew = i64::try_from(ahead / 1000).unwrap_or(i64::MAX);
                    self.skews.insert(pulse.worker.clone(), skew);
                    worker.job = Some(event.job);
                    worker.progress = Some(event.kind);
                }
                self.workers.insert(pulse.worker, worker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::{Event, Figures, Memory, Pulse};

    use super::*;

    #[test]
    fn rates_come_from_the_time_in_which_something_happened() {
        let mut activity = Activity::default();
        let event = |unix_millis, ended: Ended| {
            Notification::Event(Event {
                job: format!("{:064x}", 1).parse().expect("an id"),
                worker: "w".to_owned(),
                attempt: 1,
                unix_millis,
                kind: ended.into(),
            })
        };
        let finished = || Ended::Finished {
            seconds: 1.0,
            steps: 1,
            figures: Figures::new(),
        };
        activity.take(event(999, finished()), 1000);
        activity.take(event(60_000, finished()), 1000);
        activity.take(event(40_000, Ended::Cancelled), 1000);
        activity.take(event(50_000, finished()), 1000);
        let rates = activity.rates(80_000);
        assert_eq!(rates.seconds, 40.0);
        assert_eq!(rates.finished_per_hour, 180.0);
        assert_eq!(Activity::default().rates(1), Rates::default());
    }

    #[test]
    fn a_worker_is_known_by_its_last_pulse() {
        let mut activity = Activity::default();
        let progress = Event {
            job: format!("{:064x}", 1).parse().expect("an id"),
            worker: "w".to_owned(),
            attempt: 1,
            unix_millis: 0,
            kind: Progress::default(),
        };
        for progress in [None, Some(progress)] {
            let pulse = Pulse {
                worker: "w".to_owned(),
                device: "cpu".to_owned(),
                progress,
                store: None,
                memory: Some(Memory { used: 2, size: 3 }),
            };
            activity.take(Notification::Pulse(pulse), 0);
        }
        let worker = &activity.workers["w"];
        assert!(worker.job.is_some() && worker.progress.is_some());
        let memory = (worker.memory_bytes, worker.memory_size_bytes);
        assert_eq!(memory, (Some(2), Some(3)));
        assert!(
            activity.skews["w"] < -1_000_000_000,
            "its clock stands in 1970"
        );
    }
}
