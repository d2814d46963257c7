//! What tests work with.

use stylefleet_model::stylize::{Format, Preset};
use stylefleet_proto::{Digest, Image, Job, JobId, Style, Valid, keys};

/// A job; another for each seed.
pub fn job(seed: u64) -> Job {
    let image = Image {
        sha256: Digest::of(&[]),
        name: "a.png".parse().expect("a name"),
    };
    let style = Style {
        image: image.clone(),
        weight: 1.0,
        mask: None,
    };
    let mut parameters = Preset::Studio.parameters();
    parameters.seed = seed;
    Job::new(
        "b-1".parse().expect("a batch"),
        format!("a-{seed}").parse().expect("a name"),
        image,
        vec![style],
        None,
        Valid::new(parameters).expect("is valid"),
    )
    .expect("a job")
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
