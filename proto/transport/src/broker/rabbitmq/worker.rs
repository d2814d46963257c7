//! The end that a worker holds: takes jobs one by one, publishes what it does, settles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use prost::Message;
use stylefleet_proto::lifecycle::{self, RETRY_SECONDS, Settlement};
use stylefleet_proto::queues::{self, ABANDONED, DEAD, EVENTS, JOBS, PROGRESS};
use stylefleet_proto::{
    Digest, Ended, Event, Job, JobId, Memory, Priority, Progress, Pulse, Update, wire,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::{BrokerOptions, message};
use crate::broker::{self, BrokerError, Claim, WorkerEnd};

/// First and longest pause between two looks into empty queues.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Time between two pulses.
const PULSE: Duration = Duration::from_secs(1);
/// Events that may wait for the broker to come back; what does not fit is dropped.
const BACKLOG: usize = 1024;
/// How long the last events may take to leave.
const FAREWELL: Duration = Duration::from_secs(3);

/// A worker's end of a RabbitMQ broker. It reconnects by itself, for as long as it takes.
#[derive(Debug)]
pub struct RabbitWorker {
    worker: String,
    link: watch::Receiver<Option<Arc<Link>>>,
    events: mpsc::Sender<Event>,
    progress: LastProgress,
    memory: watch::Sender<Option<Memory>>,
    /// Messages that were no jobs.
    refused: AtomicU64,
    end: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// What a look into the queues came to.
enum Taken {
    /// A job.
    Job(Box<Claim>),
    /// A message that is no job, and is out of the way.
    Refused,
    /// They are empty.
    Nothing,
}

/// The last progress of the job at work, if there is one.
type LastProgress = Arc<Mutex<Option<Event<Progress>>>>;

/// A delivery and the link that it came over.
#[derive(Debug)]
pub(in crate::broker) struct Receipt {
    delivery: Delivery,
    link: Arc<Link>,
    at_work: AtWork,
}

/// Lasts as long as a claim. When it goes, settled or not, the job's progress is no news any more.
#[derive(Debug)]
struct AtWork {
    job: JobId,
    progress: LastProgress,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        lock(&self.progress).take_if(|progress| progress.job == self.job);
    }
}

impl RabbitWorker {
    /// Connects. `worker` is the name that it publishes under, `device` where it computes, `store`
    /// the identity of its store, if that is known.
    pub async fn connect(
        options: BrokerOptions,
        worker: String,
        device: String,
        store: Option<Digest>,
    ) -> Result<Self, BrokerError> {
        let first = Arc::new(Link::open(&options).await?);
        let (sender, link) = watch::channel(Some(first));
        let (events, published) = mpsc::channel(BACKLOG);
        let progress = Arc::new(Mutex::new(None));
        let memory = watch::Sender::new(None);
        let end = CancellationToken::new();
        let publisher = Publisher {
            worker: worker.clone(),
            device,
            store,
            link: link.clone(),
            progress: progress.clone(),
            memory: memory.subscribe(),
            end: end.clone(),
        };
        let ended = end.clone();
        let keeper = tokio::spawn(async move {
            let publishing = tokio::spawn(publisher.run(published));
            keep(&options, &sender, &ended).await;
            // The events that are left go out over the last link, then it is closed.
            let _ = timeout(FAREWELL, publishing).await;
            let last = sender.borrow().clone();
            if let Some(link) = last {
                link.close().await;
            }
        });
        Ok(Self {
            worker,
            link,
            events,
            progress,
            memory,
            refused: AtomicU64::new(0),
            end,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    fn send(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::debug!("an event is dropped: the broker is away");
        }
    }

    /// Whether the broker can be reached.
    pub fn is_connected(&self) -> bool {
        let link = self.link.borrow();
        link.as_ref()
            .is_some_and(|link| !link.hold.lost.is_cancelled())
    }

    /// Tells from now on that the memory of its device stands so; none: nobody knows.
    pub fn tell_memory(&self, memory: Option<Memory>) {
        self.memory.send_replace(memory);
    }

    /// How many messages it has set aside that were no jobs.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The next message that is there right now.
    async fn take(&self, link: &Arc<Link>) -> Result<Taken, BrokerError> {
        let jobs = Priority::ORDER.map(queues::jobs);
        for queue in jobs.iter().map(String::as_str).chain([ABANDONED]) {
            let options = BasicGetOptions::default();
            let got = link.taking.basic_get(queue.into(), options);
            let got = link
                .patience
                .answer(&format!("take from {queue}"), got)
                .await?;
            let Some(delivery) = got.map(|message| message.delivery) else {
                continue;
            };
            return match message::job(&delivery) {
                Ok(job) => Ok(Taken::Job(Box::new(Claim {
                    redelivered: message::is_redelivered(&delivery),
                    abandoned: queue == ABANDONED,
                    published: message::published(&delivery),
                    hold: link.hold.clone(),
                    receipt: broker::Receipt::RabbitMq(Box::new(Receipt {
                        delivery,
                        link: link.clone(),
                        at_work: AtWork {
                            job: job.id,
                            progress: self.progress.clone(),
                        },
                    })),
                    job,
                }))),
                Err(reason) => {
                    self.refuse(link, &delivery, &reason).await?;
                    Ok(Taken::Refused)
                }
            };
        }
        Ok(Taken::Nothing)
    }

    /// Sets a message aside that is no job.
    async fn refuse(
        &self,
        link: &Link,
        delivery: &Delivery,
        reason: &str,
    ) -> Result<(), BrokerError> {
        tracing::warn!("a message is set aside: {reason}");
        let properties = message::persistent("unknown");
        let properties = message::with_reason(properties, reason, &self.worker);
        let body = &delivery.data;
        message::publish(link, DEAD, "", body, properties).await?;
        message::ack(link, delivery).await?;
        self.refused.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Publishes what follows a job.
    async fn publish_follow_up(
        &self,
        link: &Link,
        job: &Job,
        settlement: Settlement,
    ) -> Result<(), BrokerError> {
        let key = job.priority.word();
        match settlement {
            Settlement::Over => Ok(()),
            Settlement::Continue => {
                let (body, properties) = message::of_job(job);
                message::publish(link, JOBS, key, &body, properties).await
            }
            Settlement::Retry => {
                let next = job.clone().with_attempt(job.attempt.saturating_add(1));
                let (body, properties) = message::of_job(&next);
                let wait = lifecycle::retry_wait(job.attempt, fastrand::usize(..));
                let exchange = queues::retry(RETRY_SECONDS[wait]);
                message::publish(link, &exchange, key, &body, properties).await
            }
            Settlement::SetAside { reason } => {
                let (body, properties) = message::of_job(job);
                let properties = message::with_reason(properties, &reason, &self.worker);
                message::publish(link, DEAD, "", &body, properties).await
            }
        }
    }
}

#[async_trait]
impl WorkerEnd for RabbitWorker {
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        let (mut pause, longest) = PAUSES;
        let mut current = self.link.clone();
        loop {
            let link = tokio::select! {
                link = current.wait_for(Option::is_some) => match link {
                    Ok(link) => link.clone(),
                    Err(_) => return Ok(None),
                },
                () = stop.cancelled() => return Ok(None),
            };
            let Some(link) = link.filter(|_| !stop.is_cancelled()) else {
                return Ok(None);
            };
            match self.take(&link).await {
                Ok(Taken::Job(claim)) => return Ok(Some(*claim)),
                Ok(Taken::Refused) => continue,
                Ok(Taken::Nothing) => {}
                Err(error) => link.give_up(&error),
            }
            tokio::select! {
                () = sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
                () = stop.cancelled() => {}
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn publish(&self, event: Event<Update>) {
        match event.into_progress() {
            Ok(progress) => *lock(&self.progress) = Some(progress),
            Err(event) => self.send((*event).map(Into::into)),
        }
    }

    async fn settle(&self, claim: Claim, ended: Event<Ended>) -> Result<(), BrokerError> {
        let broker::Receipt::RabbitMq(receipt) = claim.receipt else {
            return Err(BrokerError::Stranger);
        };
        let Receipt {
            delivery,
            link,
            at_work,
        } = *receipt;
        drop(at_work);
        let settlement = lifecycle::settle(claim.job.attempt, &ended.kind);
        let settled = async {
            self.publish_follow_up(&link, &claim.job, settlement)
                .await?;
            message::ack(&link, &delivery).await
        };
        match settled.await {
            Ok(()) => {
                self.send(ended.map(Into::into));
                Ok(())
            }
            Err(error) => {
                // Whatever is wrong, a new link gets the job delivered anew.
                link.give_up(&error);
                Err(error)
            }
        }
    }

    async fn close(&self) {
        self.end.cancel();
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

/// Replaces links that are lost, until the end.
async fn keep(
    options: &BrokerOptions,
    link: &watch::Sender<Option<Arc<Link>>>,
    end: &CancellationToken,
) {
    loop {
        let Some(current) = link.borrow().clone() else {
            return;
        };
        tokio::select! {
            () = current.hold.lost.cancelled() => {}
            () = end.cancelled() => return,
        }
        link.send_replace(None);
        let Some(next) = current.reopen_at_last(options, end).await else {
            return;
        };
        tracing::warn!("broker {}: connected again", next.patience.broker);
        link.send_replace(Some(Arc::new(next)));
        current.hold.void.cancel();
    }
}

/// Publishes events as they come, and pulses.
struct Publisher {
    worker: String,
    device: String,
    store: Option<Digest>,
    link: watch::Receiver<Option<Arc<Link>>>,
    progress: LastProgress,
    memory: watch::Receiver<Option<Memory>>,
    end: CancellationToken,
}

impl Publisher {
    /// Until the end; events that came before it are published.
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut pulses = interval(PULSE);
        pulses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.pass_on(event).await,
                    None => return,
                },
                _ = pulses.tick() => self.pulse().await,
                () = self.end.cancelled() => break,
            }
        }
        while let Ok(event) = events.try_recv() {
            self.pass_on(event).await;
        }
    }

    /// Publishes an event as soon as there is a link.
    async fn pass_on(&mut self, event: Event) {
        let body = wire::Event::from(event).encode_to_vec();
        while let Ok(Some(link)) = self.link.wait_for(Option::is_some).await.map(|l| l.clone()) {
            match send(&link, EVENTS, &body).await {
                Ok(()) => return,
                Err(error) => link.give_up(&error),
            }
            link.hold.lost.cancelled().await;
            // Until its place is taken, the lost link would only be found again.
            if self.link.changed().await.is_err() {
                return;
            }
        }
    }

    async fn pulse(&self) {
        let link = self.link.borrow().clone();
        let Some(link) = link else { return };
        let pulse = Pulse {
            worker: self.worker.clone(),
            device: self.device.clone(),
            progress: lock(&self.progress).clone(),
            store: self.store,
            memory: *self.memory.borrow(),
        };
        let body = wire::Pulse::from(pulse).encode_to_vec();
        if let Err(error) = send(&link, PROGRESS, &body).await {
            link.give_up(&error);
        }
    }
}

/// Publishes what may be lost.
async fn send(link: &Link, exchange: &str, body: &[u8]) -> Result<(), BrokerError> {
    let options = BasicPublishOptions::default();
    let properties = if exchange == EVENTS {
        message::persistent("stylefleet.v2.Event")
    } else {
        lapin::BasicProperties::default()
    };
    let channel = &link.telling;
    let sent = channel.basic_publish(exchange.into(), "".into(), options, body, properties);
    let action = format!("publish to {exchange}");
    link.patience.answer(&action, sent).await.map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
