//! Whether a dispatcher can work with its store and its broker, and if not, what to do: the
//! document of `stylefleet doctor --json`.

use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_proto::{Digest, Invalid, JobId, keys};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::{self, Location, Store, StoreError};

use crate::activity::Activity;
use crate::state::{self, State};
use crate::{batch, clock, lost};

/// Seconds that clocks may differ.
const SKEW: u64 = 30;

/// What was found: `stylefleet doctor --json`.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which it was looked at.
    pub findings: Vec<Finding>,
}

/// Something that was found.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub of: Subject,
    /// How it is.
    pub verdict: Verdict,
    /// What was found; of a problem, also what to do.
    pub text: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The store.
    Store,
    /// The broker.
    Broker,
    /// Workers.
    Workers,
    /// The clocks of others.
    Clocks,
    /// The programs that read and write videos, on this machine.
    Ffmpeg,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// As it may be; worth knowing.
    Remark,
    /// Something has to be done.
    Problem,
}

/// Why a check ended early.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// There is no name to try the store out with.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl HealthError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Broker(error) => error.is_retryable(),
            Self::Invalid(_) => false,
        }
    }
}

/// What the store says of the fleet, for the look at its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFacts {
    /// Which store it is.
    pub identity: Digest,
    /// Jobs that wait for a worker, as far as the store knows.
    pub idle: usize,
}

impl Report {
    /// Something is as it should be.
    pub fn ok(&mut self, of: Subject, text: &str) {
        self.add(of, Verdict::Ok, text);
    }

    /// Something is worth knowing.
    pub fn remark(&mut self, of: Subject, text: &str) {
        self.add(of, Verdict::Remark, text);
    }

    /// Something has to be done.
    pub fn problem(&mut self, of: Subject, text: &str) {
        self.add(of, Verdict::Problem, text);
    }

    /// Whether something has to be done.
    pub fn has_problem(&self) -> bool {
        let mut verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.any(|verdict| verdict == Verdict::Problem)
    }

    /// Tries out the store at `place` and looks at its batches.
    pub async fn check_store(
        &mut self,
        store: &dyn Store,
        place: &Location,
    ) -> Result<StoreFacts, HealthError> {
        let found = store::check(store, &keys::cancelled(&unknown_job()?)).await?;
        self.ok(
            Subject::Store,
            &format!("{place} can be written, read and removed from"),
        );
        if found.one_writer {
            let text = "of several writers at once, one is told that it wrote";
            self.ok(Subject::Store, text);
        } else {
            self.remark(
                Subject::Store,
                "of several writers at once, more than one is told that it wrote: two workers may \
                 both write a result; a CPU's are the same bytes",
            );
        }
        // Named by its bytes, none, it is what it should be whoever wrote it.
        store
            .put(&keys::input(&Digest::of(&[])), Bytes::new())
            .await?;
        let identity = store::establish_identity(store).await?;
        let batches = batch::all(store).await?;
        let text = format!(
            "images can be written, and batches listed: {}",
            batches.len()
        );
        self.ok(Subject::Store, &text);
        self.clock("the store", found.skew);
        let mut accepted = HashSet::new();
        for (_, batch) in batches {
            match batch {
                Ok(batch) => accepted.extend(batch.accepted.jobs),
                Err(error) => self.problem(Subject::Store, &error.to_string()),
            }
        }
        let idle = idle(store, accepted).await?;
        Ok(StoreFacts { identity, idle })
    }

    /// Tries the broker out, looks at its queues and listens to its workers. `store`: what the
    /// store says, where it could be asked.
    pub async fn check_broker(
        &mut self,
        broker: &dyn DispatcherEnd,
        store: Option<StoreFacts>,
    ) -> Result<(), HealthError> {
        broker.try_to_publish().await?;
        self.ok(Subject::Broker, "it takes messages");
        let depths = broker.depths().await?;
        self.ok(Subject::Broker, &format!("{} jobs wait", depths.waiting()));
        if depths.dead > 0 {
            let text = format!(
                "{} jobs were set aside: see `stylefleet dead list`",
                depths.dead
            );
            self.remark(Subject::Broker, &text);
        }
        let lost = store.map_or(0, |store| lost::count(store.idle, &depths));
        if lost > 0 {
            self.problem(Subject::Broker, &lost::message(lost));
        }
        let activity = Activity::listen(broker).await?;
        self.ok(Subject::Broker, "events can be followed");
        self.check_workers(activity, store.map(|store| store.identity));
        Ok(())
    }

    fn check_workers(&mut self, activity: Activity, own_store: Option<Digest>) {
        match activity.workers.len() {
            0 => self.remark(
                Subject::Workers,
                "none was heard of: start `stylefleet-worker serve` with the same broker and store",
            ),
            n => self.ok(Subject::Workers, &format!("{n} live")),
        }
        for (worker, store) in activity.stores {
            if own_store.is_some_and(|own| own != store) {
                let text = format!(
                    "{worker} has another store than this machine, and takes none of its jobs: \
                     give both the same STYLEFLEET_STORE"
                );
                self.problem(Subject::Workers, &text);
            }
        }
        for (worker, skew) in activity.skews {
            self.clock(&format!("worker {worker}"), skew);
        }
    }

    /// Whether a clock that is so many seconds ahead of ours will do.
    fn clock(&mut self, whose: &str, ahead: i64) {
        let seconds = ahead.unsigned_abs();
        if seconds <= SKEW {
            let text = format!("{whose} agrees with this machine");
            self.ok(Subject::Clocks, &text);
        } else {
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            let text = format!("{whose} is {seconds} s {way} this machine: have both set by NTP");
            self.problem(Subject::Clocks, &text);
        }
    }

    fn add(&mut self, of: Subject, verdict: Verdict, text: &str) {
        let text = text.to_owned();
        self.findings.push(Finding { of, verdict, text });
    }
}

/// How many of the jobs that the broker took wait for a worker.
async fn idle(store: &dyn Store, accepted: HashSet<JobId>) -> Result<usize, StoreError> {
    let jobs: Vec<_> = accepted.into_iter().map(|job| (job, Some(true))).collect();
    let states = state::of_all(store, &jobs).await?;
    let is_idle = |state: &&State| matches!(state, State::Waiting | State::Stopped);
    Ok(states.iter().filter(is_idle).count())
}

/// The id of a job that nobody asked for.
fn unknown_job() -> Result<JobId, Invalid> {
    let random = [fastrand::u64(..), clock::millis(SystemTime::now())].map(u64::to_le_bytes);
    Digest::of(random.as_flattened()).to_string().parse()
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::broker::MemoryBroker;
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    #[test]
    fn clocks_that_differ_are_a_problem() {
        let mut report = Report::default();
        report.clock("the store", 30);
        assert!(!report.has_problem());
        report.clock("the store", -31);
        assert!(report.has_problem());
        assert!(report.findings[1].text.contains("31 s behind this machine"));
    }

    #[tokio::test]
    async fn jobs_that_the_broker_does_not_have_are_a_problem() {
        let (store, broker) = (MemoryStore::default(), MemoryBroker::default());
        let place = "memory".parse().expect("a place");
        let mut report = Report::default();
        let facts = report.check_store(&store, &place).await.expect("looks");
        assert_eq!(facts.idle, 0);
        let checked = report.check_broker(&broker, Some(facts)).await;
        checked.expect("looks");
        assert!(!report.has_problem(), "{report:?}");
        let facts = StoreFacts { idle: 2, ..facts };
        let checked = report.check_broker(&broker, Some(facts)).await;
        checked.expect("looks");
        let mut findings = report.findings.iter();
        let problem = findings.find(|finding| finding.verdict == Verdict::Problem);
        let problem = &problem.expect("a problem").text;
        assert!(problem.starts_with("2 jobs are lost"), "{problem}");
    }
}
