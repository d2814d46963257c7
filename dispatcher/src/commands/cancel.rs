//! `stylefleet cancel`: says that jobs are not wanted any more. Asks no broker.

use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::cancel::{self, Cancelled};

use crate::commands::{CommandError, Ending, Target, open_store};
use crate::config::Settings;
use crate::output::{self, Line};

/// Arguments of `stylefleet cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// A batch, one of its results as BATCH/NAME, or a job's id
    pub target: Target,

    /// Print one JSON document: how many jobs were cancelled, and how many were over
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub async fn run(args: CancelArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let jobs = match &args.target {
        Target::Job(job) => vec![*job],
        Target::Batch(batch) => Batch::open(&*store, batch).await?.jobs(),
        Target::Result(batch, name) => {
            vec![Batch::open(&*store, batch).await?.result(name)?.job]
        }
    };
    let cancelled = cancel::cancel(&*store, &jobs).await?;
    output::answer(&cancelled, args.json, |Cancelled { cancelled, over }| {
        Line::Result(format!("{cancelled} jobs cancelled, {over} were over")).print();
    });
    Ok(Ending::AllDone)
}
