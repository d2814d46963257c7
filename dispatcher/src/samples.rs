//! What tests work with.

use std::collections::BTreeMap;

use stylefleet_model::stylize::{Format, Preset};
use stylefleet_proto::{Digest, Image, JobId, Record, Scored, Style, Valid, keys};

/// The record of a job that came to the `picture`.
pub fn record(job: JobId, picture: &[u8]) -> Record {
    let image = Image {
        sha256: Digest::of(&[]),
        name: "a.png".parse().expect("a name"),
    };
    let style = Style {
        image: image.clone(),
        weight: 1.0,
        mask: None,
    };
    Record {
        job,
        picture: keys::picture(&job, &Digest::of(picture), Format::Png),
        width: 1,
        height: 1,
        content: image,
        styles: vec![style],
        parameters: Valid::new(Preset::Studio.parameters()).expect("is valid"),
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
