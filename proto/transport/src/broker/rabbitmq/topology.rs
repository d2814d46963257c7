//! The exchanges and queues, and how they hang together. The settings of a version never change: a
//! change makes the next version, with names of its own.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Error, ExchangeKind};
use stylefleet_proto::Priority;
use stylefleet_proto::lifecycle::RETRY_SECONDS;
use stylefleet_proto::queues::{self, ABANDONED, DEAD, DELIVERY_LIMIT, EVENTS, JOBS, PROGRESS};

use super::patience::{Patience, cause, is, reason};
use crate::broker::BrokerError;

/// How long the stream remembers events.
const MEMORY: &str = "7D";
/// Most bytes of events that the stream keeps; the oldest go first.
const MEMORY_BYTES: i64 = 2_000_000_000;
/// Size of the files that the stream is cut into and forgets in.
const SEGMENT_BYTES: i64 = 50_000_000;
/// A delivery limit that nobody meets: looking at dead letters counts as a delivery.
const NO_LIMIT: i64 = 1_000_000_000;

/// Something to declare.
enum Item {
    Exchange(String, ExchangeKind),
    Queue {
        name: String,
        arguments: Vec<(&'static str, AMQPValue)>,
        /// Exchange that it is bound to, and the routing key.
        source: (String, &'static str),
    },
}

/// Declares what is missing; where the right to do that is missing too, makes sure that it is
/// there. Settings other than ours are an error. A refusal costs the channel `declaring`, and
/// `looking` is left to its owner unless something is wrong.
pub(super) async fn ensure(
    declaring: &Channel,
    looking: &Channel,
    patience: &Patience,
) -> Result<(), BrokerError> {
    let items = items();
    let broker = || patience.broker.clone();
    let name = |index: usize| items.get(index).map_or("?", Item::name).to_owned();
    let declared = patience.all(items.iter().map(|item| declare(declaring, item)));
    match first_error(declared.await?) {
        None => {
            let bindings = items.iter().filter_map(|item| bind(declaring, item));
            patience.answers("bind queues", bindings).await?;
            Ok(())
        }
        Some((_, error)) if is(&error, AMQPSoftError::ACCESSREFUSED) => {
            let found = patience.all(items.iter().map(|item| look(looking, item)));
            match first_error(found.await?) {
                None => Ok(()),
                Some((index, error)) if is_absent(&error) => Err(BrokerError::Missing {
                    broker: broker(),
                    name: name(index),
                }),
                Some((_, error)) => Err(patience.lost(cause(&error))),
            }
        }
        Some((index, error)) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => {
            Err(BrokerError::Differs {
                broker: broker(),
                name: name(index),
                source: cause(&error),
            })
        }
        Some((_, error)) => Err(patience.lost(cause(&error))),
    }
}

/// The error, if there is one, and the place of what it is about: a broker answers in order, and
/// an error is its last word.
fn first_error(answers: Vec<Result<(), Error>>) -> Option<(usize, Error)> {
    let mut answers = answers.into_iter().enumerate();
    answers.find_map(|(index, answer)| Some((index, answer.err()?)))
}

/// Every exchange and queue, each after those that it refers to.
fn items() -> Vec<Item> {
    let mut items = vec![
        Item::Exchange(JOBS.to_owned(), ExchangeKind::Direct),
        Item::Exchange(ABANDONED.to_owned(), ExchangeKind::Fanout),
        Item::Exchange(DEAD.to_owned(), ExchangeKind::Fanout),
        Item::Exchange(EVENTS.to_owned(), ExchangeKind::Fanout),
        Item::Exchange(PROGRESS.to_owned(), ExchangeKind::Fanout),
        queue(ABANDONED, quorum(NO_LIMIT), ABANDONED, ""),
        queue(DEAD, quorum(NO_LIMIT), DEAD, ""),
        queue(EVENTS, stream(), EVENTS, ""),
    ];
    for priority in Priority::ORDER {
        let mut arguments = quorum(DELIVERY_LIMIT.into());
        arguments.extend(dead_lettering(ABANDONED));
        let name = queues::jobs(priority);
        items.push(queue(&name, arguments, JOBS, priority.word()));
    }
    for seconds in RETRY_SECONDS {
        let name = queues::retry(seconds);
        items.push(Item::Exchange(name.clone(), ExchangeKind::Fanout));
        let mut arguments = quorum(NO_LIMIT);
        arguments.extend(dead_lettering(JOBS));
        let millis = i64::from(seconds) * 1000;
        arguments.push(("x-message-ttl", AMQPValue::LongLongInt(millis)));
        items.push(queue(&name, arguments, &name, ""));
    }
    items
}

fn queue(
    name: &str,
    arguments: Vec<(&'static str, AMQPValue)>,
    exchange: &str,
    key: &'static str,
) -> Item {
    Item::Queue {
        name: name.to_owned(),
        arguments,
        source: (exchange.to_owned(), key),
    }
}

/// A replicated queue. Its limit is spelt out: RabbitMQ 4 has 20 where none is given.
fn quorum(delivery_limit: i64) -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit)),
    ]
}

/// What leaves the queue goes to `exchange`, and stays until it has arrived there.
fn dead_lettering(exchange: &str) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-dead-letter-exchange", text(exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}

fn stream() -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-queue-type", text("stream")),
        ("x-max-age", text(MEMORY)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(MEMORY_BYTES)),
        (
            "x-stream-max-segment-size-bytes",
            AMQPValue::LongLongInt(SEGMENT_BYTES),
        ),
    ]
}

/// Makes the item, or fails if there is another of its name.
async fn declare(channel: &Channel, item: &Item) -> Result<(), Error> {
    match item {
        Item::Exchange(name, kind) => {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let arguments = FieldTable::default();
            channel
                .exchange_declare(name.as_str().into(), kind.clone(), options, arguments)
                .await
        }
        Item::Queue {
            name, arguments, ..
        } => {
            let options = QueueDeclareOptions::durable();
            channel
                .queue_declare(name.as_str().into(), options, table(arguments))
                .await
                .map(drop)
        }
    }
}

/// Binds the item, if it is a queue.
fn bind(channel: &Channel, item: &Item) -> Option<impl Future<Output = Result<(), Error>>> {
    let Item::Queue {
        name,
        source: (exchange, key),
        ..
    } = item
    else {
        return None;
    };
    let options = QueueBindOptions::default();
    let arguments = FieldTable::default();
    Some(channel.queue_bind(
        name.as_str().into(),
        exchange.as_str().into(),
        (*key).into(),
        options,
        arguments,
    ))
}

/// Fails if the item is not there.
async fn look(channel: &Channel, item: &Item) -> Result<(), Error> {
    match item {
        Item::Exchange(name, kind) => {
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let arguments = FieldTable::default();
            channel
                .exchange_declare(name.as_str().into(), kind.clone(), options, arguments)
                .await
        }
        Item::Queue { name, .. } => {
            let options = QueueDeclareOptions::durable().passive();
            channel
                .queue_declare(name.as_str().into(), options, FieldTable::default())
                .await
                .map(drop)
        }
    }
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Self::Exchange(name, _) | Self::Queue { name, .. } => name,
        }
    }
}

fn table(arguments: &[(&'static str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Whether there is no such thing. A broker that has just started says "not found" of a stream
/// that is not up yet, too.
fn is_absent(error: &Error) -> bool {
    let reason = reason(error);
    is(error, AMQPSoftError::NOTFOUND)
        && (reason.contains("no queue") || reason.contains("no exchange"))
}
