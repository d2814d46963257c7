//! What tests work with.

use std::collections::BTreeMap;

use stylefleet_model::stylize::Format;
use stylefleet_proto::{Digest, Job, JobId, Record, Scored, keys, testing};

/// A job.
pub fn job() -> Job {
    testing::job("name", b"content", b"style")
}

/// The record of a job that came to the `picture`.
pub fn record(job: JobId, picture: &[u8]) -> Record {
    Record {
        job,
        picture: keys::picture(&job, &Digest::of(picture), Format::Png),
        width: 1,
        height: 1,
        kind: "stylize".parse().expect("a kind"),
        inputs: Vec::new(),
        specification: serde_json::Value::Null,
        seconds: 1.0,
        evaluations: 1,
        score: Scored {
            loss: 1.0,
            terms: BTreeMap::new(),
        },
        attempt: 1,
        device: "cpu".to_owned(),
        precision: "f32".to_owned(),
        notes: Vec::new(),
        versions: BTreeMap::new(),
    }
}
