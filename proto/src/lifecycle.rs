//! What becomes of a job once a worker lets go of it: the rules that every broker keeps to.

use crate::{Ended, Start};

/// Attempts before a job is set aside.
pub const ATTEMPTS: u32 = 5;
/// Workers that may die over a job, one after the other and without its checkpoint growing,
/// before it is set aside.
pub const DEATHS: u32 = 5;
/// The waits before another attempt, in seconds: each is a queue of its own.
pub const RETRY_SECONDS: [u32; 9] = [2, 3, 5, 8, 13, 21, 34, 55, 89];
/// How many neighbouring waits an attempt's is drawn from.
const SPREAD: usize = 3;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing more is to be done.
    Over,
    /// It goes to the end of its queue, as it is: being stopped is no failed attempt.
    Continue,
    /// It is tried again after a wait.
    Retry,
    /// It is given up; people decide.
    SetAside {
        /// Why.
        reason: String,
    },
}

/// What follows from how attempt `attempt` ended.
pub fn settle(attempt: u32, ended: &Ended) -> Settlement {
    match ended {
        Ended::Finished { .. } | Ended::Cancelled => Settlement::Over,
        Ended::Interrupted { .. } => Settlement::Continue,
        Ended::Failed {
            retryable: true, ..
        } if attempt < ATTEMPTS => Settlement::Retry,
        Ended::Failed {
            retryable: true,
            reason,
        } => Settlement::SetAside {
            reason: format!("{reason} (given up after {attempt} attempts)"),
        },
        Ended::Failed { reason, .. } => Settlement::SetAside {
            reason: reason.clone(),
        },
    }
}

impl Settlement {
    /// Whether no more attempts follow.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Over | Self::SetAside { .. })
    }
}

/// How many workers died over a job in a row, where `left` is what the last one left behind and
/// `steps` are in the checkpoint now: one that got ahead starts the count anew.
pub fn deaths(left: Option<&Start>, steps: u64) -> u32 {
    match left {
        None => 0,
        Some(start) if steps > start.steps => 1,
        Some(start) => start.deaths.saturating_add(1),
    }
}

/// Index in [`RETRY_SECONDS`] of the wait after attempt `attempt`, from 1. Waits grow with the
/// attempts; `random` spreads them, so that jobs that failed together do not come back together.
pub fn retry_wait(attempt: u32, random: usize) -> usize {
    let first = (attempt.max(1) as usize - 1).saturating_mul(2);
    first.min(RETRY_SECONDS.len() - SPREAD) + random % SPREAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_spread() {
        let waits =
            |attempt| (0..SPREAD).map(move |random| RETRY_SECONDS[retry_wait(attempt, random)]);
        assert_eq!(waits(1).collect::<Vec<_>>(), [2, 3, 5]);
        assert_eq!(waits(2).collect::<Vec<_>>(), [5, 8, 13]);
        // The last that is followed by another attempt.
        let last = waits(ATTEMPTS - 1).collect::<Vec<_>>();
        assert_eq!(last, RETRY_SECONDS[RETRY_SECONDS.len() - SPREAD..]);
        assert_eq!(waits(u32::MAX).collect::<Vec<_>>(), last);
        assert_eq!(retry_wait(0, usize::MAX), usize::MAX % SPREAD);
    }
}
