//! What tests work with.

use std::collections::BTreeMap;

use stylefleet_model::stylize::{Format, Parameters, Preset};
use stylefleet_proto::{Digest, Image, Job, JobId, Record, Scored, Style, Valid, keys};

/// An image.
fn image() -> Image {
    Image {
        sha256: Digest::of(&[]),
        name: "a.png".parse().expect("a name"),
    }
}

/// A style.
fn style() -> Style {
    Style {
        image: image(),
        weight: 1.0,
        mask: None,
    }
}

/// A job.
pub fn job() -> Job {
    let batch = "batch".parse().expect("a batch");
    let name = "name".parse().expect("a name");
    Job::new(batch, name, image(), vec![style()], None, parameters()).expect("a job")
}

/// Parameters.
fn parameters() -> Valid<Parameters> {
    Valid::new(Preset::Studio.parameters()).expect("is valid")
}

/// The record of a job that came to the `picture`.
pub fn record(job: JobId, picture: &[u8]) -> Record {
    Record {
        job,
        picture: keys::picture(&job, &Digest::of(picture), Format::Png),
        width: 1,
        height: 1,
        content: image(),
        styles: vec![style()],
        parameters: parameters(),
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
