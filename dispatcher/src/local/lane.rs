//! One device: claims jobs from the broker, and has a child worker do them. The worker is started
//! when there is a first job, and replaced when it dies. Shortly before a job ends the next one is
//! handed over, so that the worker prepares it meanwhile, as it does in a fleet.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use stylefleet_fleet::clock::millis;
use stylefleet_fleet::documents::{self, DocumentError};
use stylefleet_proto::{
    Delivery, Ended, Event, EventKind, Hello, Job, Memory, Pulse, Start, ToWorker, Update, keys,
};
use stylefleet_transport::broker::{BrokerError, Claim, MemoryBroker, WorkerEnd};
use stylefleet_transport::store::Store;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::worker::{ExitReason, Fault, Launch, Told, Worker};

/// How often in a row a worker may fail to start, or give its job back unasked, before the run
/// ends.
const SETBACKS: u32 = 5;

/// A job with fewer seconds than this left is about to end. Workers have the same measure.
const NEARLY_DONE: f64 = 15.0;

/// What all lanes share.
pub struct Context {
    /// How workers are started.
    pub launch: Launch,
    /// Where jobs come from.
    pub broker: MemoryBroker,
    /// The store that workers have.
    pub store: Arc<dyn Store>,
    /// Cancelled when workers are to save their checkpoints and end.
    pub drain: CancellationToken,
}

/// Why a lane has no worker.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The worker's program cannot be started.
    #[error(
        "cannot start {}: {source}: install it beside stylefleet, or name it in STYLEFLEET_WORKER",
        program.display()
    )]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The worker ended before it was ready.
    #[error("cannot start a worker on device {device}: {reason}")]
    StartupFailed {
        /// The device.
        device: String,
        /// How it ended.
        reason: ExitReason,
    },
    /// Workers give jobs back, and nobody else is there to take them.
    #[error(
        "workers on device {device} gave their jobs back {SETBACKS} times without being asked: the \
         notes say why; run the same command again once that is mended"
    )]
    GivenBack {
        /// The device.
        device: String,
    },
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A task panicked.
    #[error("a lane panicked: {0}: please report this")]
    Panic(#[from] JoinError),
}

/// A job that a worker was handed.
struct Handed {
    claim: Claim,
    has_begun: bool,
    is_nearly_done: bool,
}

/// One device.
pub struct Lane {
    /// As asked for, then as its worker says: cpu, cuda:0, ...
    device: String,
    context: Arc<Context>,
    /// A worker without a job.
    idle: Option<Worker>,
    /// Whether a worker was ever ready here, so that the set-up is known to be right.
    was_ready: bool,
    /// Setbacks since an attempt ended otherwise.
    setbacks: u32,
    /// Who wants to know of the first worker.
    announce: Option<oneshot::Sender<Hello>>,
}

impl Lane {
    /// A lane without a worker yet.
    pub fn new(device: String, context: Arc<Context>) -> Self {
        Self {
            device,
            context,
            idle: None,
            was_ready: false,
            setbacks: 0,
            announce: None,
        }
    }

    /// The same, announcing its first worker once that is ready.
    pub fn announcing(self, announce: oneshot::Sender<Hello>) -> Self {
        Self {
            announce: Some(announce),
            ..self
        }
    }

    /// Has job after job done, until it is drained.
    pub async fn run(mut self) -> Result<(), LaneError> {
        while let Some(claim) = self.context.broker.claim(&self.context.drain).await? {
            if let Some(worker) = self.worker(&claim.job).await? {
                self.attempt(worker, claim).await?;
            }
        }
        if let Some(worker) = self.idle {
            worker.end().await;
        }
        Ok(())
    }

    /// A worker that is ready for the job; none if there was none to be had just now.
    async fn worker(&mut self, job: &Job) -> Result<Option<Worker>, LaneError> {
        if let Some(idle) = self.idle.take().and_then(Worker::if_alive) {
            return Ok(Some(idle));
        }
        let launch = &self.context.launch;
        let mut worker =
            Worker::spawn(launch, &self.device).map_err(|source| LaneError::Spawn {
                program: launch.program.clone(),
                source,
            })?;
        let hello = tokio::select! {
            hello = worker.hello() => hello,
            () = self.context.drain.cancelled() => return Ok(None),
        };
        match hello {
            Ok(hello) => {
                self.welcome(hello);
                Ok(Some(worker))
            }
            Err(fault) => {
                let reason = worker.exit_reason(fault).await;
                self.startup_failed(job, reason)?;
                Ok(None)
            }
        }
    }

    fn welcome(&mut self, hello: Hello) {
        self.was_ready = true;
        self.device.clone_from(&hello.device);
        if let Some(announce) = self.announce.take() {
            // Without a listener nobody wants to know.
            let _ = announce.send(hello);
        }
    }

    /// Killed while it started, or on a device that worked before: worth another try.
    fn startup_failed(&mut self, job: &Job, reason: ExitReason) -> Result<(), LaneError> {
        self.setbacks += 1;
        let may_pass = self.was_ready || reason.is_by_signal();
        if may_pass && self.setbacks < SETBACKS {
            self.note(job, format!("{reason}: another worker is started"));
            return Ok(());
        }
        Err(LaneError::StartupFailed {
            device: self.device.clone(),
            reason,
        })
    }

    /// Has a worker attempt the job, and those that are handed over while it is at it. If it
    /// dies, the claims are dropped, and the broker delivers the jobs again.
    async fn attempt(&mut self, mut worker: Worker, claim: Claim) -> Result<(), LaneError> {
        let mut handed = Vec::new();
        match self.follow(&mut worker, claim, &mut handed).await {
            Ok(true) => self.idle = Some(worker),
            Ok(false) => worker.end().await,
            Err(Trouble::Lane(error)) => return Err(error),
            Err(Trouble::Worker(fault)) => {
                let reason = worker.exit_reason(fault).await;
                let jobs = handed.iter().enumerate();
                for (_, job) in jobs.filter(|(place, job)| *place == 0 || job.has_begun) {
                    self.worker_died(&job.claim.job, &reason).await;
                }
            }
        }
        // The last first: what is dropped goes to the head of the queue.
        while handed.pop().is_some() {}
        if self.setbacks >= SETBACKS {
            let device = self.device.clone();
            return Err(LaneError::GivenBack { device });
        }
        Ok(())
    }

    /// Passes on what the worker publishes, and settles the claims, until it has no job left.
    /// Returns whether it may have others.
    async fn follow(
        &mut self,
        worker: &mut Worker,
        claim: Claim,
        handed: &mut Vec<Handed>,
    ) -> Result<bool, Trouble> {
        let Context { broker, drain, .. } = &*self.context.clone();
        hand_over(worker, claim, handed).await?;
        let mut is_draining = false;
        let mut is_fit = true;
        while !handed.is_empty() {
            let has_time = !is_draining && handed.iter().all(|job| job.is_nearly_done);
            let told = tokio::select! {
                told = worker.told() => told,
                next = broker.claim(drain), if has_time => {
                    if let Some(claim) = next? {
                        hand_over(worker, claim, handed).await?;
                    }
                    continue;
                }
                () = drain.cancelled(), if !is_draining => {
                    is_draining = true;
                    // If the pipe is broken, the next event says so.
                    let _ = worker.send(&ToWorker::Drain).await;
                    continue;
                }
            };
            let told = match told {
                // It was to end, and what it has not begun it leaves to others.
                Err(Fault::Closed) if is_draining && !handed.iter().any(|job| job.has_begun) => {
                    return Ok(false);
                }
                told => told?,
            };
            if let Some((ended, had_begun)) = self.pass_on(told, handed).await? {
                self.count_setbacks(&ended, is_draining);
                if !is_fit_after(&ended, had_begun) {
                    is_fit = false;
                    is_draining = true;
                    // It gives back what it was handed since.
                    let _ = worker.send(&ToWorker::Drain).await;
                }
            }
        }
        Ok(is_fit)
    }

    /// Passes on what a worker publishes of a job, and the trace for the next attempt. Returns how
    /// this one ended, if it did, and whether it had begun to compute.
    async fn pass_on(
        &self,
        told: Told,
        handed: &mut Vec<Handed>,
    ) -> Result<Option<(Ended, bool)>, Trouble> {
        let Told {
            event,
            trace,
            memory,
        } = told;
        let place = handed.iter().position(|job| job.claim.job.id == event.job);
        let place = place.ok_or(Fault::Unexpected)?;
        match event.kind.clone() {
            EventKind::Update(update) => {
                handed[place].note(&update);
                self.publish(event.map(|_| update), memory);
                Ok(None)
            }
            EventKind::Ended(ended) => {
                let Handed {
                    mut claim,
                    has_begun,
                    ..
                } = handed.remove(place);
                if let Some(trace) = trace {
                    claim.job.trace = trace;
                }
                let event = event.map(|_| ended.clone());
                self.context.broker.settle(claim, event).await?;
                Ok(Some((ended, has_begun)))
            }
        }
    }

    /// Progress is a pulse, as it is in a fleet.
    fn publish(&self, event: Event<Update>, memory: Option<Memory>) {
        let broker = &self.context.broker;
        match event.into_progress() {
            Ok(progress) => broker.pulse(Pulse {
                worker: progress.worker.clone(),
                device: self.device.clone(),
                progress: Some(progress),
                store: None,
                memory,
            }),
            Err(event) => broker.publish(*event),
        }
    }

    /// Without other workers, a job that is given back again and again would be so for ever.
    fn count_setbacks(&mut self, ended: &Ended, is_draining: bool) {
        if !matches!(ended, Ended::Interrupted { .. }) {
            self.setbacks = 0;
        } else if !is_draining {
            self.setbacks += 1;
        }
    }

    /// Tells people how a worker at the job ended, and the next worker: in the mark that this one
    /// left.
    async fn worker_died(&self, job: &Job, reason: &ExitReason) {
        let what_follows = if self.context.drain.is_cancelled() {
            "the next run goes on from the last checkpoint"
        } else {
            "another worker goes on from the last checkpoint"
        };
        self.note(job, format!("{reason}: {what_follows}"));
        if let Err(error) = self.record_exit(job, reason).await {
            tracing::warn!("{error}");
        }
    }

    async fn record_exit(&self, job: &Job, reason: &ExitReason) -> Result<(), DocumentError> {
        let store = &*self.context.store;
        let key = keys::started(&job.id);
        match documents::read::<Start>(store, &key).await? {
            Some(start) => {
                let exit_reason = Some(reason.to_string());
                let start = Start {
                    exit_reason,
                    ..start
                };
                documents::write(store, &key, &start).await
            }
            None => Ok(()),
        }
    }

    fn note(&self, job: &Job, text: String) {
        self.context.broker.publish(Event {
            job: job.id,
            worker: self.device.clone(),
            attempt: job.attempt,
            unix_millis: millis(SystemTime::now()),
            kind: Update::Note(text),
        });
    }
}

/// Why a worker is not followed to the end.
enum Trouble {
    Worker(Fault),
    Lane(LaneError),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Worker(fault)
    }
}

impl From<BrokerError> for Trouble {
    fn from(error: BrokerError) -> Self {
        Self::Lane(error.into())
    }
}

impl Handed {
    /// Learns from an update how far the job is.
    fn note(&mut self, update: &Update) {
        match update {
            Update::Started { .. } => self.has_begun = true,
            Update::Progress(at) => {
                self.is_nearly_done |= at.seconds_left.is_some_and(|left| left < NEARLY_DONE);
            }
            _ => {}
        }
    }
}

/// Hands a worker a job.
async fn hand_over(
    worker: &mut Worker,
    claim: Claim,
    handed: &mut Vec<Handed>,
) -> Result<(), Fault> {
    let delivery = Delivery {
        job: claim.job.clone(),
        redelivered: claim.redelivered,
        abandoned: claim.abandoned,
    };
    handed.push(Handed {
        claim,
        has_begun: false,
        is_nearly_done: false,
    });
    worker.send(&ToWorker::Delivery(Box::new(delivery))).await
}

/// Whether a worker may have another job: one that was interrupted is about to end, one that hit
/// a fault while it computed may be broken.
fn is_fit_after(ended: &Ended, had_begun: bool) -> bool {
    match ended {
        Ended::Finished { .. } | Ended::Cancelled => true,
        Ended::Failed { retryable, .. } => !retryable || !had_begun,
        Ended::Interrupted { .. } => false,
    }
}
