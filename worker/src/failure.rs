//! Why an attempt failed, and whether another may succeed.

use stylefleet_engine::Error;
use stylefleet_proto::metrics::Reason;
use stylefleet_proto::{Digest, Invalid, Name, Role};
use stylefleet_transport::store::StoreError;
use tokio::task::JoinError;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An input is not in the store.
    #[error("{name}: is not in the store as inputs/{sha256}: submit the job again")]
    Missing {
        /// What people call it.
        name: Name,
        /// The hash that it should have.
        sha256: Digest,
    },
    /// An input in the store is not what was submitted.
    #[error(
        "{name}: inputs/{sha256} in the store is not the file it should be: submit the job with \
         --again"
    )]
    Altered {
        /// What people call it.
        name: Name,
        /// The hash that it should have.
        sha256: Digest,
    },
    /// The job's specification is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The job has no input of a role that its kind requires.
    #[error("the job has no input {0}: submit it again")]
    NoInput(Role),
    /// The worker does not know this kind of job.
    #[error(
        "this worker knows no jobs of the kind {kind}, only {}: start a worker that does",
        known.join(", ")
    )]
    UnknownKind {
        /// The kind.
        kind: Role,
        /// The kinds that it knows.
        known: Vec<&'static str>,
    },
    /// A figure of the result is not finite.
    #[error("its figure {figure} came to {value}: change what the job asks for")]
    NotFinite {
        /// The figure.
        figure: String,
        /// Its value.
        value: f64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document cannot be written.
    #[error("{what} cannot be written as JSON: {source}: please report this")]
    Document {
        /// Which one.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The job kills its workers.
    #[error(
        "{workers} workers in a row ended while at it, without getting ahead: {}",
        exit_reason.as_deref().unwrap_or(
            "look at their logs; perhaps memory ran out: give them more, or ask for less"
        )
    )]
    CrashLoop {
        /// How many.
        workers: u32,
        /// How the last one ended, if that is known.
        exit_reason: Option<String>,
    },
    /// The engine's thread did not start.
    #[error("cannot start a thread: {0}: raise the limit on processes or memory")]
    Thread(#[source] std::io::Error),
    /// The engine panicked.
    #[error("the worker panicked: {0}: please report this")]
    Panic(String),
    /// A task of the worker panicked.
    #[error("the worker panicked: {0}: please report this")]
    Task(#[from] JoinError),
}

impl Failure {
    /// Whether another attempt may succeed where this one did not.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Altered { .. }
            | Self::Invalid(_)
            | Self::NoInput(_)
            | Self::NotFinite { .. }
            | Self::Document { .. }
            | Self::CrashLoop { .. } => false,
            Self::Store(error) => error.is_retryable(),
            Self::Engine(error) => error.is_retryable(),
            // Another worker may know the kind.
            Self::UnknownKind { .. } | Self::Thread(_) | Self::Panic(_) | Self::Task(_) => true,
        }
    }

    /// What kind of failure it is, for those who count them.
    pub fn class(&self) -> Reason {
        match self {
            Self::Missing { .. } | Self::Altered { .. } => Reason::Input,
            Self::Invalid(_) | Self::NoInput(_) => Reason::Request,
            Self::UnknownKind { .. } => Reason::Kind,
            Self::NotFinite { .. } => Reason::Numbers,
            Self::Store(_) => Reason::Store,
            Self::Engine(error) => class_of(error),
            Self::CrashLoop { .. } => Reason::Crash,
            Self::Panic(_) | Self::Task(_) => Reason::Panic,
            Self::Document { .. } | Self::Thread(_) => Reason::Worker,
        }
    }
}

fn class_of(error: &Error) -> Reason {
    match error {
        Error::Image { .. } | Error::Clip(_) | Error::Model { .. } | Error::Photographs { .. } => {
            Reason::Input
        }
        Error::Request(_) => Reason::Request,
        Error::NotFinite(_) | Error::Diverged { .. } => Reason::Numbers,
        Error::OutOfMemory(_) | Error::Memory { .. } => Reason::Memory,
        Error::NoNetwork | Error::Weights { .. } => Reason::Weights,
        Error::Input { .. } => Reason::Store,
        Error::Torch(_) => Reason::Engine,
        Error::Checkpoint(_) | Error::Device { .. } | Error::Encoding { .. } | Error::Ffmpeg(_) => {
            Reason::Worker
        }
    }
}
