//! A broker inside one process, with the manners of the real one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stylefleet_proto::lifecycle::{self, RETRY_SECONDS, Settlement};
use stylefleet_proto::queues::DELIVERY_LIMIT;
use stylefleet_proto::{Event, Happening, Job, JobId, Priority, Pulse};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{BrokerError, Claim, DispatcherEnd, Hold, Told, WorkerEnd};

/// Room for what a follower has not read yet; what does not fit is dropped.
const ROOM: usize = 4096;

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
    dead: Vec<(Job, String)>,
    events: Vec<Event>,
    followers: Vec<mpsc::Sender<Told>>,
}

#[derive(Debug, Clone)]
struct Waiting {
    job: Job,
    deliveries: u32,
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

    /// The jobs that were set aside, and why.
    pub fn dead(&self) -> Vec<(Job, String)> {
        self.shared.state().dead.clone()
    }
}

impl Shared {
    /// The state; nothing that can panic is done while it is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, waiting: Waiting, first: bool) {
        let mut state = self.state();
        match first {
            true => state.waiting.push_front(waiting),
            false => state.waiting.push_back(waiting),
        }
        self.arrival.notify_one();
    }

    fn tell(&self, event: Event) {
        let mut state = self.state();
        let told = match event.happening {
            Happening::Progress(_) => Told::Pulse(Pulse {
                worker: event.worker.clone(),
                device: String::new(),
                progress: Some(event),
                store: None,
            }),
            _ => {
                state.events.push(event.clone());
                Told::Event(event)
            }
        };
        state.followers.retain(|follower| {
            !matches!(
                follower.try_send(told.clone()),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        });
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
                    abandoned: waiting.deliveries > DELIVERY_LIMIT,
                    hold: Hold::default(),
                    receipt: super::Receipt::Memory(Receipt {
                        held: Some(waiting),
                        shared: self.shared.clone(),
                    }),
                }));
            }
            tokio::select! {
                () = arrival => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn tell(&self, event: Event) {
        self.shared.tell(event);
    }

    async fn settle(&self, claim: Claim, last: Event) -> Result<(), BrokerError> {
        let super::Receipt::Memory(mut receipt) = claim.receipt else {
            return Err(BrokerError::Stranger);
        };
        let Some(Waiting { job, .. }) = receipt.held.take() else {
            return Ok(());
        };
        let anew = |job| Waiting { job, deliveries: 0 };
        match lifecycle::settle(job.attempt, &last.happening) {
            Some(Settlement::Over) | None => {}
            Some(Settlement::Continue) => self.shared.enqueue(anew(job), false),
            Some(Settlement::Retry) => {
                let wait = match self.shared.is_impatient {
                    true => 0,
                    false => RETRY_SECONDS[lifecycle::retry_wait(job.attempt, fastrand::usize(..))],
                };
                let shared = self.shared.clone();
                let attempt = job.attempt.saturating_add(1);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(wait.into())).await;
                    shared.enqueue(anew(Job { attempt, ..job }), false);
                });
            }
            Some(Settlement::SetAside { reason }) => self.shared.state().dead.push((job, reason)),
        }
        self.shared.tell(last);
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl DispatcherEnd for MemoryBroker {
    async fn publish(
        &self,
        jobs: &[Job],
        accepted: &mut (dyn FnMut(JobId) + Send),
    ) -> Result<(), BrokerError> {
        for job in jobs {
            let waiting = Waiting {
                job: job.clone(),
                deliveries: 0,
            };
            self.shared.enqueue(waiting, false);
            accepted(job.id);
        }
        Ok(())
    }

    async fn waiting(&self) -> Result<usize, BrokerError> {
        Ok(self.shared.state().waiting.len())
    }

    async fn follow(&self, since: SystemTime) -> Result<mpsc::Receiver<Told>, BrokerError> {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (follower, told) = mpsc::channel(ROOM);
        let mut state = self.shared.state();
        for event in &state.events {
            if u128::from(event.unix_millis) >= since.as_millis() {
                // A new channel has room for as much as anybody will read.
                let _ = follower.try_send(Told::Event(event.clone()));
            }
        }
        state.followers.push(follower);
        Ok(told)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(mut waiting) = self.held.take() {
            waiting.deliveries += 1;
            self.shared.enqueue(waiting, true);
        }
    }
}
