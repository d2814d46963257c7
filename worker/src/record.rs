//! What a finished job leaves behind: its files, and the record that names them.

use std::iter;

use bytes::Bytes;
use stylefleet_engine::{Description, Finished};
use stylefleet_proto::{Digest, Figures, Job, Output, Record, keys};

use crate::failure::Failure;

/// The record of a job that is done, and the files of its outputs, in their order. They are encoded
/// outside the engine's thread, which is busy with the next job.
pub async fn record(
    job: &Job,
    specification: serde_json::Value,
    finished: Finished,
    engine: &Description,
    notes: Vec<String>,
) -> Result<(Record, Vec<Bytes>), Failure> {
    check(&finished.figures)?;
    let (outputs, files) = encoded(job, finished.outputs).await?;
    let program = [
        ("stylefleet", env!("CARGO_PKG_VERSION")),
        ("libtorch", &engine.libtorch),
    ];
    let program = program.map(|(part, version)| (part.to_owned(), version.to_owned()));
    let record = Record {
        job: job.id,
        kind: job.kind.clone(),
        inputs: job.inputs.clone(),
        specification,
        outputs,
        seconds: finished.seconds,
        steps: finished.steps,
        figures: finished.figures,
        attempt: job.attempt,
        device: engine.device.clone(),
        notes,
        made_with: iter::chain(finished.made_with, program).collect(),
    };
    // Else it would count as damaged whenever it is read.
    record.check(&job.id)?;
    Ok((record, files))
}

/// Refuses figures that are not finite.
fn check(figures: &Figures) -> Result<(), Failure> {
    match figures.iter().find(|(_, value)| !value.is_finite()) {
        Some((figure, value)) => Err(Failure::NotFinite {
            figure: figure.clone(),
            value: *value,
        }),
        None => Ok(()),
    }
}

async fn encoded(
    job: &Job,
    outputs: Vec<stylefleet_engine::Output>,
) -> Result<(Vec<Output>, Vec<Bytes>), Failure> {
    let job = job.id;
    let encode = move |output: stylefleet_engine::Output| {
        let role = output.role.parse()?;
        let file = (output.encode)()?;
        let output = Output {
            key: keys::output(&job, &role, &Digest::of(&file), output.ending),
            media_type: output.media_type.to_owned(),
            role,
        };
        Ok((output, file.into()))
    };
    let encoding = tokio::task::spawn_blocking(move || outputs.into_iter().map(encode).collect());
    encoding.await?
}
