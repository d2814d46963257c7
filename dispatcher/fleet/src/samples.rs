//! What tests work with.

use stylefleet_proto::{Job, testing};

/// A job; another for each seed.
pub fn job(seed: u64) -> Job {
    Job {
        batch: "b-1".parse().expect("a batch"),
        ..testing::job(&format!("a-{seed}"), &seed.to_le_bytes(), b"style")
    }
}
