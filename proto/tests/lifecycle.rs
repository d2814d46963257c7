//! The rules of a job's life, whatever happens in it.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use stylefleet_proto::lifecycle::{
    ATTEMPTS, DEATHS, RETRY_SECONDS, Settlement, deaths, retry_wait, settle,
};
use stylefleet_proto::{Digest, Ended, Figures, Start};

/// Every way that attempts end.
fn ends() -> impl Strategy<Value = Ended> {
    prop_oneof![
        Just(Ended::Finished {
            seconds: 1.0,
            steps: 2,
            figures: Figures::new(),
        }),
        (any::<bool>(), "[a-z]{1,9}")
            .prop_map(|(retryable, reason)| Ended::Failed { retryable, reason }),
        any::<u64>().prop_map(|steps| Ended::Interrupted { steps }),
        Just(Ended::Cancelled),
    ]
}

/// How attempts end that are not the last.
fn troubles() -> impl Strategy<Value = Ended> {
    prop_oneof![
        3 => "[a-z]{1,9}".prop_map(|reason| Ended::Failed { retryable: true, reason }),
        3 => any::<u64>().prop_map(|steps| Ended::Interrupted { steps }),
    ]
}

/// Attempts: those that there are, the first that there is not, and what a hostile message says.
fn attempts() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1..=ATTEMPTS + 1, 1 => any::<u32>()]
}

/// What a worker leaves behind that begins with so many steps.
fn start(steps: u64, deaths: u32) -> Start {
    Start {
        job: Digest::of(&[]).to_string().parse().expect("an id"),
        worker: "worker".to_owned(),
        attempt: 1,
        steps,
        deaths,
        unix_millis: 0,
        exit_reason: None,
        asked: None,
    }
}

proptest! {
    #[test]
    fn only_failures_set_a_job_aside(attempt in attempts(), ended in ends()) {
        if let Settlement::SetAside { reason: why } = settle(attempt, &ended) {
            let Ended::Failed { reason, .. } = &ended else {
                panic!("{ended:?} is no reason to set a job aside");
            };
            prop_assert!(why.starts_with(reason.as_str()));
        }
    }

    /// However often a job is stopped meanwhile, it fails so many times and no more.
    #[test]
    fn only_failures_count_as_attempts(
        troubles in vec(troubles(), 0..30), end in ends()
    ) {
        let (mut attempt, mut failures) = (1, 0);
        for last in troubles.iter().chain([&end]) {
            match settle(attempt, last) {
                Settlement::Continue => {
                    let is_stopped = matches!(last, Ended::Interrupted { .. });
                    prop_assert!(is_stopped, "{:?}", last);
                }
                Settlement::Retry => {
                    failures += 1;
                    attempt += 1;
                    prop_assert!(attempt <= ATTEMPTS);
                }
                Settlement::SetAside { .. } => {
                    let is_final = matches!(last, Ended::Failed { retryable: false, .. });
                    prop_assert!(is_final || failures + 1 == ATTEMPTS);
                    break;
                }
                Settlement::Over => {
                    let is_over = matches!(last, Ended::Finished { .. } | Ended::Cancelled);
                    prop_assert!(is_over, "{:?}", last);
                    break;
                }
            }
        }
        prop_assert_eq!(attempt, failures + 1);
    }

    /// A job that kills whoever takes it, with the steps that it gets ahead each time.
    #[test]
    fn a_job_that_ends_its_workers_is_set_aside_in_time(
        gains in vec(prop_oneof![3 => Just(0), 1 => 1..9_u64], 0..40),
    ) {
        let (mut left, mut steps, mut in_vain) = (None, 0, 0);
        for gain in gains {
            let counted = deaths(left.as_ref(), steps);
            prop_assert_eq!(counted, in_vain);
            if counted >= DEATHS {
                break;
            }
            left = Some(start(steps, counted));
            steps += gain;
            // The last that got ahead counts: it died all the same.
            in_vain = if gain > 0 { 1 } else { in_vain + 1 };
        }
        prop_assert!(in_vain <= DEATHS);
    }

    #[test]
    fn waits_are_known_and_grow(attempt in attempts(), random in any::<usize>()) {
        let wait = retry_wait(attempt, random);
        prop_assert!(wait < RETRY_SECONDS.len());
        prop_assert!(wait <= retry_wait(attempt.saturating_add(1), random));
    }
}
