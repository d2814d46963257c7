//! Why an attempt failed, and whether another may succeed.

use stylefleet_engine::Error;
use stylefleet_proto::{Digest, Name, UnknownLayer};
use stylefleet_transport::store::StoreError;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An input is not in the store.
    #[error("{name}: is not in the store as inputs/{sha256}: submit the job again")]
    Missing {
        /// What people call the image.
        name: Name,
        /// What it should be.
        sha256: Digest,
    },
    /// An input is not what it was.
    #[error(
        "{name}: inputs/{sha256} in the store is not the image it should be: submit the job again"
    )]
    Altered {
        /// What people call the image.
        name: Name,
        /// What it should be.
        sha256: Digest,
    },
    /// The engine does not know a layer that the contract has.
    #[error(transparent)]
    Layer(#[from] UnknownLayer),
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record of the result cannot be read or written.
    #[error("{key} in the store: {reason}: remove it to have the picture made again")]
    Record {
        /// Where it is.
        key: String,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// The engine says no.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The engine's thread did not start.
    #[error("cannot start a thread: {0}: raise the limit on processes or memory")]
    Thread(#[source] std::io::Error),
    /// The code is wrong somewhere.
    #[error("the worker panicked: {0}: please report this")]
    Panic(String),
}

impl Failure {
    /// Whether another attempt may succeed where this one did not.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Altered { .. } | Self::Layer(_) | Self::Record { .. } => {
                false
            }
            Self::Store(error) => error.is_retryable(),
            Self::Engine(error) => error.is_retryable(),
            Self::Thread(_) | Self::Panic(_) => true,
        }
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Panic(error.to_string())
    }
}
