//! The commands, one a file.

mod cancel;
mod dead;
mod doctor;
mod fetch;
mod queue;
mod run;
mod status;
mod submit;
mod watch;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

pub use cancel::CancelArgs;
pub use dead::DeadArgs;
pub use doctor::DoctorArgs;
pub use fetch::FetchArgs;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
pub use queue::QueueArgs;
pub use run::{RunArgs, RunError};
pub use status::StatusArgs;
use stylefleet_fleet::batch::BatchError;
use stylefleet_fleet::dead::DeadError;
use stylefleet_fleet::documents::DocumentError;
use stylefleet_fleet::follow::FollowError;
use stylefleet_fleet::health::HealthError;
use stylefleet_fleet::submit::SubmitError;
use stylefleet_proto::{BatchId, Invalid, JobId, Name};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::{Store, StoreError};
pub use submit::SubmitArgs;
use tokio_util::sync::CancellationToken;
pub use watch::WatchArgs;

use crate::asking::intake::IntakeError;
use crate::asking::plan::PlanError;
use crate::brokers;
use crate::cli::Command;
use crate::config::{ConfigError, Settings};
use crate::follow::PresentError;
use crate::local::LocalError;
use crate::output_folder::FolderError;
use crate::reporter::Tally;
use crate::signals::Signals;
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
    /// What was typed is invalid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The environment is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Signals cannot be caught.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// A run on this machine cannot begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The pictures cannot be taken in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
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
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker did not do as it was told.
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
}

impl CommandError {
    /// Whether it was called or set up wrongly, rather than met with trouble.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Plan(_)
                | Self::Config(_)
                | Self::Store(StoreError::Setting { .. } | StoreError::Authorities(_))
                | Self::Broker(BrokerError::Url(_) | BrokerError::Authorities(_))
                | Self::Present(PresentError::Follow(FollowError::Broker(
                    BrokerError::Authorities(_)
                )))
        )
    }
}

/// Runs the command, until a signal comes.
pub async fn perform(command: Command, settings: &Settings) -> Result<Ending, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::Signals)?;
    let stop = CancellationToken::new();
    let mut work: LocalBoxFuture<'_, _> = match command {
        // It has workers to stop, and handles a second signal too.
        Command::Run(args) => return run::run(*args, settings, &mut signals).await,
        Command::Submit(args) => Box::pin(submit::run(*args, settings, &stop)),
        Command::Watch(args) => Box::pin(watch::run(args, settings, &stop)),
        Command::Status(args) => Box::pin(status::run(args, settings)),
        Command::Fetch(args) => Box::pin(fetch::run(args, settings)),
        Command::Cancel(args) => Box::pin(cancel::run(args, settings)),
        Command::Dead(args) => Box::pin(dead::run(args, settings)),
        Command::Queue(args) => Box::pin(queue::run(args, settings)),
        Command::Doctor(args) => Box::pin(doctor::run(args, settings)),
    };
    tokio::select! {
        ended = &mut work => return ended,
        () = signals.recv() => stop.cancel(),
    }
    // What is to end gracefully does so at once; all else is dropped where it stands.
    work.now_or_never().unwrap_or(Ok(Ending::Interrupted))
}

/// The fleet's store.
async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, CommandError> {
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
