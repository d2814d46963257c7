//! `stylefleet models show`: all that a model says of itself.

use std::path::PathBuf;

use bytesize::ByteSize;
use serde::Serialize;
use stylefleet_model::Choice;
use stylefleet_model::train::objective;
use stylefleet_model::trained::{Header, TrainingRecord};
use stylefleet_proto::Digest;

use super::ModelsError;
use super::file::ModelFile;
use crate::commands::Ending;
use crate::output::{self, Line};

/// Arguments of `stylefleet models show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The model's file
    file: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A model's file and what it says.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    bytes: usize,
    sha256: Digest,
    #[serde(flatten)]
    header: Header,
}

/// Runs the command.
pub fn run(args: ShowArgs) -> Result<Ending, ModelsError> {
    let model = ModelFile::read(&args.file)?;
    let shown = Shown {
        file: model.path.to_string_lossy().into_owned(),
        bytes: model.bytes.len(),
        sha256: Digest::of(&model.bytes),
        header: model.header,
    };
    output::answer(&shown, args.json, Shown::print);
    Ok(Ending::AllDone)
}

impl Shown {
    fn print(&self) {
        let header = &self.header;
        let styles: Vec<_> = header.styles.iter().map(AsRef::as_ref).collect();
        line("file", &self.file);
        line("size", &ByteSize(self.bytes as u64).to_string());
        line("sha256", &self.sha256.to_string());
        line("format", &header.format.to_string());
        line("layout", header.layout.word());
        line("width", &header.width.to_string());
        line("styles", &styles.join(", "));
        line("licence", &header.licence);
        if let Some(training) = &header.training {
            print_training(training);
        }
        for (field, value) in header.objective.iter().flat_map(|asked| asked.show()) {
            if let Some(row) = objective().find(|row| row.field == field) {
                line("objective", &format!("{} {value}", row.name()));
            }
        }
    }
}

fn print_training(training: &TrainingRecord) {
    let TrainingRecord {
        steps,
        size,
        batch,
        learning_rate,
        temporal_weight,
        seed,
        photographs,
        loss,
        made_with,
    } = training;
    line(
        "trained",
        &format!(
            "{steps} steps of {batch} samples of {size}x{size}, learning rate {learning_rate}, \
             temporal weight {temporal_weight}, seed {seed}, on {photographs} photographs, \
             to a loss of {}",
            output::figure(*loss)
        ),
    );
    for (part, version) in made_with {
        line("made with", &format!("{part} {version}"));
    }
}

fn line(what: &str, text: &str) {
    Line::Result(format!("{what:11} {text}")).print();
}
