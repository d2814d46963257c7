//! A broker inside one process, which keeps to the rules of the real one. `stylefleet run` works
//! with it, and tests do.

mod dead_letters;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use prost::Message;
use stylefleet_proto::lifecycle::{self, RETRY_SECONDS, Settlement};
use stylefleet_proto::queues::DELIVERY_LIMIT;
use stylefleet_proto::{Ended, Event, Job, JobId, Priority, Pulse, Update, wire};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use dead_letters::Taken;

use super::{
    BrokerError, Claim, DeadLetter, DeadLetters, Depths, DispatcherEnd, Hold, Notification,
    WorkerEnd,
};

/// Notifications that are handed to a follower at once.
const ROOM: usize = 64;

/// Both ends at once; clones share their jobs. What it holds ends with the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrival: Notify,
    is_impatient: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Jobs that wait for another attempt.
    delayed: u32,
    dead: Vec<DeadLetter>,
    events: Vec<Event>,
    followers: Vec<mpsc::UnboundedSender<Notification>>,
}

#[derive(Debug, Clone)]
struct Waiting {
    job: Job,
    deliveries: u32,
}

impl Waiting {
    fn new(job: Job) -> Self {
        Self { job, deliveries: 0 }
    }

    /// Whether it was delivered so often that it is not to be tried again.
    fn is_abandoned(&self) -> bool {
        self.deliveries > DELIVERY_LIMIT
    }
}

/// Puts the job back when it is dropped, as a broker does whose worker is gone.
#[derive(Debug)]
pub(super) struct Receipt {
    held: Option<Waiting>,
    shared: Arc<Shared>,
}

impl MemoryBroker {
    /// One that has jobs tried again at once.
    pub fn impatient() -> Self {
        let shared = Shared {
            is_impatient: true,
            ..Shared::default()
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Tells followers that a worker lives.
    pub fn pulse(&self, pulse: Pulse) {
        self.shared.state().notify(Notification::Pulse(pulse));
    }

    /// The jobs that were set aside, and why.
    pub fn dead(&self) -> Vec<(Job, String)> {
        let dead = self.shared.state().dead.clone().into_iter();
        dead.filter_map(|letter| Some((letter.job?, letter.reason)))
            .collect()
    }
}

impl Shared {
    /// The state; nothing that can panic is done while it is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job at the end of the queue.
    fn enqueue(&self, waiting: Waiting) {
        self.state().waiting.push_back(waiting);
        self.arrival.notify_one();
    }

    /// Puts a job at the end of the queue after a wait, if anybody holds the broker by then.
    fn enqueue_after(self: &Arc<Self>, wait: Duration, job: Job) {
        self.state().delayed += 1;
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(shared) = shared.upgrade() {
                let mut state = shared.state();
                state.delayed -= 1;
                state.waiting.push_back(Waiting::new(job));
                shared.arrival.notify_one();
            }
        });
    }

    /// Puts a job that was not settled at the head of the queue.
    fn put_back(&self, waiting: Waiting) {
        self.state().waiting.push_front(waiting);
        self.arrival.notify_one();
    }

    /// Keeps an event for those who follow later, and notifies those who do now.
    fn record(&self, event: Event) {
        let mut state = self.state();
        state.events.push(event.clone());
        state.notify(Notification::Event(event));
    }
}

impl State {
    /// The first job of the highest priority.
    fn next(&mut self) -> Option<Waiting> {
        let place = Priority::ORDER.iter().find_map(|priority| {
            let is_next = |waiting: &Waiting| waiting.job.priority == *priority;
            self.waiting.iter().position(is_next)
        })?;
        self.waiting.remove(place)
    }

    fn depths(&self) -> Depths {
        let mut depths = Depths {
            retrying: self.delayed,
            dead: self.dead.len() as u32,
            ..Depths::default()
        };
        for waiting in &self.waiting {
            *match waiting.job.priority {
                _ if waiting.is_abandoned() => &mut depths.abandoned,
                Priority::High => &mut depths.high,
                Priority::Normal => &mut depths.normal,
                Priority::Low => &mut depths.low,
            } += 1;
        }
        depths
    }

    fn notify(&mut self, notification: Notification) {
        self.followers
            .retain(|follower| follower.send(notification.clone()).is_ok());
    }
}

#[async_trait]
impl WorkerEnd for MemoryBroker {
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        loop {
            let arrival = self.shared.arrival.notified();
            if stop.is_cancelled() {
                return Ok(None);
            }
            let next = self.shared.state().next();
            if let Some(waiting) = next {
                // Others may have been woken in vain.
                self.shared.arrival.notify_one();
                return Ok(Some(Claim {
                    job: waiting.job.clone(),
                    redelivered: waiting.deliveries > 0,
                    abandoned: waiting.is_abandoned(),
                    published: None,
                    hold: Hold::default(),
                    receipt: super::Receipt::Memory(Box::new(Receipt {
                        held: Some(waiting),
                        shared: self.shared.clone(),
                    })),
                }));
            }
            tokio::select! {
                () = arrival => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn publish(&self, event: Event<Update>) {
        match event.into_progress() {
            Ok(progress) => self.pulse(Pulse {
                worker: progress.worker.clone(),
                device: String::new(),
                progress: Some(progress),
                store: None,
                memory: None,
            }),
            Err(event) => self.shared.record((*event).map(Into::into)),
        }
    }

    async fn settle(&self, claim: Claim, ended: Event<Ended>) -> Result<(), BrokerError> {
        let super::Receipt::Memory(mut receipt) = claim.receipt else {
            return Err(BrokerError::Stranger);
        };
        if receipt.held.take().is_none() {
            return Ok(());
        }
        let job = claim.job;
        let shared = &self.shared;
        match lifecycle::settle(job.attempt, &ended.kind) {
            Settlement::Over => {}
            Settlement::Continue => shared.enqueue(Waiting::new(job)),
            Settlement::Retry => {
                let wait = RETRY_SECONDS[lifecycle::retry_wait(job.attempt, fastrand::usize(..))];
                let wait = if shared.is_impatient { 0 } else { wait };
                let attempt = job.attempt.saturating_add(1);
                let job = job.with_attempt(attempt);
                shared.enqueue_after(Duration::from_secs(wait.into()), job);
            }
            Settlement::SetAside { reason } => shared.state().dead.push(DeadLetter {
                id: job.id.to_string(),
                bytes: wire::Job::from(&job).encoded_len(),
                job: Some(job),
                reason,
                worker: Some(ended.worker.clone()),
                unix_seconds: ended.unix_millis / 1000,
            }),
        }
        shared.record(ended.map(Into::into));
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl DispatcherEnd for MemoryBroker {
    async fn submit(
        &self,
        jobs: &[Job],
        accepted: &mut (dyn FnMut(JobId) + Send),
    ) -> Result<(), BrokerError> {
        for job in jobs {
            self.shared.enqueue(Waiting::new(job.clone()));
            accepted(job.id);
        }
        Ok(())
    }

    async fn depths(&self) -> Result<Depths, BrokerError> {
        Ok(self.shared.state().depths())
    }

    async fn follow(&self, since: SystemTime) -> Result<mpsc::Receiver<Notification>, BrokerError> {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (follower, mut notifications) = mpsc::unbounded_channel();
        {
            let mut state = self.shared.state();
            for event in &state.events {
                if u128::from(event.unix_millis) >= since.as_millis() {
                    // Its other end is in this function.
                    let _ = follower.send(Notification::Event(event.clone()));
                }
            }
            state.followers.push(follower);
        }
        let (sender, receiver) = mpsc::channel(ROOM);
        tokio::spawn(async move {
            while let Some(notification) = notifications.recv().await {
                if sender.send(notification).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        Ok(Box::new(Taken::all_of(self.shared.clone())))
    }

    async fn try_to_publish(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Ends what followers hear. The broker itself lives as long as somebody holds it.
    async fn close(&self) {
        self.shared.state().followers.clear();
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(mut waiting) = self.held.take() {
            waiting.deliveries += 1;
            self.shared.put_back(waiting);
        }
    }
}
