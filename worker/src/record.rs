//! The record of a finished job.

use stylefleet_engine::{Description, Picture};
use stylefleet_model::stylize::{Precision, Stylize};
use stylefleet_proto::{Curve, Job, Record, Scored};

/// What the result says of `picture`, which lies under `key`.
pub fn record(
    job: &Job,
    asked: &Stylize,
    picture: &Picture,
    key: String,
    engine: &Description,
    notes: Vec<String>,
) -> Record {
    let versions = [
        ("stylefleet", env!("CARGO_PKG_VERSION")),
        ("libtorch", &engine.libtorch),
        ("network", &engine.network),
        ("weights", &engine.weights_sha256),
    ];
    Record {
        job: job.id,
        picture: key,
        width: picture.width,
        height: picture.height,
        kind: job.kind.clone(),
        inputs: job.inputs.clone(),
        specification: serde_json::to_value(asked).unwrap_or_default(),
        seconds: picture.seconds,
        evaluations: picture.evaluations,
        score: Scored {
            loss: picture.loss,
            terms: picture.terms.clone(),
        },
        attempt: job.attempt,
        device: engine.device.clone(),
        precision: match picture.precision {
            Precision::Bf16 => "bf16",
            Precision::F32 | Precision::Auto => "f32",
        }
        .to_owned(),
        notes,
        versions: versions
            .map(|(part, version)| (part.to_owned(), version.to_owned()))
            .into(),
    }
}

/// How the loss fell on the way to `picture`.
pub fn curve(picture: &Picture) -> Curve {
    let points = picture.curve.iter();
    Curve {
        scale: points.clone().map(|point| point.scale).collect(),
        evaluations: points.clone().map(|point| point.evaluations).collect(),
        loss: points.map(|point| point.loss).collect(),
    }
}
