//! Jobs and records for tests.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use stylefleet_model::stylize::{Parameters, Preset, Stylize};
use stylefleet_model::{Digest, Figures, Role, Valid};

use crate::{Input, Job, JobId, Output, Record, keys};

/// An input whose bytes are `bytes`.
pub fn input(role: Role, bytes: &[u8]) -> Input {
    Input {
        name: format!("{role}.png").parse().expect("a name"),
        role,
        sha256: Digest::of(bytes),
    }
}

/// A job of batch `batch` that redraws the image `content` in the style of the image `style`.
pub fn job(name: &str, content: &[u8], style: &[u8]) -> Job {
    job_with(name, content, style, |_| ())
}

/// Such a job with other parameters than the studio preset's.
pub fn job_with(
    name: &str,
    content: &[u8],
    style: &[u8],
    change: impl FnOnce(&mut Parameters),
) -> Job {
    let mut parameters = Preset::Studio.parameters();
    change(&mut parameters);
    let specification = Valid::new(Stylize {
        weights: vec![1.0],
        parameters,
    });
    let inputs = vec![
        input(Stylize::content(), content),
        input(Stylize::style(0), style),
    ];
    let batch = "batch".parse().expect("a batch");
    let name = name.parse().expect("a name");
    let specification = specification.expect("is valid");
    Job::new(batch, name, &specification, inputs).expect("is valid")
}

/// The record of a picture's job, whose only output has these bytes.
pub fn record(job: JobId, picture: &[u8]) -> Record {
    let role: Role = "picture".parse().expect("a role");
    Record {
        job,
        kind: "stylize".parse().expect("a kind"),
        inputs: Vec::new(),
        specification: serde_json::Value::Null,
        outputs: vec![Output {
            key: keys::output(&job, &role, &Digest::of(picture), "png"),
            role,
            media_type: "image/png".to_owned(),
        }],
        seconds: 1.0,
        steps: 1,
        figures: Figures::from([("loss".to_owned(), 1.0)]),
        attempt: 1,
        device: "cpu".to_owned(),
        notes: Vec::new(),
        made_with: BTreeMap::new(),
    }
}
