//! Messages: what they carry and how they are handed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use prost::Message;
use stylefleet_proto::{Job, Trace, wire};

use super::link::Link;
use super::patience::Patience;
use crate::broker::BrokerError;

/// Largest message that is looked at; a job is a few kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// AMQP's word for messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;
/// Header of a dead letter: why it is one.
const REASON: &str = "x-stylefleet-reason";
/// Header of a dead letter: the worker that set it aside.
const WORKER: &str = "x-stylefleet-worker";
/// Headers that say where a job stands in distributed traces; the first two are W3C's.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BEFORE: &str = "x-stylefleet-before";
/// Header in which a quorum queue counts earlier deliveries.
const DELIVERIES: &str = "x-delivery-count";

/// The job in a message, checked.
pub(super) fn job(delivery: &Delivery) -> Result<Job, String> {
    let bytes = &delivery.data;
    if bytes.len() > MAX_BYTES {
        return Err(format!(
            "the message has {} bytes, more than the {MAX_BYTES} allowed",
            bytes.len()
        ));
    }
    let job = wire::Job::decode(&bytes[..])
        .map_err(|e| format!("the message is no job of this contract: {e}"))?;
    let job = Job::try_from(job).map_err(|e| format!("the message is no valid job: {e}"))?;
    let header = |name| text(&delivery.properties, name).unwrap_or_default();
    let trace = Trace::of(&header(TRACEPARENT), &header(TRACESTATE), &header(BEFORE));
    Ok(Job { trace, ..job })
}

/// A job as a message.
pub(super) fn of_job(job: &Job) -> (Vec<u8>, BasicProperties) {
    let trace = wire::Trace::from(&job.trace);
    let trace = [
        (TRACEPARENT, trace.traceparent),
        (TRACESTATE, trace.tracestate),
        (BEFORE, trace.before),
    ];
    let said = trace.into_iter().filter(|(_, value)| !value.is_empty());
    let properties = persistent("stylefleet.v2.Job").with_message_id(job.id.to_string().into());
    let properties = with_headers(properties, said);
    (wire::Job::from(job).encode_to_vec(), properties)
}

/// Properties of a message that the broker is to keep.
pub(super) fn persistent(kind: &str) -> BasicProperties {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    BasicProperties::default()
        .with_content_type("application/x-protobuf".into())
        .with_type(kind.into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(now.map_or(0, |since| since.as_secs()))
}

/// The same, for a dead letter.
pub(super) fn with_reason(
    properties: BasicProperties,
    reason: &str,
    worker: &str,
) -> BasicProperties {
    let headers = [(REASON, reason), (WORKER, worker)];
    with_headers(
        properties,
        headers.map(|(name, value)| (name, value.to_owned())),
    )
}

/// The same properties with more headers.
fn with_headers(
    properties: BasicProperties,
    more: impl IntoIterator<Item = (&'static str, String)>,
) -> BasicProperties {
    let mut all = headers(&properties).cloned().unwrap_or_default();
    for (name, value) in more {
        all.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    properties.with_headers(all)
}

/// Why a dead letter is one, and the worker that said so.
pub(super) fn reason_of(properties: &BasicProperties) -> (Option<String>, Option<String>) {
    (text(properties, REASON), text(properties, WORKER))
}

/// What a header says, if it is text.
fn text(properties: &BasicProperties, header: &str) -> Option<String> {
    match headers(properties)?.inner().get(header)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}

/// Whether a message was delivered before and never answered.
pub(super) fn is_redelivered(delivery: &Delivery) -> bool {
    let counted =
        headers(&delivery.properties).and_then(|headers| headers.inner().get(DELIVERIES).cloned());
    delivery.redelivered || matches!(counted, Some(AMQPValue::LongLongInt(1..)))
}

/// When a message was published.
pub(super) fn published(delivery: &Delivery) -> Option<SystemTime> {
    let seconds = (*delivery.properties.timestamp())?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Where in its stream a message is.
pub(super) fn offset(delivery: &Delivery) -> Option<i64> {
    match headers(&delivery.properties)?
        .inner()
        .get("x-stream-offset")?
    {
        AMQPValue::LongLongInt(offset) => Some(*offset),
        _ => None,
    }
}

fn headers(properties: &BasicProperties) -> Option<&FieldTable> {
    properties.headers().as_ref()
}

/// Hands a message in and waits until the broker has it for certain.
pub(super) async fn publish(
    link: &Link,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), BrokerError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let handed_in = async {
        let channel = &link.publishing;
        channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await?
            .await
    };
    let patience = &link.patience;
    let action = format!("publish to {exchange}");
    let confirmation = patience.answer(&action, handed_in).await?;
    taken(patience, exchange, confirmation)
}

/// Whether a confirmation says that the message is in a queue.
pub(super) fn taken(
    patience: &Patience,
    exchange: &str,
    confirmation: Confirmation,
) -> Result<(), BrokerError> {
    let reason = match confirmation {
        Confirmation::Ack(None) => return Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
            "no queue is bound to it: have an administrator run `stylefleet doctor --declare`"
        }
        Confirmation::Nack(None) => "the queue is full or in trouble: look at the broker's log",
        Confirmation::NotRequested => "the channel asks for no confirms",
    };
    Err(BrokerError::NotTaken {
        broker: patience.broker.clone(),
        name: exchange.to_owned(),
        reason,
    })
}

/// Acknowledges a delivery.
pub(super) async fn ack(link: &Link, delivery: &Delivery) -> Result<(), BrokerError> {
    let patience = &link.patience;
    let sent = delivery.ack(BasicAckOptions::default());
    if patience.answer("acknowledge a message", sent).await? {
        Ok(())
    } else {
        Err(patience.lost("the delivery is void"))
    }
}
