//! What tests work with.

use stylefleet_model::stylize::Format;
use stylefleet_proto::{Digest, Job, JobId, keys, testing};

/// A job; another for each seed.
pub fn job(seed: u64) -> Job {
    Job {
        batch: "b-1".parse().expect("a batch"),
        ..testing::job(&format!("a-{seed}"), &seed.to_le_bytes(), b"style")
    }
}

/// The record of a job, as JSON: that of the example of a status.
pub fn record(job: JobId) -> serde_json::Value {
    let example = include_str!("../tests/schema/status-job.json");
    let mut example: serde_json::Value = serde_json::from_str(example).expect("JSON");
    let mut record = example["result"].take();
    record["job"] = job.to_string().into();
    record["picture"] = keys::picture(&job, &Digest::of(&[]), Format::Png).into();
    record
}
