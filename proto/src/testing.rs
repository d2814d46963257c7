//! Jobs for tests.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use stylefleet_model::stylize::{Parameters, Preset, Stylize};
use stylefleet_model::{Digest, Role, Valid};

use crate::{Input, Job};

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
