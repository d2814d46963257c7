//! What the device is at. Its age is what tells a worker that is stuck from one at work, so it is
//! read whenever somebody asks, not when something happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the device of a worker is at.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Time that jobs of the past took.
    past: Duration,
    job: Option<JobAtWork>,
}

#[derive(Debug)]
struct JobAtWork {
    began: Instant,
    steps: u64,
    stepped: Instant,
    stored: Instant,
}

/// Lasts while the device has a job.
#[derive(Debug)]
#[must_use]
pub struct AtWork(Activity);

/// How a worker's device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// How long it has had jobs.
    pub busy: Duration,
    /// Since when the job at work got no further.
    pub step: Duration,
    /// Since when the job at work was not stored.
    pub checkpoint: Duration,
}

impl Activity {
    /// A job begins, with so many steps done.
    pub fn begin(&self, steps: u64) -> AtWork {
        let now = Instant::now();
        self.state().job = Some(JobAtWork {
            began: now,
            steps,
            stepped: now,
            stored: now,
        });
        AtWork(self.clone())
    }

    /// The job at work has done so many steps; how many of them are new.
    pub fn stepped(&self, steps: u64) -> u64 {
        let mut state = self.state();
        let Some(job) = &mut state.job else {
            return 0;
        };
        // Fewer than before: it was begun anew, for its checkpoint was of no use.
        let new = steps.checked_sub(job.steps).unwrap_or(steps);
        if new > 0 {
            job.steps = steps;
            job.stepped = Instant::now();
        }
        new
    }

    /// The job at work can be resumed from where it stands.
    pub fn stored(&self) {
        if let Some(job) = &mut self.state().job {
            job.stored = Instant::now();
        }
    }

    /// How it stands now.
    pub fn ages(&self) -> Ages {
        let state = self.state();
        let since = |then: fn(&JobAtWork) -> Instant| {
            let then = state.job.as_ref().map(then);
            then.map_or(Duration::ZERO, |then| then.elapsed())
        };
        Ages {
            busy: state.past + since(|job| job.began),
            step: since(|job| job.stepped),
            checkpoint: since(|job| job.stored),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(job) = state.job.take() {
            state.past += job.began.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    #[test]
    fn an_idle_device_grows_no_older() {
        let activity = Activity::default();
        let at_work = activity.begin(0);
        std::thread::sleep(MOMENT);
        let ages = activity.ages();
        assert!(ages.busy.min(ages.step).min(ages.checkpoint) >= MOMENT);
        drop(at_work);
        let idle = activity.ages();
        assert!(idle.busy >= ages.busy);
        assert_eq!((idle.step, idle.checkpoint), Default::default());
        std::thread::sleep(MOMENT);
        assert_eq!(activity.ages(), idle);
    }

    #[test]
    fn only_new_steps_count() {
        let activity = Activity::default();
        assert_eq!(activity.stepped(3), 0, "nobody did them");
        let _at_work = activity.begin(10);
        let new = [10, 12, 12, 2, 5].map(|steps| activity.stepped(steps));
        assert_eq!(new, [0, 2, 0, 2, 3]);
    }

    #[test]
    fn steps_and_checkpoints_grow_old_apart() {
        let activity = Activity::default();
        let _at_work = activity.begin(0);
        std::thread::sleep(MOMENT);
        activity.stored();
        let ages = activity.ages();
        assert!(ages.checkpoint < ages.step);
        std::thread::sleep(MOMENT);
        activity.stepped(1);
        let ages = activity.ages();
        assert!(ages.step < ages.checkpoint);
        activity.stepped(1);
        assert!(activity.ages().step > Duration::ZERO);
    }
}
