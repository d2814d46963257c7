//! `stylefleet queue`: how many jobs wait, who works, how fast.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use stylefleet_proto::{Digest, Ended, EventKind, JobId};
use stylefleet_transport::broker::{BrokerError, Depths, DispatcherEnd, Notification};
use tokio::time::{Instant, timeout_at};

use crate::clock::millis;
use crate::commands::{CommandError, Ending, connect};
use crate::config::Settings;
use crate::output::{self, Line, Position, duration, short};

/// How long workers are listened for: each says every second that it lives.
const LISTEN: Duration = Duration::from_millis(2500);
/// The past that rates are taken from.
const WINDOW: Duration = Duration::from_secs(600);

/// Arguments of `stylefleet queue`.
#[derive(Debug, clap::Args)]
pub struct QueueArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Queue {
    waiting: Waiting,
    /// Those heard of within some seconds, by name.
    workers: Vec<Worker>,
    rates: Rates,
    /// Seconds until nothing waits, at this rate; null: no idea.
    seconds_to_empty: Option<f64>,
}

/// Jobs that no worker holds.
#[derive(Debug, Serialize)]
struct Waiting {
    high: u32,
    normal: u32,
    low: u32,
    /// Waiting for another attempt.
    retrying: u32,
    /// Given up by the broker, about to be set aside.
    abandoned: u32,
    /// Set aside.
    dead: u32,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Worker {
    name: String,
    device: String,
    /// Null: it is idle, or the job has just begun.
    job: Option<JobId>,
    /// Where the job stands.
    progress: Option<Position>,
}

/// What happened lately.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Rates {
    /// Seconds looked at: ten minutes, or less where the first event is younger.
    seconds: f64,
    /// Jobs finished in an hour, by what happened in these seconds.
    finished_per_hour: f64,
    /// Attempts that failed in an hour.
    failed_per_hour: f64,
}

/// Runs the command.
pub async fn run(args: QueueArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let broker = connect(settings).await?;
    let activity = listen(&*broker).await?;
    let queue = Queue::new(broker.depths().await?, activity);
    broker.close().await;
    if args.json {
        output::document(&queue);
    } else {
        queue.print();
    }
    Ok(Ending::AllDone)
}

/// What workers did of late, and do.
#[derive(Debug, Default)]
pub struct Activity {
    pub workers: BTreeMap<String, Worker>,
    finished: u32,
    failed: u32,
    first_millis: Option<u64>,
    /// How many seconds workers' clocks are ahead of ours.
    pub skews: BTreeMap<String, i64>,
    /// The identities of workers' stores.
    pub stores: BTreeMap<String, Digest>,
}

/// Listens for a while, to the past too.
pub async fn listen(broker: &dyn DispatcherEnd) -> Result<Activity, BrokerError> {
    let since = SystemTime::now() - WINDOW;
    let mut notifications = broker.follow(since).await?;
    let until = Instant::now() + LISTEN;
    let mut activity = Activity::default();
    let since_millis = millis(since);
    while let Ok(Some(notification)) = timeout_at(until, notifications.recv()).await {
        activity.take(notification, since_millis);
    }
    Ok(activity)
}

impl Activity {
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
                let mut worker = Worker {
                    name: pulse.worker.clone(),
                    device: pulse.device,
                    job: None,
                    progress: None,
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
                    worker.progress = Some(Position::from(&event.kind));
                }
                self.workers.insert(pulse.worker, worker);
            }
        }
    }

    fn rates(&self, now_millis: u64) -> Rates {
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
}

impl Queue {
    fn new(depths: Depths, activity: Activity) -> Self {
        let rates = activity.rates(millis(SystemTime::now()));
        let left = depths.waiting();
        let rate = rates.finished_per_hour;
        Self {
            waiting: Waiting {
                high: depths.high,
                normal: depths.normal,
                low: depths.low,
                retrying: depths.retrying,
                abandoned: depths.abandoned,
                dead: depths.dead,
            },
            workers: activity.workers.into_values().collect(),
            seconds_to_empty: (rate > 0.0).then(|| f64::from(left) * 3600.0 / rate),
            rates,
        }
    }

    fn print(&self) {
        let Waiting {
            high,
            normal,
            low,
            retrying,
            abandoned,
            dead,
        } = self.waiting;
        let result = |text: String| Line::Result(text).print();
        result(format!("waiting   {high} high, {normal} normal, {low} low"));
        result(format!("retrying  {retrying}"));
        result(format!("set aside {dead}, and {abandoned} about to be"));
        let Rates {
            finished_per_hour,
            failed_per_hour,
            ..
        } = self.rates;
        let left = match self.seconds_to_empty {
            Some(seconds @ 1.0..) => format!("; nothing waits in about {}", duration(seconds)),
            _ => String::new(),
        };
        result(format!(
            "rates     {finished_per_hour:.0} finished an hour, {failed_per_hour:.0} attempts \
             failed{left}"
        ));
        result(format!("workers   {}", self.workers.len()));
        let row = |worker: &Worker| {
            let (name, device) = (worker.name.clone(), worker.device.clone());
            let doing = match (&worker.job, &worker.progress) {
                (Some(job), Some(at)) => format!("{}  {}", short(job), at.words()),
                (Some(job), None) => short(job),
                (None, _) => "idle".to_owned(),
            };
            [format!("  {name}"), device, doing]
        };
        output::table(&self.workers.iter().map(row).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::{Event, Pulse};

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
            evaluations: 1,
            loss: 1.0,
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
            kind: stylefleet_proto::Progress::default(),
        };
        for progress in [None, Some(progress)] {
            let pulse = Pulse {
                worker: "w".to_owned(),
                device: "cpu".to_owned(),
                progress,
                store: None,
            };
            activity.take(Notification::Pulse(pulse), 0);
        }
        let worker = &activity.workers["w"];
        assert!(worker.job.is_some() && worker.progress.is_some());
        assert!(
            activity.skews["w"] < -1_000_000_000,
            "its clock stands in 1970"
        );
    }
}
