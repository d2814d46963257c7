//! A live pair of connections: one to publish on, one to take messages from, so that a broker
//! that slows publishers down does not keep them from acknowledging.

use std::fmt::Display;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::ConfirmSelectOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::{Channel, Connection, ConnectionProperties, Error, ErrorKind, Event};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{BrokerOptions, topology};
use crate::broker::{BrokerError, Hold};

/// First and longest wait between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// Longest time that opening a link may take.
const OPENING: Duration = Duration::from_secs(30);
/// AMQP's code for an orderly end.
const OK: u16 = 200;

/// Connections that stand or fall together.
#[derive(Debug)]
pub(super) struct Link {
    /// Takes messages and acknowledges them.
    pub taking: Channel,
    /// Publishes with confirms.
    pub publishing: Channel,
    /// Publishes what nobody confirms.
    pub telling: Channel,
    /// What happens to claims made over this link.
    pub hold: Hold,
    connections: [Connection; 2],
}

impl Link {
    /// Connects, and sees to it that the topology is there.
    pub async fn open(options: &BrokerOptions) -> Result<Self, BrokerError> {
        Self::open_within(OPENING, options).await
    }

    /// Where a connection breaks at an unlucky moment, lapin never says so to who waits for an answer.
    async fn open_within(longest: Duration, options: &BrokerOptions) -> Result<Self, BrokerError> {
        let opened = timeout(longest, Self::try_to_open(options)).await;
        opened.unwrap_or_else(|_| {
            Err(BrokerError::Unreachable {
                broker: options.url.to_string(),
                reason: format!("no answer for {} s", longest.as_secs_f64()),
            })
        })
    }

    async fn try_to_open(options: &BrokerOptions) -> Result<Self, BrokerError> {
        let publisher = connect(options).await?;
        let taker = connect(options).await?;
        topology::ensure(&publisher).await?;
        let publishing = publisher.create_channel().await.map_err(lost)?;
        publishing
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(lost)?;
        let link = Self {
            taking: taker.create_channel().await.map_err(lost)?,
            telling: publisher.create_channel().await.map_err(lost)?,
            publishing,
            hold: Hold::default(),
            connections: [publisher, taker],
        };
        for connection in &link.connections {
            watch(connection, link.hold.lost.clone());
        }
        Ok(link)
    }

    /// Connects as soon as that can be done, however often it fails; none once `stop` is
    /// cancelled. What went wrong is logged when it changes.
    pub async fn reopen(options: &BrokerOptions, stop: &CancellationToken) -> Option<Self> {
        let (mut pause, longest) = PAUSES;
        let mut told = String::new();
        loop {
            let error = tokio::select! {
                opened = Self::open(options) => match opened {
                    Ok(link) => return Some(link),
                    Err(error) => error.to_string(),
                },
                () = stop.cancelled() => return None,
            };
            if error != told {
                tracing::warn!("{error}; trying again until it works");
                told = error;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
                () = stop.cancelled() => return None,
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// A channel of one's own, to take messages from.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let [_, taker] = &self.connections;
        taker.create_channel().await.map_err(lost)
    }

    /// Counts the link as broken, so that another takes its place.
    pub fn give_up(&self, error: &impl Display) {
        if !self.hold.lost.is_cancelled() {
            tracing::warn!("the connection to the broker was lost: {error}");
            self.hold.lost.cancel();
        }
    }

    /// Takes leave. What is not acknowledged is delivered to others.
    pub async fn close(&self) {
        // So that nobody takes the end for an accident.
        self.hold.lost.cancel();
        for connection in &self.connections {
            // If it is broken already, it is closed.
            let _ = connection.close(OK, "done".into()).await;
        }
    }
}

/// One connection.
pub(super) async fn connect(options: &BrokerOptions) -> Result<Connection, BrokerError> {
    let url = &options.url;
    let properties =
        ConnectionProperties::default().with_connection_name(options.name.as_str().into());
    let authorities = match &options.ca {
        Some(path) if url.is_encrypted() => {
            let read = tokio::fs::read_to_string(path).await;
            Some(read.map_err(|source| BrokerError::Authorities {
                path: path.display().to_string(),
                source,
            })?)
        }
        _ => None,
    };
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: authorities,
    };
    let runtime = lapin::runtime::default_runtime().map_err(lost)?;
    Connection::connect_uri_with_config(url.uri(), properties, tls, runtime)
        .await
        .map_err(|error| refused(url, &error))
}

/// Cancels `lost` when the connection breaks.
fn watch(connection: &Connection, lost: CancellationToken) {
    let mut events = connection.events_listener();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!("the broker takes no messages for now: {reason}");
                    }
                    Some(Event::Error(error)) => {
                        tracing::debug!("connection to the broker: {error}");
                        break;
                    }
                    Some(_) => {}
                    None => break,
                },
                () = lost.cancelled() => break,
            }
        }
        lost.cancel();
    });
}

/// Why a connection did not come about.
fn refused(url: &super::BrokerUrl, error: &Error) -> BrokerError {
    let broker = url.to_string();
    let reason = reason(error);
    match error.kind() {
        ErrorKind::ProtocolError(e)
            if matches!(
                e.kind(),
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                    | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
            ) =>
        {
            BrokerError::Refused { broker, reason }
        }
        _ => BrokerError::Unreachable { broker, reason },
    }
}

/// An error of a channel that was fine before: the link is lost, or a right is missing.
pub(super) fn trouble(action: &str, error: Error) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(e)
            if matches!(e.kind(), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) =>
        {
            BrokerError::Denied {
                action: action.to_owned(),
                reason: reason(&error),
            }
        }
        _ => lost(error),
    }
}

/// Any other error: the connection is of no more use.
pub(super) fn lost(error: Error) -> BrokerError {
    BrokerError::Lost(reason(&error))
}

/// What went wrong, on one line and without the library's words around it.
pub(super) fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::IOError(e) => e.to_string(),
        ErrorKind::ProtocolError(e) => e.get_message().to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broker_that_never_answers_is_given_up() {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = mute.local_addr().expect("has one");
        let options = BrokerOptions {
            url: format!("amqp://a:b@{address}").parse().expect("a URL"),
            ca: None,
            name: "test".to_owned(),
        };
        let opened = Link::open_within(Duration::from_millis(50), &options).await;
        let error = opened.expect_err("nobody is there");
        assert!(error.is_retryable(), "{error}");
        assert!(error.to_string().contains("no answer"), "{error}");
    }
}
