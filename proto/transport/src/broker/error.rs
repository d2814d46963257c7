//! What can go wrong between a program and its broker, in one line: subject, cause, remedy.

use stylefleet_proto::Invalid;

use crate::pipe::PipeError;
use crate::{AuthoritiesError, Cause};

/// Why a broker did not do as it was told. A `broker` is its URL without the password.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL is invalid.
    #[error(
        "the broker's URL {0}: it must be like amqp://user:password@host:5672/vhost, or amqps://, \
         with #, ?, /, @ and % in a name or password percent-encoded, as in %23, and commas \
         between the addresses of several nodes"
    )]
    Url(&'static str),
    /// The file of certificate authorities is of no use.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// Nobody answers.
    #[error("broker {broker}: cannot be reached: {source}: check address, port and network")]
    Unreachable {
        /// The URL.
        broker: String,
        /// What the system said.
        source: Cause,
    },
    /// Nobody that this machine trusts vouches for it, or it is somebody else.
    #[error("broker {broker}: is not trusted: {source}: {remedy}")]
    Untrusted {
        /// The URL.
        broker: String,
        /// What is wrong with its certificate.
        source: Cause,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Somebody answers, but not as this URL has it.
    #[error("broker {broker}: {reason}: {remedy}")]
    OtherProtocol {
        /// The URL.
        broker: String,
        /// What answers.
        reason: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It does not let us in.
    #[error("broker {broker}: refuses the login: {source}: {remedy}")]
    Refused {
        /// The URL.
        broker: String,
        /// What the broker said.
        source: Cause,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It lets us in, but not do what we must.
    #[error("broker {broker}: no right to {action}: {source}: grant it as in deploy/rabbitmq")]
    Denied {
        /// The URL.
        broker: String,
        /// What was tried.
        action: String,
        /// What the broker said.
        source: Cause,
    },
    /// A queue or exchange is missing, and may not be made.
    #[error(
        "broker {broker}: {name} is missing: have an administrator run \
         `stylefleet doctor --declare`"
    )]
    Missing {
        /// The URL.
        broker: String,
        /// Its name.
        name: String,
    },
    /// A queue or exchange is not as this version makes it.
    #[error(
        "broker {broker}: {name} exists with other settings than this version gives it: {source}: \
         drain it and delete it, or use another vhost"
    )]
    Differs {
        /// The URL.
        broker: String,
        /// Its name.
        name: String,
        /// What the broker said.
        source: Cause,
    },
    /// It could not put a message anywhere, or did not want to.
    #[error("broker {broker}: did not take a message for {name}: {reason}")]
    NotTaken {
        /// The URL.
        broker: String,
        /// Where it should have gone.
        name: String,
        /// Why not, and what to do about it.
        reason: &'static str,
    },
    /// It is in alarm.
    #[error(
        "broker {broker}: takes no messages, for it is {reason}: free some on its machine, \
         or change its limit (disk_free_limit, vm_memory_high_watermark)"
    )]
    Blocked {
        /// The URL.
        broker: String,
        /// What the broker said.
        reason: String,
    },
    /// The connection broke, or the broker fell silent.
    #[error(
        "broker {broker}: the connection was lost: {source}: check the network, and the broker's \
         log"
    )]
    Lost {
        /// The URL.
        broker: String,
        /// What the system or the broker said.
        source: Cause,
    },
    /// None of its nodes can be worked with.
    #[error("{}", list(.0))]
    Nodes(Vec<BrokerError>),
    /// A claim was settled with another broker than the one that it came from.
    #[error("the job was claimed from another broker")]
    Stranger,
    /// The pipe to the dispatcher broke.
    #[error("standard streams: {0}")]
    Pipe(#[from] PipeError),
    /// A message does not even say which job it is about.
    #[error("standard input: a message cannot be answered: {0}")]
    Message(#[from] Invalid),
}

impl BrokerError {
    /// What is wrong with each node of a broker, of which there is at least one.
    pub(super) fn of_nodes(mut errors: Vec<Self>) -> Self {
        match errors.len() {
            1 => errors.remove(0),
            _ => Self::Nodes(errors),
        }
    }

    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::NotTaken { .. }
            | Self::Blocked { .. } => true,
            Self::Nodes(errors) => errors.iter().all(Self::is_retryable),
            _ => false,
        }
    }
}

fn list(errors: &[BrokerError]) -> String {
    let errors: Vec<_> = errors.iter().map(BrokerError::to_string).collect();
    errors.join("; ")
}
