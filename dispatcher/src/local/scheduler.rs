//! Which job is next, and what becomes of one that did not end well. No I/O, no clock of its own.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use stylefleet_proto::JobId;

/// Attempts before a job is given up.
pub const ATTEMPTS: u32 = 3;
/// Wait after the first attempt; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The jobs that are not over yet. Each is either waiting or running.
#[derive(Debug)]
pub struct Scheduler {
    /// By the time from which they may run, then in the order they came: job and attempt.
    waiting: BTreeMap<(Instant, u64), (JobId, u32)>,
    running: HashMap<JobId, u32>,
    arrivals: u64,
}

/// What becomes of a job that lost an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after a wait.
    Retry(Duration),
    /// It has had its attempts.
    GiveUp,
}

impl Scheduler {
    /// Jobs that may run from `now`, in this order.
    pub fn new(jobs: impl IntoIterator<Item = JobId>, now: Instant) -> Self {
        let mut scheduler = Self {
            waiting: BTreeMap::new(),
            running: HashMap::new(),
            arrivals: 0,
        };
        for job in jobs {
            scheduler.wait(job, 1, now);
        }
        scheduler
    }

    fn wait(&mut self, job: JobId, attempt: u32, from: Instant) {
        self.waiting.insert((from, self.arrivals), (job, attempt));
        self.arrivals += 1;
    }

    /// The next job that may run, which is running from here on, and the attempt it is.
    pub fn take(&mut self, now: Instant) -> Option<(JobId, u32)> {
        let first = self.waiting.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let (job, attempt) = first.remove();
        self.running.insert(job, attempt);
        Some((job, attempt))
    }

    /// When the next waiting job may run, if there is one.
    pub fn next_at(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((from, _), _)| *from)
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every job is over.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// A running job is over, well or not.
    pub fn end(&mut self, job: JobId) {
        self.running.remove(&job);
    }

    /// A running job lost this attempt.
    pub fn lose(&mut self, job: JobId, now: Instant) -> Verdict {
        match self.running.remove(&job) {
            Some(attempt) if attempt < ATTEMPTS => {
                let wait = FIRST_WAIT * 2_u32.pow(attempt - 1);
                self.wait(job, attempt + 1, now + wait);
                Verdict::Retry(wait)
            }
            _ => Verdict::GiveUp,
        }
    }

    /// A running job was interrupted through no fault of its own: the same attempt again.
    pub fn put_back(&mut self, job: JobId, now: Instant) {
        if let Some(attempt) = self.running.remove(&job) {
            self.wait(job, attempt, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(number: u8) -> JobId {
        format!("{number:064x}").parse().expect("an id")
    }

    #[test]
    fn hands_jobs_out_in_order_and_once() {
        let now = Instant::now();
        let mut scheduler = Scheduler::new([job(2), job(1)], now);
        assert_eq!(scheduler.take(now), Some((job(2), 1)));
        assert_eq!(scheduler.take(now), Some((job(1), 1)));
        assert_eq!(scheduler.take(now), None);
        assert!(!scheduler.is_done());
        scheduler.end(job(1));
        scheduler.end(job(2));
        assert!(scheduler.is_done());
    }

    #[test]
    fn a_job_has_three_attempts_with_growing_waits() {
        let mut now = Instant::now();
        let mut scheduler = Scheduler::new([job(1)], now);
        for (attempt, wait) in [(1, 500), (2, 1000)] {
            assert_eq!(scheduler.take(now), Some((job(1), attempt)));
            let wait = Duration::from_millis(wait);
            assert_eq!(scheduler.lose(job(1), now), Verdict::Retry(wait));
            assert_eq!(scheduler.take(now), None);
            assert_eq!(scheduler.next_at(), Some(now + wait));
            now += wait;
        }
        assert_eq!(scheduler.take(now), Some((job(1), 3)));
        assert_eq!(scheduler.lose(job(1), now), Verdict::GiveUp);
        assert!(scheduler.is_done());
    }

    #[test]
    fn an_interruption_is_no_failed_attempt() {
        let now = Instant::now();
        let mut scheduler = Scheduler::new([job(1)], now);
        for _ in 0..10 {
            assert_eq!(scheduler.take(now), Some((job(1), 1)));
            scheduler.put_back(job(1), now);
        }
    }

    proptest! {
        /// Whatever happens to them, jobs are neither lost nor run twice at once, none is
        /// attempted more than it may, and all end.
        #[test]
        fn every_job_ends(fates in proptest::collection::vec(0..4_u8, 200), jobs in 1..8_u8) {
            let mut now = Instant::now();
            let mut scheduler = Scheduler::new((0..jobs).map(job), now);
            let mut running = Vec::new();
            let mut over = std::collections::HashSet::new();
            let always_end = std::iter::repeat(3);
            for fate in fates.into_iter().chain(always_end) {
                while let Some((job, attempt)) = scheduler.take(now) {
                    prop_assert!((1..=ATTEMPTS).contains(&attempt));
                    prop_assert!(!running.contains(&job) && !over.contains(&job));
                    running.push(job);
                }
                let Some(job) = running.pop() else {
                    match scheduler.next_at() {
                        Some(later) => now = later,
                        None => break,
                    }
                    continue;
                };
                match fate {
                    0 => running.insert(0, job),
                    1 => scheduler.put_back(job, now),
                    2 => if scheduler.lose(job, now) == Verdict::GiveUp {
                        over.insert(job);
                    },
                    _ => {
                        scheduler.end(job);
                        over.insert(job);
                    }
                }
            }
            prop_assert!(scheduler.is_done());
            prop_assert_eq!(over.len(), usize::from(jobs));
        }
    }
}
