//! What can go wrong between a program and its broker.

use stylefleet_proto::Invalid;

use crate::pipe::PipeError;

/// Why a broker did not do as it was told. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL makes no sense.
    #[error(
        "the broker's URL {0}: it must be like amqp://user:password@host:5672/vhost, or amqps://"
    )]
    Url(String),
    /// The file of certificate authorities cannot be read.
    #[error("{path}: {source}: name a PEM file of certificate authorities")]
    Authorities {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nobody answers.
    #[error("broker {broker}: cannot be reached: {reason}: check address, port and network")]
    Unreachable {
        /// The URL without its password.
        broker: String,
        /// What the system said.
        reason: String,
    },
    /// It does not let us in.
    #[error("broker {broker}: refuses the login: {reason}: check user, password and vhost")]
    Refused {
        /// The URL without its password.
        broker: String,
        /// What the broker said.
        reason: String,
    },
    /// It lets us in, but not do what we must.
    #[error("broker: no right to {action}: {reason}: grant it as in deploy/rabbitmq")]
    Denied {
        /// What was tried.
        action: String,
        /// What the broker said.
        reason: String,
    },
    /// A queue or exchange is missing, and may not be made.
    #[error("broker: {name} is missing: have an administrator run `stylefleet doctor --declare`")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A queue or exchange is not as this version makes it.
    #[error(
        "broker: {name} exists with other settings than this version gives it: {reason}: \
         drain it and delete it, or use another vhost"
    )]
    Differs {
        /// Its name.
        name: String,
        /// What the broker said.
        reason: String,
    },
    /// It could not put a message anywhere, or did not want to.
    #[error("broker: did not take a message for {name}: {reason}")]
    NotTaken {
        /// Where it should have gone.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The connection broke, or the broker fell silent.
    #[error("broker: the connection was lost: {0}")]
    Lost(String),
    /// The pipe to the dispatcher broke.
    #[error("standard streams: {0}")]
    Pipe(#[from] PipeError),
    /// A message does not even say which job it is about.
    #[error("standard input: a message cannot be answered: {0}")]
    Message(#[from] Invalid),
}

impl BrokerError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost(_) | Self::NotTaken { .. }
        )
    }
}
