//! What every broker must do: the same suite over the one in memory and over RabbitMQ, and its
//! first part over a pipe.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use stylefleet_proto::lifecycle::ATTEMPTS;
use stylefleet_proto::queues::{DELIVERY_LIMIT, JOBS};
use stylefleet_proto::{
    Delivery, Ended, Event, EventKind, Figures, Hello, Job, Priority, Progress, ToWorker, Trace,
    Update, testing, wire,
};
use stylefleet_tests::services::{Fleet, Services};
use stylefleet_transport::broker::{
    BrokerError, BrokerOptions, Claim, DeadLetters, Depths, DispatcherEnd, MemoryBroker,
    Notification, PipeEnd, RabbitDispatcher, RabbitWorker, WorkerEnd,
};
use stylefleet_transport::pipe::{Receiver, Sender};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes unless it is broken.
const LONG: Duration = Duration::from_secs(60);
/// Long enough that a job which is there would have come.
const SHORT: Duration = Duration::from_secs(2);

/// A broker and the way to as many ends of it as one likes.
enum Broker {
    Memory(MemoryBroker),
    RabbitMq(Box<Fleet<'static>>),
}

impl Broker {
    fn memory() -> Self {
        Self::Memory(MemoryBroker::default())
    }

    fn rabbitmq() -> Self {
        Self::RabbitMq(Box::new(Services::shared().fleet()))
    }

    async fn dispatcher(&self) -> Arc<dyn DispatcherEnd> {
        match self {
            Self::Memory(broker) => Arc::new(broker.clone()),
            Self::RabbitMq(fleet) => {
                // Whoever comes first declares the topology: here, the administrator.
                let admin = RabbitDispatcher::connect(options(&fleet.broker)).await;
                admin.expect("declares").close().await;
                let dispatcher = RabbitDispatcher::connect(options(&fleet.dispatcher)).await;
                Arc::new(dispatcher.expect("connects"))
            }
        }
    }

    async fn worker(&self) -> Arc<dyn WorkerEnd> {
        match self {
            Self::Memory(broker) => Arc::new(broker.clone()),
            Self::RabbitMq(fleet) => {
                let options = options(&fleet.worker);
                let worker = RabbitWorker::connect(options, "worker".into(), "cpu".into(), None);
                Arc::new(worker.await.expect("connects"))
            }
        }
    }

    /// The ids and reasons of what was set aside.
    async fn dead(&self) -> Vec<(String, String)> {
        let taken = self.dispatcher().await.dead_letters().await.expect("reads");
        let letters = taken.letters().iter();
        let letters = letters.map(|letter| (letter.id.clone(), letter.reason.clone()));
        let letters = letters.collect();
        taken.close().await.expect("gives back");
        letters
    }
}

fn options(url: &str) -> BrokerOptions {
    BrokerOptions {
        url: url.parse().expect("a URL"),
        ca: None,
        name: "test".to_owned(),
    }
}

fn job(number: u64) -> Job {
    testing::job(&format!("job-{number}"), &number.to_le_bytes(), b"style")
}

fn event<K>(job: &Job, kind: K) -> Event<K> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Event {
        job: job.id,
        worker: "worker".to_owned(),
        attempt: job.attempt,
        unix_millis: now.expect("a clock").as_millis() as u64,
        kind,
    }
}

const FINISHED: Ended = Ended::Finished {
    seconds: 1.0,
    steps: 2,
    figures: Figures::new(),
};
const INTERRUPTED: Ended = Ended::Interrupted { steps: 1 };

fn failed(retryable: bool) -> Ended {
    Ended::Failed {
        retryable,
        reason: "it is so".to_owned(),
    }
}

/// A trace with that state, and this span for the attempt before.
fn trace(state: &str, before: &str) -> Trace {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Trace::of(PARENT, state, before)
}

/// The next job, which has to come.
async fn claim(worker: &dyn WorkerEnd) -> Claim {
    let stop = CancellationToken::new();
    let claim = timeout(LONG, worker.claim(&stop)).await;
    claim.expect("in time").expect("no error").expect("a job")
}

/// Makes sure that no job comes.
async fn nothing(worker: &dyn WorkerEnd) {
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::time::sleep(SHORT).await;
        stop.cancel();
    };
    let (claim, ()) = tokio::join!(worker.claim(&stop), stopping);
    let claim = claim.expect("no error");
    assert!(claim.is_none(), "there is {claim:?}");
}

async fn settle(worker: &dyn WorkerEnd, claim: Claim, ended: Ended) {
    let ended = event(&claim.job, ended);
    worker.settle(claim, ended).await.expect("settles");
}

async fn submit(dispatcher: &dyn DispatcherEnd, jobs: &[Job]) {
    let mut accepted = Vec::new();
    let mut accept = |job| accepted.push(job);
    dispatcher.submit(jobs, &mut accept).await.expect("submits");
    let asked: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(accepted, asked);
}

async fn next(notifications: &mut mpsc::Receiver<Notification>) -> Notification {
    let next = timeout(LONG, notifications.recv()).await;
    next.expect("in time").expect("is published")
}

/// A job arrives as it was sent, once, and what its worker publishes arrives in order.
async fn carries_jobs_and_events(dispatcher: &dyn DispatcherEnd, worker: &dyn WorkerEnd) {
    let followed = dispatcher.follow(SystemTime::now()).await;
    let mut notifications = followed.expect("follows");
    let mut sent = job(1);
    sent.priority = Priority::High;
    sent.trace = trace("vendor=1", "");
    submit(dispatcher, std::slice::from_ref(&sent)).await;
    let claim = claim(worker).await;
    assert_eq!(claim.job, sent);
    assert!(!claim.redelivered && !claim.abandoned);
    let notes = ["one", "two", "three"].map(|text| Update::Note(text.to_owned()));
    for note in &notes {
        worker.publish(event(&sent, note.clone()));
    }
    settle(worker, claim, FINISHED).await;
    let notes = notes.into_iter().map(EventKind::from);
    for expected in notes.chain([FINISHED.into()]) {
        let kind = loop {
            match next(&mut notifications).await {
                Notification::Event(event) => break event.kind,
                Notification::Pulse(_) => {}
            }
        };
        assert_eq!(kind, expected);
    }
    nothing(worker).await;
}

async fn counts_what_waits(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let depths = async || dispatcher.depths().await.expect("counts");
    let waiting = async || dispatcher.waiting().await.expect("counts");
    assert_eq!(waiting().await, 0);
    submit(&*dispatcher, &[job(1), job(2), job(3)]).await;
    assert_eq!(waiting().await, 3);
    let worker = broker.worker().await;
    let held = claim(&*worker).await;
    assert_eq!(waiting().await, 2);
    settle(&*worker, held, INTERRUPTED).await;
    assert_eq!(waiting().await, 3);
    // What waits for another attempt counts too.
    let failing = claim(&*worker).await;
    settle(&*worker, failing, failed(true)).await;
    assert_eq!(waiting().await, 3);
    let urgent = Job {
        priority: Priority::High,
        ..job(4)
    };
    submit(&*dispatcher, &[urgent]).await;
    let expected = Depths {
        high: 1,
        normal: 2,
        retrying: 1,
        ..Depths::default()
    };
    assert_eq!(depths().await, expected);
}

async fn dead_letters_are_retried_discarded_or_go_back(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let worker = broker.worker().await;
    let jobs = [job(1), job(2), job(3)];
    submit(&*dispatcher, &jobs).await;
    for _ in &jobs {
        let claim = claim(&*worker).await;
        settle(&*worker, claim, failed(false)).await;
    }
    assert_eq!(dispatcher.depths().await.expect("counts").dead, 3);
    let mut dead = dispatcher.dead_letters().await.expect("reads");
    for (letter, job) in dead.letters().iter().zip(&jobs) {
        assert_eq!(letter.job.as_ref(), Some(job));
        assert_eq!(letter.worker.as_deref(), Some("worker"));
        assert!(letter.unix_seconds > 0 && letter.bytes > 0);
    }
    let others = dispatcher.dead_letters().await.expect("reads");
    assert_eq!(others.letters(), [], "they are taken");
    dead.retry(0).await.expect("retries");
    dead.discard(1).await.expect("discards");
    dead.close().await.expect("gives back");
    let left = dispatcher.dead_letters().await.expect("reads");
    let left: Vec<_> = left.letters().iter().map(|letter| &letter.id).collect();
    assert_eq!(left, [&jobs[2].id.to_string()]);
    let again = claim(&*worker).await;
    assert_eq!(again.job, jobs[0]);
    settle(&*worker, again, FINISHED).await;
    nothing(&*worker).await;
}

async fn redelivers_what_is_not_settled(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    submit(&*dispatcher, &[job(1), job(2)]).await;
    let dying = broker.worker().await;
    let first = claim(&*dying).await;
    // The worker dies: its claim goes, and so does its connection.
    let id = first.job.id;
    dying.close().await;
    drop((first, dying));
    let worker = broker.worker().await;
    let again = claim(&*worker).await;
    assert_eq!(again.job.id, id);
    assert!(again.redelivered, "nobody would count the death");
    assert_eq!(again.job.attempt, 1);
    settle(&*worker, again, FINISHED).await;
    let other = claim(&*worker).await;
    assert!(!other.redelivered);
    settle(&*worker, other, FINISHED).await;
    nothing(&*worker).await;
}

async fn what_is_interrupted_goes_on_after_the_others(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let worker = broker.worker().await;
    submit(&*dispatcher, &[job(1), job(2)]).await;
    for turn in [1, 2, 1, 2, 1] {
        let claim = claim(&*worker).await;
        assert_eq!(claim.job, job(turn));
        assert!(!claim.redelivered, "an interruption is no death");
        settle(&*worker, claim, INTERRUPTED).await;
    }
}

async fn priorities_go_first(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let worker = broker.worker().await;
    let with = |number, priority| Job {
        priority,
        ..job(number)
    };
    let (low, normal, high) = (
        with(1, Priority::Low),
        with(2, Priority::Normal),
        with(3, Priority::High),
    );
    let jobs = [low.clone(), normal.clone(), high.clone(), normal.clone()];
    submit(&*dispatcher, &jobs).await;
    for expected in [high, normal.clone(), normal, low] {
        let claim = claim(&*worker).await;
        assert_eq!(claim.job, expected);
        settle(&*worker, claim, FINISHED).await;
    }
}

async fn failures_are_retried_then_set_aside(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let worker = broker.worker().await;
    submit(&*dispatcher, &[job(1)]).await;
    let first = claim(&*worker).await;
    settle(&*worker, first, failed(true)).await;
    let second = claim(&*worker).await;
    assert_eq!((second.job.id, second.job.attempt), (job(1).id, 2));
    settle(&*worker, second, failed(false)).await;
    assert_eq!(
        broker.dead().await,
        [(job(1).id.to_string(), "it is so".to_owned())]
    );
    let last = Job {
        attempt: ATTEMPTS,
        ..job(2)
    };
    submit(&*dispatcher, &[last]).await;
    let last = claim(&*worker).await;
    settle(&*worker, last, failed(true)).await;
    let dead = broker.dead().await;
    assert_eq!(dead[1].0, job(2).id.to_string());
    assert!(dead[1].1.contains("given up after"), "{dead:?}");
    nothing(&*worker).await;
}

/// Through waits, turns, a worker's death and the dead letters.
async fn the_trace_stays_with_the_job(broker: &Broker) {
    const BEFORE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
    let dispatcher = broker.dispatcher().await;
    let (submitted, resumed) = (trace("vendor=1", ""), trace("vendor=1", BEFORE));
    let traced = Job {
        trace: submitted.clone(),
        ..job(1)
    };
    submit(&*dispatcher, &[traced]).await;
    let dying = broker.worker().await;
    let first = claim(&*dying).await;
    assert_eq!(first.job.trace, submitted);
    dying.close().await;
    drop((first, dying));
    let worker = broker.worker().await;
    let mut again = claim(&*worker).await;
    assert_eq!(again.job.trace, submitted, "redelivered");
    again.job.trace = resumed.clone();
    for ended in [failed(true), INTERRUPTED] {
        settle(&*worker, again, ended).await;
        again = claim(&*worker).await;
        assert_eq!(again.job.trace, resumed);
    }
    settle(&*worker, again, failed(false)).await;
    let mut dead = dispatcher.dead_letters().await.expect("reads");
    dead.retry(0).await.expect("retries");
    dead.close().await.expect("gives back");
    assert_eq!(claim(&*worker).await.job.trace, resumed, "retried");
}

async fn a_job_that_is_never_settled_is_abandoned(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    submit(&*dispatcher, &[job(1)]).await;
    let mut deliveries = 0;
    let abandoned = loop {
        let worker = broker.worker().await;
        let claim = claim(&*worker).await;
        if claim.abandoned {
            break claim;
        }
        deliveries += 1;
        worker.close().await;
        drop((claim, worker));
    };
    assert_eq!(deliveries, DELIVERY_LIMIT + 1);
    assert_eq!(abandoned.job, job(1));
}

async fn late_followers_learn_what_happened(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let worker = broker.worker().await;
    let before = SystemTime::now() - SHORT;
    submit(&*dispatcher, &[job(1)]).await;
    let first = claim(&*worker).await;
    settle(&*worker, first, FINISHED).await;

    let late = broker.dispatcher().await;
    let mut notifications = late.follow(before).await.expect("follows");
    let finished = loop {
        if let Notification::Event(event) = next(&mut notifications).await {
            break event;
        }
    };
    assert_eq!(finished.kind, FINISHED.into());
    let progress = Progress {
        done: 7,
        ..Progress::default()
    };
    worker.publish(event(&job(1), Update::Progress(progress.clone())));
    let pulse = loop {
        match next(&mut notifications).await {
            Notification::Pulse(pulse) if pulse.progress.is_some() => break pulse,
            Notification::Pulse(_) => {}
            Notification::Event(event) => panic!("progress is no event of record: {event:?}"),
        }
    };
    assert_eq!(pulse.progress.map(|event| event.kind), Some(progress));
}

async fn many_jobs_go_to_one_worker_each(broker: &Broker) {
    let dispatcher = broker.dispatcher().await;
    let jobs: Vec<_> = (0..300).map(job).collect();
    submit(&*dispatcher, &jobs).await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        let worker = broker.worker().await;
        workers.push(tokio::spawn(async move {
            let mut done = Vec::new();
            for _ in 0..100 {
                let claim = claim(&*worker).await;
                done.push(claim.job.id);
                settle(&*worker, claim, FINISHED).await;
            }
            done
        }));
    }
    let mut done = Vec::new();
    for worker in workers {
        done.extend(worker.await.expect("works"));
    }
    let asked: BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(done.iter().copied().collect::<BTreeSet<_>>(), asked);
}

macro_rules! suite {
    ($module:ident, $broker:expr) => {
        mod $module {
            use super::*;

            suite!(
                $broker,
                counts_what_waits,
                redelivers_what_is_not_settled,
                what_is_interrupted_goes_on_after_the_others,
                priorities_go_first,
                failures_are_retried_then_set_aside,
                dead_letters_are_retried_discarded_or_go_back,
                a_job_that_is_never_settled_is_abandoned,
                the_trace_stays_with_the_job,
                late_followers_learn_what_happened,
                many_jobs_go_to_one_worker_each
            );

            #[tokio::test(flavor = "multi_thread")]
            async fn carries_jobs_and_events() {
                let broker = $broker;
                let dispatcher = broker.dispatcher().await;
                let worker = broker.worker().await;
                super::carries_jobs_and_events(&*dispatcher, &*worker).await;
            }
        }
    };
    ($broker:expr, $($test:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&$broker).await;
            }
        )+
    };
}

suite!(memory, Broker::memory());
suite!(rabbitmq, Broker::rabbitmq());

/// A worker that took a rest after each, as one does that finds nothing, would be at it for
/// minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_does_not_wait_for_many_messages_that_are_none() {
    const MANY: u32 = 400;
    let fleet = Services::shared().fleet();
    let broker = Broker::RabbitMq(Box::new(fleet));
    let dispatcher = broker.dispatcher().await;
    let Broker::RabbitMq(fleet) = &broker else {
        unreachable!("it is one");
    };
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&fleet.dispatcher, properties).await;
    let channel = connection.expect("connects").create_channel().await;
    let channel = channel.expect("a channel");
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .expect("confirms");
    for number in 0..MANY {
        let body = format!("no job {number}");
        let sent = channel.basic_publish(
            JOBS.into(),
            Priority::Normal.word().into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            BasicProperties::default(),
        );
        sent.await.expect("sends").await.expect("is taken");
    }
    let good = job(1);
    submit(&*dispatcher, std::slice::from_ref(&good)).await;
    let worker = broker.worker().await;
    assert_eq!(claim(&*worker).await.job.id, good.id);
    let dead = broker.dead().await;
    assert_eq!(dead.len(), MANY as usize);
}

/// The dispatcher's end of a pipe, as `stylefleet run` holds it.
struct Parent {
    to: tokio::sync::Mutex<Sender<tokio::io::DuplexStream, wire::ToWorker>>,
    from: std::sync::Mutex<Option<Receiver<tokio::io::DuplexStream, wire::FromWorker>>>,
}

#[async_trait::async_trait]
impl DispatcherEnd for Parent {
    async fn submit(
        &self,
        jobs: &[Job],
        accepted: &mut (dyn FnMut(stylefleet_proto::JobId) + Send),
    ) -> Result<(), BrokerError> {
        for job in jobs {
            let frame = ToWorker::Delivery(Box::new(Delivery {
                job: job.clone(),
                redelivered: false,
                abandoned: false,
            }));
            self.to.lock().await.send(&(&frame).into()).await?;
            accepted(job.id);
        }
        Ok(())
    }

    async fn depths(&self) -> Result<Depths, BrokerError> {
        // The worker has them all.
        Ok(Depths::default())
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        unreachable!("its parent keeps them")
    }

    async fn try_to_publish(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn close(&self) {}

    async fn follow(&self, _: SystemTime) -> Result<mpsc::Receiver<Notification>, BrokerError> {
        let (sender, notifications) = mpsc::channel(100);
        let mut from = self
            .from
            .lock()
            .expect("lock")
            .take()
            .expect("one follower");
        tokio::spawn(async move {
            while let Ok(Some(message)) = from.recv().await {
                if let Some(wire::from_worker::Frame::Event(event)) = message.frame {
                    let event = Event::try_from(event).expect("an event");
                    let notification = Notification::Event(event);
                    sender.send(notification).await.expect("is received");
                }
            }
        });
        Ok(notifications)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_carries_jobs_and_events() {
    let (input, to) = tokio::io::duplex(1 << 16);
    let (output, from) = tokio::io::duplex(1 << 16);
    let parent = Parent {
        to: tokio::sync::Mutex::new(Sender::new(to)),
        from: std::sync::Mutex::new(Some(Receiver::new(from))),
    };
    let hello = Hello {
        worker: "worker".to_owned(),
        device: "cpu".to_owned(),
        cuda_devices: 0,
    };
    let drain = CancellationToken::new();
    let worker = PipeEnd::open(hello, input, output, &drain);
    carries_jobs_and_events(&parent, &worker).await;
    assert!(!drain.is_cancelled());
    drop(parent);
    timeout(LONG, drain.cancelled()).await.expect("drains");
}
