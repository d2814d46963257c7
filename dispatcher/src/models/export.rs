//! `stylefleet models export`: a model as an ONNX file.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use stylefleet_model::trained::{StyleName, Trained};

use super::file::ModelFile;
use super::{ModelsError, onnx};
use crate::commands::Ending;
use crate::output::Line;

/// Arguments of `stylefleet models export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The model's file
    file: PathBuf,

    /// ONNX file to write, which must not be there
    ///
    /// Its input `image` and its output `picture` are [1, 3, height, width], R, G, B in 0 to 255.
    /// Of a model of several styles, the input `shares` says how much of each is meant, in the
    /// model's order, and sums to 1.
    #[arg(long, value_name = "OUT.onnx")]
    onnx: PathBuf,

    /// The only style of the file, and no input `shares`
    #[arg(long, value_name = "NAME")]
    style: Option<StyleName>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ExportError {
    path: PathBuf,
    #[source]
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("is there already: name another file with --onnx")]
    Taken,
    #[error("cannot be written: {0}: name a file in a folder that is there with --onnx")]
    Write(#[from] std::io::Error),
    #[error("is not written: {0}")]
    Model(#[source] onnx::ExportError),
}

impl From<onnx::ExportError> for Reason {
    fn from(error: onnx::ExportError) -> Self {
        match error {
            onnx::ExportError::Write(error) => Self::Write(error),
            error => Self::Model(error),
        }
    }
}

/// Runs the command.
pub fn run(args: ExportArgs) -> Result<Ending, ModelsError> {
    let path = args.onnx;
    let model = ModelFile::read(&args.file)?;
    if let Err(reason) = write(&model.trained()?, args.style.as_ref(), &path) {
        return Err(ExportError { path, reason }.into());
    }
    Line::Result(format!("exported  {}", path.display())).print();
    Ok(Ending::AllDone)
}

/// Writes the file whole or not at all. Nothing is written over.
fn write(model: &Trained<'_>, style: Option<&StyleName>, path: &Path) -> Result<(), Reason> {
    let file = File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Reason::Taken,
        _ => error.into(),
    })?;
    let mut file = BufWriter::new(file);
    let written = onnx::export(model, style, &mut file).map_err(Reason::from);
    let written = written.and_then(|()| Ok(file.flush()?));
    if written.is_err() {
        // What is left of it is no use; the first error says more than another.
        let _ = std::fs::remove_file(path);
    }
    written
}
