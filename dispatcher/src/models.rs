//! `stylefleet models`: what model files hold, and other forms of them.

mod export;
pub mod file;
mod list;
mod onnx;
mod show;

use crate::commands::Ending;

use export::ExportArgs;
use list::ListArgs;
use show::ShowArgs;

pub use export::ExportError;
pub use file::ModelError;

/// Why a command about models cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file is no model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Another form of it cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Arguments of `stylefleet models`.
#[derive(Debug, clap::Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ModelsCommand {
    /// List models: their styles, width, layout, steps of training and licence
    ///
    /// Example: stylefleet models list models
    List(ListArgs),

    /// Show all that a model says of itself
    ///
    /// Example: stylefleet models show sea.safetensors
    Show(ShowArgs),

    /// Write a model in another form
    ///
    /// Example: stylefleet models export sea.safetensors --onnx sea.onnx
    Export(ExportArgs),
}

/// Runs the command.
pub fn run(args: ModelsArgs) -> Result<Ending, ModelsError> {
    match args.command {
        ModelsCommand::List(args) => Ok(list::run(args)),
        ModelsCommand::Show(args) => show::run(args),
        ModelsCommand::Export(args) => export::run(args),
    }
}
