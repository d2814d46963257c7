//! The commands, one a file.

mod cancel;
mod completions;
mod dashboard;
mod dead;
mod doctor;
mod fetch;
mod init;
mod queue;
mod report;
mod run;
mod status;
mod submit;
mod watch;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use cancel::CancelArgs;
use clap::Command;
use completions::{CompletionsArgs, ManArgs, ManError};
pub use dashboard::{DashboardArgs, run as dashboard};
use dead::DeadArgs;
use doctor::DoctorArgs;
use fetch::FetchArgs;
use init::{InitArgs, InitError};
use queue::QueueArgs;
use report::ReportArgs;
use run::RunError;
pub use run::{RunArgs, run};
use status::StatusArgs;
use stylefleet_dashboard::{AccessError, DashboardError};
use stylefleet_fleet::batch::BatchError;
use stylefleet_fleet::dead::DeadError;
use stylefleet_fleet::documents::DocumentError;
use stylefleet_fleet::follow::FollowError;
use stylefleet_fleet::health::HealthError;
use stylefleet_fleet::submit::SubmitError;
use stylefleet_proto::{BatchId, Invalid, JobId, MAX_PREVIEW_EVERY, Name};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::{Store, StoreError};
pub use submit::{SubmitArgs, run as submit};
use tokio_util::sync::CancellationToken;
use watch::WatchArgs;

use crate::brokers;
use crate::config::{ConfigError, Settings};
use crate::follow::PresentError;
use crate::local::LocalError;
use crate::models::ModelsError;
use crate::order::OrderError;
use crate::output_folder::FolderError;
use crate::report::ReportError;
use crate::reporter::Tally;
use crate::stores;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is as was wished.
    AllDone,
    /// Some results could not be made, or something is not as it should be.
    SomeFailed,
    /// It was asked to stop.
    Interrupted,
}

impl Ending {
    /// How work on results ended.
    pub fn of(tally: &Tally) -> Self {
        if tally.unfinished() > 0 {
            Self::Interrupted
        } else if tally.failed + tally.cancelled > 0 {
            Self::SomeFailed
        } else {
            Self::AllDone
        }
    }
}

/// Why a command cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The jobs cannot be ordered.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The environment is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be run at all.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// Signals cannot be caught.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// A run on this machine cannot begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Results cannot be saved.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Jobs cannot be followed.
    #[error(transparent)]
    Present(#[from] PresentError),
    /// The work on this machine cannot go on.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A batch cannot be read or written.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A document of the store cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Jobs cannot be submitted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Nothing can be done about dead jobs.
    #[error(transparent)]
    Dead(#[from] DeadError),
    /// Store or broker cannot be checked.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// Access to the dashboard cannot be given so.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The dashboard ends.
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
    /// A model is no use.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// There is no report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// There is no new file with settings.
    #[error(transparent)]
    Init(#[from] InitError),
    /// There are no manual pages.
    #[error(transparent)]
    Man(#[from] ManError),
}

impl CommandError {
    /// Whether it was called or set up wrongly, rather than met with trouble.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Order(OrderError::Usage(_))
                | Self::Config(_)
                | Self::Access(_)
                | Self::Store(StoreError::Setting { .. } | StoreError::Authorities(_))
                | Self::Broker(BrokerError::Url(_) | BrokerError::Authorities(_))
                | Self::Present(PresentError::Follow(FollowError::Broker(
                    BrokerError::Authorities(_)
                )))
        )
    }
}

/// The commands of a fleet, whatever its jobs are.
#[derive(Debug, clap::Subcommand)]
pub enum FleetCommand {
    /// Follow a batch until all its jobs are over
    ///
    /// Shows what has happened and what happens. Works, with less detail, while the broker is
    /// away. Ctrl-C ends the watch, not the work.
    ///
    /// Example: stylefleet watch b-0123456789abcdef
    ///
    /// Exit codes: 0 all done, 1 some failed or were cancelled, 130 interrupted.
    #[command(verbatim_doc_comment)]
    Watch(WatchArgs),

    /// Say what has become of batches and jobs, from the store alone
    ///
    /// Examples:
    ///   stylefleet status                   all batches
    ///   stylefleet status nightly --jobs    a batch, result by result
    ///   stylefleet status nightly/boat.wave one result: who is at it, or how it ended
    #[command(verbatim_doc_comment)]
    Status(StatusArgs),

    /// Bring a batch's results into a folder, from the store alone
    ///
    /// Each comes with its .json, as `run` leaves them. Those that are there already are kept.
    /// Nothing is written over: where a name is taken, the result gets a number, as in -2.
    /// Exit code 1 if any is missing.
    ///
    /// Example: stylefleet fetch nightly --out pictures
    #[command(verbatim_doc_comment)]
    Fetch(FetchArgs),

    /// Write a report: one HTML file with a batch's results, curves and reasons
    ///
    /// It needs nothing else to be looked at, and stays below 50 MB: pictures are in it in a size
    /// for the screen, and linked.
    ///
    /// Examples:
    ///   stylefleet report nightly --out nightly.html
    ///   stylefleet report --folder out      what `run` made there
    #[command(verbatim_doc_comment)]
    Report(ReportArgs),

    /// Cancel jobs
    ///
    /// Queued jobs are passed over when their turn comes; a running one stops within seconds and
    /// keeps its checkpoint, from which a later submit goes on. A job that another batch wants
    /// too is cancelled for both.
    ///
    /// Examples:
    ///   stylefleet cancel nightly           all of a batch
    ///   stylefleet cancel nightly/boat.wave one result
    #[command(verbatim_doc_comment)]
    Cancel(CancelArgs),

    /// Look after jobs that were set aside
    ///
    /// Jobs that fail for good, or kill their workers, are set aside with the reason. The list says
    /// which of them are done since, by another submit.
    ///
    /// Examples:
    ///   stylefleet dead list
    ///   stylefleet dead retry 0123456789ab
    ///   stylefleet dead drop --batch nightly
    ///   stylefleet dead drop --all --done   leaves those that wait for a decision
    #[command(verbatim_doc_comment)]
    Dead(DeadArgs),

    /// Show how many jobs wait, who works, and how fast
    ///
    /// Listens to the workers for some seconds. Rates are those of the last ten minutes.
    Queue(QueueArgs),

    /// Check broker, store and clocks, and say what to mend
    ///
    /// Exit code 1 if there is a problem.
    Doctor(DoctorArgs),

    /// Write a file with every setting, explained, for you to fill in
    ///
    /// Never overwrites a file. Only you can read it.
    Init(InitArgs),

    /// Print what a shell needs to complete commands and options
    ///
    /// Packages install it. Otherwise:
    ///   bash  stylefleet completions bash >~/.local/share/bash-completion/completions/stylefleet
    ///   zsh   stylefleet completions zsh >DIR/_stylefleet, DIR being a folder of $fpath
    ///   fish  stylefleet completions fish >~/.config/fish/completions/stylefleet.fish
    #[command(verbatim_doc_comment)]
    Completions(CompletionsArgs),

    /// Write the manual pages into a folder, one for each command
    Man(ManArgs),
}

impl FleetCommand {
    /// Runs the command. One that is to end gracefully does so once `stop` is cancelled.
    pub(crate) async fn run(
        self,
        settings: &Settings,
        program: Command,
        stop: &CancellationToken,
    ) -> Result<Ending, CommandError> {
        match self {
            Self::Watch(args) => watch::run(args, settings, stop).await,
            Self::Status(args) => status::run(args, settings).await,
            Self::Fetch(args) => fetch::run(args, settings).await,
            Self::Report(args) => report::run(args, settings).await,
            Self::Cancel(args) => cancel::run(args, settings).await,
            Self::Dead(args) => dead::run(args, settings).await,
            Self::Queue(args) => queue::run(args, settings).await,
            Self::Doctor(args) => doctor::run(args, settings).await,
            Self::Init(args) => init::run(args),
            Self::Completions(args) => completions::completions(&args, program),
            Self::Man(args) => completions::man(&args, program),
        }
    }
}

/// Reads how many steps lie between progress pictures.
fn preview_every() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_PREVIEW_EVERY))
}

/// The fleet's store.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, CommandError> {
    Ok(stores::open(&settings.store()?, &settings.s3()).await?)
}

/// The fleet's broker.
async fn connect(settings: &Settings) -> Result<Arc<dyn DispatcherEnd>, CommandError> {
    Ok(brokers::open(settings.broker()?).await?)
}

/// A batch, one of its results, or a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All of a batch.
    Batch(BatchId),
    /// The result of a name.
    Result(BatchId, Name),
    /// A job.
    Job(JobId),
}

impl FromStr for Target {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(job) = text.parse() {
            return Ok(Self::Job(job));
        }
        match text.split_once('/') {
            None => Ok(Self::Batch(text.parse()?)),
            Some((batch, name)) => Ok(Self::Result(batch.parse()?, name.parse()?)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(batch) => batch.fmt(f),
            Self::Result(batch, name) => write!(f, "{batch}/{name}"),
            Self::Job(job) => job.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_batches_results_and_jobs() {
        let job = "0123456789abcdef".repeat(4);
        for text in ["b-1", "b-1/boat at sea.wave", &job] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), text);
            assert_eq!(matches!(target, Target::Job(_)), text == job);
        }
        for text in ["", "B", "a/", "../b", "b/\n"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
