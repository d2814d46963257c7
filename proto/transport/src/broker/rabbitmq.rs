//! RabbitMQ, 3.10 and later.
//!
//! Workers take jobs with `basic.get`, one queue a priority: quorum queues know no priorities
//! before RabbitMQ 4, and a subscription either hoards jobs or hands them out in the wrong order.
//! A message is acknowledged only once what follows from it is safe: a result in the store, or
//! another message that the broker has confirmed.

mod connection;
mod dead_letters;
mod dispatcher;
mod link;
mod message;
mod patience;
mod probe;
mod topology;
mod url;
mod worker;

use std::path::PathBuf;

pub use dispatcher::RabbitDispatcher;
pub use url::BrokerUrl;
pub use worker::RabbitWorker;
pub(super) use worker::Receipt;

/// How to reach a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Where it is, and who we are.
    pub url: BrokerUrl,
    /// PEM file of certificate authorities, besides those of the system.
    pub ca: Option<PathBuf>,
    /// What the connection is called in the broker's own lists.
    pub name: String,
}
