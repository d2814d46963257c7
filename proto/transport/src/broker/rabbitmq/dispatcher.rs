//! The end that a dispatcher holds: submits jobs, follows what becomes of them, looks after the
//! queues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer, PublisherConfirm};
use prost::Message;
use stylefleet_proto::lifecycle::RETRY_SECONDS;
use stylefleet_proto::queues::{self, ABANDONED, DEAD, EVENTS, JOBS, PROGRESS, WATCH};
use stylefleet_proto::{Event, Job, JobId, Priority, Pulse, wire};
use tokio::sync::{Mutex, mpsc};
use tokio::try_join;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dead_letters::RabbitDeadLetters;
use super::link::Link;
use super::{BrokerOptions, message};
use crate::broker::{BrokerError, DeadLetters, Depths, DispatcherEnd, Notification};

/// Messages that may wait for their confirm at once.
const WINDOW: usize = 256;
/// Events that the broker sends ahead; a stream wants a limit.
const AHEAD: u16 = 1000;
/// Pulses that are kept for a watcher who is slow.
const PULSES: i64 = 10_000;
/// Room for what a follower has not read yet.
const ROOM: usize = 1024;
/// A routing key that leads to no queue.
const NOWHERE: &str = "doctor";
/// What is done to jobs.
const PUBLISH: &str = "publish jobs";
/// Times that jobs are handed in anew after the connection broke, with nothing accepted between.
const PATIENCE: u32 = 8;

/// A dispatcher's end of a RabbitMQ broker.
#[derive(Debug)]
pub struct RabbitDispatcher {
    options: BrokerOptions,
    link: Mutex<Arc<Link>>,
    /// Ends what follows in the background.
    _end: DropGuard,
    end: CancellationToken,
}

impl RabbitDispatcher {
    /// Connects.
    pub async fn connect(options: BrokerOptions) -> Result<Self, BrokerError> {
        let link = Arc::new(Link::open(&options).await?);
        let end = CancellationToken::new();
        Ok(Self {
            options,
            link: Mutex::new(link),
            _end: end.clone().drop_guard(),
            end,
        })
    }

    /// The link, a new one if the last was lost.
    async fn link(&self) -> Result<Arc<Link>, BrokerError> {
        let mut link = self.link.lock().await;
        if link.hold.lost.is_cancelled() {
            *link = Arc::new(link.reopen(&self.options).await?);
        }
        Ok(link.clone())
    }

    /// The same, however long it takes to get a new one.
    async fn link_at_last(&self) -> Result<Arc<Link>, BrokerError> {
        let mut link = self.link.lock().await;
        if link.hold.lost.is_cancelled() {
            let reopened = link.reopen_at_last(&self.options, &self.end).await;
            let ended = || link.patience.lost("nobody wants it any more");
            *link = Arc::new(reopened.ok_or_else(ended)?);
        }
        Ok(link.clone())
    }
}

#[async_trait]
impl DispatcherEnd for RabbitDispatcher {
    async fn submit(
        &self,
        jobs: &[Job],
        accepted: &mut (dyn FnMut(JobId) + Send),
    ) -> Result<(), BrokerError> {
        let mut done = 0;
        let mut patience = PATIENCE;
        while done < jobs.len() {
            let before = done;
            let mut count = |job| {
                done += 1;
                accepted(job);
            };
            let link = self.link_at_last().await?;
            match publish(&link, &jobs[before..], &mut count).await {
                Err(error) if error.is_retryable() && (done > before || patience > 0) => {
                    // What was handed in but not confirmed is handed in again: the same job twice
                    // is still one job.
                    link.give_up(&error);
                    patience = if done > before {
                        PATIENCE
                    } else {
                        patience - 1
                    };
                }
                published => published?,
            }
        }
        Ok(())
    }

    async fn depths(&self) -> Result<Depths, BrokerError> {
        let link = self.link().await?;
        let [high, normal, low] = Priority::ORDER.map(queues::jobs);
        let mut names = vec![high, normal, low, ABANDONED.to_owned(), DEAD.to_owned()];
        names.extend(RETRY_SECONDS.map(queues::retry));
        let looks = names.iter().map(|name| depth(&link.taking, name));
        let depths = link.patience.answers("look at the queues", looks).await?;
        let [high, normal, low, abandoned, dead, ref retrying @ ..] = depths[..] else {
            return Ok(Depths::default()); // as many answers as questions
        };
        Ok(Depths {
            high,
            normal,
            low,
            retrying: retrying.iter().sum(),
            abandoned,
            dead,
        })
    }

    async fn follow(&self, since: SystemTime) -> Result<mpsc::Receiver<Notification>, BrokerError> {
        let (sender, receiver) = mpsc::channel(ROOM);
        let seconds = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut follower = Follower {
            sender,
            from: AMQPValue::Timestamp(seconds.as_secs()),
        };
        let mut link = self.link().await?;
        let mut sources = Sources::open(&link, &follower.from).await?;
        let options = self.options.clone();
        let end = self.end.clone();
        tokio::spawn(async move {
            loop {
                let reader = follower.sender.clone();
                tokio::select! {
                    () = follower.pass_on(&mut sources) => {}
                    () = link.hold.lost.cancelled() => {}
                    () = end.cancelled() => return,
                    () = reader.closed() => return,
                }
                (link, sources) = loop {
                    link.hold.lost.cancel();
                    let Some(next) = link.reopen_at_last(&options, &end).await else {
                        return;
                    };
                    link = Arc::new(next);
                    match Sources::open(&link, &follower.from).await {
                        Ok(sources) => break (link, sources),
                        Err(error) => link.give_up(&error),
                    }
                };
            }
        });
        Ok(receiver)
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        Ok(Box::new(RabbitDeadLetters::take(self.link().await?).await?))
    }

    /// Submits two messages that are for no queue: in an alarm RabbitMQ still takes the first.
    async fn try_to_publish(&self) -> Result<(), BrokerError> {
        let link = self.link().await?;
        let submitted = async {
            for _ in 0..2 {
                let sent = link.publishing.basic_publish(
                    JOBS.into(),
                    NOWHERE.into(),
                    BasicPublishOptions::default(),
                    &[],
                    BasicProperties::default(),
                );
                sent.await?.await?;
            }
            Ok(())
        };
        tokio::select! {
            answer = link.patience.answer(PUBLISH, submitted) => answer,
            alarm = link.patience.alarm() => Err(alarm),
        }
    }

    async fn close(&self) {
        self.link.lock().await.close().await;
    }
}

/// Submits jobs, many at a time.
async fn publish(
    link: &Link,
    jobs: &[Job],
    accepted: &mut (dyn FnMut(JobId) + Send),
) -> Result<(), BrokerError> {
    let mut pending: VecDeque<(JobId, PublisherConfirm)> = VecDeque::with_capacity(WINDOW);
    for job in jobs {
        if pending.len() == WINDOW {
            confirm(link, &mut pending, accepted).await?;
        }
        let (body, properties) = message::of_job(job);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let key = job.priority.word().into();
        let channel = &link.publishing;
        let sent = channel.basic_publish(JOBS.into(), key, options, &body, properties);
        let confirm = link.patience.answer(PUBLISH, sent).await?;
        pending.push_back((job.id, confirm));
    }
    while !pending.is_empty() {
        confirm(link, &mut pending, accepted).await?;
    }
    Ok(())
}

/// Waits for the oldest confirm.
async fn confirm(
    link: &Link,
    pending: &mut VecDeque<(JobId, PublisherConfirm)>,
    accepted: &mut (dyn FnMut(JobId) + Send),
) -> Result<(), BrokerError> {
    if let Some((job, confirm)) = pending.pop_front() {
        let confirmation = link.patience.answer(PUBLISH, confirm).await?;
        message::taken(&link.patience, JOBS, confirmation)?;
        accepted(job);
    }
    Ok(())
}

/// How many messages wait in a queue.
pub(super) async fn depth(channel: &Channel, queue: &str) -> Result<u32, lapin::Error> {
    let options = QueueDeclareOptions::durable().passive();
    let found = channel.queue_declare(queue.into(), options, FieldTable::default());
    Ok(found.await?.message_count())
}

/// What a follower listens to.
struct Sources {
    events: Consumer,
    pulses: Consumer,
}

impl Sources {
    async fn open(link: &Link, from: &AMQPValue) -> Result<Self, BrokerError> {
        let (one, other) = try_join!(link.channel(), link.channel())?;
        let (events, pulses) = try_join!(
            link.patience.answer("read events", events(&one, from)),
            link.patience.answer("read progress", pulses(&other)),
        )?;
        Ok(Self { events, pulses })
    }
}

/// Reads the stream of events from a point on.
async fn events(channel: &Channel, from: &AMQPValue) -> Result<Consumer, lapin::Error> {
    channel.basic_qos(AHEAD, BasicQosOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), from.clone());
    let options = BasicConsumeOptions::default();
    channel
        .basic_consume(EVENTS.into(), "".into(), options, arguments)
        .await
}

/// Reads pulses, over a queue of our own that ends with the connection.
async fn pulses(channel: &Channel) -> Result<Consumer, lapin::Error> {
    let name = format!("{WATCH}{:016x}", fastrand::u64(..));
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(PULSES));
    let options = QueueDeclareOptions::exclusive().auto_delete();
    channel
        .queue_declare(name.as_str().into(), options, arguments)
        .await?;
    channel
        .queue_bind(
            name.as_str().into(),
            PROGRESS.into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    channel
        .basic_consume(
            name.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        )
        .await
}

/// Passes on what workers publish, and remembers how far it got.
struct Follower {
    sender: mpsc::Sender<Notification>,
    /// Where to go on after a break: a time, or the offset in the stream.
    from: AMQPValue,
}

impl Follower {
    /// Until a source ends.
    async fn pass_on(&mut self, sources: &mut Sources) {
        loop {
            let notification = tokio::select! {
                event = sources.events.next() => {
                    let Some(Ok(delivery)) = event else { return };
                    if let Some(offset) = message::offset(&delivery) {
                        self.from = AMQPValue::LongLongInt(offset + 1);
                    }
                    if delivery.ack(BasicAckOptions::default()).await.is_err() {
                        return;
                    }
                    read::<wire::Event, Event>(&delivery.data).map(Notification::Event)
                }
                pulse = sources.pulses.next() => {
                    let Some(Ok(delivery)) = pulse else { return };
                    read::<wire::Pulse, Pulse>(&delivery.data).map(Notification::Pulse)
                }
            };
            // A message that is none of the contract's says nothing.
            if let Some(notification) = notification
                && self.sender.send(notification).await.is_err()
            {
                return;
            }
        }
    }
}

fn read<W: Message + Default, T: TryFrom<W>>(bytes: &[u8]) -> Option<T> {
    T::try_from(W::decode(bytes).ok()?).ok()
}
