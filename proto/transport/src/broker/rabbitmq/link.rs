//! A live pair of connections: one to publish on, one to take messages from, so that a broker
//! that slows publishers down does not keep them from acknowledging.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, Event};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio::{join, try_join};
use tokio_util::sync::CancellationToken;

use super::connection::connect;
use super::patience::{Patience, SILENCE};
use super::{BrokerOptions, topology};
use crate::broker::{BrokerError, Hold};

/// First and longest wait between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How long taking leave may take.
const FAREWELL: Duration = Duration::from_secs(3);
/// AMQP's code for an orderly end.
pub(super) const OK: u16 = 200;

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
    /// Waits for what the broker answers.
    pub patience: Patience,
    /// Which of the broker's nodes it leads to.
    node: usize,
    connections: [Connection; 2],
}

impl Link {
    /// Connects to one of the broker's nodes: the first that lets us, beginning anywhere, so that
    /// clients spread over them.
    pub async fn open(options: &BrokerOptions) -> Result<Self, BrokerError> {
        Self::open_from(options, fastrand::usize(..)).await
    }

    /// Connects anew, beginning with the node after this link's, which may only seem to be well.
    pub async fn reopen(&self, options: &BrokerOptions) -> Result<Self, BrokerError> {
        Self::open_from(options, self.node + 1).await
    }

    /// The same as soon as that can be done, however often it fails; none once `stop` is
    /// cancelled. What went wrong is logged when it changes.
    pub async fn reopen_at_last(
        &self,
        options: &BrokerOptions,
        stop: &CancellationToken,
    ) -> Option<Self> {
        let (mut pause, longest) = PAUSES;
        let mut told = String::new();
        loop {
            let error = tokio::select! {
                opened = self.reopen(options) => match opened {
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

    async fn open_from(options: &BrokerOptions, first: usize) -> Result<Self, BrokerError> {
        let count = options.url.nodes().len();
        let first = first % count;
        let mut errors = Vec::new();
        for node in (first..count).chain(0..first) {
            match Self::open_at(options, node).await {
                Ok(link) => return Ok(link),
                Err(error) => errors.push(error),
            }
        }
        Err(BrokerError::of_nodes(errors))
    }

    /// Connects to a node, and sees to it that the topology is there. What does not depend on each
    /// other is asked for at once: a distant broker takes as long as there are questions one after
    /// another.
    async fn open_at(options: &BrokerOptions, node: usize) -> Result<Self, BrokerError> {
        let nodes = options.url.nodes();
        let address = &nodes[node];
        let hold = Hold::default();
        let (raise, alarm) = watch::channel(None);
        // Where there are other nodes to try, a mute one is left sooner.
        let shorter = SILENCE.div_f64(nodes.len() as f64);
        let patience = Patience::new(address, shorter, hold.lost.clone(), alarm);
        // Both to their end: a thread of the library is in each, and panics where a program ends
        // before it.
        let (publisher, taker) = join!(
            connect(address, options, &patience),
            connect(address, options, &patience)
        );
        let (publisher, taker) = (publisher?, taker?);
        let (publishing, telling, declaring, taking) = try_join!(
            patience.answer("open a channel", publisher.create_channel()),
            patience.answer("open a channel", publisher.create_channel()),
            patience.answer("open a channel", publisher.create_channel()),
            patience.answer("open a channel", taker.create_channel()),
        )?;
        let confirms = publishing.confirm_select(ConfirmSelectOptions::default());
        try_join!(
            patience.answer("ask for confirms", confirms),
            topology::ensure(&declaring, &taking, &patience),
        )?;
        let link = Self {
            taking,
            publishing,
            telling,
            hold,
            patience: patience.until(SILENCE),
            node,
            connections: [publisher, taker],
        };
        // Not before: the end of a channel counts too, and a declaration may cost one.
        let raise = Arc::new(raise);
        for connection in &link.connections {
            listen(connection, link.patience.clone(), raise.clone());
        }
        Ok(link)
    }

    /// A channel of one's own, to take messages from.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let [_, taker] = &self.connections;
        let channel = taker.create_channel();
        self.patience.answer("open a channel", channel).await
    }

    /// Counts the link as broken, so that another takes its place.
    pub fn give_up(&self, error: &impl Display) {
        if !self.hold.lost.is_cancelled() {
            tracing::warn!("{error}");
            self.hold.lost.cancel();
        }
    }

    /// Takes leave. What is not acknowledged is delivered to others.
    pub async fn close(&self) {
        // So that nobody takes the end for an accident.
        self.hold.lost.cancel();
        let [publisher, taker] = &self.connections;
        let closed = async {
            join!(
                publisher.close(OK, "done".into()),
                taker.close(OK, "done".into())
            )
        };
        // A connection that is broken is closed, and one that is blocked does not answer.
        let _ = timeout(FAREWELL, closed).await;
    }
}

/// Cancels `patience.lost` when the connection breaks, and raises the alarm while the broker takes
/// no messages.
fn listen(connection: &Connection, patience: Patience, raise: Arc<watch::Sender<Option<String>>>) {
    let mut events = connection.events_listener();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!("{}", patience.blocked(reason.clone()));
                        raise.send_replace(Some(reason));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::warn!("broker {}: takes messages again", patience.broker);
                        raise.send_replace(None);
                    }
                    Some(Event::Error(error)) => {
                        tracing::debug!("connection to the broker: {error}");
                        break;
                    }
                    Some(_) => {}
                    None => break,
                },
                () = patience.lost.cancelled() => break,
            }
        }
        patience.lost.cancel();
    });
}
